// What a check says of a wrong answer.
const { createHash } = require("crypto");

/** What a check throws when the answer is wrong: what was expected, what came, and what to do. */
class Unexpected extends Error {
    /**
     * @param {unknown} expected
     * @param {unknown} found
     * @param {string} advice
     */
    constructor(expected, found, advice) {
        super(`expected ${expected}, found ${found}. ${advice}`);
    }
}

/** What a check throws when it cannot be done, and that is no fault of the stack. */
class LeftOut extends Error {}

/** @param {{ status: number, body: string }} answer */
function described({ status, body }) {
    return `${status} ${JSON.stringify(oneLine(body))}`;
}

/** @param {unknown} text */
function oneLine(text) {
    const line = String(text)
        .trim()
        .split("\n")[0]
        .replace(/[^\x20-\x7e]/g, "?");
    return line.length > 100 ? `${line.slice(0, 100)}…` : line;
}

/** @param {string} text */
function sha256(text) {
    return createHash("sha256").update(text).digest("hex");
}

module.exports = { described, LeftOut, oneLine, sha256, Unexpected };
