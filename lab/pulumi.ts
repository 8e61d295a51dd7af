import { spawn, spawnSync } from "child_process";
import { randomBytes } from "crypto";
import { existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { delimiter, join } from "path";
import { parse, stringify } from "yaml";
import { networkOf, repository } from "./inventory";
import { Lab } from "./lab";
import { lineReader, PartClock, run, show, timed } from "./process";
import { buildTools, cacheFolder, digest, installedVersion, keep, newFolder, ToolName, toolFolder } from "./tools";

/** Tools that contain the providers of the program. */
const providers: Record<string, ToolName> = {
    command: "pulumi-plugins",
    random: "pulumi-plugins",
    tls: "pulumi-plugins",
    kubernetes: "pulumi-resource-kubernetes",
};

/** Places the CLI and its plugins where the CLI finds them: `bin` for PATH, `plugins` for its home. Returns the folder of both. */
function layOut(): string {
    const links: Record<string, ToolName> = { "bin/pulumi-language-nodejs": "pulumi-plugins" };
    // Only tests need the YAML language.
    if (existsSync(toolFolder("pulumi-language-yaml"))) links["bin/pulumi-language-yaml"] = "pulumi-language-yaml";
    // Plugins are not on the PATH, because the CLI would warn about each of them there.
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
    // A symbolic link would not work, because the CLI looks for languages beside its real file.
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
    /** Output of the CLI, from both streams. */
    output: string;
    /** Steps that the CLI took or planned, in their order. */
    steps: Step[];
}

export interface RunOptions {
    /** Shows the output of the CLI at once. */
    show?: boolean;
    /** Gets every line. `kill` ends the CLI and its plugins like a lost machine, `interrupt` like Ctrl-C. */
    onLine?: (line: string, end: { kill: () => unknown; interrupt: () => unknown }) => void;
    /** Environment variables in addition to the lab's. */
    env?: NodeJS.ProcessEnv;
    /** Command that runs the CLI, with the command's own arguments. */
    wrap?: string[];
}

export interface StackOptions {
    /** Folder of the program. Default: the program of the repository. */
    program?: string;
    /** Configuration of the program. */
    config?: Record<string, unknown>;
}

/** A stack in a lab, run by the Pulumi CLI with its state in the lab's folder. */
export class Stack {
    readonly name: string;
    readonly program: string;
    /** File of the stack's configuration, with the salt of the lab's passphrase. */
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

    /** Writes the stack's configuration. Default: Pulumi.dev.yaml with the addresses and files of the lab. */
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

    /** Returns the stack's outputs, secrets included. */
    async outputs(): Promise<Record<string, any>> {
        return JSON.parse(await this.ask("stack", "output", "--json", "--show-secrets", "--stack", this.name));
    }

    /** Returns the resources in the stack's state, with decrypted secrets. */
    async resources(): Promise<any[]> {
        return (await this.exported("--show-secrets")).deployment.resources ?? [];
    }

    /** Returns the stack's state as the CLI exports it. */
    async exported(...flags: string[]): Promise<any> {
        return JSON.parse(await this.ask("stack", "export", "--stack", this.name, ...flags));
    }

    /** Releases the lock of a killed run. */
    async cancel(): Promise<void> {
        await this.ask("cancel", "--yes", "--stack", this.name);
    }

    /** Reports whether the CLI holds a state of the stack. */
    exists(): boolean {
        return existsSync(join(this.home, ".pulumi", "stacks", this.project, `${this.name}.json`));
    }

    /** Runs any command of the CLI in the program's folder. */
    async cli(args: string[], options: RunOptions = {}, folder = this.program): Promise<{ code: number; output: string }> {
        const { env, file } = await this.environment();
        // The Kubernetes provider leaves its kubeconfig (mode 0600) in the folder for temporary files.
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

    /** Creates the stack in a separate folder. The CLI writes the salt beside Pulumi.yaml, and git tracks the repository's own file. */
    private async create(): Promise<void> {
        if (this.exists()) return;
        const folder = join(this.configFile, "..");
        writeFileSync(join(folder, "Pulumi.yaml"), stringify({ name: this.project, runtime: "nodejs" }));
        const { code, output } = await this.cli(["stack", "init", this.name, "--non-interactive"], {}, folder);
        if (code !== 0) throw new Error(`the stack ${this.name} was not made:\n${output}`);
        // People who call the CLI themselves need a selected stack.
        await this.ask("stack", "select", this.name);
    }

    /** Returns the CLI and its environment. The variable PULUMI replaces the lab's CLI by another one with its own plugins and home. */
    async environment(): Promise<{ file: string; env: NodeJS.ProcessEnv }> {
        const tools = await buildTools("stack");
        const common = {
            ...process.env,
            // This works like --config-file for every command, also those of people. Otherwise the CLI writes the salt to Pulumi.dev.yaml.
            PULUMI_OPTION_CONFIG_FILE: this.configFile,
            // The CLI accepts --event-log only with this variable.
            PULUMI_DEBUG_COMMANDS: "true",
            // Other programs have no tsconfig. The repository's own check covers their types.
            ...(this.program !== repository && { PULUMI_NODEJS_TRANSPILE_ONLY: "true" }),
        };
        const path = pathWithoutWrapper(process.env.PATH ?? "");
        const { PATH, ...variables } = this.variables();
        const env = { ...common, ...variables, PATH: [...(PATH ? [PATH] : []), tools, path].join(delimiter) };
        return { file: process.env.PULUMI ?? "pulumi", env };
    }

    /** Returns the variables with which the CLI works on the lab's state. PATH leads only to the lab's CLI, and is missing without it. */
    variables(): Record<string, string> {
        const state = {
            // A run that is killed while it writes file metadata leaves an empty file. Then the CLI cannot read any state (`EOF`).
            PULUMI_BACKEND_URL: `file://${this.home}?metadata=skip`,
            PULUMI_CONFIG_PASSPHRASE_FILE: this.passphraseFile(),
            PULUMI_SKIP_UPDATE_CHECK: "true",
        };
        if (process.env.PULUMI) return state;
        const folder = layOut();
        const home = join(this.home, "home");
        if (!existsSync(join(home, "plugins"))) {
            mkdirSync(home, { recursive: true });
            symlinkSync(join(folder, "plugins"), join(home, "plugins"));
        }
        const own = { PULUMI_HOME: home, PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" };
        return { ...state, ...own, PATH: join(folder, "bin") };
    }

    /** Returns the file with the passphrase of the lab's state. The file is made once, and only its owner can read it. */
    private passphraseFile(): string {
        const file = join(this.home, "passphrase");
        if (!existsSync(file)) {
            mkdirSync(this.home, { recursive: true });
            writeFileSync(file, randomBytes(24).toString("base64"), { mode: 0o600 });
        }
        return file;
    }
}

/** Returns PATH without the commands of npm packages, which jest and npm put first. Their `pulumi` is a wrapper that downloads a CLI. */
export function pathWithoutWrapper(path: string): string {
    const isOfPackages = (folder: string) => folder.endsWith(join("node_modules", ".bin"));
    return path
        .split(delimiter)
        .filter(folder => !isOfPackages(folder))
        .join(delimiter);
}

/** Returns the configuration of the stack in a lab: Pulumi.dev.yaml with the addresses and files of that lab. */
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

/** Kills the CLI and its plugins. The Kubernetes provider would run on without the CLI. Commands must notice the end by themselves. */
function killWithPlugins(cli: number): void {
    const plugins = spawnSync("pgrep", ["--parent", String(cli)], { encoding: "utf8" }).stdout.split("\n");
    // A plugin may have ended meanwhile.
    spawnSync("kill", ["-KILL", String(cli), ...plugins.filter(Boolean)]);
}
