// Looks at API servers and members of etcd. Changes nothing.
const { kubernetesApi } = require("../../runner/kubernetesApi");

/** @import { ComponentStatus, KubernetesNode } from "../../kubernetesObjects" */
/** @import { NodeEndpoint, ProbeNodesInput } from "../program" */

/**
 * Reports whether the API answers at the endpoint of the kubeconfig, with a certificate that covers it.
 *
 * @param {string} endpoint
 * @param {Pick<ProbeNodesInput, "ca" | "certificate" | "key">} access
 */
const answersAt = (endpoint, access) =>
    kubernetesApi({ endpoint, ...access })("/version").then(
        () => true,
        () => false,
    );

/**
 * Asks one etcd member, because API servers report no failed member while another one answers. A firewall in front of it is no fault.
 *
 * @param {NodeEndpoint} member
 * @param {Pick<ProbeNodesInput, "ca" | "certificate" | "key">} access
 */
async function etcdFault({ node, endpoint }, access) {
    try {
        const { health } = await kubernetesApi({ endpoint, ...access, patienceSeconds: 2 })("/health");
        return health === "true" ? [] : [`node ${node}: its etcd member is not healthy`];
    } catch (/** @type {any} */ error) {
        // An etcd member that is not healthy answers 503 with its reason.
        if (error.status === 503) return [`node ${node}: its etcd member is not healthy: ${error.message}`];
        return error.message.endsWith("ECONNREFUSED") ? [`node ${node}: its etcd member does not run`] : [];
    }
}

/**
 * Lists API servers that give no answer, or an error. Also lists the unhealthy schedulers and controller managers of the others.
 *
 * @param {{ node: string, problem?: any, items: ComponentStatus[] }[]} servers
 * @returns {string[]}
 */
function controlPlaneFaults(servers) {
    return servers.flatMap(({ node, problem, items }) => {
        if (problem) return [`node ${node}: its API server ${problem.isUnreachable ? "does not answer" : "fails"}: ${problem.message}`];
        // An API server reports etcd healthy when any member answers.
        const beside = items.filter(({ metadata: { name } }) => !name.startsWith("etcd"));
        return beside.flatMap(({ metadata: { name }, conditions = [] }) => {
            const isIll = conditions.some(({ type, status }) => type === "Healthy" && status !== "True");
            return isIll ? [`node ${node}: ${name} is not healthy`] : [];
        });
    });
}

/** @param {KubernetesNode} node */
const isReady = ({ status: { conditions = [] } }) => conditions.some(({ type, status }) => type === "Ready" && status === "True");

module.exports = { answersAt, controlPlaneFaults, etcdFault, isReady };
