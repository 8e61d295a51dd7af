// Runs programs on nodes over SSH, as the user that RKE logs in as. It runs where Pulumi runs, as part of a program on standard input.
const { sshProgram, withSshAgent } = require("../../remote/runner/ssh");

/** @import { ReachedNode } from "../program" */

/**
 * Calls `work(env)` with an SSH agent that holds the nodes' keys.
 *
 * @template Result
 * @param {ReachedNode[]} nodes
 * @param {(env: NodeJS.ProcessEnv) => Promise<Result>} work
 */
const withAgentFor = (nodes, work) =>
    withSshAgent(
        nodes.map(node => node.connection.privateKey),
        work,
    );

/**
 * Runs a program on all nodes in parallel. Resolves to the lines that the program printed on each node, or to the failure of SSH.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {ReachedNode[]} nodes
 * @param {string} program
 * @returns {Promise<{ lines: string[], failure?: string }[]>}
 */
function onEach(env, nodes, program, timeoutSeconds = 60) {
    return Promise.all(
        nodes.map(async ({ name, connection }) => {
            try {
                const { code, stdout, stderr } = await sshProgram(
                    env,
                    { ...connection, withoutRoot: true },
                    program,
                    "probe",
                    timeoutSeconds,
                );
                if (code !== 0) return { lines: [`${name}: exit code ${code}: ${stderr.trim().split("\n").pop()}`] };
                const lines = stdout.split("\n").filter(line => line !== "");
                return { lines: lines.map(line => `${name} (${connection.address}): ${line}`) };
            } catch (/** @type {any} */ error) {
                return { lines: [], failure: `${name}: ${error.message}` };
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
 * @param {number} [timeoutSeconds]
 */
const preflight = (env, nodes, program, timeoutSeconds) =>
    onEach(env, nodes, program.replace("'@now@'", String(Math.floor(Date.now() / 1000))), timeoutSeconds);

module.exports = { onEach, preflight, withAgentFor };
