const { probeText } = require("./probe");
const { sshProgram, withSshAgent } = require("./ssh");

/** @param {import("../commands").ProbeHostInput} input */
async function main({ host, program }) {
    try {
        const { code, stdout, stderr } = await withSshAgent([host.privateKey], env => sshProgram(env, host, program, "probe", 20));
        const last = stderr.trim().split("\n").pop();
        process.stdout.write(
            code === 0 ? stdout : probeText({ unreachable: `the probe ended with exit code ${code}${last ? `: ${last}` : ""}` }),
        );
    } catch (/** @type {any} */ error) {
        process.stdout.write(probeText({ unreachable: error.message }));
    }
}

module.exports = { main };
