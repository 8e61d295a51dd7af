// Restarts the pods of all workloads, because a pod reads the CA of the cluster once, when it starts.
const { createHash } = require("crypto");
const { setTimeout: pause } = require("timers/promises");
const { CodedError } = require("../../../remote/runner/codedError");
const { deadlineIn } = require("../../../remote/runner/deadline");
const { mergePatch } = require("../../runner/kubernetesApi");
const { bullets } = require("./findings");
const { say } = require("./progress");

/** @import { Workload } from "../../kubernetesObjects" */
/** @import { KubernetesApi } from "../../runner/kubernetesApi" */

/** Annotation of pods: a digest of the CA for which they were restarted. */
const annotation = "pulumi-rancher-ha/cluster-ca";

const kinds = ["daemonsets", "deployments", "statefulsets"];

/**
 * The order of the restarts. Without the pods of the network, no other pod can start. Then come DNS and metrics, the ingress controller,
 * Rancher, and the rest.
 *
 * @type {((workload: Placed) => boolean)[]}
 */
const steps = [
    ({ kind, namespace }) => namespace === "kube-system" && kind === "daemonsets",
    ({ namespace }) => namespace === "kube-system",
    ({ namespace }) => namespace === "ingress-nginx",
    ({ namespace }) => namespace === "cattle-system",
    () => true,
];

/** A workload and its place in the API. @typedef {{ kind: string, namespace: string, name: string, object: Workload }} Placed */

/** @param {KubernetesApi} api */
async function workloads(api) {
    const lists = await Promise.all(kinds.map(kind => api(`/apis/apps/v1/${kind}`)));
    return lists.flatMap(({ items }, index) =>
        items.map((/** @type {Workload} */ object) => ({
            kind: kinds[index],
            namespace: object.metadata.namespace,
            name: object.metadata.name,
            object,
        })),
    );
}

/**
 * Lists the workloads whose pods a rotation of the CA needs, and that are not ready.
 *
 * @param {KubernetesApi} api
 */
async function unreadyWorkloads(api) {
    const needed = steps.slice(0, -1);
    const unready = (await workloads(api)).filter(
        workload => needed.some(matches => matches(workload)) && !isRolledOut(workload.kind, workload.object),
    );
    return unready.map(shown);
}

/** @param {Placed} workload */
const path = ({ kind, namespace, name }) => `/apis/apps/v1/namespaces/${namespace}/${kind}/${name}`;
/** @param {Placed} workload */
const shown = ({ kind, namespace, name }) => `${kind.slice(0, -1)} ${namespace}/${name}`;

/**
 * Restarts all pods as `kubectl rollout restart` does, in the order of the steps. Each workload keeps its own limits of unavailable pods.
 * Leaves a workload that was restarted for this CA before.
 *
 * @param {KubernetesApi} api
 * @param {string} ca
 */
async function restartPods(api, ca, { seconds = 600, pauseSeconds = 2 } = {}) {
    const digest = createHash("sha256").update(ca).digest("hex").slice(0, 16);
    const annotations = { [annotation]: digest };
    const patch = mergePatch({ spec: { template: { metadata: { annotations } } } });
    const all = await workloads(api);
    /** @type {string[]} */
    let slow = [];
    for (const [index, isIn] of steps.entries()) {
        const step = all.filter(workload => steps.find(matches => matches(workload)) === isIn);
        const old = step.filter(({ object }) => object.spec.template.metadata?.annotations?.[annotation] !== digest);
        if (old.length > 0) say(`restarting the pods of ${old.map(shown).join(", ")}`);
        await Promise.all(old.map(workload => api(path(workload), patch)));
        slow = await rolledOut(api, step, { seconds, pauseSeconds });
        if (slow.length > 0 && index < steps.length - 1) {
            throw new CodedError(
                "rke-failed",
                `cluster.caRotations: the nodes have the new CA, and these pods are not ready with it within ${seconds} s:\n${bullets(slow)}\n` +
                    "Correct the cause and run pulumi up again",
            );
        }
    }
    slow.forEach(workload => say(`needs attention: the pods of ${workload} are not ready with the new CA`));
}

/**
 * Waits for the new pods of workloads. Returns those that are not ready in time.
 *
 * @param {KubernetesApi} api
 * @param {Placed[]} step
 * @param {{ seconds: number, pauseSeconds: number }} patience
 */
async function rolledOut(api, step, { seconds, pauseSeconds }) {
    const deadline = deadlineIn(seconds);
    let waiting = step;
    for (;;) {
        const done = await Promise.all(
            waiting.map(workload =>
                api(path(workload)).then(
                    object => isRolledOut(workload.kind, object),
                    ({ status }) => status === 404,
                ),
            ),
        );
        waiting = waiting.filter((_, index) => !done[index]);
        if (waiting.length === 0 || deadline.isOver()) return waiting.map(shown);
        await pause(pauseSeconds * 1000);
    }
}

/**
 * Reports whether all pods of a workload are new and ready. A workload that does not replace its pods by itself is not waited for.
 *
 * @param {string} kind
 * @param {Workload} workload
 */
function isRolledOut(kind, { metadata, spec, status = {} }) {
    if (spec.paused || spec.updateStrategy?.type === "OnDelete") return true;
    if ((status.observedGeneration ?? 0) < metadata.generation) return false;
    if (kind === "daemonsets") {
        const wanted = status.desiredNumberScheduled ?? 0;
        return (status.updatedNumberScheduled ?? 0) === wanted && (status.numberAvailable ?? 0) === wanted;
    }
    const counts = [status.replicas ?? 0, status.updatedReplicas ?? 0, status.availableReplicas ?? 0];
    return counts.every(count => count === (spec.replicas ?? 1));
}

module.exports = { restartPods, unreadyWorkloads };
