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

/**
 * @param {KubernetesNode[]} found
 * @param {ComparableNode[]} wanted
 * @param {string} kubeletVersion
 */
function nodeDifferences(found, wanted, kubeletVersion) {
    const lines = [];
    for (const node of wanted) {
        const live = found.find(item => item.metadata.name === node.name);
        if (!live) {
            lines.push(`node ${node.name}: missing in the cluster`);
            continue;
        }
        const labels = live.metadata.labels ?? {};
        const roles = rkeRoles.filter(role => `node-role.kubernetes.io/${role}` in labels);
        if (roles.join() !== node.roles.join()) lines.push(`node ${node.name}: roles ${roles.join(",")}, expected ${node.roles.join(",")}`);
        for (const [key, value] of Object.entries(node.labels))
            if (labels[key] !== value) lines.push(`node ${node.name}: label ${key} ${key in labels ? "was changed" : "is missing"}`);
        if (!isReady(live)) lines.push(`node ${node.name}: not Ready`);
        const version = live.status.nodeInfo.kubeletVersion;
        if (version !== kubeletVersion) lines.push(`node ${node.name}: kubelet ${version}, expected ${kubeletVersion}`);
    }
    for (const item of found) {
        if (!wanted.some(node => node.name === item.metadata.name))
            lines.push(`node ${item.metadata.name}: in the cluster, but RKE was not run for it`);
    }
    return lines;
}

/**
 * Lists manual changes of nodes that RKE does not undo, because RKE compares taints with its record and not with the node.
 *
 * @param {KubernetesNode[]} found
 * @param {ComparableNode[]} wanted
 */
function nodeWarnings(found, wanted) {
    return wanted.flatMap(({ name, taints: own }) => {
        /** @type {{ unschedulable?: boolean, taints?: Taint[] }} */
        const { unschedulable, taints = [] } = found.find(item => item.metadata.name === name)?.spec ?? {};
        const missing = own.filter(taint => !taints.some(live => taintText(live) === taint));
        const foreign = taints.filter(taint => !isSystemTaint(taint) && !own.includes(taintText(taint)));
        return [
            ...(unschedulable
                ? [`node ${name} is cordoned: no new pod starts there. After its maintenance: kubectl uncordon ${name}`]
                : []),
            ...missing.map(taint => `node ${name} lacks the taint ${taint}: kubectl taint node ${name} ${taint}`),
            ...foreign.map(taint => `node ${name} has the taint ${taintText(taint)}, which is not of this stack`),
        ];
    });
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
