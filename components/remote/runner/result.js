// This module handles the result of a program. Pulumi keeps the result and gives it to the next run.
const { createHash } = require("crypto");
const { withCode } = require("./codedError");

/**
 * A program whose entry exports a `version` runs again only for other data or another version. A new release of this library changes the
 * text of programs, and an update to it must do nothing. Raise the version when the program does something else.
 *
 * @template Input
 * @typedef {{
 *     main: (input: Input, lastResult: string) => Promise<string>,
 *     version: number,
 *     compared?: (input: Input) => unknown,
 * }} VersionedProgram `compared` drops data that needs no new run, such as a login key.
 */

/** Characters of an error that are printed. The next run gets errors too, in one environment string, which Linux limits to 128 KiB. */
const maxErrorLength = 15_000;

/**
 * Returns a text, shortened to its beginning and its end.
 *
 * @param {string} text
 */
function bounded(text) {
    if (text.length <= maxErrorLength) return text;
    const half = maxErrorLength / 2;
    return `${text.slice(0, half)}\n(${text.length - maxErrorLength} characters are not shown)\n${text.slice(-half)}`;
}

/**
 * Prints the result of the work, or the reason why it failed.
 *
 * @param {Promise<string>} work
 */
function printResult(work) {
    // The exit code is 1 until the work is done, because Node ends with success when nothing is left to wait for.
    process.exitCode = 1;
    return work.then(
        result => {
            process.stdout.write(result);
            process.exitCode = 0;
        },
        error => void process.stderr.write(`${bounded(withCode("unexpected", error.message))}\n`),
    );
}

/**
 * Returns the same data with the keys of each object in order.
 *
 * @param {unknown} value
 * @returns {unknown}
 */
function ordered(value) {
    if (Array.isArray(value)) return value.map(ordered);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
        Object.entries(value)
            .sort(([one], [other]) => (one < other ? -1 : 1))
            .map(([key, each]) => [key, ordered(each)]),
    );
}

/**
 * Returns the last line of a result. It names the version and the data that made the result.
 *
 * @template Input
 * @param {VersionedProgram<Input>} program
 * @param {Input} input
 */
function markOf({ version, compared = data => data }, input) {
    const digest = createHash("sha256")
        .update(JSON.stringify(ordered(compared(input))))
        .digest("hex");
    return `program version ${version}, data ${digest}`;
}

/**
 * Runs a program with a version. Keeps its last result if the same version made that for the same data.
 *
 * @template Input
 * @param {VersionedProgram<Input>} program
 * @param {Input} input
 */
function runVersioned(program, input) {
    const last = process.env.PULUMI_COMMAND_STDOUT ?? "";
    // Earlier versions of this library wrote no such line.
    const [, lastResult, lastMark] = /^([^]*?)\n?(program version \d+, data [0-9a-f]{64})?\s*$/.exec(last) ?? [];
    if (process.argv[2] === "destroy") return printResult(program.main(input, lastResult));
    const mark = markOf(program, input);
    if (mark === lastMark) {
        process.stderr.write("Nothing is done: the last run was of the same version of this program, for the same data\n");
        return printResult(Promise.resolve(last));
    }
    return printResult(program.main(input, lastResult).then(result => `${result}\n${mark}`));
}

module.exports = { markOf, ordered, printResult, runVersioned };
