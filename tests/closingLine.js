/** Prints the line by which a run is judged, last of all: Jest's own summary comes after every reporter. */
module.exports = class ClosingLine {
    onRunComplete(_contexts, results) {
        const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
        process.once("exit", () => process.stdout.write(`\n${results.numPassedTests} passed, ${failed} failed\n`));
    }
};
