/** What of the network is no longer as the cluster was built, a line each: RKE takes a change, and leaves pods without network. */
function networkChanges(rkeConfig, wanted) {
    const { clusterCidr, serviceClusterIpRange } = rkeConfig.services.kubeController;
    return Object.entries({ plugin: rkeConfig.network.plugin, clusterCidr, serviceClusterIpRange })
        .filter(([key, built]) => built !== wanted[key])
        .map(([key, built]) => `network.${key}: expected ${built}, with which the cluster was built, found ${wanted[key]}`);
}

const networkAdvice = "It cannot be changed on a live cluster: put it back, or build another cluster";
