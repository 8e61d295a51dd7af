import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { ProvidedCertificate, ProvidedCertificateSettingsArgs } from "./certificates/providedCertificate";
import { normalizePem } from "./certificates/pem";
import { PrivateCa, PrivateCaSettingsArgs } from "./certificates/privateCa";
import { ServerCertificate } from "./certificates/serverCertificate";
import { ExistingCluster, ExistingClusterArgs } from "./cluster/existingCluster";
import { KubernetesCluster } from "./cluster/kubernetesCluster";
import { RkeCluster, RkeClusterSettingsArgs } from "./cluster/rkeCluster";
import { CertificatePathsArgs, LoadBalancerSettingsArgs, NginxLoadBalancer } from "./loadBalancer/nginxLoadBalancer";
import { ownerAnnotation, stackName } from "./owner";
import { CaSecret } from "./rancher/caSecret";
import { RancherRelease, RancherSettingsArgs } from "./rancher/rancherRelease";
import { LiveCheck } from "./rancher/schema";
import { Verification } from "./rancher/verification";
import { SshArgs } from "./remote/connection";
import { rancherHaSchema } from "./schema";
import { refuseLiterals, refuseOutputs } from "./validation";

/** A certificate that another tool keeps on the load balancer hosts. */
export interface CertificateOnHostArgs extends CertificatePathsArgs {
    /** PEM: the private CA that issues it, which Rancher and its agents are given. Leave it out for a publicly trusted CA. */
    caCertificate?: pulumi.Input<string>;
}

export interface RancherHaArgs {
    /** DNS name of Rancher. It must lead to the load balancer, and cannot be changed later: agents keep it. */
    hostname: pulumi.Input<string>;
    /** How hosts and nodes are reached over SSH, as far as they do not say so themselves. */
    ssh?: pulumi.Input<SshArgs>;
    /** The load balancer. */
    loadBalancer: LoadBalancerSettingsArgs;
    /** A cluster to build with RKE. Either this or `existingCluster`. */
    cluster?: RkeClusterSettingsArgs;
    /** A cluster that is there already. */
    existingCluster?: ExistingClusterArgs;
    /** A certificate that somebody else issued. Default: a CA of the stack's own. */
    certificate?: ProvidedCertificateSettingsArgs;
    /** A certificate that another tool, an ACME client for example, keeps on the load balancer hosts. Instead of `certificate`. */
    certificateOnHost?: CertificateOnHostArgs;
    /** How the stack's own CA is made. Only without `certificate` and `certificateOnHost`. */
    privateCa?: PrivateCaSettingsArgs;
    /** Rancher itself. */
    rancher: RancherSettingsArgs;
    /** What to do when Rancher does not answer through the load balancer although nothing was changed: `off`, `warn` or `fail`. Default warn. */
    liveCheck?: LiveCheck;
}

/**
 * Rancher, highly available behind a layer-7 NGINX that ends TLS: cluster, load balancer, certificate, CA secret, Helm release,
 * and a verification through the load balancer, each waiting for what it needs of the others.
 */
export class RancherHa extends pulumi.ComponentResource {
    /** Where Rancher is served. */
    readonly url: pulumi.Output<string>;
    /** Kubeconfig of an administrator of the cluster. Secret. */
    readonly kubeconfig: pulumi.Output<string>;
    /** PEM: the private CA that clients must trust. Empty when the CA is publicly trusted. */
    readonly caCertificate: pulumi.Output<string>;
    /** Password of `admin` for the first login. Secret. */
    readonly bootstrapPassword: pulumi.Output<string>;
    /** Addresses to which the DNS name must lead. */
    readonly loadBalancerAddresses: pulumi.Output<string[]>;
    /** Version of Rancher. */
    readonly rancherVersion: pulumi.Output<string>;
    /** Version of Kubernetes. */
    readonly kubernetesVersion: pulumi.Output<string>;

    constructor(name: string, args: RancherHaArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:RancherHa", name, {}, opts);
        const child = { parent: this };
        const { hostname, ssh, ...groups } = args;
        refuseOutputs(this, `RancherHa ${name}`, groups);
        refuseLiterals(this, `RancherHa ${name}`, rancherHaSchema, args);

        const cluster = this.cluster(name, args);
        const certificate = this.certificate(name, args);
        const caCertificate = certificate?.caCertificate ?? pulumi.output(args.certificateOnHost?.caCertificate ?? "").apply(normalizePem);
        const loadBalancer = new NginxLoadBalancer(
            `${name}-lb`,
            {
                ...args.loadBalancer,
                ssh,
                hostname,
                upstreams: cluster.ingressAddresses,
                certificateChain: certificate?.certificateChain,
                privateKey: certificate?.privateKey,
                secondCertificate: certificate?.secondCertificate,
                certificateOnHost: args.certificateOnHost && {
                    certificateChain: args.certificateOnHost.certificateChain,
                    privateKey: args.certificateOnHost.privateKey,
                },
            },
            child,
        );

        const provider = new k8s.Provider(
            `${name}-kubernetes`,
            {
                kubeconfig: cluster.kubeconfig,
                // Without it a kubeconfig that is unknown in a preview would plan the replacement of everything in the cluster.
                clusterIdentifier: cluster.identity ?? `${name}-existing`,
                enableSecretMutable: true,
            },
            child,
        );
        // When the cluster goes, what is in it goes with it: no API server is asked then.
        const inCluster = { parent: this, provider, deletedWith: cluster.ready };
        const namespace = new k8s.core.v1.Namespace(
            `${name}-namespace`,
            { metadata: { name: "cattle-system", annotations: { [ownerAnnotation]: `${stackName()}/${name}-release` } } },
            // In a cluster that stays, its deletion would wait for ever for finalizers that only Rancher removes.
            { ...inCluster, retainOnDelete: cluster.ready === undefined },
        );
        const issuedByOthers = args.certificate ?? args.certificateOnHost;
        const caSecret =
            issuedByOthers && issuedByOthers.caCertificate === undefined
                ? undefined
                : new CaSecret(`${name}-ca-secret`, { caCertificate, namespace: namespace.metadata.name }, inCluster);
        const release = new RancherRelease(
            `${name}-release`,
            {
                ...args.rancher,
                hostname,
                kubernetesVersion: cluster.kubernetesVersion,
                distribution: cluster.distribution,
                caChecksum: caSecret?.checksum,
                kubeconfig: cluster.kubeconfig,
            },
            { ...inCluster, dependsOn: namespace },
        );

        new Verification(
            `${name}-verification`,
            {
                hostname,
                addresses: loadBalancer.servingAddresses,
                caCertificate,
                bootstrapPassword: release.bootstrapPassword,
                liveCheck: args.liveCheck,
                after: [loadBalancer.fingerprint, pulumi.interpolate`revision ${release.revision}`],
            },
            child,
        );

        this.url = pulumi.all([hostname, loadBalancer.addresses]).apply(([dnsName]) => `https://${dnsName}`);
        this.kubeconfig = cluster.kubeconfig;
        this.caCertificate = caCertificate;
        this.bootstrapPassword = release.bootstrapPassword;
        this.loadBalancerAddresses = loadBalancer.addresses;
        this.rancherVersion = release.version;
        this.kubernetesVersion = cluster.kubernetesVersion;
        this.registerOutputs({
            url: this.url,
            kubeconfig: this.kubeconfig,
            caCertificate: this.caCertificate,
            bootstrapPassword: this.bootstrapPassword,
            loadBalancerAddresses: this.loadBalancerAddresses,
            rancherVersion: this.rancherVersion,
            kubernetesVersion: this.kubernetesVersion,
        });
    }

    private certificate(name: string, args: RancherHaArgs): ServerCertificate | undefined {
        const { hostname, certificate, certificateOnHost, privateCa } = args;
        if (certificateOnHost) return undefined;
        if (certificate) return new ProvidedCertificate(`${name}-certificate`, { ...certificate, hostname }, { parent: this });
        const deletionProtection = privateCa?.deletionProtection ?? args.rancher.deletionProtection;
        return new PrivateCa(`${name}-ca`, { ...privateCa, deletionProtection, hostname }, { parent: this });
    }

    private cluster(name: string, { ssh, cluster, existingCluster }: RancherHaArgs): KubernetesCluster {
        if (cluster) return new RkeCluster(`${name}-cluster`, { ...cluster, ssh }, { parent: this });
        return new ExistingCluster(`${name}-cluster`, existingCluster!, { parent: this });
    }
}
