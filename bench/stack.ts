import { readFileSync, writeFileSync } from "fs";
import { availableParallelism } from "os";
import { join } from "path";
import { labFiles, labMemory, startLab, stopLab } from "../lab/lab";
import { repository, runLabEngine, StackRun } from "../lab/stack";

/** How long `make up` and its parts take in a lab of their own, and what the lab needs of memory. Prints a Markdown table. */
const instance = "bench";

interface Figure {
    what: string;
    found: number;
    target: number;
    unit: string;
}

async function timed<T>(work: () => Promise<T>): Promise<[number, T]> {
    const began = Date.now();
    const value = await work();
    return [(Date.now() - began) / 1000, value];
}

async function main(): Promise<void> {
    const figures: Figure[] = [];
    const record = (what: string, found: number, target: number, unit = "s") => void figures.push({ what, found, target, unit });
    await stopLab(instance);
    const [lab, tools] = await timed(() => startLab(instance));
    try {
        const configFile = join(labFiles(instance).folder, "Pulumi.bench.yaml");
        const development = readFileSync(join(repository, "Pulumi.dev.yaml"), "utf8");
        writeFileSync(configFile, development.replaceAll("10.89.77.", "10.89.79.").replaceAll(".lab/dev/", ".lab/bench/"));
        const stack: StackRun = { instance, tools, configFile };
        const engine = async (verb: string) => {
            const [seconds, { code, output }] = await timed(() => runLabEngine(stack, [verb]));
            if (code !== 0) throw new Error(`${verb} failed:\n${output.slice(-3000)}`);
            return seconds;
        };
        record("`make up` with tools built, from no lab (3 nodes, default add-ons)", lab + (await engine("up")), 240);
        record("no-change `make up`: lab and stack", (await timed(() => startLab(instance)))[0] + (await engine("up")), 12);
        record("no-change `make preview`", await engine("preview"), 5);
        record("memory of the whole lab while up", (await labMemory(instance)) / 2 ** 30, 5, "GB");
        record("`make down`: stack and lab", (await engine("destroy")) + (await timed(() => stopLab(instance)))[0], 60);
    } finally {
        await stopLab(instance);
    }
    const rows = figures.map(
        ({ what, found, target, unit }) =>
            `| ${what} | ${found.toFixed(1)} ${unit} | ≤ ${target} ${unit} | ${found <= target ? "met" : "missed"} |`,
    );
    process.stdout.write(
        `\nOn ${availableParallelism()} cores:\n\n| figure | found | target | |\n| --- | --- | --- | --- |\n${rows.join("\n")}\n`,
    );
}

main().catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
});
