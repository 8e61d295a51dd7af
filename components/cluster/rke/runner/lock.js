// Keeps two runs from changing the same nodes at a time. Pulumi locks a stack only in its own backend, and RKE has no lock.
const { createInterface } = require("readline");
const { CodedError } = require("../../../remote/runner/codedError");
const { startSsh } = require("../../../remote/runner/ssh");
const lockScript = require("../host/lock.sh");
const { withAgentFor } = require("./nodes");
const { say } = require("./progress");

/** @import { ReachedNode } from "../program" */

const daySeconds = 86_400;

/** Exit codes of the script when another run kept the lock for 90 s, and of ssh when it does not reach the node. */
const [isHeld, isUnreachable] = [75, 255];

/**
 * Calls `work(env)` with an SSH agent that holds the keys of the nodes and of `others`, while this run holds the lock of each node.
 *
 * @template Result
 * @param {ReachedNode[]} nodes
 * @param {ReachedNode[]} others
 * @param {(env: NodeJS.ProcessEnv) => Promise<Result>} work
 * @returns {Promise<Result>}
 */
const withLockOf = (nodes, others, work) =>
    withAgentFor([...nodes, ...others], async env => {
        /** @type {(() => Promise<void>)[]} */
        const releases = [];
        try {
            // Two runs that take the locks in the same order never wait for each other.
            for (const node of [...nodes].sort(byAddress)) releases.push(await lock(env, node));
            return await work(env);
        } finally {
            await Promise.all(releases.map(release => release()));
        }
    });

/**
 * @param {ReachedNode} one
 * @param {ReachedNode} other
 */
const byAddress = ({ connection: one }, { connection: other }) => (one.address < other.address ? -1 : 1);

/**
 * Takes the lock of a node, and returns the function that releases it. An unreachable node is not locked: the checks of the nodes judge it.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {ReachedNode} node
 */
async function lock(env, { name, connection }) {
    const { child, stop } = startSsh(env, connection, ["-T"], daySeconds, ["sh", "-s"]);
    const ended = new Promise(resolve => child.on("close", resolve));
    child.stdin.on("error", () => undefined);
    child.stdin.write(lockScript);
    let holder = "";
    const isTaken = new Promise(resolve => {
        child.on("close", () => resolve(false));
        createInterface({ input: child.stdout }).on("line", line => {
            if (line === "lock: taken") resolve(true);
            const from = /^lock: held from (.*)/.exec(line)?.[1];
            if (!from) return;
            holder = from;
            say(`waiting for another run on ${name}, which was started from ${holder}`);
        });
    });
    if (!(await isTaken)) refuseHeld(`${name} (${connection.address})`, child.exitCode, { holder, stderr: await stop() });
    return async () => {
        child.stdin.end();
        // The lock is free when the program on the node has ended.
        await Promise.race([ended, new Promise(resolve => setTimeout(resolve, 5000).unref())]);
        await stop();
    };
}

/**
 * @param {string} node
 * @param {number | null} code
 * @param {{ holder: string, stderr: string }} said
 */
function refuseHeld(node, code, { holder, stderr }) {
    if (code === isHeld) {
        throw new CodedError(
            "host-busy",
            `${node}: expected that no other run changes this node, found one that did not end within 90 s. It was started from ${holder}. ` +
                "Nothing was changed. Wait until it ends, then run pulumi up again",
        );
    }
    if (code !== isUnreachable) say(`warning: ${node} is not locked against other runs: ${stderr.trim().split("\n").pop()}`);
}

module.exports = { withLockOf };
