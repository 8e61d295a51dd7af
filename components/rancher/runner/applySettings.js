// Sets settings of Rancher through the Kubernetes API, so that Rancher works before anybody logs in.
const { firstAnswer, kubernetesApi, mergePatch } = require("../../cluster/runner/kubernetesApi");
const { CodedError } = require("../../remote/runner/codedError");

/** @import { SettingsInput } from "../program" */

const rounds = 30;

/**
 * Returns one line for each setting with its value. A setting that is to be set once keeps the value that it has. A value that somebody sets
 * at the same time wins: the patch names the version that was read, and is repeated after a conflict.
 *
 * @param {SettingsInput} input
 */
async function main({ access, once, always }) {
    const api = kubernetesApi(access);
    const apply = async (/** @type {string} */ name, /** @type {string} */ wanted, /** @type {boolean} */ keeps) => {
        const path = `/apis/management.cattle.io/v3/settings/${name}`;
        const { value, metadata } = await api(path);
        if (value === wanted || (keeps && value)) return `${name} ${value}`;
        const patch = mergePatch({ metadata: { resourceVersion: metadata.resourceVersion }, value: wanted });
        await api(`${path}?fieldManager=pulumi-rancher-ha`, patch);
        return `${name} ${wanted}`;
    };
    const lines = [];
    const all = [once, always].flatMap(settings =>
        Object.entries(settings).map(([name, value]) => ({ name, value, keeps: settings === once })),
    );
    for (const { name, value, keeps } of all) {
        try {
            lines.push(await firstAnswer([() => apply(name, value, keeps)], rounds));
        } catch (/** @type {any} */ error) {
            throw new CodedError(
                "helm",
                `setting ${name} of Rancher: expected to set it to ${value}, found: ${error.message}. Run pulumi up again`,
            );
        }
        const line = lines[lines.length - 1];
        if (line !== `${name} ${value}`) process.stderr.write(`expected ${name} ${value}, found ${line}, which Rancher keeps\n`);
    }
    return lines.join("\n");
}

const version = 1;
/** Leaves out the login, because only another cluster needs a new run. */
const compared = (/** @type {SettingsInput} */ { access: { ca }, ...settings }) => ({ ca, ...settings });

module.exports = { compared, main, version };
