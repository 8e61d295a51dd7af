/** @import { Coded } from "./codedError" */

/**
 * Returns the output of a probe, as remote/probe.ts reads it. A text of several lines becomes several lines.
 *
 * @typedef {string | string[]} Texts
 * @typedef {{
 *     facts?: Record<string, string>,
 *     refused?: Coded | Coded[],
 *     unreachable?: Texts,
 *     unknown?: Texts,
 *     absent?: Texts,
 *     finding?: Texts,
 *     outdated?: Texts,
 *     warning?: Texts,
 * }} Said
 * @param {Said} said
 */
function probeText({ facts = {}, ...texts }) {
    const lines = Object.entries(facts).map(([name, value]) => `fact ${name} ${value}`);
    for (const word of /** @type {const} */ (["refused", "unreachable", "unknown", "absent", "finding", "outdated", "warning"]))
        for (const text of [texts[word] ?? []].flat()) lines.push(...text.split("\n").map(line => `${word} ${line}`));
    return [...lines, "end"].join("\n");
}

module.exports = { probeText };
