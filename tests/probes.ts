/**
 * Returns the output of a probe with one finding: `in sync`, a difference, or a text that begins with `absent: `, `unreachable: ` or
 * `refused: `.
 */
export function said(finding: string, facts: Record<string, string> = {}): string {
    const [, word = "finding", text = finding] = /^(absent|unknown|unreachable|refused): ([^]*)$/.exec(finding) ?? [];
    const lines = finding === "in sync" ? [] : text.split("\n").map(line => `${word} ${line}`);
    return [...Object.entries(facts).map(([name, value]) => `fact ${name} ${value}`), ...lines, "end"].join("\n");
}
