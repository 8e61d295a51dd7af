import { existsSync, readFileSync, writeFileSync } from "fs";
import { join, resolve } from "path";
import { parseArgs } from "util";
import { parse } from "yaml";
import { Deployment, Step } from "./deployment";
import { diffText, stepLine, summary } from "./display";
import { Program } from "./language";
import { StateFile } from "./state";
import { isSecret, plain, secretTexts } from "./values";

const usage = `usage: engine (preview|up|destroy|output [NAME]) --stack NAME --state FILE [--cwd DIR] [--config-file FILE]
    [--diff] [--expect-no-changes] [--show-secrets] [--json FILE] [--stop-after NAME]
The passphrase of the state comes from PULUMI_CONFIG_PASSPHRASE.`;

async function main(): Promise<number> {
    const { values, positionals } = parseArgs({
        allowPositionals: true,
        options: {
            stack: { type: "string" },
            state: { type: "string" },
            cwd: { type: "string", default: "." },
            "config-file": { type: "string" },
            diff: { type: "boolean" },
            "expect-no-changes": { type: "boolean" },
            "show-secrets": { type: "boolean" },
            json: { type: "string" },
            "stop-after": { type: "string" },
        },
    });
    const [verb, name] = positionals;
    const passphrase = process.env.PULUMI_CONFIG_PASSPHRASE;
    if (!["preview", "up", "destroy", "output"].includes(verb) || !values.stack || !values.state || !passphrase) throw new Error(usage);
    const stateFile = new StateFile(resolve(values.state), passphrase);
    if (verb === "output") return printOutputs(stateFile, name, Boolean(values["show-secrets"]));

    const preview = verb === "preview";
    const unlock = preview ? () => undefined : stateFile.lock();
    const began = Date.now();
    const secrets = () => secretTexts(stateFile.read());
    const known = new Set(secrets());
    const say = (line: string) => process.stdout.write(`${mask(line, known)}\n`);
    let deployment: Deployment | undefined;
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => deployment?.stop());
    try {
        const program = readProgram(resolve(values.cwd), values.stack, values["config-file"], preview);
        deployment = new Deployment({
            program,
            stateFile,
            onStep: (step, phase, seconds) => {
                for (const text of secretTexts([step.before, step.after])) known.add(text);
                if (step.op !== "same") say(stepLine(step, phase, seconds));
                if (values.diff && phase === "end") diffText(step).forEach(say);
            },
            onLog: (line, urn) => say(`    ${urn ? `${urn.split("::").pop()}: ` : ""}${line}`),
            stopAfter: values["stop-after"] ? (step: Step) => step.name === values["stop-after"] : undefined,
        });
        const result = await (verb === "destroy" ? deployment.destroy() : deployment.deploy());
        say(`${summary(result, preview)}\nDuration: ${((Date.now() - began) / 1000).toFixed(1)} s`);
        if (values.json) writeFileSync(values.json, JSON.stringify(result), { mode: 0o600 });
        if (result.failed) return 1;
        const changes = result.steps.filter(step => step.op !== "same" && step.op !== "read").length;
        if (values["expect-no-changes"] && changes > 0) {
            say(`error: no changes were expected, but ${changes} would happen`);
            return 1;
        }
        return 0;
    } finally {
        unlock();
    }
}

/** Pulumi.yaml and Pulumi.<stack>.yaml, as the CLI reads them: objects go to the program as JSON. */
function readProgram(folder: string, stack: string, configFile: string | undefined, preview: boolean): Program {
    const project = parse(readFileSync(join(folder, "Pulumi.yaml"), "utf8"));
    const file = configFile ?? join(folder, `Pulumi.${stack}.yaml`);
    const config: Record<string, unknown> = existsSync(file) ? (parse(readFileSync(file, "utf8")).config ?? {}) : {};
    const texts = Object.entries(config).map(([key, value]) => {
        if (JSON.stringify(value).includes('"secure":'))
            throw new Error(`${file}: ${key} is encrypted by the Pulumi CLI; the lab's engine cannot read it`);
        return [key.includes(":") ? key : `${project.name}:${key}`, typeof value === "object" ? JSON.stringify(value) : String(value)];
    });
    return {
        folder,
        project: project.name,
        stack,
        main: join(folder, project.main ?? "."),
        config: Object.fromEntries(texts),
        secretKeys: [],
        preview,
    };
}

function printOutputs(stateFile: StateFile, name: string | undefined, showSecrets: boolean): number {
    const { outputs } = stateFile.read();
    const shown = (value: unknown) => (isSecret(value) && !showSecrets ? "[secret]" : plain(value));
    if (name === undefined)
        process.stdout.write(
            `${JSON.stringify(Object.fromEntries(Object.entries(outputs).map(([key, value]) => [key, shown(value)])), undefined, 4)}\n`,
        );
    else if (!(name in outputs)) throw new Error(`the stack has no output ${name}; it has ${Object.keys(outputs).join(", ") || "none"}`);
    else
        process.stdout.write(`${typeof shown(outputs[name]) === "string" ? shown(outputs[name]) : JSON.stringify(shown(outputs[name]))}\n`);
    return 0;
}

/** The last line of defence: no secret of the run is printed, whoever says it. */
function mask(line: string, secrets: Set<string>): string {
    let text = line;
    for (const secret of secrets) if (text.includes(secret)) text = text.split(secret).join("[secret]");
    return text;
}

main().then(
    code => process.exit(code),
    (error: Error) => {
        process.stderr.write(`error: ${error.message}\n`);
        process.exit(1);
    },
);
