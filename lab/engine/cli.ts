import { writeFileSync } from "fs";
import { resolve } from "path";
import { parseArgs } from "util";
import { readProgram } from "./config";
import { Deployment, Step } from "./deployment";
import { diffText, stepLine, summary } from "./display";
import { StateFile } from "./state";
import { isSecret, plain } from "./values";

const usage = `usage: engine (preview|up|destroy|output [NAME]) --stack NAME --state FILE [--cwd DIR] [--config-file FILE]
    [--diff] [--expect-no-changes] [--show-secrets] [--json FILE] [--stop-after NAME]
The passphrase of state and configuration comes from PULUMI_CONFIG_PASSPHRASE.`;

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
    const say = (line: string) => process.stdout.write(`${line}\n`);
    let deployment: Deployment | undefined;
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => deployment?.stop());
    try {
        const program = readProgram(resolve(values.cwd), values.stack, preview, values["config-file"]);
        deployment = new Deployment({
            program,
            stateFile,
            onStep: (step, phase, seconds) => {
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

main().then(
    code => process.exit(code),
    (error: Error) => {
        process.stderr.write(`error: ${error.message}\n`);
        process.exit(1);
    },
);
