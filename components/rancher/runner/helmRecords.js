// Reads Helm's records of a release, which are Secrets beside it.
const { gunzipSync } = require("zlib");
const { ordered } = require("../../remote/runner/result");

/** @import { WantedRelease } from "../program" */

/**
 * @typedef {{
 *     record: string,
 *     revision: number,
 *     status: string,
 *     seconds: number,
 *     chartVersion: string,
 *     values: Record<string, any>,
 *     manifest: string,
 *     ownHostname?: string,
 * }} HelmRecord
 *
 * @typedef {{ path: string, live: unknown, asked: unknown }} ValueDifference
 *
 * @typedef {{ metadata: { name: string, labels: Record<string, string>, creationTimestamp: string }, data: { release: string } }} HelmSecret
 */

/**
 * Returns each record: revision, status, age, chart, objects, and the values of its run, without the password. `ownHostname` is the host
 * name in the description of a run of this stack.
 *
 * @param {import("../../cluster/runner/kubernetesApi").KubernetesApi} api
 * @param {string} name
 * @param {string} namespace
 * @returns {Promise<HelmRecord[]>}
 */
async function helmRecords(api, name, namespace) {
    const selector = encodeURIComponent(`owner=helm,name=${name}`);
    const { items } = await api(`/api/v1/namespaces/${namespace}/secrets?labelSelector=${selector}`);
    return items.map((/** @type {HelmSecret} */ { metadata, data }) => {
        // Helm encodes a record as base64, and Kubernetes encodes it once more.
        const packed = Buffer.from(Buffer.from(data.release, "base64").toString("utf8"), "base64");
        const { manifest, chart, info, config = {} } = JSON.parse(gunzipSync(packed).toString("utf8"));
        const { bootstrapPassword, ...values } = config ?? {};
        return {
            record: metadata.name,
            revision: Number(metadata.labels.version),
            status: metadata.labels.status,
            seconds: Math.round((Date.now() - Date.parse(metadata.creationTimestamp)) / 1000),
            chartVersion: chart.metadata.version,
            values,
            manifest,
            ownHostname: /^Rancher \S+ for https:\/\/([^, ]+)/.exec(info?.description ?? "")?.[1],
        };
    });
}

/**
 * Returns the newest run that is deployed, or undefined.
 *
 * @param {HelmRecord[]} records
 * @returns {HelmRecord | undefined}
 */
function newestDeployed(records) {
    return records.filter(({ status }) => status === "deployed").sort((one, other) => other.revision - one.revision)[0];
}

/**
 * Lists the leaves in which two trees of values differ. Helm's record sorts the keys of objects, and a program may not.
 *
 * @param {unknown} live
 * @param {unknown} asked
 * @returns {ValueDifference[]}
 */
function valueDifferences(live, asked, path = "") {
    const [one, other] = [live, asked].map(value => JSON.stringify(ordered(value ?? null)));
    if (one === other) return [];
    /** @type {(value: unknown) => value is Record<string, unknown>} */
    const isMap = value => typeof value === "object" && value !== null && !Array.isArray(value);
    if (!isMap(live) || !isMap(asked)) return [{ path, live, asked }];
    const keys = [...new Set([live, asked].flatMap(Object.keys))];
    return keys.flatMap(key => valueDifferences(live[key], asked[key], path ? `${path}.${key}` : key));
}

/**
 * Reports whether a pending run may still be alive: it began less than its timeout ago.
 *
 * @type {(run: HelmRecord, wanted: WantedRelease) => boolean}
 */
const mayBeAlive = ({ seconds }, { timeoutSeconds }) => seconds < timeoutSeconds;

/**
 * Reports whether a run has the chart and the values of this stack. Either this stack started the run, or the run changes nothing.
 *
 * @type {(run: HelmRecord, wanted: WantedRelease) => boolean}
 */
const isAsWanted = ({ chartVersion, values }, wanted) =>
    chartVersion === wanted.chartVersion && valueDifferences(values, wanted.values).length === 0;

/**
 * @param {HelmRecord} run
 * @param {WantedRelease} wanted
 */
function underWay({ revision, status, seconds }, { timeoutSeconds }) {
    return (
        `somebody's run of Helm is under way since ${seconds} s (revision ${revision}, ${status}). Wait until it ends; after ` +
        `${timeoutSeconds} s it counts as dead`
    );
}

module.exports = { helmRecords, isAsWanted, mayBeAlive, newestDeployed, underWay, valueDifferences };
