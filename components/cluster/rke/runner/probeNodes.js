// Compares the live cluster with the configuration of RKE's last run. The probe is read-only and takes a few seconds.
const { withCode } = require("../../../remote/runner/codedError");
const { probeText } = require("../../../remote/runner/probe");
const { foreignState } = require("./adoptCluster");
const { impossibleChanges, newNodesBesideRotation } = require("./builtCluster");
const { refusedKeys } = require("./extraConfig");
const { answersAt, controlPlaneFaults, etcdFault } = require("./controlPlane");
const { expiryWarnings } = require("./expiry");
const { failureOf, kubernetesApi, unless404 } = require("../../runner/kubernetesApi");
const { ingressDifferences, nodeDifferences, nodeWarnings, taintText } = require("./liveDifferences");
const { lookAtNew } = require("./newNodes");
const { lostIngress, renamedNodes } = require("./nodeChanges");
const { foreseenQuorumFault } = require("./quorum");
const { lookAtFaulty } = require("./rebuiltNodes");
const { nameOf } = require("./rkeState");
const { leaversBesideRestore } = require("./restoredNodes");
const { foreseenUnfitRotation } = require("./rotationFitness");

/** @import { KubernetesNode } from "../../kubernetesObjects" */
/** @import { ComparableNode } from "./liveDifferences" */
/** @import { NodeEndpoint, ProbeNodesInput, WantedCluster } from "../program" */
/** @import { RkeConfig, RkeNode } from "../state" */
/** @import { WantedNode } from "../wantedNodes" */
/** @import { Coded } from "../../../remote/runner/codedError" */
/** @import { KubernetesApi } from "../../runner/kubernetesApi" */

/**
 * The findings of a probe, in lists, the nodes that no run of RKE has included yet, and those whose etcd member does not work.
 *
 * @typedef {{ newNodes?: WantedNode[], faulty?: string[], finding?: string[], outdated?: string[], warning?: string[], refused?: Coded | Coded[],
 *     absent?: string, unreachable?: string, unknown?: string, facts?: Record<string, string> }} Found
 */

/** @param {ProbeNodesInput} input */
async function main({ fitness, logins = [], rotates, noEtcdProgram = "", adoptedNodes, extra, earlierKeys = [], ...input }) {
    /** @type {Found} */
    const nothingBuilt = { absent: "no cluster exists before the first pulumi up, so none was checked for drift", newNodes: input.nodes };
    const {
        newNodes = [],
        faulty = [],
        ...found
    } = input.ca ? await lookWith(earlierKeys, { ...input, rotates }, fitness !== undefined) : nothingBuilt;
    const unchecked = adoptedNodes ? input.nodes : newNodes;
    /** @type {Found} */
    const unfit = fitness && unchecked.length > 0 ? await lookAtNew(unchecked, fitness, logins) : {};
    const asked = fitness?.nodes.filter(({ name }) => faulty.includes(name)) ?? [];
    const known = unchecked.length === 0 ? fitness?.preflightProgram : undefined;
    const rebuilt = await lookAtFaulty(asked, {
        preflightProgram: known,
        noEtcdProgram,
        etcdCount: input.etcd.length,
        isUp: Boolean(found.finding),
    });
    const state = adoptedNodes && foreignState(adoptedNodes, input.nodes);
    const joining = [...(found.absent ? [] : newNodes.map(({ name }) => name)), ...rebuilt.names];
    const isRotating = rotates || found.facts?.["earlier-pki"] !== undefined;
    const beside = isRotating && joining.length > 0 ? withCode("change-not-possible", newNodesBesideRotation(joining)) : undefined;
    const unread = extra && (await refusedKeys(extra));
    const refused = [state ?? found.refused, beside, unfit.refused, unread].flat().filter(text => text !== undefined);
    const warning = [...(found.warning ?? []), ...(unfit.warning ?? []), ...rebuilt.warning];
    const finding = [...(found.finding ?? []), ...rebuilt.finding];
    process.stdout.write(probeText({ ...found, finding, warning, ...(refused.length > 0 && { refused }) }));
}

/**
 * Looks at the cluster with the newest certificates, and with earlier ones while its CA is not rotated. The fact `earlier-pki` counts how
 * many PKIs are newer than the one in use.
 *
 * @param {import("../state").ClusterKeys[]} earlierKeys
 * @param {LookInput} input
 * @param {boolean} inPreview
 */
async function lookWith(earlierKeys, input, inPreview) {
    const newest = await look(input);
    if (!newest.unreachable && !newest.unknown) return newest;
    for (const [index, keys] of earlierKeys.entries()) {
        const { facts, ...found } = await look({ ...input, ...keys, rotates: inPreview || undefined });
        if (!found.unreachable && !found.unknown) return { ...found, facts: { ...facts, "earlier-pki": String(index + 1) } };
    }
    return newest;
}

/** @typedef {Omit<ProbeNodesInput, "fitness" | "logins" | "rotates" | "adoptedNodes" | "extra" | "earlierKeys"> & { rotates?: boolean }} LookInput */

/**
 * Asks the API server of each control plane node. An API server also reports on the scheduler, the controller manager and etcd.
 *
 * @param {LookInput} input
 * @returns {Promise<Found>}
 */
async function look({ controlPlane, etcd, network, kubernetesVersion, restores, nodes, apiEndpoint, rotates, ...access }) {
    const isShared = answersAt(apiEndpoint, access);
    const asked = Promise.all(etcd.map(async member => ({ node: member.node, faults: await etcdFault(member, access) })));
    const servers = await Promise.all(
        controlPlane.map(async ({ node, endpoint }) => {
            const api = kubernetesApi({ endpoint, ...access });
            return api("/api/v1/componentstatuses").then(
                ({ items }) => ({ node, api, items, problem: undefined }),
                problem => ({ node, api: undefined, items: [], problem }),
            );
        }),
    );
    const members = await asked;
    const faulty = members.filter(({ faults }) => faults.length > 0).map(({ node }) => node);
    const answering = servers.flatMap(({ api }) => api ?? []);
    if (answering.length === 0) {
        const problems = servers.map(({ problem }) => problem);
        const isAbsent = problems.every(({ message }) => message.endsWith("ECONNREFUSED"));
        const isUnreachable = problems.every(problem => problem.isUnreachable);
        if (!isAbsent) return { faulty, ...failureOf({ isUnreachable, message: problems.map(({ message }) => message).join("; ") }) };
        // Either nothing is built yet or the whole cluster is down. In both cases all nodes are checked before RKE runs.
        const names = controlPlane.map(({ node }) => node).join(", ");
        return { absent: `no cluster runs on ${names}. If it is not built yet, the next pulumi up builds it`, newNodes: nodes, faulty };
    }
    try {
        const found = await compare(answering[0], { network, kubernetesVersion, restores, nodes, rotates }, faulty);
        // RKE has not run on a new node yet, so that nothing runs there.
        const isNew = (/** @type {string} */ node) => found.newNodes?.some(({ name }) => name === node);
        const { endpoint } = /** @type {NodeEndpoint} */ (controlPlane.find((_, index) => servers[index].api));
        return {
            ...found,
            faulty: faulty.filter(node => !isNew(node)),
            ...(!(await isShared) && { facts: { "answering-api": endpoint } }),
            finding: [
                ...(found.finding ?? []),
                ...controlPlaneFaults(servers.filter(({ node }) => !isNew(node))),
                ...members.flatMap(({ node, faults }) => (isNew(node) ? [] : faults)),
            ],
        };
    } catch (/** @type {any} */ error) {
        return { faulty, ...failureOf(error) };
    }
}

/**
 * Compares the cluster with RKE's record of its last run, and this record with the configuration. A difference between record and
 * configuration is a pending change or a run of RKE outside the stack.
 *
 * @param {KubernetesApi} get
 * @param {WantedCluster & { nodes: WantedNode[], rotates?: boolean }} wanted
 * @param {string[]} faulty names of nodes whose etcd member does not work
 * @returns {Promise<Found>}
 */
async function compare(get, wanted, faulty) {
    const [{ items }, note, ingress] = await Promise.all([
        get("/api/v1/nodes"),
        get("/api/v1/namespaces/kube-system/secrets/full-cluster-state").catch(unless404({ data: {} })),
        get("/api/v1/namespaces/ingress-nginx/configmaps/ingress-nginx-controller").catch(unless404({})),
    ]);
    const state = Buffer.from(note.data["full-cluster-state"] ?? "", "base64").toString("utf8") || "{}";
    /** @type {Partial<NonNullable<import("../state").RkeState["currentState"]>>} */
    const { rkeConfig, certificatesBundle = {} } = JSON.parse(state).currentState ?? {};
    if (!rkeConfig) return { finding: ["RKE's state in the cluster (kube-system/full-cluster-state): missing"] };
    const unfit = wanted.rotates ? await foreseenUnfitRotation(get, note) : [];
    const refused = [...refusals(rkeConfig, wanted, items, faulty), ...unfit];
    if (refused.length > 0) return { refused };
    const nodes = rkeConfig.nodes.map(node => comparable({ ...node, name: nameOf(node), roles: node.role }));
    const names = wanted.nodes.map(({ name }) => name);
    const kubelet = rkeConfig.kubernetesVersion.replace(/-rancher.*$/, "");
    return {
        finding: [...nodeDifferences(items, nodes, kubelet, names), ...ingressDifferences(ingress, rkeConfig.ingress?.options ?? {})],
        outdated: otherRun({ kubernetesVersion: rkeConfig.kubernetesVersion, nodes }, wanted),
        newNodes: wanted.nodes.filter(({ address }) => !nodes.some(node => node.address === address)),
        warning: [
            ...nodeWarnings(items, nodes, names),
            ...expiryWarnings(certificatesBundle),
            ...leaversBesideRestore(rkeConfig.nodes, wanted, items),
        ],
    };
}

/**
 * Returns the refusals of changes that RKE takes and that leave something broken, one for each code.
 *
 * @param {RkeConfig} rkeConfig
 * @param {WantedCluster & { nodes: WantedNode[] }} wanted
 * @param {KubernetesNode[]} live
 * @param {string[]} faulty
 */
function refusals(rkeConfig, wanted, live, faulty) {
    const changes = [
        ...impossibleChanges(rkeConfig, wanted),
        ...renamedNodes(rkeConfig.nodes, wanted.nodes),
        ...lostIngress(rkeConfig, wanted.nodes, live),
    ];
    const quorum = foreseenQuorumFault(rkeConfig.nodes, wanted.nodes, faulty);
    return [
        ...(changes.length > 0 ? [withCode("change-not-possible", changes.join("\n"))] : []),
        ...(quorum ? [withCode("etcd-quorum", quorum)] : []),
    ];
}

/**
 * @param {Pick<RkeNode, "address" | "labels" | "taints"> & { name: string, roles: string[] }} node
 * @returns {ComparableNode}
 */
const comparable = ({ address, name, roles, labels, taints }) => ({
    address,
    name,
    roles: [...roles].sort(),
    labels: labels ?? {},
    taints: (taints ?? []).map(taintText).sort(),
});

/**
 * Lists the settings of RKE's last run that differ from the configuration.
 *
 * @param {{ kubernetesVersion: string, nodes: ComparableNode[] }} built
 * @param {{ kubernetesVersion: string, nodes: WantedNode[] }} wanted
 */
function otherRun(built, { kubernetesVersion, nodes }) {
    const lines =
        built.kubernetesVersion === kubernetesVersion
            ? []
            : [`RKE was last run for Kubernetes ${built.kubernetesVersion}, expected ${kubernetesVersion}`];
    const asked = nodes.map(comparable);
    const sorted = (/** @type {object} */ object) => JSON.stringify(Object.entries(object).sort());
    for (const node of asked) {
        const known = built.nodes.find(({ address }) => address === node.address);
        if (!known) {
            lines.push(`node ${node.name}: RKE was not run for it`);
            continue;
        }
        for (const key of /** @type {const} */ (["roles", "taints"]))
            if (known[key].join() !== node[key].join())
                lines.push(
                    `node ${node.name}: RKE was last run for the ${key} ${known[key].join(",") || "none"}, expected ${node[key].join(",") || "none"}`,
                );
        if (sorted(known.labels) !== sorted(node.labels)) lines.push(`node ${node.name}: RKE was last run for other labels`);
    }
    const others = built.nodes.filter(({ address }) => !asked.some(node => node.address === address));
    return [...lines, ...others.map(({ name }) => `node ${name}: RKE was run for it, and it is not in the configuration`)];
}

module.exports = { main };
