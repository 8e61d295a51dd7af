import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";

/** Options of a drain. */
export interface RkeNodeDrainArgs {
    /** Also deletes pods that no controller starts again. Without it, one such pod stops the upgrade. @default false */
    force?: pulumi.Input<boolean>;
    /** Leaves pods of DaemonSets on the node. With false, one such pod stops the upgrade. @default true */
    ignoreDaemonSets?: pulumi.Input<boolean>;
    /** Also deletes pods with an emptyDir, whose content is lost. Without it, one such pod stops the upgrade. @default false */
    deleteLocalData?: pulumi.Input<boolean>;
    /** Seconds that a pod gets to end, at most 86400; -1 takes the value of the pod. @default -1 */
    gracePeriodSeconds?: pulumi.Input<number>;
    /** Seconds after which a drain fails, from 1 to 10800. @default 120 */
    timeoutSeconds?: pulumi.Input<number>;
}

/** The order in which RKE upgrades nodes. RKE upgrades control plane nodes before workers. */
export interface RkeUpgradeStrategyArgs {
    /** Workers that are upgraded at a time, as a string: a number such as "1", or a percentage such as "10%". @default 10% */
    maxUnavailableWorker?: pulumi.Input<string>;
    /** Control plane nodes that are upgraded at a time, as a string: a number or a percentage. @default "1" */
    maxUnavailableControlplane?: pulumi.Input<string>;
    /** Moves the pods away before a node is upgraded. Without it, RKE only cordons the node, and pods keep running. @default false */
    drain?: pulumi.Input<boolean>;
    /** Options of a drain. Refused without `drain`. */
    nodeDrainInput?: pulumi.Input<RkeNodeDrainArgs>;
}

const atATime = z
    .string()
    .regex(/^([1-9]\d{0,3}|([1-9]\d?|100)%)$/, 'expected a number of nodes such as "1", or a percentage from 1% to 100%, as a string');

const nodeDrainSchema = z.strictObject({
    force: z.boolean().default(false),
    ignoreDaemonSets: z.boolean().default(true),
    deleteLocalData: z.boolean().default(false),
    gracePeriodSeconds: z.number().int().min(-1).max(86_400).default(-1),
    timeoutSeconds: z.number().int().min(1).max(10_800).default(120),
});

/** Schema of the order of an upgrade. */
export const upgradeStrategySchema = z
    .strictObject({
        maxUnavailableWorker: atATime.default("10%"),
        maxUnavailableControlplane: atATime.default("1"),
        drain: z.boolean().default(false),
        nodeDrainInput: nodeDrainSchema.optional(),
    })
    .refine(({ drain, nodeDrainInput }) => drain || nodeDrainInput === undefined, {
        path: ["nodeDrainInput"],
        message: "expected drain to be true beside it, because RKE drains no node otherwise.",
    })
    .optional();

/** Returns the keys of cluster.yml. RKE crashes in a drain without options, so every option is written. */
export function upgradeStrategyYml(strategy: z.output<typeof upgradeStrategySchema>): object {
    if (!strategy) return {};
    const { maxUnavailableWorker, maxUnavailableControlplane, drain, nodeDrainInput } = strategy;
    const options = nodeDrainInput ?? nodeDrainSchema.parse({});
    return {
        upgrade_strategy: {
            max_unavailable_worker: maxUnavailableWorker,
            max_unavailable_controlplane: maxUnavailableControlplane,
            drain,
            ...(drain && {
                node_drain_input: {
                    force: options.force,
                    ignore_daemonsets: options.ignoreDaemonSets,
                    delete_local_data: options.deleteLocalData,
                    grace_period: options.gracePeriodSeconds,
                    timeout: options.timeoutSeconds,
                },
            }),
        },
    };
}
