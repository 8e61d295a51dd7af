// Finds keys of cluster.yml that RKE would drop without a word.
const fs = require("fs");
const path = require("path");
const { withCode } = require("../../../remote/runner/codedError");
const { refuseRun } = require("./findings");
const { rkeFailure, runRke, workFolder } = require("./rkeCommand");

/** @param {unknown} value */
const isObject = value => typeof value === "object" && value !== null;
/** RKE's state has most keys of cluster.yml in camelCase. */
const plain = (/** @type {string} */ key) => key.replace(/[-_]/g, "").toLowerCase();

/**
 * Lists the paths of values that RKE's own record of its configuration lacks. The record omits values such as false, 0 and "" that are
 * RKE's defaults.
 *
 * @param {any} given
 * @param {any} read
 * @param {string} at
 * @returns {string[]}
 */
function unread(given, read, at = "") {
    if (read === undefined || read === null) return [at];
    if (!isObject(given)) return [];
    return Object.entries(given).flatMap(([key, value]) => {
        const known = isObject(read) ? Object.keys(read).find(name => plain(name) === plain(key)) : undefined;
        const step = Array.isArray(given) ? `[${key}]` : `.${key}`;
        return unread(value, known === undefined ? undefined : read[known], at + step);
    });
}

/**
 * Lists the keys of extraConfig that RKE does not read, a line each. The real `rke up --init` reads cluster.yml, makes certificates that
 * nobody keeps, and contacts no host.
 *
 * @param {string} clusterYml
 * @param {object} extraConfig
 */
async function unreadKeys(clusterYml, extraConfig) {
    const folder = workFolder(clusterYml, "");
    const run = { folder, env: process.env, marker: "", timeoutSeconds: 120, isFirstBuild: true };
    const result = await runRke(["up", "--init", "--config", "cluster.yml"], run);
    if (result.code !== 0) throw rkeFailure("RKE does not accept cluster.yml with the keys of cluster.extraConfig", result);
    const { desiredState } = JSON.parse(fs.readFileSync(path.join(folder, "cluster.rkestate"), "utf8"));
    return unread(extraConfig, desiredState.rkeConfig).map(
        key =>
            `cluster.extraConfig${key}: expected a key that RKE reads and a value other than its default, and RKE's record lacks it. ` +
            "Correct its spelling or remove it",
    );
}

/**
 * @param {string} clusterYml
 * @param {object | undefined} extraConfig
 */
async function refuseUnreadKeys(clusterYml, extraConfig) {
    refuseRun("configuration", extraConfig ? await unreadKeys(clusterYml, extraConfig) : []);
}

/**
 * Returns the refusal of unread keys for a probe, or undefined.
 *
 * @param {{ clusterYml: string, extraConfig: object }} extra
 */
async function refusedKeys({ clusterYml, extraConfig }) {
    const lines = await unreadKeys(clusterYml, extraConfig).catch(error => [/** @type {Error} */ (error).message]);
    return lines.length > 0 ? withCode("configuration", lines.join("\n")) : undefined;
}

module.exports = { refusedKeys, refuseUnreadKeys };
