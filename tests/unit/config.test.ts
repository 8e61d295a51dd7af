import * as pulumi from "@pulumi/pulumi";
import { readFileSync } from "fs";
import { homedir } from "os";
import { join } from "path";
import { isDeepStrictEqual } from "util";
import { parse } from "yaml";
import { z } from "zod";
import { verificationSchema } from "../../components/rancher/schema";
import { rancherHaSchema } from "../../components/schema";
import { withSecrets } from "../../components/secrecy";
import { parseConfig } from "../../config";
import { configKeys, configurationPage, examples, renderedPage } from "../../scripts/configurationPage";
import { issue } from "../../lab/certificates";
import { kubeconfigOf } from "../kubeconfig";
import { hostKey, sshKey } from "../ssh";

const repository = join(__dirname, "..", "..");
const noFile = (path: string): string => {
    throw new Error(`ENOENT: no such file or directory, open '${path}'`);
};

type Config = Record<string, any>;

/** Returns the groups of a stack's file, without the name of the project. */
function configOf(file: string): Config {
    const { config } = parse(readFileSync(join(repository, file), "utf8"));
    return Object.fromEntries(Object.entries(config).map(([key, value]) => [key.replace(/^pulumi-rancher-ha:/, ""), value]));
}

/** Parses a configuration in the form that Pulumi passes on, with groups as JSON. */
function read(config: Config, readFile = noFile, isEncrypted?: (group: string) => boolean) {
    const raw = Object.entries(config).filter(([, value]) => value !== undefined);
    const own = raw.map(([key, value]) => [`project:${key}`, typeof value === "string" ? value : JSON.stringify(value)]);
    return parseConfig({ ...Object.fromEntries(own), "kubernetes:context": "not ours" }, "project", readFile, isEncrypted) as any;
}

/** Returns the reported problems, without bullet and project. */
function problems(config: Config, readFile = noFile, isEncrypted?: (group: string) => boolean): string[] {
    try {
        read(config, readFile, isEncrypted);
        return [];
    } catch (error) {
        const [title, ...lines] = (error as Error).message.split("\n");
        const found = Object.keys(config).length > 0 ? "wrong" : "empty (is its Pulumi.<stack>.yaml in this folder?)";
        expect(title).toBe(`the configuration of the stack is ${found}; nothing was changed: [RHA configuration]`);
        return lines.map(line => line.replace(/^ {2}- project:/, ""));
    }
}

const production = (): Config => ({ ...configOf("examples/minimal.yaml"), ssh: { privateKey: sshKey } });
/** Returns the production configuration with a change. */
const changed = (change: (config: Config) => unknown): Config => {
    const config = production();
    change(config);
    return config;
};

describe("what the repository gives is accepted", () => {
    test("the lab, whose keys are in files", () => {
        const addresses = ["10.89.77.21", "10.89.77.31", "10.89.77.32", "10.89.77.33"];
        const files: Record<string, string> = {
            ".lab/dev/ssh/id_ed25519": sshKey,
            ".lab/dev/ssh/known_hosts": `# made by the lab\n${addresses.map(address => `${address} ${hostKey}\n`).join("")}`,
        };
        const args = read(configOf("Pulumi.dev.yaml"), path => files[path] ?? noFile(path));
        expect(args.ssh).toEqual({ privateKey: sshKey, knownHosts: files[".lab/dev/ssh/known_hosts"] });
        expect(args.loadBalancer.hosts).toEqual([{ address: "10.89.77.21" }]);
        expect(args.cluster.nodes.map((node: any) => node.address)).toEqual(addresses.slice(1));
        expect(args.rancher).toEqual({ deletionProtection: false, chartVersion: "2.11.3", chartPath: "lab/rancher/chart" });
    });

    test("the example for production, once the SSH key is set", () => {
        expect(problems(configOf("examples/minimal.yaml"))).toEqual([
            "ssh.privateKey: expected a private key, ssh.agent: true, or a private key of each host and node, found nothing",
        ]);
        const args = read(production());
        expect(args.hostname).toBe("rancher.example.com");
        expect(new Set(args.cluster.nodes.map((node: any) => node.hostKey)).size).toBe(3);
    });

    test("its commented certificate, once it is a real one", () => {
        const text = readFileSync(join(repository, "examples/minimal.yaml"), "utf8");
        const start = text.indexOf("  # pulumi-rancher-ha:certificate:");
        const commented = text.slice(start, text.indexOf("  pulumi-rancher-ha:rancher:"));
        const { "pulumi-rancher-ha:certificate": group } = parse(commented.replace(/^ {2}# /gm, ""));
        const root = issue({ name: "Root", ca: true });
        const leaf = issue({ name: "rancher.example.com", names: ["DNS:rancher.example.com"], by: root });
        expect(Object.keys(group)).toEqual(["certificateChain", "caCertificate"]);
        const certificate = { certificateChain: leaf.certificate, caCertificate: root.certificate, privateKey: leaf.privateKey };
        expect(read({ ...production(), certificate }).certificate).toEqual(certificate);
    });

    test("a kubeconfig that is no YAML is refused without being quoted", () => {
        const existingCluster = {
            kubeconfig: "clusters: []\n  token: prefix: not-to-be-seen\n",
            ingressAddresses: ["192.0.2.31"],
            apiEndpoint: "https://192.0.2.31:6443",
            kubernetesVersion: "v1.33.1",
        };
        const found = problems({ ...production(), cluster: undefined, existingCluster, rancher: { chartVersion: "2.12.1" } });
        expect(found).toEqual([expect.stringMatching(/^existingCluster\.kubeconfig: expected a kubeconfig as YAML text/)]);
        expect(found.join()).not.toContain("not-to-be-seen");
    });

    test("a cluster that is there already", () => {
        const existingCluster = {
            kubeconfig: kubeconfigOf(),
            ingressAddresses: ["192.0.2.31"],
            apiEndpoint: "https://192.0.2.31:6443",
            kubernetesVersion: "v1.33.1",
        };
        const config = { ...production(), cluster: undefined, existingCluster, rancher: { chartVersion: "2.12.1" } };
        expect(read(config).existingCluster).toEqual(existingCluster);
    });
});

test("every wrong key is named at once, with what is allowed and what was found", () => {
    const config = {
        hostname: "Rancher",
        sshKey: "x",
        ssh: { privateKey: sshKey, usr: "root" },
        loadBalancer: { hosts: [{ address: "192.0.2.21", prot: 22, hostKey: "AAAA" }], readTimeoutSeconds: 60, drift: "sometimes" },
        cluster: {
            kubernetesVersion: "v1.30.0",
            nodes: [{ address: "192.0.2.31", roles: ["etcd"], port: "22" }],
            network: { plugin: "cilium" },
        },
        rancher: { replica: 3 },
    };
    expect(problems(config)).toEqual([
        'hostname: expected a lower-case DNS name such as rancher.example.com, found "Rancher"',
        "ssh.usr: no such key. Remove it or correct its spelling",
        "loadBalancer.readTimeoutSeconds: expected at least 900: a shell in the browser would be cut off after less, found 60",
        'loadBalancer.hosts[0].hostKey: expected one public host key line such as "ssh-ed25519 AAAA…" (see /etc/ssh/ssh_host_ed25519_key.pub on the host), found "AAAA"',
        "loadBalancer.hosts[0].prot: no such key. Remove it or correct its spelling",
        'loadBalancer.drift: expected one of "off", "warn", "enforce", found "sometimes"',
        expect.stringMatching(
            /^cluster\.kubernetesVersion: expected a Kubernetes version that RKE 1\.8\.14 installs, of v1\.27\.6-rancher1-1 to v1\.32\.6-rancher1-1\. The nearest is v1\.30\.2-rancher1-1, found "v1\.30\.0" \[RHA versions\]$/,
        ),
        "cluster.nodes[0].port: expected number, found a string",
        "cluster.nodes: expected at least one node with the role controlplane, found a list of 1",
        "cluster.nodes: expected at least one node with the role worker: that is where the ingress controller listens, found a list of 1",
        'cluster.network.plugin: expected one of "canal", "flannel", "calico", "none", found "cilium"',
        "rancher.chartVersion: expected string, found nothing",
        "rancher.replica: no such key. Remove it or correct its spelling",
        "sshKey: no such key. Remove it or correct its spelling",
        "cluster.nodes[0].hostKey: expected a host key, or a line for this host in ssh.knownHosts (key: /etc/ssh/ssh_host_ed25519_key.pub on the host), found nothing",
        "cluster.nodes[0].user: expected the user that RKE logs in as, here or in ssh.user, found nothing",
    ]);
    expect(problems({})).toEqual([
        "hostname: expected string, found nothing",
        "loadBalancer: expected object, found nothing",
        "rancher: expected object, found nothing",
        "cluster: expected exactly one of cluster and existingCluster, found neither.",
    ]);
});

describe("rules between keys hold beside a value of the wrong type in the same group", () => {
    const hostname = "rancher.example.com";
    const root = issue({ name: "Root", ca: true });
    const leaf = issue({ name: hostname, names: [`DNS:${hostname}`], by: root });
    const other = issue({ name: "other.example.com", names: ["DNS:other.example.com"], by: root });
    const files = { certificateChain: leaf.certificate, privateKey: leaf.privateKey, caCertificate: root.certificate };

    test.each<[string, (config: Config) => unknown, RegExp[]]>([
        [
            "the nodes",
            c => {
                const [first, second, third] = c.cluster.nodes;
                delete first.user;
                Object.assign(second, { address: first.address, roles: ["controlplane", "etcd"] });
                Object.assign(third, { address: "node3.example.com", internalAddress: undefined, roles: ["worker"], port: "22" });
            },
            [
                /^cluster\.nodes\[2\]\.port: expected number, found a string$/,
                /^cluster\.nodes\[2\]\.address: expected an IP address, or an internalAddress that is one/,
                /^cluster\.nodes\[1\]\.address: expected a value of its own, nodes\[0\]\.address is the same/,
                /^cluster\.nodes: expected an odd number of nodes with the role etcd \(1, 3, 5\), 2 are given/,
                /^cluster\.nodes\[0\]\.user: expected the user that RKE logs in as, here or in ssh\.user, found nothing$/,
            ],
        ],
        [
            "a node whose roles are not right: nothing is said of how many have which",
            c => c.cluster.nodes.forEach((n: Config) => (n.roles = ["wroker"])),
            [0, 1, 2].map(index => new RegExp(`^cluster\\.nodes\\[${index}\\]\\.roles\\[0\\]: expected one of .* found "wroker"$`)),
        ],
        [
            "the network",
            c => (c.cluster.network = { plugin: "cilium", clusterCidr: "192.0.2.0/24", serviceClusterIpRange: "192.0.0.0/16" }),
            [
                /^cluster\.network\.plugin: expected one of /,
                /^cluster\.network\.serviceClusterIpRange: expected a range apart from clusterCidr 192\.0\.2\.0\/24/,
                ...[0, 1, 2].flatMap(index =>
                    ["clusterCidr", "serviceClusterIpRange"].map(
                        range => new RegExp(`^cluster\\.nodes\\[${index}\\]\\.address: expected an address outside network\\.${range} `),
                    ),
                ),
                /^cluster\.network\.clusterCidr: expected room for a \/24 for each of the 3 nodes/,
                /^loadBalancer\.hosts\[0\]\.address: expected an address outside cluster\.network\.clusterCidr /,
                /^loadBalancer\.hosts\[0\]\.address: expected an address outside cluster\.network\.serviceClusterIpRange /,
            ],
        ],
        [
            "Rancher",
            c =>
                Object.assign(c.rancher, {
                    chartVersion: "2.8.5",
                    replicas: "3",
                    repository: "https://charts.example.com",
                    chartPath: "x.tgz",
                    values: { debug: "yes", image: { repository: "x" } },
                    additionalValues: { tls: "ingress" },
                }),
            [
                /^rancher\.replicas: expected number, found a string$/,
                /^rancher\.values\.debug: expected boolean, found a string$/,
                /^rancher\.chartPath: expected either repository or chartPath, found both\. Remove one\./,
                /^rancher\.chartVersion: expected a Rancher chart of 2\.9, .*2\.15/,
                /^rancher\.values\.image: expected a chart of Rancher 2\.12 or later/,
                /^rancher\.additionalValues\.tls: expected a value that nothing else sets\./,
            ],
        ],
        [
            "a certificate without its key",
            c => (c.certificate = { ...files, certificateChain: other.certificate, privateKey: undefined }),
            [
                /^certificate\.privateKey: expected string, found nothing$/,
                /^certificate\.certificateChain: expected a certificate for rancher\.example\.com/,
            ],
        ],
        [
            "a certificate of a private CA that is not given",
            c => (c.certificate = { ...files, caCertificate: undefined, secondCertificate: "RSA" }),
            [/^certificate\.secondCertificate: expected object, found a string$/, /^certificate\.certificateChain: .*give caCertificate/],
        ],
        [
            "a key and a CA without a certificate",
            c => (c.certificate = { privateKey: "x", caCertificate: leaf.certificate }),
            [
                /^certificate\.certificateChain: expected string, found nothing$/,
                /^certificate\.privateKey: expected one private key in PEM form/,
                /^certificate\.caCertificate: expected CA certificates/,
            ],
        ],
        [
            "a second certificate",
            c => (c.certificate = { ...files, privateKey: undefined, secondCertificate: { certificateChain: leaf.certificate } }),
            [
                /^certificate\.privateKey: expected string, found nothing$/,
                /^certificate\.secondCertificate\.privateKey: expected string, found nothing$/,
                /^certificate\.secondCertificate\.privateKey: expected a key of another type than the first certificate's/,
            ],
        ],
        [
            "a certificate on the host",
            c => (c.certificateOnHost = { certificateChain: "/etc/ssl/fullchain.pem", caCertificate: "x" }),
            [/^certificateOnHost\.privateKey: expected string, found nothing$/, /^certificateOnHost\.caCertificate: expected PEM text/],
        ],
        [
            "a CA",
            c => (c.privateCa = { algorithm: "dsa", certificateValidityHours: 100, caValidityHours: 150, renewBeforeHours: 100 }),
            [
                /^privateCa\.algorithm: expected one of "ecdsa", "rsa", found "dsa"$/,
                /^privateCa\.renewBeforeHours: expected less than certificateValidityHours \(100\)/,
                /^privateCa\.caValidityHours: expected at least twice certificateValidityHours \(100\)/,
            ],
        ],
        [
            "a CA of which a number is missing: nothing is said of what it is compared with",
            c => (c.privateCa = { certificateValidityHours: "100", caValidityHours: 1 }),
            [/^privateCa\.certificateValidityHours: expected number, found a string$/],
        ],
    ])("%s", (_, change, messages) => {
        expect(problems(changed(change))).toEqual(messages.map(message => expect.stringMatching(message)));
    });
});

describe("faults of the cluster and of Rancher are found before anything is changed", () => {
    test.each<[string, (config: Config) => unknown, string | RegExp]>([
        [
            "an address twice",
            c => (c.cluster.nodes[2].address = "192.0.2.31"),
            /^cluster\.nodes\[2\]\.address: expected a value of its own, nodes\[0\]\.address is the same/,
        ],
        [
            "two etcd nodes",
            c => (c.cluster.nodes[2].roles = ["worker"]),
            /^cluster\.nodes: expected an odd number of nodes with the role etcd \(1, 3, 5\), 2 are given/,
        ],
        [
            "no worker",
            c => c.cluster.nodes.forEach((n: Config) => (n.roles = ["etcd", "controlplane"])),
            /^cluster\.nodes: expected at least one node with the role worker/,
        ],
        [
            "a chart for newer clusters",
            c => (c.rancher.chartVersion = "2.12.1"),
            /^rancher\.chartVersion: expected a Rancher that is documented on a cluster built with RKE 1.*The nearest that works is Rancher 2\.11\.x/,
        ],
        [
            "a chart for older clusters",
            c => (c.rancher.chartVersion = "2.8.5"),
            /^rancher\.chartVersion: expected a Rancher chart of 2\.9, .*2\.15/,
        ],
        [
            "an address for a host name",
            c => (c.hostname = "192.0.2.21"),
            /^hostname: expected a lower-case DNS name such as rancher\.example\.com, found "192\.0\.2\.21"$/,
        ],
        [
            "two load balancers without a virtual IP",
            c => c.loadBalancer.hosts.push({ ...c.loadBalancer.hosts[0], address: "192.0.2.22" }),
            "loadBalancer.virtualIp: expected a virtual IP for two hosts, found nothing",
        ],
        [
            "a virtual IP that is a node's address",
            c => {
                c.loadBalancer.hosts.push({ ...c.loadBalancer.hosts[0], address: "192.0.2.22" });
                c.loadBalancer.virtualIp = { address: "192.0.2.31" };
            },
            'loadBalancer.virtualIp.address: expected an address that nothing else uses, not that of a node, found "192.0.2.31"',
        ],
        [
            "a value that another argument sets",
            c => (c.rancher.additionalValues = { hostname: "other.example.com" }),
            /^rancher\.additionalValues\.hostname: /,
        ],
        [
            "a load balancer on a worker",
            c => (c.loadBalancer.hosts[0].address = "192.0.2.31"),
            /^loadBalancer\.hosts\[0\]\.address: expected a host of its own, not a worker node, .*, found "192\.0\.2\.31"$/,
        ],
        [
            "a load balancer on a worker of a cluster that is there already",
            c => {
                delete c.cluster;
                c.existingCluster = {
                    kubeconfig: kubeconfigOf(),
                    ingressAddresses: ["192.0.2.41", "192.0.2.21"],
                    apiEndpoint: "https://192.0.2.41:6443",
                    kubernetesVersion: "v1.30.14",
                };
            },
            /^loadBalancer\.hosts\[0\]\.address: expected a host of its own, not a worker node, .*, found "192\.0\.2\.21"$/,
        ],
        [
            "two clusters",
            c =>
                (c.existingCluster = {
                    kubeconfig: kubeconfigOf(),
                    ingressAddresses: ["192.0.2.31"],
                    apiEndpoint: "https://192.0.2.31:6443",
                    kubernetesVersion: "v1.30.14",
                }),
            "cluster: expected exactly one of cluster and existingCluster, found both. Remove one.",
        ],
        [
            "a snippet, which the admission of RKE's ingress controller refuses",
            c => (c.rancher.values = { ingress: { configurationSnippet: "more_set_headers a;" } }),
            /^rancher\.values\.ingress\.configurationSnippet: expected no snippet, .* set cluster\.ingressOptions\.allow-snippet-annotations to "true"/,
        ],
        [
            "a snippet as an annotation",
            c => (c.rancher.values = { ingress: { extraAnnotations: { "nginx.ingress.kubernetes.io/server-snippet": "allow all;" } } }),
            /^rancher\.values\.ingress\.extraAnnotations\.nginx\.ingress\.kubernetes\.io\/server-snippet: expected no snippet/,
        ],
        [
            "a short password",
            c => (c.rancher.bootstrapPassword = "hunter2"),
            "rancher.bootstrapPassword: expected at least 12 characters, as Rancher wants, or an empty string for none, " +
                "found a value that is not shown",
        ],
    ])("%s", (_, change, message) => {
        expect(problems(changed(change))).toEqual([typeof message === "string" ? message : expect.stringMatching(message)]);
    });
});

test("a snippet is accepted where the ingress controller allows it", () => {
    const config = changed(c => {
        c.rancher.values = { ingress: { configurationSnippet: "more_set_headers a;" } };
        c.cluster.ingressOptions = { "allow-snippet-annotations": "true" };
    });
    expect(problems(config)).toEqual([]);
});

test.each<[string, (config: Config) => unknown]>([
    ["loadBalancer.ssh", c => (c.loadBalancer.ssh = { user: "admin" })],
    ["loadBalancer.upstreams", c => (c.loadBalancer.upstreams = ["192.0.2.99"])],
    ["cluster.ssh", c => (c.cluster.ssh = { user: "rke" })],
    ["rancher.hostname", c => (c.rancher.hostname = "other.example.com")],
    ["rancher.caChecksum", c => (c.rancher.caChecksum = "ab".repeat(32))],
    ["privateCa.hostname", c => (c.privateCa = { hostname: "other.example.com" })],
])("%s is no key, because it comes from elsewhere", (key, change) => {
    expect(problems(changed(change))).toEqual([`${key}: no such key. Remove it or correct its spelling`]);
});

describe("certificates", () => {
    const hostname = "rancher.example.com";
    const root = issue({ name: "Root", ca: true });
    const leaf = issue({ name: hostname, names: [`DNS:${hostname}`], by: root });
    const other = issue({ name: "other.example.com", names: ["DNS:other.example.com"], by: root });
    const expired = issue({ name: hostname, names: [`DNS:${hostname}`], by: root, days: -1 });
    const right = { certificateChain: leaf.certificate, privateKey: leaf.privateKey, caCertificate: root.certificate };

    test.each<[string, Config, RegExp]>([
        ["malformed PEM", { certificateChain: "MIIB" }, /^certificate\.certificateChain: expected PEM text .*found no PEM block/],
        [
            "a key that does not match",
            { privateKey: other.privateKey },
            /^certificate\.privateKey: expected the key of "rancher\.example\.com", found another ECDSA/,
        ],
        [
            "without the host name",
            { certificateChain: other.certificate, privateKey: other.privateKey },
            /^certificate\.certificateChain: expected a certificate for rancher\.example\.com, .* is for other\.example\.com/,
        ],
        [
            "expired",
            { certificateChain: expired.certificate, privateKey: expired.privateKey },
            /^certificate\.certificateChain: certificate 1 "rancher\.example\.com" has expired on .*Renew it\. \[RHA certificate-refused\]$/,
        ],
        [
            "of a private CA that is not given",
            { caCertificate: undefined },
            /^certificate\.certificateChain: .*"Root".*For a private CA give caCertificate/,
        ],
        ["without a key", { privateKey: undefined }, /^certificate\.privateKey: expected string, found nothing$/],
    ])("%s", (_, change, message) => {
        const found = problems({ ...production(), certificate: { ...right, ...change } });
        expect(found).toEqual([expect.stringMatching(message)]);
        expect(found.join()).not.toContain(leaf.privateKey.split("\n")[1]);
    });

    test("beside a CA of the stack's own", () => {
        expect(problems({ ...production(), certificate: right, privateCa: {} })).toEqual([
            "privateCa: expected nothing beside certificate, found both. Remove one.",
        ]);
    });
});

test("an empty group, which `pulumi config rm --path` leaves, counts as left out", () => {
    const volumes = [{ name: "cache", emptyDir: {} }];
    const { cluster, rancher } = read(
        changed(c => {
            Object.assign(c.cluster, { snapshot: {}, restore: {}, etcdBackup: { s3: {} } });
            Object.assign(c.rancher, { backup: {}, additionalValues: { extraVolumes: volumes, podLabels: {} } });
        }),
    );
    expect([cluster.snapshot, cluster.restore, cluster.etcdBackup, rancher.backup]).toEqual([undefined, undefined, {}, undefined]);
    expect(rancher.additionalValues).toEqual({ extraVolumes: volumes, podLabels: {} });
});

describe("files", () => {
    test("what cannot be read is named with its path", () => {
        expect(problems(changed(c => (c.ssh = { privateKeyFile: "no/key", knownHostsFile: "no/hosts" })))).toEqual([
            'ssh.privateKeyFile: expected a readable file, found "no/key" (ENOENT: no such file or directory)',
            'ssh.knownHostsFile: expected a readable file, found "no/hosts" (ENOENT: no such file or directory)',
        ]);
    });

    test("a path that begins with ~/ is in the home folder", () => {
        const config = changed(c => (c.ssh = { privateKeyFile: "~/.ssh/id", knownHostsFile: "~user/hosts" }));
        const files: Record<string, string> = { [join(homedir(), ".ssh/id")]: sshKey, "~user/hosts": "" };
        expect(read(config, path => files[path] ?? noFile(path)).ssh).toEqual({ privateKey: sshKey, knownHosts: "" });
    });

    test("a state file of RKE that is cut off is named, not shown", () => {
        const config = changed(c => (c.cluster.rkeStateFile = "cluster.rkestate"));
        expect(problems(config, path => (path === "cluster.rkestate" ? '{"desiredState": {"secret": "hunt' : sshKey))).toEqual([
            expect.stringMatching(/^cluster\.rkeStateFile: expected the whole text of a cluster\.rkestate.*coming-from-the-manual\.md\.$/),
        ]);
    });

    test("a file with something else is named, not shown", () => {
        expect(
            problems(
                changed(c => (c.ssh = { privateKeyFile: "key.pub" })),
                () => "hunter2",
            ),
        ).toEqual(["ssh.privateKeyFile: expected a private key in PEM or OpenSSH form, found a value that is not shown"]);
    });

    test("the text of known_hosts gives host keys; a host that has no line there is named", () => {
        const config = changed(c => {
            c.ssh.knownHostsFile = "known_hosts";
            for (const node of c.cluster.nodes.slice(0, 2)) delete node.hostKey;
        });
        expect(problems(config, () => `192.0.2.31 ${hostKey}\n`)).toEqual([
            "cluster.nodes[1].hostKey: expected a host key, or a line for this host in ssh.knownHosts (key: /etc/ssh/ssh_host_ed25519_key.pub on the host), found nothing",
        ]);
    });

    test("a key beside a file with a key is refused", () => {
        expect(problems(changed(c => (c.ssh.privateKeyFile = "key")))).toEqual([
            "ssh.privateKeyFile: expected nothing beside ssh.privateKey, found both. Remove one",
        ]);
    });
});

test("in a group with something encrypted, all that may be a secret is one", async () => {
    const config = changed(c => {
        c.rancher.additionalValues = { webhook: { token: "hunter2" } };
        c.loadBalancer.extraDirectives = { http: "hunter2 {" };
    });
    const encrypted = (group: string) => ["rancher", "loadBalancer"].includes(group);
    expect(problems(config, noFile, encrypted)).toEqual([
        "loadBalancer.extraDirectives.http: expected whole directives, with as many { as }, found a value that is not shown",
    ]);
    delete config.loadBalancer.extraDirectives;
    const args: any = withSecrets(read(config, noFile, encrypted), rancherHaSchema, encrypted);
    await expect(pulumi.isSecret(args.rancher.additionalValues)).resolves.toBe(true);
    expect(args.rancher.chartVersion).toBe(config.rancher.chartVersion);
});

test("exactly the values whose meaning says so are secrets, encrypted or not", () => {
    const isMarked = (path: string) => {
        const steps = path.replace(/\[\]/g, ".0").split(".");
        const value = steps.reduceRight<unknown>((below, step) => (step === "0" ? [below] : { [step]: below }), "text");
        let found: any = withSecrets(value as any, rancherHaSchema, () => false);
        for (const step of steps) if (!pulumi.Output.isInstance(found)) found = found[step];
        return pulumi.Output.isInstance(found);
    };
    const keys = configKeys().filter(({ path }) => !path.endsWith("File"));
    const said = keys.filter(({ meaning }) => /kept as a secret|, a secret\.|(^|\. )Secret\. /.test(`${meaning} `)).map(({ path }) => path);
    expect(said.length).toBeGreaterThan(12);
    expect(keys.map(({ path }) => path).filter(isMarked)).toEqual(said);
});

test("a URL with a login is a secret, wherever it stands and encrypted or not", async () => {
    const rancher = { proxy: "http://user:word@proxy.example.com:3128", repository: "https://user:word@charts.example.com" };
    const args: any = withSecrets({ hostname: "rancher.example.com", rancher } as any, rancherHaSchema, () => false);
    expect(await Promise.all([args.rancher.proxy, args.rancher.repository].map(pulumi.isSecret))).toEqual([true, true]);
    expect(args.hostname).toBe("rancher.example.com");
    const plain: any = withSecrets({ rancher: { proxy: "http://proxy.example.com:3128" } } as any, rancherHaSchema, () => false);
    expect(plain.rancher.proxy).toBe("http://proxy.example.com:3128");
});

test("a path to a key is no secret: a preview shows what it changes", () => {
    const args: any = withSecrets(
        { certificateOnHost: { certificateChain: "/a.pem", privateKey: "/a.key" }, certificate: { privateKey: "text" } } as any,
        rancherHaSchema,
        () => false,
    );
    expect(args.certificateOnHost).toEqual({ certificateChain: "/a.pem", privateKey: "/a.key" });
    expect(pulumi.Output.isInstance(args.certificate.privateKey)).toBe(true);
});

test("no secret is shown, wherever it stands", () => {
    const secret = "hunter2hunter2";
    const pem = `-----BEGIN OPENSSH PRIVATE KEY-----\n${secret}`;
    const wrong: Config[] = [
        changed(c => (c.ssh = pem)),
        changed(c => (c.ssh = { privateKey: secret })),
        changed(c => (c.ssh = { privateKey: { value: secret } })),
        changed(c => (c.ssh = { privateKeyFile: { value: secret } })),
        changed(c => (c.hostname = pem)),
        changed(c => ((c.ssh.privateKey = pem), (c.loadBalancer.hosts = [...c.loadBalancer.hosts, ...c.loadBalancer.hosts]))),
        changed(c => (c.rancher = `{"bootstrapPassword": "${secret}"`)),
        changed(c => (c.rancher.bootstrapPassword = [secret])),
        changed(c => (c.certificate = { certificateChain: pem, privateKey: secret })),
        changed(c => ((c.cluster = undefined), (c.existingCluster = { kubeconfig: secret }))),
    ];
    for (const config of wrong) {
        const found = problems(config);
        expect(found).not.toEqual([]);
        expect(found.join("\n")).not.toContain("hunter2");
    }
});

describe("docs/configuration.md", () => {
    test("is up to date: else run `npm run docs`", () => expect(renderedPage()).toBe(readFileSync(configurationPage, "utf8")));

    test("has an example for each group, whose keys are all known", () => {
        const known = configKeys().map(({ path }) => path.replace(/\[\]/g, ""));
        const groups = known.filter(path => !path.includes(".") && known.some(other => other.startsWith(`${path}.`)));
        expect(Object.keys(examples).sort()).toEqual([...groups, "rancher.values"].sort());
        const freeForm = /^rancher\.values\.(resources\.requests|extraTolerations)\./;
        const used = Object.values(examples).flatMap(text => pathsOf(parse(text.replace(/pulumi-rancher-ha:/g, ""))));
        expect(used.filter(path => !freeForm.test(path) && !known.includes(path))).toEqual([]);
    });

    test.each(Object.entries(examples).filter(([group]) => !group.startsWith("certificate")))(
        "its example of %s is accepted",
        (section, text) => {
            const [group] = section.split(".");
            const { [`pulumi-rancher-ha:${group}`]: example } = parse(text.replace(/ssh-ed25519 AAAA…/g, hostKey));
            const isExisting = group === "existingCluster";
            const config = {
                ...production(),
                ...(isExisting && { cluster: undefined }),
                [group]: isExisting ? { ...example, kubeconfig: kubeconfigOf() } : example,
            };
            if (example.backup) example.backup.encryptionKey = Buffer.alloc(32, 7).toString("base64");
            expect(problems(config, () => sshKey)).toEqual([]);
        },
    );

    test("has exactly the keys that are accepted, and says which are required", () => {
        const ofFiles = ["ssh.privateKeyFile", "ssh.knownHostsFile", "cluster.rkeStateFile"].map(key => [key, false] as const);
        const accepted = [...keysOf(rancherHaSchema, ""), ...ofFiles];
        const said = ([key, required]: readonly [string, boolean]) => `${key}${required ? " (required)" : ""}`;
        const listed = configKeys().map(({ path, required }) => said([path, required]));
        const expected = accepted.map(said);
        expect([...listed].sort()).toEqual([...new Set(expected)].sort());
        expect(configKeys().filter(({ meaning }) => meaning.length < 10)).toEqual([]);
    });

    test("says each default as the schema has it", () => {
        const said = new Map(configKeys().map(({ path, fallback }) => [path, fallback]));
        const expected = defaultsOf(rancherHaSchema, "");
        expect(expected.length).toBeGreaterThan(40);
        const wrong = expected.filter(([path, value]) => !isDeepStrictEqual(parse(said.get(path) ?? ""), value));
        expect(wrong.map(([path, value]) => ({ path, expected: value, found: said.get(path) }))).toEqual([]);
    });

    test("says the default of every optional key that holds a value", () => {
        const keys = configKeys();
        const isGroup = (path: string) => keys.some(other => other.path.startsWith(`${path}.`) || other.path.startsWith(`${path}[].`));
        const unsaid = keys.filter(({ path, required, fallback }) => !required && fallback === "" && !isGroup(path));
        expect(unsaid.map(({ path }) => path)).toEqual([]);
    });

    test("says no default that neither the schema, the chart nor Kubernetes has", () => {
        // A rule needs to know whether a user wrote `liveCheck`. `Verification` has its default.
        const ofSchema = new Map([...defaultsOf(rancherHaSchema, ""), ["liveCheck", verificationSchema.shape.liveCheck.parse(undefined)]]);
        const ofOthers = /^(rancher\.values\..*|cluster\.services\.(kubeApi\.serviceNodePortRange|kubelet\.clusterDomain))$/;
        const isValue = (fallback: string) => /^([^\s`]+|"[^"]*")$/.test(fallback) && fallback !== "none";
        const unknown = configKeys().filter(({ path, fallback }) => isValue(fallback) && !ofSchema.has(path) && !ofOthers.test(path));
        expect(unknown.map(({ path, fallback }) => `${path}: ${fallback}`)).toEqual([]);
    });
});

/** Lists the path of every key of a document, without the indexes of lists. */
function pathsOf(value: unknown, prefix = ""): string[] {
    if (Array.isArray(value)) return value.flatMap(each => pathsOf(each, prefix));
    if (typeof value !== "object" || value === null) return [];
    return Object.entries(value).flatMap(([key, below]) => [prefix + key, ...pathsOf(below, `${prefix}${key}.`)]);
}

/** Lists every key below a schema that has a default, with the default. */
function defaultsOf(schema: z.ZodType, path: string): (readonly [string, unknown])[] {
    const { def } = schema as any;
    if (def.type === "default") return [[path, def.defaultValue], ...defaultsOf(def.innerType, path)];
    if (def.innerType) return defaultsOf(def.innerType, path);
    if (def.type === "array") return defaultsOf(def.element, `${path}[]`);
    if (def.type !== "object") return [];
    return Object.entries(def.shape as Record<string, z.ZodType>).flatMap(([key, below]) =>
        defaultsOf(below, path ? `${path}.${key}` : key),
    );
}

/** Lists every key below a schema, with true for a required key. */
function keysOf(schema: z.ZodType, prefix: string): (readonly [string, boolean])[] {
    const { def } = schema as any;
    if (def.innerType) return keysOf(def.innerType, prefix);
    if (def.type === "array") return keysOf(def.element, `${prefix.slice(0, -1)}[].`);
    if (def.type !== "object") return [];
    return Object.entries(def.shape as Record<string, z.ZodType>).flatMap(([key, below]) => [
        [prefix + key, !below.safeParse(undefined).success] as const,
        ...keysOf(below, `${prefix}${key}.`),
    ]);
}
