/**
 * The result of a probe, a read-only look at the live system. Each line that a probe prints begins with one of these words:
 *
 *     refused TEXT      the system cannot take the configuration, or belongs to another stack: nothing may be changed
 *     unreachable TEXT  why the system gave no answer
 *     unknown TEXT      why the answer of the system does not tell its state
 *     absent TEXT       the system does not exist yet, or exists no longer
 *     fact NAME VALUE   a value that other parts of the program need
 *     finding TEXT      a difference between the configuration and the live system
 *     outdated TEXT     the version that was last applied, if the configuration makes another: a pending change, or a system set back
 *     warning TEXT      a fault that no update repairs: a person must
 *     end               the last line: without it the output was cut off
 *
 * A text of several lines becomes several lines with the same word. runner/ssh.js drops the text that a login shell prints before.
 */
export interface Probe {
    /**
     * The first of refused, unreachable, unknown and absent that the probe reported. Otherwise `changed` with findings, and `in sync`
     * without.
     */
    state: "in sync" | "changed" | "absent" | "unknown" | "unreachable" | "refused";
    /** Why the system is refused, unreachable, unknown or absent. */
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
    const unreachable = isWhole ? of("unreachable") : [cutOff];
    const reasons = { refused: of("refused"), unreachable, unknown: of("unknown"), absent: of("absent") };
    for (const state of ["refused", "unreachable", "unknown", "absent"] as const)
        if (reasons[state].length > 0) return { state, reason: reasons[state].join("\n"), ...told };
    return { state: told.findings.length > 0 ? "changed" : "in sync", reason: "", ...told };
}

/** Returns the finding of a probe as one text: `in sync`, a state with its reason, or one line per difference. */
export function findingOf({ state, reason, findings }: Probe): string {
    if (state === "in sync") return state;
    return state === "changed" ? findings.join("\n") : `${state}: ${reason}`;
}
