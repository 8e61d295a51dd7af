// Keeps nodes cordoned during their maintenance, because `rke up` uncordons every node, also one that it does not upgrade.
const { firstAnswer, mergePatch } = require("../../runner/kubernetesApi");
const { say } = require("./progress");
const { builtNodes, clusterApi, nameOf } = require("./rkeState");

/** @import { OnceInput } from "../program" */
/** @import { KubernetesNode } from "../../kubernetesObjects" */
/** @import { KubernetesApi } from "../../runner/kubernetesApi" */

/** Annotation of the nodes that are cordoned again after this run. It stays when the run is killed, for the next run. */
const mark = "pulumi-rancher-ha/cordoned";

/**
 * Reports whether RKE cordoned a node, which it leaves so when its upgrade fails. The API server records the program's name.
 *
 * @param {KubernetesNode} node
 */
const isOfRke = ({ metadata: { managedFields = [] } }) =>
    managedFields.some(({ manager, fieldsV1 }) => manager === "rke" && fieldsV1?.["f:spec"]?.["f:unschedulable"] !== undefined);

/**
 * Reports whether a person cordoned a node, perhaps before a run that was killed.
 *
 * @param {KubernetesNode} node
 */
const isHeld = node => Boolean(node.metadata.annotations?.[mark] || (node.spec.unschedulable && !isOfRke(node)));

/**
 * Runs RKE, and then cordons the nodes again that were cordoned before and stay in the cluster. A failed run uncordons nodes, too.
 *
 * @template Result
 * @param {string} state
 * @param {Pick<OnceInput, "apiEndpoints" | "wantedNodes">} input
 * @param {() => Promise<Result>} work
 */
async function keepCordons(state, input, work) {
    const staying = builtNodes(state).filter(built => input.wantedNodes.some(({ address }) => address === built.address));
    const apis = staying.length > 0 ? input.apiEndpoints.map(endpoint => clusterApi(endpoint, state)) : [];
    const nodes = await firstAnswer(
        apis.map(api => () => heldNodes(api)),
        1,
    ).catch(() => say("no API server says which nodes are cordoned: RKE uncordons all nodes"));
    const names = staying.map(nameOf).filter(name => nodes?.includes(name));
    if (names.length > 0) say(`cordoned: ${names.join(", ")}. RKE uncordons them, and they are cordoned again after its run`);
    // Without the mark, only a killed run loses a cordon.
    for (const name of names) await patchNode(apis, name, { metadata: { annotations: { [mark]: "true" } } }, 1).catch(() => {});
    try {
        return await work();
    } finally {
        for (const name of names) await cordonAgain(apis, name);
    }
}

/**
 * Lists the names of the nodes that are held.
 *
 * @param {KubernetesApi} api
 * @returns {Promise<string[]>}
 */
const heldNodes = async api =>
    (await api("/api/v1/nodes")).items.filter(isHeld).map((/** @type {KubernetesNode} */ { metadata }) => metadata.name);

/**
 * @param {KubernetesApi[]} apis
 * @param {string} name
 * @param {object} fields
 * @param {number} [rounds]
 */
const patchNode = (apis, name, fields, rounds) =>
    firstAnswer(
        apis.map(api => () => api(`/api/v1/nodes/${name}`, mergePatch(fields))),
        rounds,
    );

/**
 * @param {KubernetesApi[]} apis
 * @param {string} name
 */
const cordonAgain = (apis, name) =>
    patchNode(apis, name, { metadata: { annotations: { [mark]: null } }, spec: { unschedulable: true } }).then(
        () => say(`node ${name} is cordoned again. After its maintenance: kubectl uncordon ${name}`),
        ({ message }) => say(`warning: node ${name} is not cordoned any more. Run kubectl cordon ${name}: ${message.replace(/\n/g, "; ")}`),
    );

module.exports = { keepCordons };
