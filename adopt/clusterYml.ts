import { ingressOptions, limitsSchema } from "../components/loadBalancer/limits";
import { takenPath } from "../components/cluster/rke/extraConfig";
import { systemImageKeys } from "../components/cluster/rke/registries";
import { serviceKeys } from "../components/cluster/rke/services";
import { Note, Reading } from "./reading";
import { Leaf, yamlLeaves } from "./yamlLeaves";

/** The configuration of the cluster and of SSH that a cluster.yml becomes. */
export interface ClusterConfig {
    cluster: Record<string, any>;
    ssh: { privateKeyFile?: string };
}

const services = Object.entries(serviceKeys);
const auditLog = "services.kube-api.audit_log";
const drain = "upgrade_strategy.node_drain_input";

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
    "authentication.sans[]": "apiServerSans[]",
    addon_job_timeout: "addonJobTimeoutSeconds",
};

/** Keys that this stack sets to one value. */
const fixed: Record<string, unknown> = {
    ssh_agent_auth: true,
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
    const settings: ClusterConfig = { cluster: {}, ssh: {} };
    const notes: Note[] = [];
    for (const leaf of yamlLeaves(text)) {
        const note = keepLeaf(leaf, settings);
        if (note) notes.push({ line: leaf.line, what: leaf.path, advice: note });
    }
    return { settings, notes: notes.filter(({ what }, index) => index === 0 || !isImage(what) || !isImage(notes[index - 1].what)) };
}

const isImage = (path: string) => path.startsWith("system_images.");

/** Puts one value into the settings. Returns a note when the settings cannot hold the value. */
function keepLeaf(leaf: Leaf, settings: ClusterConfig): string | undefined {
    const { path, kind, value } = leaf;
    const isMeant = value === false && onByDefault.includes(kind);
    if ((isEmpty(value) && !isMeant) || fixed[kind] === value) return undefined;
    if (kind === "nodes[].port") return Number(value) === 22 ? undefined : void put(settings.cluster, keysOf(path), Number(value));
    if (kind === "ssh_key_path" || kind === "nodes[].ssh_key_path") return keepKey(String(value), settings);
    if (limits.includes(path)) return "is not kept, maxBodySize, maxRequestHeaderSize and maxResponseHeaderSize of loadBalancer set it";
    for (const [pattern, keys] of named) {
        const match = pattern.exec(path);
        if (match) return void put(settings.cluster, keys(match), String(value));
    }
    if (kind in kept) return void put(settings.cluster, withIndexes(kept[kind], path), value);
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
    const isPassword = kind === "private_registries[].password";
    if (!isPassword && takenPath(kind.replace(/\[\]/g, "")))
        return `cannot be expressed, ${expected}. RKE drops line ${line} in its next run`;
    const argument = isPassword ? path.replace("private_registries", "privateRegistries") : `extraConfig.${path}`;
    if (/passw|secret|token|credential|key$/i.test(String(keys[keys.length - 1])))
        return `is a secret, and is not kept: pulumi config set --secret --path 'pulumi-rancher-ha:cluster.${argument}'`;
    return void put(cluster, ["extraConfig", ...keys], value);
}

/** Keeps the path of the SSH key that all nodes share. */
function keepKey(file: string, { ssh }: ClusterConfig): string | undefined {
    ssh.privateKeyFile ??= file;
    return ssh.privateKeyFile === file
        ? undefined
        : `is another key than ${ssh.privateKeyFile}. Give this node a privateKey of its own, as a secret`;
}

/** Returns the keys of a path with the indexes of another one: `nodes[].roles[]` with those of `nodes[1].role[0]`. */
function withIndexes(kind: string, path: string): (string | number)[] {
    const indexes = [...path.matchAll(/\[(\d+)\]/g)].map(([, index]) => index);
    return keysOf(kind.replace(/\[\]/g, () => `[${indexes.shift()}]`));
}

const keysOf = (path: string): (string | number)[] =>
    path.split(/\.|\[|\]\.?/).flatMap(part => (part === "" ? [] : /^\d+$/.test(part) ? Number(part) : part));

/** Sets the value at a path, and creates missing objects and lists on the way. */
function put(target: any, [key, ...rest]: (string | number)[], value: unknown): void {
    if (rest.length === 0) target[key] = value;
    else put((target[key] ??= typeof rest[0] === "number" ? [] : {}), rest, value);
}
