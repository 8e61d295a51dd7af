const { CodedError } = require("../../../remote/runner/codedError");
const { askBucket, describeFaults } = require("./bucket");
const { refuseUnreadKeys } = require("./extraConfig");
const { findings, refuseRun, refuseUnfitNodes } = require("./findings");
const { refuseNodeChanges } = require("./nodeChanges");
const { withAgentFor } = require("./nodes");
const { tryLogins } = require("./registryLogins");
const { say } = require("./progress");
const { stateInCluster } = require("./rkeState");

/** @import { ClusterInput } from "../program" */

/**
 * Refuses changes of the nodes that would break the cluster, before the load balancer follows them. Refuses to remove a node without the
 * cluster's state: RKE would leave the node in the cluster and report success.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {ClusterInput} input
 * @param {string[]} removed
 */
async function refuseWrongNodes(env, input, removed) {
    const state = await stateInCluster(input);
    if (state) return refuseNodeChanges(env, state, input);
    if (removed.length === 0) return;
    // RKE may have failed before it built anything.
    if ((await findings(env, input.nodes, input.leftoverProgram)).length === 0) return;
    throw new CodedError(
        "cluster-state",
        `${removed.join(", ")} is to be removed, but the cluster's current state is not at hand: RKE would report success and leave the node in the cluster. ` +
            `Expected one of ${input.apiEndpoints.join(", ")} to give it. Bring the API back, or put the node back into the configuration`,
    );
}

/**
 * Refuses a bucket that answers with an error, because RKE uploads the first snapshot hours later, and reports no failure. A bucket that
 * does not answer is no reason to leave the cluster as it is.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {ClusterInput} input
 */
async function refuseWrongBucket(env, { bucket }) {
    if (!bucket) return;
    const { faults, isUnreachable } = await askBucket(env, bucket);
    if (faults.length === 0) return;
    const fault = describeFaults(bucket, faults);
    if (isUnreachable) return say(`warning: ${fault}. Until it answers, snapshots of etcd are only on the nodes`);
    throw new CodedError("bucket-not-usable", `${fault}. RKE was not started. Correct it and run pulumi up again`);
}

/**
 * Refuses logins that a registry refuses, because RKE would end on a node whose images are missing, after it has changed others. A registry
 * that does not answer is no reason to leave the cluster as it is.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {ClusterInput} input
 */
async function refuseWrongLogins(env, { nodes, logins = [] }) {
    const { refused, unanswered } = await tryLogins(env, nodes, logins);
    refuseRun("nodes-not-fit", refused);
    unanswered.forEach(line => say(`warning: ${line}. A node that lacks an image cannot pull it`));
}

/**
 * Checks the nodes, changes nothing, and returns their addresses. The stack's state then names the nodes even when RKE fails later.
 *
 * @param {ClusterInput} input
 * @param {string} lastResult
 */
async function check(input, lastResult) {
    const addresses = input.nodes.map(node => node.connection.address);
    const removed = lastResult.split("\n").filter(address => address && !addresses.includes(address));
    await refuseUnreadKeys(input.clusterYml, input.extraConfig);
    await withAgentFor(input.nodes, async env => {
        await refuseUnfitNodes(env, input);
        await refuseWrongNodes(env, input, removed);
        await refuseWrongBucket(env, input);
        await refuseWrongLogins(env, input);
    });
    return addresses.join("\n");
}

module.exports = { check };
