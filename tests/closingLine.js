const { mkdirSync, writeFileSync } = require("fs");
const { dirname, join } = require("path");

/** Keeps the line by which a run is judged for .ci/run, which prints it last of all. */
module.exports = class ClosingLine {
    onRunComplete(_contexts, results) {
        const { numPassedTests: passed, numPendingTests: skipped, numFailedTests, numRuntimeErrorTestSuites } = results;
        const file = join(__dirname, "..", "node_modules", ".cache", "closing-line");
        mkdirSync(dirname(file), { recursive: true });
        const line = `${passed} passed, ${numFailedTests + numRuntimeErrorTestSuites} failed`;
        writeFileSync(file, skipped > 0 ? `${line}, ${skipped} skipped\n` : `${line}\n`);
    }
};
