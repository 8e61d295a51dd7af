import { spawn } from "child_process";
import { randomBytes } from "crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "fs";
import { delimiter, join } from "path";
import { Instance, labFiles } from "./lab";
import { run } from "./process";

export const repository = join(__dirname, "..");

/** What a stack is run with. */
export interface StackRun {
    instance: Instance;
    /** Folder of the lab's tools, for PATH. */
    tools: string;
    /** Configuration instead of Pulumi.<instance>.yaml. */
    configFile?: string;
}

export interface Finished {
    code: number;
    output: string;
}

export type Engine = "Pulumi CLI" | "engine of the lab";

/** The Pulumi CLI when it is on the PATH, otherwise the lab's own engine. */
export async function findEngine(): Promise<{ engine: Engine; version: string }> {
    const cli = await run("pulumi", ["version"], { tolerate: true }).catch(() => undefined);
    return cli?.code === 0 ? { engine: "Pulumi CLI", version: cli.stdout.trim() } : { engine: "engine of the lab", version: "" };
}

/** Runs preview, up or destroy; what it says goes to the terminal as it comes when `show` is set. */
export async function runStack(stack: StackRun, verb: "preview" | "up" | "destroy", flags: string[] = [], show = true): Promise<Finished> {
    const { engine } = await findEngine();
    const command = engine === "Pulumi CLI" ? await pulumiCommand(stack, verb, flags) : engineCommand(stack, [verb, ...flags]);
    return execute(stack, command, show);
}

/** An output of the stack, secrets included. */
export async function stackOutput(stack: StackRun, name: string): Promise<string> {
    const { engine } = await findEngine();
    const command =
        engine === "Pulumi CLI" ? ["pulumi", "stack", "output", name, "--show-secrets", "--stack", stack.instance]
        : engineCommand(stack, ["output", name, "--show-secrets"]);
    const { code, output } = await execute(stack, command, false);
    if (code !== 0) throw new Error(output);
    return output.trimEnd();
}

function engineCommand(stack: StackRun, args: string[]): string[] {
    const config = stack.configFile ? ["--config-file", stack.configFile] : [];
    return [
        join(repository, "node_modules", ".bin", "tsx"), join(__dirname, "engine", "cli.ts"), ...args,
        "--stack", stack.instance, "--state", join(labFiles(stack.instance).folder, "state.json"), "--cwd", repository, ...config,
    ];
}

async function pulumiCommand(stack: StackRun, verb: string, flags: string[]): Promise<string[]> {
    await execute(stack, ["pulumi", "stack", "select", "--create", "--non-interactive", stack.instance], false);
    const config = stack.configFile ? ["--config-file", stack.configFile] : [];
    const confirm = verb === "preview" ? [] : ["--yes", "--skip-preview"];
    return ["pulumi", verb, "--stack", stack.instance, "--non-interactive", "--suppress-outputs", ...confirm, ...flags, ...config];
}

function execute(stack: StackRun, [file, ...args]: string[], show: boolean): Promise<Finished> {
    const { folder } = labFiles(stack.instance);
    const env = {
        ...process.env,
        PATH: [stack.tools, process.env.PATH].join(delimiter),
        PULUMI_CONFIG_PASSPHRASE: passphrase(stack.instance),
        PULUMI_BACKEND_URL: `file://${join(folder, "pulumi")}`,
        PULUMI_SKIP_UPDATE_CHECK: "true",
    };
    mkdirSync(join(folder, "pulumi"), { recursive: true });
    return new Promise((resolve, reject) => {
        const child = spawn(file, args, { cwd: repository, env, stdio: ["ignore", "pipe", "pipe"] });
        let output = "";
        for (const stream of [child.stdout, child.stderr]) {
            stream.setEncoding("utf8").on("data", (chunk: string) => {
                output += chunk;
                if (show) process.stdout.write(chunk);
            });
        }
        child.on("error", reject);
        child.on("close", code => resolve({ code: code ?? 1, output }));
    });
}

/** The passphrase of the lab's state: made once, readable by its owner only. */
function passphrase(instance: Instance): string {
    const file = join(labFiles(instance).folder, "passphrase");
    if (!existsSync(file)) {
        mkdirSync(labFiles(instance).folder, { recursive: true });
        writeFileSync(file, randomBytes(24).toString("base64"), { mode: 0o600 });
    }
    return readFileSync(file, "utf8");
}
