import { stringify } from "yaml";
import { holdsLogin } from "../secrecy";
import { proxyVariable } from "./environmentProxy";
import { ClusterEntry, CurrentContext, currentOf, isTls, readYaml } from "./kubeconfigSchema";
import { UserEntry } from "./kubeconfigUser";

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

/** Returns the URL of the API server in the current context of a kubeconfig, without a login. Returns an empty text for a wrong kubeconfig. */
export function serverOf(kubeconfig: string): string {
    const current = currentOf(kubeconfig);
    return current ? endpointOf(current) : "";
}

const endpointOf = ({ cluster }: CurrentContext): string => (cluster.server ?? "").replace(/\/+$/, "").replace(/(?<=:\/\/)[^/]*@/, "");

/** Returns the API access of a kubeconfig. Returns undefined when something is in the way, which `obstacle` names. */
export function apiAccess(kubeconfig: string): ApiAccess | undefined {
    const current = currentOf(kubeconfig);
    if (!current || obstacleIn(current, process.env)) return undefined;
    const { cluster, user } = current;
    const { "client-certificate-data": certificate, "client-key-data": key, token } = user;
    const text = (base64?: string) => base64 && Buffer.from(base64, "base64").toString("utf8");
    return {
        endpoint: endpointOf(current),
        ca: text(cluster["certificate-authority-data"]),
        certificate: text(certificate),
        key: text(key),
        token,
        serverName: cluster["tls-server-name"],
        isInsecure: cluster["insecure-skip-tls-verify"] === true || undefined,
    };
}

/**
 * Returns why this library cannot use a kubeconfig, although Helm and the Kubernetes provider can. Returns undefined when it can. A request
 * of its own would otherwise fail, or ask with other permissions, and the failure would stop Helm.
 */
export function obstacle(kubeconfig: string, env = process.env): string | undefined {
    const current = currentOf(kubeconfig);
    return current ? obstacleIn(current, env) : "the kubeconfig cannot be read";
}

const obstacleIn = (current: CurrentContext, env: NodeJS.ProcessEnv): string | undefined =>
    obstacleOfItself(current) ?? proxyOf(endpointOf(current), env);

function proxyOf(server: string, env: NodeJS.ProcessEnv): string | undefined {
    const variable = proxyVariable(server, env);
    return variable && `the environment names a proxy (${variable}) for ${new URL(server).host}, which NO_PROXY does not cover`;
}

function obstacleOfItself({ cluster, user }: CurrentContext): string | undefined {
    const hasCertificate = Boolean(user["client-certificate-data"] && user["client-key-data"]);
    const hasCredentials = hasCertificate || Boolean(user.token);
    const named: [what: string, keys: string[]][] = [
        ["a server without TLS", isTls(cluster) ? [] : ["server"]],
        ["a login", holdsLogin(cluster.server) ? ["server"] : []],
        ["a file", [...filesOf(cluster, ["certificate-authority"]), ...userFiles(user, hasCertificate)]],
        ["a proxy", keysIn(cluster, ["proxy-url"])],
        ["another user", keysIn(user, ["as", "as-uid", "as-groups", "as-user-extra"])],
        ["a command", hasCredentials ? [] : keysIn(user, ["exec"])],
        ["an identity provider", hasCredentials ? [] : keysIn(user, ["auth-provider"])],
    ];
    const found = named.filter(([, keys]) => keys.length > 0).map(([what, keys]) => `${what} (${keys.join(", ")})`);
    if (found.length > 0) return `the kubeconfig names ${found.join(" and ")}`;
    return hasCredentials ? undefined : "the kubeconfig holds neither a client certificate nor a token";
}

/** Lists the files that hold the credentials of a user. The file of a token takes precedence over the token beside it, as in client-go. */
function userFiles(user: UserEntry, hasCertificate: boolean): string[] {
    const ofCertificate = user["client-certificate"] || user["client-certificate-data"] ? ["client-certificate", "client-key"] : [];
    return [...filesOf(user, ofCertificate), ...(hasCertificate ? [] : keysIn(user, ["tokenFile"]))];
}

/** Returns the keys that have a value. */
const keysIn = (entry: Record<string, unknown>, keys: string[]): string[] => keys.filter(key => entry[key] !== undefined);

/** Returns the keys that name a file, and have no `-data` beside them. */
const filesOf = (entry: Record<string, unknown>, keys: string[]): string[] =>
    keysIn(entry, keys).filter(key => entry[`${key}-data`] === undefined);

/** Reports whether a URL names the machine that opens it, as the kubeconfig of RKE2 and K3s does on a node. */
export function isLoopback(url: string): boolean {
    const name = URL.canParse(url) ? new URL(url).hostname.replace(/\.$/, "") : "";
    return /^(localhost|127\.[\d.]+|0\.0\.0\.0|\[::1?\]|\[::ffff:(7f[\da-f]{2}:[\da-f]+|0:0)\])$/.test(name);
}

/** Returns a kubeconfig in which the cluster of the current context has another URL. */
export function withServer(kubeconfig: string, server: string): string {
    const known = readYaml(kubeconfig) as { clusters: { cluster: ClusterEntry }[] };
    known.clusters[currentOf(kubeconfig)!.clusterIndex].cluster.server = server;
    // kubectl reads YAML 1.1, where a string such as "yes" needs quotes.
    return stringify(known, { lineWidth: 0, compat: "yaml-1.1" });
}

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
