// Describes wrong answers for the checks.
const { createHash } = require("crypto");

/** A check throws this error for a wrong answer. The message holds the expected answer, the received one, and advice. */
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

/** A check throws this error when it cannot run and the stack has no fault. */
class LeftOut extends Error {}

/** A check throws this error for an answer that hinders some users. It fails no update. */
class Shortcoming extends Unexpected {}

/** Stands for any other error of a check. */
class NoConnection extends Error {
    /** @param {{ code?: string, message?: string }} error */
    constructor({ code = "", message }) {
        super(`no usable connection: ${code} ${oneLine(message)}`);
    }
}

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

module.exports = { described, LeftOut, NoConnection, oneLine, sha256, Shortcoming, Unexpected };
