import * as pulumi from "@pulumi/pulumi";

/** Begins each warning that a person must act on. docs/examples/drift.yml counts these warnings. */
export const attentionMark = "needs attention: ";

/** Warns of what a person must know before an update: a fault that it does not repair, or a great change that it makes. */
export function needsAttention(text: string, resource?: pulumi.Resource): void {
    void pulumi.log.warn(`${attentionMark}${text}`, resource);
}
