import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { ipAddressSchema } from "../remote/connection";
import { validated } from "../validation";
import { Distribution } from "./compatibility";
import { readYaml } from "./kubeconfig";
import { KubernetesCluster } from "./kubernetesCluster";

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
