import { execFileSync, spawn, spawnSync } from "child_process";
import { once } from "events";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { delimiter, join, relative } from "path";
import { parse } from "yaml";
import { brotliCompressSync } from "zlib";
import { clusterYml, shownClusterYml } from "../../components/cluster/rke/clusterYml";
import {
    acceptedDocker,
    checkKubernetesVersion,
    checkRancherOnKubernetes,
    Distribution,
    untried,
} from "../../components/cluster/compatibility";
import { communityKubernetes } from "../../components/cluster/rke/rkeVersions";
import { clusterProgram } from "../../components/cluster/rke/program";
import { systemImageKeys } from "../../components/cluster/rke/registries";
import { rkeClusterSchema, RkeClusterSettings } from "../../components/cluster/rke/schema";
import { adminKubeconfig, isNew, unpackState } from "../../components/cluster/rke/state";
import { nodeProgram } from "../../components/remote/programs";
import { describeIssues } from "../../components/validation";
import { until } from "../../lab/process";
import { buildTools } from "../../lab/tools";
import { validConfiguration } from "../configuration";
import { hostKey, newSshKey, sshKey } from "../ssh";

const node = (number: number, changes: object = {}) => ({
    address: `192.0.2.3${number}`,
    hostname: `node${number}`,
    user: "rke",
    hostKey,
    roles: ["controlplane", "etcd", "worker"],
    ...changes,
});
const required = {
    kubernetesVersion: "v1.30.14-rancher1-1",
    ssh: { privateKey: sshKey },
    nodes: [node(1), node(2), node(3)] as object[],
};
const settings = (changes: object = {}): RkeClusterSettings => rkeClusterSchema.parse({ ...required, ...changes });

let tools: string;
let folder: string;
beforeAll(async () => {
    tools = await buildTools("stack");
    folder = mkdtempSync(join(tmpdir(), "cluster-"));
}, 20 * 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

describe("what is refused", () => {
    const cases: [string, object, RegExp][] = [
        [
            "an even number of etcd nodes",
            { nodes: [node(1), node(2)] },
            /nodes: expected an odd number of nodes with the role etcd .*2 are given/,
        ],
        ["no worker", { nodes: [node(1, { roles: ["controlplane", "etcd"] })] }, /nodes: expected at least one node with the role worker/],
        [
            "no control plane",
            { nodes: [node(1, { roles: ["etcd", "worker"] })] },
            /nodes: expected at least one node with the role controlplane/,
        ],
        [
            "the same address twice",
            { nodes: [node(1), node(2), node(3, { address: "192.0.2.31" })] },
            /nodes\[2\]\.address: .*nodes\[0\]\.address is the same/,
        ],
        [
            "the address of one node as the inner address of another",
            { nodes: [node(1, { address: "10.0.0.1" }), node(2), node(3, { address: "192.0.2.2", internalAddress: "10.0.0.1" })] },
            /^nodes\[2\]\.internalAddress: expected a value of its own, nodes\[0\]\.address is the same, found "10\.0\.0\.1"$/,
        ],
        [
            "a worker that load balancers could reach by name only",
            { nodes: [node(1), node(2), node(3, { address: "node3.example.com" })] },
            /nodes\[2\]\.address: expected an IP address, or an internalAddress that is one.* found "node3\.example\.com"/,
        ],
        [
            "the same name twice",
            { nodes: [node(1), node(2), node(3, { hostname: "node1" })] },
            /nodes\[2\]\.hostname: .*nodes\[0\]\.hostname is the same/,
        ],
        ["an unknown version", { kubernetesVersion: "v1.30.99" }, /kubernetesVersion: .*The nearest is v1\.30\.14-rancher1-1/],
        ["a version for subscribers", { kubernetesVersion: "v1.31.14-rancher1-1" }, /need an RKE subscription.*v1\.31\.10-rancher1-1/],
        ["a key RKE would silently drop", { kubernetes_version: "v1.30.14-rancher1-1" }, /kubernetes_version: no such key/],
        ["overlapping ranges", { network: { clusterCidr: "10.43.0.0/17" } }, /network\.serviceClusterIpRange: expected a range apart/],
        [
            "a node inside the pod network",
            { network: { clusterCidr: "192.0.2.0/24" } },
            /nodes\[0\]\.address: expected an address outside network\.clusterCidr/,
        ],
        [
            "a node whose inner address is inside the pod network",
            { nodes: [node(1, { internalAddress: "10.42.0.5" })] },
            /nodes\[0\]\.internalAddress: expected an address outside network\.clusterCidr/,
        ],
        ["a range that is none", { network: { clusterCidr: "10.42.0.0/99" } }, /network\.clusterCidr: expected an IPv4 range/],
        ["an address that is none", { network: { clusterCidr: "999.42.0.0/16" } }, /network\.clusterCidr: expected an IPv4 range/],
        [
            "a range that begins in its middle",
            { network: { serviceClusterIpRange: "10.43.0.250/24" } },
            /network\.serviceClusterIpRange: expected the first address of a range of at least \/24/,
        ],
        [
            "an IPv6 address",
            { nodes: [node(1, { address: "2001:db8::1" })] },
            /nodes\[0\]\.address: expected an IPv4 address or a DNS name/,
        ],
        [
            "untrusted forwarded headers",
            { ingressOptions: { "use-forwarded-headers": "false" } },
            /ingressOptions: expected use-forwarded-headers to be "true"/,
        ],
        [
            "a bastion without a host key",
            { ssh: { privateKey: sshKey, bastion: { address: "192.0.2.9" } } },
            /ssh\.bastion\.hostKey: expected a host key, or a line for this host in ssh\.knownHosts .*, found nothing/,
        ],
        [
            "more keys than a login may try",
            {
                nodes: [1, 2, 3, 4, 5].map(number => node(number, { privateKey: newSshKey().privateKey })),
                ssh: { privateKey: sshKey, bastion: { address: "192.0.2.9", hostKey } },
            },
            /nodes: expected at most 5 different private keys for nodes and bastion, found 6: /,
        ],
        ["a node without a host key", { nodes: [node(1, { hostKey: undefined })] }, /nodes\[0\]\.hostKey: /],
    ];
    test.each(cases)("%s", (_what, changes, message) => {
        const { error } = rkeClusterSchema.safeParse({ ...required, ...changes });
        expect(describeIssues(error!.issues, { ...required, ...changes })).toMatch(message);
    });
});

test("a node may have one address for everybody", () => {
    expect(rkeClusterSchema.safeParse({ ...required, nodes: [node(1, { internalAddress: "192.0.2.31" })] }).success).toBe(true);
});

test("versions that do not work together are refused with the nearest that do", () => {
    expect(checkKubernetesVersion("v1.30.14-rancher1-1")).toBeUndefined();
    expect(checkRancherOnKubernetes("2.11.3", "v1.30.14", Distribution.Rke)).toBeUndefined();
    expect(checkRancherOnKubernetes("2.12.1", "v1.31.10", Distribution.Rke)).toMatch(
        /that ends with 2\.11\. The nearest that works is Rancher 2\.11\.x/,
    );
    expect(checkRancherOnKubernetes("2.12.1", "v1.31.10", Distribution.Other)).toBeUndefined();
    expect(checkRancherOnKubernetes("2.9.2", "v1.31.10", Distribution.Other)).toMatch(
        /2\.9 works on 1\.27 to 1\.30\. The nearest that works is Rancher 2\.10\.x/,
    );
    expect(checkRancherOnKubernetes("2.11.3", "v1.33.1", Distribution.Rke)).toMatch(
        /No Rancher known here works on Kubernetes 1\.33 on a cluster built with RKE$/,
    );
    expect(checkRancherOnKubernetes("2.11.3", "v1.33.1", Distribution.Other)).toMatch(/The nearest that works is Rancher 2\.12\.x$/);
    expect(acceptedDocker("v1.30.14-rancher1-1")).toEqual(expect.arrayContaining(["20.10", "28.3"]));
    expect(acceptedDocker("v1.30.14-rancher1-1")).not.toContain("29.0");
});

test("every version of RKE's data with public images is accepted", () => {
    expect(communityKubernetes).toHaveLength(57);
    expect(communityKubernetes.map(checkKubernetesVersion).filter(Boolean)).toEqual([]);
    expect(checkKubernetesVersion("v1.29.15-rancher1-1")).toBeUndefined();
    expect(checkKubernetesVersion("v1.31.14-rancher1-1")).toMatch(/need an RKE subscription\. The nearest is v1\.31\.10-rancher1-1$/);
});

test.each([
    ["2.16.0", "v1.35.2", /^Rancher 2\.16 is newer than/],
    ["2.15.0", "v1.37.0", /^Kubernetes 1\.37 is newer than/],
    ["2.16.1", "v1.37.1", /^Rancher 2\.16 and Kubernetes 1\.37 is newer than/],
])("Rancher %s on Kubernetes %s only warns on an existing cluster", (chart, kubernetes, words) => {
    expect(checkRancherOnKubernetes(chart, kubernetes, Distribution.Other)).toBeUndefined();
    expect(untried(chart, kubernetes, Distribution.Other)).toMatch(words);
    expect(checkRancherOnKubernetes(chart, kubernetes, Distribution.Rke)).toBeDefined();
    expect(untried("2.11.3", "v1.31.4", Distribution.Other)).toBeUndefined();
});

describe("with the real rke", () => {
    const everything = {
        clusterName: "production",
        nodes: [
            node(1, { internalAddress: "10.0.0.1", labels: { zone: "a" }, taints: [{ key: "k", value: "v", effect: "NoSchedule" }] }),
            node(2),
            node(3, { port: 2222 }),
        ],
        network: { plugin: "calico", clusterCidr: "10.52.0.0/16", serviceClusterIpRange: "10.53.0.0/16" },
        apiServerSans: ["api.example.com"],
        ingressOptions: { "proxy-body-size": "64m" },
        etcdBackup: {
            intervalHours: 3,
            retention: 5,
            s3: { endpoint: "s3.example.com:9000", bucket: "etcd", folder: "a/b", region: "eu-central-1", accessKey: "a", secretKey: "s" },
        },
    };

    function init(cluster: RkeClusterSettings, state = "") {
        const work = mkdtempSync(join(folder, "init-"));
        writeFileSync(join(work, "cluster.yml"), clusterYml(cluster));
        writeFileSync(join(work, "cluster.rkestate"), state);
        execFileSync(join(tools, "rke"), ["up", "--init", "--config", "cluster.yml"], { cwd: work });
        return readFileSync(join(work, "cluster.rkestate"), "utf8");
    }

    test("every key that is rendered is one that rke reads", () => {
        const cluster = settings(everything);
        const read = JSON.parse(init(cluster)).desiredState.rkeConfig;
        expect(read.nodes).toEqual([
            expect.objectContaining({
                address: "192.0.2.31",
                internalAddress: "10.0.0.1",
                hostnameOverride: "node1",
                user: "rke",
                sshAgentAuth: true,
                labels: { zone: "a" },
            }),
            expect.objectContaining({ address: "192.0.2.32", role: ["controlplane", "etcd", "worker"] }),
            expect.objectContaining({ address: "192.0.2.33", port: "2222" }),
        ]);
        expect(read.nodes[0].taints).toEqual([expect.objectContaining({ key: "k", value: "v", effect: "NoSchedule" })]);
        expect(read).toMatchObject({
            clusterName: "production",
            kubernetesVersion: "v1.30.14-rancher1-1",
            sshAgentAuth: true,
            addonJobTimeout: 180,
            network: { plugin: "calico" },
            authentication: { sans: expect.arrayContaining(["api.example.com"]) },
            ingress: {
                provider: "nginx",
                networkMode: "hostPort",
                httpPort: 80,
                options: { "use-forwarded-headers": "true", "proxy-body-size": "64m" },
            },
        });
        expect(read.services.etcd.backupConfig).toMatchObject({
            enabled: true,
            intervalHours: 3,
            retention: 5,
            s3BackupConfig: {
                endpoint: "s3.example.com:9000",
                bucketName: "etcd",
                folder: "a/b",
                region: "eu-central-1",
                accessKey: "a",
                secretKey: "s",
            },
        });
        expect(read.services.kubeApi.serviceClusterIpRange).toBe("10.53.0.0/16");
        expect(read.services.kubeController).toMatchObject({ clusterCidr: "10.52.0.0/16", serviceClusterIpRange: "10.53.0.0/16" });
        expect(read.services.kubelet.clusterDnsServer).toBe("10.53.0.10");
    });

    test("an endpoint on a control plane node changes no data of a run of RKE", () => {
        const { rkeConfig, certificatesBundle } = { rkeConfig: {}, certificatesBundle: { "kube-ca": { certificatePEM: "ca" } } };
        const pki = { packed: "pki", state: { desiredState: { rkeConfig, certificatesBundle } } as any };
        const nodes = [node(1), node(2, { internalAddress: "10.0.0.2" }), node(3), node(4, { roles: ["worker"] })];
        const programs = (changes: object) => {
            const cluster = settings({ nodes, ...changes });
            return (["nodes", "cluster"] as const).map(task => clusterProgram(task, cluster, [pki]));
        };
        for (const host of ["192.0.2.32", "10.0.0.2"]) expect(programs({ apiEndpoint: `https://${host}:6443` })).toEqual(programs({}));
        const sans = (apiEndpoint: string) => parse(clusterYml(settings({ nodes, apiEndpoint }))).authentication.sans;
        expect(["https://192.0.2.34:6443", "https://192.0.2.30:6443"].map(sans)).toEqual([["192.0.2.34"], ["192.0.2.30"]]);
    });

    test("every key of services, registries, images and upgrades is one that rke reads", () => {
        const { network, services, ...others } = validConfiguration().cluster as any;
        const keys = ["upgradeStrategy", "privateRegistries", "systemImages", "extraConfig", "ingressNodeSelector"] as const;
        const chosen = Object.fromEntries(keys.map(key => [key, others[key]]));
        const nodes = [1, 2, 3].map(number => node(number, { labels: { zone: "a" } }));
        const read = JSON.parse(init(settings({ ...chosen, network, services, nodes }))).desiredState.rkeConfig;
        const { etcd, kubeApi, kubeController, scheduler, kubelet, kubeproxy } = read.services;
        expect(kubeApi).toMatchObject({
            extraArgs: services.kubeApi.extraArgs,
            extraBinds: services.kubeApi.extraBinds,
            extraEnv: services.kubeApi.extraEnv,
            serviceNodePortRange: "31000-32000",
            secretsEncryptionConfig: { enabled: true },
            alwaysPullImages: true,
        });
        const { policy, ...log } = kubeApi.auditLog.configuration;
        expect(log).toEqual({ maxAge: 7, maxBackup: 3, maxSize: 50, path: "/var/log/kube-audit/audit.json", format: "legacy" });
        expect(policy.rules).toEqual([expect.objectContaining({ level: "Request" })]);
        expect(kubeController.extraArgs).toEqual({ "node-monitor-period": "4s" });
        expect(scheduler.extraArgs).toEqual({ v: "3" });
        expect(kubelet).toMatchObject({ extraArgs: { "max-pods": "250" }, extraBinds: ["/lib/modules:/lib/modules"] });
        expect(kubelet.clusterDomain).toBe("cluster.example.com");
        expect(kubeproxy.extraArgs).toEqual({ "proxy-mode": "ipvs" });
        expect(etcd.extraArgs).toMatchObject({ "quota-backend-bytes": "4294967296" });
        expect(read).toMatchObject({
            network: { options: { canal_iface: "eth1" } },
            ingress: { nodeSelector: { zone: "a" } },
            dns: { upstreamnameservers: ["192.0.2.53"] },
            upgradeStrategy: {
                maxUnavailableWorker: "2",
                maxUnavailableControlplane: "50%",
                drain: true,
                nodeDrainInput: { force: true, ignoreDaemonSets: false, deleteLocalData: true, gracePeriod: 60, timeout: 300 },
            },
            privateRegistries: [{ url: "registry.example.com:5000", user: "puller", password: "registry-password", isDefault: true }],
        });
        expect(read.systemImages).toMatchObject({
            coredns: "registry.example.com:5000/rancher/mirrored-coredns-coredns:1.11.1",
            kubernetes: "registry.example.com:5000/rancher/hyperkube:v1.30.14-rancher1",
        });
    });

    test("every name of an image is one that rke reads", () => {
        const systemImages = Object.fromEntries(
            Object.keys(systemImageKeys).map(key => [key, `registry.example.com/${key.toLowerCase()}:v1.30.14`]),
        );
        const read = Object.values<string>(JSON.parse(init(settings({ systemImages }))).desiredState.rkeConfig.systemImages);
        expect(read).toEqual(expect.arrayContaining(Object.values(systemImages)));
    });

    test("a drain without options has those of RKE, which crashes without any", () => {
        const { upgrade_strategy: strategy } = parse(clusterYml(settings({ upgradeStrategy: { drain: true } })));
        const options = { force: false, ignore_daemonsets: true, delete_local_data: false, grace_period: -1, timeout: 120 };
        expect(strategy).toEqual({
            max_unavailable_worker: "10%",
            max_unavailable_controlplane: "1",
            drain: true,
            node_drain_input: options,
        });
    });

    test("an audit log that is off has no configuration, with which RKE would write one", () => {
        const { services } = parse(clusterYml(settings({ services: { kubeApi: { auditLog: { enabled: false, maxAgeDays: 3 } } } })));
        expect(services["kube-api"].audit_log).toEqual({ enabled: false });
    });

    test("a preview shows cluster.yml without the passwords of registries", () => {
        const privateRegistries = [{ url: "docker.io", user: "puller", password: "hunter2" }];
        const cluster = settings({ privateRegistries });
        expect(clusterYml(cluster)).toContain("password: hunter2");
        expect(shownClusterYml(cluster)).not.toContain("hunter2");
    });

    describe("keys of extraConfig", () => {
        /** Runs the first step of an update, which reaches no node here, with the real rke. */
        function check(extraConfig: object) {
            const cluster = settings({ extraConfig });
            const input = {
                task: "nodes",
                clusterYml: clusterYml(cluster),
                extraConfig: cluster.extraConfig,
                nodes: [],
                pki: brotliCompressSync("{}").toString("base64"),
                apiEndpoints: [],
                preflightProgram: "",
            };
            const program = nodeProgram(join(__dirname, "..", "..", "components", "cluster", "rke", "runner", "rke.js"), input);
            const env = { ...process.env, PATH: [tools, process.env.PATH].join(delimiter) };
            return spawnSync("node", ["-", "apply"], { input: program, encoding: "utf8", env });
        }

        test("that rke reads are accepted, whatever their values", () => {
            const { status, stderr } = check({
                services: {
                    "kube-api": { always_pull_images: true },
                    kubelet: { fail_swap_on: true, extra_args_array: { a: ["1", "2"] } },
                },
                dns: { provider: "coredns", linear_autoscaler_params: { min: 2 } },
                network: { options: { canal_flannel_backend_type: "host-gw" }, tolerations: [{ key: "a", operator: "Exists" }] },
                ingress: { extra_args: { "default-ssl-certificate": "a/b" }, default_backend: false },
                addons: "---\n",
                addons_include: ["https://example.com/a.yaml"],
                cloud_provider: { name: "external" },
                enable_cri_dockerd: true,
                monitoring: { provider: "none" },
            });
            expect([stderr, status]).toEqual([expect.stringContaining("checking 0 nodes"), 0]);
        });

        test.each<[string, object, string]>([
            ["a misspelled group", { montoring: { replicas: 2 } }, ".montoring"],
            ["a misspelled key", { services: { kubelet: { fail_swap: true } } }, ".services.kubelet.fail_swap"],
            ["a key in a list", { network: { tolerations: [{ key: "a", operater: "Exists" }] } }, ".network.tolerations[0].operater"],
            ["a default", { services: { kubelet: { fail_swap_on: false } } }, ".services.kubelet.fail_swap_on"],
        ])("%s is refused before any host is changed", (_what, extraConfig, key) => {
            const { status, stderr } = check(extraConfig);
            expect(stderr).toContain("RKE was not started and no host was changed, because: [RHA configuration]");
            expect(stderr).toContain(`  - cluster.extraConfig${key}: expected a key that RKE reads`);
            expect([status, stderr.includes("checking 0 nodes")]).toEqual([1, false]);
        });

        test("a value that rke refuses is refused in its words", () => {
            const { status, stderr } = check({ services: { kubelet: { fail_swap_on: "perhaps" } } });
            expect([status, stderr]).toEqual([1, expect.stringMatching(/RKE does not accept cluster\.yml .*\n.*perhaps/)]);
        });
    });

    /** Returns the state that the runner makes for nodes, after an earlier PKI or as the first. */
    function made(cluster: RkeClusterSettings, etcdCount: number, earlierPki?: string) {
        const input = { clusterYml: clusterYml(cluster), rkeVersion: "1.8.14", nodeCount: cluster.nodes.length, etcdCount, earlierPki };
        const program = nodeProgram(join(__dirname, "..", "..", "components", "cluster", "rke", "runner", "createPki.js"), input);
        const env = { ...process.env, PATH: [tools, process.env.PATH].join(delimiter) };
        return unpackState(execFileSync("node", ["-"], { input: program, encoding: "utf8", env, stdio: "pipe" }));
    }

    test("the PKI of etcd nodes with DNS names is whole", () => {
        const inside = (number: number) => ({ address: `node${number}.example.com`, internalAddress: `192.0.2.3${number}` });
        const etcd = [1, 2, 3].map(number => node(number, { address: `etcd${number}.example.com`, roles: ["etcd"] }));
        const others = [4, 5].map(number => node(number, { ...inside(number), roles: ["controlplane", "worker"] }));
        const state = made(settings({ nodes: [...etcd, ...others] }), 3);
        expect(Object.keys(state.desiredState.certificatesBundle)).toContain("kube-etcd-etcd1-example-com");
    });

    test("the PKI of a rotation has other keys, except that of service account tokens", () => {
        const cluster = settings();
        const earlier = init(cluster);
        const etcdCount = cluster.nodes.filter(({ roles }) => roles.includes("etcd")).length;
        const next = made(cluster, etcdCount, brotliCompressSync(earlier).toString("base64")).desiredState.certificatesBundle;
        const kept = Object.entries<{ keyPEM: string }>(JSON.parse(earlier).desiredState.certificatesBundle).filter(
            ([name, { keyPEM }]) => next[name].keyPEM === keyPEM,
        );
        expect(kept.map(([name]) => name)).toEqual(["kube-service-account-token"]);
    });

    describe("the key that encrypts Secrets", () => {
        const encrypted = settings({ services: { kubeApi: { secretsEncryption: true } } });
        const keyIn = (state: string): string => JSON.parse(state).desiredState.encryptionConfig;
        const packed = (state: string) => brotliCompressSync(state).toString("base64");

        test("is kept by rke once the state has it", () => {
            const [first, other] = [init(encrypted), init(encrypted)];
            expect(keyIn(first)).toMatch(/^kind: EncryptionConfiguration$/m);
            expect(keyIn(other)).not.toBe(keyIn(first));
            const { desiredState } = JSON.parse(init(settings()));
            const state = { desiredState: { ...desiredState, encryptionConfig: keyIn(first) }, currentState: desiredState };
            expect(JSON.parse(init(encrypted, JSON.stringify(state)))).toMatchObject({
                desiredState: { encryptionConfig: keyIn(first) },
                currentState: { rkeConfig: { nodes: [{}, {}, {}] } },
            });
        });

        test("is that of the earlier PKI in a rotation, which may have none", () => {
            const earlier = init(encrypted);
            expect(made(encrypted, 3, packed(earlier)).desiredState.encryptionConfig).toBe(keyIn(earlier));
            expect(made(encrypted, 3, packed(init(settings()))).desiredState.encryptionConfig).toBeUndefined();
        });
    });

    test("no key stands in cluster.yml", () => {
        expect(clusterYml(settings(everything))).not.toMatch(/PRIVATE KEY|ssh_key/);
        expect(clusterYml(settings(everything))).not.toContain(sshKey.split("\n")[2]);
    });

    test("RKE reads the bastion, and the agent for it", () => {
        const bastion = { address: "bastion.example.com", port: 2222, hostKey };
        const read = (ssh: object) =>
            JSON.parse(init(settings({ ssh: { privateKey: sshKey, ...ssh } }))).desiredState.rkeConfig.bastionHost;
        expect(read({ bastion, user: "jump" })).toMatchObject({ address: bastion.address, port: "2222", user: "jump", sshAgentAuth: true });
        expect(read({}).address ?? "").toBe("");
    });

    test("a PKI is new to the program in which it was made, and to no later one", () => {
        const began = Date.now();
        const state = unpackState(brotliCompressSync(init(settings())).toString("base64"));
        expect([isNew(state, began), isNew(state, Date.now() + 1000)]).toEqual([true, false]);
    });

    test("the kubeconfig is made of the cluster's PKI", () => {
        const state = unpackState(brotliCompressSync(init(settings())).toString("base64"));
        const config = parse(adminKubeconfig(state, "rancher", "https://192.0.2.31:6443"));
        expect(config.clusters[0].cluster.server).toBe("https://192.0.2.31:6443");
        const decode = (text: string) => Buffer.from(text, "base64").toString();
        expect(decode(config.clusters[0].cluster["certificate-authority-data"])).toBe(
            state.desiredState.certificatesBundle["kube-ca"].certificatePEM,
        );
        expect(decode(config.users[0].user["client-key-data"])).toBe(state.desiredState.certificatesBundle["kube-admin"].keyPEM);
    });
});

describe("the run of rke", () => {
    const runners = join(__dirname, "..", "..", "components");
    const network = { plugin: "canal", clusterCidr: "10.42.0.0/16", serviceClusterIpRange: "10.43.0.0/16" };
    const state = (ca: string, built?: typeof network, kubernetesVersion = "v1.30.14-rancher1-1") => {
        const rkeConfig = {
            nodes: [],
            kubernetesVersion,
            ...(built && { network: { plugin: built.plugin }, services: { kubeController: built } }),
        };
        return JSON.stringify({
            desiredState: { rkeConfig, certificatesBundle: { "kube-ca": { certificatePEM: ca, keyPEM: "key" }, "kube-admin": {} } },
            ...(built && { currentState: { rkeConfig } }),
        });
    };
    const pack = (text: string) => brotliCompressSync(text).toString("base64");
    const unpack = (text: string) => JSON.stringify(unpackState(text));

    /** Runs the program with a stand-in for rke that prints `lines`, or `snapshot`. It has no nodes, so it contacts no host. */
    function run(
        task: string,
        verb: string,
        lines: string[],
        {
            version = "1.8.14",
            code = 0,
            previous = "",
            apiEndpoints = [] as string[],
            epoch = 0,
            clusterYml = "nodes: []\n",
            temporary = tmpdir(),
            snapshot = 'level=info msg="Finished saving/uploading snapshot [$4] on all etcd hosts"',
            ssh = "exit 255",
            preflightProgram = "",
            nodes = [] as object[],
            earlierRuns = [] as string[][],
            timeoutSeconds = 600,
            last = "exit",
        } = {},
    ) {
        const path = mkdtempSync(join(folder, "path-"));
        writeFileSync(join(path, "fake-rke-output"), lines.map(line => `${line}\n`).join(""));
        earlierRuns.forEach((text, index) => writeFileSync(join(path, `earlier-run-${index}`), text.map(line => `${line}\n`).join("")));
        writeFileSync(
            join(path, "rke"),
            `#!/bin/sh
[ "$1" != --version ] || { echo "rke version v${version}"; exit; }
echo "$*" >>${path}/calls
cp cluster.yml ${path}\ncat cluster.rkestate >${path}/seen
if [ "$1" = etcd ]; then cat <<END
${snapshot}
END
exit; fi
for earlier in ${path}/earlier-run-*; do [ ! -e "$earlier" ] || { cat "$earlier"; rm "$earlier"; exit 1; }; done
cat ${path}/fake-rke-output\n${last} ${code}\n`,
        );
        chmodSync(join(path, "rke"), 0o755);
        writeFileSync(join(path, "ssh"), `#!/bin/sh\necho "ssh $*" >>${path}/calls\n${ssh}\n`);
        chmodSync(join(path, "ssh"), 0o755);
        writeFileSync(join(path, "flock"), "#!/bin/sh\n", { mode: 0o755 });
        const input = {
            task,
            epoch,
            rkeVersion: "1.8.14",
            clusterYml,
            pki: pack(state("the CA")),
            nodes,
            wantedNodes: [],
            network,
            kubernetesVersion: "v1.30.14-rancher1-1",
            nodeCount: 0,
            etcdCount: 0,
            apiEndpoints,
            timeoutSeconds,
            preflightProgram,
            removeContainersProgram: "echo removing >&2",
            leftoverProgram: "echo 'container kube-proxy'",
        };
        const env = {
            ...process.env,
            TMPDIR: temporary,
            PATH: [path, process.env.PATH].join(delimiter),
            PULUMI_COMMAND_STDOUT: previous,
        };
        const result = spawnSync("node", ["-", verb], {
            input: nodeProgram(join(runners, "cluster", "rke", "runner", task === "pki" ? "createPki.js" : "rke.js"), input),
            env,
            encoding: "utf8",
        });
        const calls = () => readFileSync(join(path, "calls"), "utf8").trimEnd().split("\n");
        const got = (name: string) => readFileSync(join(path, name), "utf8");
        return {
            ...result,
            calls,
            seen: () => got("seen"),
            order: () => parse(got("cluster.yml")).nodes.map(({ address }: any) => address),
        };
    }
    const line = (level: string, message: string) => `time="2026-01-01T00:00:00Z" level=${level} msg="${message}"`;
    const done = line("info", "Finished building Kubernetes cluster successfully");

    test("succeeds with the success marker, and hands the state on packed", () => {
        const { status, stdout } = run("cluster", "apply", [done]);
        expect(status).toBe(0);
        expect(unpackState(stdout.split("\n")[0])).toEqual(JSON.parse(state("the CA")));
    });

    test.each([
        ["ignore_docker_version: true\n", true],
        ["", false],
    ])("RKE gets the flag for unknown Docker versions exactly with the key %j", (key, isGiven) => {
        const { calls } = run("cluster", "apply", [done], { clusterYml: `${key}nodes: []\n` });
        expect(calls()).toEqual([`up --config cluster.yml --ssh-agent-auth${isGiven ? " --ignore-docker-version" : ""}`]);
    });

    test("options of the ingress controller that cannot be set are a failure", () => {
        const { status, stderr, stdout } = run("cluster", "apply", [done], { apiEndpoints: ["https://127.0.0.1:1"] });
        expect([status, stdout]).toEqual([1, ""]);
        expect(stderr).toContain(
            "the options of its ingress controller could not be set: [RHA rke-failed]\n  - https://127.0.0.1:1: ECONNREFUSED\n",
        );
    });

    describe("a service that is not healthy within RKE's 60 s", () => {
        // This is a message of RKE 1.8.14.
        const text =
            "[controlPlane] Failed to bring up Control Plane: [Failed to verify healthcheck: Service [kube-apiserver] is not healthy on host [192.0.2.31]. Response code: [403]";
        const unhealthy = line("fatal", text);
        const up = "up --config cluster.yml --ssh-agent-auth";

        test("starts on, and RKE is run again", () => {
            const { status, stderr, calls } = run("cluster", "apply", [done], { earlierRuns: [[unhealthy], [unhealthy]] });
            expect([status, ...calls()]).toEqual([0, up, up, up]);
            expect(stderr).toContain("and it starts on: run 2 of 3 of RKE\n");
        });

        test("after three runs is a failure", () => {
            const { status, stderr, calls } = run("cluster", "apply", [done], { earlierRuns: [[unhealthy], [unhealthy], [unhealthy]] });
            expect([status, ...calls()]).toEqual([1, up, up, up]);
            expect(stderr).toContain(`  - ${text}`);
        });

        test("is a failure at once when another run of RKE would have less than 120 s", () => {
            const { status, stderr, calls } = run("cluster", "apply", [done], { earlierRuns: [[unhealthy]], timeoutSeconds: 119 });
            expect([status, ...calls()]).toEqual([1, up]);
            expect(stderr).toMatch(/rke up did not finish the cluster \(exit code 1\)/);
        });

        test("stays the reason after another run of RKE that ended without one", () => {
            const { stderr, calls } = run("cluster", "apply", [line("info", "Building")], { earlierRuns: [[unhealthy]], code: 1 });
            expect(calls()).toEqual([up, up]);
            expect(stderr).toContain(`  - ${text}\n`);
        });

        test("is a failure at once beside a node that RKE dropped", () => {
            const dropped = line("warning", "Removing host [192.0.2.32] from node lists");
            const { status, calls } = run("cluster", "apply", [done], { earlierRuns: [[dropped, unhealthy]] });
            expect([status, ...calls()]).toEqual([1, up]);
        });
    });

    test("a run that is killed after cluster.timeoutSeconds says so, and what RKE did last", () => {
        const lines = [line("info", "[sync] Syncing nodes Labels and Taints")];
        const { status, stderr } = run("cluster", "apply", lines, { timeoutSeconds: 1, last: "exec sleep 60; exit" });
        expect([status, stderr]).toEqual([
            1,
            expect.stringMatching(
                /did not finish the cluster \(killed\).*\n {2}- rke was killed after 1 s \(cluster\.timeoutSeconds\)\. Its last line: \[sync\] Syncing nodes/,
            ),
        ]);
    });

    test("exit code 0 without the success marker is a failure", () => {
        const { status, stderr, stdout } = run("cluster", "apply", [line("info", "Building Kubernetes cluster")]);
        expect([status, stdout]).toEqual([1, ""]);
        expect(stderr).toContain("rke up did not finish the cluster");
    });

    // These are messages of RKE 1.8.14.
    test.each([
        "Failed to set up SSH tunneling for host [192.0.2.32]: timeout",
        "Removing host [192.0.2.32] from node lists",
        "[reconcile] failed to delete etcd member [etcd-192.0.2.32] from etcd cluster",
        "Failed to delete etcd node [192.0.2.32] from cluster: timeout",
        "[reconcile] Couldn't clean up worker node [192.0.2.32]: timeout",
        "Failed to deploy addon execute job [rke-metrics-addon]: timeout",
        "Failed to deploy DNS addon execute job for provider coredns: timeout",
        "[etcd] etcd rolling snapshot container failed to start correctly",
        "[etcd] Failed to take snapshot on %!s(int=1) etcd hosts",
    ])("a warning after which the cluster is not what was asked for is a failure: %s", warning => {
        const { status, stderr, stdout } = run("cluster", "apply", [line("warning", warning), done]);
        expect([status, stdout]).toEqual([1, ""]);
        expect(stderr).toContain(`  - ${warning}\n`);
    });

    test("other warnings are none", () => {
        const warning = "[reconcile] no control plane node with reachable Kubernetes API endpoint in the cluster found";
        expect(run("cluster", "apply", [line("warning", warning), done]).status).toBe(0);
    });

    // These are messages of RKE 1.8.14.
    test("the warning that no cluster answers is shown only after the first build", () => {
        const unbuilt = [
            "[reconcile] host [192.0.2.31] is a control plane node without reachable Kubernetes API endpoint in the cluster",
            "[reconcile] no control plane node with reachable Kubernetes API endpoint in the cluster found",
        ];
        const said = (previous: string) =>
            run("cluster", "apply", [...unbuilt, "another"].map(text => line("warning", text)).concat(done), { previous })
                .stderr.match(/rke: warning: .*/g)!
                .map(text => text.replace("rke: warning: ", ""));
        expect([said(""), said(pack(state("the CA", network)))]).toEqual([["another"], [...unbuilt, "another"]]);
    });

    test("what a long run says can be handed to the next, and ends with its error", () => {
        const lines = Array.from({ length: 3000 }, (_, index) => line("warning", `${index} ${"x".repeat(100)}`));
        const { stderr } = run("cluster", "apply", [...lines, line("fatal", "the reason")], { code: 1 });
        expect(stderr.length).toBeLessThan(62_000);
        expect(stderr).toMatch(/not shown, apart from the end\nrke up did not finish the cluster \(exit code 1\)[^]* - the reason\n$/);
    });

    /** The words of the check on a host whose CA is another one. */
    const preflight = readFileSync(join(runners, "cluster", "rke", "host", "preflight.sh"), "utf8");
    const [inOtherCluster, hiddenCa] = [/"(it belongs to another cluster.*?)"/, /"(it does not show whose.*?)"/].map(
        words => words.exec(preflight)![1],
    );
    /** A stand-in for ssh to a host with another host key, as OpenSSH 9.2 says it. */
    const otherKey = "echo 'Host key verification failed.' >&2; exit 255";

    describe("a node that left the configuration", () => {
        const node = JSON.stringify({ address: "192.0.2.34", hostnameOverride: "node4", role: ["worker"] });
        const built = pack(state("the CA", network).replaceAll('"nodes":[]', `"nodes":[${node}]`));
        const recorded = JSON.stringify([{ name: "node4", connection: { address: "192.0.2.34", port: 22, user: "rke", hostKey } }]);
        const previous = `${built}\n${recorded}\nprogram version 1, data ${"0".repeat(64)}`;

        test("is cleaned after RKE by the last run's record, and what is left is named", () => {
            const { status, stdout, stderr, calls } = run("cluster", "apply", [done], { previous, ssh: "exec sh" });
            const { recordedNodes } = jest.requireActual("../../components/cluster/rke/runner/lastResult.js");
            expect([status, recordedNodes(stdout)]).toEqual([0, []]);
            expect(calls().map(call => call.split(" ")[0])).toEqual(["ssh", "up", "ssh", "ssh"]);
            expect(calls()[2]).toMatch(/ -l rke -- 192\.0\.2\.34 timeout -k 5 60 sh -s probe$/);
            expect(stderr).toContain("node that left: node4 (192.0.2.34): container kube-proxy\n");
        });

        test("is cleaned after a run of RKE that failed, too", () => {
            const { status, calls } = run("cluster", "apply", [line("fatal", "the reason")], { previous, ssh: "exec sh", code: 1 });
            expect([status, ...calls().map(call => call.split(" ")[0])]).toEqual([1, "ssh", "up", "ssh", "ssh"]);
        });

        test("that SSH does not reach fails nothing", () => {
            const { status, stderr } = run("cluster", "apply", [done], { previous });
            expect(status).toBe(0);
            expect(stderr.match(/node that left: node4: rke@192\.0\.2\.34:22: no SSH connection/g)).toHaveLength(1);
        });

        // This is a message of RKE 1.8.14.
        test("and whose host is lost ends well, and the run says to keep it off", () => {
            const lost = (address: string) =>
                line("warning", `[reconcile] Couldn't clean up worker node [${address}]: Not able to reach the host: EOF`);
            const { status, stderr, calls } = run("cluster", "apply", [lost("192.0.2.34"), done], { previous });
            expect([status, ...calls()]).toEqual([0, expect.stringMatching(/^ssh /), expect.stringMatching(/^up /)]);
            expect(stderr).toContain(
                "node node4 left the cluster. Its host 192.0.2.34 did not answer and was not cleaned: keep it switched off",
            );
            expect(run("cluster", "apply", [lost("192.0.2.35"), done], { previous }).status).toBe(1);
        });

        test("is left alone, and kept from RKE, when its host belongs to another cluster", () => {
            const preflightProgram = `echo '${inOtherCluster}'`;
            const { status, stderr, calls, seen } = run("cluster", "apply", [done], { previous, ssh: "exec sh", preflightProgram });
            expect([status, ...calls().map(call => call.split(" ")[0])]).toEqual([0, "ssh", "up"]);
            expect(stderr).toContain(
                "node node4 leaves this cluster. Its host 192.0.2.34 belongs to another cluster by now, and is left alone",
            );
            expect(JSON.parse(seen()).currentState.rkeConfig.nodes).toEqual([]);
        });

        test("and that is another machine by its host key is left alone", () => {
            const { status, stderr, calls, seen } = run("cluster", "apply", [done], { previous, ssh: otherKey });
            expect([status, ...calls().map(call => call.split(" ")[0])]).toEqual([0, "ssh", "up"]);
            expect(stderr).toContain(
                "node node4 leaves this cluster. Its host 192.0.2.34 shows another host key: it is another machine by now, and is left alone",
            );
            expect(JSON.parse(seen()).currentState.rkeConfig.nodes).toEqual([]);
        });

        test.each([
            ["that does not end in time", "exec sh", "exit 124", "node4: exit code 124"],
            [
                "during which the host is lost",
                "cat >&2; echo '=== pulumi-rancher-ha ==='; exit 255",
                "",
                "node4: rke@192.0.2.34:22: no SSH",
            ],
            ["that cannot read the CA", "exec sh", `echo '${hiddenCa}'`, "node4 (192.0.2.34): it does not show whose cluster it is in"],
        ])("is not given to RKE after a look at its host %s", (_look, ssh, preflightProgram, found) => {
            const { status, stderr, calls } = run("cluster", "apply", [done], { previous, ssh, preflightProgram });
            expect([status, ...calls().map(call => call.split(" ")[0])]).toEqual([1, "ssh"]);
            expect(stderr).toContain("RKE was not started and no host was changed, because: [RHA nodes-not-fit]\n");
            expect(stderr).toContain(
                `node node4: expected its host 192.0.2.34 to show within 20 s whose cluster it is in, found: ${found}`,
            );
        });

        test.each([
            ["port", '"port":"2222"', "-p 2222"],
            ["user", '"user":"other"', "-l other"],
        ])("is looked at as RKE reaches it: by another %s than the last run recorded", (_what, key, way) => {
            const other = pack(unpack(built).replaceAll('"address":"192.0.2.34"', `"address":"192.0.2.34",${key}`));
            const { status, calls } = run("cluster", "apply", [done], { previous: `${other}\n${recorded}` });
            expect([status, ...calls().map(call => call.split(" ")[0])].slice(0, 3)).toEqual([0, "ssh", "up"]);
            expect(calls()[0]).toContain(way);
        });

        test("is not given to RKE when SSH fails, and RKE has a bastion that nobody knows", () => {
            const state = JSON.parse(unpack(built));
            state.currentState.rkeConfig.bastionHost = { address: "192.0.2.9" };
            const { status, calls } = run("cluster", "apply", [done], { previous: `${pack(JSON.stringify(state))}\n${recorded}` });
            expect([status, ...calls().map(call => call.split(" ")[0])]).toEqual([1, "ssh"]);
        });

        test("and that no run recorded is named, with the place of the command for its host", () => {
            const { status, stderr, calls } = run("cluster", "apply", [done], { previous: built });
            expect([status, ...calls()]).toEqual([0, expect.stringMatching(/^up /)]);
            expect(stderr).toMatch(/node node4: .* at 192\.0\.2\.34, because no run recorded its host key: docs\/operations\.md/);
        });
    });

    describe("destroy", () => {
        const nodes = [1, 2].map(number => ({
            name: `node${number}`,
            connection: { address: `192.0.2.3${number}`, port: 22, user: "rke", hostKey, privateKey: sshKey },
        }));
        const removed = line("info", "Cluster removed successfully");
        const options = { nodes, clusterYml: clusterYml(settings({ nodes: [node(1), node(2), node(3)] })) };
        // Every program reaches its host by this name.
        const atHost = 'for word in "$@"; do case $word in 192.*) host=$word ;; esac; done; export host';
        const ssh = `${atHost}; exec sh`;
        const foreign = (address: string) => `[ "$host" != ${address} ] || echo '${inOtherCluster}'`;

        test("names what is left on the hosts of the cluster", () => {
            const { status, stderr, order } = run("cluster", "destroy", [removed], { ...options, ssh });
            expect([status, order()]).toEqual([1, ["192.0.2.31", "192.0.2.32", "192.0.2.33"]]);
            expect(stderr).toMatch(/- node1 .*: container kube-proxy\n {2}- node2 .*: container kube-proxy\n/);
        });

        test("leaves a host alone that belongs to another cluster by now", () => {
            const preflightProgram = foreign("192.0.2.32");
            const { stderr, order } = run("cluster", "destroy", [removed], { ...options, ssh, preflightProgram });
            expect(order()).toEqual(["192.0.2.31", "192.0.2.33"]);
            expect(stderr).toContain("node2 (192.0.2.32) belongs to another cluster by now, and is left alone\n");
            expect(stderr).toMatch(/- node1 .*: container kube-proxy\n/);
            expect(stderr).not.toMatch(/- node2 /);
        });

        test("leaves a host alone that is another machine by its host key", () => {
            const { stderr, order } = run("cluster", "destroy", [removed], {
                ...options,
                ssh: `${atHost}; [ $host != 192.0.2.32 ] || { ${otherKey}; }; exec sh`,
            });
            expect(order()).toEqual(["192.0.2.31", "192.0.2.33"]);
            expect(stderr).toContain("node2 (192.0.2.32) shows another host key: it is another machine by now, and is left alone\n");
            expect(stderr).not.toMatch(/- node2\b/);
        });

        test("removes nothing while a host does not show whose cluster it is in", () => {
            const preflightProgram = '[ "$host" != 192.0.2.32 ] || exit 124';
            const { status, stderr, calls } = run("cluster", "destroy", [removed], { ...options, ssh, preflightProgram });
            expect([status, calls().every(call => call.startsWith("ssh "))]).toEqual([1, true]);
            expect(stderr).toContain(
                "RKE was not started and no host was changed, because: [RHA nodes-not-fit]\n" +
                    "  - node node2: expected its host 192.0.2.32 to show within 20 s whose cluster it is in, found: node2: exit code 124. ",
            );
        });

        test("cleans the other hosts while one is unreachable, and names this one", () => {
            const down = "echo 'ssh: connect to host 192.0.2.32 port 22: No route to host' >&2; exit 255";
            const { status, stderr, order } = run("cluster", "destroy", [removed], {
                ...options,
                ssh: `${atHost}; [ $host != 192.0.2.32 ] || { ${down}; }; exec sh`,
            });
            expect([status, order()]).toEqual([1, ["192.0.2.31", "192.0.2.32", "192.0.2.33"]]);
            expect(stderr).toMatch(/ {2}- node1 .*: container kube-proxy\n {2}- node2: rke@192\.0\.2\.32:22: no SSH connection/);
        });

        test("does nothing when every host belongs to another cluster", () => {
            const preflightProgram = [foreign("192.0.2.31"), foreign("192.0.2.32")].join("\n");
            const { status, calls } = run("cluster", "destroy", [removed], { ...options, ssh, preflightProgram });
            expect([status, calls().every(call => call.startsWith("ssh "))]).toEqual([0, true]);
        });
    });

    describe("before an upgrade of Kubernetes", () => {
        const previous = pack(state("the CA", network, "v1.29.9-rancher1-1"));

        test("a snapshot of etcd is saved, and its name tells both versions", () => {
            const { status, calls, stderr } = run("cluster", "apply", [done], { previous });
            expect(status).toBe(0);
            const name = /\/opt\/rke\/etcd-snapshots\/(v1\.29\.9-rancher1-1-to-v1\.30\.14-rancher1-1-\d{8}T\d{6}Z)\.zip/.exec(stderr)![1];
            expect(calls()).toEqual([
                `etcd snapshot-save --name ${name} --config cluster.yml --ssh-agent-auth`,
                "up --config cluster.yml --ssh-agent-auth",
            ]);
        });

        test("nothing is upgraded when no snapshot could be saved", () => {
            const reason = "[etcd] Failed to take snapshot on all etcd hosts: no space left on device";
            const { status, calls, stderr } = run("cluster", "apply", [done], { previous, snapshot: line("fatal", reason) });
            expect([status, calls().length]).toEqual([1, 1]);
            expect(stderr).toContain(`Kubernetes was not upgraded`);
            expect(stderr).toContain(`  - ${reason}\n`);
        });

        test("another run for the same version saves none", () =>
            expect(run("cluster", "apply", [done], { previous: pack(state("the CA", network)) }).calls()).toEqual([
                expect.stringMatching(/^up /),
            ]));
    });

    describe("after a run for the same data", () => {
        const key = (privateKey: string) => ({ host: "192.0.2.31", port: 22, user: "rke", hostKey, privateKey });
        const withKey = (privateKey: string) => ({ nodes: [{ name: "node1", connection: key(privateKey) }] });
        const { markOf } = jest.requireActual("../../components/remote/runner/result.js");
        const program = jest.requireActual("../../components/cluster/rke/runner/rke.js");
        const mark = (input: object) => markOf(program, { nodes: [], ...input });

        test("RKE does not run, and the last result stands", () => {
            const first = run("cluster", "apply", [done]);
            const second = run("cluster", "apply", [done], { previous: first.stdout });
            expect([second.status, second.stdout]).toEqual([0, first.stdout]);
            expect(second.stderr).toMatch(/^Nothing is done: /);
            expect(second.calls).toThrow("ENOENT");
        });

        test("RKE runs for a repair, with the last state", () => {
            const first = run("cluster", "apply", [done]);
            const second = run("cluster", "apply", [done], { previous: first.stdout, epoch: 1 });
            expect(second.calls()).toEqual([expect.stringMatching(/^up /)]);
            expect(second.stderr).toContain("state from the last run");
            expect(second.stdout).not.toBe(first.stdout);
        });

        test("a new login key, limit or program for nodes counts for nothing, all else does", () => {
            const [old, renewed] = ["one", "another"].map((text, index) =>
                mark({ ...withKey(text), startProgram: text, preflightProgram: text, wantedNodes: [text], timeoutSeconds: 3600 + index }),
            );
            expect(renewed).toBe(old);
            expect(mark({ ...withKey("one"), clusterYml: "other: true\n" })).not.toBe(old);
            expect(mark({ nodes: [{ name: "node2", connection: key("one") }] })).not.toBe(old);
        });
    });

    test("the last fatal line is the reason", () => {
        const { status, stderr } = run("cluster", "apply", [line("fatal", "[controlPlane] Failed to bring up Control Plane")], { code: 1 });
        expect(status).toBe(1);
        expect(stderr).toMatch(/exit code 1.*\n {2}- \[controlPlane\] Failed to bring up Control Plane/);
    });

    test("a crash of RKE is the reason", () => {
        const crash = ["panic: assignment to entry in nil map", "", "goroutine 1 [running]:"];
        const { status, stderr } = run("cluster", "apply", [line("info", "[sync] Syncing nodes Labels and Taints"), ...crash], { code: 2 });
        expect(status).toBe(1);
        expect(stderr).toMatch(/exit code 2.*\n {2}- rke crashed: panic: assignment to entry in nil map/);
    });

    test("a line that looks like a key is not shown", () => {
        const { stderr } = run("cluster", "apply", [
            line("info", `key ${"A".repeat(100)}`),
            line("warning", "-----BEGIN RSA PRIVATE KEY-----"),
            done,
        ]);
        expect(stderr).not.toMatch(/AAAA|BEGIN/);
    });

    test("the last run's state is preferred to the PKI, unless it is another cluster's", () => {
        const later = state("the CA").replace('"nodes":[]', '"nodes":[],"later":true');
        expect(run("cluster", "apply", [done], { previous: pack(later) }).seen()).toBe(later);
        expect(run("cluster", "apply", [done], { previous: pack(state("another CA")) }).seen()).toBe(state("the CA"));
    });

    test("nodes that RKE built come first, in the order in which RKE built them", () => {
        const nodes = ["192.0.2.33", "192.0.2.32"].map(address => ({ address, role: ["controlplane"] }));
        const previous = pack(state("the CA", network).replaceAll('"nodes":[]', `"nodes":${JSON.stringify(nodes)}`));
        const asked = clusterYml(settings({ nodes: [node(4), node(2), node(3, { labels: { a: "b" } })] }));
        const { order } = run("cluster", "apply", [done], { previous, clusterYml: asked });
        expect(order()).toEqual(["192.0.2.33", "192.0.2.32", "192.0.2.34"]);
        expect(run("cluster", "apply", [done], { clusterYml: asked }).order()).toEqual(["192.0.2.34", "192.0.2.32", "192.0.2.33"]);
    });

    test("another network than that of the built cluster is refused before RKE runs", () => {
        const previous = pack(state("the CA", { ...network, plugin: "calico" }));
        const { status, stderr } = run("cluster", "apply", [done], { previous });
        expect(status).toBe(1);
        expect(stderr).toMatch(/RKE was not started.*\n.*network\.plugin: expected calico, with which the cluster was built, found canal/);
    });

    test("nodes that were corrected before anything was built are taken", () =>
        expect(run("nodes", "apply", [], { previous: "192.0.2.99" }).status).toBe(0));

    test("checking the nodes runs no RKE", () => {
        const { status, stdout, seen } = run("nodes", "apply", [done]);
        expect([status, stdout]).toEqual([0, expect.stringMatching(/^\nprogram version \d+, data \w{64}$/)]);
        expect(seen).toThrow("ENOENT");
    });

    test("a runner that is killed leaves neither an ssh-agent nor a file", async () => {
        const temporary = mkdtempSync(join(folder, "killed-"));
        const source = join(folder, "waits.js");
        writeFileSync(
            source,
            `const { withSshAgent } = require("${relative(folder, join(runners, "remote", "runner", "ssh"))}");
            const main = ({ key }) => withSshAgent([{ privateKey: key }], env => (console.log(env.SSH_AUTH_SOCK), new Promise(() => setInterval(() => 0, 1000))));
            module.exports = { main };`,
        );
        execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, "key")]);
        const key = readFileSync(join(folder, "key"), "utf8");
        const child = spawn("node", ["-"], { env: { ...process.env, TMPDIR: temporary }, stdio: ["pipe", "pipe", "inherit"] });
        child.stdin.end(nodeProgram(source, { key }));
        const [socket] = await once(child.stdout, "data");
        expect(spawnSync("ssh-add", ["-l"], { env: { SSH_AUTH_SOCK: String(socket).trim() } }).status).toBe(0);
        child.kill("SIGKILL");
        await until("the folder to go", 5, async () => readdirSync(temporary).length === 0);
        await until("the agent to end", 5, async () => spawnSync("pgrep", ["-f", `ssh-agent -a ${temporary}/`]).status === 1);
    });

    test("an ssh-agent that does not start is a failure", () => {
        const temporary = join(folder, "t".repeat(120));
        mkdirSync(temporary);
        const { status, stderr, stdout } = run("cluster", "apply", [done], { temporary });
        expect([status, stdout]).toEqual([1, ""]);
        expect(stderr).toMatch(/ssh-agent ended at once .*Set a shorter TMPDIR/);
    });

    test("another version of rke is refused before anything", () => {
        const { status, stderr } = run("cluster", "apply", [done], { version: "1.6.0" });
        expect(status).toBe(1);
        expect(stderr).toContain("expected version 1.8.14, found 1.6.0");
    });

    test("an incomplete PKI is refused", () => {
        const { status, stderr, stdout } = run("pki", "apply", []);
        expect([status, stdout]).toEqual([1, ""]);
        expect(stderr).toContain("rke up --init wrote an incomplete state");
    });
});
