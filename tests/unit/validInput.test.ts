import * as pulumi from "@pulumi/pulumi";
import { spawnSync } from "child_process";
import * as fc from "fast-check";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { parse } from "yaml";
import { clusterYml } from "../../components/cluster/rke/clusterYml";
import { rkeClusterSchema, RkeClusterSettings } from "../../components/cluster/rke/schema";
import { vrrpOf } from "../../components/loadBalancer/program";
import { releaseFor } from "../../components/loadBalancer/release";
import { NginxSettings, nginxSettingsSchema } from "../../components/loadBalancer/schema";
import { backupValues } from "../../components/rancher/backupObjects";
import { rancherBackupSchema } from "../../components/rancher/backupSchema";
import { helmValues } from "../../components/rancher/helmValues";
import { noProxyValue } from "../../components/rancher/proxy";
import { rancherSettingsSchema } from "../../components/rancher/schema";
import { RancherHa } from "../../components/rancherHa";
import { rancherHaSchema } from "../../components/schema";
import { issueLines } from "../../components/validation";
import { issue } from "../../lab/certificates";
import { repository } from "../../lab/inventory";
import { ensureTools, toolFolder, unpackedDebianPackages } from "../../lab/tools";
import { record } from "../component/recorder";
import { call, hostname, mock } from "../component/stackMocks";
import { configurations, hostFolder, rkeConfigurations } from "../configurations";
import { realKeepalived } from "../keepalived";
import { finished } from "../nginx";

// FC_SEED repeats a run that failed, FC_RUNS sets the number of configurations of each test.
const seed = process.env.FC_SEED === undefined ? undefined : Number(process.env.FC_SEED);
const runs = (few: number) => ({ seed, numRuns: Number(process.env.FC_RUNS ?? few) });

/** Runs a program. Returns its output when it fails, else an empty text. */
function complaint(program: string, args: string[], options: object = {}): string {
    const { status, error, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", ...options });
    return status === 0 ? "" : `${error ?? ""}${stdout}${stderr}`;
}

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "valid-input-"))));
afterAll(() => rmSync(folder, { recursive: true }));

const certificate = issue({ name: "rancher.example.com", names: ["DNS:rancher.example.com"] });

/** Returns the addresses that NGINX gets from a cluster. */
function clusterAddresses({ cluster, existingCluster }: any): { upstreams: string[]; controlPlane: string[] } {
    if (existingCluster) return { upstreams: existingCluster.ingressAddresses, controlPlane: existingCluster.controlPlaneAddresses };
    const having = (role: string) => cluster.nodes.filter(({ roles }: any) => roles.includes(role)).map(({ address }: any) => address);
    return { upstreams: having("worker"), controlPlane: having("controlplane") };
}

const withoutCa = (files: object) => Object.fromEntries(Object.entries(files).filter(([key]) => key !== "caCertificate"));

/** Returns the files of the load balancer's first host. */
function releases({ hostname, ssh, loadBalancer, certificate: provided, certificateOnHost, ...clusters }: any) {
    const files = provided ?? { certificateChain: certificate.certificate, privateKey: certificate.privateKey };
    const settings: NginxSettings = nginxSettingsSchema.parse({
        ...loadBalancer,
        ...(certificateOnHost ? { certificateOnHost: withoutCa(certificateOnHost) } : withoutCa(files)),
        ...clusterAddresses(clusters),
        ssh,
        hostname,
    });
    return releaseFor(settings, settings.virtualIp && vrrpOf(settings, 0, settings.virtualIp.routerId ?? 51)).files;
}

const clusterOf = ({ ssh, cluster: given }: any): RkeClusterSettings => rkeClusterSchema.parse({ ...given, ssh });

const valuesFor = ({ hostname, rancher: given }: any) =>
    helmValues({ ...rancherSettingsSchema.parse(given), hostname, caChecksum: "ab".repeat(32) });

/** Returns the values of the backup chart, or undefined without backups. */
function backupValuesFor({ hostname, rancher: { backup, chartVersion, proxy, noProxy, values } }: any) {
    if (!backup) return undefined;
    const proxied = proxy && { proxy, noProxy: noProxyValue(hostname, noProxy ?? []) };
    const systemDefaultRegistry = values?.systemDefaultRegistry ?? "";
    const settings = { ...backup, values: { ...proxied, ...backup.values }, rancherVersion: chartVersion, systemDefaultRegistry };
    return backupValues(rancherBackupSchema.parse(settings));
}

test("random configurations within the rules are accepted, and every file is rendered", () => {
    fc.assert(
        fc.property(configurations, given => {
            expect(issueLines(rancherHaSchema.safeParse(given).error?.issues ?? [], given)).toEqual([]);
            const files = releases(given);
            expect(files["nginx.conf"]).toContain(`server_name ${given.hostname};`);
            expect(files["sysctl.conf"]).toMatch(/^net\./m);
            expect("keepalived.conf" in files).toBe(given.loadBalancer.hosts.length === 2);
            if (given.cluster) expect(parse(clusterYml(clusterOf(given))).nodes).toHaveLength(given.cluster.nodes.length);
            expect(valuesFor(given)).toMatchObject({ hostname: given.hostname, tls: "external" });
        }),
        runs(100),
    );
});

test("no component refuses what the configuration's schema accepts", async () => {
    jest.spyOn(pulumi.log, "warn").mockResolvedValue();
    await fc.assert(
        fc.asyncProperty(configurations, async given => {
            // The mocks issue their certificate for this name.
            const { resources } = await record(() => new RancherHa("rancher", { ...given, hostname }), { mock, call });
            expect(resources.map(({ type }) => type)).toContain("kubernetes:helm.sh/v3:Release");
        }),
        runs(15),
    );
}, 120_000);

test("the real nginx accepts their nginx.conf", async () => {
    const packages = await unpackedDebianPackages(["nginx", "nginx-common", "libnginx-mod-stream"]);
    const nginx = join(packages, "usr/sbin/nginx");
    const version = spawnSync(nginx, ["-v"], { encoding: "utf8" }).stderr.split("/")[1].trim().split(" ")[0];
    const module = `load_module ${join(packages, "usr/lib/nginx/modules/ngx_stream_module.so")};`;
    const live = join(folder, "rancher-ha");
    mkdirSync(live);
    writeFileSync(join(folder, "fullchain.pem"), certificate.certificate);
    writeFileSync(join(folder, "privkey.pem"), certificate.privateKey);
    fc.assert(
        fc.property(configurations, given => {
            const files = releases(given);
            for (const [name, text] of Object.entries(files).filter(([file]) => file.endsWith(".pem")))
                writeFileSync(join(live, name), text);
            const text = finished(files["nginx.conf"], { version }).replace(/^include .*-mod-stream\.conf;$/m, module);
            writeFileSync(join(folder, "nginx.conf"), text);
            // NGINX opens ports, logs and caches, so it gets a network and system folders of its own.
            const places = "for place in /var/log /var/lib /run; do mount -t tmpfs none $place; done; mkdir /var/log/nginx /var/lib/nginx";
            const check = `${places}; mkdir ${hostFolder}; cp ${folder}/*.pem ${hostFolder}; exec "$0" -t -q -c "$1"`;
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
    const pairs = configurations.filter(({ loadBalancer: { hosts } }) => hosts.length === 2);
    fc.assert(
        fc.property(pairs, given => expect(faults(releases(given)["keepalived.conf"]!)).toBe("")),
        runs(10),
    );
}, 120_000);

test("the real rke accepts their cluster.yml", async () => {
    await ensureTools("rke");
    fc.assert(
        fc.property(rkeConfigurations, given => {
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
    /** Renders a chart of the lab with values, or nothing without them. */
    const refused = (chart: string, values: object | undefined) => {
        const args = [
            "template",
            "rancher",
            join(repository, "lab", "rancher", chart),
            "--namespace",
            "cattle-system",
            "--kube-version",
            "v1.30.14",
            "--values",
            "-",
        ];
        return values && complaint(join(toolFolder("helm"), "helm"), args, { input: JSON.stringify(values) });
    };
    fc.assert(
        fc.property(configurations, given => {
            expect(refused("chart", valuesFor(given))).toBe("");
            expect(refused("backup", backupValuesFor(given)) ?? "").toBe("");
        }),
        runs(5),
    );
}, 120_000);
