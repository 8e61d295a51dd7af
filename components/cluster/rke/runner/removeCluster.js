const { CodedError } = require("../../../remote/runner/codedError");
const { bullets, findings } = require("./findings");
const { foreignHosts } = require("./foreignHosts");
const { withLockOf } = require("./lock");
const { say } = require("./progress");
const { checkRkeVersion, ending, rkeFailure, runRke, withoutNodes, workFolder } = require("./rkeCommand");
const { newestState } = require("./rkeState");

/**
 * Removes the cluster from its nodes. Leaves a host alone that another cluster has by now, or that is another machine.
 *
 * @param {import("../program").ClusterInput} input
 * @param {string} lastResult
 */
async function destroy(input, lastResult) {
    await checkRkeVersion(input.rkeVersion);
    await withLockOf(input.nodes, [], async env => {
        const taken = await foreignHosts(env, input.nodes, input.preflightProgram);
        const addresses = taken.map(({ connection }) => connection.address);
        taken.forEach(({ name, reason }, index) => say(`${name} (${addresses[index]}) ${reason}, and is left alone`));
        const nodes = input.nodes.filter(({ connection }) => !addresses.includes(connection.address));
        if (nodes.length === 0) return say("every host is left alone");
        if ((await findings(env, nodes, input.leftoverProgram)).length === 0) return say("the hosts are clean");
        const state = await newestState({ ...input, apiEndpoints: [] }, lastResult);
        const result = await runRke(["remove", "--force", "--config", "cluster.yml", "--ssh-agent-auth"], {
            folder: workFolder(withoutNodes(input.clusterYml, addresses), state),
            env,
            marker: "Cluster removed successfully",
            timeoutSeconds: input.timeoutSeconds,
        });
        say("removing the containers of pods and of single steps, which rke leaves");
        const stuck = await findings(env, nodes, input.removeContainersProgram);
        say("looking at the hosts: rke says success even when its cleaner failed");
        const left = [...stuck, ...(await findings(env, nodes, input.leftoverProgram))];
        if (left.length > 0) {
            throw new CodedError(
                "cluster-not-removed",
                `the cluster is not fully removed. Left behind:\n${bullets(left)}\n` +
                    "Remove these on the hosts, or start a host that is unreachable. Then destroy again. " +
                    "When nothing is left but a host that no longer exists, go on with Delete the stack in docs/operations.md",
            );
        }
        if (result.code !== 0 || !result.done) throw rkeFailure(`rke remove failed (${ending(result)})`, result);
        say("the hosts are clean; images and etcd snapshots in /opt/rke are kept");
    });
    return "";
}

module.exports = { destroy };
