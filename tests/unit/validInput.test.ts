import { spawnSync } from "child_process";
import * as fc from "fast-check";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { parse, stringify } from "yaml";
import { clusterYml } from "../../components/cluster/rke/clusterYml";
import { rkeClusterSchema, RkeClusterSettings } from "../../components/cluster/rke/schema";
import { releaseFor } from "../../components/loadBalancer/release";
import { NginxSettings, nginxSettingsSchema } from "../../components/loadBalancer/schema";
import { helmValues } from "../../components/rancher/helmValues";
import { rancherSettingsSchema } from "../../components/rancher/schema";
import { rancherHaSchema } from "../../components/schema";
import { issueLines } from "../../components/validation";
import { issue } from "../../lab/certificates";
import { repository } from "../../lab/inventory";
import { ensureTools, toolFolder, unpackedDebianPackages } from "../../lab/tools";
import { pair, validConfiguration } from "../configuration";
import { realKeepalived } from "../keepalived";
import { finished } from "../nginx";

// FC_SEED repeats a run that failed, FC_RUNS sets the number of configurations of each test.
const seed = process.env.FC_SEED === undefined ? undefined : Number(process.env.FC_SEED);
const runs = (few: number) => ({ seed, numRuns: Number(process.env.FC_RUNS ?? few) });

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

const loadBalancer = fc
    .record({
        isPair: fc.boolean(),
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
    .map(({ isPair, tuning, ...virtualIp }) => ({
        ...tuning,
        ...(isPair ? { hosts: pair.hosts, virtualIp: { ...pair.virtualIp, ...virtualIp } } : { hosts: pair.hosts.slice(0, 1) }),
    }));

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
const rkeSettings = partial({
    services: partial({
        kubeApi: fc
            .record({ own: service, last: whole(30_000, 65_535), secretsEncryption: fc.boolean() })
            .map(({ own, last, ...others }) => ({
                ...own,
                ...others,
                serviceNodePortRange: `30000-${last}`,
                auditLog: { maxAgeDays: last % 100 === 0 ? 1 : last % 100, enabled: last % 2 === 0 },
            })),
        kubeController: service,
        scheduler: service,
        kubelet: fc.tuple(service, dnsName).map(([own, clusterDomain]) => ({ ...own, clusterDomain })),
        kubeproxy: service,
        etcd: service,
    }),
    upgradeStrategy: partial({ maxUnavailableWorker: several, maxUnavailableControlplane: several, drain: fc.boolean() }),
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
                clusterCidr: fc.tuple(whole(64, 127), whole(12, 20)).map(([second, prefix]) => `100.${second & 0xf0}.0.0/${prefix}`),
                serviceClusterIpRange: fc.tuple(whole(16, 31), whole(16, 24)).map(([second, prefix]) => `172.${second}.0.0/${prefix}`),
            }),
            etcdBackup: partial({ enabled: fc.boolean(), intervalHours: whole(1, 168), retention: whole(1, 10_000) }),
            ingressOptions: fc.dictionary(dnsLabel, fc.string(), { maxKeys: 3 }),
            apiEndpoint: fc.constantFrom("https://192.0.2.40:6443", "https://api.example.com", "https://[2001:db8::40]:6443"),
            apiServerSans: fc.array(fc.oneof(dnsName, fc.ipV4(), fc.ipV6()), { maxLength: 3 }),
        }),
    })
    .map(({ etcd, nodes, names, settings, rke }) => ({
        kubernetesVersion: "v1.30.14-rancher1-1",
        ...settings,
        ...rke,
        nodes: nodes.map((node, index) => ({
            user: "rke",
            hostKey,
            ...node,
            address: `198.51.100.${index + 1}`,
            hostname: names[index],
            roles: index < etcd ? ["etcd", "controlplane"] : ["worker", "controlplane"],
        })),
    }))
    .map(({ network, ...settings }) => ({
        ...settings,
        ...(network && { network: network.plugin === "flannel" ? { ...network, mtu: 0 } : network }),
    }))
    // A last node is a worker, because five nodes can all have etcd.
    .map(({ nodes, ...settings }) => ({
        ...settings,
        nodes: [...nodes, { user: "rke", hostKey, address: "198.51.100.100", hostname: "last-worker", roles: ["worker"] }],
    }));

const rancher = fc
    .record({
        replicas: fc.oneof(whole(1, 100), whole(-100, -1)),
        values: partial({
            debug: fc.boolean(),
            antiAffinity: fc.constantFrom("preferred", "required"),
            auditLog: partial({ level: whole(0, 3), maxAge: whole(0, 100), destination: fc.constantFrom("sidecar", "hostPath") }),
            extraEnv: fc.uniqueArray(fc.record({ name: fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,20}$/), value: fc.string() }), {
                maxLength: 4,
                selector: ({ name }) => name,
            }),
            features: fc.uniqueArray(dnsLabel, { maxLength: 3 }).map(names => names.map(name => `${name}=false`).join(",")),
            imagePullSecrets: fc.array(fc.record({ name: dnsLabel }), { maxLength: 2 }),
            noProxy: fc.array(dnsName).map(names => names.join(",")),
            priorityClassName: dnsName,
            resources: partial({ limits: fc.constant({ memory: "4Gi" }), requests: fc.constant({ cpu: "500m", memory: "1.5Gi" }) }),
        }),
    })
    .map(settings => ({ chartVersion: "2.11.3", ...settings }));

const configuration = fc.record({ hostname: dnsName, loadBalancer, cluster, rancher }).map(groups => ({
    ssh: validConfiguration().ssh,
    ...groups,
}));

/** Runs a program. Returns its output when it fails, else an empty text. */
function complaint(program: string, args: string[], options: object = {}): string {
    const { status, error, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", ...options });
    return status === 0 ? "" : `${error ?? ""}${stdout}${stderr}`;
}

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "valid-input-"))));
afterAll(() => rmSync(folder, { recursive: true }));

const upstreamsOf = (nodes: { address: string; roles: string[] }[]) =>
    nodes.filter(({ roles }) => roles.includes("worker")).map(({ address }) => address);

const certificate = issue({ name: "rancher.example.com", names: ["DNS:rancher.example.com"] });

function releases({ hostname, ssh, loadBalancer: { drift: _, ...given }, cluster: { nodes } }: any) {
    const files = { certificateChain: certificate.certificate, privateKey: certificate.privateKey };
    const settings: NginxSettings = nginxSettingsSchema.parse({ ...given, ssh, hostname, upstreams: upstreamsOf(nodes), ...files });
    const { virtualIp, hosts } = settings;
    const [address, peer] = hosts.map(host => host.address);
    return releaseFor(
        settings,
        virtualIp && { ...virtualIp, routerId: virtualIp.routerId ?? 51, address, peer, virtualIp: virtualIp.address, priority: 150 },
    ).files;
}

const clusterOf = ({ ssh, cluster: given }: any): RkeClusterSettings => rkeClusterSchema.parse({ ...given, ssh });

const valuesFor = ({ hostname, rancher: given }: any) =>
    helmValues({ ...rancherSettingsSchema.parse(given), hostname, caChecksum: "ab".repeat(32) });

test("random configurations within the rules are accepted, and every file is rendered", () => {
    fc.assert(
        fc.property(configuration, given => {
            expect(issueLines(rancherHaSchema.safeParse(given).error?.issues ?? [], given)).toEqual([]);
            const files = releases(given);
            expect(files["nginx.conf"]).toContain(`server_name ${given.hostname};`);
            expect(files["sysctl.conf"]).toMatch(/^net\./m);
            expect("keepalived.conf" in files).toBe(given.loadBalancer.hosts.length === 2);
            expect(parse(clusterYml(clusterOf(given))).nodes).toHaveLength(given.cluster.nodes.length);
            expect(valuesFor(given)).toMatchObject({ hostname: given.hostname, tls: "external" });
        }),
        runs(100),
    );
});

test("the real nginx accepts their nginx.conf", async () => {
    const packages = await unpackedDebianPackages(["nginx", "nginx-common"]);
    const nginx = join(packages, "usr/sbin/nginx");
    const version = spawnSync(nginx, ["-v"], { encoding: "utf8" }).stderr.split("/")[1].trim().split(" ")[0];
    const live = join(folder, "rancher-ha");
    mkdirSync(live);
    fc.assert(
        fc.property(configuration, given => {
            const files = releases(given);
            for (const name of ["fullchain.pem", "privkey.pem"] as const) writeFileSync(join(live, name), files[name]!);
            writeFileSync(join(folder, "nginx.conf"), finished(files["nginx.conf"], { version }));
            // NGINX opens ports, logs and caches, so it gets a network and system folders of its own.
            const places = "for place in /var/log /var/lib /run; do mount -t tmpfs none $place; done; mkdir /var/log/nginx /var/lib/nginx";
            const check = `${places}; exec "$0" -t -q -c "$1"`;
            expect(complaint("unshare", ["--mount", "--net", "sh", "-c", check, nginx, join(folder, "nginx.conf")])).toBe("");
        }),
        runs(10),
    );
}, 120_000);

test("the real keepalived accepts their keepalived.conf", async () => {
    const keepalived = await realKeepalived();
    const file = join(folder, "keepalived.conf");
    // keepalived of Debian 12 ends by a signal after `-t`, so its output tells alone.
    const check = `mount -t tmpfs none /run; ip link add eth0 type veth peer name eth1; ${keepalived} -t -l -f ${file} 2>&1 | cat`;
    const faults = (text: string) => {
        writeFileSync(file, text.replace(/@(virtual_ip_)?interface@/g, "eth0"));
        return spawnSync("unshare", ["--mount", "--net", "sh", "-c", check], { encoding: "utf8" }).stdout;
    };
    expect(faults("no_such_keyword\n")).toContain("Unknown keyword 'no_such_keyword'");
    const pairs = configuration.filter(({ loadBalancer: { hosts } }) => hosts.length === 2);
    fc.assert(
        fc.property(pairs, given => expect(faults(releases(given)["keepalived.conf"]!)).toBe("")),
        runs(10),
    );
}, 120_000);

test("the real rke accepts their cluster.yml", async () => {
    await ensureTools("rke");
    fc.assert(
        fc.property(configuration, given => {
            const work = mkdtempSync(join(folder, "rke-"));
            writeFileSync(join(work, "cluster.yml"), clusterYml(clusterOf(given)));
            writeFileSync(join(work, "cluster.rkestate"), "");
            expect(complaint(join(toolFolder("rke"), "rke"), ["up", "--init", "--config", "cluster.yml"], { cwd: work })).toBe("");
        }),
        runs(3),
    );
}, 120_000);

test("the real helm renders the chart with their values", async () => {
    await ensureTools("helm");
    const chart = join(repository, "lab", "rancher", "chart");
    fc.assert(
        fc.property(configuration, given => {
            const args = ["template", "rancher", chart, "--namespace", "cattle-system", "--values", "-"];
            expect(complaint(join(toolFolder("helm"), "helm"), args, { input: stringify(valuesFor(given)) })).toBe("");
        }),
        runs(5),
    );
}, 120_000);
