// Asks a cluster for its Kubernetes version. Runs where Pulumi runs, as part of a program on standard input.
const { probeText } = require("../../remote/runner/probe");
const { failureOf, kubernetesApi } = require("./kubernetesApi");

/** @param {{ access: import("../kubeconfig").ApiAccess }} input */
async function main({ access }) {
    try {
        const { gitVersion } = await kubernetesApi(access)("/version");
        process.stdout.write(probeText({ facts: { kubernetes: gitVersion } }));
    } catch (error) {
        process.stdout.write(probeText(failureOf(error)));
    }
}

module.exports = { main };
