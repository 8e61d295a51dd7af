import { parseAllDocuments, Tags } from "yaml";
import { z } from "zod";
import { check, issueSentence } from "../validation";
import { base64, certificateInBase64, decoded, extensions, isBase64, Report, text } from "./kubeconfigData";
import { holdsCertificate } from "./kubeconfigKeys";
import { reportCredentials, reportUser, userSchema, UserEntry } from "./kubeconfigUser";

/** The rules here are those of kubectl and of the Kubernetes provider. Source: k8s.io/client-go, tools/clientcmd. */

const contextSchema = z.looseObject({ cluster: text, user: text, namespace: text, extensions });
const clusterSchema = z.looseObject({
    server: text,
    "certificate-authority": text,
    "certificate-authority-data": base64,
    "insecure-skip-tls-verify": z.boolean().optional(),
    "proxy-url": text,
    "tls-server-name": text,
    "disable-compression": z.boolean().optional(),
    extensions,
});
export type ClusterEntry = z.output<typeof clusterSchema>;

/** Returns the schema of a list of named entries. */
const listOf = <S extends z.ZodRawShape>(entry: S) => z.array(z.looseObject({ name: text, ...entry })).optional();

const kubeconfigSchema = z
    .looseObject({
        kind: z.literal("Config").optional(),
        apiVersion: z.literal("v1").optional(),
        preferences: z.looseObject({ colors: z.boolean().optional(), extensions }).optional(),
        extensions,
        "current-context": text,
        contexts: listOf({ context: contextSchema.optional() }),
        clusters: listOf({ cluster: clusterSchema.optional() }),
        users: listOf({ user: userSchema.optional() }),
    })
    .superRefine((kubeconfig, context) => {
        reportNames(kubeconfig, context);
        reportCurrent(kubeconfig, context);
    });
type Kubeconfig = z.output<typeof kubeconfigSchema>;

/** The parts of a kubeconfig that its current context names, with their places in the lists. */
export interface CurrentContext {
    /** Index in `clusters`. */
    clusterIndex: number;
    cluster: ClusterEntry;
    /** Empty where the context names no user, which only an API server without TLS allows. */
    user: UserEntry;
}

/** YAML 1.1 without dates and numbers to the base 60, which the parser of kubectl reads as strings. */
const customTags = (tags: Tags): Tags =>
    tags.filter(tag => typeof tag === "string" || (tag.tag !== "tag:yaml.org,2002:timestamp" && tag.format !== "TIME"));

/**
 * Reads the first YAML document, as kubectl does. Returns undefined for invalid YAML, because the parser's message would quote the
 * kubeconfig and its secrets.
 */
export function readYaml(kubeconfig: string): unknown {
    try {
        const [first] = parseAllDocuments(kubeconfig, { version: "1.1", merge: true, uniqueKeys: false, customTags });
        return first.errors?.length ? undefined : first.toJS();
    } catch {
        return undefined;
    }
}

/** Returns the parts of the current context. Returns undefined for a kubeconfig that the schema refuses. */
export function currentOf(kubeconfig: string): CurrentContext | undefined {
    const { data } = check(kubeconfigSchema, withoutEmpty(readYaml(kubeconfig)));
    if (!data) return undefined;
    const { context, clusterIndex, userIndex } = places(data);
    return context && { clusterIndex, cluster: data.clusters![clusterIndex].cluster!, user: data.users?.[userIndex]?.user ?? {} };
}

/** The schema of a kubeconfig as text, YAML or JSON. An error names the place in the kubeconfig, and quotes no secret. */
export const kubeconfigTextSchema = z.string().superRefine((kubeconfig, context) => {
    const known = withoutEmpty(readYaml(kubeconfig));
    const report = (path: PropertyKey[], message: string) => context.addIssue({ code: "custom", path, message });
    if (known === null || typeof known !== "object" || Array.isArray(known))
        return report([], "expected a kubeconfig as YAML text, found another text. Give the content of the file, not its path.");
    for (const issue of check(kubeconfigSchema, known).error?.issues ?? []) report(issue.path, issueSentence(issue, known));
});

/** Leaves out keys without a value, because Go reads `null` and the empty text as if the key were missing. */
function withoutEmpty(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(withoutEmpty);
    if (value === null || typeof value !== "object") return value;
    const kept = Object.entries(value).filter(([, below]) => below !== null && below !== "");
    return Object.fromEntries(kept.map(([key, below]) => [key, withoutEmpty(below)]));
}

/** Returns the place of a named entry, or -1. */
const placeOf = (list: { name?: string }[] = [], name?: string) => (name === undefined ? -1 : list.findIndex(entry => entry.name === name));

/** Returns the current context and the places of its parts, or -1 for a missing part. */
function places({ "current-context": current, contexts, clusters, users }: Kubeconfig) {
    const contextIndex = placeOf(contexts, current);
    const context = contextIndex < 0 ? undefined : (contexts![contextIndex].context ?? {});
    return { context, contextIndex, clusterIndex: placeOf(clusters, context?.cluster), userIndex: placeOf(users, context?.user) };
}

function reportNames(kubeconfig: Kubeconfig, context: z.core.$RefinementCtx): void {
    for (const list of ["contexts", "clusters", "users"] as const) {
        const names = (kubeconfig[list] ?? []).map(({ name }) => name);
        names.forEach((name, index) => {
            if (names.indexOf(name) < index)
                context.addIssue({ code: "custom", path: [list, index, "name"], message: "expected each name once" });
        });
    }
}

/** Reports a current context that leads to no API server, and parts of it that contradict each other. */
function reportCurrent(kubeconfig: Kubeconfig, refinement: z.core.$RefinementCtx): void {
    const report = (path: PropertyKey[], message: string) => refinement.addIssue({ code: "custom", path, message });
    const { context, contextIndex, clusterIndex, userIndex } = places(kubeconfig);
    if (!context) return report(["current-context"], "expected the name of a context in contexts");
    const inContext = (key: string) => ["contexts", contextIndex, "context", key];
    if (clusterIndex < 0) return report(inContext("cluster"), "expected the name of a cluster in clusters");
    const cluster = kubeconfig.clusters![clusterIndex].cluster ?? {};
    reportCluster(cluster, (path, message) => report(["clusters", clusterIndex, "cluster", ...path], message));
    // Without TLS, neither kubectl nor Helm sends credentials.
    if (userIndex < 0 && isTls(cluster)) report(inContext("user"), "expected the name of a user in users");
    const user = kubeconfig.users?.[userIndex]?.user ?? {};
    const reportIn: Report = (path, message) => report(["users", userIndex, "user", ...path], message);
    reportUser(user, reportIn);
    if (isTls(cluster)) reportCredentials(user, reportIn);
}

/** Reports whether a URL has the scheme `https`. */
export const isTls = ({ server }: ClusterEntry): boolean => /^https:/i.test(server ?? "");

function reportCluster(cluster: ClusterEntry, report: Report): void {
    const { server = "", "certificate-authority-data": ca, "certificate-authority": file } = cluster;
    // Without a scheme, client-go takes http, and sends no credentials.
    if (!/^https?:\/\/\S+$/i.test(server) || !URL.canParse(server))
        report(["server"], "expected an http or https URL, for example https://192.0.2.31:6443");
    const { "proxy-url": proxy } = cluster;
    if (proxy && !(/^(https?|socks5):/i.test(proxy) && URL.canParse(proxy)))
        report(["proxy-url"], "expected an http, https or socks5 URL, for example http://proxy.example.com:3128, found another text.");
    if (ca && file) report(["certificate-authority"], "expected nothing beside certificate-authority-data, found both. Remove one.");
    if (!isTls(cluster)) return;
    if (cluster["insecure-skip-tls-verify"] && (ca || file))
        report(["insecure-skip-tls-verify"], "expected false beside a certificate authority, found true. Remove one.");
    if (ca && isBase64(ca) && !holdsCertificate(decoded(ca))) report(["certificate-authority-data"], certificateInBase64);
}
