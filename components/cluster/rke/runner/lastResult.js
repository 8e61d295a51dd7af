// The result of a run of RKE, which the next run gets. The first line holds the state, and the second the record of the nodes, both packed.
const { CodedError } = require("../../../remote/runner/codedError");
const { pack, unpack } = require("./rkeState");

/** @import { ReachedNode } from "../program" */

/** Linux limits the environment string that carries the result to 128 KiB. */
const maxLength = 120_000;

/**
 * Returns the result of a run.
 *
 * @param {string} state
 * @param {ReachedNode[]} nodes
 */
function resultOf(state, nodes) {
    const result = `${pack(state)}\n${pack(recordOf(nodes))}`;
    if (result.length <= maxLength) return result;
    throw new CodedError(
        "cluster-state",
        `the cluster is up, but its state takes ${result.length} bytes packed and more than ${maxLength} cannot be handed to the next run. ` +
            "It is kept in the cluster (Secret kube-system/full-cluster-state). Return to the nodes of the last update that succeeded, and build another cluster for more",
    );
}

/**
 * Returns the record of the nodes for the run in which one of them leaves. The configuration then no longer says how SSH reaches that node,
 * and with which key.
 *
 * @param {ReachedNode[]} nodes
 */
const recordOf = nodes => JSON.stringify(nodes.map(({ name, connection }) => ({ name, connection })));

/**
 * Returns the nodes that the last run recorded. Earlier versions of this library did not pack the record, or recorded none.
 *
 * @param {string} lastResult
 * @returns {ReachedNode[]}
 */
function recordedNodes(lastResult) {
    const [, record = ""] = lastResult.split("\n");
    if (record === "") return [];
    return JSON.parse(record.startsWith("[") ? record : unpack(record));
}

/**
 * Returns the nodes to reach beside those of the configuration, because they leave. None are returned when the user's own agent holds all keys:
 * an agent with a recorded key would take its place.
 *
 * @param {string} lastResult
 * @param {ReachedNode[]} nodes
 * @returns {ReachedNode[]}
 */
function recordedLeavers(lastResult, nodes) {
    const leavers = recordedNodes(lastResult).filter(
        left => !nodes.some(({ connection }) => connection.address === left.connection.address),
    );
    return nodes.some(({ connection }) => connection.privateKey) ? leavers : [];
}

module.exports = { recordedLeavers, recordedNodes, resultOf };
