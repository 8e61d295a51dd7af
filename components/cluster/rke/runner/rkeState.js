// Packs RKE's state of a cluster for the next run, and finds the newest state.
const { brotliCompressSync, brotliDecompressSync, constants } = require("zlib");
const { CodedError } = require("../../../remote/runner/codedError");
const { firstAnswer, kubernetesApi } = require("../../runner/kubernetesApi");
const { say } = require("./progress");

/** @import { ClusterInput } from "../program" */
/** @import { RkeNode, RkeState } from "../state" */

/** @param {string} state */
const pack = state => brotliCompressSync(Buffer.from(state), { params: { [constants.BROTLI_PARAM_LGWIN]: 24 } }).toString("base64");
/** @param {string} text */
const unpack = text => brotliDecompressSync(Buffer.from(text.trim(), "base64")).toString("utf8");

/**
 * Returns the certificate of the cluster's CA, or undefined when the text is not a complete RKE state.
 *
 * @param {string} state
 */
function caOf(state) {
    try {
        const ca = parsed(state).desiredState.certificatesBundle["kube-ca"];
        return ca.keyPEM && ca.certificatePEM;
    } catch {
        return undefined;
    }
}

/**
 * @param {string} state
 * @returns {RkeState}
 */
const parsed = state => JSON.parse(state);

/**
 * Returns a client of an API server that uses the administrator's certificate in an RKE state.
 *
 * @param {string} endpoint
 * @param {string} state
 */
function clusterApi(endpoint, state) {
    const { "kube-ca": ca, "kube-admin": admin } = parsed(state).desiredState.certificatesBundle;
    return kubernetesApi({ endpoint, ca: ca.certificatePEM, certificate: admin.certificatePEM, key: admin.keyPEM });
}

/** Path of RKE's state in the Kubernetes API. */
const stateSecret = "/api/v1/namespaces/kube-system/secrets/full-cluster-state";

/**
 * Returns the PKIs of the cluster, the newest first. A cluster whose CA is not rotated yet has one of the others.
 *
 * @param {Pick<ClusterInput, "pki" | "earlierPkis">} input
 */
const pkisOf = ({ pki, earlierPkis = [] }) => [pki, ...earlierPkis].map(unpack);

/**
 * Returns the state that RKE keeps in the cluster, or undefined when the API does not give it.
 *
 * @param {Pick<ClusterInput, "apiEndpoints" | "pki" | "earlierPkis">} input
 */
async function stateInCluster({ apiEndpoints, ...keys }) {
    const combinations = pkisOf(keys).flatMap(pki => apiEndpoints.map(endpoint => ({ endpoint, pki })));
    const questions = combinations.map(({ endpoint, pki }) => async () => {
        const secret = await clusterApi(endpoint, pki)(stateSecret);
        const state = Buffer.from(secret.data["full-cluster-state"], "base64").toString("utf8");
        if (!caOf(state)) throw new CodedError("rke-failed", `${endpoint} holds no complete state of RKE`);
        return state;
    });
    // One round is enough, because before the first build no API server answers.
    return firstAnswer(questions, 1).catch(({ isUnreachable, message }) => {
        if (!isUnreachable) say(`the state of RKE in the cluster cannot be read: ${message.replace(/\n/g, "; ")}`);
        return undefined;
    });
}

/**
 * Returns the newest state of this cluster: from the cluster, else from the last run, else the PKI with nothing built yet.
 *
 * @param {Pick<ClusterInput, "apiEndpoints" | "pki" | "earlierPkis"> & { task: string }} input
 * @param {string} lastResult
 */
async function newestState(input, lastResult) {
    const pkis = pkisOf(input);
    const authorities = pkis.map(caOf);
    /** @type {[string, string | undefined][]} */
    const candidates = [
        ["the cluster itself", await stateInCluster(input)],
        ["the last run", input.task === "cluster" && lastResult ? unpack(lastResult.split("\n")[0]) : undefined],
        ["the cluster's PKI", pkis[0]],
    ];
    const found = candidates.find(([, candidate]) => candidate && authorities.includes(caOf(candidate)));
    const [source, state] = /** @type {[string, string]} */ (found);
    say(`state from ${source}`);
    return state;
}

/**
 * Returns the configuration with which RKE built the cluster last, or undefined before it built anything.
 *
 * @param {string} state
 */
const builtConfig = state => parsed(state).currentState?.rkeConfig;
/** @param {string} state */
const builtNodes = state => builtConfig(state)?.nodes ?? [];

/**
 * Returns the name of a node in Kubernetes. The name of its member of etcd is made of it.
 *
 * @param {Pick<RkeNode, "address" | "hostnameOverride">} node
 */
const nameOf = ({ address, hostnameOverride }) => (hostnameOverride || address).toLowerCase();

/**
 * Returns the address that other nodes use.
 *
 * @param {Pick<RkeNode, "address" | "internalAddress">} node
 */
const innerAddressOf = ({ address, internalAddress }) => internalAddress || address;

/**
 * Lists nodes in RKE's state that the configuration no longer contains.
 *
 * @param {string} state
 * @param {Pick<ClusterInput, "nodes">} input
 */
function removedNodes(state, input) {
    const wanted = new Set(input.nodes.map(node => node.connection.address));
    return builtNodes(state)
        .map(node => ({ name: nameOf(node), address: node.address }))
        .filter(({ address }) => !wanted.has(address));
}

module.exports = {
    builtConfig,
    builtNodes,
    caOf,
    clusterApi,
    innerAddressOf,
    nameOf,
    newestState,
    pack,
    pkisOf,
    removedNodes,
    stateInCluster,
    stateSecret,
    unpack,
};
