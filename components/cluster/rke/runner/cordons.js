// Keeps nodes cordoned during their maintenance, because `rke up` uncordons every node, also one that it does not upgrade.
const { firstAnswer, mergePatch } = require("../../runner/kubernetesApi");
const { say } = require("./progress");
const { builtNodes, clusterApi, nameOf } = require("./rkeState");

/** @import { ClusterInput } from "../program" */
/** @import { KubernetesNode } from "../../kubernetesObjects" */
/** @import { KubernetesApi } from "../../runner/kubernetesApi" */

/**
 * Reports whether RKE cordoned a node, which it leaves so when its upgrade fails. The API server records the program's name.
 *
 * @param {KubernetesNode} node
 */
const isOfRke = ({ metadata: { managedFields = [] } }) =>
    managedFields.some(({ manager, fieldsV1 }) => manager === "rke" && fieldsV1?.["f:spec"]?.["f:unschedulable"] !== undefined);

/**
 * Runs RKE, and then cordons the nodes again that were cordoned before and stay in the cluster. A failed run uncordons nodes, too.
 *
 * @template Result
 * @param {string} state
 * @param {ClusterInput} input
 * @param {() => Promise<Result>} work
 */
async function keepCordons(state, input, work) {
    const staying = builtNodes(state).filter(built => input.wantedNodes.some(({ address }) => address === built.address));
    const apis = staying.length > 0 ? input.apiEndpoints.map(endpoint => clusterApi(endpoint, state)) : [];
    const nodes = await firstAnswer(
        apis.map(api => () => cordonedNodes(api)),
        1,
    ).catch(() => say("no API server says which nodes are cordoned: RKE uncordons all nodes"));
    const held = (nodes ?? []).filter(node => !isOfRke(node)).map(({ metadata }) => metadata.name);
    const names = staying.map(nameOf).filter(name => held.includes(name));
    if (names.length > 0) say(`cordoned: ${names.join(", ")}. RKE uncordons them, and they are cordoned again after its run`);
    try {
        return await work();
    } finally {
        for (const name of names) await cordonAgain(apis, name);
    }
}

/**
 * @param {KubernetesApi} api
 * @returns {Promise<KubernetesNode[]>}
 */
const cordonedNodes = async api =>
    (await api("/api/v1/nodes")).items.filter((/** @type {KubernetesNode} */ { spec }) => spec.unschedulable);

/**
 * @param {KubernetesApi[]} apis
 * @param {string} name
 */
function cordonAgain(apis, name) {
    const patch = mergePatch({ spec: { unschedulable: true } });
    return firstAnswer(apis.map(api => () => api(`/api/v1/nodes/${name}`, patch))).then(
        () => say(`node ${name} is cordoned again. After its maintenance: kubectl uncordon ${name}`),
        ({ message }) => say(`warning: node ${name} is not cordoned any more. Run kubectl cordon ${name}: ${message.replace(/\n/g, "; ")}`),
    );
}

module.exports = { keepCordons };
