import { join } from "path";

export const repository = join(__dirname, "..");

/** Labs that can run in parallel on one machine. The index of a name in this list decides the lab's network. */
export const labNames = ["dev", "test1", "test2", "test3", "test4", "test5", "test6", "test7", "test8", "bench", "soak"] as const;
export type LabName = (typeof labNames)[number];

/** A host image: its name in lab/hosts/buildImage.sh. */
export type HostKind = "lb" | "lb-newer" | "node";

/** Hosts of a lab, with the last byte of their addresses. */
export const hosts = {
    lb1: { kind: "lb", octet: 21 },
    lb2: { kind: "lb", octet: 22 },
    lb4: { kind: "lb", octet: 24 },
    node1: { kind: "node", octet: 31 },
    node2: { kind: "node", octet: 32 },
    node3: { kind: "node", octet: 33 },
    node4: { kind: "node", octet: 34 },
    // lb3 has the NGINX of a newer Debian.
    lb3: { kind: "lb-newer", octet: 23 },
    // These hosts make load for a load balancer: a client, and upstreams without a cluster.
    client: { kind: "lb", octet: 41 },
    upstream1: { kind: "lb", octet: 51 },
    upstream2: { kind: "lb", octet: 52 },
    upstream3: { kind: "lb", octet: 53 },
} as const satisfies Record<string, { kind: HostKind; octet: number }>;
export type HostName = keyof typeof hosts;

/** Hosts of the stack in Pulumi.dev.yaml. */
export const hostsOfTheStack: HostName[] = ["lb1", "node1", "node2", "node3"];

/** Returns the first three bytes of a lab's addresses. */
export function networkOf(lab: LabName): string {
    const place = labNames.indexOf(lab);
    if (place < 0)
        throw new Error(`lab: expected one of ${labNames.join(", ")}, found ${JSON.stringify(lab)}. Each has a network of its own`);
    return `10.89.${77 + place}`;
}

/** Returns a fixed hardware address for an IP address. So the ARP tables of other hosts stay valid after a host is replaced. */
export function hardwareAddress(address: string): string {
    return [2, 0, ...address.split(".").map(Number)].map(byte => byte.toString(16).padStart(2, "0")).join(":");
}
