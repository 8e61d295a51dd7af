// Runs programs on nodes over SSH, as the user that RKE logs in as. It runs where Pulumi runs, as part of a program on standard input.
const { reachesDocker } = require("../../../remote/runner/forwarding");
const { sshProgram, withSshAgent } = require("../../../remote/runner/ssh");

/** @import { ReachedNode } from "../program" */

/** @typedef {{ lines: string[], failure?: string, showsOtherKey?: boolean, mayBeReached?: boolean }} Answer */

/**
 * Calls `work(env)` with an SSH agent that holds the nodes' keys.
 *
 * @template Result
 * @param {ReachedNode[]} nodes
 * @param {(env: NodeJS.ProcessEnv) => Promise<Result>} work
 */
const withAgentFor = (nodes, work) =>
    withSshAgent(
        nodes.map(node => node.connection),
        work,
    );

/**
 * Runs a program on all nodes in parallel. Resolves to the lines that the program printed on each node, or to the failure of SSH. `waits`
 * allows for nodes that still boot. `mayBeReached` is true for a failure on a host that RKE may reach, because RKE checks no host key.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {ReachedNode[]} nodes
 * @param {string} program
 * @returns {Promise<Answer[]>}
 */
function onEach(env, nodes, program, { timeoutSeconds = 60, waits = false } = {}) {
    return Promise.all(
        nodes.map(async ({ name, connection }) => {
            try {
                const { code, stdout, stderr } = await sshProgram(
                    env,
                    { ...connection, withoutRoot: true },
                    program,
                    "probe",
                    timeoutSeconds,
                    waits ? connection.waitSeconds : 0,
                );
                const failed = `${name}: exit code ${code}: ${stderr.trim().split("\n").pop()}`;
                if (code !== 0) return { lines: [failed], mayBeReached: true };
                const lines = stdout.split("\n").filter(line => line !== "");
                return { lines: lines.map(line => `${name} (${connection.address}): ${line}`) };
            } catch (/** @type {any} */ error) {
                const { message, showsOtherKey, mayBeReached } = error;
                return { lines: [], failure: `${name}: ${message}`, showsOtherKey, mayBeReached };
            }
        }),
    );
}

/**
 * Checks whether RKE can run on nodes. Their clocks are compared with the clock of this machine.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {ReachedNode[]} nodes
 * @param {string} program
 * @param {{ timeoutSeconds?: number, waits?: boolean }} [options]
 */
async function preflight(env, nodes, program, options) {
    const found = await onEach(env, nodes, timed(program), options);
    return Promise.all(found.map((node, index) => (node.failure ? node : withForwarding(env, nodes[index], node.lines))));
}

/**
 * Returns the program of the preflight with the time of this machine.
 *
 * @param {string} program
 */
const timed = program => program.replace("'@now@'", String(Math.floor(Date.now() / 1000)));

/**
 * Adds a line about a node whose sshd forwards no connection to the Docker socket. RKE drops such a node from the cluster, and changes the
 * others.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {ReachedNode} node
 * @param {string[]} lines
 */
async function withForwarding(env, { name, connection }, lines) {
    // A Docker that does not work is named already.
    if (lines.some(line => line.includes("Docker cannot be used"))) return { lines };
    try {
        if (await reachesDocker(env, connection)) return { lines };
        const fault =
            `${name} (${connection.address}): sshd does not forward connections to /var/run/docker.sock, which RKE needs: expected ` +
            "AllowTcpForwarding yes, AllowStreamLocalForwarding yes and DisableForwarding no in its sshd_config, and no restriction of the key in authorized_keys";
        return { lines: [...lines, fault] };
    } catch (/** @type {any} */ error) {
        return { lines, failure: `${name}: ${error.message}` };
    }
}

module.exports = { onEach, preflight, timed, withAgentFor };
