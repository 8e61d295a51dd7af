import * as pulumi from "@pulumi/pulumi";
import { Distribution } from "../cluster/compatibility";
import { DriftMode } from "../remote/drift";
import { ChartRepositoryOptsArgs } from "./chartRepository";
import { RancherChartValuesArgs } from "./chartValues";
import { AgentTlsMode } from "./helmValues";
import { Telemetry } from "./schema";

/** Settings of Rancher that do not come from other resources of the stack. */
export interface RancherSettingsArgs {
    /**
     * Exact version of the Rancher chart, for example `2.11.3`, which is also the version of Rancher. Upgrade one minor version at a time,
     * from the latest patch of one to the latest patch of the next. A version that does not support `kubernetesVersion` is refused. On an
     * existing cluster, versions newer than those tried here give a warning.
     */
    chartVersion: pulumi.Input<string>;
    /**
     * URL of the chart repository. In an OCI registry, the whole reference of the chart, for example
     * `oci://registry.example.com/charts/rancher`. Without `repositoryOpts`, the login of `helm registry login` counts there.
     * The first preview asks a repository for `chartVersion` and refuses one without it. It asks no OCI registry, and nothing behind a proxy.
     * @default the stable repository, `https://releases.rancher.com/server-charts/stable`
     */
    repository?: pulumi.Input<string>;
    /** Login and CA of a private chart repository. Refused unless `repository` is an https URL or in an OCI registry. @default none */
    repositoryOpts?: pulumi.Input<ChartRepositoryOptsArgs>;
    /**
     * Folder or archive of the chart, instead of `repository`: for machines without internet. Its version must be `chartVersion`.
     * @default none
     */
    chartPath?: pulumi.Input<string>;
    /**
     * Mode in which agents decide whether to trust the server. Once set, it can be changed only here. `strict` without a private CA is
     * refused.
     * @default `system-store` with a publicly trusted CA, otherwise Rancher's own default (`strict` on new installations)
     */
    agentTlsMode?: pulumi.Input<AgentTlsMode>;
    /**
     * SHA-256 checksum of the private CA with which an adopted Rancher was installed by hand. Its pods run on while the CA is this one.
     * Without the checksum, the adoption restarts the pods one after the other, and so does removing it later. `npm run adopt` writes it.
     * @default none
     */
    adoptedCaChecksum?: pulumi.Input<string>;
    /**
     * PEM: further CAs that Rancher trusts for its own requests: a proxy, Git servers, chart repositories. They become the Secret
     * `cattle-system/tls-ca-additional`, for which the namespace must exist. Other CAs restart the pods one after the other. Refused unless
     * every block is a CA certificate valid today. Source: the chart's value `additionalTrustedCAs`.
     * @default none
     */
    additionalTrustedCAs?: pulumi.Input<string>;
    /**
     * Choice whether Rancher sends anonymous usage statistics, the setting `telemetry-opt`. Rancher before 2.11 alone has it, and with a
     * newer `chartVersion` it is refused. A later choice in Rancher's own pages stays until this argument changes.
     * @default the first administrator chooses
     */
    telemetry?: pulumi.Input<Telemetry>;
    /**
     * Time in UTC at which somebody agreed to the end user license agreement, for example `2025-06-30T12:00:00Z`: the setting
     * `eula-agreed`. Without it, the first administrator is asked.
     * @default not agreed
     */
    eulaAgreed?: pulumi.Input<string>;
    /**
     * Number of Rancher pods, from -100 to 100, without 0. With a negative number, Rancher chooses between 1 and the absolute value, by the
     * number of nodes.
     * @default 3
     */
    replicas?: pulumi.Input<number>;
    /**
     * Password of `admin` for the first login, of at least 12 characters and at most 72 bytes. It is kept as a secret. Changing it after the
     * first installation has no effect. An empty string gives the chart none: Rancher makes one in the Secret `bootstrap-secret`. An adopted
     * release without a password needs this, because its pods would restart.
     * @default 24 random letters and digits
     */
    bootstrapPassword?: pulumi.Input<string>;
    /**
     * HTTP proxy for requests of Rancher's pods and its backup operator to the outside, as an http or https URL without a path. Give a
     * URL with a password as a secret. The chart writes the URL into the environment of the pods, readable for those who may read Rancher's Deployment.
     * @default no proxy
     */
    proxy?: pulumi.Input<string>;
    /**
     * Further targets without the proxy, each an address, a range or a DNS name, where `.example.com` means all names below. The chart's
     * own ones stay: the private ranges, `.svc` and `.cluster.local`. The stack adds its host name, its nodes, and the ranges and domain of
     * its cluster. Refused without `proxy`.
     * @default none
     */
    noProxy?: pulumi.Input<pulumi.Input<string>[]>;
    /** Further values of the chart. @default {} */
    values?: pulumi.Input<RancherChartValuesArgs>;
    /**
     * Values that only a newer chart knows, so that `values` lacks them. Every key that `values` or another argument sets is refused.
     * @default {}
     */
    additionalValues?: pulumi.Input<{ [key: string]: any }>;
    /** Seconds to wait until Rancher's pods are ready, at most a day. @default 900 */
    timeoutSeconds?: pulumi.Input<number>;
    /**
     * Refuses to delete the release, because the chart would then remove Rancher's resources from the cluster, downstream clusters
     * included. To delete the release on purpose, set false, run `pulumi up`, and then delete.
     * @default true
     */
    deletionProtection?: boolean;
    /**
     * Handling of drift in the objects of the chart. With `enforce`, Helm sets the chart's fields again. Fields that others added to the
     * objects stay. In every mode, changes that Rancher does not survive are refused: an older chart, another host name.
     * @default enforce
     */
    drift?: DriftMode;
}

export interface RancherReleaseArgs extends RancherSettingsArgs {
    /** DNS name of Rancher, as browsers and agents use it. It cannot be changed later, because agents keep the name. */
    hostname: pulumi.Input<string>;
    /** Kubernetes version of the cluster, for example `v1.30.14`. If empty or omitted, nothing checks that Rancher supports it. */
    kubernetesVersion?: pulumi.Input<string>;
    /** Kubernetes distribution. For `rke`, Rancher versions that are not documented on RKE 1 are refused. @default other */
    distribution?: pulumi.Input<Distribution>;
    /**
     * Checksum of the private CA, from `CaSecret`. Omit it when the CA is publicly trusted. A new checksum restarts the pods,
     * because Rancher reads the CA only when a pod starts.
     */
    caChecksum?: pulumi.Input<string>;
    /** Annotations of Rancher's Ingress. Those in `values.ingress.extraAnnotations` take precedence. @default none */
    ingressAnnotations?: pulumi.Input<{ [annotation: string]: pulumi.Input<string> }>;
    /**
     * Kubeconfig of the provider's cluster, with certificates or a token in it. It is kept as a secret. Without a kubeconfig, the release
     * is not checked for drift, and Rancher's settings stay as they are. A warning says the same of a kubeconfig that names a command, a
     * file, a proxy or another user.
     */
    kubeconfig?: pulumi.Input<string>;
}
