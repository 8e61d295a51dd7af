// What a program that runs for long says on standard error.
const started = Date.now();

/** The command provider hands all that one run says to the next in one environment string, of which Linux allows 128 KiB. */
const maxBytes = 45_000;
const maxErrorBytes = 15_000;
let bytesSaid = 0;

/** @param {string} text */
function say(text) {
    if (bytesSaid > maxBytes) return;
    const line = `[${((Date.now() - started) / 1000).toFixed(0).padStart(4)} s] ${text}\n`;
    bytesSaid += Buffer.byteLength(line);
    process.stderr.write(bytesSaid > maxBytes ? "What is said from here on is not shown, apart from the end\n" : line);
}

/**
 * Returns the beginning of a text and its end.
 *
 * @param {string} text
 * @param {number} most
 */
function bounded(text, most) {
    if (text.length <= most) return text;
    return `${text.slice(0, most / 2)}\n(${text.length - most} characters are not shown)\n${text.slice(-most / 2)}`;
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

module.exports = { bounded, maxErrorBytes, say, sayAlive, started };
