import { ingressOptions, limitsSchema } from "../components/loadBalancer/limits";
import { Note, Reading } from "./reading";
import { Leaf, yamlLeaves } from "./yamlLeaves";

/** The configuration of the cluster and of SSH that a cluster.yml becomes. */
export interface ClusterConfig {
    cluster: Record<string, any>;
    ssh: { privateKeyFile?: string };
}

/** Keys of cluster.yml with the key below `cluster` that means the same. */
const kept: Record<string, string> = {
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

/** Names of labels and options contain dots, so these patterns keep them whole. */
const named: [RegExp, (match: RegExpExecArray) => (string | number)[]][] = [
    [/^nodes\[(\d+)\]\.labels\.(.+)$/, ([, node, label]) => ["nodes", Number(node), "labels", label]],
    [/^ingress\.options\.(.+)$/, ([, option]) => ["ingressOptions", option]],
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
function keepLeaf({ path, kind, value, line }: Leaf, settings: ClusterConfig): string | undefined {
    if (isEmpty(value) || fixed[kind] === value) return undefined;
    if (kind === "nodes[].port") return Number(value) === 22 ? undefined : void put(settings.cluster, keysOf(path), Number(value));
    if (kind === "ssh_key_path" || kind === "nodes[].ssh_key_path") return keepKey(String(value), settings);
    if (limits.includes(path)) return "is not kept, maxBodySize, maxRequestHeaderSize and maxResponseHeaderSize of loadBalancer set it";
    for (const [pattern, keys] of named) {
        const match = pattern.exec(path);
        if (match) return void put(settings.cluster, keys(match), String(value));
    }
    if (kind in kept) return void put(settings.cluster, withIndexes(kept[kind], path), value);
    if (isImage(path))
        return "is not kept, RKE takes its own images for kubernetes_version. Images from another registry cannot be expressed";
    const expected = kind in fixed ? `this stack always sets ${JSON.stringify(fixed[kind])}` : "this stack has no such key";
    return `cannot be expressed, ${expected}. RKE drops line ${line} in its next run`;
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
