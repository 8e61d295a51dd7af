import * as pulumi from "@pulumi/pulumi";

/** How strongly Rancher's pods avoid sharing a node. */
export const AntiAffinity = {
    Preferred: "preferred",
    /** A rollout needs one node more than replicas. */
    Required: "required",
} as const;
export type AntiAffinity = (typeof AntiAffinity)[keyof typeof AntiAffinity];

/** Where the audit log goes. */
export const AuditLogDestination = { Sidecar: "sidecar", HostPath: "hostPath" } as const;
export type AuditLogDestination = (typeof AuditLogDestination)[keyof typeof AuditLogDestination];

/** When an image is pulled. */
export const PullPolicy = { Always: "Always", IfNotPresent: "IfNotPresent", Never: "Never" } as const;
export type PullPolicy = (typeof PullPolicy)[keyof typeof PullPolicy];

export interface ChartImageArgs {
    /** Registry host. @default none, or `systemDefaultRegistry` */
    registry?: pulumi.Input<string>;
    /** Repository, for example `rancher/rancher`. */
    repository?: pulumi.Input<string>;
    /** Tag. @default that of the chart */
    tag?: pulumi.Input<string>;
    /** When the image is pulled. @default IfNotPresent */
    pullPolicy?: pulumi.Input<PullPolicy>;
}

export interface ChartResourcesArgs {
    /** Upper bounds, for example `{ memory: "4Gi" }`. */
    limits?: pulumi.Input<{ [resource: string]: pulumi.Input<string> }>;
    /** What the scheduler sets aside, for example `{ cpu: "1", memory: "2Gi" }`. */
    requests?: pulumi.Input<{ [resource: string]: pulumi.Input<string> }>;
}

export interface ChartProbeArgs {
    /** Seconds to wait for an answer. @default 5 */
    timeoutSeconds?: pulumi.Input<number>;
    /** Seconds between two probes. @default 10 for the startup probe, 30 for the others */
    periodSeconds?: pulumi.Input<number>;
    /** Failures in a row that count. @default 12 for the startup probe, 5 for the others */
    failureThreshold?: pulumi.Input<number>;
}

export interface ChartEnvironmentVariableArgs {
    /** Name of the variable. */
    name: pulumi.Input<string>;
    /** Its value. */
    value?: pulumi.Input<string>;
    /** Where its value comes from, for example `{ secretKeyRef: { name, key } }`: the way for credentials. */
    valueFrom?: pulumi.Input<{ [key: string]: any }>;
}

export interface ChartPullSecretArgs {
    /** Name of a Secret of type `kubernetes.io/dockerconfigjson` in Rancher's namespace. */
    name: pulumi.Input<string>;
}

export interface ChartAuditLogArgs {
    /** Whether the log is written. Rancher 2.12 and later; earlier ones log when `level` is above 0. @default false */
    enabled?: pulumi.Input<boolean>;
    /**
     * 0 metadata (off before Rancher 2.12), 1 with the headers of requests and responses (up to 2.11: metadata), 2 with request bodies, 3
     * with response bodies.
     * @default 0
     */
    level?: pulumi.Input<number>;
    /** Where the log goes. @default sidecar */
    destination?: pulumi.Input<AuditLogDestination>;
    /** Folder on the node, for the destination `hostPath`. @default /var/log/rancher/audit/ */
    hostPath?: pulumi.Input<string>;
    /** Days to keep old files. @default 1 */
    maxAge?: pulumi.Input<number>;
    /** Files to keep. @default 1 */
    maxBackup?: pulumi.Input<number>;
    /** Megabytes after which a file is rotated. @default 100 */
    maxSize?: pulumi.Input<number>;
    /** Image of the sidecar. */
    image?: pulumi.Input<ChartImageArgs>;
    /** Resources of the sidecar. */
    resources?: pulumi.Input<ChartResourcesArgs>;
}

export interface ChartIngressArgs {
    /** Whether the chart makes an Ingress; false leaves making one to you. @default true */
    enabled?: pulumi.Input<boolean>;
    /** Ingress class. @default that of the cluster */
    ingressClassName?: pulumi.Input<string>;
    /** Timeouts of 30 s to connect and 1800 s to read and send for ingress-nginx. @default true */
    includeDefaultExtraAnnotations?: pulumi.Input<boolean>;
    /** Annotations of the Ingress. */
    extraAnnotations?: pulumi.Input<{ [annotation: string]: pulumi.Input<string> }>;
    /** NGINX directives for ingress-nginx. */
    configurationSnippet?: pulumi.Input<string>;
    /** Kind of path match. @default ImplementationSpecific */
    pathType?: pulumi.Input<string>;
    /** Path. @default / */
    path?: pulumi.Input<string>;
}

export interface ChartServiceArgs {
    /** Type of the Service. @default ClusterIP */
    type?: pulumi.Input<string>;
    /** Annotations of the Service. */
    annotations?: pulumi.Input<{ [annotation: string]: pulumi.Input<string> }>;
}

export interface ChartPostDeleteArgs {
    /** Whether removing the release also removes what Rancher installed by itself. @default true */
    enabled?: pulumi.Input<boolean>;
    /** Image of the Job that does it. */
    image?: pulumi.Input<ChartImageArgs>;
    /** Namespaces to clean. @default [cattle-fleet-system, cattle-system, rancher-operator-system] */
    namespaceList?: pulumi.Input<pulumi.Input<string>[]>;
    /** Seconds to wait for one release to go. @default 120 */
    timeout?: pulumi.Input<number>;
    /** Whether a release that does not go in time is accepted. @default false */
    ignoreTimeoutError?: pulumi.Input<boolean>;
}

export interface ChartPreUpgradeArgs {
    /** Image of the Job that checks before an upgrade. */
    image?: pulumi.Input<ChartImageArgs>;
}

/**
 * Values of the Rancher chart under the chart's own names, apart from those that the stack decides. Source: the chart's
 * values.yaml and README, Rancher 2.9 to 2.15. Left out values keep the chart's default; a value that the chosen chart does not know
 * yet is refused, because the chart would ignore it silently.
 */
export interface RancherChartValuesArgs {
    /** Trust the CAs in Secret `tls-ca-additional`, key `ca-additional.pem`. @default false */
    additionalTrustedCAs?: pulumi.Input<boolean>;
    /** How long Rancher waits for the aggregation layer of the Kubernetes API. Rancher 2.12 and later. @default 5m */
    aggregationRegistrationTimeout?: pulumi.Input<string>;
    /** Whether pods should, or must, run on different nodes. @default preferred */
    antiAffinity?: pulumi.Input<AntiAffinity>;
    /** Audit log of the API. */
    auditLog?: pulumi.Input<ChartAuditLogArgs>;
    /** How long Rancher waits for its caches. Rancher 2.11 and later. @default 5m */
    cacheSyncTimeout?: pulumi.Input<string>;
    /** Custom logos: `enabled`, `volumeKind`, `volumeName`, `storageClass`, `accessMode`, `size`, `volumeSubpaths`. */
    customLogos?: pulumi.Input<{ [key: string]: any }>;
    /** Debug log of Rancher. @default false */
    debug?: pulumi.Input<boolean>;
    /** Further environment variables. The name `PULUMI_RANCHER_HA_CA_SHA256` is taken. */
    extraEnv?: pulumi.Input<pulumi.Input<ChartEnvironmentVariableArgs>[]>;
    /** Further node selector terms. Rancher 2.10 and later. */
    extraNodeSelectorTerms?: pulumi.Input<{ [key: string]: any }[]>;
    /** Further objects to create with the release. Rancher 2.11 and later. */
    extraObjects?: pulumi.Input<{ [key: string]: any }[]>;
    /** Further taints to tolerate. */
    extraTolerations?: pulumi.Input<{ [key: string]: any }[]>;
    /** Feature flags, for example `harvester=true,fleet=false`. */
    features?: pulumi.Input<string>;
    /** Values of the fleet chart that Rancher installs. */
    fleet?: pulumi.Input<{ [key: string]: any }>;
    /** Use the network of the node. Rancher 2.12 and later. @default false */
    hostNetwork?: pulumi.Input<boolean>;
    /** Port of the node that leads to port 444 of Rancher. */
    hostPort?: pulumi.Input<number>;
    /** Image of Rancher. Rancher 2.12 and later; before, `rancherImage` and its two fellows. */
    image?: pulumi.Input<ChartImageArgs>;
    /** Secrets for pulling images. */
    imagePullSecrets?: pulumi.Input<pulumi.Input<ChartPullSecretArgs>[]>;
    /** The Ingress of Rancher. */
    ingress?: pulumi.Input<ChartIngressArgs>;
    /** When a pod is restarted. */
    livenessProbe?: pulumi.Input<ChartProbeArgs>;
    /** Do not create the user `admin`. @default false */
    noDefaultAdmin?: pulumi.Input<boolean>;
    /** Where the proxy is not used, comma separated. @default loopback, private ranges, `.svc`, `.cluster.local` */
    noProxy?: pulumi.Input<string>;
    /** Cleaning up after the release is removed. */
    postDelete?: pulumi.Input<ChartPostDeleteArgs>;
    /** Checks before an upgrade. Rancher 2.12 and later. */
    preUpgrade?: pulumi.Input<ChartPreUpgradeArgs>;
    /** Priority class of the pods. @default rancher-critical */
    priorityClassName?: pulumi.Input<string>;
    /** Proxy for Rancher's own requests, as a URL. With credentials use `extraEnv` and `secretKeyRef` instead. */
    proxy?: pulumi.Input<string>;
    /** Repository of Rancher's image. Deprecated since Rancher 2.12. @default rancher/rancher */
    rancherImage?: pulumi.Input<string>;
    /** When Rancher's image is pulled. Deprecated since Rancher 2.12. @default IfNotPresent */
    rancherImagePullPolicy?: pulumi.Input<PullPolicy>;
    /** Tag of Rancher's image. Deprecated since Rancher 2.12. @default that of the chart */
    rancherImageTag?: pulumi.Input<string>;
    /** Labels and annotations for Rancher's namespaces. Rancher 2.13 and later. */
    rancherNamespaces?: pulumi.Input<{ [key: string]: any }>;
    /** When a pod gets requests. */
    readinessProbe?: pulumi.Input<ChartProbeArgs>;
    /** Resources of Rancher's pods. @default {} */
    resources?: pulumi.Input<ChartResourcesArgs>;
    /** The Service of Rancher. */
    service?: pulumi.Input<ChartServiceArgs>;
    /** How long a pod may take to start; raise `failureThreshold` for slow nodes. */
    startupProbe?: pulumi.Input<ChartProbeArgs>;
    /** Registry from which Rancher pulls the images of what it installs. @default Docker Hub */
    systemDefaultRegistry?: pulumi.Input<string>;
    /** Use `imagePullSecrets` for that registry too. Rancher 2.15 and later. @default false */
    systemRegistryInheritsPullSecrets?: pulumi.Input<boolean>;
    /** Node label by which pods are spread. @default kubernetes.io/hostname */
    topologyKey?: pulumi.Input<string>;
    /** Use the charts inside Rancher's image instead of fetching them: for nodes without a way out. @default false */
    useBundledSystemChart?: pulumi.Input<boolean>;
    /** Values of the rancher-webhook chart that Rancher installs. */
    webhook?: pulumi.Input<{ [key: string]: any }>;
}
