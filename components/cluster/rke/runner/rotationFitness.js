// Refuses to begin a rotation of the CA that cannot finish. It would restart etcd and the control plane, and no pod, in each run again.
const { setTimeout: pause } = require("timers/promises");
const { CodedError, withCode } = require("../../../remote/runner/codedError");
const { deadlineIn } = require("../../../remote/runner/deadline");
const { firstAnswer } = require("../../runner/kubernetesApi");
const { isReady } = require("./controlPlane");
const { bullets } = require("./findings");
const { unreadyWorkloads } = require("./restartPods");
const { caOf, clusterApi, pkisOf, stateSecret, unpack } = require("./rkeState");

/** @import { KubernetesNode, Metadata } from "../../kubernetesObjects" */
/** @import { RotatedCluster } from "../program" */
/** @import { KubernetesApi } from "../../runner/kubernetesApi" */

/** Annotation of RKE's state in the cluster while a rotation is not finished. Then pods may have the earlier CA, or nodes its certificates. */
const mark = "pulumi-rancher-ha/ca-rotation";

/** @param {{ metadata?: Metadata } | undefined} secret RKE's state in the cluster */
const isMarkedIn = secret => secret?.metadata?.annotations?.[mark] !== undefined;

/** @param {KubernetesNode[]} nodes */
const unreadyNodes = nodes => nodes.filter(node => !isReady(node)).map(({ metadata }) => `node ${metadata.name}: not Ready`);

/**
 * Lists why a rotation would not finish.
 *
 * @param {KubernetesApi} api
 */
async function hindrances(api) {
    const [nodes, workloads] = await Promise.all([api("/api/v1/nodes"), unreadyWorkloads(api)]);
    return [...unreadyNodes(nodes.items), ...workloads.map(workload => `${workload}: not all of its pods are available`)];
}

/**
 * @param {string[]} found
 * @param {string} [time]
 */
const refusal = (found, time = "") =>
    `cluster.caRotations: expected${time} that every node is Ready, and that the workloads of kube-system, ingress-nginx and cattle-system are ` +
    `available, found:\n${bullets(found)}\nThe rotation was not begun, and RKE was not started. Mend these, and rotate the CA then`;

/**
 * Refuses a rotation that has not begun, when it would not finish. Gives the cluster some time. Nothing is refused while no API server answers,
 * because the rotation may be the repair.
 *
 * @param {RotatedCluster} input
 * @param {string} state
 */
async function refuseUnfitRotation(input, state, { seconds = 60, pauseSeconds = 2 } = {}) {
    if (!input.earlierPkis || caOf(state) === caOf(unpack(input.pki))) return;
    const questions = pkisOf(input).flatMap(pki =>
        input.apiEndpoints.map(endpoint => async () => {
            const api = clusterApi(endpoint, pki);
            return { api, isBegun: isMarkedIn(await api(stateSecret)) };
        }),
    );
    const answer = await firstAnswer(questions, 1).catch(() => undefined);
    if (!answer || answer.isBegun) return;
    const deadline = deadlineIn(seconds);
    for (;;) {
        const found = await hindrances(answer.api).catch(({ message }) => [message]);
        if (found.length === 0) return;
        if (deadline.isOver()) throw new CodedError("change-not-possible", refusal(found, ` within ${seconds} s`));
        await pause(pauseSeconds * 1000);
    }
}

/**
 * Returns the refusal of a rotation that would not finish, as far as a preview sees. `secret` is RKE's state in the cluster.
 *
 * @param {KubernetesApi} api
 * @param {{ metadata?: Metadata }} secret
 */
async function foreseenUnfitRotation(api, secret) {
    const found = isMarkedIn(secret) ? [] : await hindrances(api);
    return found.length > 0 ? [withCode("change-not-possible", refusal(found))] : [];
}

module.exports = { foreseenUnfitRotation, isMarkedIn, mark, refuseUnfitRotation, unreadyNodes };
