import { stringify } from "yaml";
import { parseProbe } from "../remote/probe";
import { currentOf, readYaml } from "./kubeconfigSchema";

/** Address and credentials of a Kubernetes API. */
export interface ApiAccess {
    endpoint: string;
    ca?: string;
    certificate?: string;
    key?: string;
    token?: string;
    /** Name in the API server's certificate, when it differs from that of the endpoint. */
    serverName?: string;
    /** Accepts any certificate of the API server, as the kubeconfig asks for. */
    isInsecure?: boolean;
}

/** Returns the URL of the API server in the current context of a kubeconfig. Returns an empty text for a wrong kubeconfig. */
export function serverOf(kubeconfig: string): string {
    return currentOf(kubeconfig)?.cluster.server?.replace(/\/+$/, "") ?? "";
}

/** Returns the API access of a kubeconfig. Returns undefined when the kubeconfig names files or commands, which only its owner has. */
export function apiAccess(kubeconfig: string): ApiAccess | undefined {
    const { cluster = {}, user = {} } = currentOf(kubeconfig) ?? {};
    const { "client-certificate-data": certificate, "client-key-data": key, token } = user;
    if (!cluster.server || !((certificate && key) || token)) return undefined;
    const text = (base64?: string) => base64 && Buffer.from(base64, "base64").toString("utf8");
    return {
        endpoint: serverOf(kubeconfig),
        ca: text(cluster["certificate-authority-data"]),
        certificate: text(certificate),
        key: text(key),
        token,
        serverName: cluster["tls-server-name"],
        isInsecure: cluster["insecure-skip-tls-verify"] === true || undefined,
    };
}

/** Reports whether a URL names the machine that opens it, as the kubeconfig of RKE2 and K3s does on a node. */
export function isLoopback(url: string): boolean {
    const name = URL.canParse(url) ? new URL(url).hostname.replace(/\.$/, "") : "";
    return /^(localhost|127\.[\d.]+|0\.0\.0\.0|\[::1?\]|\[::ffff:(7f[\da-f]{2}:[\da-f]+|0:0)\])$/.test(name);
}

/** Returns a kubeconfig in which the cluster of the current context has another URL. */
export function withServer(kubeconfig: string, server: string): string {
    const known = readYaml(kubeconfig);
    known.clusters[currentOf(kubeconfig)!.clusterIndex].cluster.server = server;
    return stringify(known, { lineWidth: 0 });
}

/** The probe's answer for a kubeconfig without such access. */
export const noAccess = parseProbe("unreachable the kubeconfig holds neither a client certificate nor a token\nend");

/** Returns a kubeconfig for a user with a client certificate. */
export function kubeconfigOf(
    clusterName: string,
    user: string,
    access: Required<Pick<ApiAccess, "endpoint" | "ca" | "certificate" | "key">>,
): string {
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    return stringify(
        {
            apiVersion: "v1",
            kind: "Config",
            clusters: [{ name: clusterName, cluster: { server: access.endpoint, "certificate-authority-data": base64(access.ca) } }],
            users: [
                {
                    name: user,
                    user: { "client-certificate-data": base64(access.certificate), "client-key-data": base64(access.key) },
                },
            ],
            contexts: [{ name: clusterName, context: { cluster: clusterName, user } }],
            "current-context": clusterName,
        },
        { lineWidth: 0 },
    );
}
