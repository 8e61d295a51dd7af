import { spawnSync } from "child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { parse, stringify } from "yaml";
import { adoption, Installation, read } from "../../adopt/configuration";
import { readClusterYml } from "../../adopt/clusterYml";
import { readHelmValues } from "../../adopt/helmValues";
import { importFile } from "../../adopt/importFile";
import { readNginxConf } from "../../adopt/nginxConf";
import { noteLines } from "../../adopt/reading";
import { sealed } from "../../adopt/seal";
import { caChecksum } from "../../components/certificates/pem";
import { clusterYml } from "../../components/cluster/rke/clusterYml";
import { rkeClusterSchema } from "../../components/cluster/rke/schema";
import { parseConfig } from "../../config";
import { issue } from "../../lab/certificates";
import { hostKey, sshKey } from "../component/stackMocks";
import { validConfiguration } from "../configuration";

const manualNginx = readFileSync(join(__dirname, "..", "..", "lab", "manual.conf"), "utf8").replace("@servers@", "server 192.0.2.31:80;");

const written = `nodes:
  - address: 192.0.2.31
    internal_address: 10.0.0.31
    user: rke
    role: [controlplane, etcd, worker]
    ssh_key_path: ~/.ssh/rancher
    labels: { example.com/rack: r1 }
    taints: []
  - address: 192.0.2.32
    port: "2222"
    hostname_override: node2
    user: rke
    role: [controlplane, etcd, worker]
    ssh_key_path: ~/.ssh/rancher
  - address: 192.0.2.33
    user: rke
    role: [controlplane, etcd, worker]
    ssh_key_path: ~/.ssh/another
cluster_name: ""
kubernetes_version: v1.30.14-rancher1-1
ssh_agent_auth: false
network: { plugin: canal, options: { canal_iface: eth1 } }
services:
  kubelet:
    extra_args:
      max-pods: "250"
  etcd:
    snapshot: true
    backup_config:
      interval_hours: 12
      retention: 6
      s3backupconfig: { bucket_name: snapshots }
      timeout: 600
ingress:
  provider: nginx
  options:
    use-forwarded-headers: "true"
    proxy-body-size: 50m
system_images:
  etcd: rancher/mirrored-coreos-etcd:v3.5.12
  kubernetes: rancher/hyperkube:v1.30.14-rancher1
`;

describe("cluster.yml", () => {
    const { settings, notes } = readClusterYml(written);

    test("becomes the cluster's settings", () =>
        expect(settings).toEqual({
            ssh: { privateKeyFile: "~/.ssh/rancher" },
            cluster: {
                kubernetesVersion: "v1.30.14-rancher1-1",
                nodes: [
                    {
                        address: "192.0.2.31",
                        internalAddress: "10.0.0.31",
                        user: "rke",
                        roles: ["controlplane", "etcd", "worker"],
                        labels: { "example.com/rack": "r1" },
                    },
                    { address: "192.0.2.32", port: 2222, hostname: "node2", user: "rke", roles: ["controlplane", "etcd", "worker"] },
                    { address: "192.0.2.33", user: "rke", roles: ["controlplane", "etcd", "worker"] },
                ],
                network: { plugin: "canal", interface: "eth1" },
                services: { kubelet: { extraArgs: { "max-pods": "250" } } },
                etcdBackup: { intervalHours: 12, retention: 6, s3: { bucket: "snapshots" } },
                ingressOptions: { "use-forwarded-headers": "true" },
            },
        }));

    test("what cannot be expressed is named with its line", () =>
        expect(noteLines("cluster.yml", notes)).toEqual([
            "cluster.yml:18: nodes[2].ssh_key_path: is another key than ~/.ssh/rancher. Give this node a privateKey of its own, as a secret",
            "cluster.yml:33: services.etcd.backup_config.timeout: cannot be expressed, this stack has no such key. RKE drops line 33 in its next run",
            "cluster.yml:38: ingress.options.proxy-body-size: is not kept, maxBodySize, maxRequestHeaderSize and maxResponseHeaderSize of loadBalancer set it",
            expect.stringMatching(/^cluster\.yml:40: system_images\.etcd: is not kept, RKE takes its own images/),
        ]));

    test("that this library renders becomes the same settings, without the secrets", () => {
        const { ssh, cluster }: any = validConfiguration();
        const bastion = { address: "192.0.2.9", port: 2222, user: "jump", hostKey };
        cluster.privateRegistries[0].password = cluster.etcdBackup.s3.accessKey = cluster.etcdBackup.s3.secretKey = "s3cret";
        const rendered = (given: any) => {
            const nodes = given.cluster.nodes.map((node: object) => ({ ...node, hostKey }));
            return clusterYml(
                rkeClusterSchema.parse({ ...given.cluster, nodes, ssh: { ...given.ssh, bastion: { ...given.ssh.bastion, hostKey } } }),
            );
        };
        const nodes = cluster.nodes.map((node: object) => ({ ...node, privateKey: undefined }));
        const before = rendered({ ssh: { agent: true, user: ssh.user, bastion }, cluster: { ...cluster, nodes, apiEndpoint: undefined } });
        const { settings: read, notes: secrets } = readClusterYml(before);
        expect(secrets.map(({ what, advice }) => [what, /'pulumi-rancher-ha:(.*)'$/.exec(advice)?.[1]])).toEqual([
            ["private_registries[0].password", "cluster.privateRegistries[0].password"],
            ["services.etcd.backup_config.s3backupconfig.access_key", "cluster.etcdBackup.s3.accessKey"],
            ["services.etcd.backup_config.s3backupconfig.secret_key", "cluster.etcdBackup.s3.secretKey"],
        ]);
        read.cluster.privateRegistries[0].password = "s3cret";
        Object.assign(read.cluster.etcdBackup.s3, { accessKey: "s3cret", secretKey: "s3cret" });
        expect(rendered(read)).toBe(before);
    });

    test.each([
        ["a default key", "nodes: []", { privateKeyFile: "~/.ssh/id_rsa" }, []],
        ["the keys of an agent", "ssh_agent_auth: true", { agent: true }, []],
        [
            "the key of the file, for a bastion too",
            "bastion_host: { address: a, ssh_key_path: k }\nssh_key_path: k",
            { privateKeyFile: "k", bastion: { address: "a" } },
            [],
        ],
        [
            "another key of the bastion",
            "ssh_key_path: k\nbastion_host: { address: a, port: 2222, user: jump, ssh_key_path: b }",
            { privateKeyFile: "k", bastion: { address: "a", port: 2222, user: "jump" } },
            ["is another key than k. Give ssh.bastion a privateKey of its own, as a secret"],
        ],
    ])("RKE's logins are kept: %s", (_what, text, ssh, advice) => {
        const { settings: read, notes: found } = readClusterYml(text);
        expect(read.ssh).toEqual(ssh);
        expect(found.map(note => note.advice)).toEqual(advice);
    });

    test("settings of groups that have arguments are kept, other keys go to extraConfig", () => {
        const { settings: read, notes: none } = readClusterYml(`ignore_docker_version: true
services:
  kube-api:
    extra_args: { oidc-issuer-url: https://login.example.com }
    audit_log: { enabled: true, configuration: { max_age: 7, policy: { kind: Policy, rules: [{ level: None }] } } }
    service_node_port_range: 31000-32000
    secrets_encryption_config: { enabled: true }
    always_pull_images: true
  kubelet: { cluster_domain: example.local, extra_binds: [/a:/b], extra_env: [A=1], fail_swap_on: false }
upgrade_strategy: { max_unavailable_worker: 20%, drain: true, node_drain_input: { ignore_daemonsets: false, timeout: 60 } }
private_registries: [{ url: registry.example.com, user: u, is_default: true }]
system_images: { coredns: registry.example.com/coredns:1 }
ingress: { node_selector: { example.com/zone: a } }
dns: { stubdomains: { example.com: [192.0.2.53] } }
`);
        expect(none).toEqual([]);
        expect(read.cluster).toEqual({
            ignoreDockerVersion: true,
            services: {
                kubeApi: {
                    extraArgs: { "oidc-issuer-url": "https://login.example.com" },
                    auditLog: { enabled: true, maxAgeDays: 7, policy: { kind: "Policy", rules: [{ level: "None" }] } },
                    serviceNodePortRange: "31000-32000",
                    secretsEncryption: true,
                },
                kubelet: { clusterDomain: "example.local", extraBinds: ["/a:/b"], extraEnv: ["A=1"] },
            },
            upgradeStrategy: { maxUnavailableWorker: "20%", drain: true, nodeDrainInput: { ignoreDaemonSets: false, timeoutSeconds: 60 } },
            privateRegistries: [{ url: "registry.example.com", user: "u", isDefault: true }],
            systemImages: { coredns: "registry.example.com/coredns:1" },
            ingressNodeSelector: { "example.com/zone": "a" },
            extraConfig: {
                services: { "kube-api": { always_pull_images: true } },
                dns: { stubdomains: { "example.com": ["192.0.2.53"] } },
            },
        });
    });

    test("a secret is named, and not kept", () => {
        const { settings: read, notes: secrets } = readClusterYml(`private_registries: [{ url: a.example.com, user: u, password: hunter2 }]
cloud_provider: { name: vsphere, vsphereCloudProvider: { global: { password: hunter2 } } }
`);
        expect(JSON.stringify([read, secrets])).not.toContain("hunter2");
        const set = "is a secret, and is not kept: pulumi config set --secret --path 'pulumi-rancher-ha:cluster.";
        expect(noteLines("cluster.yml", secrets)).toEqual([
            `cluster.yml:1: private_registries[0].password: ${set}privateRegistries[0].password'`,
            `cluster.yml:2: cloud_provider.vsphereCloudProvider.global.password: ${set}extraConfig.cloud_provider.vsphereCloudProvider.global.password'`,
        ]);
    });

    test.each([
        [
            "flags that are false, 0 or empty",
            'services: { kubelet: { extra_args: { serialize-image-pulls: false, event-qps: 0, feature-gates: "" } } }',
            { services: { kubelet: { extraArgs: { "serialize-image-pulls": "false", "event-qps": "0", "feature-gates": "" } } } },
        ],
        [
            "labels that are empty, false, or like numbers",
            'nodes: [{ labels: { node-role.kubernetes.io/edge: "", dedicated: false, release: 1.10, n: 0123, x: yes, y: ~ } }]',
            {
                nodes: [
                    { labels: { "node-role.kubernetes.io/edge": "", dedicated: "false", release: "1.10", n: "0123", x: "yes", y: "" } },
                ],
            },
        ],
        [
            "options and the selector of the ingress controller",
            'ingress: { node_selector: { x/edge: "" }, options: { use-http2: false, max: 1e3 } }',
            { ingressNodeSelector: { "x/edge": "" }, ingressOptions: { "use-http2": "false", max: "1e3" } },
        ],
        [
            "empty values in the audit policy",
            'services: { kube-api: { audit_log: { configuration: { policy: { rules: [{ resources: [{group: ""}, {}], users: [] }] } } } } }',
            { services: { kubeApi: { auditLog: { policy: { rules: [{ resources: [{ group: "" }, {}], users: [] }] } } } } },
        ],
        [
            "aliases and merged objects, as yaml.v2 merges them",
            `x: { labels: &l { a: 1 }, taints: &t [{ key: k, effect: NoSchedule }], args: &ea { v: 2 }, role: &r [etcd], node: &n { user: rke, labels: *l } }
nodes: [{ role: *r, labels: *l, taints: *t }, { <<: *n, labels: { b: 2 } }]
services: { scheduler: { extra_args: *ea } }`,
            {
                nodes: [
                    { roles: ["etcd"], labels: { a: "1" }, taints: [{ key: "k", effect: "NoSchedule" }] },
                    { user: "rke", labels: { a: "1", b: "2" } },
                ],
                services: { scheduler: { extraArgs: { v: "2" } } },
            },
        ],
        [
            "strings that look like numbers, in further keys too",
            "cluster_name: 1.10\nupgrade_strategy: { max_unavailable_worker: 1 }\nnetwork: { node_selector: { v: 1.10 } }",
            {
                clusterName: "1.10",
                upgradeStrategy: { maxUnavailableWorker: "1" },
                extraConfig: { network: { node_selector: { v: "1.10" } } },
            },
        ],
        [
            "switches that RKE tells from missing ones",
            "services: { etcd: { snapshot: false } }\ningress: { default_backend: false }\nenable_cri_dockerd: false\nmonitoring: { replicas: 0 }",
            {
                extraConfig: {
                    services: { etcd: { snapshot: false } },
                    ingress: { default_backend: false },
                    enable_cri_dockerd: false,
                    monitoring: { replicas: 0 },
                },
            },
        ],
        [
            "images of another owner",
            "system_images: { etcd: mirror/etcd:v1, coredns: rancher/coredns:v1 }",
            { systemImages: { etcd: "mirror/etcd:v1" } },
        ],
    ])("keeps %s", (_what, text, cluster) => expect(readClusterYml(text).settings.cluster).toEqual(cluster));

    test.each([
        [
            "another default of the ingress controller",
            "ingress: { default_ingress_class: false }",
            /^cannot be expressed, this stack always sets true/,
        ],
        [
            "false for a missing key",
            "cloud_provider: { awsCloudProvider: { global: { x: false } } }",
            /^is not kept, because RKE takes false for a missing key$/,
        ],
        [
            "a relative path",
            "addons_include: [/srv/a.yaml, ./b.yaml]",
            /^is not kept, because the stack runs RKE in a folder of its own\. Put /,
        ],
        ["keys that RKE does not read", "x-base: { a: 1, b: 2 }", /^is not kept, because RKE reads no such key$/],
        [
            "a second value of an argument",
            "services: { kube-controller: { service_cluster_ip_range: 10.1.0.0/16 }, kube-api: { service_cluster_ip_range: 10.2.0.0/16 } }",
            /^is not kept, because cluster.network.serviceClusterIpRange is "10.1.0.0\/16" by another line$/,
        ],
    ])("notes %s", (_what, text, advice) =>
        expect(readClusterYml(text).notes.map(note => note.advice)).toEqual([expect.stringMatching(advice)]),
    );

    test("the file that rke config writes leaves no note about its empty values", () => {
        const service = 'image: "", extra_args: {}, extra_args_array: {}, extra_binds: [], extra_env: [], win_extra_args: {}';
        const { settings: read, notes: none } = readClusterYml(`nodes:
- { address: 192.0.2.31, port: "22", internal_address: "", role: [etcd], hostname_override: "", user: u, docker_socket: /var/run/docker.sock,
    ssh_key: "", ssh_key_path: ~/.ssh/id_rsa, ssh_cert: "", ssh_cert_path: "", labels: {}, taints: [] }
services:
  etcd: { ${service}, external_urls: [], ca_cert: "", uid: 0, gid: 0, snapshot: null, retention: "", creation: "", backup_config: null }
  kube-api: { ${service}, service_node_port_range: "", pod_security_policy: false, always_pull_images: false, audit_log: null }
  kubelet: { ${service}, cluster_domain: cluster.local, infra_container_image: "", cluster_dns_server: 10.43.0.10, fail_swap_on: false }
network: { plugin: canal, options: {}, mtu: 0, node_selector: {}, update_strategy: null, tolerations: [], enable_br_netfilter: null }
authentication: { strategy: x509, sans: [], webhook: null }
addons: ""
addons_include: []
system_images: { etcd: "" }
ssh_key_path: ~/.ssh/id_rsa
ssh_agent_auth: false
authorization: { mode: rbac, options: {} }
ignore_docker_version: null
enable_cri_dockerd: null
private_registries: []
ingress: { provider: "", options: {}, extra_envs: [], http_port: 0, https_port: 0, network_mode: "", default_backend: null }
cluster_name: ""
cloud_provider: { name: "" }
prefix_path: ""
addon_job_timeout: 0
bastion_host: { address: "", port: "", user: "", ssh_key: "", ssh_key_path: "", ignore_proxy_env_vars: false }
monitoring: { provider: "", options: {}, replicas: null }
restore: { restore: false, snapshot_name: "" }
rotate_encryption_key: false
dns: null
`);
        expect(none).toEqual([]);
        expect(read).toEqual({
            ssh: { privateKeyFile: "~/.ssh/id_rsa" },
            cluster: { nodes: [{ address: "192.0.2.31", user: "u", roles: ["etcd"] }], network: { plugin: "canal" } },
        });
    });

    test.each([
        [
            "below a key with a dot",
            "cloud_provider: { vsphereCloudProvider: { virtual_center: { 192.168.1.1: { user: u, password: hunter2 } } } }",
            'cluster.extraConfig.cloud_provider.vsphereCloudProvider.virtual_center["192.168.1.1"].password',
        ],
        [
            "in the environment of a service",
            "services: { kubelet: { extra_env: [A=1, 'HTTPS_PROXY=http://u:hunter2@p'] } }",
            "cluster.services.kubelet.extraEnv[1]",
        ],
        [
            "by the name of a variable",
            "services: { kubelet: { extra_env: [DB_PASSWORD=hunter2] } }",
            "cluster.services.kubelet.extraEnv[0]",
        ],
        [
            "by the name beside it",
            "ingress: { extra_envs: [{ name: API_TOKEN, value: hunter2 }] }",
            "cluster.extraConfig.ingress.extra_envs[0].value",
        ],
        [
            "a manifest of a Secret",
            "addons: |\n  apiVersion: v1\n  kind: Secret\n  stringData: { a: hunter2 }",
            "cluster.extraConfig.addons",
        ],
        [
            "in a file of settings",
            'cloud_provider: { customCloudProvider: "[Global]\\nclient-secret = hunter2" }',
            "cluster.extraConfig.cloud_provider.customCloudProvider",
        ],
        [
            "below a key with a quote",
            "network: { options: { \"it's\": 'http://u:hunter2@p' } }",
            "cluster.extraConfig.network.options[\"it'\\''s\"]",
        ],
    ])("a secret is written to no file: %s", (_what, text, path) => {
        const read = readClusterYml(text);
        expect(JSON.stringify(read)).not.toContain("hunter2");
        expect(read.notes.map(({ advice }) => advice)).toEqual([
            `is a secret, and is not kept: pulumi config set --secret --path 'pulumi-rancher-ha:${path}'`,
        ]);
    });

    test("names of Secrets, files, keys of taints and switches are no secrets", () => {
        const { notes: none } = readClusterYml(`network: { tolerations: [{ key: token, operator: Exists }] }
nodes: [{ labels: { vault-token: a }, taints: [{ key: secret, effect: NoSchedule }] }]
services: { kube-api: { extra_args: { enable-bootstrap-token-auth: "true", token-auth-file: /etc/t, service-account-max-token-expiration: 24h } } }
`);
        expect(none).toEqual([]);
    });

    test("that is no YAML is refused without its text", () =>
        expect(() => readClusterYml("nodes: [\npassword: hunter2")).toThrow(/^expected YAML, found a fault in line \d$/));
});

describe("nginx.conf", () => {
    test("of the manual is understood as a whole", () => {
        const { settings, notes } = readNginxConf(manualNginx);
        expect(notes).toEqual([]);
        expect(settings).toMatchObject({
            hostname: expect.any(String),
            certificateOnHost: { certificateChain: expect.stringMatching(/fullchain/), privateKey: expect.stringMatching(/privkey/) },
        });
    });

    /** Returns settings and notes of an nginx.conf with these directives inside `http`. */
    const readHttp = (http: string, hostname: string | undefined = "rancher.example.com") => {
        const { settings, notes } = readNginxConf(`http {\n${http}\n}`, hostname);
        return { settings, notes: noteLines("nginx.conf", notes).map(line => line.replace("nginx.conf:", "")) };
    };
    const rancher = (server = "", location = "") => `upstream rancher { server 192.0.2.31:8080; }
server { listen 443 ssl; server_name rancher.example.com; ssl_certificate /r.pem; ssl_certificate_key /r.key; ${server}
location / { proxy_pass http://rancher; ${location} } }`;
    const gitlab = `upstream gitlab { server 192.0.2.9:8181; }
server { listen 443 ssl; server_name gitlab.example.com git.example.com; ssl_certificate /g.pem; ssl_certificate_key /g.key;
client_max_body_size 9g; location / { proxy_pass http://gitlab; proxy_read_timeout 9h; } }`;
    const ofRancher = {
        hostname: "rancher.example.com",
        certificateOnHost: { certificateChain: "/r.pem", privateKey: "/r.key" },
        loadBalancer: { upstreamPort: 8080 },
    };

    test("sizes and long timeouts are kept, and another directive is named with its place", () => {
        const { settings, notes } = readHttp(
            rancher("client_max_body_size 1G; allow 192.0.2.0/24;", "proxy_read_timeout 1h; limit_rate 1m;"),
        );
        expect(settings.loadBalancer).toEqual({ upstreamPort: 8080, maxBodySize: "1g", readTimeoutSeconds: 3600 });
        expect(notes).toEqual([
            "3: allow 192.0.2.0/24: is not kept. To keep it, add it to loadBalancer.extraDirectives.server",
            "4: limit_rate 1m: is not kept. To keep it, add it to loadBalancer.extraDirectives.location",
        ]);
    });

    test.each([
        ["behind it", `${rancher()}\n${gitlab}`, 6],
        ["before it", `${gitlab}\n${rancher()}`, 3],
    ])("another site %s changes nothing, and is named", (_where, http, line) => {
        const other = `${line}: server gitlab.example.com git.example.com: is not kept, and this host then serves Rancher alone.`;
        expect(readHttp(http)).toEqual({ settings: ofRancher, notes: [expect.stringContaining(other)] });
        expect(readHttp(rancher()).notes).toEqual([]);
    });

    test("without Helm's host name, the first site that ends TLS and proxies is Rancher's", () =>
        expect(readNginxConf(`http { ${rancher()}\n${gitlab} }`).settings).toEqual(ofRancher));

    test("a site by wildcard, a redirect for all names and settings of http are Rancher's", () => {
        const http = `client_max_body_size 5m; ssl_certificate /h.pem; ssl_certificate_key /h.key; ${gitlab}
server { listen 80 default_server; server_name _; return 301 https://$host$request_uri; }
server { listen 443 ssl default_server; ssl_reject_handshake on; }
server { listen 443 ssl; server_name *.example.com; location / { proxy_pass http://192.0.2.31:8080; } }`;
        const { settings, notes } = readHttp(http);
        expect(settings).toEqual({
            hostname: "rancher.example.com",
            certificateOnHost: { certificateChain: "/h.pem", privateKey: "/h.key" },
            loadBalancer: { upstreamPort: 8080, maxBodySize: "5m" },
        });
        expect(notes).toEqual([
            expect.stringMatching(/^3: server gitlab/),
            "7: server_name *.example.com: is not kept, because the stack serves rancher.example.com alone",
        ]);
    });

    test("a site by a pattern is Rancher's", () =>
        expect(readHttp(rancher().replace(/server_name \S+;/, String.raw`server_name ~^(?P<x>rancher)\.Example\.com$;`)).settings).toEqual(
            ofRancher,
        ));

    test("sites without Rancher's name give no certificate, and this is said", () => {
        const { settings, notes } = readHttp(`${rancher()}\n${gitlab}`, "other.example.com");
        expect(settings).toEqual({ loadBalancer: {} });
        expect(notes).toEqual([
            "3: server: expected a server_name other.example.com, found rancher.example.com, gitlab.example.com, git.example.com. Add certificateOnHost by hand",
            expect.stringMatching(/^3: server rancher\.example\.com: is not kept/),
            expect.stringMatching(/^6: server gitlab\.example\.com/),
        ]);
    });

    test.each([
        [
            "the PROXY protocol",
            "listen 443 ssl proxy_protocol;",
            /^3: listen 443 ssl proxy_protocol: cannot be expressed: .*PROXY protocol/,
        ],
        [
            "another port",
            "listen [::]:8443 ssl;",
            /^3: listen \[::\]:8443 ssl: is not kept, because the stack listens on ports 80 and 443$/,
        ],
        ["a request header", "proxy_set_header X-Team a;", /^3: proxy_set_header X-Team: .*extraDirectives\.server$/],
        [
            "a further name",
            "server_name www.example.com;",
            /^3: server_name www\.example\.com: is not kept, because the stack serves rancher/,
        ],
        ["a second certificate", "ssl_certificate /e.pem;", /^3: ssl_certificate \/e\.pem: is not kept, because .* that of line 3$/],
        ["files of a plain nginx.conf", "include conf.d/*.conf;", /^3: include conf\.d\/\*\.conf: .*Give the output of nginx -T$/],
        ["another location", "location /x { return 200; }", /^3: location \/x: .*extraDirectives\.server$/],
        ["a timeout that has an argument", "proxy_send_timeout 9s;", /^3: proxy_send_timeout 9s: .*set loadBalancer\.readTimeoutSeconds$/],
        ["an answer of its own", "return 403;", /^3: return 403: is not kept/],
        ["a second size", "client_max_body_size 1m; location /v3/ { client_max_body_size 2m; }", /^3: (client_max_body_size 1m|location)/],
    ])("a server's directive is named: %s", (_what, directive, note) => expect(readHttp(rancher(directive)).notes[0]).toMatch(note));

    test("port 80 only redirects: other work of its server is named", () => {
        const redirect = "listen 80; server_name rancher.example.com;";
        const certbot = "if ($host = rancher.example.com) { return 301 https://$host$request_uri; } return 404;";
        const notes = [certbot, "location / { proxy_pass http://rancher; }", "location /.well-known/ { root /var/www; }"].map(
            work => readHttp(`${rancher()}\nserver { ${redirect} ${work} }`).notes,
        );
        expect(notes).toEqual([
            [],
            ["5: location /: is not kept, because port 80 only redirects to HTTPS"],
            ["5: location /.well-known/: is not kept, because port 80 only redirects to HTTPS"],
        ]);
    });

    test.each([
        ["a method of balancing", "upstream rancher { ip_hash; server 192.0.2.31; }", "http://rancher", /^2: ip_hash: is not kept/],
        ["nodes with other ports", "upstream rancher { server a:80; server b:81; }", "http://rancher", /^2: server b:81: is not kept/],
        ["a spare node", "upstream rancher { server a; server b backup; }", "http://rancher", /^2: server b backup: is kept without/],
        ["HTTPS to the nodes", "", "https://192.0.2.31", /^3: proxy_pass https:\/\/192\.0\.2\.31: cannot be expressed/],
    ])("what the upstream has is named: %s", (_what, upstream, url, note) =>
        expect(readHttp(`${upstream}\nserver { server_name rancher.example.com; location / { proxy_pass ${url}; } }`).notes).toEqual([
            expect.stringMatching(note),
        ]),
    );

    test("a stream with the Kubernetes API leads to its argument, no other one does", () => {
        const stream = (port: number) => `stream { upstream s { server 192.0.2.31:${port}; } server { listen ${port}; proxy_pass s; } }`;
        const notes = [6443, 5432].map(port => readNginxConf(`http {\n${rancher()}\n}\n${stream(port)}`).notes);
        expect(notes).toEqual([
            [{ line: 6, what: "stream server listen 6443", advice: expect.stringMatching(/set loadBalancer\.kubernetesApi to true$/) }],
            [{ line: 6, what: "stream server listen 5432", advice: expect.stringMatching(/^cannot be expressed/) }],
        ]);
    });

    test("the output of nginx -T is read with the included files in their places", () => {
        const text = `# configuration file /etc/nginx/nginx.conf:
include /etc/nginx/modules-enabled/*.conf;
http { include mime.types; include conf.d/*.conf; include sites/*; }
# configuration file /etc/nginx/mime.types:
types { text/html html; }
# configuration file /etc/nginx/conf.d/rancher.conf:
${rancher("include snippets/a.conf;")}
# configuration file /etc/nginx/snippets/a.conf:
client_max_body_size 7m;
# configuration file /etc/nginx/sites/gitlab:
${gitlab}`;
        const { settings, notes } = readNginxConf(text, "rancher.example.com");
        expect(settings).toEqual({ ...ofRancher, loadBalancer: { upstreamPort: 8080, maxBodySize: "7m" } });
        expect(noteLines("f", notes)).toEqual([expect.stringMatching(/^f:14: server gitlab\.example\.com/)]);
    });
});

test("values of the release become typed values, additional ones, and never a password", () => {
    const text = stringify({ tls: "ingress", hostname: "rancher.example.com", bootstrapPassword: "hunter2hunter2", debug: true, other: 1 });
    const { settings, notes } = readHelmValues(text);
    expect(settings).toEqual({
        hostname: "rancher.example.com",
        privateCa: false,
        hasAdditionalCas: false,
        hasBootstrapPassword: true,
        rancher: { values: { debug: true }, additionalValues: { other: 1 } },
    });
    expect(JSON.stringify({ settings, notes })).not.toContain("hunter2");
    expect(notes.map(({ what }) => what)).toEqual(["tls", "bootstrapPassword"]);
});

test.each([undefined, null, ""])("a release with the password %j stays without one, so that its pods run on", password => {
    const { settings, notes } = readHelmValues(stringify({ bootstrapPassword: password }));
    expect([settings.hasBootstrapPassword, settings.rancher, notes]).toEqual([false, { bootstrapPassword: "" }, []]);
});

test.each(["admin", "x".repeat(73)])("a password that the stack refuses is left out, with what follows: %s", bootstrapPassword => {
    const { settings, notes } = readHelmValues(stringify({ bootstrapPassword }));
    expect([settings.hasBootstrapPassword, settings.rancher]).toEqual([false, {}]);
    expect(notes).toEqual([{ line: 1, what: "bootstrapPassword", advice: expect.stringMatching(/^is not kept, .* the pods run on/) }]);
});

test("values that only the chart's default fits are noted, and are in no configuration", () => {
    const text = stringify({
        bootstrapPassword: "",
        addLocal: "auto",
        ingress: { servicePort: 443, path: "/x", new: 1 },
        service: { disableHTTP: true },
    });
    const { settings, notes } = readHelmValues(text);
    expect(settings.rancher).toEqual({
        bootstrapPassword: "",
        values: { ingress: { path: "/x" } },
        additionalValues: { ingress: { new: 1 } },
    });
    expect(notes.map(({ what, advice }) => `${what} ${advice}`)).toEqual([
        expect.stringMatching(/^addLocal is not kept, because the stack needs the chart's default, "true"/),
        expect.stringMatching(/^ingress\.servicePort is not kept, .* default, 80/),
        expect.stringMatching(/^service\.disableHTTP is not kept, .* default, false/),
    ]);
});

test("a proxy is kept as it is, and one with a password is in no file", () => {
    const read = (proxy: string) => readHelmValues(stringify({ proxy, noProxy: ".svc" }));
    const plain = "http://proxy.example.com:3128";
    expect(read(plain)).toMatchObject({ settings: { rancher: { values: { proxy: plain, noProxy: ".svc" } } }, notes: [] });
    const { settings, notes } = read("http://user:word@proxy.example.com:3128");
    expect(settings.rancher).toEqual({ bootstrapPassword: "", values: { noProxy: ".svc" } });
    expect(notes).toEqual([
        { line: 1, what: "proxy", advice: expect.stringMatching(/^is a secret, and is not kept: .* --secret .*rancher\.values\.proxy'$/) },
    ]);
});

describe("an installation as the manual left it", () => {
    const nodes = ["31", "32", "33"].map(last => ({ address: `192.0.2.${last}`, user: "rke", role: ["controlplane", "etcd", "worker"] }));
    const ca = issue({ name: "CA", ca: true });
    const installation: Installation = {
        clusterYml: { path: "cluster.yml", text: stringify({ nodes, kubernetes_version: "v1.30.14-rancher1-1", ssh_key_path: "key" }) },
        nginxConf: { path: "nginx.conf", text: manualNginx.replace(/server_name \S+;/g, "server_name rancher.example.com;") },
        helmValues: { path: "values.yaml", text: stringify({ hostname: "rancher.example.com", tls: "external", privateCA: true }) },
        rkeState: "cluster.rkestate",
        loadBalancer: "192.0.2.21",
        chartVersion: "2.11.3",
        knownHosts: "known_hosts",
        caCertificate: ca.certificate,
    };

    /** Returns the configuration as the stack reads it. */
    function accepted(config: Record<string, unknown>) {
        const pair = { certificatePEM: ca.certificate, keyPEM: ca.privateKey };
        const certificatesBundle = { "kube-ca": pair, "kube-admin": pair, "kube-service-account-token": pair };
        const files: Record<string, string> = {
            key: sshKey,
            known_hosts: ["21", "31", "32", "33"].map(last => `192.0.2.${last} ${hostKey}\n`).join(""),
            "cluster.rkestate": JSON.stringify({ desiredState: { certificatesBundle, rkeConfig: { nodes } } }),
        };
        const raw = Object.fromEntries(
            Object.entries(config).map(([key, value]) => [`p:${key}`, typeof value === "string" ? value : JSON.stringify(value)]),
        );
        return parseConfig(raw, "p", path => files[path]);
    }

    test("becomes a configuration that the stack accepts", () => {
        const { config, notes } = adoption(installation);
        expect(notes).toEqual([]);
        expect(accepted(config)).toMatchObject({
            hostname: "rancher.example.com",
            loadBalancer: { hosts: [{ address: "192.0.2.21" }], takeOver: true },
            certificateOnHost: { caCertificate: ca.certificate },
            rancher: { chartVersion: "2.11.3", adoptedCaChecksum: caChecksum(ca.certificate), bootstrapPassword: "" },
        });
    });

    test("becomes one from the chart's whole values.yaml, too", () => {
        // The defaults of Rancher's chart 2.11, with what the manual sets.
        const probe = { timeoutSeconds: 5, periodSeconds: 30, failureThreshold: 5 };
        const values = {
            ...{ additionalTrustedCAs: false, antiAffinity: "preferred", topologyKey: "kubernetes.io/hostname", addLocal: "true" },
            auditLog: {
                ...{ destination: "sidecar", hostPath: "/var/log/rancher/audit/", level: 0, maxAge: 1, maxBackup: 1, maxSize: 100 },
                resources: {},
                image: { repository: "rancher/mirrored-bci-micro", tag: "15.6.24.2", pullPolicy: "IfNotPresent" },
            },
            ...{ debug: false, agentTLSMode: "", imagePullSecrets: [] },
            ingress: {
                ...{ enabled: true, includeDefaultExtraAnnotations: true, extraAnnotations: {}, ingressClassName: "" },
                ...{ pathType: "ImplementationSpecific", path: "/", servicePort: 80 },
                tls: { source: "rancher", secretName: "tls-rancher-ingress" },
            },
            service: { type: "", annotations: {}, disableHTTP: false },
            letsEncrypt: { environment: "production", ingress: { class: "" } },
            ...{ privateCA: true, noProxy: "127.0.0.0/8,.svc", rancherImage: "rancher/rancher", replicas: 3 },
            ...{ priorityClassName: "rancher-critical", resources: {}, tls: "external", hostname: "rancher.example.com" },
            ...{ systemDefaultRegistry: "", useBundledSystemChart: false, certmanager: { version: "" } },
            customLogos: { enabled: false, volumeSubpaths: { emberUi: "ember", vueUi: "vue" }, accessMode: "ReadWriteOnce", size: "1Gi" },
            postDelete: {
                ...{ enabled: true, image: { repository: "rancher/shell", tag: "v0.4.1" }, namespaceList: ["cattle-system"] },
                ...{ timeout: 120, ignoreTimeoutError: false },
            },
            ...{ bootstrapPassword: "", startupProbe: probe, livenessProbe: probe, readinessProbe: probe },
            ...{ extraTolerations: {}, extraNodeSelectorTerms: {}, webhook: "", fleet: "", extraObjects: [] },
        };
        const { config, notes } = adoption({ ...installation, helmValues: { path: "values.yaml", text: stringify(values) } });
        expect(notes).toEqual([]);
        expect(accepted(config)).toMatchObject({ rancher: { bootstrapPassword: "" } });
        const { rancher } = config as any;
        expect(rancher.agentTlsMode).toBeUndefined();
        const ingress = { ...values.ingress, servicePort: undefined, tls: undefined };
        expect(rancher.values).toMatchObject({ service: { annotations: {} }, auditLog: values.auditLog });
        expect(rancher.values.ingress).toEqual(ingress);
        expect(Object.keys(rancher.additionalValues).sort()).toEqual(["certmanager", "letsEncrypt"]);
    });

    test("whose certificate is publicly trusted restarts its pods without agentTLSMode", () => {
        const told = (values: object) => {
            const text = stringify({ hostname: "rancher.example.com", tls: "external", ...values });
            return adoption({ ...installation, helmValues: { path: "values.yaml", text }, caCertificate: undefined }).notes;
        };
        expect(told({})).toEqual([expect.stringMatching(/^values\.yaml: agentTLSMode: is not set\. .* system-store, and .* pods restart/)]);
        expect(told({ agentTLSMode: "system-store" })).toEqual([]);
    });

    test("whose files contradict each other, or whose CA is missing, is told", () => {
        const text = stringify({ hostname: "other.example.com", privateCA: true });
        const { notes } = adoption({ ...installation, helmValues: { path: "values.yaml", text }, caCertificate: undefined });
        expect(notes).toEqual([
            expect.stringMatching(
                /^hostname: expected the same name in both files, found rancher\.example\.com in nginx\.conf and other\.example\.com/,
            ),
            expect.stringMatching(/^values\.yaml: privateCA is true: expected the CA with --ca/),
        ]);
    });
});

test("without a private CA, no Secret is imported", () => {
    const imported = (hasCaSecret: boolean) => JSON.parse(importFile({ project: "p", stack: "s", hasCaSecret, hasAdditionalCas: false }));
    expect([true, false].map(has => imported(has).resources.map(({ id }: { id?: string }) => id ?? "component"))).toEqual([
        ["cattle-system", "cattle-system/tls-ca", "component", "cattle-system/rancher"],
        ["cattle-system", "component", "cattle-system/rancher"],
    ]);
});

test("additional CAs are imported below the release, and asked for as PEM text", () => {
    const { settings, notes } = readHelmValues(stringify({ additionalTrustedCAs: "true" }));
    expect(settings).toMatchObject({ hasAdditionalCas: true, rancher: { values: { additionalTrustedCAs: true } } });
    expect(notes.map(({ advice }) => advice)).toEqual([expect.stringMatching(/rancher\.additionalTrustedCAs'$/)]);
    const { resources } = JSON.parse(importFile({ project: "p", stack: "s", hasCaSecret: false, hasAdditionalCas: true }));
    expect(resources).toContainEqual({
        type: "kubernetes:core/v1:Secret",
        name: "rancher-release-additional-cas",
        id: "cattle-system/tls-ca-additional",
        parent: "rancher-release",
        provider: "provider",
    });
});

test.each([
    ["with a key twice", "a: 1\na: hunter2", /^f: expected each key once, found one twice in line 2$/],
    ["that is no YAML", "a: [\nb: hunter2", /^f: expected YAML, found a fault in line \d$/],
    ["without keys", "hunter2", /^f: expected an object with keys in YAML, found another value$/],
])("a file %s is refused by its name, without its text", (_what, text, message) => {
    for (const reader of [readClusterYml, readHelmValues]) expect(() => read<unknown>({ path: "f", text }, reader)).toThrow(message);
    expect(readHelmValues("null\n").settings.rancher).toEqual({ bootstrapPassword: "" });
});

test.each([true, "true"])("a private CA is recognised, also one of --set-string: %j", privateCA =>
    expect(readHelmValues(stringify({ privateCA })).settings.privateCa).toBe(true),
);

test("secrets of the release are in no file, and each has its command", () => {
    const values = {
        extraEnv: [
            { name: "HTTPS_PROXY", value: "http://u:hunter2@x" },
            { name: "DB_PASSWORD", value: "hunter2" },
            { name: "TOKEN", valueFrom: { secretKeyRef: { name: "secret", key: "token" } } },
        ],
        extraObjects: [{ apiVersion: "v1", kind: "Secret", stringData: { "a.b": "hunter2" } }],
        smtp: { password: "hunter2" },
        imagePullSecrets: [{ name: "registry" }],
        topologyKey: "zone",
    };
    const { settings, notes } = readHelmValues(stringify(values));
    expect(settings.rancher).toEqual({
        bootstrapPassword: "",
        values: {
            extraEnv: [{ name: "HTTPS_PROXY" }, { name: "DB_PASSWORD" }, values.extraEnv[2]],
            extraObjects: [{ apiVersion: "v1", kind: "Secret", stringData: {} }],
            imagePullSecrets: [{ name: "registry" }],
            topologyKey: "zone",
        },
        additionalValues: { smtp: {} },
    });
    expect(notes.map(({ advice }) => /'pulumi-rancher-ha:rancher\.(.*)'$/.exec(advice)?.[1])).toEqual([
        "values.extraEnv[0].value",
        "values.extraEnv[1].value",
        'values.extraObjects[0].stringData["a.b"]',
        "additionalValues.smtp.password",
    ]);
});

describe("the program", () => {
    const program = ["--require", require.resolve("tsx/cjs"), join(__dirname, "..", "..", "adopt", "index.ts"), "--stack", "s"];
    const inFolder = (files: Record<string, string>, args: string[]) => {
        const cwd = mkdtempSync(join(tmpdir(), "adopt-"));
        for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
        const { stdout, stderr } = spawnSync(process.execPath, [...program, ...args], { cwd, encoding: "utf8" });
        const written = Object.fromEntries(readdirSync(cwd).map(name => [name, readFileSync(join(cwd, name), "utf8")]));
        rmSync(cwd, { recursive: true });
        return { stdout, stderr, written };
    };

    test("keeps a configuration that exists, and writes the import file alone", () => {
        const files = {
            "Pulumi.s.yaml": "config: {}\n",
            "values.yaml": "additionalTrustedCAs: true\n",
            "ca.pem": issue({ name: "ca", ca: true }).certificate,
        };
        const { stdout, stderr, written } = inFolder(files, ["--values", "values.yaml", "--ca", "ca.pem"]);
        expect(stderr).toBe("");
        expect(stdout).toContain("kept: Pulumi.s.yaml");
        const project = "pulumi-rancher-ha";
        expect(written).toEqual({
            ...files,
            "import-s.json": importFile({ project, stack: "s", hasCaSecret: true, hasAdditionalCas: true }),
        });
    });

    test("refuses a file of the CA without a certificate, and writes nothing", () => {
        const files = { "Pulumi.s.yaml": "config: {}\n", "values.yaml": "", "ca.pem": "" };
        const { stderr, written } = inFolder(files, ["--values", "values.yaml", "--ca", "ca.pem"]);
        expect(stderr).toContain(
            "--ca: expected certificates as PEM text, found none in ca.pem. Without the Secret tls-ca, leave --ca out",
        );
        expect(written).toEqual(files);
    });

    test("writes strings so that YAML of every version reads them as strings", () => {
        const labels = { a: "yes", b: "0o7", c: "0123", d: "1_000", e: "2001-01-01", f: "1e3", g: "0b1" };
        const files = {
            "cluster.yml": stringify({ nodes: [{ address: "192.0.2.31", labels }] }),
            "nginx.conf": manualNginx,
            "values.yaml": "",
        };
        const { written } = inFolder(files, [
            ...["--cluster-yml", "cluster.yml", "--state", "x", "--nginx", "nginx.conf", "--values", "values.yaml"],
            ...["--load-balancer", "192.0.2.21", "--chart-version", "2.11.3"],
        ]);
        for (const version of ["1.1", "1.2"] as const)
            expect(parse(written["Pulumi.s.yaml"], { version }).config["pulumi-rancher-ha:cluster"].nodes[0].labels).toEqual(labels);
    });
});

test("sealing hides each login and secret of an imported release, once", () => {
    const values = { proxy: "http://u:hunter2@p", extraEnv: [{ name: "API_TOKEN", value: "hunter2" }], replicas: 3, topologyKey: "zone" };
    const release = { type: "kubernetes:helm.sh/v3:Release", inputs: { values }, outputs: { values } };
    const once = sealed(JSON.stringify({ deployment: { resources: [release] } }));
    const [found] = JSON.parse(once).deployment.resources;
    const secret = (text: string) => ({
        "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
        plaintext: JSON.stringify(text),
    });
    const hidden = { ...values, proxy: secret("http://u:hunter2@p"), extraEnv: [{ name: "API_TOKEN", value: secret("hunter2") }] };
    expect(found).toEqual({ ...release, inputs: { values: hidden }, outputs: { values: hidden } });
    expect(sealed(once)).toBe(once);
});

test("sealing makes the password of an imported release a secret, and nothing else", () => {
    const values = { bootstrapPassword: "hunter2hunter2", replicas: 3 };
    const release = { type: "kubernetes:helm.sh/v3:Release", inputs: { values }, outputs: { values } };
    const other = { type: "kubernetes:core/v1:Namespace", inputs: {} };
    const { deployment } = JSON.parse(sealed(JSON.stringify({ version: 3, deployment: { resources: [other, release] } })));
    const secret = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", plaintext: '"hunter2hunter2"' };
    expect(deployment.resources).toEqual([
        other,
        {
            ...release,
            ...{
                inputs: { values: { ...values, bootstrapPassword: secret } },
                outputs: { values: { ...values, bootstrapPassword: secret } },
            },
        },
    ]);
    const once = sealed(JSON.stringify({ deployment }));
    expect(sealed(once)).toBe(once);
});
