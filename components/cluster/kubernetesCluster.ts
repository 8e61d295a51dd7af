import * as pulumi from "@pulumi/pulumi";
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
