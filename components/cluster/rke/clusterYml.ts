import { stringify } from "yaml";
import { withExtraConfig } from "./extraConfig";
import { interfaceYml } from "./network";
import { hasRole, NodeRole } from "./nodes";
import { registriesYml } from "./registries";
import { nodeName, RkeClusterSettings } from "./schema";
import { servicesYml } from "./services";
import { s3BackupConfig, withoutS3Keys } from "./s3";
import { upgradeStrategyYml } from "./upgradeStrategy";

/**
 * Returns `cluster.yml` for RKE 1.8.14. RKE ignores unknown keys, so every key here is one that RKE reads. The file holds no SSH key,
 * because RKE copies its content into the state and into the cluster. RKE uses an SSH agent instead.
 */
export function clusterYml(cluster: RkeClusterSettings): string {
    return stringify(withExtraConfig(ownKeys(cluster), cluster.extraConfig), { lineWidth: 0, aliasDuplicateObjects: false });
}

/** Returns `cluster.yml` as a preview shows it: without the passwords of registries and the keys of S3. */
export function shownClusterYml(cluster: RkeClusterSettings): string {
    const privateRegistries = cluster.privateRegistries.map(registry => ({
        ...registry,
        ...(registry.password !== undefined && { password: "(not shown)" }),
    }));
    return clusterYml({ ...withoutS3Keys(cluster), privateRegistries });
}

/**
 * Returns the names for the API server's certificate that RKE does not add itself. RKE adds the addresses of control plane nodes, so that
 * an endpoint there changes the kubeconfig alone, and RKE is not run.
 */
function certificateNames({ apiEndpoint, apiServerSans, nodes }: RkeClusterSettings): string[] {
    const host = apiEndpoint ? new URL(apiEndpoint).hostname.replace(/^\[|\]$/g, "") : undefined;
    const isAdded = nodes.filter(hasRole(NodeRole.ControlPlane)).some(node => [node.address, node.internalAddress].includes(host));
    return [...new Set([...(host === undefined || isAdded ? [] : [host]), ...apiServerSans])];
}

function ownKeys(cluster: RkeClusterSettings): Record<string, unknown> {
    const { bastion } = cluster.nodes[0];
    const sans = certificateNames(cluster);
    return {
        cluster_name: cluster.clusterName,
        kubernetes_version: cluster.kubernetesVersion,
        ...(cluster.ignoreDockerVersion && { ignore_docker_version: true }),
        ssh_agent_auth: true,
        ...(bastion && { bastion_host: { address: bastion.address, port: String(bastion.port), user: bastion.user } }),
        ...registriesYml(cluster.privateRegistries, cluster.systemImages),
        ...upgradeStrategyYml(cluster.upgradeStrategy),
        nodes: nodes(cluster),
        services: services(cluster),
        network: {
            plugin: cluster.network.plugin,
            ...(cluster.network.mtu > 0 && { mtu: cluster.network.mtu }),
            ...interfaceYml(cluster.network),
        },
        authentication: { strategy: "x509", ...(sans.length > 0 && { sans }) },
        ingress: {
            provider: "nginx",
            network_mode: "hostPort",
            http_port: 80,
            https_port: 443,
            default_ingress_class: true,
            options: ingressOptions(cluster),
            ...(Object.keys(cluster.ingressNodeSelector).length > 0 && { node_selector: cluster.ingressNodeSelector }),
        },
        addon_job_timeout: cluster.addonJobTimeoutSeconds,
    };
}

const nodes = (cluster: RkeClusterSettings) =>
    cluster.nodes.map(node => ({
        address: node.address,
        port: String(node.port),
        ...(node.internalAddress && { internal_address: node.internalAddress }),
        hostname_override: nodeName(node),
        user: node.user,
        role: node.roles,
        ...(Object.keys(node.labels).length > 0 && { labels: node.labels }),
        ...(node.taints.length > 0 && { taints: node.taints }),
    }));

function services(cluster: RkeClusterSettings): Record<string, object> {
    const { kubeApi, kubeController, scheduler, kubelet, kubeproxy, etcd } = servicesYml(cluster.services);
    const { clusterCidr, serviceClusterIpRange } = cluster.network;
    const optional = Object.entries({ scheduler, kubeproxy }).filter(([, keys]) => Object.keys(keys).length > 0);
    return {
        etcd: {
            backup_config: {
                enabled: cluster.etcdBackup.enabled,
                interval_hours: cluster.etcdBackup.intervalHours,
                retention: cluster.etcdBackup.retention,
                ...(cluster.etcdBackup.s3 && { s3backupconfig: s3BackupConfig(cluster.etcdBackup.s3) }),
            },
            ...etcd,
        },
        "kube-api": { service_cluster_ip_range: serviceClusterIpRange, ...kubeApi },
        "kube-controller": { cluster_cidr: clusterCidr, service_cluster_ip_range: serviceClusterIpRange, ...kubeController },
        kubelet: { cluster_dns_server: tenthAddress(serviceClusterIpRange), ...kubelet },
        ...Object.fromEntries(optional),
    };
}

/** Returns the ingress controller's options. Without forwarded headers, Rancher behind a TLS-ending load balancer redirects for ever. */
export const ingressOptions = (cluster: RkeClusterSettings) => ({ ...cluster.ingressOptions, "use-forwarded-headers": "true" });

/** Returns the tenth address of a range. RKE gives this address to cluster DNS only in its default range. */
export function tenthAddress(range: string): string {
    const [a, b, c, d] = range.split("/")[0].split(".").map(Number);
    return [a, b, c, d + 10].join(".");
}
