// Runs a verb of RKE once for each token. The result is the token and, where RKE made a new state, that state.
const fs = require("fs");
const path = require("path");
const { CodedError } = require("../../../remote/runner/codedError");
const { printResult } = require("../../../remote/runner/result");
const { askBucket, describeFaults } = require("./bucket");
const { keepCordons } = require("./cordons");
const { withEncryptionKey } = require("./encryptionKey");
const { bullets, findings, refuseUnfitNodes } = require("./findings");
const { snapshotBeforeRestore } = require("./firstSnapshot");
const { withLockOf } = require("./lock");
const { say } = require("./progress");
const { checkRkeVersion, rkeFailure, runRkeUntilHealthy, seriousWarning, snapshotSave, workFolder } = require("./rkeCommand");
const { withNewestCa } = require("./rotateCa");
const { refuseRunningLeavers } = require("./restoredNodes");
const { newestState, pack } = require("./rkeState");

/** @import { AskedBucket, OnceInput } from "../program" */

/** The arguments of rke and the line of its log that tells success, for a token. The message of a failure. */
const verbs = {
    snapshot: {
        command: snapshotSave,
        failure: "cluster.snapshot: the snapshot is not on every etcd node. The cluster runs on",
        changesState: false,
    },
    restore: {
        /** @param {string} name */
        command: name => ({
            args: ["etcd", "snapshot-restore", "--name", name],
            marker: `Finished restoring snapshot [${name}]`,
        }),
        failure: "cluster.restore: the snapshot is not restored, and the cluster may be down. The snapshots stay on the nodes",
        changesState: true,
    },
    certificates: {
        command: () => ({ args: ["cert", "rotate"], marker: "Successfully restarted Worker Plane" }),
        failure: "cluster.rotateCertificates: the certificates are not renewed on every node. The CA is the same",
        changesState: true,
    },
};

/**
 * Lists where a bucket has a snapshot: with its ending, and without as of an old version of RKE.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {AskedBucket} bucket
 * @param {string} name
 */
async function snapshotInBucket(env, bucket, name) {
    const { objects, ...answer } = await askBucket(env, bucket, name);
    const held = objects.filter(({ key }) => [name, `${name}.zip`].includes(key.split("/").pop() ?? ""));
    return { ...answer, held: held.map(({ key, size, time }) => `${placeOf(bucket)}: ${key}, ${size} bytes of ${time}`) };
}

/** @param {AskedBucket} bucket */
const placeOf = ({ access }) => `the bucket ${access.bucket} at ${access.endpoint}`;

/**
 * Refuses a snapshot that the bucket cannot get. Otherwise rke-tools saves the snapshot on the nodes first and fails then, or keeps an
 * older one of this name.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {OnceInput} input
 */
async function refuseLostUpload(env, { token, bucket }) {
    if (!bucket) return;
    const { faults, held } = await snapshotInBucket(env, bucket, token);
    if (faults.length > 0)
        throw new CodedError(
            "bucket-not-usable",
            `${describeFaults(bucket, faults)}. No snapshot was saved. Correct it and run pulumi up again`,
        );
    if (held.length === 0) return;
    throw new CodedError(
        "change-not-possible",
        `cluster.snapshot.name: expected a name that the bucket does not have, found ${held.join("; ")}. RKE would keep that one. ` +
            "No snapshot was saved. Choose another name",
    );
}

/**
 * Refuses a snapshot that neither an etcd node nor the bucket has, because RKE stops etcd before it looks. RKE takes that of the bucket
 * first, and one of a node when the bucket does not give it.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {OnceInput} input
 */
async function refuseMissingSnapshot(env, { token, etcdNodes, listProgram, hasBucket, bucket }) {
    const found = await findings(env, etcdNodes, listProgram);
    const holders = found.filter(line => [`: ${token}`, `: ${token}.zip`].some(end => line.endsWith(end)));
    holders.forEach(line => say(`snapshot on ${line}`));
    const { held, faults } = bucket ? await snapshotInBucket(env, bucket, token) : { held: [], faults: [] };
    held.forEach(line => say(`snapshot in ${line}`));
    if (bucket && faults.length > 0) {
        const fault = describeFaults(bucket, faults);
        if (holders.length === 0)
            throw new CodedError(
                "bucket-not-usable",
                `${fault}. No etcd node has ${token}.zip. etcd was not stopped. Correct it and run pulumi up again`,
            );
        say(`warning: ${fault}. RKE takes the snapshot of a node`);
    }
    if (holders.length > 0 || held.length > 0) return;
    // The role of the nodes signs their requests, and only they have it.
    if (hasBucket && !bucket) return say(`no etcd node has the snapshot ${token}: RKE takes it from the bucket`);
    const others = bucket ? (await askBucket(env, bucket)).objects.map(({ key }) => `${placeOf(bucket)}: ${key}`) : [];
    const shown = [...found.sort().slice(-30), ...others.slice(-30)];
    throw new CodedError(
        "snapshot-missing",
        `cluster.restore.snapshot: expected ${token}.zip in /opt/rke/etcd-snapshots of an etcd node${bucket ? ` or in ${placeOf(bucket)}` : ""}, found ` +
            `${shown.length > 0 ? `only:\n${bullets(shown)}\n` : "no snapshot on any. "}etcd was not stopped. Name one that exists, or copy the file to an etcd node`,
    );
}

/**
 * @param {OnceInput} input
 * @param {string} lastResult
 */
async function once(input, lastResult) {
    const { task, token, nodes, timeoutSeconds } = input;
    if (lastResult.split("\n")[0] === token) {
        say(`nothing is done: ${token} was done before`);
        return lastResult.trim();
    }
    await checkRkeVersion(input.rkeVersion);
    return withLockOf(nodes, [], async env => {
        await refuseUnfitNodes(env, input);
        if (task === "restore") await refuseMissingSnapshot(env, input);
        if (task === "snapshot") await refuseLostUpload(env, input);
        const { command, failure, changesState } = verbs[task];
        // A snapshot holds the state of its time. RKE restores that, too.
        const state = await withEncryptionKey(env, input, await newestState(input, ""));
        if (task === "restore") await refuseRunningLeavers(state, input);
        if (task === "certificates" && !JSON.parse(state).currentState?.certificatesBundle) {
            const asked = input.apiEndpoints.join(", ");
            throw new CodedError(
                "cluster-state",
                `cluster.rotateCertificates: expected RKE's state from one of ${asked}, found none that answers. No certificate was changed. Bring an API server back and run pulumi up again`,
            );
        }
        const folder = workFolder(input.clusterYml, state);
        if (task === "restore") await snapshotBeforeRestore(input, { folder, env });
        const { args, marker } = command(token);
        const options = { folder, env, marker, timeoutSeconds };
        const runVerb = () => runRkeUntilHealthy([...args, "--config", "cluster.yml", "--ssh-agent-auth"], options);
        // The nodes come from the snapshot, too, which may be older than their cordons.
        const result = await (task === "restore" ? keepCordons(state, input, runVerb) : runVerb());
        const serious = result.warnings.filter(text => seriousWarning.test(text));
        if (result.code !== 0 || !result.done || serious.length > 0)
            throw rkeFailure(`${failure}. Correct the cause and run pulumi up again`, result);
        if (!changesState) return token;
        // The state in a snapshot may hold an earlier CA.
        return `${token}\n${pack(await withNewestCa(env, input, fs.readFileSync(path.join(folder, "cluster.rkestate"), "utf8")))}`;
    });
}

/** @param {OnceInput} input */
const main = input => printResult(once(input, process.env.PULUMI_COMMAND_STDOUT ?? ""));

module.exports = { main };
