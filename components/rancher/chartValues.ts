import * as pulumi from "@pulumi/pulumi";

/** Name of the environment variable that restarts the pods when the CA changes. */
export const caVariable = "PULUMI_RANCHER_HA_CA_SHA256";

/** Name of the environment variable that restarts the pods when the additional CAs change. */
export const additionalCasVariable = "PULUMI_RANCHER_HA_ADDITIONAL_CAS_SHA256";

/** Pod anti-affinity: how strongly Rancher's pods avoid a shared node. */
export const AntiAffinity = {
    Preferred: "preferred",
    /** Requires one node more than replicas for a rollout. */
    Required: "required",
} as const;
export type AntiAffinity = (typeof AntiAffinity)[keyof typeof AntiAffinity];

/** Destinations of the audit log. */
export const AuditLogDestination = { Sidecar: "sidecar", HostPath: "hostPath" } as const;
export type AuditLogDestination = (typeof AuditLogDestination)[keyof typeof AuditLogDestination];

/** Pull policies of an image. */
export const PullPolicy = { Always: "Always", IfNotPresent: "IfNotPresent", Never: "Never" } as const;
export type PullPolicy = (typeof PullPolicy)[keyof typeof PullPolicy];

export interface ChartImageArgs {
    /** Registry host. @default none, or `systemDefaultRegistry` */
    registry?: pulumi.Input<string>;
    /**
     * Repository, for example `rancher/rancher`. A name that no container engine takes is refused. So is one with a tag.
     * @default the repository in the chart
     */
    repository?: pulumi.Input<string>;
    /** Tag of the image. @default the tag in the chart */
    tag?: pulumi.Input<string>;
    /** Pull policy of the image. @default IfNotPresent */
    pullPolicy?: pulumi.Input<PullPolicy>;
}

export interface ChartResourcesArgs {
    /** Upper bounds, for example `{ memory: "4Gi" }`. @default {} */
    limits?: pulumi.Input<{ [resource: string]: pulumi.Input<string> }>;
    /** Amounts that the scheduler reserves, for example `{ cpu: "1", memory: "2Gi" }`. One above its limit is refused. @default {} */
    requests?: pulumi.Input<{ [resource: string]: pulumi.Input<string> }>;
}

export interface ChartProbeArgs {
    /** Seconds to wait for an answer. @default 5 */
    timeoutSeconds?: pulumi.Input<number>;
    /** Seconds between two probes. @default 10 for the startup probe, 30 for the others */
    periodSeconds?: pulumi.Input<number>;
    /** Failures in a row until the probe counts as failed. @default 12 for the startup probe, 5 for the others */
    failureThreshold?: pulumi.Input<number>;
}

export interface ChartEnvironmentVariableArgs {
    /** Name of the environment variable. */
    name: pulumi.Input<string>;
    /** Value of the variable. @default none */
    value?: pulumi.Input<string>;
    /** Source of the value, for example `{ secretKeyRef: { name, key } }`. Use a source for credentials. @default none */
    valueFrom?: pulumi.Input<{ [key: string]: any }>;
}

export interface ChartPullSecretArgs {
    /** Name of a Secret of type `kubernetes.io/dockerconfigjson` in Rancher's namespace. */
    name: pulumi.Input<string>;
}

export interface ChartAuditLogArgs {
    /**
     * Writes the log. With Rancher 2.12 and later, a `level` above 0 without this value is refused. Earlier versions write the log when
     * `level` is above 0.
     * @default false
     */
    enabled?: pulumi.Input<boolean>;
    /**
     * Detail of the log: 0 metadata, 1 with the headers of requests and responses, 2 with request bodies, 3 with response bodies. Before
     * Rancher 2.12, 0 is off and 1 is metadata.
     * @default 0
     */
    level?: pulumi.Input<number>;
    /** Destination of the log. @default sidecar */
    destination?: pulumi.Input<AuditLogDestination>;
    /** Folder on the node, for the destination `hostPath`. A relative path is refused. @default /var/log/rancher/audit/ */
    hostPath?: pulumi.Input<string>;
    /** Days for which old files are kept. @default 1 */
    maxAge?: pulumi.Input<number>;
    /** Number of files that are kept. @default 1 */
    maxBackup?: pulumi.Input<number>;
    /** Megabytes after which a file is rotated. @default 100 */
    maxSize?: pulumi.Input<number>;
    /** Image of the sidecar. */
    image?: pulumi.Input<ChartImageArgs>;
    /** Resources of the sidecar. */
    resources?: pulumi.Input<ChartResourcesArgs>;
}

export interface ChartIngressArgs {
    /** Lets the chart create an Ingress. With false, you create one yourself. @default true */
    enabled?: pulumi.Input<boolean>;
    /** Ingress class. @default the cluster's default class */
    ingressClassName?: pulumi.Input<string>;
    /** Sets the timeouts of ingress-nginx: 30 s to connect, 1800 s to read and to send. @default true */
    includeDefaultExtraAnnotations?: pulumi.Input<boolean>;
    /** Annotations of the Ingress. @default {} */
    extraAnnotations?: pulumi.Input<{ [annotation: string]: pulumi.Input<string> }>;
    /** NGINX directives for ingress-nginx. @default none */
    configurationSnippet?: pulumi.Input<string>;
    /** Kind of path match. @default ImplementationSpecific */
    pathType?: pulumi.Input<string>;
    /** Path of the Ingress. @default / */
    path?: pulumi.Input<string>;
}

export interface ChartServiceArgs {
    /** Type of the Service. @default ClusterIP */
    type?: pulumi.Input<string>;
    /** Annotations of the Service. @default {} */
    annotations?: pulumi.Input<{ [annotation: string]: pulumi.Input<string> }>;
}

export interface ChartPostDeleteArgs {
    /** Also removes the Helm releases that Rancher itself installed, when its own release is removed. @default true */
    enabled?: pulumi.Input<boolean>;
    /** Image of the Job that removes them. */
    image?: pulumi.Input<ChartImageArgs>;
    /** Namespaces to clean. @default [cattle-fleet-system, cattle-system, rancher-operator-system] */
    namespaceList?: pulumi.Input<pulumi.Input<string>[]>;
    /** Seconds to wait until one release is removed. @default 120 */
    timeout?: pulumi.Input<number>;
    /** Accepts a release that is not removed in time. @default false */
    ignoreTimeoutError?: pulumi.Input<boolean>;
}

export interface ChartPreUpgradeArgs {
    /** Image of the Job that checks before an upgrade. */
    image?: pulumi.Input<ChartImageArgs>;
}

/**
 * Values of the Rancher chart under the chart's own names, without the values that the stack sets. Source: the chart's values.yaml and
 * README, Rancher 2.9 to 2.15. Omitted values keep the chart's default. A value that the chosen chart does not know yet is refused,
 * because the chart would ignore it silently.
 */
export interface RancherChartValuesArgs {
    /**
     * Mounts the Secret `tls-ca-additional`. `rancher.additionalTrustedCAs` sets it, and without that argument true is refused.
     * @default false
     */
    additionalTrustedCAs?: pulumi.Input<boolean>;
    /** Time that Rancher waits for the aggregation layer of the Kubernetes API. Rancher 2.12 and later. @default 5m */
    aggregationRegistrationTimeout?: pulumi.Input<string>;
    /** Pod anti-affinity: `preferred` means that pods should run on different nodes, `required` that they must. @default preferred */
    antiAffinity?: pulumi.Input<AntiAffinity>;
    /** Audit log of the API. */
    auditLog?: pulumi.Input<ChartAuditLogArgs>;
    /** Time that Rancher waits for its caches. Rancher 2.11 and later. @default 5m */
    cacheSyncTimeout?: pulumi.Input<string>;
    /**
     * Custom logos: `enabled`, `volumeKind`, `volumeName`, `storageClass`, `accessMode`, `size`, `volumeSubpaths`.
     * @default no custom logos
     */
    customLogos?: pulumi.Input<{ [key: string]: any }>;
    /** Debug log of Rancher. @default false */
    debug?: pulumi.Input<boolean>;
    /**
     * Further environment variables. A name that occurs twice is refused. So is one that the chart sets itself, such as `CATTLE_NAMESPACE`,
     * or `HTTP_PROXY` beside `rancher.proxy`. `PULUMI_RANCHER_HA_CA_SHA256` and `PULUMI_RANCHER_HA_ADDITIONAL_CAS_SHA256`, which the stack
     * uses, are refused too.
     */
    extraEnv?: pulumi.Input<pulumi.Input<ChartEnvironmentVariableArgs>[]>;
    /** Further node selector terms. Rancher 2.10 and later. @default [] */
    extraNodeSelectorTerms?: pulumi.Input<{ [key: string]: any }[]>;
    /** Further objects to create with the release. Rancher 2.11 and later. @default [] */
    extraObjects?: pulumi.Input<{ [key: string]: any }[]>;
    /** Further taints to tolerate. A toleration that Kubernetes does not accept is refused. @default [] */
    extraTolerations?: pulumi.Input<{ [key: string]: any }[]>;
    /** Feature flags, for example `harvester=true,fleet=false`. @default none */
    features?: pulumi.Input<string>;
    /** Values of the fleet chart that Rancher installs. @default none */
    fleet?: pulumi.Input<{ [key: string]: any }>;
    /** Uses the network of the node. Rancher 2.12 and later. @default false */
    hostNetwork?: pulumi.Input<boolean>;
    /** Port of the node that forwards to port 444 of Rancher. @default none */
    hostPort?: pulumi.Input<number>;
    /** Image of Rancher. Rancher 2.12 and later; earlier versions use `rancherImage`, `rancherImageTag` and `rancherImagePullPolicy`. */
    image?: pulumi.Input<ChartImageArgs>;
    /** Secrets for pulling images. */
    imagePullSecrets?: pulumi.Input<pulumi.Input<ChartPullSecretArgs>[]>;
    /** The Ingress of Rancher. */
    ingress?: pulumi.Input<ChartIngressArgs>;
    /** Liveness probe: a pod that fails it is restarted. */
    livenessProbe?: pulumi.Input<ChartProbeArgs>;
    /** Creates no user `admin`. @default false */
    noDefaultAdmin?: pulumi.Input<boolean>;
    /** Destinations without the proxy, comma separated. @default loopback, private ranges, `.svc`, `.cluster.local` */
    noProxy?: pulumi.Input<string>;
    /** Cleanup after the release is removed. */
    postDelete?: pulumi.Input<ChartPostDeleteArgs>;
    /** Checks before an upgrade. Rancher 2.12 and later. */
    preUpgrade?: pulumi.Input<ChartPreUpgradeArgs>;
    /** Priority class of the pods. @default rancher-critical */
    priorityClassName?: pulumi.Input<string>;
    /**
     * Proxy for Rancher's own requests, as an adopted release has it. The argument `proxy` computes `noProxy` too. Refused beside it.
     * @default no proxy
     */
    proxy?: pulumi.Input<string>;
    /**
     * Repository of Rancher's image. A name that no container engine takes is refused. So is one with a tag. Deprecated since Rancher 2.12.
     * @default rancher/rancher
     */
    rancherImage?: pulumi.Input<string>;
    /** Pull policy of Rancher's image. Deprecated since Rancher 2.12. @default IfNotPresent */
    rancherImagePullPolicy?: pulumi.Input<PullPolicy>;
    /** Tag of Rancher's image. Deprecated since Rancher 2.12. @default the tag in the chart */
    rancherImageTag?: pulumi.Input<string>;
    /** Labels and annotations for Rancher's namespaces. Rancher 2.13 and later. @default none */
    rancherNamespaces?: pulumi.Input<{ [key: string]: any }>;
    /** Readiness probe: a pod that fails it gets no requests. */
    readinessProbe?: pulumi.Input<ChartProbeArgs>;
    /** Resources of Rancher's pods. @default {} */
    resources?: pulumi.Input<ChartResourcesArgs>;
    /** The Service of Rancher. */
    service?: pulumi.Input<ChartServiceArgs>;
    /** Startup probe: limits the time that a pod takes to start. Raise `failureThreshold` for slow nodes. */
    startupProbe?: pulumi.Input<ChartProbeArgs>;
    /**
     * Registry from which Rancher pulls the images of the charts that it installs. Before Rancher 2.12, Rancher's own image needs
     * `rancherImage`, too. A URL is refused. @default Docker Hub
     */
    systemDefaultRegistry?: pulumi.Input<string>;
    /** Uses `imagePullSecrets` for `systemDefaultRegistry` too. Rancher 2.15 and later. @default false */
    systemRegistryInheritsPullSecrets?: pulumi.Input<boolean>;
    /** Node label by which pods are spread. @default kubernetes.io/hostname */
    topologyKey?: pulumi.Input<string>;
    /** Uses the charts inside Rancher's image instead of downloaded ones: for nodes without internet access. @default false */
    useBundledSystemChart?: pulumi.Input<boolean>;
    /** Values of the rancher-webhook chart that Rancher installs. @default none */
    webhook?: pulumi.Input<{ [key: string]: any }>;
}
