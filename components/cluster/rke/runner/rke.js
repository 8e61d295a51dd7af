// Runs `rke` where Pulumi runs. State, configuration and SSH key arrive on standard input, and none of them stays on disk.
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

/** A higher version makes the next update of every user run RKE on the cluster. */
const version = 1;

/**
 * Returns the input without login keys, waiting times and limits, which may change at any time, and without the programs for nodes, which
 * `version` represents. cluster.yml names the bastion, the bucket, the logins, the encryption of Secrets and all about the nodes.
 *
 * @param {ClusterInput} input
 */
function compared({
    preflightProgram,
    startProgram,
    noEtcdProgram,
    etcdHealthProgram,
    removeMembersProgram,
    removeContainersProgram,
    leftoverProgram,
    encryptionKeyProgram,
    encryptsSecrets,
    bucket,
    logins,
    wantedNodes,
    ...data
}) {
    const nodes = data.nodes.map(({ name, connection: { privateKey, bastion, waitSeconds, ...connection } }) => ({ name, connection }));
    // The limit of a run is no part of the cluster. Its default stands for each, so that the data of other stacks stays the same.
    return { ...data, nodes, timeoutSeconds: 3600 };
}

module.exports = { compared, main, version };
