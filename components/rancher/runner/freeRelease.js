// Frees a release that a run of Helm left pending when it was ended in the middle: Helm refuses every change of it. The objects stay.
const { kubernetesApi } = require("../../cluster/runner/kubernetesApi");
const { helmRecords, isAsWanted, mayBeAlive, underWay } = require("./helmRecords");

/** @import { KubernetesApi } from "../../cluster/runner/kubernetesApi" */
/** @import { ReleaseInput } from "../program" */
/** @import { HelmRecord } from "./helmRecords" */

/** @param {ReleaseInput} input */
async function main({ access, ...input }) {
    // The API of a cluster that was just built is slow to answer, and now and then does not.
    const api = kubernetesApi({ ...access, patienceSeconds: 15 });
    for (let attempt = 1; ; attempt++) {
        try {
            return await free(api, input);
        } catch (/** @type {any} */ error) {
            if (attempt < 3) {
                await new Promise(resolve => setTimeout(resolve, 2000));
                continue;
            }
            process.stderr.write(`cannot look at Helm's records: ${error.message}\n`);
            process.exitCode = 1;
            return;
        }
    }
}

/**
 * Prints the revision that Helm makes next: by this number the next run knows one of this stack that was ended in the middle.
 *
 * @param {KubernetesApi} api
 * @param {Omit<ReleaseInput, "access">} input
 */
async function free(api, { release: { name, namespace }, wanted }) {
    const lastRevision = Number(process.env.PULUMI_COMMAND_STDOUT);
    const records = await helmRecords(api, name, namespace);
    const isPending = (/** @type {HelmRecord} */ { status }) => status.startsWith("pending-");
    for (const pending of records.filter(isPending)) {
        const isOwn = pending.revision === lastRevision && isAsWanted(pending, wanted);
        if (mayBeAlive(pending, wanted) && !isOwn) {
            process.stderr.write(`${underWay(pending, wanted)}. Nothing was changed\n`);
            process.exitCode = 1;
            return;
        }
        process.stderr.write(`revision ${pending.revision} of ${name} was left ${pending.status}: removing Helm's record\n`);
        await api(`/api/v1/namespaces/${namespace}/secrets/${pending.record}`, { method: "DELETE" });
    }
    const left = records.filter(record => !isPending(record)).map(({ revision }) => revision);
    process.stdout.write(String(Math.max(0, ...left) + 1));
}

module.exports = { main };
