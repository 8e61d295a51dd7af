import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { innerAddress, isOfAHost, isSameHost } from "../remote/addresses";
import { HostArgs } from "../remote/args";
import { HostConnection } from "../remote/connection";
import { hostSchema } from "../remote/schema";
import { whenKnown } from "../validation";

/** A load balancer host. */
export interface LoadBalancerHostArgs extends HostArgs {
    /**
     * IPv4 address by which the other host of a pair reaches this one, for VRRP and checks. It must be on an interface of the host. Only a
     * pair uses it. Set it when SSH uses another network, a translated address (NAT) or a DNS name. A loopback, unspecified, multicast or
     * reserved address is refused. So is one in the cluster's ranges of pods and services.
     * @default `address`
     */
    internalAddress?: pulumi.Input<string>;
}

/** An address that two hosts share with keepalived (VRRP 3). The active host answers. The standby host takes over within half a second. */
export interface VirtualIpArgs {
    /**
     * IPv4 address in a network of both hosts. One at which another machine answers is refused, because the pair would take it away. So is
     * that of a host, a node or the bastion.
     */
    address: pulumi.Input<string>;
    /**
     * Seconds between two VRRP advertisements. With the default, the standby host takes over after about 0.35 s. The address moves after
     * three missed advertisements, and each move cuts all WebSockets. Choose 0.3 to 1 for virtual machines that stall, in snapshots for
     * example. An active host that stalled takes the address back, so the address moves twice.
     * @default 0.1
     */
    advertIntervalSeconds?: pulumi.Input<number>;
    /** VRRP router ID from 1 to 255. Each pair in a network needs its own. @default drawn once at random */
    routerId?: pulumi.Input<number>;
}

const ipv4OfAHostSchema = z
    .ipv4("expected an IPv4 address")
    .refine(isOfAHost, "expected the address of a host, not one of 0/8, 127/8 or above 223");

export const virtualIpSchema = z.strictObject({
    address: ipv4OfAHostSchema,
    advertIntervalSeconds: z.number().min(0.02).max(10).default(0.1),
    routerId: z.number().int().min(1).max(255).optional(),
});

export type VirtualIp = z.output<typeof virtualIpSchema>;

export const loadBalancerHostSchema = hostSchema.extend({ internalAddress: ipv4OfAHostSchema.optional() });

/** A host as SSH reaches it, and as the other host of a pair does. */
export interface LoadBalancerHost extends HostConnection {
    internalAddress?: string;
}

interface Pair {
    hosts: { address: string; internalAddress?: string }[];
    virtualIp?: { address: string };
}

export const pairSchema = z.looseObject({
    hosts: z.array(z.looseObject({ address: z.string(), internalAddress: z.string().optional() })),
    virtualIp: z.looseObject({ address: z.string() }).optional(),
});

const isAddress = (address: string) => z.ipv4().safeParse(address).success;
const pairRules: { path: (string | number)[]; message: string; holds: (pair: Pair) => boolean }[] = [
    {
        path: ["virtualIp"],
        message: "expected a virtual IP for two hosts",
        holds: ({ hosts, virtualIp }) => hosts.length < 2 || virtualIp !== undefined,
    },
    {
        path: ["virtualIp"],
        message: "expected no virtual IP for one host: it is for a pair.",
        holds: ({ hosts, virtualIp }) => hosts.length > 1 || virtualIp === undefined,
    },
    {
        path: ["virtualIp", "address"],
        message: "expected an address that no host has as its own",
        holds: ({ hosts, virtualIp }) =>
            hosts.every(host => ![host.address, host.internalAddress].some(own => isSameHost(own, virtualIp?.address))),
    },
    {
        path: ["hosts", 1, "address"],
        message: "expected another host than the first",
        holds: ({ hosts }) => !isSameHost(hosts[0]?.address, hosts[1]?.address),
    },
    {
        path: ["hosts", 1, "internalAddress"],
        message: "expected another address than the first host's",
        holds: ({ hosts: [first, second] }) => second?.internalAddress === undefined || second.internalAddress !== innerAddress(first),
    },
    ...[0, 1].map(index => ({
        path: ["hosts", index, "address"],
        message: "expected an IPv4 address, or an internalAddress: the two hosts of a pair reach each other by it",
        holds: ({ hosts }: Pair) => hosts.length < 2 || isAddress(innerAddress(hosts[index])),
    })),
];

/** Adds the rules between the hosts and the virtual IP. */
export function withPairRules<S extends z.ZodType<Pair>>(schema: S): S {
    return pairRules.reduce((ruled, { holds, ...rule }) => ruled.refine(holds, { ...rule, ...whenKnown(pairSchema) }), schema);
}

/** Addresses of the load balancer, as far as they are known. */
interface OwnAddresses {
    virtualIp?: { address?: unknown };
    hosts: ({ address?: unknown; internalAddress?: unknown } | undefined)[];
}

/** Reports the bastion's address as the virtual IP. The pair would take the address away from the bastion, and with it every SSH login. */
export function reportBastionAddress(
    { virtualIp, ssh }: { virtualIp?: { address?: unknown }; ssh?: { bastion?: { address?: unknown } } },
    context: z.core.$RefinementCtx,
    at: PropertyKey[] = [],
): void {
    if (!isSameHost(virtualIp?.address, ssh?.bastion?.address)) return;
    const message = "expected an address that nothing else uses, not that of ssh.bastion";
    context.addIssue({ code: "custom", path: [...at, "virtualIp", "address"], message });
}

/** Reports addresses that belong to nodes: the virtual IP to any node, a host to one with an ingress controller. */
export function reportNodeAddresses(
    { virtualIp, hosts }: OwnAddresses,
    nodes: { all: unknown[]; ingress: unknown[] },
    context: z.core.$RefinementCtx,
    at: PropertyKey[] = [],
): void {
    const report = (path: PropertyKey[], message: string) => context.addIssue({ code: "custom", path: [...at, ...path], message });
    const isOneOf = (some: unknown[], address: unknown) => some.some(each => isSameHost(each, address));
    if (isOneOf(nodes.all, virtualIp?.address))
        report(["virtualIp", "address"], "expected an address that nothing else uses, not that of a node");
    hosts.forEach((host, index) => {
        const key = (["address", "internalAddress"] as const).find(each => isOneOf(nodes.ingress, host?.[each]));
        if (!key) return;
        const message = "expected a host of its own, not a worker node, whose ingress controller holds ports 80 and 443";
        report(["hosts", index, key], message);
    });
}
