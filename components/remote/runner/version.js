/**
 * Compares the first numbers of a version, as many as `parts`, with those of the installed one. Tells whether it is older, and the minor
 * version that comes first when it leaves one out.
 */
function versionStep(installed, asked, parts) {
    const [from, to] = [installed, asked].map(version => version.match(/\d+/g).slice(0, parts).map(Number));
    const first = to.findIndex((part, index) => part !== from[index]);
    const skips = to[0] > from[0] || to[1] > from[1] + 1;
    return { isOlder: first >= 0 && to[first] < from[first], skipsTo: skips ? `${from[0]}.${from[1] + 1}` : undefined };
}

module.exports = { versionStep };
