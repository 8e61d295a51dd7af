// Finds the hosts that RKE must not clean. RKE checks no host key: it cleans whatever machine answers at an address and takes the SSH key.
const { refuseRun } = require("./findings");
const { onEach, timed } = require("./nodes");

/** @import { ReachedNode } from "../program" */
/** @import { Answer } from "./nodes" */

/** A node whose host nothing may clean, and why. @typedef {ReachedNode & { reason: string }} ForeignHost */

const otherMachine = "shows another host key: it is another machine by now";
/** Words of preflight.sh on a host whose CA is another one, and on one that does not show its CA. */
const [otherCa, hiddenCa] = ["): it belongs to another cluster: ", "): it does not show whose cluster it is in: "];

/**
 * Returns the nodes whose hosts another cluster has by now, and those that show another host key. Refuses the run when a host that RKE may reach
 * cannot be looked at. `isReachedOtherwise` tells of which hosts RKE has another port, user or bastion than SSH has here.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {ReachedNode[]} nodes
 * @param {string} preflightProgram
 * @param {(node: ReachedNode) => boolean} [isReachedOtherwise]
 * @returns {Promise<ForeignHost[]>}
 */
async function foreignHosts(env, nodes, preflightProgram, isReachedOtherwise = () => false) {
    const found = await onEach(env, nodes, timed(preflightProgram), { timeoutSeconds: 20 });
    const unseen = nodes.flatMap((node, index) => unseenHost(node, found[index], isReachedOtherwise(node)));
    refuseRun("nodes-not-fit", unseen);
    return nodes.flatMap((node, index) => {
        const reason = foreignReason(found[index]);
        return reason ? [{ ...node, reason }] : [];
    });
}

/** @param {Answer} answer */
function foreignReason({ lines, showsOtherKey }) {
    if (showsOtherKey) return otherMachine;
    return lines.some(line => line.includes(otherCa)) ? "belongs to another cluster by now" : undefined;
}

/**
 * Returns a line about a host that RKE may reach, and that cannot be looked at.
 *
 * @param {ReachedNode} node
 * @param {Answer} answer
 * @param {boolean} isReachedOtherwise
 */
function unseenHost({ name, connection }, { lines, failure, showsOtherKey, mayBeReached }, isReachedOtherwise) {
    const isHidden = lines.some(line => line.includes(hiddenCa));
    if (showsOtherKey || !(mayBeReached || isHidden || (failure && isReachedOtherwise))) return [];
    const found = (failure ?? lines.join("; ")).replace(/:?\s*$/, "");
    return [
        `node ${name}: expected its host ${connection.address} to show within 20 s whose cluster it is in, found: ${found}. RKE would clean ` +
            "the host unseen. Mend what was found, or switch the host off. Then run Pulumi again",
    ];
}

module.exports = { foreignHosts };
