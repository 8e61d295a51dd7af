import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { canonical, hostAddressSchema, innerAddress, ipAddressSchema } from "../../remote/addresses";
import { HostArgs } from "../../remote/args";
import { hostSchema, Reached, reportUnreached } from "../../remote/schema";
import { isUnique, whenKnown } from "../../validation";
import { labelsSchema, labelValueSchema, nodeNameSchema, qualifiedNameSchema } from "../kubernetesNames";

/** Roles of a node in an RKE cluster. */
export const NodeRole = { ControlPlane: "controlplane", Etcd: "etcd", Worker: "worker" } as const;
export type NodeRole = (typeof NodeRole)[keyof typeof NodeRole];

/** Effects of a taint. */
export const TaintEffect = { NoSchedule: "NoSchedule", PreferNoSchedule: "PreferNoSchedule", NoExecute: "NoExecute" } as const;
export type TaintEffect = (typeof TaintEffect)[keyof typeof TaintEffect];

/** A taint that a node is registered with. */
export interface RkeTaintArgs {
    /** Key of the taint, such as `example.com/dedicated`. A key that Kubernetes does not accept is refused. */
    key: pulumi.Input<string>;
    /** Value of the taint. A value that Kubernetes does not accept as a label value is refused. @default "" */
    value?: pulumi.Input<string>;
    /** Effect on pods that do not tolerate the taint. */
    effect: pulumi.Input<TaintEffect>;
}

/** One node of the cluster. RKE identifies the node by its `address`: changing the address removes one node and adds another. */
export interface RkeNodeArgs extends HostArgs {
    /** IP address or DNS name for SSH, and for the Kubernetes API of control plane nodes. The machine that runs Pulumi must reach it. */
    address: pulumi.Input<string>;
    /** Address for traffic between nodes and from the load balancer. A worker's address must be an IP address. @default `address` */
    internalAddress?: pulumi.Input<string>;
    /**
     * Name of the node in Kubernetes: a lower-case DNS name of at most 63 characters, because Kubernetes puts the name into a label. Changing
     * it makes a new Kubernetes node.
     * @default `address`
     */
    hostname?: pulumi.Input<string>;
    /**
     * User that logs in. This or `ssh.user` is required. The user must be allowed to use Docker without sudo. On RHEL-like systems the
     * user cannot be root.
     * @default `ssh.user`
     */
    user?: pulumi.Input<string>;
    /**
     * Host key of the node as one line such as `ssh-ed25519 AAAA…`. It is checked before every run, because RKE never checks host keys.
     * @default from `ssh.knownHosts`
     */
    hostKey?: pulumi.Input<string>;
    /** Roles of the node: any of controlplane, etcd, worker. A role that occurs twice is refused. */
    roles: pulumi.Input<pulumi.Input<NodeRole>[]>;
    /** Labels of the Kubernetes node. Keys and values that Kubernetes does not accept are refused. @default {} */
    labels?: pulumi.Input<Record<string, pulumi.Input<string>>>;
    /** Taints of the Kubernetes node. A second taint with the same key and effect is refused. @default [] */
    taints?: pulumi.Input<pulumi.Input<RkeTaintArgs>[]>;
}

const nodeAddressSchema = hostAddressSchema.refine(address => !address.includes(":"), "expected an IPv4 address or a DNS name");
/** Nodes of which only their number is known. */
export const anyNodes = z.array(z.looseObject({}));

const nodeSchema = z.strictObject({
    ...hostSchema.shape,
    address: nodeAddressSchema,
    internalAddress: nodeAddressSchema.optional(),
    hostname: nodeNameSchema.optional(),
    roles: z
        .array(z.enum(NodeRole))
        .min(1, "expected at least one of controlplane, etcd, worker")
        .refine(isUnique, "expected each role once"),
    labels: labelsSchema.default({}),
    taints: z
        .array(z.strictObject({ key: qualifiedNameSchema, value: labelValueSchema.default(""), effect: z.enum(TaintEffect) }))
        .refine(taints => isUnique(taints.map(({ key, effect }) => `${key} ${effect}`)), "expected each key once with the same effect")
        .default([]),
});

const reachableNodeSchema = nodeSchema.superRefine(
    (node, context) => {
        if (!hasRole(NodeRole.Worker)(node) || ipAddressSchema.safeParse(innerAddress(node)).success) return;
        context.addIssue({
            code: "custom",
            path: [node.internalAddress === undefined ? "address" : "internalAddress"],
            message: "expected an IP address, or an internalAddress that is one: load balancers reach workers by it",
        });
    },
    whenKnown(z.looseObject({ address: z.string(), internalAddress: z.string().optional(), roles: z.array(z.unknown()) })),
);

/** Keys whose values are a node's own. The address of a node without a host name is its name in Kubernetes. */
const ownKeys: ((node: { hostname?: unknown }) => ("address" | "internalAddress" | "hostname")[])[] = [
    () => ["address", "internalAddress"],
    ({ hostname }) => [hostname === undefined ? "address" : "hostname"],
];

/** Schema of the nodes. */
export const nodesSchema = z
    .array(reachableNodeSchema)
    .min(1, "expected at least one node")
    .superRefine((nodes, context) => {
        for (const keys of ownKeys) {
            const owners = new Map<string, { index: number; key: string }>();
            nodes.forEach((node, index) =>
                keys(node).forEach(key => {
                    const value: unknown = node[key];
                    if (typeof value !== "string") return;
                    const first = owners.get(canonical(value)) ?? { index, key };
                    owners.set(canonical(value), first);
                    if (first.index === index) return;
                    const message = `expected a value of its own, nodes[${first.index}].${first.key} is the same`;
                    context.addIssue({ code: "custom", path: [index, key], message });
                }),
            );
        }
    }, whenKnown(anyNodes))
    .superRefine(
        (nodes, context) => {
            const problem = (message: string) => context.addIssue({ code: "custom", message });
            const withRole = (role: NodeRole) => nodes.filter(hasRole(role)).length;
            if (withRole(NodeRole.ControlPlane) === 0) problem("expected at least one node with the role controlplane");
            if (withRole(NodeRole.Worker) === 0)
                problem("expected at least one node with the role worker: that is where the ingress controller listens");
            const etcd = withRole(NodeRole.Etcd);
            if (etcd % 2 === 0) {
                problem(
                    `expected an odd number of nodes with the role etcd (1, 3, 5), ${etcd} are given: an even number tolerates no more failures and splits in two`,
                );
            }
        },
        whenKnown(z.array(z.looseObject({ roles: z.array(z.enum(NodeRole)) }))),
    );

/** Reports nodes without an SSH key or a user. `at` is the path of the cluster. */
export function reportUnreachedNodes(
    { ssh, nodes }: { ssh?: Reached["ssh"]; nodes: Reached["hosts"] },
    context: z.core.$RefinementCtx,
    at: PropertyKey[] = [],
): void {
    reportUnreached({ ssh, hosts: nodes }, context, [...at, "nodes"]);
    reportManyKeys(ssh, nodes, context, [...at, "nodes"]);
    nodes.forEach(({ user }, index) => {
        if (user !== undefined || ssh?.user !== undefined) return;
        const message = "expected the user that RKE logs in as, here or in ssh.user";
        context.addIssue({ code: "custom", path: [...at, "nodes", index, "user"], message });
    });
}

/** Reports more private keys than a login may try. RKE offers all keys of its agent to each node, and sshd ends a login after six. */
function reportManyKeys(ssh: Reached["ssh"], nodes: Reached["hosts"], context: z.core.$RefinementCtx, path: PropertyKey[]): void {
    const keys = [ssh?.bastion, ...nodes].map(login => login?.privateKey ?? ssh?.privateKey);
    const different = new Set(keys.filter(key => typeof key === "string").map(key => key.trim()));
    if (different.size <= 5) return;
    const message = `expected at most 5 different private keys for nodes and bastion, found ${different.size}: RKE offers every key to every node, and sshd ends a login after 6 keys (MaxAuthTries).`;
    context.addIssue({ code: "custom", path, message });
}

/** Returns the control plane nodes of a cluster. */
export const controlPlaneNodes = <N extends { roles: NodeRole[] }>({ nodes }: { nodes: N[] }): N[] =>
    nodes.filter(hasRole(NodeRole.ControlPlane));

export const hasRole = (role: NodeRole) => (node: { roles: NodeRole[] }) => node.roles.includes(role);
