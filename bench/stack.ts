import { mkdtempSync, rmSync, writeFileSync } from "fs";
import { availableParallelism, tmpdir } from "os";
import { join } from "path";
import { attentionMark } from "../components/attention";
import { repository } from "../lab/inventory";
import { Lab } from "../lab/lab";
import { progress, run } from "../lab/process";
import { Stack } from "../lab/pulumi";

/**
 * Measures the seconds of `make up` and similar commands in a lab of their own, and the memory of the lab. Prints a Markdown table.
 * `BARE=1` also measures the first `make up`, with nothing downloaded, built or assembled before.
 */
const lab = Lab.of("bench");

interface Figure {
    what: string;
    found: number;
    target: number;
    unit: string;
}

/** Returns the seconds that a verb of `make` takes. */
async function make(verb: string, env: NodeJS.ProcessEnv = {}): Promise<number> {
    progress("bench", `make ${verb}`);
    const began = Date.now();
    const program = [join(repository, "lab", "cli.ts"), verb, "--lab", lab.name];
    await run(process.execPath, ["--require", require.resolve("tsx/cjs"), ...program], {
        cwd: repository,
        env: { ...process.env, ...env },
    });
    return (Date.now() - began) / 1000;
}

/** Counts the previews of an unchanged stack that plan a change or ask for a person's attention. */
async function falseAlarms(previews: number): Promise<number> {
    const stack = new Stack(lab);
    let alarms = 0;
    for (let one = 1; one <= previews; one++) {
        progress("bench", `preview ${one} of ${previews}`);
        const { code, output } = await stack.preview(["--expect-no-changes"]);
        if (code !== 0 || output.includes(attentionMark)) alarms++;
    }
    return alarms;
}

/** Measures the first `make up` of a machine, with caches and a container store of its own. */
async function bareMachine(): Promise<number> {
    const folder = mkdtempSync(join(tmpdir(), "bare-machine-"));
    const at = (name: string) => join(folder, name);
    const store = `[storage]\ndriver = "overlay"\ngraphroot = "${at("containers")}"\nrunroot = "${at("run")}"\n`;
    writeFileSync(at("storage.conf"), store);
    const env = {
        XDG_CACHE_HOME: at("cache"),
        GOCACHE: at("go/build"),
        GOMODCACHE: at("go/modules"),
        CONTAINERS_STORAGE_CONF: at("storage.conf"),
    };
    try {
        return await make("up", env);
    } finally {
        await make("down", env);
        rmSync(folder, { recursive: true, force: true });
    }
}

async function main(): Promise<void> {
    const figures: Figure[] = [];
    const record = (what: string, found: number, target: number, unit = "s") => void figures.push({ what, found, target, unit });
    const bare = process.env.BARE === "1";
    await lab.stop();
    try {
        if (bare) record("first `make up` on a bare machine", (await bareMachine()) / 60, 20, "min");
        record("`make up` with tools built, from no lab (3 nodes, default add-ons)", await make("up"), 150);
        record("no-change `make up`: lab, stack and check", await make("up"), 8);
        record("no-change `make preview`", await make("preview"), 5);
        record("false alarms in 20 previews of an unchanged stack", await falseAlarms(20), 0, "");
        record("memory of the whole lab while up", (await lab.memory()) / 2 ** 30, 5, "GB");
        record("`make down`: stack and lab", await make("down"), 60);
    } finally {
        await lab.stop();
    }
    const rows = figures.map(
        ({ what, found, target, unit }) =>
            `| ${what} | ${found.toFixed(unit === "" ? 0 : 1)} ${unit} | ≤ ${target} ${unit} | ${found <= target ? "met" : "missed"} |`,
    );
    process.stdout.write(
        `\nOn ${availableParallelism()} cores:\n\n| figure | found | target | |\n| --- | --- | --- | --- |\n${rows.join("\n")}\n`,
    );
    process.stdout.write(
        bare
            ? "\nThe bare machine had Node packages and Debian packages installed already: `npm ci` and apt are not in its time.\n"
            : "\nNot measured: first `make up` on a bare machine (BARE=1).\n",
    );
}

main().catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
});
