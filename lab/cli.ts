import { Instance, labMemory, startLab, stopLab } from "./lab";
import { progress } from "./process";
import { buildTools, installDebianPackages } from "./tools";

/** The lab alone, without the stack: tsx lab/cli.ts prepare|up|down|memory [dev|test|bench] */
const [verb, instance = "dev"] = process.argv.slice(2) as [string, Instance?];
const verbs: Record<string, () => Promise<unknown>> = {
    prepare: async () => {
        await installDebianPackages();
        await buildTools(true);
    },
    up: async () => progress("lab", `up; tools in ${await startLab(instance)}`),
    down: () => stopLab(instance),
    memory: async () => progress("memory", `${Math.round((await labMemory(instance)) / 2 ** 20)} MiB`),
};

verbs[verb]().catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
});
