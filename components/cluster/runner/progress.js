// What a program that runs for long says on standard error.
const started = Date.now();

/** The command provider hands all that one run says to the next in one environment string, of which Linux allows 128 KiB. */
const maxBytes = 45_000;
let bytesSaid = 0;

/** @param {string} text */
function say(text) {
    if (bytesSaid > maxBytes) return;
    const line = `[${((Date.now() - started) / 1000).toFixed(0).padStart(4)} s] ${text}\n`;
    bytesSaid += Buffer.byteLength(line);
    process.stderr.write(bytesSaid > maxBytes ? "What is said from here on is not shown, apart from the end\n" : line);
}

/**
 * Says something even when nothing more is shown.
 *
 * @param {string} text
 */
function sayAlive(text) {
    if (bytesSaid > maxBytes) process.stderr.write(".");
    else say(text);
}

module.exports = { say, sayAlive, started };
