import * as pulumi from "@pulumi/pulumi";
import { createHash } from "crypto";
import { needsAttention } from "../attention";
import { driftLatch } from "./commands";
import { findingOf, Probe } from "./probe";

/** What to do when a host or cluster is found changed behind Pulumi's back. */
export const DriftMode = {
    /** Do not look. */
    Off: "off",
    /** Look in every preview and update, and warn. */
    Warn: "warn",
    /** Look, show the repair in the preview, and repair in the update. */
    Enforce: "enforce",
} as const;
export type DriftMode = (typeof DriftMode)[keyof typeof DriftMode];

export interface DriftArgs {
    mode: DriftMode;
    /** What the probe found. Undefined when nobody looks. */
    found?: pulumi.Output<Probe>;
    /**
     * Returns further lines like `outdated` of the probe, where only this program can tell. Default none. Called when there is a system
     * to compare.
     */
    outdated?: (found: Probe) => pulumi.Input<string[]>;
    /** Files the host should hold, for the reader of a preview: text of public files, digests of secret ones. */
    desired: pulumi.Input<Record<string, pulumi.Input<string>>>;
}

/**
 * Returns the drift epoch: a number that rises whenever drift is found. The program that repairs the drift holds the number, because
 * a command runs again only when one of its inputs changes.
 */
export function driftEpoch(name: string, args: DriftArgs, opts: pulumi.CustomResourceOptions): pulumi.Output<number> {
    if (args.mode === DriftMode.Off || !args.found) return pulumi.output(0);
    const finding = args.found.apply((found): pulumi.Output<string> => {
        const finding = findingOf(found);
        if (found.state === "unreachable") needsAttention(`${name}: drift is not known: ${found.reason}`);
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
 * Warns in a preview of a system that was set back and is only watched. The result of its command is known there unless the command is
 * going to run: then what is outdated is a change that is still to come.
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

/** Bytes of `name=value`. Linux starts no program with a longer environment string: 128 KiB with the NUL at its end. */
const longestVariable = 128 * 1024 - 1;

/** Returns the files as environment variables. A file that is too long for one is shown as its digest. */
function asEnvironment(files: Record<string, string>): Record<string, string> {
    const variables = Object.entries(files).map(([name, text]) =>
        Buffer.byteLength(`${name}=${text}`) <= longestVariable
            ? [name, text]
            : [`${name}, SHA-256`, createHash("sha256").update(text).digest("hex")],
    );
    return Object.fromEntries(variables);
}
