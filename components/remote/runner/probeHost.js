const net = require("net");
const { withCode } = require("./codedError");
const { probeText } = require("./probe");
const { sshProgram, withSshAgent } = require("./ssh");

/** @param {import("../commands").ProbeHostInput} input */
async function main({ host, program }) {
    try {
        const refused = host.privateKey === undefined ? undefined : await deadAgent(process.env.SSH_AUTH_SOCK);
        if (refused) return void process.stdout.write(probeText({ refused }));
        const result = await withSshAgent([host], env => sshProgram(env, host, program, "probe", 20));
        process.stdout.write(result.code === 0 ? result.stdout : probeText(failure(host, result)));
    } catch (/** @type {any} */ error) {
        process.stdout.write(probeText({ unreachable: error.message }));
    }
}

/**
 * Returns why an update could not reach any host: Pulumi's SSH client connects to the agent of the user even when it has a private key.
 *
 * @param {string} [socket]
 */
async function deadAgent(socket) {
    if (!socket) return undefined;
    const connection = net.connect(socket);
    const error = await new Promise(resolve => connection.once("connect", () => resolve(undefined)).once("error", resolve));
    connection.destroy();
    if (!error) return undefined;
    return withCode(
        "ssh",
        `SSH_AUTH_SOCK: expected nothing, or the socket of an SSH agent, found ${socket}, where no agent listens (${error.code}). ` +
            "Run `unset SSH_AUTH_SOCK`",
    );
}

/**
 * Returns why a probe failed. A host whose user may not become root is refused, because no update can work there.
 *
 * @param {import("../connection").HostConnection} host
 * @param {{ code: number | null, stderr: string, hasBegun: boolean }} result
 */
function failure({ user, address }, { code, stderr, hasBegun }) {
    const last = stderr.trim().split("\n").pop();
    if (user !== "root" && !hasBegun && !wasEnded(code)) {
        const found = last ? `"${last}"` : `exit code ${code}`;
        return {
            refused: withCode(
                "host-not-fit",
                `${address}: expected root, or a user with sudo without a password, found ${found} for ${user}. ` +
                    `Allow it in /etc/sudoers.d: ${user} ALL=(root) NOPASSWD: ALL`,
            ),
        };
    }
    return { unreachable: `the probe ended with exit code ${code}${last ? `: ${last}` : ""}` };
}

/**
 * Reports whether `timeout` or a signal ended a program, by its exit code.
 *
 * @param {number | null} code
 */
const wasEnded = code => code === null || code === 124 || code > 128;

module.exports = { main };
