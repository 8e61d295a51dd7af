import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { overlap, size, start } from "../../remote/addresses";
import { whenKnown } from "../../validation";

/** Network plugins of RKE. The plugin of a live cluster cannot be changed. */
export const NetworkPlugin = { Canal: "canal", Flannel: "flannel", Calico: "calico", None: "none" } as const;
export type NetworkPlugin = (typeof NetworkPlugin)[keyof typeof NetworkPlugin];

/** Pod and service network. Its plugin and ranges cannot be changed on a live cluster. */
export interface RkeNetworkArgs {
    /** Network plugin. @default canal */
    plugin?: pulumi.Input<NetworkPlugin>;
    /** Largest packet of the pod network in bytes, from 576 to 65535; 0 lets the plugin choose. Flannel takes 0 only. @default 0 */
    mtu?: pulumi.Input<number>;
    /**
     * Interface of every node that carries the pod network, such as `eth1`. Nodes with an `internalAddress` usually need it. Refused for
     * the plugins calico and none. A change restarts the pods of the network plugin.
     * @default the interface of the default route
     */
    interface?: pulumi.Input<string>;
    /**
     * IPv4 range of pods. A range that contains the address of a node or load balancer is refused. So is a range without a /24 for each
     * node, because Kubernetes gives each node a /24. The flag `node-cidr-mask-size` of `services.kubeController` replaces the 24.
     * @default 10.42.0.0/16
     */
    clusterCidr?: pulumi.Input<string>;
    /**
     * IPv4 range of services, of at most /12. A range that contains the address of a node or load balancer is refused.
     * @default 10.43.0.0/16
     */
    serviceClusterIpRange?: pulumi.Input<string>;
}

/** Ranges of which Kubernetes takes no address for a pod or service. Source: ValidateNonSpecialIP of Kubernetes, and IANA for 0/8 and 240/4. */
const specialRanges = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"];

const cidr = z
    .cidrv4("expected an IPv4 range such as 10.42.0.0/16")
    .refine(
        range => Number(range.split("/")[1]) <= 24 && start(range) % size(range) === 0,
        "expected the first address of a range of at least /24",
    )
    .refine(range => !specialRanges.some(special => overlap(range, special)), `expected a range apart from ${specialRanges.join(", ")}`);

// Source: validateClusterIPFlags of kube-apiserver 1.30, which takes at most 20 bits.
const serviceCidr = cidr.refine(range => size(range) <= size("0.0.0.0/12"), "expected a range of at most /12, as the API server does");

/** Options of the plugins that name the interface. RKE has none for calico. */
const interfaceOptions: Partial<Record<NetworkPlugin, string>> = { canal: "canal_iface", flannel: "flannel_iface" };

/** Schema of the pod and service network. */
export const networkSchema = z
    .strictObject({
        plugin: z.enum(NetworkPlugin).default(NetworkPlugin.Canal),
        mtu: z
            .number()
            .int()
            .max(65535)
            .refine(mtu => mtu === 0 || mtu >= 576, "expected 0, or at least 576 bytes, which every IPv4 network carries (RFC 791)")
            .default(0),
        interface: z
            .string()
            .regex(/^[-.\w:@]{1,15}$/, "expected the name of a network interface such as eth1, of at most 15 characters")
            .optional(),
        clusterCidr: cidr.default("10.42.0.0/16"),
        serviceClusterIpRange: serviceCidr.default("10.43.0.0/16"),
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
    })
    .refine(({ plugin, interface: name }) => name === undefined || interfaceOptions[plugin] !== undefined, {
        path: ["interface"],
        message: "expected no interface for this plugin: RKE hands one to canal and flannel only",
        ...whenKnown(z.looseObject({ plugin: z.enum(NetworkPlugin), interface: z.string().optional() })),
    });

/** Returns the keys of cluster.yml for the interface of the pod network. */
export function interfaceYml(network: z.output<typeof networkSchema>): object {
    return network.interface ? { options: { [interfaceOptions[network.plugin]!]: network.interface } } : {};
}

/** The ranges of a network. An empty string replaces an invalid or unknown one. */
const rangesSchema = z
    .object({
        clusterCidr: networkSchema.shape.clusterCidr.catch(""),
        serviceClusterIpRange: networkSchema.shape.serviceClusterIpRange.catch(""),
    })
    .catch({ clusterCidr: "", serviceClusterIpRange: "" });

/** Returns what a pod of the cluster reaches without a proxy: the ranges of pods and services, the nodes, and a domain of its own. */
export function insideCluster(cluster: {
    nodes: { address: string; internalAddress?: string }[];
    network?: object;
    services?: { kubelet?: { clusterDomain?: string } };
}): string[] {
    const nodes = cluster.nodes.flatMap(({ address, internalAddress }) => [address, internalAddress]);
    const domain = cluster.services?.kubelet?.clusterDomain;
    const targets = [...Object.values(rangesSchema.parse(cluster.network ?? {})), ...nodes, domain && `.${domain}`];
    return targets.flatMap(target => target || []);
}

/** Returns the ranges of pods and services that hold an address, each as its key and its value. No host can have such an address. */
export function rangesAround(address: unknown, network: unknown = {}): string[] {
    if (!z.ipv4().safeParse(address).success) return [];
    return Object.entries(rangesSchema.parse(network))
        .filter(([, range]) => range !== "" && overlap(`${String(address)}/32`, range))
        .map(([key, range]) => `${key} ${range}`);
}
