const { mkdirSync, writeFileSync } = require("fs");
const { dirname, join } = require("path");

/** Keeps the line by which a run is judged for .ci/run, which prints it last of all. */
module.exports = class ClosingLine {
    onRunComplete(_contexts, results) {
        const { numPassedTests: passed, numPendingTests: skipped, numFailedTests, numRuntimeErrorTestSuites } = results;
        const file = join(__dirname, "..", "node_modules", ".cache", "closing-line");
        mkdirSync(dirname(file), { recursive: true });
        const aside = skipped > 0 ? `${skipped} skipped; the reasons stand above\n` : "";
        writeFileSync(file, `${aside}${passed} passed, ${numFailedTests + numRuntimeErrorTestSuites} failed\n`);
    }
};
