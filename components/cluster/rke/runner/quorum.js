// Keeps etcd's quorum when a member leaves, or is removed to join anew.
const { CodedError } = require("../../../remote/runner/codedError");
const { bullets } = require("./findings");
const { onEach } = require("./nodes");
const { etcdNodes, namesOf, peerUrl, wayOut } = require("./rebuiltNodes");
const { nameOf } = require("./rkeState");

/** @import { ClusterInput, ReachedNode } from "../program" */
/** @import { WantedNode } from "../wantedNodes" */
/** @import { RkeNode } from "../state" */

/** @typedef {{ name: string, isHealthy: boolean, leaves: boolean }} Member */

/**
 * Returns why etcd would lose its quorum when members leave, or undefined. The healthy members that stay must be more than half of all before
 * the removal. Healthy members alone may shrink to any number when none joins: the number of etcd nodes is odd, so three become one at once.
 *
 * @param {Member[]} members
 * @param {boolean} joins
 */
function quorumFault(members, joins) {
    const leaving = members.filter(({ leaves }) => leaves);
    const staying = members.filter(({ leaves, isHealthy }) => !leaves && isHealthy);
    const ill = members.filter(({ isHealthy }) => !isHealthy);
    const shrinks = ill.length === 0 && !joins && staying.length > 0;
    if (leaving.length === 0 || shrinks || 2 * staying.length > members.length) return undefined;
    return (
        `etcd would lose its quorum without ${namesOf(leaving)}: expected that more than half of its ${members.length} members stay and are ` +
        `healthy, found ${namesOf(staying) || "none"}. Not healthy: ${namesOf(ill) || "none"}. ` +
        "Return to the earlier nodes, bring members up that are not healthy, and let one etcd node leave in each update"
    );
}

/**
 * Returns the etcd nodes of RKE's record, which of them the configuration keeps, and whether another one joins.
 *
 * @param {RkeNode[]} built
 * @param {WantedNode[]} wanted
 */
function etcdChange(built, wanted) {
    const before = etcdNodes(built);
    const after = wanted.filter(({ roles }) => roles.includes("etcd"));
    return {
        before,
        stays: (/** @type {RkeNode} */ { address }) => after.some(node => node.address === address),
        joins: after.some(({ address }) => !before.some(node => node.address === address)),
    };
}

/**
 * Returns why etcd would lose its quorum, as far as a preview sees. A preview takes the members that leave for healthy.
 *
 * @param {RkeNode[]} built
 * @param {WantedNode[]} wanted
 * @param {string[]} faulty names of nodes whose member does not work
 */
function foreseenQuorumFault(built, wanted, faulty) {
    const { before, stays, joins } = etcdChange(built, wanted);
    return quorumFault(
        before.map(node => ({ name: nameOf(node), isHealthy: !faulty.includes(nameOf(node)), leaves: !stays(node) })),
        joins,
    );
}

/**
 * Refuses a run in which etcd would lose its quorum. Asks an etcd node that stays, because a node that leaves by RKE's record may be no member
 * any more. A killed run or a restore may have removed it.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {RkeNode[]} built
 * @param {ClusterInput} input
 * @param {ReachedNode[]} rebuilt nodes without data of etcd, which join anew
 */
async function refuseLostQuorum(env, built, { nodes, wantedNodes, etcdHealthProgram }, rebuilt) {
    const { before, stays, joins } = etcdChange(built, wantedNodes);
    const isAmong = (/** @type {ReachedNode[]} */ list, /** @type {RkeNode} */ node) =>
        list.some(({ connection }) => connection.address === node.address);
    const leaving = before.filter(node => !stays(node) || isAmong(rebuilt, node));
    if (leaving.length === 0) return;
    const staying = before.filter(node => !leaving.includes(node));
    const asked = nodes.filter(node => staying.some(known => isAmong([node], known)));
    const answers = await onEach(env, asked, etcdHealthProgram);
    const members = answers.map(({ lines }) => membersIn(lines, before, leaving)).find(list => list.length > 0);
    const fault = members
        ? quorumFault(members, joins || rebuilt.length > 0)
        : `no etcd node that stays lists the members of etcd, and ${leaving.map(nameOf).join(", ")} would leave. ${wayOut}\n` +
          bullets(answers.flatMap(({ lines, failure }) => failure ?? lines));
    if (fault) throw new CodedError("etcd-quorum", `RKE was not started and no host was changed, because ${fault}`);
}

/**
 * Returns the members in the lines of etcdHealth.sh. A member that RKE's record does not know has its URL as name.
 *
 * @param {string[]} lines
 * @param {RkeNode[]} built
 * @param {RkeNode[]} leaving
 * @returns {Member[]}
 */
function membersIn(lines, built, leaving) {
    return lines.flatMap(line => {
        const [, url, health] = /: member (\S+) (healthy|not healthy)$/.exec(line) ?? [];
        if (!url) return [];
        const node = built.find(known => peerUrl(known) === url);
        return { name: node ? nameOf(node) : url, isHealthy: health === "healthy", leaves: node !== undefined && leaving.includes(node) };
    });
}

module.exports = { foreseenQuorumFault, quorumFault, refuseLostQuorum };
