// Asks a cluster for the CA that its Rancher gave to agents. Runs where Pulumi runs, as part of a program on standard input.
const { failureOf, kubernetesApi } = require("../../cluster/runner/kubernetesApi");
const { withCode } = require("../../remote/runner/codedError");
const { probeText } = require("../../remote/runner/probe");
const { caOf, hasPrivateCa, secretChecksum } = require("./agentsCa");
const { helmRecords, newestDeployed } = require("./helmRecords");

/** @import { CaInput } from "../program" */

/** @param {CaInput} input */
async function main({ access, ...input }) {
    try {
        process.stdout.write(probeText({ refused: await otherCa(kubernetesApi(access), input) }));
    } catch (error) {
        process.stdout.write(probeText(failureOf(error)));
    }
}

/**
 * Reports a Rancher whose agents trust another CA. The newest run of Helm records their CA. For a Rancher without a mark, only its Secret
 * holds the CA.
 *
 * @param {import("../../cluster/runner/kubernetesApi").KubernetesApi} api
 * @param {Omit<CaInput, "access">} input
 */
async function otherCa(api, { release: { name, namespace }, checksum, ...marks }) {
    const newest = newestDeployed(await helmRecords(api, name, namespace));
    if (!newest) return undefined;
    // A Secret beside a publicly trusted CA may be unused.
    const isUnused = checksum === "" && !hasPrivateCa(newest.values);
    const found = caOf(newest, marks) ?? (isUnused ? undefined : await secretChecksum(api, namespace));
    if (found === undefined || found === checksum) return undefined;
    const own = checksum === undefined ? "a new one" : checksum === "" ? "a publicly trusted one" : `SHA-256 ${checksum}`;
    return withCode(
        "change-not-possible",
        `expected that agents of the Rancher in namespace ${namespace} trust the CA of this stack (${own}), found another CA (${found}), ` +
            "so this stack would cut every agent off. Was the certificate taken out of the configuration, or its CA changed? Is the " +
            "kubeconfig that of another environment? Is the state of the stack lost? Restore the state, or give the stack the " +
            "certificate that Rancher has (certificate, certificateOnHost). To replace the CA on purpose, set rancher.deletionProtection " +
            "to false, or privateCa.deletionProtection for a CA of the stack's own",
    );
}

module.exports = { main };
