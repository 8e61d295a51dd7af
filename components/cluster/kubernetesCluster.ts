import * as pulumi from "@pulumi/pulumi";
import { Distribution } from "./compatibility";

/** A cluster as the rest of the stack uses it, whoever built the cluster. */
export interface KubernetesCluster {
    /** Kubeconfig of an administrator. It is secret, and known in every preview once the cluster exists. */
    readonly kubeconfig: pulumi.Output<string>;
    /** IP addresses of the nodes where the ingress controller listens on port 80: the load balancer's upstreams. */
    readonly ingressAddresses: pulumi.Output<string[]>;
    /** URL of the Kubernetes API. */
    readonly apiEndpoint: pulumi.Output<string>;
    /** Kubernetes version, for example `v1.30.14`. */
    readonly kubernetesVersion: pulumi.Output<string>;
    /** Kubernetes distribution, as far as Rancher's documentation makes a difference. */
    readonly distribution: Distribution;
    /** Digest of the cluster's CA. A different digest means a different cluster. Undefined for a cluster that this stack did not build. */
    readonly identity?: pulumi.Output<string>;
    /** The resource whose deletion ends the cluster and all its workloads. Undefined for a cluster that this stack never deletes. */
    readonly ready?: pulumi.Resource;
}
