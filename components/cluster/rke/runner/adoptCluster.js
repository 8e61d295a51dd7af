// Adopts the state of a cluster that RKE built before the stack. Reads the nodes, and changes nothing on them.
const { CodedError, withCode } = require("../../../remote/runner/codedError");
const { bullets, refuseUnfitNodes } = require("./findings");
const { differences } = require("./nodeChanges");
const { withAgentFor } = require("./nodes");
const { say } = require("./progress");
const { pack } = require("./rkeState");

/** @import { AdoptedCluster } from "../program" */
/** @import { WantedNode } from "../wantedNodes" */
/** @import { BuiltNode } from "../state" */

/**
 * Lists the differences between the nodes in a given state and those in the configuration. A state with other nodes belongs to another
 * cluster, and an adoption changes no node.
 *
 * @param {BuiltNode[]} built
 * @param {WantedNode[]} wanted
 */
function otherNodes(built, wanted) {
    const without = (/** @type {{ address: string }[]} */ nodes, /** @type {{ address: string }[]} */ others) =>
        nodes.map(({ address }) => address).filter(address => !others.some(other => other.address === address));
    return [
        ...without(built, wanted).map(
            address => `cluster.rkeState: expected a state of these nodes, found a state with the node ${address}`,
        ),
        ...without(wanted, built).map(address => `cluster.nodes: expected the nodes of cluster.rkeState, found another one, ${address}`),
        ...differences(built, wanted, ["hostname", "internalAddress", "roles"]).map(difference => `cluster.nodes: ${difference}`),
    ].map(line => `${line}. Adopt the cluster as it is, and change its nodes in a later run`);
}

/**
 * Refuses a state of RKE that belongs to other nodes.
 *
 * @param {BuiltNode[]} built
 * @param {WantedNode[]} wanted
 */
function foreignState(built, wanted) {
    const faults = otherNodes(built, wanted);
    return faults.length > 0 ? withCode("change-not-possible", faults.join("\n")) : undefined;
}

/**
 * Returns the given state, packed, after it has checked that SSH reaches every node and that none belongs to another cluster.
 *
 * @param {AdoptedCluster} adopted
 */
async function adoptCluster({ state, builtNodes, wantedNodes, ...fitness }) {
    const others = otherNodes(builtNodes, wantedNodes);
    if (others.length > 0)
        throw new CodedError("change-not-possible", `the cluster was not adopted and no host was changed, because:\n${bullets(others)}`);
    await withAgentFor(fitness.nodes, env => refuseUnfitNodes(env, fitness));
    say("the cluster's certificates come from cluster.rkeState");
    return pack(state);
}

module.exports = { adoptCluster, foreignState };
