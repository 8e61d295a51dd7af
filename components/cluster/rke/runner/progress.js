// Reports the progress of a long program on standard error.
const { stopwatch } = require("../../../remote/runner/deadline");

/** Returns the seconds since the program started. */
const elapsed = stopwatch();

/** The command provider passes the output of one run to the next in one environment string. Linux limits such a string to 128 KiB. */
const maxBytes = 45_000;
let bytesSaid = 0;

/** @param {string} text */
function say(text) {
    if (bytesSaid > maxBytes) return;
    const line = `[${elapsed().toFixed(0).padStart(4)} s] ${text}\n`;
    bytesSaid += Buffer.byteLength(line);
    process.stderr.write(bytesSaid > maxBytes ? "What is said from here on is not shown, apart from the end\n" : line);
}

/**
 * Writes a sign of life even after `maxBytes`.
 *
 * @param {string} text
 */
function sayAlive(text) {
    if (bytesSaid > maxBytes) process.stderr.write(".");
    else say(text);
}

module.exports = { elapsed, say, sayAlive };
