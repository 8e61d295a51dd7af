import { z } from "zod";
import { isUnique } from "../validation";

export const ipAddressSchema = z.union([z.ipv4(), z.ipv6()], "expected an IP address");

const isIpv4 = (text: string) => z.ipv4().safeParse(text).success;
const isIpv6 = (text: string) => z.ipv6().safeParse(text).success;

/**
 * Reports whether other hosts can reach a host by this IP address. No host is reached by an unspecified, loopback, link-local IPv6,
 * multicast or reserved address. Source: the special-purpose address registries of IANA.
 */
export function isOfAHost(address: string): boolean {
    if (isIpv4(address)) return !["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"].some(range => overlap(`${address}/32`, range));
    return !isIpv6(address) || !/^\[(::1?\]|ff[0-9a-f]{2}:|fe[89ab][0-9a-f]:)/.test(new URL(`http://[${address}]`).hostname);
}

/** Schema of the addresses of nodes. A DNS name that does not resolve would make NGINX refuse its whole configuration. */
export const nodeAddressesSchema = z
    .array(ipAddressSchema.refine(isOfAHost, "expected the address of a node, not a loopback, link-local, multicast or unspecified one"))
    .refine(isUnique, "expected each address once");

const dnsLabel = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?";
const dnsName = new RegExp(`^(?=.{1,253}$)(${dnsLabel}\\.)*(?!\\d+$)${dnsLabel}$`, "i");

/** Reports whether a text is an IP address or a DNS name. The last label of a DNS name is no number (RFC 1123, section 2.1). */
export const isAddressOrName = (text: string): boolean => isIpv4(text) || isIpv6(text) || dnsName.test(text);

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
