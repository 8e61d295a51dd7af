// Reports the findings of programs on nodes, one line for each.
const { CodedError } = require("../../../remote/runner/codedError");
const { onEach, preflight } = require("./nodes");
const { say } = require("./progress");

/**
 * Runs a program on every node. Resolves to one line for each finding and for each node that SSH does not reach.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {import("../program").ReachedNode[]} nodes
 * @param {string} program
 */
const findings = async (env, nodes, program) => flattened(await onEach(env, nodes, program));
/** @param {Awaited<ReturnType<typeof onEach>>} found */
const flattened = found => found.flatMap(({ lines, failure }) => (failure ? [failure] : lines));

/** @param {string[]} lines */
const bullets = lines => lines.map(line => `  - ${line}`).join("\n");

/**
 * Refuses to run RKE when there are reasons, a line each.
 *
 * @param {import("../../../errorCodes").ErrorCode} code
 * @param {string[]} reasons
 */
function refuseRun(code, reasons) {
    if (reasons.length > 0) throw new CodedError(code, `RKE was not started and no host was changed, because:\n${bullets(reasons)}`);
}

/**
 * Checks every node before RKE runs, because RKE rewrites etcd on the reachable nodes before it fails on an unreachable one.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {import("../program").Fitness} fitness
 */
async function refuseUnfitNodes(env, { nodes, preflightProgram }) {
    say(`checking ${nodes.length} nodes: SSH with its host key, forwarding, Docker, clock, disk, other clusters`);
    refuseRun("nodes-not-fit", flattened(await preflight(env, nodes, preflightProgram, { waits: true })));
}

module.exports = { bullets, findings, refuseRun, refuseUnfitNodes };
