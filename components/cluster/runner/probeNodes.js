// Asks the Kubernetes API for the cluster and compares it with what RKE was last run for. Read-only, a few seconds.
async function main(input) {
    process.stdout.write(probeText(await look(input)));
}

/** Asks the API server of each control plane node, which also tells of the scheduler, the controller manager and etcd beside it. */
async function look({ controlPlane, etcd, network, kubernetesVersion, ...access }) {
    const members = Promise.all(etcd.map(member => etcdFault(member, access)));
    const servers = await Promise.all(
        controlPlane.map(async ({ node, endpoint }) => {
            const api = kubernetesApi({ endpoint, ...access });
            return api("/api/v1/componentstatuses").then(
                ({ items }) => ({ node, api, items }),
                error => ({ node, problem: error.message }),
            );
        }),
    );
    const answering = servers.find(({ api }) => api);
    if (!answering) {
        const problems = servers.map(({ problem }) => problem);
        const isAbsent = problems.every(problem => problem.endsWith("ECONNREFUSED"));
        const reason = problems.join("; ");
        return isAbsent ? { absent: `no API server runs: ${reason}` } : { unreachable: reason };
    }
    try {
        const found = await compare(answering.api, { network, kubernetesVersion });
        return { ...found, finding: [...(found.finding ?? []), ...controlPlaneFaults(servers), ...(await members).flat()] };
    } catch (error) {
        return { unreachable: error.message };
    }
}

/** Asks one etcd member. An API server tells nothing of it while another member answers. A firewall before its port is no fault. */
async function etcdFault({ node, endpoint }, access) {
    try {
        const { health } = await kubernetesApi({ endpoint, ...access, patienceSeconds: 2 })("/health");
        return health === "true" ? [] : [`node ${node}: its etcd member is not healthy`];
    } catch (error) {
        return error.message.endsWith("ECONNREFUSED") ? [`node ${node}: its etcd member does not run`] : [];
    }
}

/** Lists API servers that do not answer, and the scheduler and controller manager beside each that are not healthy. */
function controlPlaneFaults(servers) {
    return servers.flatMap(({ node, problem, items = [] }) => {
        if (problem) return [`node ${node}: its API server does not answer: ${problem}`];
        // What it says of etcd is that it reached some member.
        const beside = items.filter(({ metadata: { name } }) => !name.startsWith("etcd"));
        return beside.flatMap(({ metadata: { name }, conditions = [] }) => {
            const ill = conditions.find(({ type, status }) => type === "Healthy" && status !== "True");
            if (!ill) return [];
            return [`node ${node}: ${name} is not healthy`];
        });
    });
}

/** Compares with RKE's own note of what it did: what the configuration asks for now may be a change that is still to come. */
async function compare(get, wanted) {
    const [{ items }, note, ingress] = await Promise.all([
        get("/api/v1/nodes"),
        get("/api/v1/namespaces/kube-system/secrets/full-cluster-state").catch(unless404({ data: {} })),
        get("/api/v1/namespaces/ingress-nginx/configmaps/ingress-nginx-controller").catch(unless404({})),
    ]);
    const state = Buffer.from(note.data["full-cluster-state"] ?? "", "base64").toString("utf8") || "{}";
    const rkeConfig = JSON.parse(state).currentState?.rkeConfig;
    if (!rkeConfig) return { finding: ["RKE's state in the cluster (kube-system/full-cluster-state): missing"] };
    const refused = impossibleChanges(rkeConfig, wanted);
    if (refused.length > 0) return { refused };
    const nodes = rkeConfig.nodes.map(({ address, hostnameOverride, role, labels, taints }) => ({
        name: hostnameOverride || address,
        roles: [...role].sort(),
        labels: labels ?? {},
        taints: (taints ?? []).map(taintText),
    }));
    const kubelet = rkeConfig.kubernetesVersion.replace(/-rancher.*$/, "");
    return {
        facts: {
            "kubernetes-version": rkeConfig.kubernetesVersion,
            nodes: rkeConfig.nodes
                .map(({ address }) => address)
                .sort()
                .join(),
        },
        finding: [...nodeDifferences(items, nodes, kubelet), ...ingressDifferences(ingress, rkeConfig.ingress?.options ?? {})],
        warning: nodeWarnings(items, nodes),
    };
}

const taintText = ({ key, value, effect }) => `${key}=${value ?? ""}:${effect}`;
/** Kubernetes sets these by itself, and RKE those of its roles. */
const isSystemTaint = ({ key }) => /^node(-role)?\.kubernetes\.io\//.test(key);
const rkeRoles = ["controlplane", "etcd", "worker"];

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
        const ready = live.status.conditions?.find(condition => condition.type === "Ready")?.status;
        if (ready !== "True") lines.push(`node ${node.name}: not Ready`);
        const version = live.status.nodeInfo.kubeletVersion;
        if (version !== kubeletVersion) lines.push(`node ${node.name}: kubelet ${version}, expected ${kubeletVersion}`);
    }
    for (const item of found) {
        if (!wanted.some(node => node.name === item.metadata.name))
            lines.push(`node ${item.metadata.name}: in the cluster, but RKE was not run for it`);
    }
    return lines;
}

/** Lists what somebody did to a node, and RKE does not undo: it compares taints with its own note, not with the node. */
function nodeWarnings(found, wanted) {
    return wanted.flatMap(({ name, taints: own }) => {
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

function ingressDifferences({ data = {} }, options) {
    return Object.entries(options)
        .filter(([key, value]) => data[key] !== value)
        .map(([key]) => {
            const effect = key === "use-forwarded-headers" ? ": every page of Rancher is an endless redirect" : "";
            return `ConfigMap ingress-nginx/ingress-nginx-controller: ${key} ${key in data ? "was changed" : "is missing"}${effect}`;
        });
}
