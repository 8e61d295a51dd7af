import { Instance, labMemory, startLab, stopLab } from "./lab";
import { progress } from "./process";

/** The lab alone, without the stack: tsx lab/cli.ts up|down|memory [dev|test|bench] */
const [verb, instance = "dev"] = process.argv.slice(2) as [string, Instance?];
const verbs: Record<string, () => Promise<void>> = {
    up: async () => progress("lab", `up; tools in ${await startLab(instance)}`),
    down: () => stopLab(instance),
    memory: async () => progress("memory", `${Math.round((await labMemory(instance)) / 2 ** 20)} MiB`),
};

verbs[verb]().catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
});
