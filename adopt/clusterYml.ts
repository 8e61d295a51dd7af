import { ingressOptions, limitsSchema } from "../components/loadBalancer/limits";
import { tenthAddress } from "../components/cluster/rke/clusterYml";
import { takenPath } from "../components/cluster/rke/extraConfig";
import { networkSchema } from "../components/cluster/rke/network";
import { systemImageKeys } from "../components/cluster/rke/registries";
import { serviceKeys } from "../components/cluster/rke/services";
import { Note, Reading } from "./reading";
import { Leaf, yamlLeaves } from "./yamlLeaves";

/** The configuration of the cluster and of SSH that a cluster.yml becomes. */
export interface ClusterConfig {
    cluster: Record<string, any>;
    ssh: { privateKeyFile?: string; agent?: true; bastion?: Record<string, unknown> };
}

const services = Object.entries(serviceKeys);
const auditLog = "services.kube-api.audit_log";
const drain = "upgrade_strategy.node_drain_input";
const s3 = "services.etcd.backup_config.s3backupconfig";

/** Keys of cluster.yml with the key below `cluster` that means the same. */
const kept: Record<string, string> = {
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
    "services.etcd.backup_config.enabled": "etcdBackup.enabled",
    "services.etcd.backup_config.interval_hours": "etcdBackup.intervalHours",
    "services.etcd.backup_config.retention": "etcdBackup.retention",
    [`${s3}.endpoint`]: "etcdBackup.s3.endpoint",
    [`${s3}.bucket_name`]: "etcdBackup.s3.bucket",
    [`${s3}.folder`]: "etcdBackup.s3.folder",
    [`${s3}.region`]: "etcdBackup.s3.region",
    [`${s3}.custom_ca`]: "etcdBackup.s3.caCertificate",
    "authentication.sans[]": "apiServerSans[]",
    addon_job_timeout: "addonJobTimeoutSeconds",
};

/** Secret keys of cluster.yml with the argument that takes the secret. */
const secrets: Record<string, string> = {
    "private_registries[].password": "cluster.privateRegistries[].password",
    [`${s3}.access_key`]: "cluster.etcdBackup.s3.accessKey",
    [`${s3}.secret_key`]: "cluster.etcdBackup.s3.secretKey",
    "nodes[].ssh_key": "cluster.nodes[].privateKey",
    "bastion_host.ssh_key": "ssh.bastion.privateKey",
};

/** Keys that this stack sets to one value. */
const fixed: Record<string, unknown> = {
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

/** Options of the ingress controller that arguments of the load balancer set. */
const limits = Object.keys(ingressOptions(limitsSchema.parse({}))).map(option => `ingress.options.${option}`);

/** Switches that are on without an argument, so that false means something. */
const onByDefault = [`${auditLog}.enabled`, `${drain}.ignore_daemonsets`, "services.etcd.backup_config.enabled"];

/** Names of labels and options contain dots, so these patterns keep them whole. */
const named: [RegExp, (match: RegExpExecArray) => (string | number)[]][] = [
    [/^nodes\[(\d+)\]\.labels\.(.+)$/, ([, node, label]) => ["nodes", Number(node), "labels", label]],
    [/^ingress\.options\.(.+)$/, ([, option]) => ["ingressOptions", option]],
    [/^ingress\.node_selector\.(.+)$/, ([, label]) => ["ingressNodeSelector", label]],
    ...services.map(([name, key]): (typeof named)[number] => [
        new RegExp(`^services\\.${key}\\.extra_args\\.(.+)$`),
        ([, flag]) => ["services", name, "extraArgs", flag],
    ]),
];

const isEmpty = (value: unknown) => value === null || value === "" || value === false || value === 0;

/** Reads a cluster.yml of RKE 1. Every key with a value is kept, fixed, or noted. */
export function readClusterYml(text: string): Reading<ClusterConfig> {
    const leaves = yamlLeaves(text);
    const settings: ClusterConfig = { cluster: {}, ssh: sshKey(leaves) };
    const notes: Note[] = [];
    for (const leaf of leaves.filter(leaf => !isOwnDns(leaf, leaves))) {
        const note = keepLeaf(leaf, settings);
        if (note) notes.push({ line: leaf.line, what: leaf.path, advice: note });
    }
    return { settings, notes: notes.filter(({ what }, index) => index === 0 || !isImage(what) || !isImage(notes[index - 1].what)) };
}

const keyOfBastion = "bastion_host.ssh_key_path";
const keysOfNodes = ["ssh_key_path", "nodes[].ssh_key_path"];

/**
 * Returns the SSH key that RKE logs in with: the first one that the file names. Without one, RKE uses the keys of the agent or a default
 * (defaults.go of RKE 1.8.14).
 */
function sshKey(leaves: Leaf[]): ClusterConfig["ssh"] {
    const named = leaves.find(({ kind, value }) => keysOfNodes.includes(kind) && !isEmpty(value));
    if (named) return { privateKeyFile: String(named.value) };
    return leaves.some(({ path, value }) => path === "ssh_agent_auth" && value === true)
        ? { agent: true }
        : { privateKeyFile: "~/.ssh/id_rsa" };
}

const serviceRange = networkSchema.shape.serviceClusterIpRange.catch("");

/** Reports whether a value is the address of the cluster's DNS that this library sets, too. */
function isOwnDns({ path, value }: Leaf, leaves: Leaf[]): boolean {
    const range = leaves.find(leaf => leaf.path === "services.kube-api.service_cluster_ip_range")?.value;
    return path === "services.kubelet.cluster_dns_server" && value === tenthAddress(serviceRange.parse(range));
}

const isImage = (path: string) => path.startsWith("system_images.");

/** Puts one value into the settings. Returns a note when the settings cannot hold the value. */
function keepLeaf(leaf: Leaf, settings: ClusterConfig): string | undefined {
    const { path, kind, keys, value } = leaf;
    const isMeant = value === false && onByDefault.includes(kind);
    if ((isEmpty(value) && !isMeant) || fixed[kind] === value) return undefined;
    if (kind === "nodes[].port") return Number(value) === 22 ? undefined : void put(settings.cluster, keysOf(path), Number(value));
    if (kind === "bastion_host.port") return void put(settings.ssh, ["bastion", "port"], Number(value));
    if (["bastion_host.address", "bastion_host.user"].includes(kind)) return void put(settings.ssh, ["bastion", keys[1]], value);
    if ([...keysOfNodes, keyOfBastion].includes(kind)) return noteOfKey(leaf, settings);
    if (kind in secrets) return secretNote(withIndexes(secrets[kind], path));
    if (limits.includes(path)) return "is not kept, maxBodySize, maxRequestHeaderSize and maxResponseHeaderSize of loadBalancer set it";
    for (const [pattern, argumentOf] of named) {
        const match = pattern.exec(path);
        if (match) return void put(settings.cluster, argumentOf(match), String(value));
    }
    if (kind in kept) return void put(settings.cluster, keysOf(withIndexes(kept[kind], path)), value);
    if (isImage(path)) return keepImage(path, String(value), settings);
    return keepFurtherKey(leaf, settings);
}

/** Keeps an image of another registry. RKE's own images stay with RKE, because they belong to one version of Kubernetes. */
function keepImage(path: string, image: string, { cluster }: ClusterConfig): string | undefined {
    const [key] = Object.entries(systemImageKeys).find(([, name]) => path === `system_images.${name}`) ?? [];
    const isForeign = /^[^/]*[.:][^/]*\//.test(image);
    if (isForeign && key) return void put(cluster, ["systemImages", key], image);
    return "is not kept, RKE takes its own images for kubernetes_version";
}

/** Keeps the policy of the audit log, and keys that no argument sets. A secret is never written to a file. */
function keepFurtherKey({ path, kind, keys, value, line }: Leaf, { cluster }: ClusterConfig): string | undefined {
    const policy = `${auditLog}.configuration.policy.`;
    if (path.startsWith(policy)) return void put(cluster, ["services", "kubeApi", "auditLog", "policy", ...keys.slice(5)], value);
    const expected = kind in fixed ? `this stack always sets ${JSON.stringify(fixed[kind])}` : "this stack has no such key";
    if (takenPath(kind.replace(/\[\]/g, ""))) return `cannot be expressed, ${expected}. RKE drops line ${line} in its next run`;
    if (/passw|secret|token|credential|key$/i.test(String(keys[keys.length - 1]))) return secretNote(`cluster.extraConfig.${path}`);
    return void put(cluster, ["extraConfig", ...keys], value);
}

const secretNote = (argument: string) => `is a secret, and is not kept: pulumi config set --secret --path 'pulumi-rancher-ha:${argument}'`;

/** Returns a note about an SSH key that is not the one of `ssh`. */
function noteOfKey({ kind, value }: Leaf, { ssh }: ClusterConfig): string | undefined {
    if (ssh.agent) return "is not kept, because RKE takes the keys of the SSH agent";
    const owner = kind === keyOfBastion ? "ssh.bastion" : "this node";
    return ssh.privateKeyFile === value
        ? undefined
        : `is another key than ${ssh.privateKeyFile}. Give ${owner} a privateKey of its own, as a secret`;
}

/** Returns a path with the indexes of another one: `nodes[].roles[]` with those of `nodes[1].role[0]`. */
function withIndexes(kind: string, path: string): string {
    const indexes = [...path.matchAll(/\[(\d+)\]/g)].map(([, index]) => index);
    return kind.replace(/\[\]/g, () => `[${indexes.shift()}]`);
}

const keysOf = (path: string): (string | number)[] =>
    path.split(/\.|\[|\]\.?/).flatMap(part => (part === "" ? [] : /^\d+$/.test(part) ? Number(part) : part));

/** Sets the value at a path, and creates missing objects and lists on the way. */
function put(target: any, [key, ...rest]: (string | number)[], value: unknown): void {
    if (rest.length === 0) target[key] = value;
    else put((target[key] ??= typeof rest[0] === "number" ? [] : {}), rest, value);
}
