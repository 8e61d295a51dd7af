import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { z } from "zod";
import { watchedCas } from "../certificates/endings";
import { Distribution, untried } from "../cluster/compatibility";
import { apiAccess } from "../cluster/kubeconfig";
import { observe, runnerProgram } from "../remote/commands";
import { driftEpoch, DriftMode, warnOfSetBack } from "../remote/drift";
import { stackName } from "../owner";
import { secretAs } from "../secrecy";
import { heldUntil, inState, refuseOutputs, Refusal, validated } from "../validation";
import { RancherReleaseArgs } from "./args";
import { pemSecret } from "./caSecret";
import { chartFault } from "./chartFile";
import { askRepository } from "./askRepository";
import { isOci, repositorySchema, stableRepository } from "./chartRepository";
import { helmValues } from "./helmValues";
import { apiProgram, identity, settingsProgram, WantedRelease } from "./program";
import { notAsked, warnOfNotAsked } from "./notAsked";
import { proxySchema } from "./proxy";
import { additionalCasSchema, givenPasswordSchema, releasePlainSchema, releaseSchema } from "./schema";

type Settings = z.output<typeof releaseSchema>;

/** Rancher, installed from its Helm chart for a load balancer that ends TLS. */
export class RancherRelease extends pulumi.ComponentResource {
    /** Version of the installed chart, which is also the version of Rancher. */
    readonly version: pulumi.Output<string>;
    /** Revision of the release. It rises with every change. */
    readonly revision: pulumi.Output<number>;
    /** Status of the release, `deployed` when all is well. */
    readonly status: pulumi.Output<string>;
    /** Password of `admin` for the first login. Empty when the release has none. Secret. */
    readonly bootstrapPassword: pulumi.Output<string>;

    constructor(name: string, args: RancherReleaseArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:RancherRelease", name, {}, opts);
        refuseOutputs(this, `RancherRelease ${name}`, { drift: args.drift, deletionProtection: args.deletionProtection });
        const { bootstrapPassword, kubeconfig, proxy: url, ...others } = args;
        const proxy = this.proxy(name, args);
        const noProxy = url === undefined ? undefined : (args.noProxy ?? []);
        this.bootstrapPassword = pulumi.secret(this.password(name, bootstrapPassword));
        const given = { ...others, noProxy, bootstrapPassword: emptyOnly(bootstrapPassword), repositoryOpts: undefined };
        const settings = validated(this, `RancherRelease ${name}`, releaseSchema, given);
        this.warnOfUntried(name, args);
        const wanted = wantedRelease(name, settings, proxy);
        const { drift: mode, deletionProtection: protect } = releasePlainSchema.parse(args);
        warnOfNotAsked(name, args, mode, this);
        const { epoch, freeing, outdated } = this.drift(name, args, wanted, mode);
        const additionalCas = this.additionalCas(name, args, opts);
        const source = this.source(name, args, settings.chartVersion);
        const release = new k8s.helm.v3.Release(
            `${name}-release`,
            {
                ...identity,
                createNamespace: true,
                ...source,
                // Password and proxy stay outputs inside the values. So only they are secret, and a preview shows changes of the rest.
                values: settings.apply(known => ({
                    ...helmValues(known),
                    ...(url !== undefined && { proxy: proxy.proxy }),
                    bootstrapPassword: withoutEmpty(this.bootstrapPassword),
                })),
                description: description(args, settings, epoch),
                timeout: settings.timeoutSeconds,
                cleanupOnFail: true,
                maxHistory: 10,
            },
            { parent: this, deletedWith: opts?.deletedWith, dependsOn: [...freeing, ...additionalCas], protect },
        );
        askRepository(`RancherRelease ${name}`, this, release, source);
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

    /** Returns the place and the version of the chart for Helm. */
    private source(name: string, args: RancherReleaseArgs, chartVersion: pulumi.Output<string>) {
        return {
            chart: this.chart(name, args),
            version: secretAs(args.chartVersion, chartVersion),
            repositoryOpts: this.repositoryOpts(name, args),
        };
    }

    /** Returns the chart by the raw arguments, because all validated settings are unknown until the cluster's version is known. */
    private chart(name: string, { chartPath, chartVersion, repository }: RancherReleaseArgs): pulumi.Output<string> {
        return pulumi.all([chartPath, chartVersion, repository]).apply(([path, version, from]) => {
            const fault = path === undefined ? undefined : chartFault(path, version);
            if (fault) throw new Refusal("versions", `RancherRelease ${name}: chartPath: ${fault}`, this);
            return path ?? (isOci(from) ? from : "rancher");
        });
    }

    /** Returns the place of the chart for Helm. It is apart from the other settings, because it holds secrets. */
    private repositoryOpts(name: string, { repository, repositoryOpts, chartPath }: RancherReleaseArgs) {
        const where = validated(this, `RancherRelease ${name}`, repositorySchema, { repository, repositoryOpts, chartPath });
        const found = pulumi.unsecret(where).apply(({ repository: repo = stableRepository, repositoryOpts: given = {}, ...local }) => {
            if (local.chartPath) return {};
            const { caFile, ...login } = given;
            return {
                repo: isOci(repo) ? undefined : repo,
                caFile,
                ...Object.fromEntries(Object.entries(login).map(([key, value]) => [key, pulumi.secret(value)])),
            };
        });
        return secretAs(repository, found);
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
        const pem = watchedCas(this, "additionalTrustedCAs", cas.additionalTrustedCAs);
        const secret = { name: "tls-ca-additional", namespace, key: "ca-additional.pem", pem };
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
        settings: pulumi.Output<Settings>,
        release: pulumi.Resource,
    ): void {
        const program = pulumi.all([pulumi.output(kubeconfig).apply(apiAccess), settings]).apply(([access, known]) => {
            return access ? settingsProgram(access, known) : "";
        });
        const opts = { parent: this, dependsOn: release };
        runnerProgram(`${name}-settings`, { program, timeoutSeconds: 300, readsLastResult: true }, opts);
    }

    /**
     * Probes the chart's objects and Helm's records. In `enforce` mode it also frees the release from an interrupted run of Helm. In `off`
     * mode the probe only refuses what Rancher does not survive.
     */
    private drift(
        name: string,
        { kubeconfig, adoptedCaChecksum }: RancherReleaseArgs,
        wanted: pulumi.Output<WantedRelease>,
        mode: DriftMode,
    ): { epoch: pulumi.Output<number>; freeing: pulumi.Resource[]; outdated: pulumi.Output<string[]> } {
        if (kubeconfig === undefined) return withoutProbe;
        const child = { parent: this };
        const access = pulumi.output(kubeconfig).apply(apiAccess);
        const asked = (adopted?: string) => ({ adoptedCaChecksum: adopted, onlyRefuses: mode === DriftMode.Off });
        const looked = pulumi
            .all([access, wanted, adoptedCaChecksum])
            .apply(([known, release, adopted]) =>
                known
                    ? observe(apiProgram("probeRelease.js", known, release, asked(adopted)), `RancherRelease ${name}`, this)
                    : pulumi.output(notAsked),
            );
        const found = mode === DriftMode.Off ? undefined : pulumi.unsecret(looked);
        const epoch = heldUntil(looked, driftEpoch(`${name}-drift`, { mode, found, desired: {} }, child));
        const outdated = found?.apply(probe => probe.outdated) ?? pulumi.output([]);
        if (mode !== DriftMode.Enforce) return { epoch, freeing: [], outdated };
        const program = pulumi
            .all([access, wanted, epoch])
            .apply(([known, release, repairs]) => (known ? apiProgram("freeRelease.js", known, release, { epoch: repairs }) : ""));
        return { epoch, outdated, freeing: [runnerProgram(`${name}-free`, { program, timeoutSeconds: 60, readsLastResult: true }, child)] };
    }
}

/** Returns an empty password, which is no secret, and undefined for any other. A password that is known is checked at once. */
function emptyOnly(password: RancherReleaseArgs["bootstrapPassword"]): pulumi.Input<"" | undefined> {
    const only = (text: string | undefined) => (text === "" ? text : undefined);
    if (password === undefined || typeof password === "string") return only(password);
    return pulumi.unsecret(pulumi.output(password)).apply(only);
}

/** Returns the password as a secret, and undefined for an empty one, so that the values of the release have no such key. */
const withoutEmpty = (password: pulumi.Output<string>) =>
    pulumi.unsecret(password).apply(text => (text === "" ? undefined : pulumi.secret(text)));

/** Returns the release as a probe compares it with the live one. */
const wantedRelease = (name: string, settings: pulumi.Output<Settings>, proxy: pulumi.Output<object>): pulumi.Output<WantedRelease> =>
    pulumi.all([settings, proxy]).apply(([known, withProxy]) => ({
        chartVersion: known.chartVersion,
        values: { ...helmValues(known), ...withProxy },
        timeoutSeconds: known.timeoutSeconds,
        owner: `${stackName()}/${name}`,
    }));

/**
 * Returns the description of the release. A higher epoch changes it, which makes Helm run again. A probe recognises this stack's runs by
 * this text (runner/helmRecords.js).
 */
function description(given: RancherReleaseArgs, settings: pulumi.Output<Settings>, epoch: pulumi.Output<number>) {
    const text = pulumi.all([settings, epoch]).apply(([{ chartVersion, hostname }, repairs]) => {
        const what = `Rancher ${chartVersion} for https://${hostname}`;
        return repairs === 0 ? what : `${what}, run ${repairs + 1}`;
    });
    return secretAs([given.chartVersion, given.hostname], text);
}

const withoutProbe = { epoch: pulumi.output(0), freeing: [], outdated: pulumi.output<string[]>([]) };
