import { join } from "path";
import { apiPort } from "../../kubernetesApi";
import { HostConnection } from "../../remote/connection";
import { nodeProgram } from "../../remote/programs";
import { clusterYml, ingressOptions } from "./clusterYml";
import { acceptedDocker } from "../compatibility";
import {
    encryptionKeyProgram,
    etcdAnswersProgram,
    HostPrograms,
    hostPrograms,
    listSnapshotsProgram,
    noEtcdProgram,
    preflightProgram,
} from "./hostPrograms";
import { RegistryLogin, registryLogins } from "./registries";
import { rkeVersion } from "./rkeVersions";
import { hasRole, NodeRole } from "./nodes";
import { endpoint, nodeEndpoints, nodeName, RkeClusterSettings } from "./schema";
import { BuiltNode, builtNodes, caOf, ClusterKeys, completeState, isNew, keysOf, Pki, RkeState, unpackState } from "./state";
import { untimelyVerb } from "./untimelyVerbs";
import { WantedNode, wantedNodes } from "./wantedNodes";

/** A node as runner programs reach it over SSH. */
export interface ReachedNode {
    name: string;
    connection: HostConnection;
}

/** The nodes, and the program that checks whether RKE can run on them. */
export interface Fitness {
    nodes: ReachedNode[];
    preflightProgram: string;
}

/** An S3 bucket for snapshots, with the keys to ask it. */
export type BucketAccess = NonNullable<RkeClusterSettings["etcdBackup"]["s3"]>;

/** A bucket that is asked through the etcd nodes, because they use it. */
export interface AskedBucket {
    access: BucketAccess;
    nodes: ReachedNode[];
}

/** Input of runner/createPki.js. */
export interface PkiInput {
    rkeVersion: string;
    clusterYml: string;
    nodeCount: number;
    etcdCount: number;
    /** The cluster to adopt, if RKE built it before the stack. In that case no certificates are made. */
    adopted?: AdoptedCluster;
    /** Why nothing is created, if the configuration asks for a verb that this update must not run. */
    refusal?: string;
    /** The packed PKI before this one. Undefined for the first. */
    earlierPki?: string;
}

/** A cluster that RKE built before the stack. */
export interface AdoptedCluster extends Fitness {
    /** Text of its cluster.rkestate. */
    state: string;
    /** The nodes in its state. */
    builtNodes: BuiltNode[];
    wantedNodes: WantedNode[];
}

/** The settings that are compared with a cluster that RKE built. */
export interface WantedCluster {
    network: RkeClusterSettings["network"];
    kubernetesVersion: string;
    /** The snapshot that this update restores before it changes the cluster. Undefined for none, and after the restore. */
    restores?: string;
}

/** Input of runner/rke.js. */
export interface ClusterInput extends Fitness, WantedCluster, HostPrograms {
    /** `nodes` checks the nodes, `cluster` builds the cluster. */
    task: "nodes" | "cluster";
    /** A higher number makes RKE repair the cluster. */
    epoch?: number;
    wantedNodes: WantedNode[];
    rkeVersion: string;
    clusterYml: string;
    /** Keys of cluster.yml that the configuration adds. Every one must be a key that RKE reads. */
    extraConfig?: object;
    /** The bucket of snapshots, which must be usable. Undefined without keys, which only the nodes have then. */
    bucket?: AskedBucket;
    /** Logins that every node must be able to do. Undefined without one. */
    logins?: RegistryLogin[];
    /** Packed state of RKE with the cluster's newest certificates. */
    pki: string;
    /** Packed states from before each rotation of the CA, the newest first. Undefined without a rotation. */
    earlierPkis?: string[];
    timeoutSeconds: number;
    apiEndpoints: string[];
    /** Secrets in etcd are encrypted, as cluster.yml says, too. Undefined if they are not. */
    encryptsSecrets?: true;
    ingressOptions: Record<string, string>;
}

/** What a rotation of the CA needs to know of the cluster. */
export type RotatedCluster = Pick<ClusterInput, "nodes" | "clusterYml" | "pki" | "earlierPkis" | "timeoutSeconds" | "apiEndpoints">;

/** What is needed to find the key of encrypted Secrets on the nodes. */
export type KeyedCluster = Pick<ClusterInput, "nodes" | "wantedNodes" | "encryptsSecrets" | "encryptionKeyProgram">;

/** The verbs of RKE that run once for each token. */
export type OnceTask = "snapshot" | "restore" | "certificates";

/** Input of runner/once.js. */
export interface OnceInput extends RotatedCluster, KeyedCluster, Fitness, Pick<ClusterInput, "rkeVersion"> {
    task: OnceTask;
    /** The name of a snapshot, or any text for the certificates. */
    token: string;
    etcdNodes: ReachedNode[];
    listProgram: string;
    etcdAnswersProgram: string;
    /** Snapshots are also in an S3 bucket. */
    hasBucket: boolean;
    /** The same bucket, to be asked before. Undefined without keys, which only the nodes have then. */
    bucket?: AskedBucket;
}

/** A server that runs on a node. */
export interface NodeEndpoint {
    node: string;
    endpoint: string;
}

/** Input of runner/probeNodes.js. The certificates are missing as long as nothing is built. */
export interface ProbeNodesInput extends WantedCluster, Partial<ClusterKeys> {
    /** Certificates from before each rotation of the CA, the newest first. Undefined without a rotation. */
    earlierKeys?: ClusterKeys[];
    controlPlane: NodeEndpoint[];
    etcd: NodeEndpoint[];
    /** URL of the Kubernetes API in the kubeconfig. */
    apiEndpoint: string;
    nodes: WantedNode[];
    /** Nodes and program for the check of new nodes over SSH. Undefined when the probe makes no such check. */
    fitness?: Fitness;
    noEtcdProgram?: string;
    /** Logins that new nodes must be able to do. Undefined without one, and outside previews. */
    logins?: RegistryLogin[];
    /** True if this update makes the PKI of a rotation of the CA. Undefined otherwise, and outside previews. */
    rotates?: true;
    /** Nodes in the state of a cluster that this update would adopt. */
    adoptedNodes?: BuiltNode[];
    /** Keys of cluster.yml that the configuration adds, with the whole file. Undefined when there are none, and outside previews. */
    extra?: { clusterYml: string; extraConfig: object };
}

const runner = (file: string) => join(__dirname, "runner", file);

/** Returns the program that makes a PKI: the first one, or the one after an earlier one. */
export function pkiProgram(cluster: RkeClusterSettings, earlierPki?: string): string {
    return nodeProgram<PkiInput>(runner("createPki.js"), {
        rkeVersion,
        clusterYml: clusterYml(cluster),
        nodeCount: cluster.nodes.length,
        etcdCount: cluster.nodes.filter(hasRole(NodeRole.Etcd)).length,
        adopted: earlierPki === undefined ? adopted(cluster) : undefined,
        earlierPki,
        refusal: untimelyVerb(cluster, earlierPki !== undefined && !isNew(unpackState(earlierPki))),
    });
}

function adopted(cluster: RkeClusterSettings): AdoptedCluster | undefined {
    if (cluster.rkeState === undefined) return undefined;
    const state = completeState(cluster.rkeState)!;
    return { state: cluster.rkeState, builtNodes: builtNodes(state), wantedNodes: wantedNodes(cluster), ...fitness(cluster, [state]) };
}

/** Returns the program that checks the nodes or builds the cluster. The newest PKI comes first. */
export function clusterProgram(task: ClusterInput["task"], cluster: RkeClusterSettings, pkis: Pki[], epoch?: number): string {
    const fit = fitness(cluster, statesOf(pkis));
    return nodeProgram<ClusterInput>(runner("rke.js"), {
        task,
        epoch,
        wantedNodes: wantedNodes(cluster),
        rkeVersion,
        clusterYml: clusterYml(cluster),
        extraConfig: task === "nodes" ? given(cluster.extraConfig) : undefined,
        bucket: task === "nodes" ? askedBucket(cluster, fit.nodes) : undefined,
        logins: task === "nodes" ? registryLogins(cluster.privateRegistries) : undefined,
        ...packedOf(pkis),
        timeoutSeconds: cluster.timeoutSeconds,
        apiEndpoints: nodeEndpoints(cluster),
        encryptsSecrets: encryptsSecrets(cluster),
        network: cluster.network,
        kubernetesVersion: cluster.kubernetesVersion,
        ingressOptions: ingressOptions(cluster),
        ...fit,
        ...hostPrograms(),
    });
}

/** Returns the program of a verb. Without a token it holds no data, so that no other change makes the command run. */
export function onceProgram(task: OnceTask, asked?: { token: string; cluster: RkeClusterSettings; pkis: Pki[] }): string {
    if (!asked) return "// No token is set.\n";
    const { token, cluster, pkis } = asked;
    const { nodes, preflightProgram } = fitness(cluster, statesOf(pkis));
    return nodeProgram<OnceInput>(runner("once.js"), {
        task,
        token,
        rkeVersion,
        clusterYml: clusterYml(cluster),
        ...packedOf(pkis),
        wantedNodes: wantedNodes(cluster),
        encryptsSecrets: encryptsSecrets(cluster),
        encryptionKeyProgram: encryptionKeyProgram(),
        timeoutSeconds: cluster.timeoutSeconds,
        apiEndpoints: nodeEndpoints(cluster),
        nodes,
        etcdNodes: etcdNodes(cluster, nodes),
        preflightProgram,
        listProgram: listSnapshotsProgram(),
        etcdAnswersProgram: etcdAnswersProgram(),
        hasBucket: cluster.etcdBackup.s3 !== undefined,
        bucket: askedBucket(cluster, nodes),
    });
}

const etcdNodes = (cluster: RkeClusterSettings, nodes: ReachedNode[]) =>
    nodes.filter((_, index) => hasRole(NodeRole.Etcd)(cluster.nodes[index]));

const encryptsSecrets = (cluster: RkeClusterSettings) => (cluster.services.kubeApi.secretsEncryption ? true : undefined);

function askedBucket(cluster: RkeClusterSettings, nodes: ReachedNode[]): AskedBucket | undefined {
    const access = cluster.etcdBackup.s3;
    return access?.accessKey === undefined ? undefined : { access, nodes: etcdNodes(cluster, nodes) };
}

/** Returns undefined for an object without keys, so that a program's data is the same as without the argument. */
const given = (keys: object) => (Object.keys(keys).length > 0 ? keys : undefined);

const statesOf = (pkis: Pki[]) => pkis.map(({ state }) => state);

/** Returns the packed PKIs. Without a rotation, `earlierPkis` is undefined, so that the data of older stacks stays the same. */
function packedOf([{ packed }, ...earlier]: Pki[]): Pick<ClusterInput, "pki" | "earlierPkis"> {
    return { pki: packed, earlierPkis: earlier.length > 0 ? earlier.map(pki => pki.packed) : undefined };
}

/** `states` hold the CAs that a node of this cluster can have. */
function fitness(cluster: RkeClusterSettings, states: RkeState[]): Fitness {
    return {
        nodes: cluster.nodes.map(node => ({
            name: nodeName(node),
            connection: {
                address: node.address,
                port: node.port,
                user: node.user,
                hostKey: node.hostKey,
                privateKey: node.privateKey,
                bastion: node.bastion,
                waitSeconds: node.waitSeconds,
            },
        })),
        preflightProgram: preflightProgram(cluster.ignoreDockerVersion ? [] : acceptedDocker(cluster.kubernetesVersion), states.map(caOf)),
    };
}

/**
 * Returns the probe program. Nothing is built without a state, or with a state that this update made. A preview also checks new nodes.
 * Before a cluster is adopted, its state is only in the configuration, and all of its nodes are new to the stack.
 */
export function probeProgram(cluster: RkeClusterSettings, all: (RkeState | undefined)[], inPreview: boolean): string {
    const known = all.filter(state => state !== undefined);
    const adoptedState = inPreview && known.length === 0 && cluster.rkeState ? completeState(cluster.rkeState) : undefined;
    const states = adoptedState ? [adoptedState] : known;
    const extraConfig = given(cluster.extraConfig);
    const [keys, ...earlierKeys] = states.filter(state => inPreview || !isNew(state)).map(keysOf);
    const having = (role: NodeRole, port: number) =>
        cluster.nodes.filter(hasRole(role)).map(node => ({ node: nodeName(node), endpoint: `https://${node.address}:${port}` }));
    return nodeProgram<ProbeNodesInput>(runner("probeNodes.js"), {
        controlPlane: having(NodeRole.ControlPlane, apiPort),
        etcd: having(NodeRole.Etcd, 2379),
        apiEndpoint: endpoint(cluster),
        network: cluster.network,
        kubernetesVersion: cluster.kubernetesVersion,
        restores: cluster.restore?.snapshot,
        nodes: wantedNodes(cluster),
        ...keys,
        earlierKeys: earlierKeys.length > 0 ? earlierKeys : undefined,
        fitness: inPreview ? fitness(cluster, states) : undefined,
        logins: inPreview ? registryLogins(cluster.privateRegistries) : undefined,
        rotates: inPreview && known.length > 0 && known.length < all.length ? true : undefined,
        noEtcdProgram: inPreview ? noEtcdProgram() : undefined,
        adoptedNodes: adoptedState && builtNodes(adoptedState),
        extra: inPreview && extraConfig ? { clusterYml: clusterYml(cluster), extraConfig } : undefined,
    });
}
