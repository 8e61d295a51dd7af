// Frees a release that an interrupted run of Helm left pending, because Helm refuses to change such a release. The objects stay.
const { firstAnswer, kubernetesApi, unless404 } = require("../../cluster/runner/kubernetesApi");
const { CodedError } = require("../../remote/runner/codedError");
const { helmRecords, isAsWanted, mayBeAlive, underWay } = require("./helmRecords");

/** @import { ReleaseInput } from "../program" */
/** @import { HelmRecord } from "./helmRecords" */

/**
 * Returns an answer about Helm's records. Throws an error that names the records when the API gives none.
 *
 * @template Answer
 * @param {() => Promise<Answer>} ask
 */
async function answerOf(ask) {
    try {
        return /** @type {Answer} */ (await firstAnswer([ask]));
    } catch (/** @type {any} */ error) {
        throw new CodedError("helm", `cannot look at Helm's records: ${error.message}`);
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
    const records = await answerOf(() => helmRecords(api, name, namespace));
    const isPending = (/** @type {HelmRecord} */ { status }) => status.startsWith("pending-");
    for (const pending of records.filter(isPending)) {
        const isOwn = pending.revision === Number(lastResult) && isAsWanted(pending, wanted);
        if (mayBeAlive(pending, wanted) && !isOwn) throw new CodedError("helm", `${underWay(pending, wanted)}. Nothing was changed`);
        process.stderr.write(`revision ${pending.revision} of ${name} was left ${pending.status}: removing Helm's record\n`);
        const path = `/api/v1/namespaces/${namespace}/secrets/${pending.record}`;
        await answerOf(() => api(path, { method: "DELETE" }).catch(unless404(undefined)));
    }
    const left = records.filter(record => !isPending(record)).map(({ revision }) => revision);
    return String(Math.max(0, ...left) + 1);
}

const version = 1;

module.exports = { main, version };
