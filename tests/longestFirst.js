const { statSync } = require("fs");
const { default: Sequencer } = require("@jest/test-sequencer");

/**
 * Starts tests that wait for a lab first, so that tests without one run beside them. Within a layer, the longest file starts first, by its
 * last duration or its size.
 */
module.exports = class LongestFirst extends Sequencer {
    sort(tests) {
        const layers = ["/stack/", "/component/", "/unit/"];
        // A test of a whole stack takes longer than the size of its file suggests.
        const rank = ({ path }) => (path.includes("/wholeStack/") ? -1 : layers.findIndex(layer => path.includes(layer)));
        const size = ({ path, duration }) => duration ?? statSync(path).size;
        return [...tests].sort((a, b) => rank(a) - rank(b) || size(b) - size(a));
    }
};
