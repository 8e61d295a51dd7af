import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { ProvidedCertificate, ProvidedCertificateSettingsArgs } from "./certificates/providedCertificate";
import { watchedCas } from "./certificates/endings";
import { PrivateCa, PrivateCaSettingsArgs } from "./certificates/privateCa";
import { ServerCertificate } from "./certificates/serverCertificate";
import { ExistingCluster, ExistingClusterArgs } from "./cluster/existingCluster";
import { KubernetesCluster } from "./cluster/kubernetesCluster";
import { RkeClusterSettingsArgs } from "./cluster/rke/args";
import { ingressNodes } from "./cluster/rke/ingressNodes";
import { controlPlaneNodes } from "./cluster/rke/nodes";
import { innerAddresses, RkeCluster } from "./cluster/rke/rkeCluster";
import { apiPort } from "./kubernetesApi";
import { CertificatePathsArgs, LoadBalancerSettingsArgs, NginxLoadBalancerArgs } from "./loadBalancer/args";
import { ingressAnnotations, ingressOptions as limitOptions, Limits, limitsSchema } from "./loadBalancer/limits";
import { passesApi } from "./loadBalancer/schema";
import { NginxLoadBalancer } from "./loadBalancer/nginxLoadBalancer";
import { stackName } from "./owner";
import { Agents, caHeldForAgents, heldForAgents, heldInUpdate } from "./rancher/agentsCa";
import { CaSecret, CaSecretArgs } from "./rancher/caSecret";
import { ownerAnnotation } from "./rancher/program";
import { directTargets, noProxyValue } from "./rancher/proxy";
import { RancherBackup, RancherWithBackupArgs } from "./rancher/rancherBackup";
import { RancherRelease } from "./rancher/rancherRelease";
import { LiveCheck, verificationSettingsSchema } from "./rancher/schema";
import { Verification, VerificationSettingsArgs } from "./rancher/verification";
import { nextSteps } from "./nextSteps";
import { SshArgs } from "./remote/args";
import { rancherHaSchema } from "./schema";
import { heldUntil, inState, isNotEmpty, refuseLiterals, refuseOutputs, settled, validated } from "./validation";

/** A certificate that another tool keeps on the load balancer hosts. */
export interface CertificateOnHostArgs extends CertificatePathsArgs {
    /**
     * PEM text of the private CA that issues the certificate. Rancher and its agents get this CA. Omit it for a publicly trusted CA.
     * @default none
     */
    caCertificate?: pulumi.Input<string>;
}

export interface RancherHaArgs {
    /** DNS name of Rancher. It must point to the load balancer. It cannot be changed later, because agents keep it. */
    hostname: pulumi.Input<string>;
    /** SSH settings for hosts and nodes that do not give their own. */
    ssh?: pulumi.Input<SshArgs>;
    /** The load balancer. */
    loadBalancer: LoadBalancerSettingsArgs;
    /** A cluster to build with RKE. Give either this or `existingCluster`. */
    cluster?: RkeClusterSettingsArgs;
    /** A cluster that exists already. */
    existingCluster?: ExistingClusterArgs;
    /** A provided certificate, issued elsewhere. @default a CA of the stack's own */
    certificate?: ProvidedCertificateSettingsArgs;
    /** A certificate that another tool, an ACME client for example, keeps on the load balancer hosts. Refused beside `certificate`. */
    certificateOnHost?: CertificateOnHostArgs;
    /** Settings of the stack's own CA. Refused beside `certificate` and `certificateOnHost`. */
    privateCa?: PrivateCaSettingsArgs;
    /** Rancher itself. */
    rancher: RancherWithBackupArgs;
    /** The check through the load balancer at the end of an update. */
    verification?: VerificationSettingsArgs;
    /**
     * Reaction when Rancher does not answer through the load balancer although nothing was changed: `off`, `warn` or `fail`.
     * @default warn
     */
    liveCheck?: LiveCheck;
}

/** Returns the Kubernetes API's URL at the virtual IP of a pair that passes the API on. */
const sharedEndpoint = ({ virtualIp, ...settings }: LoadBalancerSettingsArgs) =>
    virtualIp && passesApi(settings) ? pulumi.interpolate`https://${virtualIp.address}:${apiPort}` : undefined;

/** Addresses that the load balancer passes requests to. */
type Upstreams = Pick<NginxLoadBalancerArgs, "upstreams" | "controlPlane">;

const upstreamsOf = ({ ingressAddresses: upstreams }: ExistingCluster, { existingCluster }: RancherHaArgs): Upstreams => ({
    upstreams,
    controlPlane: existingCluster!.controlPlaneAddresses,
});

/**
 * Rancher, highly available behind a layer-7 NGINX that ends TLS. Its parts are cluster, load balancer, certificate, CA secret, Helm
 * release, and a verification through the load balancer. Each part waits for the parts that it needs.
 */
export class RancherHa extends pulumi.ComponentResource {
    /** URL of Rancher. */
    readonly url: pulumi.Output<string>;
    /** Kubeconfig of an administrator of the cluster. Secret. */
    readonly kubeconfig: pulumi.Output<string>;
    /** PEM text of the private CA that clients must trust. Empty when the CA is publicly trusted. */
    readonly caCertificate: pulumi.Output<string>;
    /** Password of `admin` for the first login. Empty when `rancher.bootstrapPassword` is. Secret. */
    readonly bootstrapPassword: pulumi.Output<string>;
    /** Addresses that the DNS name must point to. */
    readonly loadBalancerAddresses: pulumi.Output<string[]>;
    /** Version of Rancher. */
    readonly rancherVersion: pulumi.Output<string>;
    /** Version of Kubernetes. */
    readonly kubernetesVersion: pulumi.Output<string>;
    /** Steps after the first `pulumi up`: DNS, CA, login, kubeconfig. Plain text for a person, without a secret. */
    readonly nextSteps: pulumi.Output<string>;

    constructor(name: string, args: RancherHaArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:RancherHa", name, {}, opts);
        const { existingCluster, certificateOnHost: onHost, hostname, rancher, verification } = args;
        refuseOutputs(this, `RancherHa ${name}`, { ...args, hostname: undefined, ssh: undefined });
        refuseOutputs(this, `RancherHa ${name}`, { "verification.enabled": verification?.enabled, "rancher.backup": rancher.backup });
        refuseLiterals(this, `RancherHa ${name}`, rancherHaSchema, args);

        const existing = existingCluster && new ExistingCluster(`${name}-cluster`, existingCluster, { parent: this });
        const certificate = this.certificate(name, args, existing);
        const caCertificate = certificate?.caCertificate ?? watchedCas(this, "certificateOnHost.caCertificate", onHost?.caCertificate);
        const { cluster, loadBalancer } = existing
            ? { cluster: existing, loadBalancer: this.loadBalancer(name, args, upstreamsOf(existing, args), certificate) }
            : this.rkeCluster(name, args, certificate);
        const inCluster = this.inCluster(name, cluster);
        const namespace = this.namespace(name, cluster, inCluster);
        // With a cluster that exists, the whole certificate is held back already.
        const ca = existing && certificate ? caCertificate : caHeldForAgents(caCertificate, this.agents(name, args, cluster));
        const caSecret = this.caSecret(name, args, { caCertificate: ca, namespace: inState(namespace.metadata).name }, inCluster);
        const release = this.release(name, args, cluster, caSecret, { ...inCluster, dependsOn: namespace });
        this.backup(name, args, { ...inCluster, dependsOn: [release] });
        const isVerified = verificationSettingsSchema.shape.enabled.parse(verification?.enabled);
        if (isVerified) {
            new Verification(
                `${name}-verification`,
                {
                    hostname,
                    addresses: loadBalancer.servingAddresses,
                    caCertificate,
                    maxRequestHeaderSize: this.limits(name, args.loadBalancer).maxRequestHeaderSize,
                    bootstrapPassword: release.bootstrapPassword,
                    liveCheck: args.liveCheck,
                    timeoutSeconds: verification?.timeoutSeconds,
                    after: [loadBalancer.fingerprint, pulumi.interpolate`revision ${release.revision}`],
                },
                { parent: this },
            );
        }

        this.url = pulumi.all([hostname, loadBalancer.addresses]).apply(([dnsName]) => `https://${dnsName}`);
        this.kubeconfig = cluster.kubeconfig;
        this.caCertificate = caCertificate;
        this.bootstrapPassword = release.bootstrapPassword;
        this.loadBalancerAddresses = loadBalancer.addresses;
        this.rancherVersion = release.version;
        this.kubernetesVersion = cluster.kubernetesVersion;
        const [hasPrivateCa, hasBootstrapPassword] = [caCertificate, release.bootstrapPassword].map(isNotEmpty);
        const { rancherVersion, kubernetesVersion } = this;
        const finished = { hostname, hasPrivateCa, isVerified, hasBootstrapPassword, rancherVersion, kubernetesVersion };
        this.nextSteps = pulumi.output({ ...finished, addresses: loadBalancer.addresses }).apply(nextSteps);
        this.registerOutputs({
            url: this.url,
            kubeconfig: this.kubeconfig,
            caCertificate: this.caCertificate,
            bootstrapPassword: this.bootstrapPassword,
            loadBalancerAddresses: this.loadBalancerAddresses,
            rancherVersion: this.rancherVersion,
            kubernetesVersion: this.kubernetesVersion,
            nextSteps: this.nextSteps,
        });
    }

    /** Returns the limits that the load balancer and the ingress controller share. */
    private limits(name: string, loadBalancer: LoadBalancerSettingsArgs): pulumi.Output<Limits> {
        const { maxBodySize, maxRequestHeaderSize, maxResponseHeaderSize } = loadBalancer;
        return validated(this, `RancherHa ${name}`, limitsSchema, { maxBodySize, maxRequestHeaderSize, maxResponseHeaderSize });
    }

    /**
     * Makes the load balancer when the nodes are checked, and RKE waits for it: a node is out of rotation before RKE removes it. In the
     * state, neither depends on the other: a lost host can be taken out of the state alone.
     */
    private rkeCluster(name: string, args: RancherHaArgs, certificate: ServerCertificate | undefined) {
        const { ssh, cluster } = args;
        const ingressOptions = pulumi
            .all([cluster!.ingressOptions, this.limits(name, args.loadBalancer)])
            .apply(([own, limits]) => ({ ...own, ...limitOptions(limits) }));
        const apiEndpoint = cluster!.apiEndpoint ?? sharedEndpoint(args.loadBalancer);
        const makeLoadBalancer = (nodes: Upstreams, kubeconfig: pulumi.Output<string>) =>
            this.loadBalancer(name, args, nodes, certificate && heldInUpdate(certificate, this.agents(name, args, { kubeconfig })));
        let loadBalancer!: NginxLoadBalancer;
        class ClusterBehindLoadBalancer extends RkeCluster {
            protected override beforeRke(checked: pulumi.Output<unknown>, opens: pulumi.Output<string>): pulumi.Output<unknown> {
                const upstreams = heldUntil(checked, innerAddresses(cluster!, ingressNodes));
                loadBalancer = makeLoadBalancer({ upstreams, controlPlane: innerAddresses(cluster!, controlPlaneNodes) }, opens);
                return settled(loadBalancer.fingerprint);
            }
        }
        const settings = { ...cluster!, apiEndpoint, ingressOptions, ssh };
        return { cluster: new ClusterBehindLoadBalancer(`${name}-cluster`, settings, { parent: this }), loadBalancer };
    }

    /** Returns undefined for a certificate that another tool keeps on the hosts. */
    private certificate(name: string, args: RancherHaArgs, existing?: ExistingCluster): ServerCertificate | undefined {
        const { hostname, certificate, certificateOnHost, privateCa } = args;
        if (certificateOnHost) return undefined;
        const deletionProtection = privateCa?.deletionProtection ?? args.rancher.deletionProtection;
        const made = certificate
            ? new ProvidedCertificate(`${name}-certificate`, { ...certificate, hostname }, { parent: this })
            : new PrivateCa(`${name}-ca`, { ...privateCa, deletionProtection, hostname }, { parent: this });
        return existing ? heldForAgents(made, this.agents(name, args, existing)) : made;
    }

    /** Returns the agents that may trust another CA. */
    private agents(name: string, { privateCa, rancher }: RancherHaArgs, { kubeconfig }: Pick<KubernetesCluster, "kubeconfig">): Agents {
        const mayReplace = (privateCa?.deletionProtection ?? rancher.deletionProtection) === false;
        return { kubeconfig, adoptedCaChecksum: rancher.adoptedCaChecksum, mayReplace, what: `RancherHa ${name}`, component: this };
    }

    private loadBalancer(
        name: string,
        { loadBalancer, ssh, hostname, certificateOnHost }: RancherHaArgs,
        upstreams: Upstreams,
        certificate: ServerCertificate | undefined,
    ): NginxLoadBalancer {
        return new NginxLoadBalancer(
            `${name}-lb`,
            {
                ...loadBalancer,
                ssh,
                hostname,
                ...upstreams,
                certificateChain: certificate?.certificateChain,
                privateKey: certificate?.privateKey,
                secondCertificate: certificate?.secondCertificate,
                certificateOnHost: certificateOnHost && {
                    certificateChain: certificateOnHost.certificateChain,
                    privateKey: certificateOnHost.privateKey,
                },
            },
            { parent: this },
        );
    }

    /** Returns the options of resources in the cluster. They are deleted together with the cluster, without a request to its API server. */
    private inCluster(name: string, { kubeconfig, identity, ready }: KubernetesCluster) {
        const provider = new k8s.Provider(
            `${name}-kubernetes`,
            // Without an identifier, a preview with an unknown kubeconfig would plan to replace every resource in the cluster.
            { kubeconfig, clusterIdentifier: identity ?? `${name}-existing`, enableSecretMutable: true },
            { parent: this },
        );
        return { parent: this, provider, deletedWith: ready };
    }

    private namespace(name: string, { ready }: KubernetesCluster, inCluster: pulumi.CustomResourceOptions): k8s.core.v1.Namespace {
        return new k8s.core.v1.Namespace(
            `${name}-namespace`,
            { metadata: { name: "cattle-system", annotations: { [ownerAnnotation]: `${stackName()}/${name}-release` } } },
            // In a cluster that stays, the deletion of this namespace would never end, because only Rancher removes its finalizers.
            // An imported namespace has values that Kubernetes itself sets. Without this, a preview would seem to remove them.
            { ...inCluster, retainOnDelete: ready === undefined, ignoreChanges: ["metadata.labels", "metadata.finalizers", "spec"] },
        );
    }

    /** Returns undefined for a publicly trusted CA, which Rancher and its agents need not be given. */
    private caSecret(
        name: string,
        { certificate, certificateOnHost }: RancherHaArgs,
        args: CaSecretArgs,
        inCluster: pulumi.ComponentResourceOptions,
    ): CaSecret | undefined {
        const provided = certificate ?? certificateOnHost;
        if (provided && provided.caCertificate === undefined) return undefined;
        return new CaSecret(`${name}-ca-secret`, args, inCluster);
    }

    private backup(name: string, args: RancherHaArgs, opts: pulumi.ComponentResourceOptions): void {
        const { backup, chartVersion, proxy, values: ofRancher } = args.rancher;
        if (backup === undefined) return;
        const systemDefaultRegistry = pulumi.output(ofRancher).apply(known => known?.systemDefaultRegistry ?? "");
        // The operator reaches an S3 server as Rancher reaches the outside.
        const proxied = pulumi
            .all([proxy, args.hostname, directTargets(args), backup.values])
            .apply(([url, hostname, targets, given]) => ({ proxy: url, noProxy: noProxyValue(hostname, targets), ...given }));
        const settings = { ...backup, values: proxy === undefined ? backup.values : proxied };
        new RancherBackup(`${name}-backup`, { ...settings, rancherVersion: chartVersion, systemDefaultRegistry }, opts);
    }

    private release(
        name: string,
        { rancher: { backup: _backup, ...rancher }, ...args }: RancherHaArgs,
        { kubernetesVersion, distribution, kubeconfig }: KubernetesCluster,
        caSecret: CaSecret | undefined,
        opts: pulumi.ComponentResourceOptions,
    ): RancherRelease {
        const { hostname, loadBalancer, existingCluster } = args;
        const fromCluster = { kubernetesVersion, distribution, kubeconfig };
        // RKE writes the limits into the ConfigMap of its ingress controller.
        const annotations = existingCluster && this.limits(name, loadBalancer).apply(ingressAnnotations);
        const noProxy = rancher.proxy === undefined ? rancher.noProxy : directTargets({ ...args, rancher });
        return new RancherRelease(
            `${name}-release`,
            { ...rancher, noProxy, hostname, ...fromCluster, caChecksum: caSecret?.checksum, ingressAnnotations: annotations },
            opts,
        );
    }
}
