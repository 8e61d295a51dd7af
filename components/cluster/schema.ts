import { z } from "zod";
import {
    addressSchema,
    connectionOf,
    hostSchema,
    ipAddressSchema,
    Reached,
    reachedSchema,
    reportUnreached,
    sshSchema,
} from "../remote/connection";
import { DriftMode } from "../remote/drift";
import { whenKnown } from "../validation";
import { checkKubernetesVersion } from "./compatibility";
import { completeState } from "./state";

/** Roles of a node in an RKE cluster. */
export const NodeRole = { ControlPlane: "controlplane", Etcd: "etcd", Worker: "worker" } as const;
export type NodeRole = (typeof NodeRole)[keyof typeof NodeRole];

/** Network plugins of RKE. The plugin of a live cluster cannot be changed. */
export const NetworkPlugin = { Canal: "canal", Flannel: "flannel", Calico: "calico", None: "none" } as const;
export type NetworkPlugin = (typeof NetworkPlugin)[keyof typeof NetworkPlugin];

/** Effects of a taint. */
export const TaintEffect = { NoSchedule: "NoSchedule", PreferNoSchedule: "PreferNoSchedule", NoExecute: "NoExecute" } as const;
export type TaintEffect = (typeof TaintEffect)[keyof typeof TaintEffect];

const dns1123 = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;
const cidr = z
    .cidrv4("expected an IPv4 range such as 10.42.0.0/16")
    .refine(
        range => Number(range.split("/")[1]) <= 24 && start(range) % size(range) === 0,
        "expected the first address of a range of at least /24",
    );
const nodeAddressSchema = addressSchema.refine(address => !address.includes(":"), "expected an IPv4 address or a DNS name");
const sans = z.array(addressSchema);

const anyNodes = z.array(z.looseObject({}));

const nodeSchema = z.strictObject({
    ...hostSchema.shape,
    address: nodeAddressSchema,
    internalAddress: nodeAddressSchema.optional(),
    hostname: z.string().max(253).regex(dns1123, "expected a lower-case DNS name").optional(),
    roles: z.array(z.enum(NodeRole)).min(1, "expected at least one of controlplane, etcd, worker"),
    labels: z.record(z.string(), z.string()).default({}),
    taints: z.array(z.strictObject({ key: z.string().min(1), value: z.string().default(""), effect: z.enum(TaintEffect) })).default([]),
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

const nodesSchema = z
    .array(reachableNodeSchema)
    .min(1, "expected at least one node")
    .superRefine((nodes, context) => {
        for (const keys of [["address", "internalAddress"], ["hostname"]] as const) {
            const owners = new Map<string, { index: number; key: string }>();
            nodes.forEach((node, index) =>
                keys.forEach(key => {
                    const value: unknown = node[key];
                    if (typeof value !== "string") return;
                    const first = owners.get(value) ?? { index, key };
                    owners.set(value, first);
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

const networkSchema = z
    .strictObject({
        plugin: z.enum(NetworkPlugin).default(NetworkPlugin.Canal),
        mtu: z.number().int().min(0).default(0),
        clusterCidr: cidr.default("10.42.0.0/16"),
        serviceClusterIpRange: cidr.default("10.43.0.0/16"),
    })
    .superRefine(
        ({ clusterCidr, serviceClusterIpRange }, context) => {
            if (!overlap(clusterCidr, serviceClusterIpRange)) return;
            const message = `expected a range apart from clusterCidr ${clusterCidr}`;
            context.addIssue({ code: "custom", path: ["serviceClusterIpRange"], message });
        },
        whenKnown(z.looseObject({ clusterCidr: z.cidrv4(), serviceClusterIpRange: z.cidrv4() })),
    );

const forwardedHeaders = "use-forwarded-headers";

const settingsSchema = z.strictObject({
    clusterName: z.string().regex(dns1123, "expected a lower-case DNS name").default("rancher"),
    kubernetesVersion: z.string().superRefine((version, context) => {
        const problem = checkKubernetesVersion(version);
        if (problem) context.addIssue({ code: "custom", message: problem, params: { errorCode: "versions" } });
    }),
    nodes: nodesSchema,
    network: networkSchema.prefault({}),
    rkeState: z
        .string()
        .refine(text => completeState(text) !== undefined, {
            message:
                "expected the whole text of a cluster.rkestate, with the cluster's certificates and nodes; found one that is cut off or holds none. " +
                "Other copies of the state: docs/coming-from-the-manual.md.",
        })
        .optional(),
    etcdBackup: z
        .strictObject({
            enabled: z.boolean().default(true),
            intervalHours: z.number().int().min(1).default(6),
            retention: z.number().int().min(1).default(28),
        })
        .prefault({}),
    ingressOptions: z
        .record(z.string(), z.string())
        .default({})
        .refine(options => (options[forwardedHeaders] ?? "true") === "true", {
            message: `expected ${forwardedHeaders} to be "true" or left out: without it Rancher redirects for ever behind a load balancer that ends TLS`,
        }),
    apiEndpoint: z.url({ protocol: /^https$/, error: "expected an https URL such as https://kubernetes.example.com:6443" }).optional(),
    apiServerSans: sans.default([]),
    addonJobTimeoutSeconds: z.number().int().min(30).default(180),
    timeoutSeconds: z.number().int().min(60).default(3600),
    deletionProtection: z.boolean().default(true),
    drift: z.enum(DriftMode).default(DriftMode.Warn),
});

/** Adds the rules between nodes and networks. */
function withNetworkRules<S extends typeof settingsSchema>(schema: S): S {
    return schema.superRefine(
        ({ nodes, network }, context) => {
            const ranges = (["clusterCidr", "serviceClusterIpRange"] as const).filter(name => z.cidrv4().safeParse(network[name]).success);
            nodes.forEach((node, index) =>
                ranges.forEach(name =>
                    (["address", "internalAddress"] as const).forEach(key => {
                        if (!z.ipv4().safeParse(node[key]).success || !overlap(`${node[key]}/32`, network[name])) return;
                        const message = `expected an address outside network.${name} ${network[name]}`;
                        context.addIssue({ code: "custom", path: ["nodes", index, key], message });
                    }),
                ),
            );
        },
        whenKnown(z.looseObject({ nodes: anyNodes, network: z.looseObject({}) })),
    );
}

/** The settings of the cluster, without `ssh`, which the stack shares with other components. */
export const rkeClusterSettingsSchema = withNetworkRules(settingsSchema);

/** Schema of the arguments of `RkeCluster`. */
export const rkeClusterSchema = withNetworkRules(settingsSchema.extend({ ssh: sshSchema.optional() }))
    .superRefine(
        ({ ssh, nodes }, context) => reportUnreachedNodes({ ssh, nodes }, context),
        whenKnown(z.looseObject({ ssh: reachedSchema.shape.ssh, nodes: reachedSchema.shape.hosts })),
    )
    .transform(({ ssh, ...cluster }) => ({
        ...cluster,
        nodes: cluster.nodes.map(node => ({ ...node, ...connectionOf(node, ssh) })),
    }));

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

export type RkeClusterSettings = z.output<typeof rkeClusterSchema>;
export type RkeNodeSettings = RkeClusterSettings["nodes"][number];

/** Returns the address at which the load balancer and the other nodes reach a node. */
export const innerAddress = (node: { address: string; internalAddress?: string }) => node.internalAddress ?? node.address;

/** Returns the name of the node in Kubernetes. */
export const nodeName = (node: RkeNodeSettings) => (node.hostname ?? node.address).toLowerCase();

export const hasRole = (role: NodeRole) => (node: { roles: NodeRole[] }) => node.roles.includes(role);

const start = (range: string) =>
    range
        .split("/")[0]
        .split(".")
        .reduce((sum, octet) => sum * 256 + Number(octet), 0);
const size = (range: string) => 2 ** (32 - Number(range.split("/")[1]));

function overlap(a: string, b: string): boolean {
    const larger = Math.max(size(a), size(b));
    return Math.floor(start(a) / larger) === Math.floor(start(b) / larger);
}
