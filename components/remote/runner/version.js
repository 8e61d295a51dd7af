/**
 * Compares the first `parts` numbers of a version with those of the installed version. Reports whether the version is older, and the minor
 * version that must come first if the step skips one.
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
