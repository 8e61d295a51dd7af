import * as pulumi from "@pulumi/pulumi";
import { createHash } from "crypto";
import { innerAddress } from "../../remote/addresses";
import { observe, runnerProgram } from "../../remote/commands";
import { driftEpoch, DriftMode, warnOfSetBack } from "../../remote/drift";
import { Probe } from "../../remote/probe";
import { needsAttention } from "../../attention";
import { secretAs } from "../../secrecy";
import { ifKnown, inState, Refusal, refuseOutputs, validated } from "../../validation";
import { RkeClusterArgs, RkeClusterSettingsArgs } from "./args";
import { shownClusterYml } from "./clusterYml";
import { ingressNodes } from "./ingressNodes";
import { Distribution, upstreamVersion } from "../compatibility";
import { KubernetesCluster } from "../kubernetesCluster";
import { RkeNodeArgs } from "./nodes";
import { clusterProgram, OnceTask, onceProgram, pkiProgram, probeProgram } from "./program";
import { defaultTimeoutSeconds, endpoint, nodeEndpoints, rkeClusterPlainSchema, rkeClusterSchema, RkeClusterSettings } from "./schema";
import { shownArgs } from "./shownArgs";
import { adminKubeconfig, caOf, isNew, Pki, RkeState, unpackState } from "./state";
import { untimelyVerb } from "./untimelyVerbs";

/** Returns the inner addresses of chosen nodes. They are known before the cluster is built. Of the nodes, only SSH keys are secret. */
export function innerAddresses(
    { nodes, ingressNodeSelector }: RkeClusterSettingsArgs,
    choose: (cluster: pulumi.Unwrap<Pick<RkeClusterSettingsArgs, "nodes" | "ingressNodeSelector">>) => pulumi.Unwrap<RkeNodeArgs>[],
): pulumi.Output<string[]> {
    return pulumi.unsecret(pulumi.output({ nodes, ingressNodeSelector }).apply(known => choose(known).map(innerAddress)));
}

/**
 * Returns the limit of the process around RKE. `timeoutSeconds` limits RKE itself, which one process runs up to three times: for a snapshot,
 * a rotation of the CA, and the cluster. The default limit is 4 h.
 */
const outerTimeout = ({ timeoutSeconds = defaultTimeoutSeconds }: { timeoutSeconds?: number }) =>
    4 * Math.max(defaultTimeoutSeconds, timeoutSeconds);

/**
 * A Kubernetes cluster built by RKE 1 over SSH. The machine that runs Pulumi needs the `rke` binary 1.8.14 and the OpenSSH client.
 *
 * The stack creates the cluster's PKI before it changes any host, and keeps the PKI. So a failed first run, a lost work folder or a new
 * runner never creates a second CA. Every node is checked before RKE runs.
 */
export class RkeCluster extends pulumi.ComponentResource implements KubernetesCluster {
    /** Kubeconfig of an administrator. Secret. */
    readonly kubeconfig: pulumi.Output<string>;
    /** IP addresses of the nodes where the ingress controller listens on port 80. */
    readonly ingressAddresses: pulumi.Output<string[]>;
    /** URL of the Kubernetes API. */
    readonly apiEndpoint: pulumi.Output<string>;
    /** Kubernetes version without the suffix of RKE, for example `v1.30.14`. */
    readonly kubernetesVersion: pulumi.Output<string>;
    /** Kubernetes distribution: `rke`. */
    readonly distribution: Distribution = Distribution.Rke;
    /** Digest of the cluster's CA. A different digest means a different cluster. */
    readonly identity: pulumi.Output<string>;
    /** The resource whose deletion ends the cluster and all its workloads. */
    readonly ready: pulumi.Resource;

    constructor(name: string, args: RkeClusterArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:RkeCluster", name, {}, opts);
        const { drift, deletionProtection, caRotations } = args;
        refuseOutputs(this, `RkeCluster ${name}`, { drift, deletionProtection, caRotations });
        const cluster = validated(this, `RkeCluster ${name}`, rkeClusterSchema, args);
        const timeoutSeconds = pulumi.unsecret(pulumi.output({ timeoutSeconds: args.timeoutSeconds }).apply(outerTimeout));
        const plain = rkeClusterPlainSchema.parse(args);
        const kept = { parent: this, protect: plain.deletionProtection };

        const parts = { cluster, timeoutSeconds, ...this.pkis(name, cluster, plain.caRotations, kept) };
        const found = plain.drift === DriftMode.Off ? undefined : this.look(name, parts);
        const desired = { "cluster.yml": secretAs(shownArgs(args), cluster.apply(shownClusterYml)) };
        const epoch = driftEpoch(`${name}-drift`, { mode: plain.drift, found, desired }, { parent: this });
        const nodes = recordedNodes(name, parts, kept);
        // RKE would make an empty etcd where etcd is lost, so a restore comes first.
        const restore = this.once(name, "restore", parts, nodes);
        const rke = this.rke(name, parts, { epoch, nodes }, { ...kept, dependsOn: [nodes, restore] });
        warnOfSetBack(`${name}-drift`, plain.drift, found?.apply(setBack) ?? [], rke.stdout);
        if (found) this.announce(`${name}-rke`, found, rke.stdout);
        const snapshot = this.once(name, "snapshot", parts, rke);
        this.ready = this.once(name, "certificates", parts, snapshot);

        // A rotated CA is another one for the same cluster, so the first one identifies the cluster.
        this.identity = pulumi.unsecret(parts.states[parts.states.length - 1]).apply(caDigest);
        // The command's id is known in every preview once the cluster exists. The result of a pending run is not known.
        // The URN is always known, and what depends on it waits for the last verb.
        const built = pulumi.all([cluster, rke.id, this.ready.urn]).apply(([settings]) => settings);
        this.kubeconfig = this.openingKubeconfig(name, { ...parts, cluster: built }, found);
        // Among the settings, only SSH keys, passwords and a given RKE state are secret.
        const shown = pulumi.unsecret(built);
        this.apiEndpoint = shown.apply(endpoint);
        this.ingressAddresses = shown.apply(settings => ingressNodes(settings).map(innerAddress));
        this.kubernetesVersion = shown.apply(settings => upstreamVersion(settings.kubernetesVersion));
        const { kubeconfig, ingressAddresses, apiEndpoint, kubernetesVersion } = this;
        this.registerOutputs({ kubeconfig, ingressAddresses, apiEndpoint, kubernetesVersion });
    }

    /**
     * Returns what RKE waits for, in time only, once its nodes are checked. RancherHa changes its load balancer in between. The kubeconfig
     * opens a cluster that is already built.
     */
    protected beforeRke(_checked: pulumi.Output<unknown>, _kubeconfig: pulumi.Output<string>): pulumi.Output<unknown> {
        return pulumi.output(undefined);
    }

    /** Says in a preview why RKE will run: other nodes, another version. A preview knows the result only if the command will not run. */
    private announce(name: string, found: pulumi.Output<Probe>, result: pulumi.Output<unknown>): void {
        if (!pulumi.runtime.isDryRun()) return;
        pulumi.all([found, ifKnown(result)]).apply(([{ outdated }, known]) => {
            if (outdated.length > 0 && known === undefined)
                void pulumi.log.info(`${name}: pulumi up runs RKE on the whole cluster:\n${outdated.join("\n")}`, this);
        });
    }

    /** Creates the cluster's PKIs, each once: the first, and one for each rotation of the CA. Returns the newest first. */
    private pkis(name: string, cluster: pulumi.Output<RkeClusterSettings>, rotations: number, opts: pulumi.CustomResourceOptions) {
        const inputs = ["addPreviousOutputInEnv", "create", "update", "delete", "stdin", "interpreter", "logging", "environment", "dir"];
        const create = (suffix: string, program: pulumi.Output<string>) => {
            const args = { program, timeoutSeconds: 180, secretResult: true, once: true };
            return inState(runnerProgram(`${name}-${suffix}`, args, { ...opts, ignoreChanges: inputs }).stdout);
        };
        const all = [
            create(
                "pki",
                cluster.apply(settings => pkiProgram(settings)),
            ),
        ];
        for (let rotation = 1; rotation <= rotations; rotation++)
            all.unshift(
                create(
                    `rotation-${rotation}`,
                    pulumi.all([cluster, all[0]]).apply(parts => pkiProgram(...parts)),
                ),
            );
        const unpacked = all.map(pki => pki.apply((text): Pki => ({ packed: text, state: unpackState(text) })));
        const states = unpacked.map(pki => pki.apply(({ state }) => state));
        return { pkis: pulumi.all(unpacked), states, known: pulumi.all(states.map(ifKnown)) };
    }

    /** Creates the command that builds the cluster with RKE. */
    private rke(
        name: string,
        { cluster, pkis, states, timeoutSeconds }: Parts,
        { epoch, nodes }: { epoch: pulumi.Output<number>; nodes: { stdout: pulumi.Output<string> } },
        opts: pulumi.CustomResourceOptions,
    ) {
        const before = this.beforeRke(nodes.stdout, kubeconfigOf(cluster, states[0]));
        const program = pulumi
            .all([cluster, pkis, epoch, before])
            .apply(([settings, all, repairs]) => clusterProgram("cluster", settings, all, repairs));
        return rkeProgram(`${name}-rke`, { program, timeoutSeconds }, opts);
    }

    /** Returns the kubeconfig by which the rest of the stack opens the cluster. */
    private openingKubeconfig(name: string, { cluster, states, known }: Parts, found?: pulumi.Output<Probe>) {
        const asked = pulumi.all([cluster, this.answeringApi(found)]).apply(([settings, other]) => other ?? endpoint(settings));
        return pulumi.secret(
            pulumi
                .all([cluster, this.usedState(name, states, known, found), asked])
                .apply(([settings, state, at]) => adminKubeconfig(state, settings.clusterName, at)),
        );
    }

    /**
     * Returns the state whose PKI opens the cluster: in an update the newest, because RKE has rotated the CA before. A preview takes the PKI
     * that the cluster still has, because every resource in the cluster would be unknown otherwise. It announces the rotation.
     */
    private usedState(
        name: string,
        states: pulumi.Output<RkeState>[],
        known: pulumi.Output<(RkeState | undefined)[]>,
        found?: pulumi.Output<Probe>,
    ): pulumi.Output<RkeState> {
        if (states.length === 1 || !pulumi.runtime.isDryRun()) return states[0];
        return pulumi.all([known, found]).apply(([all, probe]) => {
            const offset = all.findIndex(state => state !== undefined);
            const used = offset + Number(probe?.facts["earlier-pki"] ?? 0);
            if (used > 0) needsAttention(`${name}: ${rotationWarning}`, this);
            return states[Math.max(used, 0)];
        });
    }

    /** Refuses verbs in the preview of an update that makes a PKI. An update without a preview is refused by the program of the PKI. */
    private refuseUntimelyVerb(settings: RkeClusterSettings, earlier: (RkeState | undefined)[]): void {
        const refusal = untimelyVerb(
            settings,
            earlier.some(state => state && !isNew(state)),
        );
        if (refusal) throw new Refusal("change-not-possible", `RkeCluster: ${refusal}`, this);
    }

    /** Creates the command of a verb, which runs once for each token. */
    private once(name: string, task: OnceTask, { cluster, pkis, known, timeoutSeconds }: Parts, after: pulumi.Resource) {
        const program = pulumi.all([cluster, known]).apply(([settings, [newest, ...earlier]]) => {
            const token = tokenOf[task](settings);
            if (task === "restore" && (!newest || isNew(newest))) this.refuseUntimelyVerb(settings, earlier);
            return token === undefined
                ? pulumi.output(onceProgram(task))
                : pkis.apply(all => onceProgram(task, { token, cluster: settings, pkis: all }));
        });
        const args = { program, timeoutSeconds, secretResult: true, readsLastResult: true };
        const command = runnerProgram(`${name}-${task}`, args, { parent: this, dependsOn: after });
        if (task === "restore" && pulumi.runtime.isDryRun()) {
            // A preview knows the result only if the command will not run.
            pulumi.all([cluster, ifKnown(command.stdout)]).apply(([{ restore }, result]) => {
                if (!restore || result !== undefined) return;
                const what = `${name}-restore: pulumi up restores the etcd snapshot ${restore.snapshot}, unless it was restored before`;
                needsAttention(`${what}. ${restoreWarning}`, this);
            });
        }
        return command;
    }

    /**
     * Returns the API server that a preview asks while the endpoint does not answer. The load balancer may be down, or this update sets the
     * endpoint up. An update asks the endpoint itself, because the load balancer and RKE are done before.
     */
    private answeringApi(found?: pulumi.Output<Probe>): pulumi.Output<string | undefined> {
        if (!found || !pulumi.runtime.isDryRun()) return pulumi.output(undefined);
        return found.apply(({ facts: { "answering-api": other } }) => {
            if (other) void pulumi.log.info(`the Kubernetes API does not answer at its endpoint yet: this preview asks ${other}`, this);
            return other;
        });
    }

    /** Probes the cluster. A preview also checks new nodes; in an update, the command that runs RKE checks them. */
    private look(name: string, { cluster, known }: Parts) {
        const program = pulumi.all([cluster, known]).apply(([settings, all]) => probeProgram(settings, all, pulumi.runtime.isDryRun()));
        return observe(program, `RkeCluster ${name}`, this);
    }
}

/** Data that the commands of a cluster share. In each list, the newest PKI comes first. */
interface Parts {
    cluster: pulumi.Output<RkeClusterSettings>;
    pkis: pulumi.Output<Pki[]>;
    /** State of each PKI. */
    states: pulumi.Output<RkeState>[];
    /** The same states. A preview does not know a new one. */
    known: pulumi.Output<(RkeState | undefined)[]>;
    timeoutSeconds: pulumi.Output<number>;
}

const rotationWarning =
    "pulumi up rotates the CA of the cluster. etcd and the control plane restart on all nodes at once. Then the pods of all workloads " +
    "restart, one after another. Until its restart, a pod cannot use the Kubernetes API. The kubeconfig changes, and the Kubernetes " +
    "provider is updated in place. Nothing in the cluster is replaced";

const restoreWarning =
    "All objects made after the snapshot are lost, and Kubernetes is down meanwhile. While etcd answers, a snapshot of the present objects " +
    "is saved first";

/** The token of each verb. A new one runs the verb. */
const tokenOf: Record<OnceTask, (cluster: RkeClusterSettings) => string | undefined> = {
    snapshot: ({ snapshot }) => snapshot?.name,
    restore: ({ restore }) => restore?.snapshot,
    certificates: ({ rotateCertificates }) => rotateCertificates,
};

/** Creates the command that records the nodes before RKE runs. A failed `rke up` never reaches the state, and `destroy` must clean them. */
function recordedNodes(name: string, { cluster, pkis, timeoutSeconds }: Parts, opts: pulumi.CustomResourceOptions) {
    const program = pulumi.all([cluster, pkis]).apply(parts => clusterProgram("nodes", ...parts));
    return rkeProgram(`${name}-nodes`, { program, timeoutSeconds }, opts);
}

/** Creates a command that runs a step of RKE. Deleting the command also cleans the nodes. */
const rkeProgram = (
    name: string,
    args: { program: pulumi.Output<string>; timeoutSeconds: pulumi.Output<number> },
    opts: pulumi.CustomResourceOptions,
) => runnerProgram(name, { ...args, secretResult: true, destroy: true, readsLastResult: true }, opts);

/** Returns a kubeconfig that asks a control plane node, without waiting for RKE. */
const kubeconfigOf = (cluster: pulumi.Output<RkeClusterSettings>, state: pulumi.Output<RkeState>) =>
    pulumi.secret(
        pulumi.all([cluster, state]).apply(([settings, known]) => adminKubeconfig(known, settings.clusterName, nodeEndpoints(settings)[0])),
    );

/** Lists differences from the cluster as RKE left it. The caller knows that RKE has run, so an absent cluster was stopped. */
const setBack = ({ state, outdated }: Probe) =>
    state === "absent" ? ["RKE built the cluster, and none of its API servers runs. With drift: enforce, pulumi up starts them"] : outdated;

/** Returns the digest of a CA. */
const caDigest = (state: RkeState) => createHash("sha256").update(caOf(state)).digest("hex");
