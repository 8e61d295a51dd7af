const fs = require("fs");
const path = require("path");
const { CodedError } = require("../../../remote/runner/codedError");
const { printResult } = require("../../../remote/runner/result");
const { say } = require("./progress");
const { checkRkeVersion, rkeFailure, runRke, workFolder } = require("./rkeCommand");
const { adoptCluster } = require("./adoptCluster");
const { caOf, pack, unpack } = require("./rkeState");

const tokenKey = "kube-service-account-token";

/**
 * Creates the cluster's certificates and contacts no host. It runs `rke up --init` beside a state file of 0 bytes. A PKI that follows
 * another keeps the key of service account tokens, because all tokens of pods would end with the key. It also keeps the key that encrypts
 * Secrets. Without one in the earlier PKI it has none, because the nodes may hold another.
 *
 * @param {import("../program").PkiInput} input
 */
async function createPki({ clusterYml, rkeVersion, nodeCount, etcdCount, earlierPki }) {
    await checkRkeVersion(rkeVersion);
    const folder = workFolder(clusterYml, "");
    say("creating the cluster's certificates (no host is contacted)");
    const result = await runRke(["up", "--init", "--config", "cluster.yml"], {
        folder,
        env: process.env,
        marker: "",
        timeoutSeconds: 120,
    });
    if (result.code !== 0) throw rkeFailure("rke up --init failed", result);
    const state = fs.readFileSync(path.join(folder, "cluster.rkestate"), "utf8");
    const desired = caOf(state) && JSON.parse(state).desiredState;
    const etcd = desired && Object.keys(desired.certificatesBundle).filter(name => /^kube-etcd-(?!client(-ca)?$)/.test(name)).length;
    if (!desired || desired.rkeConfig.nodes.length !== nodeCount || etcd !== etcdCount) {
        throw new CodedError(
            "rke-failed",
            `rke up --init wrote an incomplete state: expected ${nodeCount} nodes and ${etcdCount} etcd certificates, found ` +
                `${desired?.rkeConfig.nodes?.length ?? 0} and ${etcd ?? 0}. Nothing was kept; run again`,
        );
    }
    if (!earlierPki) return pack(state);
    const { certificatesBundle, encryptionConfig } = JSON.parse(unpack(earlierPki)).desiredState;
    const kept = { ...desired.certificatesBundle, [tokenKey]: certificatesBundle[tokenKey] };
    return pack(JSON.stringify({ desiredState: { ...desired, certificatesBundle: kept, encryptionConfig } }));
}

/** @param {import("../program").PkiInput} input */
async function create(input) {
    if (input.refusal) throw new CodedError("change-not-possible", `cluster.${input.refusal}`);
    return input.adopted ? adoptCluster(input.adopted) : createPki(input);
}

/** @param {import("../program").PkiInput} input */
const main = input => printResult(create(input));

module.exports = { main };
