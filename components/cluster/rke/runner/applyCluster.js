const fs = require("fs");
const path = require("path");
const { CodedError } = require("../../../remote/runner/codedError");
const { impossibleChanges } = require("./builtCluster");
const { keepCordons } = require("./cordons");
const { encryptedSecrets } = require("./encryptedSecrets");
const { withEncryptionKey } = require("./encryptionKey");
const { bullets, findings, refuseRun, refuseUnfitNodes } = require("./findings");
const { firstAnswer, mergePatch } = require("../../runner/kubernetesApi");
const { snapshotBeforeUpgrade } = require("./firstSnapshot");
const { recordedLeavers, resultOf } = require("./lastResult");
const { cleanHosts, movePods, saysLost, takenNodes, withoutTakenNodes } = require("./leavingNodes");
const { refuseNodeChanges } = require("./nodeChanges");
const { withLockOf } = require("./lock");
const { say } = require("./progress");
const { checkRkeVersion, ending, rkeFailure, runRkeUntilHealthy, seriousWarning, workFolder } = require("./rkeCommand");
const { forgetRebuilt, rebuiltNodes } = require("./rebuiltNodes");
const { refuseNewNodes, withNewestCa } = require("./rotateCa");
const { refuseUnfitRotation } = require("./rotationFitness");
const { builtConfig, clusterApi, newestState, removedNodes } = require("./rkeState");

/** @import { ClusterInput } from "../program" */
/** @typedef {Awaited<ReturnType<typeof encryptedSecrets>>} EncryptedSecrets */
/** @typedef {ReturnType<typeof removedNodes>[number]} Leaver */

/**
 * @param {string} state
 * @param {ClusterInput} input
 */
function refuseImpossibleChange(state, input) {
    const built = builtConfig(state);
    refuseRun("change-not-possible", built ? impossibleChanges(built, input) : []);
}

/**
 * Sets the options of the ingress controller, because RKE redeploys an add-on only when its own configuration of the add-on changed.
 *
 * @param {string} state
 * @param {ClusterInput} input
 */
async function setIngressOptions(state, { apiEndpoints, ingressOptions }) {
    const patch = mergePatch({ data: ingressOptions });
    const path = "/api/v1/namespaces/ingress-nginx/configmaps/ingress-nginx-controller";
    try {
        await firstAnswer(apiEndpoints.map(endpoint => () => clusterApi(endpoint, state)(path, patch)));
    } catch (/** @type {any} */ error) {
        const reasons = bullets(error.message.split("\n"));
        throw new CodedError(
            "rke-failed",
            `the cluster is up, but the options of its ingress controller could not be set:\n${reasons}\nRun pulumi up again`,
        );
    }
}

/**
 * Runs `rke up` on the state in a folder. Returns the new state.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {string} folder
 * @param {{ input: ClusterInput, state: string, leaving: Leaver[], lastResult: string, secrets: EncryptedSecrets }} about
 */
async function up(env, folder, { input, state, leaving, lastResult, secrets }) {
    const stateFile = path.join(folder, "cluster.rkestate");
    const result = await runRkeUntilHealthy(["up", "--config", "cluster.yml", "--ssh-agent-auth"], {
        folder,
        env,
        marker: "Finished building Kubernetes cluster successfully",
        timeoutSeconds: input.timeoutSeconds,
        isFirstBuild: !builtConfig(state),
        beforeNextRun: () => fs.writeFileSync(stateFile, secrets.again(fs.readFileSync(stateFile, "utf8"))),
    });
    const lost = leaving.filter(node => result.warnings.some(saysLost(node)));
    await cleanHosts(
        env,
        leaving.filter(node => !lost.includes(node)),
        input,
        lastResult,
    );
    const serious = result.warnings.filter(text => seriousWarning.test(text) && !lost.some(node => saysLost(node)(text)));
    if (result.code !== 0 || !result.done || serious.length > 0) {
        throw rkeFailure(
            `rke up did not finish the cluster (${ending(result)}). Its certificates are safe in the stack and its state in the cluster: correct the cause and run pulumi up again`,
            { ...result, warnings: serious },
        );
    }
    lost.forEach(({ name, address }) =>
        say(
            `node ${name} left the cluster. Its host ${address} did not answer and was not cleaned: keep it switched off, it would join again`,
        ),
    );
    return fs.readFileSync(stateFile, "utf8");
}

/**
 * Runs RKE. Returns the result for the next run.
 *
 * @param {ClusterInput} input
 * @param {string} lastResult
 */
async function apply(input, lastResult) {
    await checkRkeVersion(input.rkeVersion);
    return withLockOf(input.nodes, recordedLeavers(lastResult, input.nodes), async env => {
        await refuseUnfitNodes(env, input);
        const newest = await newestState(input, lastResult);
        refuseImpossibleChange(newest, input);
        const rebuilt = await rebuiltNodes(env, newest, input);
        await refuseNodeChanges(env, newest, input, rebuilt);
        await refuseNewNodes(input, newest, rebuilt);
        const taken = await takenNodes(env, newest, input, lastResult);
        const keyed = await withEncryptionKey(env, input, newest);
        (await findings(env, input.nodes, input.startProgram)).forEach(say);
        await refuseUnfitRotation(input, keyed);
        const newer = await withNewestCa(env, input, await forgetRebuilt(env, rebuilt, keyed, input));
        const state = await withoutTakenNodes(env, newer, input, taken);
        const leaving = removedNodes(state, input);
        leaving.forEach(({ address }) => say(`node ${address} will be removed from the cluster`));
        const secrets = await encryptedSecrets(input, state);
        const folder = workFolder(input.clusterYml, secrets.first);
        await snapshotBeforeUpgrade(state, input, { folder, env });
        await movePods(leaving, state, input);
        const built = await keepCordons(state, input, () => up(env, folder, { input, state, leaving, lastResult, secrets }));
        await secrets.finish(built);
        await setIngressOptions(state, input);
        return resultOf(built, input.nodes);
    });
}

module.exports = { apply };
