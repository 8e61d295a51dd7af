/**
 * Lists what a configuration asks for and a cluster that RKE built cannot become: another network, which RKE takes and leaves pods
 * without one; an older Kubernetes, or one that is more than a minor version newer. `rkeConfig` is RKE's own note of the cluster.
 */
function impossibleChanges(rkeConfig, { network, kubernetesVersion }) {
    const { clusterCidr, serviceClusterIpRange } = rkeConfig.services.kubeController;
    const changes = Object.entries({ plugin: rkeConfig.network.plugin, clusterCidr, serviceClusterIpRange })
        .filter(([key, built]) => built !== network[key])
        .map(([key, built]) => `network.${key}: expected ${built}, with which the cluster was built, found ${network[key]}`);
    if (changes.length > 0) changes.push("It cannot be changed on a live cluster: put it back, or build another cluster");
    const [built, wanted] = [rkeConfig.kubernetesVersion, kubernetesVersion].map(versionParts);
    const steps = wanted[1] - built[1];
    const isOlder = wanted.findIndex((part, index) => part !== built[index]);
    if (isOlder >= 0 && wanted[isOlder] < built[isOlder])
        changes.push(
            `kubernetesVersion: expected ${rkeConfig.kubernetesVersion} or newer, which the cluster runs, found ${kubernetesVersion}. ` +
                "Kubernetes cannot go back: etcd would have to be restored from a snapshot",
        );
    else if (steps > 1)
        changes.push(
            `kubernetesVersion: expected at most one minor version above ${rkeConfig.kubernetesVersion}, which the cluster runs, found ` +
                `${kubernetesVersion}. Upgrade to v1.${built[1] + 1} first`,
        );
    return changes;
}

/** Major, minor and patch of a version such as v1.30.14-rancher1-1, and the two numbers after `rancher`. */
function versionParts(version) {
    const numbers = version.match(/\d+/g).map(Number);
    return [0, 1, 2, 3, 4].map(index => numbers[index] ?? 0);
}
