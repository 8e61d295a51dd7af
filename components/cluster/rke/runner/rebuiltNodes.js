// Lets nodes join etcd anew that lost their data, for example because their machines were rebuilt at the same address. RKE would start their
// members as a new cluster, and such a member does not come up.
const { CodedError } = require("../../../remote/runner/codedError");
const { bullets, findings } = require("./findings");
const { onEach, preflight, withAgentFor } = require("./nodes");
const { say } = require("./progress");
const { builtNodes, innerAddressOf } = require("./rkeState");

/** @import { ClusterInput, ReachedNode } from "../program" */
/** @import { RkeNode, RkeState } from "../state" */

const wayOut = 'Bring the machines back with their disks, or restore a snapshot: docs/runbook.md, "etcd has no quorum"';

/**
 * Returns the nodes without etcd's container and without etcd's data.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {ReachedNode[]} nodes
 * @param {string} program
 */
async function withoutEtcd(env, nodes, program) {
    const found = await onEach(env, nodes, program, { timeoutSeconds: 20 });
    return nodes.filter((_, index) => found[index].lines.some(line => line.endsWith(": neither the container nor the data of etcd")));
}

/**
 * Returns the etcd nodes that RKE built and that lost their data. Refuses when the others are not more than half of all.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {string} state
 * @param {ClusterInput} input
 */
async function rebuiltNodes(env, state, { nodes, noEtcdProgram }) {
    const built = etcdNodes(builtNodes(state));
    const members = nodes.filter(({ connection }) => built.some(({ address }) => address === connection.address));
    const rebuilt = await withoutEtcd(env, members, noEtcdProgram);
    if (rebuilt.length > 0 && 2 * rebuilt.length >= built.length) {
        throw new CodedError(
            "etcd-quorum",
            `RKE was not started and no host was changed, because etcd has no quorum: expected its data on more than half of ${built.length} ` +
                `etcd nodes, found neither its container nor its data on ${namesOf(rebuilt)}. ${wayOut}`,
        );
    }
    return rebuilt;
}

/** @param {RkeNode[]} built */
const etcdNodes = built => built.filter(({ role }) => role.includes("etcd"));

/** @param {{ name: string }[]} nodes */
const namesOf = nodes => nodes.map(({ name }) => name).join(", ");

/**
 * Removes the members of rebuilt nodes from etcd. Returns a state without these nodes, with which RKE adds them like new ones.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {ReachedNode[]} rebuilt
 * @param {string} state
 * @param {ClusterInput} input
 */
async function forgetRebuilt(env, rebuilt, state, input) {
    if (rebuilt.length === 0) return state;
    say(`${namesOf(rebuilt)}: rebuilt, without data of etcd. The old member is removed from etcd, and the node joins anew`);
    return forgetNodes(env, rebuilt, state, input);
}

/**
 * Removes the members of nodes from etcd. Returns a state without these nodes, with which RKE leaves their hosts alone.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {ReachedNode[]} forgotten
 * @param {string} state
 * @param {ClusterInput} input
 */
async function forgetNodes(env, forgotten, state, { nodes, removeMembersProgram }) {
    const addresses = new Set(forgotten.map(({ connection }) => connection.address));
    const built = etcdNodes(builtNodes(state));
    const peers = built.filter(({ address }) => addresses.has(address)).map(peerUrl);
    if (peers.length === 0) return withoutNodes(state, addresses);
    const program = removeMembersProgram.replace("'@peers@'", `'${peers.join(" ")}'`);
    const others = nodes.filter(
        ({ connection: { address } }) => !addresses.has(address) && built.some(member => member.address === address),
    );
    /** @type {string[]} */
    const failures = [];
    for (const node of others) {
        const failed = await findings(env, [node], program);
        if (failed.length === 0) return withoutNodes(state, addresses);
        failures.push(...failed);
    }
    throw new CodedError(
        "etcd-quorum",
        `RKE was not started, because the members of ${namesOf(forgotten)} could not be removed from etcd:\n${bullets(failures)}\n${wayOut}`,
    );
}

/**
 * Returns the URL at which other members of etcd reach that of a node.
 *
 * @param {RkeNode} node
 */
const peerUrl = node => `https://${innerAddressOf(node)}:2380`;

/**
 * @param {string} state
 * @param {Set<string>} addresses
 */
function withoutNodes(state, addresses) {
    /** @type {RkeState} */
    const changed = JSON.parse(state);
    const config = changed.currentState?.rkeConfig;
    if (config) config.nodes = config.nodes.filter(({ address }) => !addresses.has(address));
    return JSON.stringify(changed);
}

/**
 * Looks over SSH, in a preview, at nodes whose etcd member does not work. Looks for their data, and for a cause such as a full disk.
 *
 * @param {ReachedNode[]} nodes
 * @param {{ preflightProgram?: string, noEtcdProgram: string, etcdCount: number, isUp: boolean }} about
 */
async function lookAtFaulty(nodes, { preflightProgram, noEtcdProgram, etcdCount, isUp }) {
    /** @type {{ names: string[], finding: string[], warning: string[] }} */
    const told = { names: [], finding: [], warning: [] };
    if (nodes.length === 0) return told;
    try {
        const [unfit, rebuilt] = await withAgentFor(nodes, env =>
            Promise.all([
                preflightProgram ? preflight(env, nodes, preflightProgram, { timeoutSeconds: 20 }) : [],
                withoutEtcd(env, nodes, noEtcdProgram),
            ]),
        );
        told.warning.push(...unfit.flatMap(({ lines, failure }) => failure ?? lines));
        const without = `${namesOf(rebuilt)}: neither the container nor the data of etcd`;
        if (isUp && rebuilt.length > 0) {
            told.names.push(...rebuilt.map(({ name }) => name));
            told.finding.push(`${without}. The next run of RKE removes the old member from etcd, and the node joins anew`);
        }
        // Without any data, the cluster may not be built yet.
        if (!isUp && rebuilt.length < etcdCount && 2 * rebuilt.length >= etcdCount)
            told.warning.push(
                `${without}, on ${rebuilt.length} of ${etcdCount} etcd nodes. If the cluster was built before, etcd has no quorum, and RKE is not run. ${wayOut}`,
            );
    } catch (/** @type {any} */ error) {
        told.warning.push(error.message);
    }
    return told;
}

module.exports = { etcdNodes, forgetNodes, forgetRebuilt, lookAtFaulty, namesOf, peerUrl, rebuiltNodes, wayOut };
