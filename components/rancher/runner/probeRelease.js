// Finds drift in a release by a server-side apply of its manifest. The apply is a dry run and writes nothing.
const { parse } = require("yaml");
const { failureOf, kubernetesApi, unless404 } = require("../../cluster/runner/kubernetesApi");
const { CodedError, withCode } = require("../../remote/runner/codedError");
const { probeText } = require("../../remote/runner/probe");
const { versionStep } = require("../../remote/runner/version");
const { caOf, secretChecksum } = require("./agentsCa");
const { helmRecords, isAsWanted, mayBeAlive, newestDeployed, underWay, valueDifferences } = require("./helmRecords");

/** @import { KubernetesApi } from "../../cluster/runner/kubernetesApi" */
/** @import { Said } from "../../remote/runner/probe" */
/** @import { ReleaseInput, WantedRelease } from "../program" */
/** @import { HelmRecord } from "./helmRecords" */
/** @typedef {{ apiVersion: string, kind: string, metadata: { name: string, namespace?: string } }} ManifestObject */

/** @param {ReleaseInput} input */
async function main({ access, ...input }) {
    try {
        process.stdout.write(probeText(await look(kubernetesApi(access), input)));
    } catch (error) {
        process.stdout.write(probeText(failureOf(error)));
    }
}

/**
 * @param {KubernetesApi} api
 * @param {Omit<ReleaseInput, "access">} input
 * @returns {Promise<Said>}
 */
async function look(api, { release: { name, namespace }, wanted, ownerAnnotation, onlyRefuses, ...marks }) {
    const [records, foreign] = await Promise.all([
        helmRecords(api, name, namespace),
        foreignOwner(api, namespace, wanted.owner, ownerAnnotation),
    ]);
    if (foreign) return { refused: withCode("other-owner", foreign) };
    const newest = newestDeployed(records);
    const refused = newest && (impossibleChange(newest, records, wanted) ?? (await migratedData(api, newest, records, wanted)));
    if (refused) return { refused: withCode("change-not-possible", refused) };
    if (onlyRefuses) return {};
    const pending = records.find(({ status }) => status.startsWith("pending-"));
    if (pending) return pendingRun(pending, wanted, namespace);
    if (!newest)
        return {
            absent: `Helm has no deployed release ${name} in ${namespace}; one that was uninstalled comes back with pulumi up --refresh`,
        };
    const paths = resourcePaths(api, namespace);
    const objects = objectsOf(newest.manifest);
    const [found, ofCa] = await Promise.all([
        Promise.all(objects.map(({ text, object }) => changes(api, paths, object, text))),
        caWarnings(api, namespace, caOf(newest, marks)),
    ]);
    const failures = found.flatMap(({ failure }) => failure ?? []);
    // Without one comparison, "in sync" would be false.
    if (failures.length > 0 && failures.length === objects.length) return { unknown: failures, warning: ofCa };
    const warning = [...failures.map(failure => withCode("drift-unknown", failure)), ...ofCa];
    return { finding: found.flatMap(({ lines }) => lines).sort(), outdated: otherRun(newest, wanted), warning };
}

/**
 * Reports a pending run of Helm. Only an update can tell whether a run that may be alive belongs to this stack.
 *
 * @param {HelmRecord} pending
 * @param {WantedRelease} wanted
 * @param {string} namespace
 * @returns {Said}
 */
function pendingRun(pending, wanted, namespace) {
    const { revision, status, record, seconds } = pending;
    if (mayBeAlive(pending, wanted) && !isAsWanted(pending, wanted)) return { warning: underWay(pending, wanted) };
    const what = `revision ${revision} of the release is ${status}`;
    if (mayBeAlive(pending, wanted))
        return {
            finding:
                `${what} since ${seconds} s: a run of this stack was ended in the middle, or somebody's is under way. An update tells ` +
                "which, and leaves somebody's alone",
        };
    return {
        finding:
            `${what}: a run of Helm was ended in the middle, and Helm refuses every change until ` +
            `\`kubectl --namespace ${namespace} delete secret ${record}\``,
    };
}

/**
 * Refuses a namespace that another stack created, because two stacks would undo each other's changes for ever.
 *
 * @param {KubernetesApi} api
 * @param {string} namespace
 * @param {string} owner
 * @param {string} ownerAnnotation
 */
async function foreignOwner(api, namespace, owner, ownerAnnotation) {
    const { metadata } = await api(`/api/v1/namespaces/${namespace}`).catch(unless404({ metadata: {} }));
    const found = metadata.annotations?.[ownerAnnotation];
    if (found === undefined || found === owner) return undefined;
    return (
        `namespace ${namespace}: expected one of this stack (${owner}), found one of ${found}. Two stacks would undo each other's changes: ` +
        `choose another cluster. After a stack was renamed: kubectl annotate --overwrite namespace ${namespace} ${ownerAnnotation}=${owner}`
    );
}

/**
 * Refuses changes that agents or Rancher's data do not survive.
 *
 * @param {HelmRecord} newest
 * @param {HelmRecord[]} records
 * @param {WantedRelease} wanted
 */
function impossibleChange({ revision, chartVersion, values }, records, wanted) {
    // A pre-release counts as its final version.
    const { isOlder, skipsTo } = versionStep(chartVersion, wanted.chartVersion, 3);
    if (isOlder)
        return (
            `chartVersion: expected ${chartVersion} or newer, which revision ${revision} installed, found ${wanted.chartVersion}. ` +
            "Rancher cannot go back: its data would have to be restored from a backup"
        );
    if (skipsTo)
        return (
            `chartVersion: expected at most one minor version above ${chartVersion}, which is installed, found ${wanted.chartVersion}. ` +
            `Upgrade to the latest ${skipsTo} first`
        );
    // A manual run may have changed the host name since then. Such a change is drift.
    const own = records.filter(({ ownHostname }) => ownHostname).sort((one, other) => other.revision - one.revision)[0];
    const known = own ? { hostname: own.ownHostname, by: own.revision } : { hostname: values.hostname, by: revision };
    if (known.hostname !== undefined && known.hostname !== wanted.values.hostname)
        return (
            `hostname: expected ${known.hostname}, under which revision ${known.by} installed Rancher, found ${wanted.values.hostname}. ` +
            "Agents keep the name: return to it. A Rancher with another name is a new stack"
        );
    return undefined;
}

/**
 * Refuses an older Rancher than a failed run of Helm has started meanwhile, because its pods may have migrated Rancher's data. Rancher
 * records its own version. A restored backup brings the earlier one back.
 *
 * @param {KubernetesApi} api
 * @param {HelmRecord} newest
 * @param {HelmRecord[]} records
 * @param {WantedRelease} wanted
 */
async function migratedData(api, newest, records, wanted) {
    const isOlderThan = (/** @type {string} */ version) => versionStep(version, wanted.chartVersion, 3).isOlder;
    const tried = records.find(({ revision, chartVersion }) => revision > newest.revision && isOlderThan(chartVersion));
    if (!tried) return undefined;
    const setting = await api("/apis/management.cattle.io/v3/settings/server-version").catch(unless404(undefined));
    const [running] = /\d+\.\d+\.\d+\S*/.exec(setting?.value ?? "") ?? [];
    if (running === undefined || !isOlderThan(running)) return undefined;
    return (
        `chartVersion: expected ${running} or newer, which runs since revision ${tried.revision} (${tried.status}), found ` +
        `${wanted.chartVersion}. Rancher cannot go back: its data would have to be restored from a backup. Go on with ${tried.chartVersion}`
    );
}

/**
 * Lists differences between Helm's newest run and the configuration. Their cause is a foreign run of Helm or a pending change. Strings
 * are not shown, because they may be secret.
 *
 * @param {HelmRecord} newest
 * @param {WantedRelease} wanted
 */
function otherRun({ revision, chartVersion, values }, wanted) {
    const shown = (/** @type {unknown} */ value) =>
        ["number", "boolean"].includes(typeof value) ? value : value === undefined ? "missing" : "another";
    const lines = valueDifferences(values, wanted.values).map(({ path, live, asked }) => {
        const isSaid = shown(live) !== shown(asked);
        return `revision ${revision}: the value ${path} ${isSaid ? `is ${shown(live)}, expected ${shown(asked)}` : "was changed"}`;
    });
    if (chartVersion !== wanted.chartVersion) lines.push(`revision ${revision}: chart ${chartVersion}, expected ${wanted.chartVersion}`);
    return lines;
}

/**
 * Warns when the CA differs from the CA of the newest run, because Rancher's agents compare its checksum when they start.
 *
 * @param {KubernetesApi} api
 * @param {string} namespace
 * @param {string | undefined} checksum
 */
async function caWarnings(api, namespace, checksum) {
    if (!checksum) return [];
    const heal = "every agent that starts again is cut off. `pulumi up --refresh --run-program` puts it back";
    const found = await secretChecksum(api, namespace);
    if (!found) return [`Secret ${namespace}/tls-ca is missing: ${heal}`];
    return found === checksum ? [] : [`Secret ${namespace}/tls-ca holds another CA: ${heal}`];
}

/**
 * Returns a function that finds the API path of a manifest's object, or undefined for a kind that the API does not have. The function asks each API group once for its resources.
 *
 * @param {KubernetesApi} api
 * @param {string} namespace
 * @returns {(object: ManifestObject) => Promise<string | undefined>}
 */
function resourcePaths(api, namespace) {
    /** @type {Map<string, Promise<any>>} */
    const groups = new Map();
    return async ({ apiVersion, kind, metadata }) => {
        const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
        if (!groups.has(group)) groups.set(group, api(group));
        const { resources } = await groups.get(group);
        const resource = resources.find((/** @type {any} */ each) => each.kind === kind && !each.name.includes("/"));
        if (!resource) return undefined;
        const within = resource.namespaced ? `/namespaces/${metadata.namespace || namespace}` : "";
        return `${group}${within}/${resource.name}/${metadata.name}`;
    };
}

/**
 * Reads the objects of a manifest, as leniently as Helm. Each object keeps its text, which is sent to the API unchanged.
 *
 * @param {string} manifest
 */
function objectsOf(manifest) {
    try {
        const texts = manifest.split(/^---.*$/m);
        return texts
            .map(text => ({ text, object: parse(text, { uniqueKeys: false, logLevel: "error" }) }))
            .filter(each => each.object?.kind);
    } catch {
        // The parser's message would quote the text, secrets included.
        throw new CodedError("helm", "the manifest of the newest Helm revision is not YAML");
    }
}

/**
 * Returns what an apply would change in an object, one line for each field. Returns a failure when the API answers with an error, which
 * may be of this object alone. Throws when the API gives no answer.
 *
 * @param {KubernetesApi} api
 * @param {(object: ManifestObject) => Promise<string | undefined>} pathOf
 * @param {ManifestObject} object
 * @param {string} text
 * @returns {Promise<{ lines: string[], failure?: string }>}
 */
async function changes(api, pathOf, object, text) {
    const what = `${object.kind} ${object.metadata.name}`;
    try {
        const path = await pathOf(object);
        if (!path) return { lines: [], failure: `${what} cannot be compared: the API has no ${object.kind} in ${object.apiVersion}` };
        const live = await api(path).catch(unless404(undefined));
        if (!live) return { lines: [`${what}: missing`] };
        const dryRun = { method: "PATCH", type: "application/apply-patch+yaml", body: text };
        const applied = await api(`${path}?dryRun=All&force=true&fieldManager=pulumi-rancher-ha-probe`, dryRun);
        for (const each of [live, applied]) {
            delete each.status;
            for (const field of ["managedFields", "resourceVersion", "generation"]) delete each.metadata[field];
        }
        return { lines: differences(live, applied).map(line => `${what}: ${line}`) };
    } catch (/** @type {any} */ error) {
        if (error.status === undefined) throw error;
        return { lines: [], failure: `${what} cannot be compared: ${error.message}` };
    }
}

/**
 * Lists the differing fields, one line for each. Strings are not shown, because they may be secret.
 *
 * @param {any} live
 * @param {any} applied
 * @returns {string[]}
 */
function differences(live, applied, place = "") {
    if (JSON.stringify(live) === JSON.stringify(applied)) return [];
    const both = [live, applied];
    if (both.some(value => typeof value !== "object" || value === null)) {
        if (both.some(value => typeof value === "string")) return [`${place} was changed`];
        const shown = (/** @type {unknown} */ value) => (value === undefined ? "missing" : typeof value === "object" ? "set" : value);
        return [`${place} is ${shown(live)}, expected ${shown(applied)}`];
    }
    const isList = Array.isArray(both[1]);
    return [...new Set(both.flatMap(Object.keys))].flatMap(key =>
        differences(live[key], applied[key], isList ? `${place}[${applied[key]?.name ?? key}]` : place ? `${place}.${key}` : key),
    );
}

module.exports = { main };
