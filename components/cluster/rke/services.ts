import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { maybeSecret } from "../../secrecy";
import { isUnique, valueAt, whenKnown } from "../../validation";
import { objectNameSchema } from "../kubernetesNames";

/** Additions to the container of a Kubernetes service. A change restarts the service on every node that runs it. */
export interface RkeServiceArgs {
    /**
     * Flags without their leading dashes, each with its value as a string, such as `max-pods: "250"`. Kubernetes checks names and values only
     * when the service starts. A flag that RKE or another argument sets is refused.
     * @default {}
     */
    extraArgs?: pulumi.Input<Record<string, pulumi.Input<string>>>;
    /** Folders or files of the node in the container, as `/on/the/node:/in/the/container`, with options such as `:ro` behind. @default [] */
    extraBinds?: pulumi.Input<pulumi.Input<string>[]>;
    /** Environment variables of the container, as `NAME=value`. A name that occurs twice is refused. @default [] */
    extraEnv?: pulumi.Input<pulumi.Input<string>[]>;
}

/** Formats of the audit log. */
export const AuditLogFormat = { Json: "json", Legacy: "legacy" } as const;
export type AuditLogFormat = (typeof AuditLogFormat)[keyof typeof AuditLogFormat];

/** Audit log of the API server on every control plane node. Without this argument, RKE writes one with the defaults. */
export interface RkeAuditLogArgs {
    /** Writes the audit log. @default true */
    enabled?: pulumi.Input<boolean>;
    /** Days that a rotated file is kept, at most 3650. @default 30 */
    maxAgeDays?: pulumi.Input<number>;
    /** Number of rotated files that are kept, at most 10000. @default 10 */
    maxBackup?: pulumi.Input<number>;
    /** Size in MB at which a file is rotated, at most 10000. @default 100 */
    maxSizeMb?: pulumi.Input<number>;
    /** Path of the file. RKE mounts only the folder /var/log/kube-audit: a path outside is refused. @default /var/log/kube-audit/audit-log.json */
    path?: pulumi.Input<string>;
    /** Format of a line: `json` or `legacy`. @default json */
    format?: pulumi.Input<AuditLogFormat>;
    /**
     * Audit policy as an object with `apiVersion: audit.k8s.io/v1`, `kind: Policy` and `rules`. Another object is refused.
     * @default the metadata of every request
     */
    policy?: pulumi.Input<Record<string, any>>;
}

/** The API server. */
export interface RkeKubeApiArgs extends RkeServiceArgs {
    /** Audit log. @default the log of RKE */
    auditLog?: pulumi.Input<RkeAuditLogArgs>;
    /**
     * Ports of services of the type NodePort, as `first-last` or `first+offset`. A range with a port on which a node listens (80, 443, 2379, 2380, 6443, 10250
     * for example) is refused.
     * @default 30000-32767
     */
    serviceNodePortRange?: pulumi.Input<string>;
    /**
     * Encrypts Secrets in etcd with a key that RKE makes and keeps in its state. A change restarts the API servers and rewrites every Secret.
     * @default false
     */
    secretsEncryption?: pulumi.Input<boolean>;
}

/** The kubelet of every node. */
export interface RkeKubeletArgs extends RkeServiceArgs {
    /** DNS domain of the cluster. Pods keep the domain with which they started, so change it only for a new cluster. @default cluster.local */
    clusterDomain?: pulumi.Input<string>;
}

/** Settings of the Kubernetes services, in containers that RKE starts. */
export interface RkeServicesArgs {
    /** The API server, on control plane nodes. */
    kubeApi?: pulumi.Input<RkeKubeApiArgs>;
    /** The controller manager, on control plane nodes. */
    kubeController?: pulumi.Input<RkeServiceArgs>;
    /** The scheduler, on control plane nodes. */
    scheduler?: pulumi.Input<RkeServiceArgs>;
    /** The kubelet, on every node. */
    kubelet?: pulumi.Input<RkeKubeletArgs>;
    /** The kube-proxy, on every node. */
    kubeproxy?: pulumi.Input<RkeServiceArgs>;
    /** The members of etcd, on etcd nodes. */
    etcd?: pulumi.Input<RkeServiceArgs>;
}

/** Services with their key below `services` in cluster.yml. */
export const serviceKeys = {
    kubeApi: "kube-api",
    kubeController: "kube-controller",
    scheduler: "scheduler",
    kubelet: "kubelet",
    kubeproxy: "kubeproxy",
    etcd: "etcd",
} as const;
type Service = keyof typeof serviceKeys;

/** Ports on which RKE's services and the ingress controller listen on nodes. */
const nodePorts = [80, 443, 2379, 2380, 6443, 8443, 9099, 10248, 10249, 10250, 10254, 10256, 10257, 10259];

/** Flags that arguments of the cluster set, with the argument. Source: cluster/plan.go of RKE 1.8.14, which lets extra_args win. */
const flagsOfArguments: Record<Service, Record<string, string>> = {
    kubeApi: {
        "advertise-address": "nodes[].internalAddress",
        "audit-log-format": "services.kubeApi.auditLog",
        "audit-log-maxage": "services.kubeApi.auditLog",
        "audit-log-maxbackup": "services.kubeApi.auditLog",
        "audit-log-maxsize": "services.kubeApi.auditLog",
        "audit-log-path": "services.kubeApi.auditLog",
        "audit-policy-file": "services.kubeApi.auditLog",
        "encryption-provider-config": "services.kubeApi.secretsEncryption",
        "service-cluster-ip-range": "network.serviceClusterIpRange",
        "service-node-port-range": "services.kubeApi.serviceNodePortRange",
    },
    kubeController: {
        "cluster-cidr": "network.clusterCidr",
        "service-cluster-ip-range": "network.serviceClusterIpRange",
    },
    scheduler: {},
    kubelet: {
        "cluster-dns": "network.serviceClusterIpRange",
        "cluster-domain": "services.kubelet.clusterDomain",
        "hostname-override": "nodes[].hostname",
        "node-ip": "nodes[].internalAddress",
        "pod-infra-container-image": "systemImages.podInfraContainer",
        "register-with-taints": "nodes[].taints",
    },
    kubeproxy: { "cluster-cidr": "network.clusterCidr", "hostname-override": "nodes[].hostname" },
    etcd: {},
};

/** Flags with which RKE connects the services with each other, or names its own certificates. */
const flagsOfRke: Record<Service, RegExp> = {
    kubeApi:
        /^(client-ca-file|etcd-(cafile|certfile|keyfile|prefix|servers)|kubelet-client-.*|proxy-client-.*|requestheader-.*|secure-port|service-account-key-file|tls-(cert|private-key)-file)$/,
    kubeController:
        /^((authentication-|authorization-)?kubeconfig|root-ca-file|service-account-private-key-file|use-service-account-credentials)$/,
    scheduler: /^((authentication-|authorization-)?kubeconfig)$/,
    kubelet: /^(client-ca-file|container-runtime-endpoint|kubeconfig|root-dir)$/,
    kubeproxy: /^kubeconfig$/,
    etcd: /^(name|data-dir|initial-.*|listen-.*-urls|advertise-client-urls|(peer-)?(cert-file|key-file|trusted-ca-file|client-cert-auth))$/,
};

const oneLine = z.string().regex(/^[^\r\n\0]*$/, "expected one line");

/** Returns the reason why a flag cannot be set, or undefined. */
function flagProblem(service: Service, flag: string): string | undefined {
    if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(flag))
        return "expected the name of a flag without leading dashes, such as max-pods. Rename it.";
    const argument = flagsOfArguments[service][flag];
    if (argument) return `expected a flag that no other argument sets. Use ${argument}.`;
    if (flagsOfRke[service].test(flag)) return "expected a flag that RKE leaves free, and RKE needs its own value of this one. Remove it.";
    return undefined;
}

const variable = /^[A-Za-z_][A-Za-z0-9_]*=/;
const namesOf = (variables: string[]) => variables.map(each => each.split("=")[0]);

const serviceShape = (service: Service) => ({
    extraArgs: z
        .record(z.string(), oneLine)
        .superRefine(
            (flags, context) =>
                Object.keys(flags).forEach(flag => {
                    const message = flagProblem(service, flag);
                    if (message) context.addIssue({ code: "custom", path: [flag], message });
                }),
            whenKnown(z.looseObject({})),
        )
        .default({}),
    extraBinds: z
        .array(
            z
                .string()
                .regex(/^\/[^:\s]*:\/[^:\s]*(:[a-zA-Z,]+)?$/, "expected /on/the/node:/in/the/container, with options such as :ro behind"),
        )
        .default([]),
    extraEnv: maybeSecret(z.array(oneLine.regex(variable, "expected NAME=value")))
        .refine(variables => isUnique(namesOf(variables)), "expected each name once.")
        .default([]),
});
const serviceSchema = (service: Service) => z.strictObject(serviceShape(service)).prefault({});

const auditLogSchema = z.strictObject({
    enabled: z.boolean().default(true),
    maxAgeDays: z.number().int().min(1).max(3650).default(30),
    maxBackup: z.number().int().min(1).max(10_000).default(10),
    maxSizeMb: z.number().int().min(1).max(10_000).default(100),
    path: z
        .string()
        .regex(/^\/var\/log\/kube-audit\/[-.\w]+$/, "expected a file in /var/log/kube-audit, the only folder that RKE mounts for it")
        .default("/var/log/kube-audit/audit-log.json"),
    format: z.enum(AuditLogFormat).default(AuditLogFormat.Json),
    policy: z
        .record(z.string(), z.any())
        .refine(
            ({ apiVersion, kind, rules }) =>
                apiVersion === "audit.k8s.io/v1" && kind === "Policy" && Array.isArray(rules) && rules.length > 0,
            "expected an audit policy with apiVersion audit.k8s.io/v1, kind Policy and at least one of rules.",
        )
        .optional(),
});

const portRange = z.string().superRefine((range, context) => {
    const problem = (message: string) => context.addIssue({ code: "custom", message });
    const [, low, sign, high] = /^(\d{1,5})([-+])(\d{1,5})$/.exec(range) ?? [];
    const first = Number(low);
    // Source: PortRange in k8s.io/apimachinery/pkg/util/net, where the port behind a + is an offset.
    const last = Number(high) + (sign === "+" ? first : 0);
    if (!(1 <= first && first <= last && last <= 65535)) return problem("expected two ports as first-last, such as 30000-32767");
    const taken = nodePorts.find(port => first <= port && port <= last);
    if (taken) problem(`expected a range without port ${taken}, on which nodes listen`);
});

/** Schema of the Kubernetes services. */
export const servicesSchema = z
    .strictObject({
        kubeApi: z
            .strictObject({
                ...serviceShape("kubeApi"),
                auditLog: auditLogSchema.optional(),
                serviceNodePortRange: portRange.optional(),
                secretsEncryption: z.boolean().default(false),
            })
            .prefault({}),
        kubeController: serviceSchema("kubeController"),
        scheduler: serviceSchema("scheduler"),
        kubelet: z.strictObject({ ...serviceShape("kubelet"), clusterDomain: objectNameSchema.optional() }).prefault({}),
        kubeproxy: serviceSchema("kubeproxy"),
        etcd: serviceSchema("etcd"),
    })
    .prefault({});

type Services = z.output<typeof servicesSchema>;

/** Returns the prefix length of each node's range of pods, which the controller manager hands out, or undefined for one that is unknown. */
export function nodeMask(services: unknown): string | undefined {
    const flags = ["node-cidr-mask-size", "node-cidr-mask-size-ipv4"].map(flag => valueAt(services, ["kubeController", "extraArgs", flag]));
    const mask = flags.find(each => each !== undefined) ?? "24";
    return typeof mask === "string" && /^([1-9]|[12]\d|3[0-2])$/.test(mask) ? mask : undefined;
}

/** Returns the keys of cluster.yml for each service. Arguments that were left out have no key. */
export function servicesYml(services: Services): Record<Service, object> {
    const { auditLog, serviceNodePortRange, secretsEncryption } = services.kubeApi;
    const { clusterDomain } = services.kubelet;
    return {
        kubeApi: {
            ...(serviceNodePortRange && { service_node_port_range: serviceNodePortRange }),
            ...(auditLog && { audit_log: auditLogYml(auditLog) }),
            ...(secretsEncryption && { secrets_encryption_config: { enabled: true } }),
            ...additions(services.kubeApi),
        },
        kubeController: additions(services.kubeController),
        scheduler: additions(services.scheduler),
        kubelet: { ...(clusterDomain && { cluster_domain: clusterDomain }), ...additions(services.kubelet) },
        kubeproxy: additions(services.kubeproxy),
        etcd: additions(services.etcd),
    };
}

const additions = ({ extraArgs, extraBinds, extraEnv }: Services["scheduler"]) => ({
    ...(Object.keys(extraArgs).length > 0 && { extra_args: extraArgs }),
    ...(extraBinds.length > 0 && { extra_binds: extraBinds }),
    ...(extraEnv.length > 0 && { extra_env: extraEnv }),
});

/** Returns every key of the audit log, because RKE takes 0 for a missing one. RKE writes a log while any configuration is there. */
function auditLogYml({ enabled, maxAgeDays, maxBackup, maxSizeMb, path, format, policy }: z.output<typeof auditLogSchema>): object {
    if (!enabled) return { enabled };
    const configuration = { max_age: maxAgeDays, max_backup: maxBackup, max_size: maxSizeMb, path, format, ...(policy && { policy }) };
    return { enabled, configuration };
}
