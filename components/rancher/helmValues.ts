import { caChecksum as checksumOf } from "../certificates/pem";
import { isSince } from "../versions";
import { takenName } from "./chartEnvironment";
import { additionalCasVariable, caVariable } from "./chartValues";
import { RancherChartValues, valueSince } from "./chartValuesSchema";
import { noProxyValue } from "./proxy";

/** Modes in which Rancher's agents decide whether to trust the server. */
export const AgentTlsMode = {
    /** Agents trust only the CA that Rancher gives them. */
    Strict: "strict",
    /** Agents trust the CAs of the system that they run on. */
    SystemStore: "system-store",
} as const;
export type AgentTlsMode = (typeof AgentTlsMode)[keyof typeof AgentTlsMode];

export interface HelmValuesInput {
    hostname: string;
    replicas: number;
    /** Checksum of the private CA; empty when the CA is publicly trusted. */
    caChecksum: string;
    /** Checksum of the CA with which the pods of an adopted release were started. */
    adoptedCaChecksum?: string;
    /** PEM: further CAs that Rancher trusts. */
    additionalTrustedCAs?: string;
    ingressAnnotations?: Record<string, string>;
    agentTlsMode?: AgentTlsMode;
    /** Targets that Rancher reaches without its proxy. Undefined without a proxy. */
    noProxy?: string[];
    values: RancherChartValues;
    additionalValues: Record<string, any>;
}

/** Returns the values for the chart, without the bootstrap password and the proxy, which can be secret. */
export function helmValues(input: HelmValuesInput): Record<string, any> {
    return merge(input.additionalValues, typedValues(input));
}

interface Problem {
    path: PropertyKey[];
    message: string;
}

/** Returns the problems of the values as a whole, each with the path of its value. An unknown password counts as none. */
export function checkValues(input: HelmValuesInput & { chartVersion: string; hasPassword?: boolean }): Problem[] {
    const problems = takenNames(input);
    if (input.caChecksum === "" && input.agentTlsMode === AgentTlsMode.Strict) {
        problems.push({
            path: ["agentTlsMode"],
            message:
                "expected system-store for a publicly trusted CA: strict agents trust only a CA that Rancher gives them, and here there is none " +
                "(rancher/rancher#45909). Leave it out, or give the CA as a private one.",
        });
    }
    const mounts = input.values.additionalTrustedCAs;
    if (mounts !== undefined && mounts !== (input.additionalTrustedCAs !== undefined)) {
        const message = mounts
            ? "expected the certificates as PEM text in rancher.additionalTrustedCAs: without their Secret no pod starts. Give them there."
            : "expected nothing beside rancher.additionalTrustedCAs, which sets it. Remove it.";
        problems.push({ path: ["values", "additionalTrustedCAs"], message });
    }
    for (const [path, since] of Object.entries(valueSince)) {
        const keys = path.split(".");
        if (at(input.values, keys) !== undefined && !isSince(input.chartVersion, since)) {
            problems.push({
                path: ["values", ...keys],
                message:
                    `expected a chart of Rancher ${since} or later for this value, chartVersion is ${input.chartVersion}, which would ignore it. ` +
                    "Remove it or use a newer chart.",
            });
        }
    }
    const { enabled, level = 0 } = input.values.auditLog ?? {};
    if (level > 0 && enabled === undefined && isSince(input.chartVersion, valueSince["auditLog.enabled"])) {
        const message =
            "expected true, because charts since Rancher 2.12 write no audit log at any level without it. Set true, or false to keep it off.";
        problems.push({ path: ["values", "auditLog", "enabled"], message });
    }
    for (const key of ["proxy", "noProxy"] as const) {
        if (input.noProxy === undefined || input.values[key] === undefined) continue;
        problems.push({
            path: ["values", key],
            message: `expected nothing beside the argument proxy, which sets this value. Use the argument ${key}.`,
        });
    }
    const taken = [...owned, ...leaves(typedValues(input))];
    for (const path of leaves(input.additionalValues)) {
        const other = taken.find(keys => startsWith(keys, path) || startsWith(path, keys));
        if (other) {
            const instead = elsewhere[other.join(".")] ?? `Use values.${other.join(".")}`;
            problems.push({ path: ["additionalValues", ...path], message: `expected a value that nothing else sets. ${instead}.` });
        }
    }
    return problems;
}

/** Returns a problem for each name in `extraEnv` that the chart sets too. */
function takenNames(input: HelmValuesInput & { hasPassword?: boolean }): Problem[] {
    const { noProxy, values, hasPassword } = input;
    const all = { ...helmValues(input), bootstrapPassword: hasPassword, ...(noProxy && { proxy: true }) };
    return (values.extraEnv ?? []).flatMap(({ name }, index) => {
        const message = takenName(name, all);
        return message ? [{ path: ["values", "extraEnv", index, "name"], message }] : [];
    });
}

/** Paths that additional values must not set, each with the advice for a user. */
const elsewhere: Record<string, string> = {
    additionalTrustedCAs: "Use additionalTrustedCAs",
    addLocal: "Rancher needs the default",
    agentTLSMode: "Use agentTlsMode",
    bootstrapPassword: "Use bootstrapPassword",
    extraEnv: "Use values.extraEnv",
    hostname: "Use hostname",
    "ingress.servicePort": "The load balancer ends TLS and talks HTTP to port 80",
    "ingress.tls": "The load balancer ends TLS, the Ingress has none",
    nameOverride: "Rancher needs the default",
    noProxy: "Use noProxy",
    privateCA: "It follows from caChecksum",
    proxy: "Use proxy",
    replicas: "Use replicas",
    "service.disableHTTP": "The load balancer ends TLS and talks HTTP to port 80",
    tls: "The load balancer ends TLS",
};
const owned = Object.keys(elsewhere).map(path => path.split("."));

function typedValues(input: HelmValuesInput): Values {
    const { hostname, replicas, caChecksum, adoptedCaChecksum, additionalTrustedCAs, agentTlsMode, ingressAnnotations, noProxy, values } =
        input;
    const privateCa = caChecksum !== "";
    // Rancher's own default is `strict`, and strict agents need a CA from Rancher.
    const mode = agentTlsMode ?? (privateCa ? undefined : AgentTlsMode.SystemStore);
    // Rancher reads the CA only when a pod starts, so a new CA must restart the pods.
    const isNewCa = privateCa && caChecksum !== adoptedCaChecksum;
    // The chart mounts both CAs by subPath, which a running pod never sees anew.
    const checksums = [
        ...(isNewCa ? [{ name: caVariable, value: caChecksum }] : []),
        ...(additionalTrustedCAs === undefined ? [] : [{ name: additionalCasVariable, value: checksumOf(additionalTrustedCAs) }]),
    ];
    const extraEnv = [...(values.extraEnv ?? []), ...checksums];
    return {
        ...values,
        ...(additionalTrustedCAs === undefined ? {} : { additionalTrustedCAs: true }),
        hostname,
        replicas,
        tls: "external",
        privateCA: privateCa,
        ...(mode ? { agentTLSMode: mode } : {}),
        ...(extraEnv.length > 0 ? { extraEnv } : {}),
        ...(noProxy && { noProxy: noProxyValue(hostname, noProxy) }),
        ingress: {
            // Charts since 2.14 no longer set these timeouts, and ingress-nginx would close idle WebSockets after one minute.
            includeDefaultExtraAnnotations: true,
            ...values.ingress,
            ...(ingressAnnotations && { extraAnnotations: { ...ingressAnnotations, ...values.ingress?.extraAnnotations } }),
            // The source is unused with external TLS, but any other value makes the chart require cert-manager.
            tls: { source: "secret" },
        },
    };
}

type Values = Record<string, unknown>;

/** Returns both objects as one. Of two values under a key, the second one stays, unless both are objects. */
export function merge(below: Values, above: Values): Values {
    const mergedAt = (first: unknown, second: unknown) => (isMap(first) && isMap(second) ? merge(first, second) : second);
    return { ...below, ...Object.fromEntries(Object.entries(above).map(([key, value]) => [key, mergedAt(below[key], value)])) };
}

function leaves(value: unknown, path: string[] = []): string[][] {
    if (!isMap(value) || Object.keys(value).length === 0) return path.length > 0 ? [path] : [];
    return Object.entries(value).flatMap(([key, below]) => (below === undefined ? [] : leaves(below, [...path, key])));
}

function at(value: unknown, path: string[]): unknown {
    return path.reduce<unknown>((below, key) => (isMap(below) ? below[key] : undefined), value);
}

function isMap(value: unknown): value is Values {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

function startsWith(path: string[], start: string[]): boolean {
    return start.every((key, index) => path[index] === key);
}
