import { z } from "zod";

/** Port of the Kubernetes API, on the load balancer and on control plane nodes. */
export const apiPort = 6443;

const example = `https://kubernetes.example.com:${apiPort}`;

/** URL of a Kubernetes API, as it stands in a kubeconfig. */
export const apiEndpointSchema = z
    .url({ protocol: /^https$/, error: `expected an https URL such as ${example}` })
    .refine(url => !URL.canParse(url) || new URL(url).port !== "0", "expected a port from 1 to 65535")
    .refine(isOrigin, `expected a URL without user, path and query, such as ${example}.`);

/** Kubernetes version. A distribution may add a suffix, such as `+rke2r1`. */
export const kubernetesVersionSchema = z.string().regex(/^v?1\.\d+/, "expected a Kubernetes version such as v1.31.4");

function isOrigin(url: string): boolean {
    // Another rule reports a text that is no URL.
    return !URL.canParse(url) || new URL(url).href === `${new URL(url).origin}/`;
}
