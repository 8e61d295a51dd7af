import * as pulumi from "@pulumi/pulumi";
import { createHash } from "crypto";
import { needsAttention } from "../attention";
import { withCode } from "../errorCodes";
import { driftLatch } from "./commands";
import { findingOf, Probe } from "./probe";

/** Reaction to drift of a host or cluster. */
export const DriftMode = {
    /** Does not look for drift. */
    Off: "off",
    /** Probes in every preview and update, and warns. */
    Warn: "warn",
    /** Probes, shows the repair in the preview, and repairs in the update. */
    Enforce: "enforce",
} as const;
export type DriftMode = (typeof DriftMode)[keyof typeof DriftMode];

export interface DriftArgs {
    mode: DriftMode;
    /** Result of the probe. Undefined without a probe. */
    found?: pulumi.Output<Probe>;
    /**
     * Returns more lines like the probe's `outdated`, for comparisons that only this program can make. It is called only when there is a
     * system to compare.
     * @default none
     */
    outdated?: (found: Probe) => pulumi.Input<string[]>;
    /** Files that the host should hold, for the reader of a preview: the text of public files, the digest of secret ones. */
    desired: pulumi.Input<Record<string, pulumi.Input<string>>>;
}

/**
 * Returns the drift epoch: a number that rises whenever drift is found. The repairing program holds this number, because a command runs
 * again only when one of its inputs changes.
 */
export function driftEpoch(name: string, args: DriftArgs, opts: pulumi.CustomResourceOptions): pulumi.Output<number> {
    if (args.mode === DriftMode.Off || !args.found) return pulumi.output(0);
    const finding = args.found.apply((found): pulumi.Output<string> => {
        const finding = findingOf(found);
        if (found.state === "unreachable" || found.state === "unknown")
            needsAttention(withCode("drift-unknown", `${name}: drift is not known: ${found.reason}`));
        else if (args.mode === DriftMode.Enforce) {
            const further = pulumi.output((found.state !== "absent" && args.outdated?.(found)) || []);
            return further.apply(more => {
                const outdated = [...found.outdated, ...more];
                return folded(outdated.length === 0 ? finding : [...found.findings, ...outdated].join("\n"));
            });
        } else if (found.state === "changed") needsAttention(`${name}: not as configured:\n${finding}`);
        else if (found.state === "absent") void pulumi.log.info(`${name}: ${found.reason}`);
        return pulumi.output("in sync");
    });
    return driftLatch(name, { finding, desired: pulumi.output(args.desired).apply(asEnvironment) }, opts);
}

/**
 * Warns in a preview, in mode `warn`, of a system that was restored to an earlier state. A preview knows `result` only if the command will
 * not run. If the command will run, the outdated lines are a pending change.
 */
export function warnOfSetBack(name: string, mode: DriftMode, outdated: pulumi.Input<string[]>, result: pulumi.Output<unknown>): void {
    if (mode !== DriftMode.Warn || !pulumi.runtime.isDryRun()) return;
    pulumi.all([outdated, result]).apply(([lines]) => {
        if (lines.length > 0) needsAttention(`${name}: not as last applied:\n${lines.join("\n")}`);
    });
}

/** Breaks long lines, because a preview cuts each line of a changed value at 150 characters. */
function folded(text: string): string {
    return text.replace(/^.{149,}$/gm, line => line.replace(/(.{80,140}) /g, "$1\n  "));
}

/** Limit of `name=value` in bytes. Linux starts no program with a longer environment string: 128 KiB with the NUL at its end. */
const longestVariable = 128 * 1024 - 1;

/** Returns the files as environment variables. A file that is too long for a variable is shown as its digest. */
function asEnvironment(files: Record<string, string>): Record<string, string> {
    const variables = Object.entries(files).map(([name, text]) =>
        Buffer.byteLength(`${name}=${text}`) <= longestVariable
            ? [name, text]
            : [`${name}, SHA-256`, createHash("sha256").update(text).digest("hex")],
    );
    return Object.fromEntries(variables);
}
