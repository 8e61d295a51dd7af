// Finds the key for Secrets in etcd that RKE's state lacks, on the nodes. RKE makes this key in the run that turns the encryption on, and records
// it in the cluster only when all API servers have it. While no API server answers, its record cannot be read. RKE replaces a key that it does
// not know, and a snapshot without the key is of no use.
const { refuseRun } = require("./findings");
const { onEach } = require("./nodes");
const { say } = require("./progress");

/** @import { KeyedCluster } from "../program" */
/** @import { RkeState } from "../state" */

const file = "/etc/kubernetes/ssl/encryption.yaml";

/**
 * Looks at the control plane nodes: for the text of the file with the key, for API servers that use it or another file, and for nodes that
 * could not be read.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {KeyedCluster} input
 */
async function keysOnNodes(env, { nodes, wantedNodes, encryptionKeyProgram }) {
    const isControlPlane = (/** @type {string} */ address) =>
        wantedNodes.some(wanted => wanted.address === address && wanted.roles.includes("controlplane"));
    const asked = nodes.filter(({ connection }) => isControlPlane(connection.address));
    const answers = await onEach(env, asked, encryptionKeyProgram);
    /** @type {Map<string, string[]>} */
    const keys = new Map();
    /** @type {string[]} */
    const unread = [];
    /** @type {string[]} */
    const encrypting = [];
    /** @type {string[]} */
    const otherwise = [];
    answers.forEach(({ lines, failure }, index) => {
        const { name } = asked[index];
        if (failure) unread.push(failure);
        for (const line of lines) {
            const [, kind, packed = ""] = /: (key|the API server encrypts Secrets)(?: ([A-Za-z0-9+/=]+))?$/.exec(line) ?? [];
            const text = Buffer.from(packed, "base64").toString("utf8");
            if (/: the API server encrypts Secrets by another file: /.test(line)) otherwise.push(line);
            else if (kind === undefined) unread.push(line);
            else if (kind !== "key") encrypting.push(name);
            else if (!/^kind: EncryptionConfiguration$/m.test(text)) unread.push(`${name}: found a file of another kind`);
            else keys.set(text, [...(keys.get(text) ?? []), name]);
        }
    });
    return { keys, unread, encrypting, otherwise };
}

/**
 * Returns the state with the key that encrypts Secrets, where only the nodes have it. Refuses to go on without a key that API servers use.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {KeyedCluster} input
 * @param {string} state
 */
async function withEncryptionKey(env, input, state) {
    /** @type {RkeState} */
    const known = JSON.parse(state);
    if (known.desiredState.encryptionConfig || known.currentState?.encryptionConfig) return state;
    const { keys, unread, encrypting, otherwise } = await keysOnNodes(env, input);
    if (!input.encryptsSecrets) {
        refuseRun("change-not-possible", encrypting.length > 0 ? [turnedOff(encrypting.join(", "))] : []);
        return state;
    }
    refuseRun(
        "change-not-possible",
        otherwise.map(
            line => `${line}. Expected ${file}: RKE would make a new key there, and the Secrets of today could not be read. ${ownFile}`,
        ),
    );
    refuseRun(
        "cluster-state",
        unread.map(line => `${line}. Expected to read ${file}: RKE's state has no key of encrypted Secrets, and the key may be there`),
    );
    const [[text, holders] = ["", []], ...others] = keys;
    if (others.length > 0) {
        const found = [...keys.values()].map(names => names.join(", ")).join("; ");
        refuseRun("cluster-state", [
            `${file}: expected the same key on all control plane nodes, found different ones on: ${found}. A Secret needs the key that ` +
                'encrypted it. Copy all of these files to another machine first, then see docs/errors.md, "RHA cluster-state"',
        ]);
    }
    if (holders.length === 0) return state;
    say(`RKE's state has no key of encrypted Secrets: that of the nodes is kept, from ${holders.join(", ")}`);
    return JSON.stringify({ ...known, desiredState: { ...known.desiredState, encryptionConfig: text } });
}

const ownFile =
    "Set cluster.services.kubeApi.secretsEncryption to false, and keep the file by cluster.extraConfig, services.kube-api.extra_args_array";

/** @param {string} names */
const turnedOff = names =>
    "cluster.services.kubeApi.secretsEncryption: expected true, found false. An earlier run turned it on and did not finish, and API servers " +
    `encrypt Secrets: ${names}. Without their key, these Secrets cannot be read. Set true and run pulumi up. Set false in a later update`;

module.exports = { withEncryptionKey };
