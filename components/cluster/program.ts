import { join } from "path";
import { HostConnection } from "../remote/connection";
import { nodeProgram, shellProgram } from "../remote/programs";
import { clusterYml, ingressOptions } from "./clusterYml";
import { acceptedDocker, rkeVersion } from "./compatibility";
import { ApiAccess } from "./kubeconfig";
import { hasRole, nodeName, NodeRole, RkeClusterSettings } from "./schema";
import { RkeState } from "./state";

const runner = join(__dirname, "runner", "rke.js");
const probe = join(__dirname, "runner", "probeNodes.js");

export function endpoint(cluster: RkeClusterSettings): string {
    return cluster.apiEndpoint ?? nodeEndpoints(cluster)[0];
}

function nodeEndpoints(cluster: RkeClusterSettings): string[] {
    return cluster.nodes.filter(hasRole(NodeRole.ControlPlane)).map(({ address }) => `https://${address}:6443`);
}

export function pkiProgram(cluster: RkeClusterSettings): string {
    return nodeProgram(runner, {
        task: "pki",
        rkeVersion,
        clusterYml: clusterYml(cluster),
        nodeCount: cluster.nodes.length,
        etcdCount: cluster.nodes.filter(hasRole(NodeRole.Etcd)).length,
    });
}

export function clusterProgram(
    task: "nodes" | "cluster",
    cluster: RkeClusterSettings,
    pki: string,
    state: RkeState,
    epoch?: number,
): string {
    return nodeProgram(runner, {
        task,
        epoch,
        rkeVersion,
        clusterYml: clusterYml(cluster),
        pki,
        timeoutSeconds: cluster.timeoutSeconds,
        apiEndpoints: nodeEndpoints(cluster),
        network: cluster.network,
        kubernetesVersion: cluster.kubernetesVersion,
        ingressOptions: ingressOptions(cluster),
        ...fitness(cluster, state),
        startProgram: shellProgram([join(__dirname, "startContainers.sh")], {}),
        removePodsProgram: shellProgram([join(__dirname, "removePods.sh")], {}),
        leftoverProgram: shellProgram([join(__dirname, "leftover.sh")], {}),
    });
}

/** How the nodes are reached, and the program that looks whether they are fit for RKE. */
function fitness(cluster: RkeClusterSettings, state?: RkeState) {
    return {
        nodes: cluster.nodes.map(node => ({
            name: nodeName(node),
            connection: {
                address: node.address,
                port: node.port,
                user: node.user,
                hostKey: node.hostKey,
                privateKey: node.privateKey,
            } satisfies HostConnection,
        })),
        preflightProgram: shellProgram([join(__dirname, "preflight.sh")], {
            docker_versions: acceptedDocker(cluster.kubernetesVersion).join(" "),
            now: "@now@",
            ca_certificate: state?.desiredState.certificatesBundle["kube-ca"].certificatePEM ?? "",
        }),
    };
}

/** Without a state nothing is built yet. New nodes are looked at themselves when asked for. */
export function probeProgram(cluster: RkeClusterSettings, state: RkeState | undefined, looksAtNewNodes: boolean): string {
    const { "kube-ca": ca, "kube-admin": admin } = state?.desiredState.certificatesBundle ?? {};
    const having = (role: NodeRole, port: number) =>
        cluster.nodes.filter(hasRole(role)).map(node => ({ node: nodeName(node), endpoint: `https://${node.address}:${port}` }));
    return nodeProgram(probe, {
        controlPlane: having(NodeRole.ControlPlane, 6443),
        etcd: having(NodeRole.Etcd, 2379),
        network: cluster.network,
        kubernetesVersion: cluster.kubernetesVersion,
        nodes: cluster.nodes.map(node => ({
            address: node.address,
            name: nodeName(node),
            roles: node.roles,
            labels: node.labels,
            taints: node.taints,
        })),
        ca: ca?.certificatePEM,
        certificate: admin?.certificatePEM,
        key: admin?.keyPEM,
        fitness: looksAtNewNodes ? fitness(cluster, state) : undefined,
    });
}

/** The program that asks a cluster for its version. */
export function versionProgram(access: ApiAccess): string {
    return nodeProgram(join(__dirname, "runner", "apiVersion.js"), { access });
}
