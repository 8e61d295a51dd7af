import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import { z } from "zod";
import { ipAddressSchema } from "../host/connection";
import { validated } from "../validation";
import { Distribution } from "./compatibility";

/** What the rest of the stack needs of a cluster, whoever built it. */
export interface KubernetesCluster {
    /** Kubeconfig of an administrator. Secret; known in every preview once the cluster exists. */
    readonly kubeconfig: pulumi.Output<string>;
    /** IP addresses of the nodes where the ingress controller listens on port 80: the load balancer's upstreams. */
    readonly ingressAddresses: pulumi.Output<string[]>;
    /** URL of the Kubernetes API. */
    readonly apiEndpoint: pulumi.Output<string>;
    /** Kubernetes version, for example `v1.30.14`. */
    readonly kubernetesVersion: pulumi.Output<string>;
    /** What built it, as far as Rancher's documentation makes a difference. */
    readonly distribution: Distribution;
    /** Digest of the cluster's CA: another one is another cluster. Undefined for a cluster that this stack did not build. */
    readonly identity?: pulumi.Output<string>;
    /** The resource whose deletion ends the cluster and all that runs in it; undefined for a cluster that stays. */
    readonly ready?: pulumi.Resource;
}

/** How the Kubernetes API is reached, for the programs that ask it. */
export interface ApiAccess {
    endpoint: string;
    ca?: string;
    certificate?: string;
    key?: string;
    token?: string;
}

/** Undefined for what is no YAML: the parser's own message would quote the text, secrets included. */
function readYaml(text: string): any {
    try {
        return parse(text);
    } catch {
        return undefined;
    }
}

/** What a kubeconfig says of that; undefined when it names files or commands that only its owner has. */
export function apiAccess(kubeconfig: string): ApiAccess | undefined {
    const known = readYaml(kubeconfig) ?? {};
    const named = (list: string, name: string) => known[list]?.find((each: { name: string }) => each.name === name);
    const context = named("contexts", known["current-context"])?.context;
    const cluster = named("clusters", context?.cluster)?.cluster;
    const user = named("users", context?.user)?.user;
    const { "client-certificate-data": certificate, "client-key-data": key, token } = user ?? {};
    if (!cluster?.server || !((certificate && key) || token)) return undefined;
    const text = (base64?: string) => base64 && Buffer.from(base64, "base64").toString("utf8");
    return {
        endpoint: cluster.server.replace(/\/+$/, ""),
        ca: text(cluster["certificate-authority-data"]),
        certificate: text(certificate),
        key: text(key),
        token,
    };
}

export interface ExistingClusterArgs {
    /** Kubeconfig of an administrator of the cluster, as YAML text. Kept as a secret. */
    kubeconfig: pulumi.Input<string>;
    /** IP addresses of the nodes where the ingress controller listens on port 80, at least one. */
    ingressAddresses: pulumi.Input<pulumi.Input<string>[]>;
    /** URL of the Kubernetes API, for example `https://192.0.2.31:6443`. */
    apiEndpoint: pulumi.Input<string>;
    /** Kubernetes version, for example `v1.31.4`. Decides which Rancher versions are accepted. */
    kubernetesVersion: pulumi.Input<string>;
}

export const existingClusterSchema = z.strictObject({
    kubeconfig: z
        .string()
        .refine(
            text => Array.isArray(readYaml(text)?.clusters),
            "expected a kubeconfig as YAML text: it cannot be read, or has no clusters",
        ),
    ingressAddresses: z.array(ipAddressSchema).min(1, "expected at least one address"),
    apiEndpoint: z.url({ protocol: /^https$/, error: "expected an https URL" }),
    kubernetesVersion: z.string().regex(/^v?1\.\d+/, "expected a Kubernetes version such as v1.31.4"),
});

/**
 * A cluster that is there already (RKE2, K3s, a managed one). Its ingress controller must trust forwarded headers: for RKE2
 * with NGINX set `use-forwarded-headers: "true"` by a HelmChartConfig, or Rancher redirects for ever.
 */
export class ExistingCluster extends pulumi.ComponentResource implements KubernetesCluster {
    readonly kubeconfig: pulumi.Output<string>;
    readonly ingressAddresses: pulumi.Output<string[]>;
    readonly apiEndpoint: pulumi.Output<string>;
    readonly kubernetesVersion: pulumi.Output<string>;
    readonly distribution: Distribution = Distribution.Other;

    constructor(name: string, args: ExistingClusterArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:ExistingCluster", name, {}, opts);
        const cluster = validated(this, `ExistingCluster ${name}`, existingClusterSchema, args);
        this.kubeconfig = pulumi.secret(cluster.kubeconfig);
        this.ingressAddresses = pulumi.unsecret(cluster.ingressAddresses);
        this.apiEndpoint = pulumi.unsecret(cluster.apiEndpoint);
        this.kubernetesVersion = pulumi.unsecret(cluster.kubernetesVersion);
        this.registerOutputs({
            kubeconfig: this.kubeconfig,
            ingressAddresses: this.ingressAddresses,
            apiEndpoint: this.apiEndpoint,
            kubernetesVersion: this.kubernetesVersion,
        });
    }
}
