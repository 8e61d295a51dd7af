/**
 * Compares the first numbers of a version, as many as `parts`, with those of the installed one. Tells whether it is older, and the minor
 * version that comes first when it leaves one out.
 *
 * @param {string} installed
 * @param {string} asked
 * @param {number} parts
 */
function versionStep(installed, asked, parts) {
    const [from, to] = [installed, asked].map(version => /** @type {string[]} */ (version.match(/\d+/g)).slice(0, parts).map(Number));
    const first = to.findIndex((part, index) => part !== from[index]);
    const skips = to[0] > from[0] || to[1] > from[1] + 1;
    return { isOlder: first >= 0 && to[first] < from[first], skipsTo: skips ? `${from[0]}.${from[1] + 1}` : undefined };
}

module.exports = { versionStep };
