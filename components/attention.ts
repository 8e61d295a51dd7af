import * as pulumi from "@pulumi/pulumi";

/** Begins each warning that a person must act on. docs/examples/drift.yml counts these warnings. */
export const attentionMark = "needs attention: ";

/** Warns of a fault that an update does not repair by itself. */
export function needsAttention(text: string, resource?: pulumi.Resource): void {
    void pulumi.log.warn(`${attentionMark}${text}`, resource);
}
