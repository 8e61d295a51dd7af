import { hostKey, sshKey as privateKey } from "./ssh";
const nodeNumbers = [1, 2, 3];

/** Hosts and address of a pair. */
export const pair = {
    hosts: ["192.0.2.21", "192.0.2.22"].map(address => ({ address, hostKey })),
    virtualIp: { address: "192.0.2.20" },
};

/** Returns a new configuration with nearly every key, which the schema accepts. */
export const validConfiguration = (): Record<string, unknown> => ({
    hostname: "rancher.example.com",
    ssh: { user: "admin", port: 22, privateKey, knownHosts: "" },
    loadBalancer: {
        hosts: [{ address: "192.0.2.21", port: 22, user: "root", privateKey, hostKey }],
        kubernetesApi: false,
        takeOver: false,
        drift: "enforce",
        upstreamPort: 80,
        upstreamKeepalive: 128,
        connectTimeoutSeconds: 3,
        readTimeoutSeconds: 1800,
        maxFails: 3,
        failTimeoutSeconds: 10,
        deadPeerTimeoutSeconds: 15,
        workerConnections: 4096,
        workerShutdownTimeoutSeconds: 3600,
        maxBodySize: "256m",
        minTlsVersion: "1.2",
        hstsMaxAgeSeconds: 0,
        trustedProxies: ["10.0.0.0/8", "fd00::/8", "192.0.2.9"],
        statusPort: 280,
        extraDirectives: { http: "gzip_vary on;", server: 'add_header X-A "b";', location: "limit_rate 1m;" },
    },
    cluster: {
        clusterName: "rancher",
        kubernetesVersion: "v1.30.14-rancher1-1",
        nodes: nodeNumbers.map(number => ({
            address: `192.0.2.3${number}`,
            port: 22,
            user: "rke",
            privateKey,
            hostKey,
            hostname: `node${number}`,
            roles: ["controlplane", "etcd", "worker"],
            labels: { zone: "a" },
            taints: [{ key: "example.com/dedicated", value: "rancher", effect: "PreferNoSchedule" }],
        })),
        network: { plugin: "canal", mtu: 0, interface: "eth1", clusterCidr: "10.42.0.0/16", serviceClusterIpRange: "10.43.0.0/16" },
        etcdBackup: {
            enabled: true,
            intervalHours: 6,
            retention: 28,
            s3: {
                endpoint: "s3.example.com:9000",
                bucket: "etcd",
                folder: "rancher",
                region: "eu-central-1",
                accessKey: "a",
                secretKey: "s",
            },
        },
        ingressOptions: { "proxy-read-timeout": "60" },
        ingressNodeSelector: { zone: "a" },
        services: {
            kubeApi: {
                extraArgs: { "oidc-issuer-url": "https://login.example.com" },
                extraBinds: ["/etc/oidc:/etc/oidc:ro"],
                extraEnv: ["GOGC=50"],
                auditLog: {
                    enabled: true,
                    maxAgeDays: 7,
                    maxBackup: 3,
                    maxSizeMb: 50,
                    path: "/var/log/kube-audit/audit.json",
                    format: "legacy",
                    policy: { apiVersion: "audit.k8s.io/v1", kind: "Policy", rules: [{ level: "Request" }] },
                },
                serviceNodePortRange: "31000-32000",
                secretsEncryption: true,
            },
            kubeController: { extraArgs: { "node-monitor-period": "4s" } },
            scheduler: { extraArgs: { v: "3" } },
            kubelet: { extraArgs: { "max-pods": "250" }, extraBinds: ["/lib/modules:/lib/modules"], clusterDomain: "cluster.example.com" },
            kubeproxy: { extraArgs: { "proxy-mode": "ipvs" } },
            etcd: { extraArgs: { "quota-backend-bytes": "4294967296" } },
        },
        upgradeStrategy: {
            maxUnavailableWorker: "2",
            maxUnavailableControlplane: "50%",
            drain: true,
            nodeDrainInput: {
                force: true,
                ignoreDaemonSets: false,
                deleteLocalData: true,
                gracePeriodSeconds: 60,
                timeoutSeconds: 300,
            },
        },
        privateRegistries: [{ url: "registry.example.com:5000", user: "puller", password: "registry-password", isDefault: true }],
        systemImages: { coredns: "registry.example.com:5000/rancher/mirrored-coredns-coredns:1.11.1" },
        ignoreDockerVersion: true,
        extraConfig: { services: { "kube-api": { always_pull_images: true } }, dns: { upstreamnameservers: ["192.0.2.53"] } },
        apiEndpoint: "https://192.0.2.40:6443",
        apiServerSans: ["api.example.com"],
        addonJobTimeoutSeconds: 180,
        timeoutSeconds: 3600,
        deletionProtection: true,
        drift: "warn",
    },
    privateCa: {
        dnsNames: ["other.example.com"],
        ipAddresses: ["192.0.2.20"],
        algorithm: "ecdsa",
        commonName: "Rancher CA",
        organization: "Rancher",
        caValidityHours: 87600,
        certificateValidityHours: 8760,
        renewBeforeHours: 720,
        deletionProtection: true,
    },
    rancher: {
        chartVersion: "2.11.3",
        repository: "https://charts.example.com/rancher",
        repositoryOpts: { username: "puller", password: "repository-password" },
        replicas: 3,
        agentTlsMode: "strict",
        eulaAgreed: "2025-06-30T12:00:00Z",
        bootstrapPassword: "generated-password",
        proxy: "http://proxy.example.com:3128",
        noProxy: ["203.0.113.0/24", ".example.com"],
        values: {
            antiAffinity: "preferred",
            debug: false,
            extraEnv: [{ name: "A", value: "1" }],
            features: "fleet=false",
            imagePullSecrets: [{ name: "registry" }],
            ingress: { ingressClassName: "nginx", path: "/" },
            priorityClassName: "rancher-critical",
            resources: { limits: { memory: "4Gi" }, requests: { cpu: "500m" } },
            service: { type: "ClusterIP" },
        },
        additionalValues: { alsoNew: { a: 1 } },
        timeoutSeconds: 900,
        deletionProtection: true,
        drift: "enforce",
        backup: {
            chartVersion: "106.0.2+up7.0.2",
            repository: "https://charts.rancher.io",
            schedule: "30 2 * * mon-fri",
            retentionCount: 14,
            encryptionKey: Buffer.alloc(32, 7).toString("base64"),
            s3: { endpoint: "s3.example.com", bucket: "backups", accessKey: "a", secretKey: "s" },
            values: { debug: true },
            timeoutSeconds: 600,
        },
    },
    verification: { enabled: true, timeoutSeconds: 300 },
    liveCheck: "warn",
});

/** Returns a copy with another value at a path such as `cluster.nodes[0].user`. The value undefined removes the key. */
export function changeAt(root: Record<string, unknown>, path: string, value: unknown): Record<string, unknown> {
    const keys = path.replace(/\[(\d+)\]/g, ".$1").split(".");
    const last = keys.pop()!;
    const copy = structuredClone(root);
    const parent = keys.reduce<any>((below, key) => (below[key] ??= {}), copy);
    if (value === undefined) delete parent[last];
    else parent[last] = value;
    return copy;
}

/** Returns each value below a value with its path, objects and lists included. */
export function valuesOf(value: unknown, path = ""): [path: string, value: unknown][] {
    if (typeof value !== "object" || value === null) return [];
    return Object.entries(value).flatMap(([key, below]) => {
        const place = Array.isArray(value) ? `${path}[${key}]` : path ? `${path}.${key}` : key;
        return [[place, below] as [string, unknown], ...valuesOf(below, place)];
    });
}
