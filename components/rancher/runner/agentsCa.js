// Finds the CA that Rancher gave to its agents. They compare its checksum when they start.
const { createHash } = require("crypto");
const { unless404 } = require("../../cluster/runner/kubernetesApi");

/** @import { KubernetesApi } from "../../cluster/runner/kubernetesApi" */
/** @import { CaMarks } from "../program" */
/** @import { HelmRecord } from "./helmRecords" */

/**
 * Returns the checksum of the CA that a run of Helm gave to agents. A run of this stack marks it in its values. An adopted release has no
 * mark while its pods run on, so the configuration knows the CA.
 *
 * @param {HelmRecord} record
 * @param {CaMarks} marks
 * @returns {string | undefined}
 */
function caOf({ values }, { caVariable, adoptedCaChecksum }) {
    const marked = values.extraEnv?.find((/** @type {{ name: string, value?: string }} */ each) => each.name === caVariable)?.value;
    return marked ?? (hasPrivateCa(values) ? adoptedCaChecksum : undefined);
}

/**
 * Reports whether the chart gives a private CA to agents. `helm --set-string` makes a text of true.
 *
 * @param {Record<string, any>} values
 */
const hasPrivateCa = ({ privateCA }) => [true, "true"].includes(privateCA);

/**
 * Returns the checksum of the CA in the Secret, as agents compute it: of the text with one newline at its end. Returns undefined without
 * a CA.
 *
 * @param {KubernetesApi} api
 * @param {string} namespace
 * @returns {Promise<string | undefined>}
 */
async function secretChecksum(api, namespace) {
    const secret = await api(`/api/v1/namespaces/${namespace}/secrets/tls-ca`).catch(unless404(undefined));
    const text = Buffer.from(secret?.data?.["cacerts.pem"] ?? "", "base64")
        .toString()
        .trim();
    return text === "" ? undefined : createHash("sha256").update(`${text}\n`).digest("hex");
}

module.exports = { caOf, hasPrivateCa, secretChecksum };
