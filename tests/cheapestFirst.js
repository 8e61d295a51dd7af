const { default: Sequencer } = require("@jest/test-sequencer");

/** Unit tests first, then components, then the stack; by name within a layer. */
module.exports = class CheapestFirst extends Sequencer {
    sort(tests) {
        const layers = ["/unit/", "/component/", "/stack/"];
        const rank = test => layers.findIndex(layer => test.path.includes(layer));
        return [...tests].sort((a, b) => rank(a) - rank(b) || a.path.localeCompare(b.path));
    }
};
