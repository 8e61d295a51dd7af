import { z } from "zod";

/**
 * Reports whether a network is small enough to hold proxies alone. The largest private networks are 10.0.0.0/8 and fc00::/7. No registry
 * assigns a provider more than a /16 of IPv6.
 */
export function isOfProxies(network: string): boolean {
    const [address, prefix] = network.split("/");
    if (prefix === undefined) return true;
    const largest = !address.includes(":") ? 8 : /^f[cd][0-9a-f]{2}:/i.test(address) ? 7 : 16;
    return Number(prefix) >= largest;
}

/** What is wrong with a network that is too large. */
export const largerThanProxies = "expected no larger network than /8, or /16 for IPv6: any client in it could forge its address";

/** Schema of an address or a network of proxies. */
export const proxySchema = z
    .union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], "expected an IP address or a network such as 10.0.0.0/8")
    .refine(isOfProxies, largerThanProxies);
