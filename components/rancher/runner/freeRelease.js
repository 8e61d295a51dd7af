// Frees a release that an interrupted run of Helm left pending, because Helm refuses to change such a release. The objects stay.
const { kubernetesApi, unless404 } = require("../../cluster/runner/kubernetesApi");
const { CodedError } = require("../../remote/runner/codedError");
const { helmRecords, isAsWanted, mayBeAlive, underWay } = require("./helmRecords");

/** @import { ReleaseInput } from "../program" */
/** @import { HelmRecord } from "./helmRecords" */

/**
 * Asks up to three times, because the API of a new cluster is slow and sometimes does not answer.
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
            if (attempt === 3) throw new CodedError("helm", `cannot look at Helm's records: ${error.message}`);
            await new Promise(resolve => setTimeout(resolve, 2000));
        }
    }
}

/**
 * Returns the number of Helm's next revision. By this number, the next run recognises an interrupted run of this stack.
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
        if (mayBeAlive(pending, wanted) && !isOwn) throw new CodedError("helm", `${underWay(pending, wanted)}. Nothing was changed`);
        process.stderr.write(`revision ${pending.revision} of ${name} was left ${pending.status}: removing Helm's record\n`);
        const path = `/api/v1/namespaces/${namespace}/secrets/${pending.record}`;
        await patiently(() => api(path, { method: "DELETE" }).catch(unless404(undefined)));
    }
    const left = records.filter(record => !isPending(record)).map(({ revision }) => revision);
    return String(Math.max(0, ...left) + 1);
}

const version = 1;

module.exports = { main, version };
