import { z } from "zod";
import { maybeSecret } from "../../secrecy";
import { serviceKeys } from "./services";

/** An object of keys as they stand in cluster.yml. */
type Keys = Record<string, unknown>;

const servicePaths = Object.entries(serviceKeys).flatMap(([service, key]) =>
    Object.entries({ extra_args: "extraArgs", extra_binds: "extraBinds", extra_env: "extraEnv" }).map(([below, argument]) => [
        `services.${key}.${below}`,
        `services.${service}.${argument}`,
    ]),
);

/** Paths of cluster.yml that arguments set, with the argument. */
const ofArguments: Record<string, string> = {
    ...Object.fromEntries(servicePaths),
    addon_job_timeout: "addonJobTimeoutSeconds",
    "authentication.sans": "apiServerSans",
    bastion_host: "ssh.bastion",
    cluster_name: "clusterName",
    ignore_docker_version: "ignoreDockerVersion",
    "ingress.node_selector": "ingressNodeSelector",
    "ingress.options": "ingressOptions",
    kubernetes_version: "kubernetesVersion",
    "network.mtu": "network.mtu",
    "network.options.canal_iface": "network.interface",
    "network.options.flannel_iface": "network.interface",
    "network.plugin": "network.plugin",
    nodes: "nodes",
    private_registries: "privateRegistries",
    "services.etcd.backup_config": "etcdBackup",
    "services.kube-api.audit_log": "services.kubeApi.auditLog",
    "services.kube-api.secrets_encryption_config.enabled": "services.kubeApi.secretsEncryption",
    "services.kube-api.service_cluster_ip_range": "network.serviceClusterIpRange",
    "services.kube-api.service_node_port_range": "services.kubeApi.serviceNodePortRange",
    "services.kube-controller.cluster_cidr": "network.clusterCidr",
    "services.kube-controller.service_cluster_ip_range": "network.serviceClusterIpRange",
    "services.kubelet.cluster_dns_server": "network.serviceClusterIpRange",
    "services.kubelet.cluster_domain": "services.kubelet.clusterDomain",
    ssh_agent_auth: "ssh",
    ssh_cert: "ssh",
    ssh_cert_path: "ssh",
    ssh_key_path: "ssh.privateKey",
    system_images: "systemImages",
    upgrade_strategy: "upgradeStrategy",
};

/** Paths of cluster.yml that this library sets to one value, or leaves out, with the reason. */
const fixed: Record<string, string> = {
    "authentication.strategy": "Its value is always x509",
    "ingress.default_ingress_class": "Rancher needs the default class",
    "ingress.http_port": "The load balancer reaches port 80",
    "ingress.https_port": "The ingress controller keeps port 443",
    "ingress.network_mode": "The load balancer reaches port 80 of the nodes",
    "ingress.provider": "Rancher needs the ingress controller",
    prefix_path: "Checks of the nodes look into /etc/kubernetes and /var/lib",
    restore: "It is an action, which each run of RKE would repeat",
    rotate_certificates: "It is an action, which each run of RKE would repeat",
    rotate_encryption_key: "It is an action, which each run of RKE would repeat",
    "services.etcd.external_urls": "The stack runs etcd on its nodes",
};

/** Returns the advice for a path of cluster.yml that extraConfig cannot set, or undefined for a free path. */
export function takenPath(path: string): string | undefined {
    const starts = (key: string) => path === key || path.startsWith(`${key}.`);
    const argument = Object.keys(ofArguments).find(starts);
    if (argument) return `Use ${ofArguments[argument]}`;
    const reason = Object.keys(fixed).find(starts);
    return reason && `${fixed[reason]}. Remove it`;
}

const isObject = (value: unknown): value is Keys => typeof value === "object" && value !== null && !Array.isArray(value);

/** Returns the paths of the values in an object. A list is one value. */
function paths(keys: Keys, above: string[] = []): string[][] {
    return Object.entries(keys).flatMap(([key, value]) => (isObject(value) ? paths(value, [...above, key]) : [[...above, key]]));
}

/** Reports whether RKE finds an entry of `addons_include` from any folder. RKE takes text that begins so for a URL (cluster/addons.go). */
export const isFoundAnywhere = (entry: unknown): boolean => typeof entry === "string" && /^(http|\/)/.test(entry);

/** Schema of further keys of cluster.yml. */
export const extraConfigSchema = maybeSecret(z.record(z.string(), z.any()))
    .superRefine((extra, context) => {
        for (const path of paths(extra)) {
            const advice = takenPath(path.join("."));
            const message = `expected a key of cluster.yml that nothing else sets. ${advice}.`;
            if (advice) context.addIssue({ code: "custom", path, message });
        }
        const included = Array.isArray(extra.addons_include) ? extra.addons_include : [];
        included.forEach((entry, index) => {
            const message = `expected a URL or a whole path, because RKE runs in a folder of its own, found ${JSON.stringify(entry)}`;
            if (!isFoundAnywhere(entry)) context.addIssue({ code: "custom", path: ["addons_include", index], message });
        });
    })
    .default({});

/** Returns the keys of cluster.yml with the further keys below them. */
export function withExtraConfig(own: Keys, extra: Keys): Keys {
    const merged = Object.entries(extra).map(([key, value]) => {
        const above = own[key];
        return [key, isObject(above) && isObject(value) ? withExtraConfig(above, value) : (above ?? value)];
    });
    return { ...own, ...Object.fromEntries(merged) };
}
