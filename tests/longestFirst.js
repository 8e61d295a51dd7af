const { statSync } = require("fs");
const { default: Sequencer } = require("@jest/test-sequencer");

/** Files that wait for a lab first, so that those that compute run beside them; the longest of a layer first, as far as is known. */
module.exports = class LongestFirst extends Sequencer {
    sort(tests) {
        const layers = ["/stack/", "/component/", "/unit/"];
        // A whole stack takes longer than its file tells.
        const rank = ({ path }) => (path.includes("/wholeStack/") ? -1 : layers.findIndex(layer => path.includes(layer)));
        const size = ({ path, duration }) => duration ?? statSync(path).size;
        return [...tests].sort((a, b) => rank(a) - rank(b) || size(b) - size(a));
    }
};
