// Compares nodes and the ingress controller of a live cluster with RKE's record of its last run.
const { isReady } = require("./controlPlane");

/** @import { KubernetesNode } from "../../kubernetesObjects" */
/** @import { Taint } from "../state" */

/** @typedef {{ address: string, name: string, roles: string[], labels: Record<string, string>, taints: string[] }} ComparableNode */

/** @param {Taint} taint */
const taintText = ({ key, value, effect }) => `${key}=${value ?? ""}:${effect}`;

/**
 * Reports whether Kubernetes sets a taint by itself, or RKE for a role.
 *
 * @param {Taint} taint
 */
const isSystemTaint = ({ key }) => /^node(-role)?\.kubernetes\.io\//.test(key);
const rkeRoles = ["controlplane", "etcd", "worker"];

/** @param {KubernetesNode[]} found */
const finderIn = found => (/** @type {string} */ name) => found.find(({ metadata }) => metadata.name === name);

/**
 * Returns the names of live nodes without a record of RKE.
 *
 * @param {KubernetesNode[]} found
 * @param {ComparableNode[]} built
 */
const unrecorded = (found, built) => found.map(({ metadata }) => metadata.name).filter(name => !built.some(node => node.name === name));

/**
 * Lists the differences that a run of RKE removes.
 *
 * @param {KubernetesNode[]} found
 * @param {ComparableNode[]} built
 * @param {string} kubeletVersion
 * @param {string[]} wanted names of the nodes in the configuration
 */
function nodeDifferences(found, built, kubeletVersion, wanted) {
    const lines = [];
    for (const node of built) {
        const live = finderIn(found)(node.name);
        if (!live) continue;
        const labels = live.metadata.labels ?? {};
        const roles = rkeRoles.filter(role => `node-role.kubernetes.io/${role}` in labels);
        if (roles.join() !== node.roles.join()) lines.push(`node ${node.name}: roles ${roles.join(",")}, expected ${node.roles.join(",")}`);
        for (const [key, value] of Object.entries(node.labels))
            if (labels[key] !== value) lines.push(`node ${node.name}: label ${key} ${key in labels ? "was changed" : "is missing"}`);
        if (!isReady(live)) lines.push(`node ${node.name}: not Ready`);
        const version = live.status.nodeInfo.kubeletVersion;
        if (version !== kubeletVersion) lines.push(`node ${node.name}: kubelet ${version}, expected ${kubeletVersion}`);
    }
    const joining = unrecorded(found, built).filter(name => wanted.includes(name));
    return [...lines, ...joining.map(name => `node ${name}: in the cluster, but RKE was not run for it`)];
}

/**
 * Lists manual changes of nodes that RKE does not undo. RKE compares taints with its record and not with the node. It removes only nodes of
 * its record, and fails when one is not in the cluster.
 *
 * @param {KubernetesNode[]} found
 * @param {ComparableNode[]} built
 * @param {string[]} wanted names of the nodes in the configuration
 */
function nodeWarnings(found, built, wanted) {
    const find = finderIn(found);
    const deleted = built.map(({ name }) => name).filter(name => wanted.includes(name) && !find(name));
    const strangers = unrecorded(found, built).filter(name => !wanted.includes(name));
    return [
        ...deleted.map(name => `node ${name} is missing in the cluster, and RKE fails without it. On the node: docker restart kubelet`),
        ...strangers.map(
            name =>
                `node ${name} is in the cluster, but RKE was not run for it and does not remove it. ` +
                `Switch its host off, and then: kubectl delete node ${name}`,
        ),
        ...built.flatMap(node => specWarnings(node, find(node.name)?.spec)),
    ];
}

/**
 * @param {ComparableNode} node
 * @param {KubernetesNode["spec"]} [spec]
 */
function specWarnings({ name, taints: own }, spec) {
    if (!spec) return [];
    const { unschedulable, taints = [] } = spec;
    const missing = own.filter(taint => !taints.some(live => taintText(live) === taint));
    const foreign = taints.filter(taint => !isSystemTaint(taint) && !own.includes(taintText(taint)));
    return [
        ...(unschedulable ? [`node ${name} is cordoned: no new pod starts there. After its maintenance: kubectl uncordon ${name}`] : []),
        ...missing.map(taint => `node ${name} lacks the taint ${taint}: kubectl taint node ${name} ${taint}`),
        ...foreign.map(taint => `node ${name} has the taint ${taintText(taint)}, which is not of this stack`),
    ];
}

/**
 * @param {{ data?: Record<string, string> }} live
 * @param {Record<string, string>} options
 */
function ingressDifferences({ data = {} }, options) {
    return Object.entries(options)
        .filter(([key, value]) => data[key] !== value)
        .map(([key]) => {
            const effect = key === "use-forwarded-headers" ? ": every page of Rancher is an endless redirect" : "";
            return `ConfigMap ingress-nginx/ingress-nginx-controller: ${key} ${key in data ? "was changed" : "is missing"}${effect}`;
        });
}

module.exports = { ingressDifferences, nodeDifferences, nodeWarnings, taintText };
