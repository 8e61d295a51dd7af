import { execFileSync, spawnSync } from "child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join, resolve } from "path";
import { parse, stringify } from "yaml";
import type { Result } from "../../lab/engine/deployment";

// The lab's own engine against the Pulumi CLI: the same program, the same changes, the same steps.
const repository = resolve(__dirname, "..", "..");
const cli = spawnSync("pulumi", ["version"]);
let project: string;
const environment = () => ({
    ...process.env,
    PULUMI_CONFIG_PASSPHRASE: "passphrase",
    PULUMI_NODEJS_TRANSPILE_ONLY: "true",
    PULUMI_BACKEND_URL: `file://${project}`,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
});

beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), "conformance-"));
    symlinkSync(join(repository, "node_modules"), join(project, "node_modules"));
    writeFileSync(join(project, "Pulumi.yaml"), readFileSync(join(repository, "tests", "fixtures", "engine", "Pulumi.yaml")));
    writeFileSync(
        join(project, "index.ts"),
        `export * from ${JSON.stringify(join(repository, "tests", "fixtures", "engine", "index"))};\n`,
    );
});
afterAll(() => rmSync(project, { recursive: true }));

/** What each resource depends on, its parent included. */
const dependencies = new Map<string, string[]>();

interface Engine {
    run(verb: "up" | "preview" | "destroy", config: Record<string, unknown>): string[];
    outputs(): Record<string, unknown>;
}

function output(file: string, args: string[]): string {
    const result = spawnSync(file, args, { cwd: project, env: environment(), maxBuffer: 1 << 28 });
    if (result.status !== 0)
        throw new Error(`${file} ${args.join(" ")}: exit code ${result.status}\n${errors(result.stdout.toString())}\n${result.stderr}`);
    return result.stdout.toString();
}

/** What went wrong, out of the CLI's stream of events. */
const errors = (text: string) =>
    text
        .split("\n")
        .filter(line => !line.startsWith("{") || line.includes('"severity":"error"'))
        .join("\n")
        .slice(-2000);

const nameOf = (urn: string) => urn.split("::").pop()!;

/** The steps, and for two of one resource, or of one and what it depends on, which comes first: the rest of the order is chance. */
function withOrder(steps: string[]): string[] {
    const resource = (step: string) => step.split(" ")[1];
    const needs = (one: string, other: string) => one === other || dependencies.get(one)?.includes(other);
    const related = (one: string, other: string) => needs(resource(one), resource(other)) || needs(resource(other), resource(one));
    const order = steps.flatMap((first, index) => {
        const later = steps.slice(index + 1).filter(second => related(first, second));
        return later.map(second => `${first} before ${second}`);
    });
    return [...steps, ...order].sort();
}

const configOf = (folder: string, config: Record<string, unknown>) =>
    Object.fromEntries(Object.entries({ folder, ...config }).map(([key, value]) => [`fixture:${key}`, value]));

function lab(folder: string): Engine {
    const at = ["--stack", "lab", "--state", join(folder, "state.json"), "--cwd", project];
    const engine = (args: string[]) =>
        output(join(repository, "node_modules", ".bin", "tsx"), [join(repository, "lab", "engine", "cli.ts"), ...args, ...at]);
    return {
        run(verb, config) {
            writeFileSync(join(project, "Pulumi.lab.yaml"), stringify({ config: configOf(folder, config) }));
            engine([verb, "--json", join(folder, "result.json")]);
            const { steps, registrations } = JSON.parse(readFileSync(join(folder, "result.json"), "utf8")) as Result;
            for (const { name, parent, dependencies: urns } of registrations) dependencies.set(name, [parent, ...urns].map(nameOf));
            return steps.filter(step => step.type !== "pulumi:pulumi:Stack").map(step => `${step.op} ${step.name}`);
        },
        outputs: () => JSON.parse(engine(["output"])),
    };
}

function pulumi(folder: string): Engine {
    output("pulumi", ["stack", "init", "cli", "--non-interactive"]);
    const { encryptionsalt } = parse(readFileSync(join(project, "Pulumi.cli.yaml"), "utf8"));
    return {
        run(verb, config) {
            writeFileSync(join(project, "Pulumi.cli.yaml"), stringify({ encryptionsalt, config: configOf(folder, config) }));
            const flags = verb === "preview" ? [] : ["--yes", "--skip-preview"];
            const text = output("pulumi", [verb, "--stack", "cli", "--json", "--non-interactive", ...flags]);
            const steps: { op: string; urn: string }[] =
                verb === "preview"
                    ? JSON.parse(text).steps
                    : text
                          .split("\n")
                          .filter(line => line.startsWith("{"))
                          .flatMap(line => JSON.parse(line).resourcePreEvent?.metadata ?? []);
            return steps
                .filter(step => !/pulumi:pulumi:Stack|pulumi:providers:/.test(step.urn) && step.op !== "create-replacement")
                .map(step => `${step.op === "delete-replaced" ? "delete" : step.op} ${nameOf(step.urn)}`);
        },
        outputs: () => JSON.parse(output("pulumi", ["stack", "output", "--stack", "cli", "--json"])),
    };
}

function compare(): void {
    const folders = ["lab", "cli"].map(name => {
        const folder = join(project, name);
        execFileSync("mkdir", [folder]);
        return folder;
    });
    const engines = [lab(folders[0]), pulumi(folders[1])];
    const scenario: ["up" | "preview" | "destroy", Record<string, unknown>, string[]][] = [
        ["preview", {}, ["create second"]],
        ["up", {}, ["create second", "create drift", "create first before create second"]],
        ["preview", {}, []],
        ["preview", { text: "b" }, ["update drift", "update second"]],
        ["up", { text: "b", extra: true }, ["update drift", "update second", "create extra"]],
        ["up", { text: "b", extra: true, triggers: ["1"] }, ["replace second", "replace second before delete second", "replace extra"]],
        ["preview", { text: "b", extra: true, triggers: ["1"], observed: "nginx.conf differs" }, ["update drift"]],
        ["up", { text: "b", extra: true, triggers: ["1"], observed: "nginx.conf differs" }, ["update drift", "update second"]],
        ["up", { text: "b", extra: true, triggers: ["1"] }, []],
        ["up", { text: "b", extra: true, triggers: ["1"], early: 2 }, ["update root"]],
        ["up", { text: "b", extra: true, triggers: ["1"], early: 25 }, ["replace root"]],
        ["destroy", { text: "b", extra: true, triggers: ["1"] }, ["delete second before delete first", "delete first before delete group"]],
    ];
    const differences: string[] = [];
    for (const [index, [verb, config, required]] of scenario.entries()) {
        const [ours, theirs] = engines.map(engine => {
            try {
                return withOrder(engine.run(verb, config).filter(step => !step.startsWith("same ") && !step.startsWith("read ")));
            } catch (error) {
                return [`failed: ${(error as Error).message}`];
            }
        });
        process.stderr.write(`${verb} ${JSON.stringify(config)}: ${ours.join(", ") || "nothing"}\n`);
        if (JSON.stringify(ours) !== JSON.stringify(theirs)) {
            differences.push(`${index} ${verb} ${JSON.stringify(config)}: ours ${ours}; CLI ${theirs}`);
            process.stderr.write(`    the CLI: ${theirs.join(", ")}\n`);
        }
        for (const step of required) if (!theirs.includes(step)) differences.push(`${index} ${verb}: the CLI does not ${step}: ${theirs}`);
        if (required.length === 0 && theirs.length > 0) differences.push(`${index} ${verb}: not empty: ${theirs}`);
        if (verb === "up") {
            const [our, their] = engines.map(engine => engine.outputs());
            const shape = ({ secret: hidden, epoch, result, looked, due }: Record<string, unknown>) => ({
                hidden,
                epoch,
                result,
                looked,
                due,
            });
            if (JSON.stringify(shape(our)) !== JSON.stringify(shape(their)))
                differences.push(`${index} outputs: ${JSON.stringify(shape(our))} ${JSON.stringify(shape(their))}`);
        }
    }
    expect(differences).toEqual([]);
}

if (cli.status !== 0) process.stdout.write("no pulumi on the PATH: the lab's engine is not compared with the Pulumi CLI\n");
(cli.status === 0 ? test : test.skip)("the lab's engine and the Pulumi CLI do the same", compare, 600_000);
