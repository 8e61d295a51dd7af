import { z } from "zod";
import { ipAddressSchema, overlap, size, start } from "../remote/addresses";
import {
    addressSchema,
    connectionOf,
    hostAddressSchema,
    hostSchema,
    Reached,
    reachedSchema,
    reportUnreached,
    sshSchema,
} from "../remote/connection";
import { DriftMode } from "../remote/drift";
import { whenKnown } from "../validation";
import { checkKubernetesVersion } from "./compatibility";
import { labelsSchema, labelValueSchema, nodeNameSchema, objectNameSchema, qualifiedNameSchema } from "./kubernetesNames";
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

const cidr = z
    .cidrv4("expected an IPv4 range such as 10.42.0.0/16")
    .refine(
        range => Number(range.split("/")[1]) <= 24 && start(range) % size(range) === 0,
        "expected the first address of a range of at least /24",
    );
const nodeAddressSchema = hostAddressSchema.refine(address => !address.includes(":"), "expected an IPv4 address or a DNS name");
const sans = z.array(addressSchema);

const anyNodes = z.array(z.looseObject({}));

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
        mtu: z
            .number()
            .int()
            .max(65535)
            .refine(mtu => mtu === 0 || mtu >= 576, "expected 0, or at least 576 bytes, which every IPv4 network carries (RFC 791)")
            .default(0),
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
    )
    .refine(({ plugin, mtu }) => plugin !== NetworkPlugin.Flannel || mtu === 0, {
        path: ["mtu"],
        message: "expected 0 for the plugin flannel, whose MTU RKE cannot set",
        ...whenKnown(z.looseObject({ plugin: z.enum(NetworkPlugin), mtu: z.number() })),
    });

/** The ranges of a network. An empty string replaces an invalid or unknown one. */
const rangesSchema = z
    .object({
        clusterCidr: networkSchema.shape.clusterCidr.catch(""),
        serviceClusterIpRange: networkSchema.shape.serviceClusterIpRange.catch(""),
    })
    .catch({ clusterCidr: "", serviceClusterIpRange: "" });

const forwardedHeaders = "use-forwarded-headers";

const settingsSchema = z.strictObject({
    clusterName: objectNameSchema.default("rancher"),
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
            intervalHours: z.number().int().min(1).max(168).default(6),
            retention: z.number().int().min(1).max(10_000).default(28),
        })
        .prefault({}),
    ingressOptions: z
        .record(z.string(), z.string())
        .default({})
        .refine(options => Object.keys(options).every(key => /^[-.\w]{1,253}$/.test(key)), {
            message: "expected names of options with letters, digits, -, _ and . only, as keys of a ConfigMap",
        })
        .refine(options => (options[forwardedHeaders] ?? "true") === "true", {
            message: `expected ${forwardedHeaders} to be "true" or left out: without it Rancher redirects for ever behind a load balancer that ends TLS`,
        }),
    apiEndpoint: z
        .url({ protocol: /^https$/, error: "expected an https URL such as https://kubernetes.example.com:6443" })
        .refine(isOrigin, "expected a URL without user, path and query, such as https://kubernetes.example.com:6443.")
        .optional(),
    apiServerSans: sans.default([]),
    addonJobTimeoutSeconds: z.number().int().min(30).max(86_400).default(180),
    timeoutSeconds: z.number().int().min(60).max(86_400).default(3600),
    deletionProtection: z.boolean().default(true),
    drift: z.enum(DriftMode).default(DriftMode.Warn),
});

/** Adds the rules between nodes and networks. */
function withNetworkRules<S extends typeof settingsSchema>(schema: S): S {
    return schema.superRefine(
        ({ nodes, network }, context) => {
            nodes.forEach((node, index) =>
                (["address", "internalAddress"] as const).forEach(key =>
                    rangesAround(node[key], network).forEach(range =>
                        context.addIssue({
                            code: "custom",
                            path: ["nodes", index, key],
                            message: `expected an address outside network.${range}`,
                        }),
                    ),
                ),
            );
            // The controller manager gives each node a range of /24 (its flag --node-cidr-mask-size).
            const room = z.cidrv4().safeParse(network.clusterCidr).success ? size(network.clusterCidr) / size("0.0.0.0/24") : Infinity;
            if (room >= nodes.length) return;
            const message = `expected room for a /24 for each of the ${nodes.length} nodes`;
            context.addIssue({ code: "custom", path: ["network", "clusterCidr"], message });
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

/** Returns the ranges of pods and services that hold an address, each as its key and its value. No host can have such an address. */
export function rangesAround(address: unknown, network: unknown = {}): string[] {
    if (!z.ipv4().safeParse(address).success) return [];
    return Object.entries(rangesSchema.parse(network))
        .filter(([, range]) => range !== "" && overlap(`${String(address)}/32`, range))
        .map(([key, range]) => `${key} ${range}`);
}

function isOrigin(url: string): boolean {
    if (!URL.canParse(url)) return true;
    const { username, pathname, search, hash } = new URL(url);
    return username === "" && pathname === "/" && search === "" && hash === "";
}

function isUnique(values: unknown[]): boolean {
    return new Set(values).size === values.length;
}
