// Runs `rke` where Pulumi runs. The state, the configuration and the SSH key come in on standard input; nothing of it is left on disk.
const { brotliCompressSync, brotliDecompressSync, constants } = require("zlib");
const { spawn } = require("child_process");
const fs = require("fs");
const path = require("path");
const { privateFolder, run } = require("../../remote/runner/ssh");
const { impossibleChanges } = require("./builtCluster");
const { kubernetesApi } = require("./kubernetesApi");
const { onEach, preflight, withAgentFor } = require("./nodes");

const started = Date.now();

/** The command provider hands all that one run says to the next in one environment string, of which Linux allows 128 KiB. */
const maxBytes = 45_000;
const maxErrorBytes = 15_000;
let bytesSaid = 0;

function say(text) {
    if (bytesSaid > maxBytes) return;
    const line = `[${((Date.now() - started) / 1000).toFixed(0).padStart(4)} s] ${text}\n`;
    bytesSaid += Buffer.byteLength(line);
    process.stderr.write(bytesSaid > maxBytes ? "What is said from here on is not shown, apart from the end\n" : line);
}

/** Returns the beginning of a text and its end. */
function bounded(text, most) {
    if (text.length <= most) return text;
    return `${text.slice(0, most / 2)}\n(${text.length - most} characters are not shown)\n${text.slice(-most / 2)}`;
}

const pack = state => brotliCompressSync(Buffer.from(state), { params: { [constants.BROTLI_PARAM_LGWIN]: 24 } }).toString("base64");
const unpack = text => brotliDecompressSync(Buffer.from(text.trim(), "base64")).toString("utf8");

/** The certificate of the cluster's CA, or undefined when the text is not a complete RKE state. */
function caOf(state) {
    try {
        const ca = JSON.parse(state).desiredState.certificatesBundle["kube-ca"];
        return ca.keyPEM && ca.certificatePEM;
    } catch {
        return undefined;
    }
}

/** A private folder that holds cluster.yml and the state file. */
function workFolder(clusterYml, state) {
    const folder = privateFolder();
    process.umask(0o077);
    fs.writeFileSync(path.join(folder, "cluster.yml"), clusterYml);
    fs.writeFileSync(path.join(folder, "cluster.rkestate"), state, { mode: 0o600 });
    return folder;
}

async function checkRkeVersion(expected) {
    const { code, stdout } = await run("rke", ["--version"]);
    const found = /v?(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
    if (code !== 0 || found !== expected) {
        throw new Error(
            `rke on this machine: expected version ${expected}, found ${found ?? "none that says its version"}. Put the release v${expected} on the PATH`,
        );
    }
}

// --- What RKE says ---------------------------------------------------------------------------------------------------------

/** One line of RKE's log as { level, text }, or undefined. */
function parseLine(line) {
    const match = /level=(\w+) msg="((?:[^"\\]|\\.)*)"/.exec(line);
    if (!match) return undefined;
    return { level: match[1], text: match[2].replace(/\\n/g, " ").replace(/\\(.)/g, "$1") };
}

/** Warnings after which the cluster is not what was asked for although RKE may end with success. */
const seriousWarning =
    /Failed to set up SSH tunneling|Removing host|Failed to deploy (DNS )?addon|Failed to delete etcd|Couldn't clean up|rolling snapshot container failed/i;

/** Lines about one container on one host: too many to follow. */
const detail = /\b(on|to|for) (host|node) \[|^Image \[|^Container \[|Deployed local admin kubeconfig/;

/** Secrets never stand in RKE's info lines; should one ever, it is not passed on. */
const showable = text =>
    /BEGIN [A-Z ]*(KEY|CERTIFICATE)|[A-Za-z0-9+/]{80,}/.test(text) ? "(a line that is not shown)" : text.slice(0, 300);

/** Runs rke in its own process group; resolves to { code, warnings, fatal, done }. */
function runRke(args, { folder, env, marker, timeoutSeconds }) {
    return new Promise((resolve, reject) => {
        const child = spawn("rke", args, { cwd: folder, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
        const stop = () => {
            try {
                process.kill(-child.pid, "SIGKILL");
            } catch {
                // it has ended already
            }
        };
        const timer = setTimeout(stop, timeoutSeconds * 1000);
        for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => process.exit(1));
        process.on("exit", stop);
        const result = { warnings: [], fatal: undefined, done: false };
        let last = "";
        // Notices that nobody listens any more, because Pulumi was killed: the write fails, this process ends, and RKE with it.
        let quiet;
        const busy = () => {
            if (bytesSaid > maxBytes) process.stderr.write(".");
            else say(`rke: busy: ${last}`);
            wait();
        };
        // Rarer after two minutes, because of maxBytes.
        const wait = () => {
            clearTimeout(quiet);
            quiet = setTimeout(busy, Date.now() - started < 120_000 ? 5_000 : 60_000);
        };
        wait();
        const read = line => {
            const said = parseLine(line);
            if (!said) return;
            if (said.text.includes(marker)) result.done = true;
            if (said.level === "fatal") result.fatal = showable(said.text);
            if (said.level === "warning") result.warnings.push(showable(said.text));
            const text = showable(said.text);
            if (said.level !== "info" || (text !== last && !detail.test(text))) {
                wait();
                say(`rke: ${said.level === "info" ? "" : `${said.level}: `}${text}`);
            }
            last = text;
        };
        for (const stream of [child.stdout, child.stderr]) {
            let rest = "";
            stream.setEncoding("utf8").on("data", chunk => {
                const lines = (rest + chunk).split("\n");
                rest = lines.pop();
                lines.forEach(read);
            });
        }
        child.on("error", error =>
            reject(new Error(`cannot run rke (${error.code}): put the rke binary on the PATH of the machine that runs Pulumi`)),
        );
        child.on("close", code => {
            clearTimeout(timer);
            clearTimeout(quiet);
            process.off("exit", stop);
            resolve({ code, ...result });
        });
    });
}

function rkeFailure(what, result) {
    const serious = result.warnings.filter(text => seriousWarning.test(text));
    const reasons = [result.fatal, ...serious].filter(Boolean).map(text => `  - ${text}`);
    return new Error(`${what}${reasons.length ? `:\n${reasons.join("\n")}` : ""}`);
}

// --- PKI -------------------------------------------------------------------------------------------------------------------

/** Makes the cluster's certificates without touching a host: `rke up --init` beside a state file of 0 bytes. */
async function createPki({ clusterYml, rkeVersion, nodeCount, etcdCount }) {
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
    const etcd = desired && Object.keys(desired.certificatesBundle).filter(name => /^kube-etcd-\d/.test(name)).length;
    if (!desired || desired.rkeConfig.nodes.length !== nodeCount || etcd !== etcdCount) {
        throw new Error(
            `rke up --init wrote an incomplete state: expected ${nodeCount} nodes and ${etcdCount} etcd certificates, found ` +
                `${desired?.rkeConfig.nodes?.length ?? 0} and ${etcd ?? 0}. Nothing was kept; run again`,
        );
    }
    process.stdout.write(pack(state));
}

// --- Apply -----------------------------------------------------------------------------------------------------------------

/** Runs a program on every node; resolves to a line for each thing that it found, and for each node that SSH does not reach. */
const findings = async (env, nodes, program) => flattened(await onEach(env, nodes, program));
const flattened = found => found.flatMap(({ lines, failure }) => (failure ? [failure] : lines));

const bullets = lines => lines.map(line => `  - ${line}`).join("\n");

/** Every node is looked at before RKE runs: RKE itself would rewrite etcd on the reachable ones before it gives up on another. */
async function refuseUnfitNodes(env, { nodes, preflightProgram }) {
    say(`checking ${nodes.length} nodes: SSH with its host key, Docker, clock, disk, other clusters`);
    const problems = flattened(await preflight(env, nodes, preflightProgram));
    if (problems.length > 0) throw new Error(`RKE was not started and no host was changed, because:\n${bullets(problems)}`);
}

/** Asks an API server as an administrator, by the certificates of an RKE state. */
function clusterApi(endpoint, state) {
    const { "kube-ca": ca, "kube-admin": admin } = JSON.parse(state).desiredState.certificatesBundle;
    return kubernetesApi({ endpoint, ca: ca.certificatePEM, certificate: admin.certificatePEM, key: admin.keyPEM });
}

/** The state that RKE keeps in the cluster, or undefined when the API does not answer. */
async function stateInCluster(apiEndpoints, pki) {
    for (const endpoint of apiEndpoints) {
        const api = clusterApi(endpoint, pki);
        const secret = await api("/api/v1/namespaces/kube-system/secrets/full-cluster-state").catch(() => undefined);
        const state = secret && Buffer.from(secret.data["full-cluster-state"], "base64").toString("utf8");
        if (state && caOf(state)) return state;
    }
    return undefined;
}

/** The newest state of this cluster: the one in the cluster, else the one of the last run, else the PKI with nothing built yet. */
async function newestState(input) {
    const pki = unpack(input.pki);
    const previous = input.task === "cluster" && process.env.PULUMI_COMMAND_STDOUT;
    const candidates = [
        ["the cluster itself", await stateInCluster(input.apiEndpoints, pki)],
        ["the last run", previous && unpack(previous)],
        ["the cluster's PKI", pki],
    ];
    const [source, state] = candidates.find(([, candidate]) => candidate && caOf(candidate) === caOf(pki));
    say(`state from ${source}`);
    return state;
}

/** Nodes that RKE knows and that are no longer wanted. */
function removedNodes(state, input) {
    const wanted = new Set(input.nodes.map(node => node.connection.address));
    const known = JSON.parse(state).currentState?.rkeConfig?.nodes ?? [];
    return known.map(node => node.address).filter(address => !wanted.has(address));
}

function refuseImpossibleChange(state, input) {
    const built = JSON.parse(state).currentState?.rkeConfig;
    const changes = built ? impossibleChanges(built, input) : [];
    if (changes.length > 0) throw new Error(`RKE was not started and no host was changed, because:\n${bullets(changes)}`);
}

/**
 * Saves a snapshot of etcd on its nodes before Kubernetes becomes another version, because Kubernetes cannot go back. Its name tells both
 * versions, and the time, so that a second attempt keeps the snapshot of the first.
 */
async function snapshotBeforeUpgrade(state, { kubernetesVersion, timeoutSeconds }, folder, env) {
    const installed = JSON.parse(state).currentState?.rkeConfig?.kubernetesVersion ?? kubernetesVersion;
    if (installed === kubernetesVersion) return;
    const time = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
    const name = `${installed}-to-${kubernetesVersion}-${time}`;
    say(`Kubernetes ${installed} becomes ${kubernetesVersion}: saving an etcd snapshot first, /opt/rke/etcd-snapshots/${name}.zip`);
    const result = await runRke(["etcd", "snapshot-save", "--name", name, "--config", "cluster.yml", "--ssh-agent-auth"], {
        folder,
        env,
        marker: `Finished saving/uploading snapshot [${name}]`,
        timeoutSeconds,
    });
    if (result.code !== 0 || !result.done) {
        throw rkeFailure(
            "Kubernetes was not upgraded, because no snapshot of etcd could be saved before. Correct the cause and run pulumi up again",
            result,
        );
    }
}

/** Sets the options of the ingress controller: RKE deploys an add-on again only when its own configuration of it changed. */
async function setIngressOptions(state, { apiEndpoints, ingressOptions }) {
    const patch = { method: "PATCH", type: "application/merge-patch+json", body: JSON.stringify({ data: ingressOptions }) };
    const path = "/api/v1/namespaces/ingress-nginx/configmaps/ingress-nginx-controller";
    const apis = apiEndpoints.map(endpoint => clusterApi(endpoint, state));
    const failures = new Set();
    // An API server that RKE has just started anew may not answer at once.
    for (const api of [...apis, ...apis, ...apis]) {
        try {
            return await api(path, patch);
        } catch (error) {
            failures.add(error.message);
            await new Promise(resolve => setTimeout(resolve, 1000));
        }
    }
    if (failures.size === 0) return;
    throw new Error(
        `the cluster is up, but the options of its ingress controller could not be set:\n${bullets([...failures])}\nRun pulumi up again`,
    );
}

async function apply(input) {
    await checkRkeVersion(input.rkeVersion);
    await withAgentFor(input.nodes, async env => {
        await refuseUnfitNodes(env, input);
        const state = await newestState(input);
        refuseImpossibleChange(state, input);
        (await findings(env, input.nodes, input.startProgram)).forEach(say);
        removedNodes(state, input).forEach(address => say(`node ${address} will be removed from the cluster`));
        const folder = workFolder(input.clusterYml, state);
        await snapshotBeforeUpgrade(state, input, folder, env);
        const result = await runRke(["up", "--config", "cluster.yml", "--ssh-agent-auth"], {
            folder,
            env,
            marker: "Finished building Kubernetes cluster successfully",
            timeoutSeconds: input.timeoutSeconds,
        });
        const serious = result.warnings.filter(text => seriousWarning.test(text));
        if (result.code !== 0 || !result.done || serious.length > 0) {
            throw rkeFailure(
                `rke up did not finish the cluster (exit code ${result.code}). Its certificates are safe in the stack and its state in the cluster: correct the cause and run pulumi up again`,
                { ...result, warnings: serious },
            );
        }
        await setIngressOptions(state, input);
        const packed = pack(fs.readFileSync(path.join(folder, "cluster.rkestate"), "utf8"));
        if (packed.length > 120_000) {
            throw new Error(
                `the cluster is up, but its state takes ${packed.length} bytes packed and more than 120000 cannot be handed to the next run. ` +
                    "It is kept in the cluster (Secret kube-system/full-cluster-state). Use fewer nodes in this cluster",
            );
        }
        process.stdout.write(packed);
    });
}

// --- Destroy ---------------------------------------------------------------------------------------------------------------

async function destroy(input) {
    await checkRkeVersion(input.rkeVersion);
    await withAgentFor(input.nodes, async env => {
        if ((await findings(env, input.nodes, input.leftoverProgram)).length === 0) return say("the hosts are clean");
        const state = await newestState({ ...input, apiEndpoints: [] });
        const result = await runRke(["remove", "--force", "--config", "cluster.yml", "--ssh-agent-auth"], {
            folder: workFolder(input.clusterYml, state),
            env,
            marker: "Cluster removed successfully",
            timeoutSeconds: input.timeoutSeconds,
        });
        say("removing the containers of pods, which rke leaves running");
        const stuck = await findings(env, input.nodes, input.removePodsProgram);
        say("looking at the hosts: rke says success even when its cleaner failed");
        const left = [...stuck, ...(await findings(env, input.nodes, input.leftoverProgram))];
        if (left.length > 0) {
            throw new Error(
                `the cluster is not fully removed. Left behind:\n${bullets(left)}\n` +
                    "Remove these on the hosts (or bring the hosts back), then destroy again. A host that is gone for good: pulumi state delete this resource, then destroy again",
            );
        }
        if (result.code !== 0 || !result.done) throw rkeFailure(`rke remove failed (exit code ${result.code})`, result);
        say("the hosts are clean; images and etcd snapshots in /opt/rke are kept");
    });
}

// --- Nodes -----------------------------------------------------------------------------------------------------------------

/** Without the cluster's state RKE leaves a removed node in the cluster and reports success. */
async function refuseUnknownRemoval(env, input, addresses) {
    const removed = (process.env.PULUMI_COMMAND_STDOUT || "").split("\n").filter(address => address && !addresses.includes(address));
    if (removed.length === 0 || (await stateInCluster(input.apiEndpoints, unpack(input.pki)))) return;
    // RKE may also have ended before it built anything.
    if ((await findings(env, input.nodes, input.leftoverProgram)).length === 0) return;
    throw new Error(
        `${removed.join(", ")} is to be removed, but the cluster's current state is not at hand: RKE would report success and leave the node in the cluster. ` +
            `Expected one of ${input.apiEndpoints.join(", ")} to answer. Bring the API back, or put the node back into the configuration`,
    );
}

/** Only looks. The nodes recorded here, once all of them are fit, are those that RKE may have touched, even when it never came to its end. */
async function check(input) {
    const addresses = input.nodes.map(node => node.connection.address);
    await withAgentFor(input.nodes, async env => {
        await refuseUnfitNodes(env, input);
        await refuseUnknownRemoval(env, input, addresses);
    });
    process.stdout.write(addresses.join("\n"));
}

// --- Entry -----------------------------------------------------------------------------------------------------------------

function main(input) {
    const verb = process.argv[2];
    const work = verb === "destroy" ? destroy : { pki: createPki, nodes: check, cluster: apply }[input.task];
    // Until the work is done: Node ends with success when nothing is left to wait for.
    process.exitCode = 1;
    work(input).then(
        () => (process.exitCode = 0),
        error => process.stderr.write(`${bounded(error.message, maxErrorBytes)}\n`),
    );
}

module.exports = { main };
