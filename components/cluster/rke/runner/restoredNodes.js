// Refuses a restore beside a node that leaves. RKE rebuilds the nodes of the configuration alone, and its record then knows no other node.
const { CodedError } = require("../../../remote/runner/codedError");
const { firstAnswer, unless404 } = require("../../runner/kubernetesApi");
const { isReady } = require("./controlPlane");
const { say } = require("./progress");
const { clusterApi, nameOf, removedNodes } = require("./rkeState");

/** @import { KubernetesNode } from "../../kubernetesObjects" */
/** @import { OnceInput } from "../program" */
/** @import { RkeNode } from "../state" */
/** @import { WantedNode } from "../wantedNodes" */
/** @import { KubernetesApi } from "../../runner/kubernetesApi" */

/** A kubelet renews its lease every 10 s. The clocks of the nodes may be 30 s off. */
const leaseSeconds = 120;

const reason = "RKE restores the nodes of the configuration alone: such a node would run on with valid certificates";

/**
 * Refuses a restore while a node runs that leaves in the same update. A lost node may leave: after a restore that was ended half-way, the
 * cluster can have the record of the snapshot, with nodes that left since.
 *
 * @param {string} state
 * @param {OnceInput} input
 */
async function refuseRunningLeavers(state, input) {
    const leaving = removedNodes(state, input);
    if (leaving.length === 0) return;
    const questions = input.apiEndpoints.map(endpoint => () => running(clusterApi(endpoint, state), leaving));
    const found = await firstAnswer(questions, 1).catch(({ message }) => {
        const names = leaving.map(({ name }) => name).join(", ");
        say(
            `warning: ${names} leave, and Kubernetes does not say whether they run. Keep them switched off: ${message.replace(/\n/g, "; ")}`,
        );
        return [];
    });
    if (!found || found.length === 0) return;
    throw new CodedError(
        "change-not-possible",
        `cluster.restore.snapshot: expected that no running node leaves in the update that restores, found ${found.join(", ")}. ${reason}. ` +
            "etcd was not stopped. Put the nodes back into cluster.nodes, and take them out in a later update. A lost node may leave: keep it switched off",
    );
}

/**
 * Returns the names of the nodes that run. A record that comes from a snapshot can call a lost node ready, so the lease decides where one exists.
 *
 * @param {KubernetesApi} api
 * @param {{ name: string }[]} nodes
 */
async function running(api, nodes) {
    const found = await Promise.all(
        nodes.map(async ({ name }) => {
            const [node, lease] = await Promise.all(
                [`/api/v1/nodes/${name}`, `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${name}`].map(path =>
                    api(path).catch(unless404(undefined)),
                ),
            );
            if (!node) return [];
            const renewed = lease?.spec?.renewTime;
            const runs = renewed ? Date.now() - Date.parse(renewed) < leaseSeconds * 1000 : isReady(node);
            return runs ? [name] : [];
        }),
    );
    return found.flat();
}

/**
 * Warns in a preview of ready nodes that leave beside a restore. A preview does not know whether the snapshot was restored before.
 *
 * @param {RkeNode[]} built
 * @param {{ nodes: WantedNode[], restores?: string }} wanted
 * @param {KubernetesNode[]} live
 */
function leaversBesideRestore(built, { nodes, restores }, live) {
    const names = built.filter(({ address }) => !nodes.some(node => node.address === address)).map(nameOf);
    const ready = live.filter(node => names.includes(node.metadata.name) && isReady(node)).map(({ metadata }) => metadata.name);
    if (!restores || ready.length === 0) return [];
    return [
        `cluster.restore.snapshot: unless ${restores} was restored before, pulumi up refuses to restore it while ${ready.join(", ")} leave. ` +
            `${reason}. Take the nodes out in a later update`,
    ];
}

module.exports = { leaversBesideRestore, refuseRunningLeavers };
