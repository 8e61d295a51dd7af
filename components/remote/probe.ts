/**
 * What a probe, a read-only look at the live system, prints. One line for each thing, which begins with one of these words:
 *
 *     refused TEXT      what is there cannot become what is asked for, or belongs to another stack: nothing may be changed
 *     unreachable TEXT  why the look failed
 *     absent TEXT       there is nothing yet, or nothing any more
 *     fact NAME VALUE   what other parts of the program need to know
 *     finding TEXT      a difference from what is wanted
 *     outdated TEXT     what it was last made of, where the configuration makes another: a change to come, or it was set back
 *     warning TEXT      what an update does not repair: a person must
 *     end               the last line: without it the text was cut off
 *
 * A text of several lines is as many lines with the same word. What a login shell prints before is cut off in runner/ssh.js.
 */
export interface Probe {
    /** The first of refused, unreachable and absent that the probe told; changed with findings, in sync without. */
    state: "in sync" | "changed" | "absent" | "unreachable" | "refused";
    /** Why it is refused, unreachable or absent. */
    reason: string;
    facts: Record<string, string>;
    findings: string[];
    outdated: string[];
    warnings: string[];
}

export function parseProbe(text: string): Probe {
    const lines = text.trimEnd().split("\n");
    const of = (word: string) => lines.filter(line => line.startsWith(`${word} `)).map(line => line.slice(word.length + 1));
    const told = {
        facts: Object.fromEntries(of("fact").map(fact => /^(\S+) ?(.*)$/.exec(fact)!.slice(1))),
        findings: of("finding"),
        outdated: of("outdated"),
        warnings: of("warning"),
    };
    const isWhole = lines[lines.length - 1] === "end";
    const cutOff = text.trim() === "" ? "the probe said nothing" : "what the probe said was cut off";
    const reasons = { refused: of("refused"), unreachable: isWhole ? of("unreachable") : [cutOff], absent: of("absent") };
    for (const state of ["refused", "unreachable", "absent"] as const)
        if (reasons[state].length > 0) return { state, reason: reasons[state].join("\n"), ...told };
    return { state: told.findings.length > 0 ? "changed" : "in sync", reason: "", ...told };
}

/** The finding of a probe as one text: `in sync`, `absent: …`, `unreachable: …`, `refused: …`, or a line for each difference. */
export function findingOf({ state, reason, findings }: Probe): string {
    if (state === "in sync") return state;
    return state === "changed" ? findings.join("\n") : `${state}: ${reason}`;
}
