import { z } from "zod";
import { isUnique } from "../validation";

export const ipAddressSchema = z.union([z.ipv4(), z.ipv6()], "expected an IP address");

const isIpv4 = (text: string) => z.ipv4().safeParse(text).success;
const isIpv6 = (text: string) => z.ipv6().safeParse(text).success;

/** Returns the only form of an IP address or DNS name: lower case, a short IPv6 address in brackets, IPv4 for an IPv4-mapped address. */
export function canonical(address: string): string {
    const name = isIpv6(address) ? new URL(`http://[${address}]`).hostname : address.toLowerCase();
    const mapped = /^\[::ffff:([0-9a-f]+):([0-9a-f]+)\]$/.exec(name);
    return mapped ? mapped.slice(1).flatMap(octets).join(".") : name;
}

/** Returns the two octets of one group of an IPv6 address. */
const octets = (group: string): number[] => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff];

/** Reports whether two values are the same IP address or DNS name, however each is written. */
export const isSameHost = (one: unknown, other: unknown): boolean =>
    typeof one === "string" && typeof other === "string" && canonical(one) === canonical(other);

/**
 * Reports whether other hosts can reach a host by this IP address or DNS name. No host is reached by an unspecified, loopback, link-local
 * IPv6, multicast or reserved address. Source: the special-purpose address registries of IANA, and RFC 6761 for localhost.
 */
export function isOfAHost(text: string): boolean {
    const address = canonical(text);
    if (isIpv4(address)) return !["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"].some(range => overlap(`${address}/32`, range));
    return !/^\[(::1?\]|ff[0-9a-f]{2}:|fe[89ab][0-9a-f]:)|^(.*\.)?localhost$/.test(address);
}

/** Returns the schema of a list of IP addresses of hosts. `ofWhom` says whose they are, for the error. */
export const hostIpAddressesSchema = (ofWhom: string) =>
    z
        .array(
            ipAddressSchema.refine(
                isOfAHost,
                `expected the address of ${ofWhom}, not a loopback, link-local, multicast or unspecified one`,
            ),
        )
        .refine(addresses => isUnique(addresses.map(canonical)), "expected each address once");

/** Schema of the addresses of nodes. A DNS name that does not resolve would make NGINX refuse its whole configuration. */
export const nodeAddressesSchema = hostIpAddressesSchema("a node");

const dnsLabel = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?";
const dnsName = new RegExp(`^(?=.{1,253}$)(${dnsLabel}\\.)*(?!\\d+$)${dnsLabel}$`, "i");

/** Reports whether a text is an IP address or a DNS name. The last label of a DNS name is no number (RFC 1123, section 2.1). */
export const isAddressOrName = (text: string): boolean => isIpv4(text) || isIpv6(text) || dnsName.test(text);

/** Reports whether a text is an IP address or a DNS name, alone or with a port. Beside a port, an IPv6 address stands in brackets. */
export function isHost(text: string): boolean {
    const [, ipv6, name, port] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
    if (port === undefined) return isAddressOrName(text);
    return isPort(port) && (ipv6 === undefined ? isAddressOrName(name) : isIpv6(ipv6));
}

export const addressSchema = z.string().refine(isAddressOrName, "expected an IP address or a DNS name");

/** Address of a host that other hosts reach. */
export const hostAddressSchema = addressSchema.refine(
    isOfAHost,
    "expected an address by which other hosts reach this one, not a loopback, link-local, multicast or unspecified address",
);

export const dnsNameSchema = z
    .string()
    .max(253)
    .regex(
        // Browsers read a name whose last label is a number as an IPv4 address (URL standard, "ends in a number").
        /^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+(?!(\d+|0x[0-9a-f]*)$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/,
        "expected a lower-case DNS name such as rancher.example.com",
    );

/** Returns the address by which hosts of the same network reach a host. */
export const innerAddress = (host: { address: string; internalAddress?: string }): string => host.internalAddress ?? host.address;

export const portSchema = z.number().int().min(1).max(65535);

/** Reports whether digits are a port. */
export const isPort = (digits: string): boolean => portSchema.safeParse(Number(digits)).success;

/** Reports whether two IPv4 ranges share an address. */
export function overlap(a: string, b: string): boolean {
    const larger = Math.max(size(a), size(b));
    return Math.floor(start(a) / larger) === Math.floor(start(b) / larger);
}

/** Returns the first address of an IPv4 range as a number. */
export const start = (range: string): number =>
    range
        .split("/")[0]
        .split(".")
        .reduce((sum, octet) => sum * 256 + Number(octet), 0);

/** Returns the number of addresses in an IPv4 range. */
export const size = (range: string): number => 2 ** (32 - Number(range.split("/")[1]));
