import * as pulumi from "@pulumi/pulumi";
import { observe } from "../remote/commands";
import { needsAttention } from "../attention";
import { validated } from "../validation";
import { Distribution } from "./compatibility";
import { apiAccess, serverOf, withServer } from "./kubeconfig";
import { KubernetesCluster } from "./kubernetesCluster";
import { versionProgram } from "./program";
import { existingClusterSchema } from "./schema";

export interface ExistingClusterArgs {
    /**
     * Kubeconfig of an administrator of the cluster, as YAML text. It is kept as a secret. A kubeconfig that kubectl cannot use is refused.
     * With one that names a command, a file, a proxy or another user, the cluster is not asked for drift and its version.
     */
    kubeconfig: pulumi.Input<string>;
    /** IP addresses of the nodes where the ingress controller listens on port 80: at least one, and each once. */
    ingressAddresses: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * URL of the Kubernetes API, for example `https://192.0.2.31:6443`. It replaces the server in the kubeconfig's current context. The
     * kubeconfig of RKE2 and K3s has a loopback address there, which is the node itself. A URL with a user, a path or a query is refused.
     * @default the server in the kubeconfig
     */
    apiEndpoint?: pulumi.Input<string>;
    /**
     * IP addresses of the control plane nodes, to which `loadBalancer.kubernetesApi` passes port 6443 on: each once. To use it, set
     * `apiEndpoint` or the server in the kubeconfig to the load balancer. The API server's certificate must cover its address.
     * @default no Kubernetes API is passed on
     */
    controlPlaneAddresses?: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * Kubernetes version, for example `v1.31.4`. It decides which Rancher versions are accepted.
     * @default the version that the API server reports in every preview
     */
    kubernetesVersion?: pulumi.Input<string>;
}

const isSameUrl = (one: string, other: string) => new URL(one).href === new URL(other).href;

/**
 * A cluster that exists already (RKE2, K3s, a managed one). Its ingress controller must trust forwarded headers, or Rancher redirects
 * for ever. For RKE2 with NGINX, set `use-forwarded-headers: "true"` by a HelmChartConfig.
 */
export class ExistingCluster extends pulumi.ComponentResource implements KubernetesCluster {
    /** Kubeconfig of an administrator. Secret. */
    readonly kubeconfig: pulumi.Output<string>;
    /** IP addresses of the nodes where the ingress controller listens on port 80. */
    readonly ingressAddresses: pulumi.Output<string[]>;
    /** URL of the Kubernetes API. */
    readonly apiEndpoint: pulumi.Output<string>;
    /** Kubernetes version, for example `v1.31.4`. Empty when the API server did not tell its version. */
    readonly kubernetesVersion: pulumi.Output<string>;
    /** Kubernetes distribution: `other`. */
    readonly distribution: Distribution = Distribution.Other;

    constructor(name: string, args: ExistingClusterArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:ExistingCluster", name, {}, opts);
        const cluster = validated(this, `ExistingCluster ${name}`, existingClusterSchema, args);
        this.kubeconfig = pulumi.secret(
            cluster.apply(({ kubeconfig, apiEndpoint }) =>
                apiEndpoint && !isSameUrl(apiEndpoint, serverOf(kubeconfig)) ? withServer(kubeconfig, apiEndpoint) : kubeconfig,
            ),
        );
        this.ingressAddresses = pulumi.unsecret(cluster.ingressAddresses);
        this.apiEndpoint = pulumi.unsecret(cluster).apply(({ apiEndpoint, kubeconfig }) => apiEndpoint ?? serverOf(kubeconfig));
        this.kubernetesVersion =
            args.kubernetesVersion === undefined
                ? this.askedVersion(name, this.kubeconfig)
                : pulumi.unsecret(cluster).apply(({ kubernetesVersion }) => kubernetesVersion!);
        this.registerOutputs({
            kubeconfig: this.kubeconfig,
            ingressAddresses: this.ingressAddresses,
            apiEndpoint: this.apiEndpoint,
            kubernetesVersion: this.kubernetesVersion,
        });
    }

    /**
     * Asks the API server for its version. Returns an empty version when there is no answer: then nothing checks the version. Returns one
     * without a warning for a kubeconfig with an obstacle, because `RancherRelease` warns of all that is left out.
     */
    private askedVersion(name: string, kubeconfig: pulumi.Output<string>): pulumi.Output<string> {
        const what = `ExistingCluster ${name}`;
        const found = kubeconfig.apply(text => {
            const access = apiAccess(text);
            return access ? observe(versionProgram(access), what, this) : pulumi.output(undefined);
        });
        return pulumi.unsecret(found).apply(probe => {
            if (probe === undefined) return "";
            const { facts, reason } = probe;
            if (facts.kubernetes !== undefined) return facts.kubernetes;
            const problem = `the Kubernetes version is not known (${reason}): nothing checks that Rancher supports it`;
            needsAttention(`${what}: ${problem}`, this);
            return "";
        });
    }
}
