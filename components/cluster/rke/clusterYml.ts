import { stringify } from "yaml";
import { nodeName, RkeClusterSettings } from "./schema";

/**
 * Returns `cluster.yml` for RKE 1.8.14. RKE ignores unknown keys, so every key here is one that RKE reads. The file holds no SSH key,
 * because RKE copies its content into the state and into the cluster. RKE uses an SSH agent instead.
 */
export function clusterYml(cluster: RkeClusterSettings): string {
    const endpoint = cluster.apiEndpoint ? [new URL(cluster.apiEndpoint).hostname.replace(/^\[|\]$/g, "")] : [];
    const { bastion } = cluster.nodes[0];
    const sans = [...new Set([...endpoint, ...cluster.apiServerSans])];
    return stringify(
        {
            cluster_name: cluster.clusterName,
            kubernetes_version: cluster.kubernetesVersion,
            ssh_agent_auth: true,
            ...(bastion && { bastion_host: { address: bastion.address, port: String(bastion.port), user: bastion.user } }),
            nodes: cluster.nodes.map(node => ({
                address: node.address,
                port: String(node.port),
                ...(node.internalAddress && { internal_address: node.internalAddress }),
                hostname_override: nodeName(node),
                user: node.user,
                role: node.roles,
                ...(Object.keys(node.labels).length > 0 && { labels: node.labels }),
                ...(node.taints.length > 0 && { taints: node.taints }),
            })),
            services: {
                etcd: {
                    backup_config: {
                        enabled: cluster.etcdBackup.enabled,
                        interval_hours: cluster.etcdBackup.intervalHours,
                        retention: cluster.etcdBackup.retention,
                    },
                },
                "kube-api": { service_cluster_ip_range: cluster.network.serviceClusterIpRange },
                "kube-controller": {
                    cluster_cidr: cluster.network.clusterCidr,
                    service_cluster_ip_range: cluster.network.serviceClusterIpRange,
                },
                kubelet: { cluster_dns_server: tenthAddress(cluster.network.serviceClusterIpRange) },
            },
            network: { plugin: cluster.network.plugin, ...(cluster.network.mtu > 0 && { mtu: cluster.network.mtu }) },
            authentication: { strategy: "x509", ...(sans.length > 0 && { sans }) },
            ingress: {
                provider: "nginx",
                network_mode: "hostPort",
                http_port: 80,
                https_port: 443,
                default_ingress_class: true,
                options: ingressOptions(cluster),
            },
            addon_job_timeout: cluster.addonJobTimeoutSeconds,
        },
        { lineWidth: 0, aliasDuplicateObjects: false },
    );
}

/** Returns the ingress controller's options. Without forwarded headers, Rancher behind a TLS-ending load balancer redirects for ever. */
export const ingressOptions = (cluster: RkeClusterSettings) => ({ ...cluster.ingressOptions, "use-forwarded-headers": "true" });

/** Returns the tenth address of a range. RKE gives this address to cluster DNS only in its default range. */
function tenthAddress(range: string): string {
    const [a, b, c, d] = range.split("/")[0].split(".").map(Number);
    return [a, b, c, d + 10].join(".");
}
