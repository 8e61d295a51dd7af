import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { z } from "zod";
import { Distribution, untried } from "../cluster/compatibility";
import { apiAccess, noAccess } from "../cluster/kubeconfig";
import { observe, runnerProgram } from "../remote/commands";
import { driftEpoch, DriftMode, warnOfSetBack } from "../remote/drift";
import { stackName } from "../owner";
import { secretAs } from "../secrecy";
import { inState, refuseOutputs, Refusal, validated } from "../validation";
import { RancherChartValuesArgs } from "./chartValues";
import { chartFault, isOci, stableRepository } from "./chartFile";
import { pemSecret } from "./caSecret";
import { AgentTlsMode, helmValues } from "./helmValues";
import { apiProgram, identity, settingsProgram, WantedRelease } from "./program";
import { proxySchema } from "./proxy";
import { additionalCasSchema, givenPasswordSchema, releaseSchema, Telemetry } from "./schema";

/** Settings of Rancher that do not come from other resources of the stack. */
export interface RancherSettingsArgs {
    /**
     * Exact version of the Rancher chart, for example `2.11.3`, which is also the version of Rancher. Upgrade one minor version at a time,
     * from the latest patch of one to the latest patch of the next. A version that does not support `kubernetesVersion` is refused. On an
     * existing cluster, versions newer than those tried here give a warning.
     */
    chartVersion: pulumi.Input<string>;
    /** URL of the chart repository. @default the stable repository, `https://releases.rancher.com/server-charts/stable` */
    repository?: pulumi.Input<string>;
    /** Folder or archive of the chart, instead of `repository`: for machines without internet. Its version must be `chartVersion`. */
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
     * Password of `admin` for the first login, at least 12 characters. It is kept as a secret. Changing it after the first installation has
     * no effect.
     * @default 24 random letters and digits
     */
    bootstrapPassword?: pulumi.Input<string>;
    /**
     * HTTP proxy for requests of Rancher's pods to the outside, as an http or https URL without a path. Give a URL with a password as a
     * secret. The chart writes the URL into the environment of the pods, readable for those who may read Rancher's Deployment.
     * @default no proxy
     */
    proxy?: pulumi.Input<string>;
    /**
     * Further targets without the proxy, each an address, a range or a DNS name, where `.example.com` means all names below. The chart's
     * own ones stay: the private ranges, `.svc` and `.cluster.local`. The stack adds its host name, its nodes, and the ranges and domain of
     * its cluster. Refused without `proxy`.
     * @default []
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
     * objects stay.
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
     * is not checked for drift, and Rancher's settings stay as they are.
     */
    kubeconfig?: pulumi.Input<string>;
}

/** Reports whether a repository is an OCI registry. Helm gets an OCI chart by its whole reference, without a repository. */

/** Rancher, installed from its Helm chart for a load balancer that ends TLS. */
export class RancherRelease extends pulumi.ComponentResource {
    /** Version of the installed chart, which is also the version of Rancher. */
    readonly version: pulumi.Output<string>;
    /** Revision of the release. It rises with every change. */
    readonly revision: pulumi.Output<number>;
    /** Status of the release, `deployed` when all is well. */
    readonly status: pulumi.Output<string>;
    /** Password of `admin` for the first login. Secret. */
    readonly bootstrapPassword: pulumi.Output<string>;

    constructor(name: string, args: RancherReleaseArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:RancherRelease", name, {}, opts);
        refuseOutputs(this, `RancherRelease ${name}`, { drift: args.drift, deletionProtection: args.deletionProtection });
        const { bootstrapPassword, kubeconfig, proxy: url, ...others } = args;
        const proxy = this.proxy(name, args);
        const noProxy = url === undefined ? undefined : (args.noProxy ?? []);
        const settings = validated(this, `RancherRelease ${name}`, releaseSchema, { ...others, noProxy });
        this.bootstrapPassword = pulumi.secret(this.password(name, bootstrapPassword));
        this.warnOfUntried(name, args);
        const wanted = pulumi.all([settings, proxy]).apply(([known, withProxy]): WantedRelease => ({
            chartVersion: known.chartVersion,
            values: { ...helmValues(known), ...withProxy },
            timeoutSeconds: known.timeoutSeconds,
            owner: `${stackName()}/${name}`,
        }));
        const mode = args.drift ?? DriftMode.Enforce;
        const protect = args.deletionProtection ?? true;
        const { epoch, freed, outdated } = kubeconfig === undefined ? nothingLookedAt : this.drift(name, kubeconfig, wanted, mode);
        const additionalCas = this.additionalCas(name, args, opts);
        const release = new k8s.helm.v3.Release(
            `${name}-release`,
            {
                ...identity,
                createNamespace: true,
                chart: this.chart(name, args),
                version: secretAs(args.chartVersion, settings.chartVersion),
                repositoryOpts: settings.apply(({ chartPath, repository: repo = stableRepository }) =>
                    chartPath || isOci(repo) ? {} : { repo },
                ),
                // Password and proxy stay outputs inside the values. So only they are secret, and a preview shows changes of the rest.
                values: settings.apply(known => ({
                    ...helmValues(known),
                    ...(url !== undefined && { proxy: proxy.proxy }),
                    bootstrapPassword: this.bootstrapPassword,
                })),
                // A higher epoch makes Helm run again. A probe recognises this stack's runs by this text (runner/helmRecords.js).
                description: secretAs(
                    [args.chartVersion, args.hostname],
                    pulumi.all([settings, epoch]).apply(([{ chartVersion, hostname }, repairs]) => {
                        const what = `Rancher ${chartVersion} for https://${hostname}`;
                        return repairs === 0 ? what : `${what}, run ${repairs + 1}`;
                    }),
                ),
                timeout: settings.timeoutSeconds,
                cleanupOnFail: true,
                maxHistory: 10,
            },
            { parent: this, deletedWith: opts?.deletedWith, dependsOn: [...freed, ...additionalCas], protect },
        );
        if (kubeconfig !== undefined) this.applySettings(name, kubeconfig, settings, release);
        warnOfSetBack(`${name}-drift`, mode, outdated, release.status);
        const found = inState(release.status);
        this.version = found.apply(({ version }) => version);
        this.revision = found.apply(({ revision }) => revision);
        this.status = found.apply(({ status }) => status);
        const { version, revision, status } = this;
        this.registerOutputs({ version, revision, status, bootstrapPassword: this.bootstrapPassword });
    }

    /** Returns the given password, or a random one. */
    private password(name: string, given: RancherReleaseArgs["bootstrapPassword"]): pulumi.Output<string> {
        if (given === undefined)
            return inState(
                new random.RandomPassword(`${name}-bootstrap-password`, { length: 24, special: false }, { parent: this }).result,
            );
        return validated(this, `RancherRelease ${name}`, givenPasswordSchema, { bootstrapPassword: given }).bootstrapPassword;
    }

    /** Returns the chart's value `proxy`, or no value. It is apart from the other settings, because it can be secret. */
    private proxy(name: string, { proxy, noProxy }: RancherReleaseArgs): pulumi.Output<{ proxy?: string }> {
        const settings = validated(this, `RancherRelease ${name}`, proxySchema, { proxy, noProxy });
        return settings.apply(({ proxy: url }) => (url === undefined ? {} : { proxy: url }));
    }

    /** Returns the chart by the raw arguments, because all validated settings are unknown until the cluster's version is known. */
    private chart(name: string, { chartPath, chartVersion, repository }: RancherReleaseArgs): pulumi.Output<string> {
        return pulumi.all([chartPath, chartVersion, repository]).apply(([path, version, from]) => {
            const fault = path === undefined ? undefined : chartFault(path, version);
            if (fault) throw new Refusal("versions", `RancherRelease ${name}: chartPath: ${fault}`, this);
            return path ?? (isOci(from) ? from : "rancher");
        });
    }

    /** Returns the Secret with further CAs, for which the pods wait, or nothing. */
    private additionalCas(
        name: string,
        { additionalTrustedCAs }: RancherReleaseArgs,
        opts: pulumi.ComponentResourceOptions = {},
    ): pulumi.Resource[] {
        if (additionalTrustedCAs === undefined) return [];
        const cas = validated(this, `RancherRelease ${name}`, additionalCasSchema, { additionalTrustedCAs });
        const { namespace } = identity;
        const secret = { name: "tls-ca-additional", namespace, key: "ca-additional.pem", pem: cas.additionalTrustedCAs };
        const { deletedWith, dependsOn } = opts;
        return [pemSecret(`${name}-additional-cas`, secret, { parent: this, deletedWith, dependsOn })];
    }

    private warnOfUntried(
        name: string,
        { chartVersion, kubernetesVersion = "", distribution = Distribution.Other }: RancherReleaseArgs,
    ): void {
        pulumi.all([chartVersion, kubernetesVersion, distribution]).apply(versions => {
            const warning = untried(...versions);
            if (warning) void pulumi.log.warn(`RancherRelease ${name}: ${warning}`, this);
        });
    }

    /**
     * Sets the settings of Rancher that agents and the first login need. Imports of clusters wait for `server-url`, which Rancher otherwise
     * takes from the first login. A variable of the pods would set it too, but a new variable restarts all pods.
     */
    private applySettings(
        name: string,
        kubeconfig: pulumi.Input<string>,
        settings: pulumi.Output<z.output<typeof releaseSchema>>,
        release: pulumi.Resource,
    ): void {
        const program = pulumi.all([pulumi.output(kubeconfig).apply(apiAccess), settings]).apply(([access, known]) => {
            return access ? settingsProgram(access, known) : "";
        });
        const opts = { parent: this, dependsOn: release };
        runnerProgram(`${name}-settings`, { program, timeoutSeconds: 300, readsLastResult: true }, opts);
    }

    /** Probes the chart's objects and Helm's records. In `enforce` mode it also frees the release from an interrupted run of Helm. */
    private drift(
        name: string,
        kubeconfig: pulumi.Input<string>,
        wanted: pulumi.Output<WantedRelease>,
        mode: DriftMode,
    ): { epoch: pulumi.Output<number>; freed: pulumi.Resource[]; outdated: pulumi.Output<string[]> } {
        const child = { parent: this };
        const access = pulumi.output(kubeconfig).apply(apiAccess);
        const look = () =>
            pulumi
                .all([access, wanted])
                .apply(([known, release]) =>
                    known
                        ? observe(apiProgram("probeRelease.js", known, release), `RancherRelease ${name}`, this)
                        : pulumi.output(noAccess),
                );
        const found = mode === DriftMode.Off ? undefined : pulumi.unsecret(look());
        const epoch = driftEpoch(`${name}-drift`, { mode, found, desired: {} }, child);
        const outdated = found?.apply(probe => probe.outdated) ?? pulumi.output([]);
        if (mode !== DriftMode.Enforce) return { epoch, freed: [], outdated };
        const program = pulumi
            .all([access, wanted, epoch])
            .apply(([known, release, repairs]) => (known ? apiProgram("freeRelease.js", known, release, repairs) : ""));
        return { epoch, outdated, freed: [runnerProgram(`${name}-free`, { program, timeoutSeconds: 60, readsLastResult: true }, child)] };
    }
}

const nothingLookedAt = { epoch: pulumi.output(0), freed: [], outdated: pulumi.output<string[]>([]) };
