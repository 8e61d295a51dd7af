// Moves the pods of nodes that leave the cluster before RKE removes the nodes, and cleans their hosts afterwards.
const { CodedError } = require("../../../remote/runner/codedError");
const { deadlineIn } = require("../../../remote/runner/deadline");
const { firstAnswer, mergePatch, unless404 } = require("../../runner/kubernetesApi");
const { isReady } = require("./controlPlane");
const { bullets, findings } = require("./findings");
const { foreignHosts } = require("./foreignHosts");
const { recordedNodes } = require("./lastResult");
const { say } = require("./progress");
const { forgetNodes } = require("./rebuiltNodes");
const { builtConfig, clusterApi, removedNodes } = require("./rkeState");

/** @import { KubernetesNode, Pod } from "../../kubernetesObjects" */
/** @import { KubernetesApi } from "../../runner/kubernetesApi" */
/** @import { Deadline } from "../../../remote/runner/deadline" */
/** @import { ClusterInput, ReachedNode } from "../program" */
/** @import { RkeConfig } from "../state" */
/** @import { ForeignHost } from "./foreignHosts" */

/** A node in RKE's state that the configuration no longer contains. @typedef {{ name: string, address: string }} LeavingNode */

/** Pods get this time to end, and PodDisruptionBudgets to allow that. Rancher's own pods end within 30 s. */
const patienceSeconds = 180;

/**
 * Returns the nodes that leave, and whose hosts are another cluster's or another machine by now. Refuses the run when such a host cannot be
 * looked at. A host whose connection no run recorded is not asked.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {string} state
 * @param {ClusterInput} input
 * @param {string} lastResult
 */
function takenNodes(env, state, input, lastResult) {
    const leaving = removedNodes(state, input);
    const isLeaving = (/** @type {ReachedNode} */ { connection }) => leaving.some(({ address }) => address === connection.address);
    const config = builtConfig(state);
    const nodes = recordedNodes(lastResult)
        .filter(isLeaving)
        .map(node => asRkeReaches(node, config, input));
    return foreignHosts(env, nodes, input.preflightProgram, node => hasOtherWay(node, config));
}

/**
 * Returns a node with the port, user and bastion of RKE's record. A run that failed can have written it after the record of the last run.
 *
 * @param {ReachedNode} node
 * @param {RkeConfig | undefined} config
 * @param {Pick<ClusterInput, "nodes">} input
 * @returns {ReachedNode}
 */
function asRkeReaches({ name, connection }, config, { nodes }) {
    const known = config?.nodes.find(({ address }) => address === connection.address);
    const wanted = config?.bastionHost?.address;
    const bastions = [connection, ...nodes.map(node => node.connection)].map(({ bastion }) => bastion);
    const bastion = wanted ? (bastions.find(each => each?.address === wanted) ?? connection.bastion) : undefined;
    return {
        name,
        connection: { ...connection, port: Number(known?.port ?? connection.port), user: known?.user ?? connection.user, bastion },
    };
}

/**
 * Reports whether RKE's record has another port, user or bastion for a node. That remains for a bastion that no configuration knows.
 *
 * @param {ReachedNode} node
 * @param {RkeConfig | undefined} config
 */
function hasOtherWay({ connection: { address, port, user, bastion } }, config) {
    const known = config?.nodes.find(node => node.address === address);
    const way = [known?.port ?? port, known?.user ?? user, config?.bastionHost?.address ?? ""].map(String);
    return way.join(" ") !== [port, user, bastion?.address ?? ""].join(" ");
}

/**
 * Takes such nodes out of Kubernetes and etcd. Returns a state without these nodes, because RKE cleans the host of each node that leaves.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {string} state
 * @param {ClusterInput} input
 * @param {ForeignHost[]} taken
 */
async function withoutTakenNodes(env, state, input, taken) {
    if (taken.length === 0) return state;
    taken.forEach(({ name, connection: { address }, reason }) =>
        say(`node ${name} leaves this cluster. Its host ${address} ${reason}, and is left alone`),
    );
    const questions = input.apiEndpoints.map(endpoint => () => deleteNodes(clusterApi(endpoint, state), taken));
    await firstAnswer(questions).catch(({ message }) => {
        const names = taken.map(({ name }) => name).join(", ");
        const reasons = bullets(message.split("\n"));
        throw new CodedError("rke-failed", `RKE was not started, because Kubernetes does not remove the nodes ${names}:\n${reasons}`);
    });
    return forgetNodes(env, taken, state, input);
}

/**
 * @param {KubernetesApi} api
 * @param {ReachedNode[]} nodes
 */
const deleteNodes = (api, nodes) =>
    Promise.all(nodes.map(({ name }) => api(`/api/v1/nodes/${name}`, { method: "DELETE" }).catch(unless404(undefined))));

/**
 * Moves the pods of the leaving nodes. RKE would remove the nodes under their pods.
 *
 * @param {LeavingNode[]} leaving
 * @param {string} state
 * @param {ClusterInput} input
 */
async function movePods(leaving, state, { apiEndpoints }) {
    if (leaving.length === 0) return;
    const questions = apiEndpoints.map(endpoint => async () => {
        const asked = clusterApi(endpoint, state);
        await asked("/version");
        return asked;
    });
    const api = await firstAnswer(questions, 1).catch(({ message }) => {
        const reasons = message.replace(/\n/g, "; ");
        say(`no API server can be used, so no pod is moved from the nodes that leave: ${reasons}`);
        return undefined;
    });
    if (api) await evictPods(api, leaving);
}

/**
 * Cordons nodes and evicts their pods. Refuses when a PodDisruptionBudget keeps a pod on a node that runs.
 *
 * @param {KubernetesApi} api
 * @param {LeavingNode[]} leaving
 */
async function evictPods(api, leaving, { seconds = patienceSeconds, pauseSeconds = 2 } = {}) {
    const found = await Promise.all(leaving.map(({ name }) => api(`/api/v1/nodes/${name}`).catch(unless404(undefined))));
    /** @type {KubernetesNode[]} */
    const nodes = found.filter(Boolean);
    const open = nodes.filter(({ spec }) => !spec.unschedulable);
    await Promise.all(open.map(node => cordon(api, node, true)));
    const kept = await Promise.all(nodes.map(node => keptPods(api, node, deadlineIn(seconds), pauseSeconds)));
    if (kept.flat().length === 0) return;
    await Promise.all(open.map(node => cordon(api, node, false)));
    throw new CodedError(
        "change-not-possible",
        `RKE was not started and no node was removed, because these pods could not be evicted within ${seconds} s:\n${bullets(kept.flat())}\n` +
            "The node takes pods again. Let another node run them, for example with one more replica, and run pulumi up again",
    );
}

/**
 * @param {KubernetesApi} api
 * @param {KubernetesNode} node
 * @param {boolean} unschedulable
 */
function cordon(api, { metadata: { name } }, unschedulable) {
    return api(`/api/v1/nodes/${name}`, mergePatch({ spec: { unschedulable } }));
}

/**
 * Evicts the pods of a node until none is left, or until the deadline. Returns the refused evictions. Nobody ends the pods of a node that
 * is not ready, so they are evicted once.
 *
 * @param {KubernetesApi} api
 * @param {KubernetesNode} node
 * @param {Deadline} deadline
 * @param {number} pauseSeconds
 * @returns {Promise<string[]>}
 */
async function keptPods(api, node, deadline, pauseSeconds) {
    const { name } = node.metadata;
    const runs = isReady(node);
    say(`evicting the pods of node ${name}${runs ? "" : ", which is not ready: nothing waits for their end"}`);
    for (;;) {
        const { items, problem } = await api(`/api/v1/pods?fieldSelector=spec.nodeName%3D${name}`).catch(error => ({
            items: [],
            problem: error.message,
        }));
        /** @type {Pod[]} */
        const pods = items.filter(isMovable);
        const refused = await Promise.all(pods.filter(({ metadata }) => !metadata.deletionTimestamp).map(pod => refusal(api, pod)));
        if (!runs || (pods.length === 0 && !problem)) return [];
        if (deadline.isOver()) {
            const ending = pods.filter(({ metadata }) => metadata.deletionTimestamp).map(nameOf);
            if (ending.length > 0) say(`node ${name} leaves although these pods have not ended yet: ${ending.join(", ")}`);
            return problem ? [problem] : refused.flat();
        }
        await new Promise(resolve => setTimeout(resolve, pauseSeconds * 1000));
    }
}

/**
 * Reports whether a pod must move. Pods of a DaemonSet and of the kubelet itself belong to their node, and a finished pod does nothing.
 *
 * @param {Pod} pod
 */
const isMovable = ({ metadata: { ownerReferences = [], annotations = {} }, status: { phase } }) =>
    !ownerReferences.some(({ kind }) => kind === "DaemonSet") &&
    annotations["kubernetes.io/config.mirror"] === undefined &&
    phase !== "Succeeded" &&
    phase !== "Failed";

/** @param {Pod} pod */
const nameOf = ({ metadata: { namespace, name } }) => `${namespace}/${name}`;

/**
 * Asks for the eviction of a pod. Returns the reason of a refusal.
 *
 * @param {KubernetesApi} api
 * @param {Pod} pod
 */
async function refusal(api, pod) {
    const { namespace, name } = pod.metadata;
    const body = JSON.stringify({ apiVersion: "policy/v1", kind: "Eviction", metadata: { namespace, name } });
    try {
        await api(`/api/v1/namespaces/${namespace}/pods/${name}/eviction`, { method: "POST", type: "application/json", body });
        return [];
    } catch (/** @type {any} */ error) {
        if (error.status === 404) return [];
        return [`${nameOf(pod)}: ${error.status === 429 ? "its PodDisruptionBudget allows no disruption" : error.message}`];
    }
}

/**
 * Ends the containers of pods on the hosts that left, which RKE leaves running, and says what is left of the cluster there. A host that
 * cannot be reached fails nothing: it may be lost.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {LeavingNode[]} left
 * @param {ClusterInput} input
 * @param {string} lastResult
 */
async function cleanHosts(env, left, { removeContainersProgram, leftoverProgram }, lastResult) {
    if (left.length === 0) return;
    const byHand = 'docs/operations.md, "Add or remove a node", has the command for that host';
    const recorded = recordedNodes(lastResult);
    const reached = left.flatMap(({ name, address }) => {
        const node = recorded.find(({ connection }) => connection.address === address);
        if (!node) say(`node ${name}: containers of its pods may run on at ${address}, because no run recorded its host key: ${byHand}`);
        return node ?? [];
    });
    const ended = await findings(env, reached, removeContainersProgram);
    const found = new Set([...ended, ...(await findings(env, reached, leftoverProgram))]);
    found.forEach(finding => say(`the cluster is not fully removed from a node that left: ${finding}`));
    if (found.size > 0) say(byHand);
}

/**
 * Reports whether a warning of RKE says that a node that leaves was not cleaned, because its host did not answer. RKE has removed such a node
 * from the cluster all the same.
 *
 * @param {LeavingNode} node
 */
const saysLost =
    ({ address }) =>
    (/** @type {string} */ text) =>
        text.includes(`node [${address}]: Not able to reach the host`);

module.exports = { cleanHosts, evictPods, movePods, saysLost, takenNodes, withoutTakenNodes };
