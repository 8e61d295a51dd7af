const { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } = require("fs");
const { dirname, join } = require("path");

const cache = join(__dirname, "..", "node_modules", ".cache");

/** Prints the time that each part of a run with a lab took. Saves the closing line, which .ci/run prints last. */
module.exports = class Reporter {
    onRunStart() {
        mkdirSync(dirname(process.env.LAB_TIMES), { recursive: true });
        rmSync(process.env.LAB_TIMES, { force: true });
    }

    onRunComplete(_contexts, results) {
        const { numPassedTests: passed, numPendingTests: skipped, numFailedTests, numRuntimeErrorTestSuites } = results;
        const aside = skipped > 0 ? `${skipped} skipped; the reasons are above\n` : "";
        mkdirSync(cache, { recursive: true });
        writeFileSync(join(cache, "closing-line"), `${aside}${passed} passed, ${numFailedTests + numRuntimeErrorTestSuites} failed\n`);
        if (existsSync(process.env.LAB_TIMES)) process.stdout.write(summary(results.testResults));
    }
};

function summary(files) {
    const seconds = milliseconds => `${(milliseconds / 1000).toFixed(0)} s`.padStart(7);
    const tests = files.flatMap(({ testResults }) => testResults);
    const name = path => path.slice(dirname(__dirname).length + 1);
    const rows = files
        .map(({ testFilePath, perfStats, testResults }) => {
            const inTests = testResults.reduce((sum, { duration }) => sum + (duration ?? 0), 0);
            return { path: name(testFilePath), whole: perfStats.runtime, setup: perfStats.runtime - inTests };
        })
        .filter(({ path }) => path.includes("/stack/"))
        .sort((a, b) => b.whole - a.whole);
    const slowest = tests.sort((a, b) => (b.duration ?? 0) - (a.duration ?? 0)).slice(0, 20);
    const spent = new Map();
    for (const line of readFileSync(process.env.LAB_TIMES, "utf8").split("\n").filter(Boolean)) {
        const { what, milliseconds } = JSON.parse(line);
        spent.set(what, (spent.get(what) ?? 0) + milliseconds);
    }
    return [
        "\nFiles of the stack, their hooks alone in the second column:",
        ...rows.map(({ path, whole, setup }) => `${seconds(whole)} ${seconds(setup)}  ${path}`),
        "\nThe twenty slowest tests:",
        ...slowest.map(({ duration, fullName }) => `${seconds(duration ?? 0)}  ${fullName}`),
        "\nSpent in all files together (parts overlap: RKE and apt are inside Pulumi):",
        ...[...spent].sort(([, a], [, b]) => b - a).map(([what, milliseconds]) => `${seconds(milliseconds)}  ${what}`),
        "",
    ].join("\n");
}
