import * as fc from "fast-check";
import { issue, KeyKind } from "../lab/certificates";
import { pair, validConfiguration } from "./configuration";
import { kubeconfigOf } from "./kubeconfig";

/** Name for which provided certificates of random configurations are issued. */
const providedName = "rancher.example.com";

/** Folder of certificates that another tool keeps on the hosts of random configurations. */
export const hostFolder = "/run/acme";

const { hostKey } = pair.hosts[0];
const whole = (min: number, max: number) => fc.integer({ min, max });
const dnsLabel = fc.stringMatching(/^[a-z]([-a-z0-9]{0,8}[a-z0-9])?$/);
const dnsName = fc.array(dnsLabel, { minLength: 2, maxLength: 4 }).map(labels => labels.join("."));
const labelValue = fc.oneof(fc.constant(""), fc.stringMatching(/^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/));
const labelKey = fc.oneof(
    dnsLabel,
    fc.tuple(dnsName, dnsLabel).map(parts => parts.join("/")),
);
const user = fc.stringMatching(/^[a-z_][-a-z0-9_.@]{0,30}$/);
const partial = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(model, { requiredKeys: [] });

const drift = fc.constantFrom("off", "warn", "enforce");

const loadBalancer = fc
    .record({
        isPair: fc.boolean(),
        hasInnerAddresses: fc.boolean(),
        advertIntervalSeconds: whole(2, 1000).map(hundredths => hundredths / 100),
        routerId: whole(1, 255),
        tuning: partial({
            upstreamPort: whole(1, 65535),
            upstreamKeepalive: whole(1, 10_000),
            connectTimeoutSeconds: whole(1, 75),
            readTimeoutSeconds: whole(900, 31_536_000),
            maxFails: whole(0, 1000),
            failTimeoutSeconds: whole(1, 3600),
            deadPeerTimeoutSeconds: whole(5, 7200),
            workerConnections: whole(512, 1_000_000),
            workerShutdownTimeoutSeconds: whole(1, 31_536_000),
            maxBodySize: fc.tuple(whole(1, 4096), fc.constantFrom("k", "m", "g")).map(parts => parts.join("")),
            maxRequestHeaderSize: whole(8, 256).map(size => `${size}k`),
            maxResponseHeaderSize: whole(4, 64).map(size => `${size}k`),
            kubernetesApi: fc.boolean(),
            takeOver: fc.boolean(),
            drift,
            minTlsVersion: fc.constantFrom("1.2", "1.3"),
            hstsMaxAgeSeconds: whole(0, 315_360_000),
            trustedProxies: fc.array(
                fc.oneof(
                    fc.ipV4(),
                    fc.ipV6(),
                    fc.tuple(fc.ipV4(), whole(8, 32)).map(parts => parts.join("/")),
                ),
            ),
            statusPort: fc.oneof(whole(81, 442), whole(1024, 6442)),
            extraDirectives: partial({
                http: fc.constantFrom("", "gzip_vary on;", "map $arg_a $b { default 1; }\n# a comment"),
                server: fc.constantFrom("", 'if ($arg_a ~ "^a{2}$") { return 403; }', "proxy_set_header X-Own a;"),
                location: fc.constantFrom("", "limit_rate 1m;"),
            }),
        }),
    })
    .map(({ isPair, hasInnerAddresses, tuning, ...virtualIp }) => {
        const inner = (index: number) => hasInnerAddresses && { internalAddress: `203.0.113.${index + 1}` };
        const hosts = pair.hosts.map((host, index) => ({ ...host, ...inner(index) }));
        return {
            ...tuning,
            ...(isPair ? { hosts, virtualIp: { ...pair.virtualIp, ...virtualIp } } : { hosts: hosts.slice(0, 1) }),
        };
    });

const service = partial({
    extraArgs: fc.dictionary(fc.constantFrom("v", "max-pods", "feature-gates", "oidc-issuer-url"), fc.stringMatching(/^[ -~]{0,40}$/), {
        maxKeys: 2,
    }),
    extraBinds: fc.array(fc.constantFrom("/lib/modules:/lib/modules", "/etc/x:/etc/x:ro", "/dev:/dev:rw,rslave"), { maxLength: 2 }),
    extraEnv: fc.uniqueArray(fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,10}=[ -~]{0,20}$/), {
        maxLength: 2,
        selector: text => text.split("=")[0],
    }),
});
const several = fc.oneof(
    whole(1, 9999).map(String),
    whole(1, 100).map(percent => `${percent}%`),
);
const registryHost = fc.oneof(
    dnsName,
    fc.tuple(dnsName, whole(1, 65535)).map(parts => parts.join(":")),
    fc.tuple(fc.ipV4(), whole(1, 65535)).map(parts => parts.join(":")),
);
/** Groups of keys that are given whole or not at all. */
const ca = issue({ name: "CA", ca: true });
const s3 = fc
    .record({
        place: partial({
            endpoint: fc.oneof(dnsName, fc.constant("192.0.2.60:9000")),
            folder: fc.constantFrom("rancher", "a/b_c/d.e"),
            region: fc.constantFrom("eu-central-1", "auto"),
            caCertificate: fc.constant(ca.certificate),
        }),
        bucket: fc.stringMatching(/^[a-z][-a-z0-9]{1,20}(\.[a-z0-9]{1,20})?[a-z0-9]$/).filter(name => !name.includes("-.")),
        keys: fc.constantFrom({}, { accessKey: "access", secretKey: 's"e: \\#' }),
    })
    .map(({ place, bucket, keys }) => ({ ...place, ...keys, bucket }));
const rkeSettings = partial({
    services: partial({
        kubeApi: fc
            .record({ own: service, last: whole(30_000, 65_535), secretsEncryption: fc.boolean() })
            .map(({ own, last, ...others }) => ({
                ...own,
                ...others,
                serviceNodePortRange: `30000-${last}`,
                auditLog: {
                    maxAgeDays: last % 100 === 0 ? 1 : last % 100,
                    maxBackup: 3,
                    maxSizeMb: 50,
                    enabled: last % 2 === 0,
                    path: "/var/log/kube-audit/audit.json",
                    format: last % 3 === 0 ? "legacy" : "json",
                    policy: { apiVersion: "audit.k8s.io/v1", kind: "Policy", rules: [{ level: "Metadata" }] },
                },
            })),
        kubeController: service,
        scheduler: service,
        kubelet: fc.tuple(service, dnsName).map(([own, clusterDomain]) => ({ ...own, clusterDomain })),
        kubeproxy: service,
        etcd: service,
    }),
    upgradeStrategy: fc
        .record({
            counts: partial({ maxUnavailableWorker: several, maxUnavailableControlplane: several, drain: fc.boolean() }),
            nodeDrainInput: partial({
                force: fc.boolean(),
                ignoreDaemonSets: fc.boolean(),
                deleteLocalData: fc.boolean(),
                gracePeriodSeconds: whole(-1, 86_400),
                timeoutSeconds: whole(1, 10_800),
            }),
        })
        .map(({ counts, nodeDrainInput }) => ({ ...counts, ...(counts.drain && { nodeDrainInput }) })),
    privateRegistries: fc
        .uniqueArray(registryHost, { maxLength: 3 })
        .map(urls => urls.map((url, index) => ({ url, isDefault: index === 0, ...(index > 0 && { user: "u", password: 'p"w: \\#' }) }))),
    systemImages: registryHost.map(host => ({ coredns: `${host}/rancher/mirrored-coredns-coredns:1.11.1`, alpine: "rke-tools:v0.1.114" })),
    ignoreDockerVersion: fc.boolean(),
    extraConfig: fc.constantFrom<object>(
        {},
        { monitoring: { replicas: 2 } },
        { network: { options: { canal_flannel_backend_type: "vxlan" } } },
    ),
});

const nodeSettings = partial({
    user,
    port: whole(1, 65535),
    labels: fc.dictionary(labelKey, labelValue, { maxKeys: 3 }),
    taints: fc.uniqueArray(
        fc.record({ key: labelKey, value: labelValue, effect: fc.constantFrom("NoSchedule", "PreferNoSchedule", "NoExecute") }),
        { maxLength: 3, selector: ({ key }) => key },
    ),
});
/** Returns a network without the keys that its plugin does not take. */
function withPlugin({ interface: name, ...network }: { plugin?: string; mtu?: number; interface?: string }): object {
    const takesInterface = [undefined, "canal", "flannel"].includes(network.plugin);
    return { ...network, ...(network.plugin === "flannel" && { mtu: 0 }), ...(takesInterface && name && { interface: name }) };
}

const lastWorker = {
    user: "rke",
    hostKey,
    address: "198.51.100.100",
    hostname: "last-worker",
    roles: ["worker"],
    labels: { "example.com/ingress": "yes" },
};
const cluster = fc
    .record({
        rke: rkeSettings,
        etcd: fc.constantFrom(1, 3, 5),
        nodes: fc.array(nodeSettings, { minLength: 5, maxLength: 8 }),
        names: fc.uniqueArray(dnsLabel, { minLength: 8, maxLength: 8 }),
        settings: partial({
            clusterName: dnsName,
            network: partial({
                plugin: fc.constantFrom("canal", "flannel", "calico", "none"),
                mtu: fc.oneof(fc.constant(0), whole(576, 65535)),
                interface: fc.constantFrom("eth1", "bond0.10"),
                clusterCidr: fc.tuple(whole(64, 127), whole(12, 20)).map(([second, prefix]) => `100.${second & 0xf0}.0.0/${prefix}`),
                serviceClusterIpRange: fc.tuple(whole(16, 31), whole(16, 24)).map(([second, prefix]) => `172.${second}.0.0/${prefix}`),
            }),
            etcdBackup: partial({ s3, enabled: fc.boolean(), intervalHours: whole(1, 168), retention: whole(1, 10_000) }),
            ingressOptions: fc.dictionary(dnsLabel, fc.string(), { maxKeys: 3 }),
            apiEndpoint: fc.constantFrom("https://192.0.2.40:6443", "https://api.example.com", "https://[2001:db8::40]:6443"),
            apiServerSans: fc.array(fc.oneof(dnsName, fc.ipV4(), fc.ipV6()), { maxLength: 3 }),
            ingressNodeSelector: fc.constant({ "example.com/ingress": "yes" }),
            addonJobTimeoutSeconds: whole(30, 86_400),
            timeoutSeconds: whole(60, 86_400),
            deletionProtection: fc.boolean(),
            caRotations: whole(0, 20),
            drift,
        }),
        hasInnerAddresses: fc.boolean(),
    })
    .map(({ etcd, nodes, names, settings, rke, hasInnerAddresses }) => ({
        kubernetesVersion: "v1.30.14-rancher1-1",
        ...settings,
        ...rke,
        nodes: nodes.map((node, index) => ({
            user: "rke",
            hostKey,
            ...node,
            address: `198.51.100.${index + 1}`,
            ...(hasInnerAddresses && { internalAddress: `10.1.0.${index + 1}` }),
            hostname: names[index],
            roles: index < etcd ? ["etcd", "controlplane"] : ["worker", "controlplane"],
        })),
    }))
    .map(({ network, ...settings }) => ({
        ...settings,
        ...(network && { network: withPlugin(network) }),
    }))
    // A last node is a worker, because five nodes can all have etcd.
    .map(({ nodes, ...settings }) => ({
        ...settings,
        nodes: [...nodes, lastWorker],
    }));

const existingCluster = fc
    .record({
        ingress: whole(1, 5),
        isDual: fc.boolean(),
        controlPlane: whole(1, 3),
        settings: partial({
            apiEndpoint: fc.constantFrom("https://192.0.2.40:6443", "https://[2001:db8::40]:6443"),
            kubernetesVersion: fc.constantFrom("v1.30.4", "1.31.9+rke2r1", "v1.32.5"),
        }),
    })
    .map(({ ingress, isDual, controlPlane, settings }) => {
        const addresses = (count: number, from: number) =>
            Array.from({ length: count }, (_, index) => (isDual && index % 2 ? `2001:db8::${from + index}` : `198.51.100.${from + index}`));
        return {
            ...settings,
            kubeconfig: kubeconfigOf(),
            ingressAddresses: addresses(ingress, 1),
            controlPlaneAddresses: addresses(controlPlane, 11),
        };
    });

const proxy = fc
    .record({
        url: fc.constantFrom("http://proxy.example.com:3128", "https://user:p%40ss@192.0.2.61"),
        noProxy: fc.option(
            fc.array(
                fc.oneof(
                    dnsName,
                    fc.constantFrom("192.0.2.0/24", ".example.com", "*.example.com", "2001:db8::/32", "192.0.2.9:443", "[2001:db8::9]:443"),
                ),
            ),
            { nil: undefined },
        ),
    })
    .map(({ url, noProxy }) => ({ proxy: url, ...(noProxy && { noProxy }) }));

const backup = fc
    .record({
        settings: partial({
            schedule: fc.constantFrom("0 2 * * *", "30 2 * * mon-fri", "@every 12h", "@daily"),
            retentionCount: whole(1, 10_000),
            repository: fc.constantFrom(
                "https://charts.example.com",
                "oci://registry.example.com:5000",
                "oci://registry.example.com/charts",
            ),
            values: fc.constantFrom<object>({}, { debug: true }),
        }),
        place: fc.oneof(
            fc.record({ s3 }),
            fc.record({
                volume: fc
                    .record({
                        name: dnsName,
                        size: whole(1, 999).map(size => `${size}Gi`),
                        storageClass: fc.option(dnsName, { nil: undefined }),
                    })
                    .map(({ storageClass, ...volume }) => ({ ...volume, ...(storageClass && { storageClass }) })),
            }),
        ),
    })
    .map(({ settings, place }) => ({
        chartVersion: "106.0.2+up7.0.2",
        encryptionKey: Buffer.alloc(32, 7).toString("base64"),
        ...settings,
        ...place,
    }));

const probe = partial({ timeoutSeconds: whole(1, 60), periodSeconds: whole(1, 60), failureThreshold: whole(1, 60) });
const image = fc.tuple(registryHost, fc.constantFrom("rancher/rancher", "mirror/a__b/rancher")).map(parts => parts.join("/"));
const rancher = fc
    .record({
        proxy: fc.option(proxy, { nil: {} }),
        settings: partial({
            additionalTrustedCAs: fc.constant(ca.certificate),
            backup,
            repository: fc.constantFrom("https://charts.example.com/rancher", "oci://registry.example.com/charts/rancher"),
            agentTlsMode: fc.constant("system-store"),
            eulaAgreed: fc.constant("2025-06-30T12:00:00Z"),
            bootstrapPassword: fc.oneof(fc.constant(""), fc.stringMatching(/^[ -~]{12,72}$/)),
            timeoutSeconds: whole(60, 86_400),
            deletionProtection: fc.boolean(),
            drift,
        }),
        replicas: fc.oneof(whole(1, 100), whole(-100, -1)),
        values: partial({
            debug: fc.boolean(),
            antiAffinity: fc.constantFrom("preferred", "required"),
            auditLog: partial({
                level: whole(0, 3),
                maxAge: whole(0, 100),
                destination: fc.constantFrom("sidecar", "hostPath"),
                hostPath: fc.constantFrom("/var/log/rancher/", "/a b/c"),
            }),
            extraEnv: fc.uniqueArray(fc.record({ name: fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,20}$/), value: fc.string() }), {
                maxLength: 4,
                selector: ({ name }) => name,
            }),
            features: fc.uniqueArray(dnsLabel, { maxLength: 3 }).map(names => names.map(name => `${name}=false`).join(",")),
            ingress: partial({
                ingressClassName: fc.oneof(fc.constant(""), dnsName),
                extraAnnotations: fc.dictionary(labelKey, fc.stringMatching(/^[ -~]{0,40}$/), { maxKeys: 2 }),
            }),
            extraTolerations: fc.constantFrom<object[]>([{ operator: "Exists" }], [{ key: "a", value: "b", effect: "NoSchedule" }]),
            hostPort: whole(1, 65535),
            noDefaultAdmin: fc.boolean(),
            livenessProbe: probe,
            readinessProbe: probe,
            startupProbe: probe,
            service: partial({ type: fc.constantFrom("ClusterIP", "NodePort"), annotations: fc.constant({ "example.com/a": "b" }) }),
            rancherImage: image,
            rancherImageTag: fc.constantFrom("", "v2.11.3", `v2.11.3@sha256:${"0a".repeat(32)}`),
            systemDefaultRegistry: fc.oneof(fc.constant(""), registryHost),
            topologyKey: labelKey,
            imagePullSecrets: fc.array(fc.record({ name: dnsLabel }), { maxLength: 2 }),
            priorityClassName: dnsName,
            resources: partial({ limits: fc.constant({ memory: "4Gi" }), requests: fc.constant({ cpu: "500m", memory: "1.5Gi" }) }),
        }),
    })
    .map(({ proxy: proxied, settings, ...others }) => ({ chartVersion: "2.11.3", ...others, ...settings, ...proxied }));

const names = { name: providedName, names: [`DNS:${providedName}`], by: ca, usage: "serverAuth" };
const [ecdsa, rsa] = [KeyKind.Ecdsa, KeyKind.Rsa].map(key => {
    const { certificate, privateKey } = issue({ ...names, key });
    return { certificateChain: certificate, privateKey };
});
const provided = { ...ecdsa, caCertificate: ca.certificate };
const onHost = { certificateChain: `${hostFolder}/fullchain.pem`, privateKey: `${hostFolder}/privkey.pem` };
/** Kinds of certificates. A provided one is for `providedName`. */
const certificates = fc.oneof(
    partial({
        privateCa: partial({
            dnsNames: fc.array(dnsName, { maxLength: 2 }),
            ipAddresses: fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { maxLength: 2 }),
            organization: fc.constantFrom("Rancher", "Größe & Co."),
            caValidityHours: whole(20_000, 876_000),
            deletionProtection: fc.boolean(),
            algorithm: fc.constantFrom("ecdsa", "rsa"),
            commonName: fc.constantFrom("CA", "Größe & Co."),
            renewBeforeHours: whole(1, 2000),
        }),
    }),
    fc
        .constantFrom<object>(
            { certificate: provided },
            { certificate: { ...provided, secondCertificate: rsa } },
            { certificateOnHost: onHost },
            { certificateOnHost: { ...onHost, caCertificate: ca.certificate } },
        )
        .map(group => ({ ...group, hostname: providedName })),
);

const ssh = fc.option(fc.record({ user, port: whole(1, 65535) }), { nil: undefined }).map(bastion => ({
    ...(validConfiguration().ssh as object),
    ...(bastion && { bastion: { address: "192.0.2.50", hostKey, ...bastion } }),
}));

const stack = <G extends object>(groups: fc.Arbitrary<G>) =>
    fc
        .record({ hostname: dnsName, ssh, loadBalancer, rancher, certificates, groups })
        .map(({ groups: more, certificates: given, ...others }): any => ({ ...others, ...more, ...given }));

/** Random configurations within the rules, with a cluster that RKE builds. */
export const rkeConfigurations = stack(fc.record({ cluster }));

/** Random configurations within the rules. */
export const configurations = fc.oneof(
    { weight: 3, arbitrary: rkeConfigurations },
    { weight: 1, arbitrary: stack(fc.record({ existingCluster })) },
);
