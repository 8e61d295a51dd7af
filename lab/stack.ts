import { spawn } from "child_process";
import { randomBytes } from "crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "fs";
import { basename, delimiter, join } from "path";
import { parse, stringify } from "yaml";
import { addressOf, Instance, labFiles, repository } from "./lab";
import { run } from "./process";

/** What a stack is run with. */
export interface StackRun {
    instance: Instance;
    /** Folder of the lab's tools, for PATH. */
    tools: string;
    /** Default: that of `configFileOf`. */
    configFile?: string;
    /** Another program than that of the repository, with a state of its own. */
    program?: string;
}

export interface Finished {
    code: number;
    output: string;
}

export type Engine = "Pulumi CLI" | "engine of the lab";

/** Pulumi.dev.yaml; for another lab a copy with the addresses and files of that one, changed by `edit`. */
export function configFileOf(instance: Instance, edit?: (config: Record<string, any>) => void): string {
    const development = join(repository, "Pulumi.dev.yaml");
    if (instance === "dev") return development;
    const network = (lab: Instance) => addressOf(lab, "lb1").replace(/\d+$/, "");
    const text = readFileSync(development, "utf8").replaceAll(network("dev"), network(instance));
    const { config } = parse(text.replaceAll(".lab/dev/", `.lab/${instance}/`));
    edit?.(config);
    const file = join(labFiles(instance).folder, `Pulumi.${instance}.yaml`);
    writeFileSync(file, stringify({ config }));
    return file;
}

/** The engine that holds the stack's state; for a new stack the Pulumi CLI when it is on the PATH, otherwise the lab's own. */
export async function findEngine(instance: Instance): Promise<{ engine: Engine; why: string }> {
    const cli = await run("pulumi", ["version"], { tolerate: true });
    const version = cli.code === 0 ? cli.stdout.trim() : undefined;
    if (existsSync(stateFile(instance)))
        return { engine: "engine of the lab", why: version ? "it holds the state until make down" : "no pulumi on the PATH" };
    if (version) return { engine: "Pulumi CLI", why: version };
    if (existsSync(join(pulumiBackend(instance), ".pulumi", "stacks")))
        throw new Error("the Pulumi CLI holds the state of this stack: expected pulumi on the PATH, found none. Put it back");
    return { engine: "engine of the lab", why: "no pulumi on the PATH" };
}

/** Runs preview, up or destroy; what it says goes to the terminal as it comes when `show` is set. */
export async function runStack(stack: StackRun, verb: "preview" | "up" | "destroy", flags: string[] = [], show = true): Promise<Finished> {
    const { engine } = await findEngine(stack.instance);
    if (engine !== "Pulumi CLI") return execute(stack, engineCommand(stack, [verb, ...flags]), show);
    // The CLI notes the salt of its passphrase in the stack's file; here the passphrase is the lab's, and the file everybody's.
    const stackFile = join(repository, `Pulumi.${stack.instance}.yaml`);
    const text = existsSync(stackFile) ? readFileSync(stackFile) : undefined;
    try {
        return await execute(stack, await pulumiCommand(stack, verb, flags), show);
    } finally {
        if (text) writeFileSync(stackFile, text);
        else rmSync(stackFile, { force: true });
    }
}

/** The outputs of the stack, secrets included. */
export async function stackOutputs(stack: StackRun): Promise<Record<string, any>> {
    const { engine } = await findEngine(stack.instance);
    const command =
        engine === "Pulumi CLI"
            ? ["pulumi", "stack", "output", "--json", "--show-secrets", "--stack", stack.instance]
            : engineCommand(stack, ["output", "--show-secrets"]);
    const { code, output } = await execute(stack, command, false);
    if (code !== 0) throw new Error(output);
    return JSON.parse(output);
}

/** Where the lab's own engine keeps the stack's state. */
export function stateFile(instance: Instance): string {
    return join(labFiles(instance).folder, "state.json");
}

/** Runs the lab's own engine whatever is on the PATH; `onLine` may end it half-way. */
export function runLabEngine(stack: StackRun, args: string[], onLine?: (line: string, kill: () => void) => void): Promise<Finished> {
    return execute(stack, engineCommand(stack, args), false, onLine);
}

function engineCommand(stack: StackRun, args: string[]): string[] {
    return [
        process.execPath,
        "--require",
        require.resolve("tsx/cjs"),
        join(__dirname, "engine", "cli.ts"),
        ...args,
        "--stack",
        stack.instance,
        "--cwd",
        stack.program ?? repository,
        "--state",
        stack.program ? join(labFiles(stack.instance).folder, `${basename(stack.program)}.json`) : stateFile(stack.instance),
        "--config-file",
        stack.configFile ?? configFileOf(stack.instance),
    ];
}

async function pulumiCommand(stack: StackRun, verb: string, flags: string[]): Promise<string[]> {
    await execute(stack, ["pulumi", "stack", "select", "--create", "--non-interactive", stack.instance], false);
    const config = ["--config-file", stack.configFile ?? configFileOf(stack.instance)];
    const confirm = verb === "preview" ? [] : ["--yes", "--skip-preview"];
    return ["pulumi", verb, "--stack", stack.instance, "--non-interactive", "--suppress-outputs", ...confirm, ...flags, ...config];
}

function execute(
    stack: StackRun,
    [file, ...args]: string[],
    show: boolean,
    onLine?: (line: string, kill: () => void) => void,
): Promise<Finished> {
    const env = {
        ...process.env,
        PATH: [stack.tools, process.env.PATH].join(delimiter),
        PULUMI_CONFIG_PASSPHRASE: passphrase(stack.instance),
        PULUMI_BACKEND_URL: `file://${pulumiBackend(stack.instance)}`,
        PULUMI_SKIP_UPDATE_CHECK: "true",
    };
    return new Promise((resolve, reject) => {
        // A group of its own, so that a test can kill all of it at once.
        const child = spawn(file, args, { cwd: repository, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
        const forward = (signal: NodeJS.Signals) => process.kill(-child.pid!, signal);
        process.once("SIGINT", forward).once("SIGTERM", forward);
        let output = "";
        for (const stream of [child.stdout, child.stderr]) {
            stream.setEncoding("utf8").on("data", (chunk: string) => {
                output += chunk;
                if (show) process.stdout.write(chunk);
                if (onLine) chunk.split("\n").forEach(line => onLine(line, () => process.kill(-child.pid!, "SIGKILL")));
            });
        }
        child.on("error", reject);
        child.on("close", code => {
            process.off("SIGINT", forward).off("SIGTERM", forward);
            resolve({ code: code ?? 1, output });
        });
    });
}

function pulumiBackend(instance: Instance): string {
    const folder = join(labFiles(instance).folder, "pulumi");
    mkdirSync(folder, { recursive: true });
    return folder;
}

/** The passphrase of the lab's state: made once, readable by its owner only. */
export function passphrase(instance: Instance): string {
    const file = join(labFiles(instance).folder, "passphrase");
    if (!existsSync(file)) {
        mkdirSync(labFiles(instance).folder, { recursive: true });
        writeFileSync(file, randomBytes(24).toString("base64"), { mode: 0o600 });
    }
    return readFileSync(file, "utf8");
}
