// Rotates the CA of a cluster. The new PKI is in the stack's state before this begins, so that a run which was killed can be finished.
const fs = require("fs");
const path = require("path");
const { setTimeout: pause } = require("timers/promises");
const { CodedError } = require("../../../remote/runner/codedError");
const { deadlineIn } = require("../../../remote/runner/deadline");
const { firstAnswer, mergePatch } = require("../../runner/kubernetesApi");
const { newNodesBesideRotation } = require("./builtCluster");
const { restartPods } = require("./restartPods");
const { say } = require("./progress");
const { rkeFailure, runRkeUntilHealthy, workFolder } = require("./rkeCommand");
const { builtNodes, caOf, clusterApi, pkisOf, stateSecret, unpack } = require("./rkeState");
const { isMarkedIn, mark, unreadyNodes } = require("./rotationFitness");

/** @import { Metadata } from "../../kubernetesObjects" */
/** @import { ReachedNode, RotatedCluster } from "../program" */
/** @import { RkeState } from "../state" */
/** @import { KubernetesApi } from "../../runner/kubernetesApi" */

/**
 * Returns the state of the cluster with the newest CA: the same state, or that after the rotation.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {RotatedCluster} input
 * @param {string} state
 */
async function withNewestCa(env, input, state) {
    return (await isRotated(input, state)) ? state : rotateCa(env, input, state);
}

/**
 * Reports whether every node, pod and certificate has the newest CA.
 *
 * @param {RotatedCluster} input
 * @param {string} state
 */
const isRotated = async (input, state) => !input.earlierPkis || (caOf(state) === caOf(unpack(input.pki)) && !(await isMarked(input)));

/**
 * Refuses new nodes and rebuilt ones in a rotation.
 *
 * @param {RotatedCluster} input
 * @param {string} state
 * @param {ReachedNode[]} rebuilt
 */
async function refuseNewNodes(input, state, rebuilt) {
    const known = builtNodes(state).map(({ address }) => address);
    const added = input.nodes.filter(node => rebuilt.includes(node) || !known.includes(node.connection.address));
    if (added.length === 0 || (await isRotated(input, state))) return;
    throw new CodedError("change-not-possible", newNodesBesideRotation(added.map(({ name }) => name)));
}

/** @param {RotatedCluster} input */
const isMarked = ({ apiEndpoints, pki }) =>
    firstAnswer(
        apiEndpoints.map(endpoint => () => clusterApi(endpoint, unpack(pki))(stateSecret)),
        1,
    ).then(isMarkedIn, () => false);

/**
 * Rotates the CA by `rke cert rotate`, on a state that already holds the new CA. `--rotate-ca` would make another CA inside of the run. It
 * would also lose its state in the cluster, and remove all pods of the ingress controller at once.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {RotatedCluster} input
 * @param {string} state
 */
async function rotateCa(env, input, state) {
    const pki = unpack(input.pki);
    /** @type {RkeState} */
    const built = JSON.parse(state);
    say("rotating the cluster's CA: etcd and the control plane restart on all nodes, then the pods of all workloads, one after another");
    await firstAnswer(
        pkisOf(input).flatMap(known => input.apiEndpoints.map(endpoint => () => note(clusterApi(endpoint, known)))),
        1,
    ).catch(() => say("no API server answers, so the rotation is not marked in the cluster"));
    const { certificatesBundle } = JSON.parse(pki).desiredState;
    const folder = workFolder(
        input.clusterYml,
        JSON.stringify({
            desiredState: { ...built.desiredState, certificatesBundle },
            currentState: { ...built.currentState, certificatesBundle },
        }),
    );
    const result = await runRkeUntilHealthy(["cert", "rotate", "--config", "cluster.yml", "--ssh-agent-auth"], {
        folder,
        env,
        marker: "Successfully restarted Worker Plane",
        timeoutSeconds: input.timeoutSeconds,
        // The API servers have the earlier CA until RKE restarts them.
        isFirstBuild: true,
    });
    if (result.code !== 0 || !result.done) throw unfinished("not every node has the new CA", result);
    /** @type {RkeState} */
    const rotated = JSON.parse(fs.readFileSync(path.join(folder, "cluster.rkestate"), "utf8"));
    // RKE records the new configuration as built, and would then skip the changes of its next run.
    const kept = JSON.stringify({ ...rotated, currentState: { ...rotated.currentState, rkeConfig: built.currentState?.rkeConfig } });
    const api = await answering(input.apiEndpoints, pki);
    await restartPods(api, caOf(pki) ?? "");
    await record(api, kept);
    say("the cluster's CA is rotated");
    return kept;
}

/**
 * @param {string} what
 * @param {Pick<import("./rkeCommand").RkeResult, "warnings" | "fatal">} result
 */
const unfinished = (what, result) =>
    rkeFailure(
        `cluster.caRotations: ${what}, and the cluster may be down. The new CA is safe in the stack. Correct the cause and run pulumi up again`,
        result,
    );

/**
 * Waits until every API server, every namespace and every node has the new CA. Returns a client of an API server.
 *
 * @param {string[]} endpoints
 * @param {string} pki
 * @returns {Promise<KubernetesApi>}
 */
async function answering(endpoints, pki, { seconds = 180, pauseSeconds = 2 } = {}) {
    const apis = endpoints.map(endpoint => clusterApi(endpoint, pki));
    const deadline = deadlineIn(seconds);
    for (;;) {
        const missing = (
            await Promise.all(
                apis.map(api =>
                    api(stateSecret).then(
                        () => [],
                        ({ message }) => [message],
                    ),
                ),
            )
        ).flat();
        if (missing.length === 0) missing.push(...(await behind(apis[0], caOf(pki) ?? "").catch(({ message }) => [message])));
        if (missing.length === 0) return apis[0];
        if (deadline.isOver())
            throw unfinished(`not everything is ready with the new CA within ${seconds} s`, {
                warnings: [],
                fatal: missing.join("\n  - "),
            });
        await pause(pauseSeconds * 1000);
    }
}

/**
 * Lists the namespaces whose pods would get the earlier CA, and the nodes that are not ready.
 *
 * @param {KubernetesApi} api
 * @param {string} ca
 */
async function behind(api, ca) {
    const [published, nodes] = await Promise.all([
        api("/api/v1/configmaps?fieldSelector=metadata.name%3Dkube-root-ca.crt"),
        api("/api/v1/nodes"),
    ]);
    const old = published.items.filter((/** @type {{ data: Record<string, string> }} */ { data }) => data["ca.crt"].trim() !== ca.trim());
    return [
        ...old.map(
            (/** @type {{ metadata: Metadata }} */ { metadata }) =>
                `namespace ${metadata.namespace}: kube-root-ca.crt holds the earlier CA`,
        ),
        ...unreadyNodes(nodes.items),
    ];
}

/** @param {KubernetesApi} api */
const note = api => api(stateSecret, mergePatch({ metadata: { annotations: { [mark]: "not finished" } } }));

/**
 * Records the state with the new CA in the cluster, where RKE could not record it, and removes the mark.
 *
 * @param {KubernetesApi} api
 * @param {string} state
 */
const record = (api, state) =>
    api(
        stateSecret,
        mergePatch({
            metadata: { annotations: { [mark]: null } },
            data: { "full-cluster-state": Buffer.from(state).toString("base64") },
        }),
    );

module.exports = { refuseNewNodes, withNewestCa };
