// Asks the Kubernetes API for its nodes and compares them with the wanted ones. Read-only, at most five seconds.
const https = require("https");

function main({ endpoint, ca, certificate, key, kubeletVersion, nodes }) {
    const finish = text => {
        process.stdout.write(text);
        process.exit(0);
    };
    const request = https.get(`${endpoint}/api/v1/nodes`, { ca, cert: certificate, key, timeout: 5000 }, response => {
        let body = "";
        response
            .setEncoding("utf8")
            .on("data", chunk => (body += chunk))
            .on("end", () => {
                if (response.statusCode !== 200) return finish(`unreachable: ${endpoint} answers ${response.statusCode}`);
                finish(differences(JSON.parse(body).items, nodes, kubeletVersion).join("\n") || "in sync");
            });
    });
    request.on("error", error => finish(`unreachable: ${endpoint}: ${error.code || error.message}`));
    request.on("timeout", () => finish(`unreachable: ${endpoint} does not answer within 5 s`));
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
            lines.push(`node ${item.metadata.name}: in the cluster but not in the configuration`);
    }
    return lines;
}
