import { ingressOptions, limitsSchema } from "../components/loadBalancer/limits";
import { serviceKeys } from "../components/cluster/rke/services";

/** Tables of the keys of cluster.yml. Sources: types/rke_types.go and cluster/defaults.go of RKE 1.8.14. */

const services = Object.entries(serviceKeys);
const auditLog = "services.kube-api.audit_log";
const backup = "services.etcd.backup_config";
const drain = "upgrade_strategy.node_drain_input";
const s3 = `${backup}.s3backupconfig`;

/** Keys of cluster.yml with the key below `cluster` that means the same. */
export const kept: Record<string, string> = {
    ...Object.fromEntries(services.map(([name, key]) => [`services.${key}.extra_binds[]`, `services.${name}.extraBinds[]`])),
    ...Object.fromEntries(services.map(([name, key]) => [`services.${key}.extra_env[]`, `services.${name}.extraEnv[]`])),
    [`${auditLog}.enabled`]: "services.kubeApi.auditLog.enabled",
    [`${auditLog}.configuration.max_age`]: "services.kubeApi.auditLog.maxAgeDays",
    [`${auditLog}.configuration.max_backup`]: "services.kubeApi.auditLog.maxBackup",
    [`${auditLog}.configuration.max_size`]: "services.kubeApi.auditLog.maxSizeMb",
    [`${auditLog}.configuration.path`]: "services.kubeApi.auditLog.path",
    [`${auditLog}.configuration.format`]: "services.kubeApi.auditLog.format",
    "services.kube-api.service_node_port_range": "services.kubeApi.serviceNodePortRange",
    "services.kube-api.secrets_encryption_config.enabled": "services.kubeApi.secretsEncryption",
    "services.kubelet.cluster_domain": "services.kubelet.clusterDomain",
    "network.options.canal_iface": "network.interface",
    "network.options.flannel_iface": "network.interface",
    "upgrade_strategy.max_unavailable_worker": "upgradeStrategy.maxUnavailableWorker",
    "upgrade_strategy.max_unavailable_controlplane": "upgradeStrategy.maxUnavailableControlplane",
    "upgrade_strategy.drain": "upgradeStrategy.drain",
    [`${drain}.force`]: "upgradeStrategy.nodeDrainInput.force",
    [`${drain}.ignore_daemonsets`]: "upgradeStrategy.nodeDrainInput.ignoreDaemonSets",
    [`${drain}.delete_local_data`]: "upgradeStrategy.nodeDrainInput.deleteLocalData",
    [`${drain}.grace_period`]: "upgradeStrategy.nodeDrainInput.gracePeriodSeconds",
    [`${drain}.timeout`]: "upgradeStrategy.nodeDrainInput.timeoutSeconds",
    "private_registries[].url": "privateRegistries[].url",
    "private_registries[].user": "privateRegistries[].user",
    "private_registries[].is_default": "privateRegistries[].isDefault",
    ignore_docker_version: "ignoreDockerVersion",
    cluster_name: "clusterName",
    kubernetes_version: "kubernetesVersion",
    "nodes[].address": "nodes[].address",
    "nodes[].internal_address": "nodes[].internalAddress",
    "nodes[].hostname_override": "nodes[].hostname",
    "nodes[].user": "nodes[].user",
    "nodes[].role[]": "nodes[].roles[]",
    "nodes[].taints[].key": "nodes[].taints[].key",
    "nodes[].taints[].value": "nodes[].taints[].value",
    "nodes[].taints[].effect": "nodes[].taints[].effect",
    "network.plugin": "network.plugin",
    "network.mtu": "network.mtu",
    "services.kube-api.service_cluster_ip_range": "network.serviceClusterIpRange",
    "services.kube-controller.service_cluster_ip_range": "network.serviceClusterIpRange",
    "services.kube-controller.cluster_cidr": "network.clusterCidr",
    [`${backup}.enabled`]: "etcdBackup.enabled",
    [`${backup}.interval_hours`]: "etcdBackup.intervalHours",
    [`${backup}.retention`]: "etcdBackup.retention",
    [`${s3}.endpoint`]: "etcdBackup.s3.endpoint",
    [`${s3}.bucket_name`]: "etcdBackup.s3.bucket",
    [`${s3}.folder`]: "etcdBackup.s3.folder",
    [`${s3}.region`]: "etcdBackup.s3.region",
    [`${s3}.custom_ca`]: "etcdBackup.s3.caCertificate",
    "authentication.sans[]": "apiServerSans[]",
    addon_job_timeout: "addonJobTimeoutSeconds",
};

/** Objects of cluster.yml with free keys and strings as values, with the same object below `cluster`. */
export const named: Record<string, string> = {
    "nodes[].labels": "nodes[].labels",
    "ingress.options": "ingressOptions",
    "ingress.node_selector": "ingressNodeSelector",
    ...Object.fromEntries(services.map(([name, key]) => [`services.${key}.extra_args`, `services.${name}.extraArgs`])),
};

/** The object of cluster.yml that holds the audit policy, with the same object below `cluster`. */
export const auditPolicy = [`${auditLog}.configuration.policy`, "services.kubeApi.auditLog.policy"] as const;

/** Secret keys of cluster.yml with the argument that takes the secret. */
export const secrets: Record<string, string> = {
    "private_registries[].password": "cluster.privateRegistries[].password",
    [`${s3}.access_key`]: "cluster.etcdBackup.s3.accessKey",
    [`${s3}.secret_key`]: "cluster.etcdBackup.s3.secretKey",
    "nodes[].ssh_key": "cluster.nodes[].privateKey",
    "bastion_host.ssh_key": "ssh.bastion.privateKey",
};

/** Keys that this stack sets to one value. */
export const fixed: Record<string, unknown> = {
    ssh_agent_auth: true,
    "bastion_host.ssh_agent_auth": true,
    "authentication.strategy": "x509",
    "authorization.mode": "rbac",
    "ingress.provider": "nginx",
    "ingress.network_mode": "hostPort",
    "ingress.http_port": 80,
    "ingress.https_port": 443,
    "ingress.default_ingress_class": true,
    "services.etcd.snapshot": true,
    "services.kubelet.cluster_domain": "cluster.local",
};

/** Values that RKE takes for a missing key. An empty string is one everywhere, but false and 0 have a meaning of their own elsewhere. */
export const unset: Record<string, unknown> = {
    ssh_agent_auth: false,
    addon_job_timeout: 0,
    ignore_docker_version: false,
    prefix_path: "/",
    rotate_encryption_key: false,
    "bastion_host.ignore_proxy_env_vars": false,
    "bastion_host.ssh_agent_auth": false,
    "ingress.http_port": 0,
    "ingress.https_port": 0,
    "network.mtu": 0,
    "nodes[].docker_socket": "/var/run/docker.sock",
    "nodes[].ssh_agent_auth": false,
    "private_registries[].is_default": false,
    "restore.restore": false,
    [`${backup}.interval_hours`]: 0,
    [`${backup}.retention`]: 0,
    [`${backup}.safe_timestamp`]: false,
    [`${backup}.timeout`]: 0,
    "services.etcd.gid": 0,
    "services.etcd.uid": 0,
    "services.kube-api.always_pull_images": false,
    "services.kube-api.event_rate_limit.enabled": false,
    "services.kube-api.pod_security_policy": false,
    "services.kube-api.secrets_encryption_config.enabled": false,
    "services.kubelet.fail_swap_on": false,
    "services.kubelet.generate_serving_certificate": false,
    "upgrade_strategy.drain": false,
    [`${drain}.delete_local_data`]: false,
    [`${drain}.force`]: false,
};

/** Keys without an argument for which RKE tells false or 0 from a missing key. */
export const pointers = [
    "cloud_provider.azureCloudProvider.excludeMasterFromStandardLB",
    "cloud_provider.useInstanceMetadataHostname",
    "enable_cri_dockerd",
    "ingress.default_backend",
    "monitoring.replicas",
    "network.enable_br_netfilter",
    "services.etcd.snapshot",
];

/** Objects whose values are strings, or lists of strings, below keys that have no argument. */
export const textObjects =
    /(^|\.)(annotations|extra_args|extra_args_array|labels|node_selector|options|stubdomains|win_extra_args|win_extra_args_array)$/;

/** The first keys of cluster.yml. RKE ignores others, which hold anchors for example. */
export const firstKeys = [
    ...[
        "addon_job_timeout",
        "addons",
        "addons_include",
        "authentication",
        "authorization",
        "bastion_host",
        "cloud_provider",
        "cluster_name",
    ],
    ...["cri_dockerd_stream_server_address", "cri_dockerd_stream_server_port", "dns", "enable_cri_dockerd", "ignore_docker_version"],
    ...["ingress", "kubernetes_version", "monitoring", "network", "nodes", "prefix_path", "private_registries", "restore"],
    ...["rotate_certificates", "rotate_encryption_key", "services", "ssh_agent_auth", "ssh_cert_path", "ssh_key_path", "system_images"],
    ...["upgrade_strategy", "win_prefix_path"],
];

/** Options of the ingress controller that arguments of the load balancer set. */
export const limits = Object.keys(ingressOptions(limitsSchema.parse({}))).map(option => `ingress.options.${option}`);
