import { ChildProcess, spawn } from "child_process";
import { appendFileSync, closeSync, openSync } from "fs";

export interface RunOptions {
    cwd?: string;
    env?: NodeJS.ProcessEnv;
    input?: string | Buffer;
    /** File that becomes standard input. */
    inputFile?: string;
    /** Resolves for every exit code. A missing program has the exit code 127, as in a shell. */
    tolerate?: boolean;
    timeoutSeconds?: number;
    /** Gets every line of standard output and standard error at once. */
    onLine?: (line: string) => void;
}

export interface RunResult {
    code: number | null;
    stdout: string;
    stderr: string;
}

/** Runs a process to its end. A failure names the command and shows the end of its output. */
export function run(file: string, args: string[], options: RunOptions = {}): Promise<RunResult> {
    return new Promise((resolve, reject) => {
        const stdin = options.inputFile ? openSync(options.inputFile, "r") : "pipe";
        const child = spawn(file, args, { cwd: options.cwd, env: options.env ?? process.env, stdio: [stdin, "pipe", "pipe"] });
        if (typeof stdin === "number") closeSync(stdin);
        const timer = options.timeoutSeconds ? setTimeout(() => child.kill("SIGKILL"), options.timeoutSeconds * 1000) : undefined;
        const result = { stdout: "", stderr: "" };
        for (const stream of ["stdout", "stderr"] as const) {
            const see = lineReader(line => options.onLine?.(line));
            child[stream]!.setEncoding("utf8").on("data", (chunk: string) => {
                result[stream] += chunk;
                see(chunk);
            });
        }
        child.stdin?.on("error", () => undefined);
        child.stdin?.end(options.input ?? "");
        child.on("exit", () => closeWhenQuiet(child, () => result.stdout.length + result.stderr.length));
        child.on("error", error => (options.tolerate ? resolve({ code: 127, ...result, stderr: error.message }) : reject(error)));
        child.on("close", code => {
            clearTimeout(timer);
            if (code === 0 || options.tolerate) return resolve({ code, ...result });
            const said = (result.stderr.trim() || result.stdout.trim()).split("\n").slice(-15).join("\n");
            reject(new Error(`${[file, ...args].join(" ").slice(0, 200)} ended with ${code ?? "a signal"}:\n${said}`));
        });
    });
}

/** Closes the output of a process that has ended, once all of it is read. A daemon that it left behind may hold the pipes open. */
function closeWhenQuiet(child: ChildProcess, size: () => number): void {
    let before = -1;
    const timer = setInterval(() => {
        if (size() > before) return void (before = size());
        child.stdout?.destroy();
        child.stderr?.destroy();
    }, 20);
    child.on("close", () => clearInterval(timer));
}

/** Splits the chunks of a stream into lines. */
export function lineReader(onLine: (line: string) => void): (chunk: string) => void {
    let rest = "";
    return chunk => {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop()!;
        lines.forEach(onLine);
    };
}

const started = Date.now();
let lineIsOpen = false;

/** Shows the output of another program at once. */
export function show(chunk: string): void {
    process.stdout.write(chunk);
    lineIsOpen = !chunk.endsWith("\n");
}

/** Prints one line of progress with the seconds since the start. */
export function progress(part: string, text: string): void {
    if (lineIsOpen) show("\n");
    process.stderr.write(`[${((Date.now() - started) / 1000).toFixed(1).padStart(6)} s] ${part.padEnd(14)} ${text}\n`);
}

/** Runs a step that can take long. Reports the step and its usual duration first, and then every 30 s that the step still runs. */
export async function longStep<T>(part: string, doing: string, usualSeconds: number, work: () => Promise<T>): Promise<T> {
    const usual = `about ${duration(usualSeconds)}`;
    progress(part, `${doing}, ${usual}`);
    const began = Date.now();
    const timer = setInterval(() => progress(part, `${doing} for ${duration((Date.now() - began) / 1000)}, usually ${usual}`), 30_000);
    try {
        return await work();
    } finally {
        clearInterval(timer);
    }
}

export function duration(seconds: number): string {
    return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

export function until(what: string, seconds: number, ready: () => Promise<boolean>): Promise<void> {
    return timed("waiting", async () => {
        const end = Date.now() + seconds * 1000;
        // The pause grows, because a probe of a host or a cluster costs 0.1 s of CPU.
        for (let pause = 200; !(await ready()); pause = Math.min(pause * 1.3, 1000)) {
            if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
            await new Promise(resolve => setTimeout(resolve, pause));
        }
    });
}

/** Records the duration of some work for the summary of a test run. */
export async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
    const began = Date.now();
    try {
        return await work();
    } finally {
        noteTime(what, Date.now() - began);
    }
}

export function noteTime(what: string, milliseconds: number): void {
    if (process.env.LAB_TIMES) appendFileSync(process.env.LAB_TIMES, `${JSON.stringify({ what, milliseconds })}\n`);
}

/** Measures from the output of a run how long RKE and apt worked. */
export class PartClock {
    private readonly rke: number[] = [];
    private aptSince?: number;

    see(line: string): void {
        if (line.includes("rke: ")) this.rke.push(Date.now());
        if (this.aptSince !== undefined) noteTime("apt", Date.now() - this.aptSince);
        this.aptSince = /: installing /.test(line) ? Date.now() : undefined;
    }

    stop(): void {
        if (this.rke.length > 1) noteTime("RKE", this.rke.at(-1)! - this.rke[0]);
    }
}
