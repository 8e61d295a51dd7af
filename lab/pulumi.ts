import { spawn, spawnSync } from "child_process";
import { randomBytes } from "crypto";
import { existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { delimiter, join } from "path";
import { parse, stringify } from "yaml";
import { networkOf, repository } from "./inventory";
import { Lab } from "./lab";
import { lineReader, noteTime, run, show, timed } from "./process";
import { buildTools, cacheFolder, digest, installedVersion, keep, newFolder, ToolName, toolFolder } from "./tools";

/** Providers of the program, and the tools that are them. */
const providers: Record<string, ToolName> = {
    command: "pulumi-plugins",
    random: "pulumi-plugins",
    tls: "pulumi-plugins",
    kubernetes: "pulumi-resource-kubernetes",
};

/** Lays the CLI and its plugins out where the CLI finds them: `bin` for PATH, `plugins` for its home. Returns the folder of both. */
function layOut(): string {
    const links: Record<string, ToolName> = { "bin/pulumi-language-nodejs": "pulumi-plugins" };
    // The YAML language is for tests alone.
    if (existsSync(toolFolder("pulumi-language-yaml"))) links["bin/pulumi-language-yaml"] = "pulumi-language-yaml";
    // Not on the PATH, where the CLI would warn of each.
    for (const [name, tool] of Object.entries(providers))
        links[`plugins/resource-${name}-v${installedVersion(`@pulumi/${name}`)}/pulumi-resource-${name}`] = tool;
    const files = Object.entries(links).map(([link, tool]) => [link, join(toolFolder(tool), tool)]);
    const cli = join(toolFolder("pulumi"), "pulumi");
    const folder = join(cacheFolder, "pulumi", digest(JSON.stringify([cli, files])));
    if (existsSync(folder)) return folder;
    const draft = newFolder("pulumi");
    for (const [link, file] of files) {
        mkdirSync(join(draft, link, ".."), { recursive: true });
        symlinkSync(file, join(draft, link));
    }
    // No symbolic link, because the CLI looks for languages beside its real file.
    linkSync(cli, join(draft, "bin", "pulumi"));
    keep(draft, folder);
    return folder;
}

export interface Step {
    op: string;
    name: string;
}

export interface Finished {
    code: number;
    /** What the CLI said, on both streams. */
    output: string;
    /** What it did or planned, in its order. */
    steps: Step[];
}

export interface RunOptions {
    /** Shows what the CLI says as it comes. */
    show?: boolean;
    /** Sees every line; `kill` ends the CLI and its plugins as a lost machine does, `interrupt` as Ctrl-C does. */
    onLine?: (line: string, end: { kill: () => unknown; interrupt: () => unknown }) => void;
    /** Variables beside those of the lab. */
    env?: NodeJS.ProcessEnv;
    /** A command that runs the CLI, with its arguments. */
    wrap?: string[];
}

export interface StackOptions {
    /** Folder of another program than that of the repository. */
    program?: string;
    /** Configuration of that program. */
    config?: Record<string, unknown>;
}

/** A stack in a lab, run by the Pulumi CLI with its state in the lab's folder. */
export class Stack {
    readonly name: string;
    readonly program: string;
    /** Its configuration, with the salt of the lab's passphrase. */
    readonly configFile: string;
    private readonly home: string;
    private readonly project: string;

    constructor(
        readonly lab: Lab,
        options: StackOptions = {},
    ) {
        this.name = lab.name;
        this.program = options.program ?? repository;
        this.project = parse(readFileSync(join(this.program, "Pulumi.yaml"), "utf8")).name;
        this.home = join(lab.folder, "pulumi");
        this.configFile = join(this.home, this.project, `Pulumi.${this.name}.yaml`);
        this.configure(options.config);
    }

    /** Writes its configuration; default: that of Pulumi.dev.yaml, with the addresses and files of the lab. */
    configure(config: Record<string, unknown> = configOf(this.lab)): void {
        mkdirSync(join(this.configFile, ".."), { recursive: true });
        const before = existsSync(this.configFile) ? parse(readFileSync(this.configFile, "utf8")) : {};
        writeFileSync(this.configFile, stringify({ ...before, config }));
    }

    preview(flags: string[] = [], options: RunOptions = {}): Promise<Finished> {
        return this.run("preview", flags, options);
    }

    up(flags: string[] = [], options: RunOptions = {}): Promise<Finished> {
        return this.run("up", ["--yes", "--skip-preview", ...flags], options);
    }

    destroy(flags: string[] = [], options: RunOptions = {}): Promise<Finished> {
        return this.run("destroy", ["--yes", "--skip-preview", ...flags], options);
    }

    /** Runs a verb that works on resources. */
    async run(verb: string, flags: string[], options: RunOptions = {}): Promise<Finished> {
        await this.create();
        const log = join(this.home, `events-${randomBytes(6).toString("hex")}.json`);
        const own = ["--stack", this.name, "--non-interactive", "--suppress-outputs", "--event-log", log];
        try {
            const { code, output } = await timed(`pulumi ${verb}`, () => this.cli([verb, ...own, ...flags], options));
            return { code, output, steps: existsSync(log) ? stepsOf(readFileSync(log, "utf8")) : [] };
        } finally {
            rmSync(log, { force: true });
        }
    }

    /** Its outputs, secrets included. */
    async outputs(): Promise<Record<string, any>> {
        return JSON.parse(await this.ask("stack", "output", "--json", "--show-secrets", "--stack", this.name));
    }

    /** Its resources as the state has them, secrets decrypted. */
    async resources(): Promise<any[]> {
        return (await this.exported("--show-secrets")).deployment.resources ?? [];
    }

    /** Its state as the CLI exports it. */
    async exported(...flags: string[]): Promise<any> {
        return JSON.parse(await this.ask("stack", "export", "--stack", this.name, ...flags));
    }

    /** Releases the lock of a run that was killed. */
    async cancel(): Promise<void> {
        await this.ask("cancel", "--yes", "--stack", this.name);
    }

    /** Whether the CLI holds a state of it. */
    exists(): boolean {
        return existsSync(join(this.home, ".pulumi", "stacks", this.project, `${this.name}.json`));
    }

    /** Runs any command of the CLI in the program's folder. */
    async cli(args: string[], options: RunOptions = {}, folder = this.program): Promise<{ code: number; output: string }> {
        const { env, file } = await this.environment();
        // The Kubernetes provider leaves its kubeconfig in the folder for temporary files (mode 0600).
        const temporary = mkdtempSync(join(tmpdir(), "lab-pulumi-"));
        try {
            const variables = { ...env, TMPDIR: temporary, ...options.env };
            return await execute([...(options.wrap ?? []), file, ...args], folder, variables, options);
        } finally {
            rmSync(temporary, { recursive: true, force: true });
        }
    }

    private async ask(...args: string[]): Promise<string> {
        const { env, file } = await this.environment();
        return (await run(file, args, { cwd: this.program, env })).stdout;
    }

    /** The stack is made from a folder of its own, because the CLI notes the salt beside Pulumi.yaml, and here that file is everybody's. */
    private async create(): Promise<void> {
        if (this.exists()) return;
        const folder = join(this.configFile, "..");
        writeFileSync(join(folder, "Pulumi.yaml"), stringify({ name: this.project, runtime: "nodejs" }));
        const { code, output } = await this.cli(["stack", "init", this.name, "--non-interactive"], {}, folder);
        if (code !== 0) throw new Error(`the stack ${this.name} was not made:\n${output}`);
        // For people who use the CLI themselves.
        await this.ask("stack", "select", this.name);
    }

    /** What the CLI needs to know. PULUMI names another CLI than the lab's, with the plugins and the home it has. */
    private async environment(): Promise<{ file: string; env: NodeJS.ProcessEnv }> {
        const tools = await buildTools("stack");
        const common = {
            ...process.env,
            // A run that is killed while it writes the metadata of a file leaves an empty one, and then the CLI reads no state (`EOF`).
            PULUMI_BACKEND_URL: `file://${this.home}?metadata=skip`,
            PULUMI_CONFIG_PASSPHRASE_FILE: this.passphraseFile(),
            PULUMI_SKIP_UPDATE_CHECK: "true",
            // As --config-file for every command, those of people too: without it the salt would be noted in Pulumi.dev.yaml.
            PULUMI_OPTION_CONFIG_FILE: this.configFile,
            // For --event-log.
            PULUMI_DEBUG_COMMANDS: "true",
            // Other programs have no tsconfig of their own; types are checked with the rest.
            ...(this.program !== repository && { PULUMI_NODEJS_TRANSPILE_ONLY: "true" }),
        };
        const path = pathWithoutWrapper(process.env.PATH ?? "");
        if (process.env.PULUMI) return { file: process.env.PULUMI, env: { ...common, PATH: [tools, path].join(delimiter) } };
        const folder = layOut();
        const home = join(this.home, "home");
        if (!existsSync(join(home, "plugins"))) {
            mkdirSync(home, { recursive: true });
            symlinkSync(join(folder, "plugins"), join(home, "plugins"));
        }
        const own = { PULUMI_HOME: home, PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" };
        return { file: "pulumi", env: { ...common, ...own, PATH: [join(folder, "bin"), tools, path].join(delimiter) } };
    }

    /** The passphrase of the lab's state: made once, readable by its owner only. */
    private passphraseFile(): string {
        const file = join(this.home, "passphrase");
        if (!existsSync(file)) {
            mkdirSync(this.home, { recursive: true });
            writeFileSync(file, randomBytes(24).toString("base64"), { mode: 0o600 });
        }
        return file;
    }
}

/** PATH without the commands of npm packages, which jest and npm put first: `pulumi` there is a wrapper that fetches a CLI. */
export function pathWithoutWrapper(path: string): string {
    const isOfPackages = (folder: string) => folder.endsWith(join("node_modules", ".bin"));
    return path
        .split(delimiter)
        .filter(folder => !isOfPackages(folder))
        .join(delimiter);
}

/** The configuration of the stack in a lab: Pulumi.dev.yaml with the addresses and files of that lab. */
export function configOf(lab: Lab): Record<string, any> {
    const text = readFileSync(join(repository, "Pulumi.dev.yaml"), "utf8");
    return parse(text.replaceAll(`${networkOf("dev")}.`, `${networkOf(lab.name)}.`).replaceAll(".lab/dev/", `.lab/${lab.name}/`)).config;
}

function stepsOf(events: string): Step[] {
    return events
        .split("\n")
        .filter(Boolean)
        .flatMap(line => JSON.parse(line).resourcePreEvent?.metadata ?? [])
        .map(({ op, urn }) => ({ op, name: urn.split("::").pop() }));
}

function execute(
    [file, ...args]: string[],
    cwd: string,
    env: NodeJS.ProcessEnv,
    { show: isShown, onLine }: RunOptions,
): Promise<{ code: number; output: string }> {
    return new Promise((resolve, reject) => {
        const child = spawn(file, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
        const forward = (signal: NodeJS.Signals) => child.kill(signal);
        process.once("SIGINT", forward).once("SIGTERM", forward);
        const isRunning = () => child.exitCode === null && child.signalCode === null;
        const end = { kill: () => isRunning() && killWithPlugins(child.pid!), interrupt: () => child.kill("SIGINT") };
        const clock = new PartClock();
        let output = "";
        for (const stream of [child.stdout, child.stderr]) {
            const see = lineReader(line => {
                clock.see(line);
                onLine?.(line, end);
            });
            stream.setEncoding("utf8").on("data", (chunk: string) => {
                output += chunk;
                if (isShown) show(chunk);
                see(chunk);
            });
        }
        child.on("error", reject);
        child.on("close", code => {
            process.off("SIGINT", forward).off("SIGTERM", forward);
            clock.stop();
            resolve({ code: code ?? 1, output });
        });
    });
}

/** The Kubernetes provider would go on without the CLI, and commands must notice by themselves that nobody listens any more. */
function killWithPlugins(cli: number): void {
    const plugins = spawnSync("pgrep", ["--parent", String(cli)], { encoding: "utf8" }).stdout.split("\n");
    // One of them may have ended meanwhile.
    spawnSync("kill", ["-KILL", String(cli), ...plugins.filter(Boolean)]);
}

/** Tells from what a run says how long RKE and apt worked in it. */
class PartClock {
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
