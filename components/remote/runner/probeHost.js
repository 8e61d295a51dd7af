const { withCode } = require("./codedError");
const { probeText } = require("./probe");
const { sshProgram, withSshAgent } = require("./ssh");

/** @param {import("../commands").ProbeHostInput} input */
async function main({ host, program }) {
    try {
        const { code, stdout, stderr } = await withSshAgent([host], env => sshProgram(env, host, program, "probe", 20));
        process.stdout.write(code === 0 ? stdout : probeText(failure(host, code, stderr.trim().split("\n").pop())));
    } catch (/** @type {any} */ error) {
        process.stdout.write(probeText({ unreachable: error.message }));
    }
}

/**
 * Returns why a probe failed. A host whose user may not become root is refused, because no update can work there.
 *
 * @param {import("../connection").HostConnection} host
 * @param {number | null} code
 * @param {string} [last]
 */
function failure({ user, address }, code, last) {
    // These are the words of sudo 1.8 and 1.9, and of sh.
    const isRefused = /^sudo: .*(password|tty|terminal|no new privileges)|not in the sudoers|not allowed to|sudo: .*not found/.test(
        last ?? "",
    );
    if (isRefused && user !== "root")
        return {
            refused: withCode(
                "host-not-fit",
                `${address}: expected root, or a user with sudo without a password, found "${last}" for ${user}. Allow it in /etc/sudoers.d: ${user} ALL=(root) NOPASSWD: ALL`,
            ),
        };
    return { unreachable: `the probe ended with exit code ${code}${last ? `: ${last}` : ""}` };
}

module.exports = { main };
