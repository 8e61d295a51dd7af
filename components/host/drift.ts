import * as pulumi from "@pulumi/pulumi";

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

/** What a probe prints when it finds nothing changed. */
const inSync = "in sync";

export interface DriftArgs {
    mode: DriftMode;
    /**
     * What the probe found: `in sync`, `absent: <what>` (lost, or not made yet), `unreachable: <reason>`, or one line for each thing
     * that differs. Asked only when needed.
     */
    observe: () => pulumi.Output<string>;
    /** What the host should hold, for the reader of a preview: text of public files, digests of secret ones. */
    desired: pulumi.Input<Record<string, pulumi.Input<string>>>;
}

/**
 * The drift epoch: a number that goes up each time drift is found, to be put into the program that repairs it. Between
 * probe and program because a command has no diff of its own: it runs again only when an input changes.
 */
export function driftEpoch(name: string, args: DriftArgs, opts: pulumi.CustomResourceOptions): pulumi.Output<number> {
    if (args.mode === DriftMode.Off) return pulumi.output(0);
    const observed = args.observe().apply(found => {
        if (found === inSync) return inSync;
        const reason = /^unreachable: ([^]*)$/.exec(found || "unreachable: the probe said nothing")?.[1];
        if (reason) {
            void pulumi.log.warn(`${name}: drift is not known: ${reason}`);
            return inSync;
        }
        if (args.mode === DriftMode.Warn) {
            void pulumi.log[found.startsWith("absent: ") ? "info" : "warn"](`${name}: not as configured:\n${found}`);
            return inSync;
        }
        return found;
    });
    return new DriftLatch(name, { desired: args.desired, observed }, opts).epoch;
}

// The provider's code is serialized into the state: it must not use anything outside itself.
const latchProvider: pulumi.dynamic.ResourceProvider = {
    diff: async (_id, olds, news) => ({
        changes: news.observed !== "in sync" || JSON.stringify(olds.desired) !== JSON.stringify(news.desired),
    }),
    create: async inputs => ({ id: "drift", outs: { ...inputs, epoch: 0 } }),
    update: async (_id, olds, news) => ({ outs: { ...news, epoch: olds.epoch + 1 } }),
};

class DriftLatch extends pulumi.dynamic.Resource {
    declare readonly epoch: pulumi.Output<number>;

    constructor(
        name: string,
        inputs: { desired: DriftArgs["desired"]; observed: pulumi.Input<string> },
        opts: pulumi.CustomResourceOptions,
    ) {
        super(latchProvider, name, { ...inputs, epoch: undefined }, opts, "pulumi-rancher-ha", "DriftLatch");
    }
}
