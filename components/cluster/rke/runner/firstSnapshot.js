// Saves a snapshot of etcd before a step that loses data, or that cannot be undone.
const { onEach } = require("./nodes");
const { say } = require("./progress");
const { rkeFailure, runRke, snapshotSave } = require("./rkeCommand");
const { builtConfig } = require("./rkeState");

/** @import { ClusterInput, OnceInput } from "../program" */

/** The folder in which RKE runs, and its environment. @typedef {{ folder: string, env: NodeJS.ProcessEnv }} Place */

/** Returns the time for a name, so that a second attempt keeps the first snapshot. */
const now = () => new Date().toISOString().replace(/[-:]|\.\d+/g, "");

/** @param {string} name */
const fileOf = name => `/opt/rke/etcd-snapshots/${name}.zip`;

/**
 * @param {string} name
 * @param {Place} place
 * @param {number} timeoutSeconds
 */
async function save(name, place, timeoutSeconds) {
    const { args, marker } = snapshotSave(name);
    const result = await runRke([...args, "--config", "cluster.yml", "--ssh-agent-auth"], { ...place, marker, timeoutSeconds });
    return { ...result, isSaved: result.code === 0 && result.done };
}

/**
 * Saves a snapshot before an upgrade, because Kubernetes cannot be downgraded. The name of the snapshot holds both versions.
 *
 * @param {string} state
 * @param {ClusterInput} input
 * @param {Place} place
 */
async function snapshotBeforeUpgrade(state, { kubernetesVersion, timeoutSeconds }, place) {
    const installed = builtConfig(state)?.kubernetesVersion ?? kubernetesVersion;
    if (installed === kubernetesVersion) return;
    const name = `${installed}-to-${kubernetesVersion}-${now()}`;
    say(`Kubernetes ${installed} becomes ${kubernetesVersion}: saving an etcd snapshot first, ${fileOf(name)}`);
    const { isSaved, ...result } = await save(name, place, timeoutSeconds);
    if (isSaved) return;
    throw rkeFailure(
        "Kubernetes was not upgraded, because no snapshot of etcd could be saved before. Correct the cause and run pulumi up again",
        result,
    );
}

/**
 * Saves a snapshot before a restore, because the name of another snapshot may be a mistake. Refuses the restore when etcd answers and no
 * snapshot can be saved.
 *
 * @param {OnceInput} input
 * @param {Place} place
 */
async function snapshotBeforeRestore({ token, etcdNodes, etcdAnswersProgram, timeoutSeconds }, place) {
    const name = `before-restore-${now()}`;
    say(`saving an etcd snapshot before the restore of ${token}, ${fileOf(name)}`);
    const { isSaved, ...result } = await save(name, place, timeoutSeconds);
    // RKE uploads a snapshot after it has saved it on the nodes.
    if (isSaved || result.fatal?.includes("Failed to upload etcd snapshot"))
        return say(`cluster.restore.snapshot: ${name} brings the present objects back`);
    const found = await onEach(place.env, etcdNodes, etcdAnswersProgram, { timeoutSeconds: 20 });
    if (found.some(({ lines }) => lines.some(line => line.endsWith(": etcd answers"))))
        throw rkeFailure(
            "cluster.restore: nothing was restored, because etcd answers and no snapshot of it could be saved before. etcd was not stopped. " +
                "Correct the cause and run pulumi up again",
            result,
        );
    say(`etcd answers on no node, so no snapshot of it was saved: all objects made after ${token} are lost`);
}

module.exports = { snapshotBeforeRestore, snapshotBeforeUpgrade };
