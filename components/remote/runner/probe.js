/** What a probe says, as remote/probe.ts reads it. A text of several lines is as many lines. */
function probeText({ facts = {}, ...texts }) {
    const lines = Object.entries(facts).map(([name, value]) => `fact ${name} ${value}`);
    for (const word of ["refused", "unreachable", "absent", "finding", "outdated", "warning"])
        for (const text of [texts[word] ?? []].flat()) lines.push(...text.split("\n").map(line => `${word} ${line}`));
    return [...lines, "end"].join("\n");
}

module.exports = { probeText };
