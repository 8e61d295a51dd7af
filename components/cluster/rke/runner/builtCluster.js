const { versionStep } = require("../../../remote/runner/version");

/**
 * Lists requested changes that are impossible on a live cluster. RKE accepts another network and then leaves pods without network.
 * Kubernetes cannot be downgraded, and an upgrade cannot skip a minor version. Only the restore of the snapshot that an upgrade saved
 * leads back. `rkeConfig` is RKE's record of the cluster.
 *
 * @param {import("../state").RkeConfig} rkeConfig
 * @param {import("../program").WantedCluster} wanted
 */
function impossibleChanges(rkeConfig, { network, kubernetesVersion, restores }) {
    const { clusterCidr, serviceClusterIpRange } = rkeConfig.services.kubeController;
    const built = { plugin: rkeConfig.network.plugin, clusterCidr, serviceClusterIpRange };
    const changes = /** @type {(keyof typeof built)[]} */ (Object.keys(built))
        .filter(key => built[key] !== network[key])
        .map(key => `network.${key}: expected ${built[key]}, with which the cluster was built, found ${network[key]}`);
    if (changes.length > 0) changes.push("It cannot be changed on a live cluster: return to the earlier value, or build another cluster");
    // A version is for example v1.30.14-rancher1-1.
    const { isOlder, skipsTo } = versionStep(rkeConfig.kubernetesVersion, kubernetesVersion, 5);
    const saved = `${kubernetesVersion}-to-`;
    if (isOlder && !restores?.startsWith(saved))
        changes.push(
            `kubernetesVersion: expected ${rkeConfig.kubernetesVersion} or newer, which the cluster runs, found ${kubernetesVersion}. ` +
                `Kubernetes goes back only by a restore in the same update, of the snapshot that the upgrade saved. Its name begins with ${saved}: ` +
                'docs/operations.md, "Go back after an upgrade of Kubernetes"',
        );
    else if (skipsTo)
        changes.push(
            `kubernetesVersion: expected at most one minor version above ${rkeConfig.kubernetesVersion}, which the cluster runs, found ` +
                `${kubernetesVersion}. Upgrade to v${skipsTo} first`,
        );
    return changes;
}

/**
 * Returns the refusal of new and rebuilt nodes in a rotation, because RKE restarts containers that they do not have yet.
 *
 * @param {string[]} names
 */
const newNodesBesideRotation = names =>
    `cluster.caRotations: expected no new and no rebuilt node in the update that rotates the CA, found ${names.join(", ")}. ` +
    "RKE was not started and no host was changed. Take them out of the configuration, and add them in a later update";

module.exports = { impossibleChanges, newNodesBesideRotation };
