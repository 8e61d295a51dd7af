// This module gives the errors of programs their codes (errorCodes.ts).

/** @import { ErrorCode } from "../../errorCodes" */

/**
 * A message with its code.
 *
 * @typedef {string & { readonly isCoded: true }} Coded
 */

/**
 * Does the same as `withCode` in errorCodes.ts, which a program on standard input cannot load.
 *
 * @param {ErrorCode} code
 * @param {string} message
 */
function withCode(code, message) {
    return /** @type {Coded} */ (/^.*\[RHA [a-z-]+\]/.test(message) ? message : message.replace(/$/m, ` [RHA ${code}]`));
}

/** An error that a user can meet. */
class CodedError extends Error {
    /**
     * @param {ErrorCode} code
     * @param {string} message
     */
    constructor(code, message) {
        super(withCode(code, message));
    }
}

module.exports = { CodedError, withCode };
