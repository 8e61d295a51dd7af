// Asks the Kubernetes API for its nodes and compares them with those that RKE was last run for. Read-only, a few seconds.
async function main({ endpoints, network, ...access }) {
    const problems = [];
    for (const endpoint of endpoints) {
        try {
            return void process.stdout.write(probeText(await compare(kubernetesApi({ endpoint, ...access }), network)));
        } catch (error) {
            problems.push(error.message);
        }
    }
    const absent = problems.every(problem => problem.endsWith("ECONNREFUSED"));
    const reason = problems.join("; ");
    process.stdout.write(probeText(absent ? { absent: `no API server runs: ${reason}` } : { unreachable: reason }));
}

/** What of the cluster is not as RKE left it, and what cannot be had. */
async function compare(get, network) {
    // RKE's own note of what it did: what the configuration asks for now may be a change that is still to come.
    const [{ items }, note] = await Promise.all([
        get("/api/v1/nodes"),
        get("/api/v1/namespaces/kube-system/secrets/full-cluster-state").catch(error => {
            if (error.status === 404) return { data: {} };
            throw error;
        }),
    ]);
    const state = Buffer.from(note.data["full-cluster-state"] ?? "", "base64").toString("utf8") || "{}";
    const rkeConfig = JSON.parse(state).currentState?.rkeConfig;
    if (!rkeConfig) return { finding: "RKE's state in the cluster (kube-system/full-cluster-state): missing" };
    const changes = networkChanges(rkeConfig, network);
    if (changes.length > 0) return { refused: [...changes, networkAdvice] };
    const nodes = rkeConfig.nodes.map(({ address, hostnameOverride, role }) => ({
        name: hostnameOverride || address,
        roles: [...role].sort(),
    }));
    return { finding: differences(items, nodes, rkeConfig.kubernetesVersion.replace(/-rancher.*$/, "")) };
}

function differences(found, wanted, kubeletVersion) {
    const role = label => /^node-role\.kubernetes\.io\/(.+)$/.exec(label)?.[1];
    const lines = [];
    for (const node of wanted) {
        const live = found.find(item => item.metadata.name === node.name);
        if (!live) {
            lines.push(`node ${node.name}: missing in the cluster`);
            continue;
        }
        const roles = Object.keys(live.metadata.labels).map(role).filter(Boolean).sort();
        if (roles.join() !== node.roles.join()) lines.push(`node ${node.name}: roles ${roles.join(",")}, expected ${node.roles.join(",")}`);
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
