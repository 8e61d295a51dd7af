// Frees a release that a run of Helm left pending when it was ended in the middle: Helm refuses every change of it. The objects stay.
const { kubernetesApi, unless404 } = require("../../cluster/runner/kubernetesApi");
const { helmRecords, isAsWanted, mayBeAlive, underWay } = require("./helmRecords");

/** @import { ReleaseInput } from "../program" */
/** @import { HelmRecord } from "./helmRecords" */

/**
 * Asks again when there is no answer: the API of a cluster that was just built is slow to answer, and now and then does not.
 *
 * @template Answer
 * @param {() => Promise<Answer>} ask
 * @returns {Promise<Answer>}
 */
async function patiently(ask) {
    for (let attempt = 1; ; attempt++) {
        try {
            return await ask();
        } catch (/** @type {any} */ error) {
            if (attempt === 3) throw new Error(`cannot look at Helm's records: ${error.message}`);
            await new Promise(resolve => setTimeout(resolve, 2000));
        }
    }
}

/**
 * Returns the revision that Helm makes next: by this number the next run knows one of this stack that was ended in the middle.
 *
 * @param {ReleaseInput} input
 * @param {string} lastResult
 */
async function main({ access, release: { name, namespace }, wanted }, lastResult) {
    const api = kubernetesApi({ ...access, patienceSeconds: 15 });
    const records = await patiently(() => helmRecords(api, name, namespace));
    const isPending = (/** @type {HelmRecord} */ { status }) => status.startsWith("pending-");
    for (const pending of records.filter(isPending)) {
        const isOwn = pending.revision === Number(lastResult) && isAsWanted(pending, wanted);
        if (mayBeAlive(pending, wanted) && !isOwn) throw new Error(`${underWay(pending, wanted)}. Nothing was changed`);
        process.stderr.write(`revision ${pending.revision} of ${name} was left ${pending.status}: removing Helm's record\n`);
        const path = `/api/v1/namespaces/${namespace}/secrets/${pending.record}`;
        await patiently(() => api(path, { method: "DELETE" }).catch(unless404(undefined)));
    }
    const left = records.filter(record => !isPending(record)).map(({ revision }) => revision);
    return String(Math.max(0, ...left) + 1);
}

const version = 1;

module.exports = { main, version };
