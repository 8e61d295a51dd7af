// Adopts the state of a cluster that RKE built before the stack. Reads the nodes, and changes nothing on them.
const { CodedError, withCode } = require("../../../remote/runner/codedError");
const { bullets, refuseUnfitNodes } = require("./findings");
const { withAgentFor } = require("./nodes");
const { say } = require("./progress");
const { pack } = require("./rkeState");

/**
 * Lists the differences between the nodes in a given state and those in the configuration. A state with other nodes belongs to another
 * cluster, and an adoption changes no node.
 *
 * @param {string[]} builtNodes
 * @param {string[]} addresses
 */
function otherNodes(builtNodes, addresses) {
    const advice = "Adopt the cluster as it is, and change its nodes in a later run";
    return [
        ...builtNodes
            .filter(address => !addresses.includes(address))
            .map(address => `cluster.rkeState: expected a state of these nodes, found a state with the node ${address}. ${advice}`),
        ...addresses
            .filter(address => !builtNodes.includes(address))
            .map(address => `cluster.nodes: expected the nodes of cluster.rkeState, found another one, ${address}. ${advice}`),
    ];
}

/**
 * Refuses a state of RKE that belongs to other nodes.
 *
 * @param {string[]} builtNodes
 * @param {import("../program").WantedNode[]} nodes
 */
function foreignState(builtNodes, nodes) {
    const faults = otherNodes(
        builtNodes,
        nodes.map(({ address }) => address),
    );
    return faults.length > 0 ? withCode("change-not-possible", faults.join("\n")) : undefined;
}

/**
 * Returns the given state, packed, after it has checked that SSH reaches every node and that none belongs to another cluster.
 *
 * @param {import("../program").AdoptedCluster} adopted
 */
async function adoptCluster({ state, builtNodes, ...fitness }) {
    const addresses = fitness.nodes.map(({ connection }) => connection.address);
    const others = otherNodes(builtNodes, addresses);
    if (others.length > 0)
        throw new CodedError("change-not-possible", `the cluster was not adopted and no host was changed, because:\n${bullets(others)}`);
    await withAgentFor(fitness.nodes, env => refuseUnfitNodes(env, fitness));
    say("the cluster's certificates come from cluster.rkeState");
    return pack(state);
}

module.exports = { adoptCluster, foreignState };
