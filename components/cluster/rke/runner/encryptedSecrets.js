// Makes RKE write every Secret anew until a run of RKE has done so. It is RKE's last step. After a failure shortly before it, RKE takes the
// Secrets for encrypted, because its record of the cluster says that the encryption is on.
const { createHash } = require("crypto");
const { firstAnswer, mergePatch } = require("../../runner/kubernetesApi");
const { say } = require("./progress");
const { clusterApi, stateSecret } = require("./rkeState");

/** @import { ClusterInput } from "../program" */
/** @import { RkeState } from "../state" */

/** Annotation of RKE's state in the cluster: a digest of the key with which every Secret is encrypted, or `decrypting`. */
const mark = "pulumi-rancher-ha/encrypted-secrets";

/** The mark while a run turns the encryption off. API servers may then write Secrets in plain text until they restart. */
const decrypting = "decrypting";

/** @param {RkeState["currentState"]} built */
const isOn = built => built?.rkeConfig?.services.kubeApi?.secretsEncryptionConfig?.enabled === true;

/** @param {string} state */
const keyOf = state => {
    /** @type {RkeState} */
    const { desiredState, currentState } = JSON.parse(state);
    return currentState?.encryptionConfig || desiredState.encryptionConfig || "";
};

/** @param {string} state */
const digestOf = state => createHash("sha256").update(keyOf(state)).digest("hex");

/**
 * Returns the state with which RKE writes every Secret anew: one in which the encryption is not on yet. The key stays. `restarts` also
 * restarts the API servers, because RKE then takes the key for a new one.
 *
 * @param {string} state
 */
function unwritten(state, restarts = false) {
    /** @type {RkeState} */
    const { desiredState, currentState } = JSON.parse(state);
    const encryptionConfig = keyOf(state) || undefined;
    const services = { ...currentState?.rkeConfig?.services, kubeApi: { ...currentState?.rkeConfig?.services.kubeApi } };
    if (!restarts) delete services.kubeApi.secretsEncryptionConfig;
    return JSON.stringify({
        // A rotation of the CA records a new key as the current one alone, and the next one would take another.
        desiredState: { ...desiredState, encryptionConfig },
        ...(currentState && {
            currentState: {
                ...currentState,
                ...(currentState.rkeConfig && { rkeConfig: { ...currentState.rkeConfig, services } }),
                ...(restarts && { encryptionConfig: undefined }),
            },
        }),
    });
}

/**
 * Returns how this run of RKE treats Secrets: the state for its first run of `rke up`, that for a repeated one, and what to do at its end.
 *
 * @param {Pick<ClusterInput, "apiEndpoints" | "encryptsSecrets" | "clusterYml">} input
 * @param {string} state
 */
async function encryptedSecrets({ apiEndpoints, encryptsSecrets, clusterYml }, state) {
    /** @type {RkeState} */
    const { currentState } = JSON.parse(state);
    const wasOn = isOn(currentState);
    if (!encryptsSecrets && !wasOn) return { first: state, again: (/** @type {string} */ text) => text, finish: async () => {} };
    const apis = apiEndpoints.map(endpoint => clusterApi(endpoint, state));
    /** @param {string | null} value */
    const note = value =>
        firstAnswer(apis.map(api => () => api(stateSecret, mergePatch({ metadata: { annotations: { [mark]: value } } }))));
    if (!encryptsSecrets) {
        await note(decrypting).catch(() => say("no API server notes that the encryption of Secrets is being turned off"));
        return { first: state, again: (/** @type {string} */ text) => text, finish: () => note(null).catch(() => {}) };
    }
    const noted = await firstAnswer(
        apis.map(api => () => api(stateSecret)),
        1,
    ).then(
        secret => secret?.metadata.annotations?.[mark],
        () => undefined,
    );
    const isDone = wasOn && noted === digestOf(state);
    if (wasOn && !isDone) say("no run is known that has encrypted every Secret: RKE writes all of them anew");
    // For another custom configuration, RKE restarts the API servers only while its record has the encryption on.
    const restarts = noted === decrypting || /^ +custom_config:/m.test(clusterYml);
    const isDoneIn = (/** @type {string} */ text) => isDone && noted === digestOf(text);
    const isRestarted = (/** @type {string} */ text) => Boolean(JSON.parse(text).currentState?.encryptionConfig);
    return {
        first: isDone ? state : unwritten(state, restarts),
        again: (/** @type {string} */ text) => (isDoneIn(text) ? text : unwritten(text, restarts && !isRestarted(text))),
        /** @param {string} built */
        finish: built =>
            note(digestOf(built)).catch(() =>
                say("no API server notes that every Secret is encrypted: the next run of RKE writes them anew"),
            ),
    };
}

module.exports = { encryptedSecrets };
