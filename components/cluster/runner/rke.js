// Runs `rke` where Pulumi runs. The state, the configuration and the SSH key come in on standard input; nothing of it is left on disk.
const { apply } = require("./applyCluster");
const { check } = require("./checkNodes");
const { destroy } = require("./removeCluster");

/** @import { ClusterInput } from "../program" */

/**
 * @param {ClusterInput} input
 * @param {string} lastResult
 */
function main(input, lastResult) {
    const work = process.argv[2] === "destroy" ? destroy : { nodes: check, cluster: apply }[input.task];
    return work(input, lastResult);
}

/** A higher version runs RKE on the cluster of every user, with their next update. */
const version = 1;

/**
 * Leaves out login keys, which are renewed, and the programs for nodes, for which the version stands.
 *
 * @param {ClusterInput} input
 */
function compared({ preflightProgram, startProgram, removePodsProgram, leftoverProgram, ...data }) {
    const nodes = data.nodes.map(({ name, connection: { privateKey, ...connection } }) => ({ name, connection }));
    return { ...data, nodes };
}

module.exports = { compared, main, version };
