// Refuses changes of the nodes of a built cluster that RKE takes, and that leave something broken.
const { firstAnswer } = require("../../runner/kubernetesApi");
const { isReady } = require("./controlPlane");
const { refuseRun } = require("./findings");
const { refuseLostQuorum } = require("./quorum");
const { builtConfig, clusterApi, innerAddressOf, nameOf } = require("./rkeState");

/** @import { KubernetesNode } from "../../kubernetesObjects" */
/** @import { ClusterInput, ReachedNode } from "../program" */
/** @import { WantedNode } from "../wantedNodes" */
/** @import { BuiltNode, RkeConfig, RkeNode } from "../state" */

/** @typedef {"hostname" | "internalAddress" | "roles"} NodeKey */

/** @type {Record<NodeKey, { built: (node: BuiltNode) => string, wanted: (node: WantedNode) => string }>} */
const values = {
    hostname: { built: nameOf, wanted: ({ name }) => name },
    internalAddress: { built: innerAddressOf, wanted: ({ innerAddress }) => innerAddress },
    roles: { built: ({ role }) => [...role].sort().join(","), wanted: ({ roles }) => [...roles].sort().join(",") },
};

/**
 * Lists differences between RKE's record of nodes and the configuration of the nodes at the same addresses.
 *
 * @param {BuiltNode[]} built
 * @param {WantedNode[]} wanted
 * @param {NodeKey[]} keys
 */
function differences(built, wanted, keys) {
    return wanted.flatMap(node => {
        const known = built.find(({ address }) => address === node.address);
        if (!known) return [];
        return keys
            .map(key => ({ key, expected: values[key].built(known), found: values[key].wanted(node) }))
            .filter(({ expected, found }) => expected !== found)
            .map(
                ({ key, expected, found }) =>
                    `${key} of the node ${node.address}: expected ${expected}, with which RKE built it, found ${found}`,
            );
    });
}

/**
 * Lists nodes with another name or inner address than RKE built them with. RKE compares addresses alone. It makes a second node in
 * Kubernetes and keeps the first one for ever. The member of etcd keeps its address.
 *
 * @param {BuiltNode[]} built
 * @param {WantedNode[]} wanted
 */
function renamedNodes(built, wanted) {
    const lines = differences(built, wanted, ["hostname", "internalAddress"]);
    if (lines.length > 0)
        lines.push(
            "RKE cannot change it on a built node. Return to the earlier value, or remove the node in one update, and add it with the new one in " +
                'the next: docs/operations.md, "Replace a node or a load balancer host"',
        );
    return [...lines, ...reusedNames(built, wanted)];
}

/**
 * Lists new control plane and etcd nodes that have the name of a node that leaves. RKE keeps the old node in Kubernetes, changes etcd, and then
 * waits until the node is ready. It removes a node first that was only a worker.
 *
 * @param {BuiltNode[]} built
 * @param {WantedNode[]} wanted
 */
function reusedNames(built, wanted) {
    const isAmong = (/** @type {{ address: string }[]} */ nodes, /** @type {{ address: string }} */ { address }) =>
        nodes.some(node => node.address === address);
    const leaving = built.filter(node => !isAmong(wanted, node));
    return wanted
        .filter(node => !isAmong(built, node) && node.roles.some(role => role !== "worker"))
        .flatMap(({ name, address }) =>
            leaving
                .filter(node => nameOf(node) === name)
                .map(
                    node =>
                        `hostname of the new node ${address}: expected another one than that of the node ${node.address}, which leaves, found ${name}. ` +
                        "RKE would change etcd, and then wait for the old node. Choose a new hostname",
                ),
        );
}

/**
 * Lists the nodes that serve ingress and leave, when no such node stays. The load balancer would lead to nodes that serve nothing yet, and RKE
 * waits for the load balancer. Nodes that are not ready serve nothing today.
 *
 * @param {RkeConfig} rkeConfig
 * @param {WantedNode[]} wanted
 * @param {KubernetesNode[]} live
 */
function lostIngress({ nodes, ingress }, wanted, live) {
    const selector = Object.entries(ingress?.nodeSelector ?? {});
    const serving = nodes
        .filter(({ role, labels = {} }) => role.includes("worker") && selector.every(([key, value]) => labels[key] === value))
        .filter(node => live.some(item => item.metadata.name === nameOf(node) && isReady(item)));
    const stays = (/** @type {RkeNode} */ { address }) => wanted.some(node => node.servesIngress && node.address === address);
    if (serving.length === 0 || serving.some(stays)) return [];
    return [
        `nodes: expected that a node stays which serves ingress and is ready, one of ${serving.map(nameOf).join(", ")}, found none. ` +
            "The load balancer would lead to no node that serves. Add the new nodes first, and remove the earlier ones in a second update",
    ];
}

/**
 * Refuses such a change before RKE runs.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {string} state
 * @param {ClusterInput} input
 * @param {ReachedNode[]} [rebuilt] nodes without data of etcd
 */
async function refuseNodeChanges(env, state, input, rebuilt = []) {
    const built = builtConfig(state);
    if (!built) return;
    refuseRun("change-not-possible", renamedNodes(built.nodes, input.wantedNodes));
    const questions = input.apiEndpoints.map(endpoint => () => clusterApi(endpoint, state)("/api/v1/nodes"));
    const live = await firstAnswer(questions, 1).catch(() => undefined);
    refuseRun("change-not-possible", lostIngress(built, input.wantedNodes, live?.items ?? []));
    await refuseLostQuorum(env, built.nodes, input, rebuilt);
}

module.exports = { differences, lostIngress, refuseNodeChanges, renamedNodes };
