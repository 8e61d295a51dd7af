import { z } from "zod";

/** A size in kilobytes, in NGINX's notation. */
const kilobytes = (least: number, most: number) =>
    z
        .string()
        .refine(
            size => /^\d+k$/.test(size) && parseInt(size) >= least && parseInt(size) <= most,
            `expected a size from ${least}k to ${most}k`,
        );

/** The largest numbers of each unit whose bytes fit into 63 bits. NGINX refuses a larger size with its whole configuration. */
const largest = { k: 2n ** 53n - 1n, m: 2n ** 43n - 1n, g: 2n ** 33n - 1n };

/** Reports whether NGINX can count the bytes of a size. A text that is no size is reported by its own rule. */
function isCountable(size: string): boolean {
    const [, number, unit] = /^(\d+)([kmg])$/.exec(size) ?? [];
    return unit === undefined || BigInt(number) <= largest[unit as keyof typeof largest];
}

/** Limits that hold for every proxy between a client and Rancher: the load balancer and the ingress controller. */
export const limitsSchema = z.strictObject({
    maxBodySize: z
        .string()
        .regex(/^\d+[kmg]$/, "expected a size such as 256m")
        .refine(isCountable, `expected a size up to ${largest.g}g: NGINX counts bytes in 63 bits`)
        .default("256m"),
    maxRequestHeaderSize: kilobytes(8, 256).default("64k"),
    maxResponseHeaderSize: kilobytes(4, 64).default("16k"),
});
export type Limits = z.output<typeof limitsSchema>;

/** Number of buffers for the header fields of a request. Each field must fit into one buffer. */
const headerBuffers = 4;

/** Returns the value of `large_client_header_buffers`. */
export const requestHeaderBuffers = ({ maxRequestHeaderSize }: Pick<Limits, "maxRequestHeaderSize">) =>
    `${headerBuffers} ${maxRequestHeaderSize}`;

/** Returns the size of all header fields of a request together. */
export const requestHeaders = ({ maxRequestHeaderSize }: Limits) => `${headerBuffers * parseInt(maxRequestHeaderSize)}k`;

/** Returns annotations of an Ingress for ingress-nginx. No annotation sets the size of request headers. */
export function ingressAnnotations(limits: Limits): Record<string, string> {
    return Object.fromEntries(Object.entries(perIngress(limits)).map(([name, value]) => [`nginx.ingress.kubernetes.io/${name}`, value]));
}

/** Returns options of ingress-nginx for its ConfigMap. */
export const ingressOptions = (limits: Limits): Record<string, string> => ({
    ...perIngress(limits),
    "large-client-header-buffers": requestHeaderBuffers(limits),
});

const perIngress = ({ maxBodySize, maxResponseHeaderSize }: Limits) => ({
    "proxy-body-size": maxBodySize,
    "proxy-buffer-size": maxResponseHeaderSize,
    // The controller would store each upload on the node before Rancher knows who sends it.
    "proxy-request-buffering": "off",
});
