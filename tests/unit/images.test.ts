import { spawnSync } from "child_process";
import { mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { stringify } from "yaml";
import { repository } from "../../lab/inventory";
import { ensureTools, toolFolder } from "../../lab/tools";

const secure = { secure: "v1:AAAA" };
const chartPath = join(repository, "lab", "rancher", "chart");
const configuration = {
    hostname: "rancher.example.com",
    ssh: { privateKey: secure },
    cluster: {
        kubernetesVersion: "v1.30.14-rancher1-1",
        nodes: [{ address: "192.0.2.31", roles: ["controlplane", "etcd", "worker"] }],
        privateRegistries: [{ url: "registry.example.com:5000", user: "puller", password: secure, isDefault: true }],
        systemImages: { coredns: "registry.example.com:5000/own/coredns:1", metricsServer: "quay.io/own/metrics-server:2" },
    },
    rancher: {
        chartVersion: "2.11.3",
        chartPath,
        bootstrapPassword: secure,
        values: { systemDefaultRegistry: "registry.example.com:5000", rancherImage: "registry.example.com:5000/rancher/rancher" },
    },
};

let folder: string;
beforeAll(async () => {
    await ensureTools("rke", "helm");
    folder = mkdtempSync(join(tmpdir(), "images-"));
}, 600_000);
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs the program on a configuration, with the real rke and helm. */
function images(changes: object, PATH = [toolFolder("rke"), toolFolder("helm"), process.env.PATH].join(":"), args: string[] = []) {
    const config = Object.entries({ ...configuration, ...changes }).map(([key, value]) => [`pulumi-rancher-ha:${key}`, value]);
    writeFileSync(join(folder, "Pulumi.production.yaml"), stringify({ config: Object.fromEntries(config) }));
    const program = [join(repository, "node_modules", ".bin", "tsx"), join(repository, "images", "index.ts"), "--stack", "production"];
    const { status, stdout, stderr } = spawnSync(process.execPath, [...program, ...args], {
        cwd: folder,
        encoding: "utf8",
        env: { ...process.env, PATH },
    });
    return { status, lines: stdout.trim().split("\n"), stderr };
}

test("a value that is no string in YAML 1.1, which helm reads, stays a string", () => {
    const values = { topologyKey: "on", rancherImageTag: "1_000" };
    const { status, lines, stderr } = images({ rancher: { ...configuration.rancher, values } });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(lines).toContain("rancher/rancher:1_000");
});

test("the list holds the images of rke for this plugin and those of the chart", () => {
    const { status, lines, stderr } = images({});
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(lines.slice(-2)).toEqual([
        `# chart: rancher 2.11.3 from ${chartPath}`,
        expect.stringMatching(/^# Rancher pulls further images later, .*\/v2\.11\.3\/rancher-images\.txt$/),
    ]);
    expect(lines).toEqual(
        expect.arrayContaining([
            "rancher/hyperkube:v1.30.14-rancher1",
            "rancher/mirrored-coreos-etcd:v3.5.12",
            "rancher/mirrored-flannel-flannel:v0.25.1",
            "rancher/mirrored-calico-node:v3.28.1",
            "quay.io/own/metrics-server:2",
            expect.stringMatching(/^rancher\/rancher:/),
        ]),
    );
    const text = lines.slice(0, -2).join("\n");
    // RKE's own list also has the images of other plugins, and the two that this configuration replaces.
    const version = configuration.cluster.kubernetesVersion;
    const { stdout } = spawnSync(join(toolFolder("rke"), "rke"), ["config", "--system-images", "--version", version], { encoding: "utf8" });
    const known = stdout.split("\n").filter(line => line.startsWith("rancher/"));
    expect(known.filter(image => !lines.includes(image)).map(image => image.split(":")[0])).toEqual([
        "rancher/mirrored-coredns-coredns",
        "rancher/flannel-cni",
        "rancher/mirrored-metrics-server",
    ]);
    expect(text).not.toMatch(/registry\.example\.com|metrics-server:v|coredns-coredns|noiro|weave|v1:AAAA/);
}, 120_000);

test("another plugin has its own images", () => {
    const { lines } = images({ cluster: { ...configuration.cluster, network: { plugin: "flannel" } } });
    expect(lines.join("\n")).toMatch(/flannel-cni/);
    expect(lines.join("\n")).not.toMatch(/calico/);
}, 120_000);

test("an existing cluster needs the images of the chart alone", () => {
    const { lines } = images({ cluster: undefined, existingCluster: { kubeconfig: secure, ingressAddresses: ["192.0.2.41"] } });
    expect(lines.slice(0, -2).every(line => /^rancher\/(rancher|shell)/.test(line))).toBe(true);
}, 120_000);

describe("a chart in a repository with a login", () => {
    const repositoryOpts = { username: "puller", password: secure };
    const rancher = { chartVersion: "2.11.3", repository: "https://charts.example.com", repositoryOpts };
    const cluster = { cluster: undefined, existingCluster: { kubeconfig: secure, ingressAddresses: ["192.0.2.41"] } };

    test("is to be given as a file, because its password is encrypted", () => {
        expect(images({ ...cluster, rancher })).toMatchObject({
            status: 1,
            stderr: expect.stringMatching(/rancher\.repositoryOpts: expected --chart .*helm pull NAME\/rancher --version 2\.11\.3/),
        });
    });

    test("is pulled from an OCI registry with the login of this machine", () => {
        const ofRegistry = { ...rancher, repository: "oci://127.0.0.1:1/charts/rancher" };
        expect(images({ ...cluster, rancher: ofRegistry })).toMatchObject({
            status: 1,
            stderr: expect.stringMatching(/^helm template ended with 1: .*127\.0\.0\.1:1/s),
        });
    });

    test("is read from that file, whose version is compared", () => {
        const { lines } = images({ ...cluster, rancher }, undefined, ["--chart", chartPath]);
        expect(lines).toContain(`# chart: rancher 2.11.3 from ${chartPath}`);
        expect(lines).toEqual(expect.arrayContaining([expect.stringMatching(/^rancher\/rancher:/)]));
        const another = images({ ...cluster, rancher: { ...rancher, chartVersion: "2.11.4" } }, undefined, ["--chart", chartPath]);
        expect(another).toMatchObject({ status: 1, stderr: expect.stringMatching(/^--chart: expected the chart of version 2\.11\.4 in /) });
    });
});

test("a wrong configuration and a missing program are named", () => {
    const wrong = images({ rancher: { ...configuration.rancher, chartVersion: "latest" } });
    expect(wrong).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/^Pulumi\.production\.yaml: rancher\.chartVersion: expected one/),
    });
    expect(images({}, toolFolder("rke"))).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/^helm: expected the program on PATH/),
    });
    const unknown = images({ cluster: { ...configuration.cluster, kubernetesVersion: "v1.30.99-rancher1-1" } });
    expect(unknown).toMatchObject({ status: 1, stderr: expect.stringMatching(/^rke up ended with 1: .*v1\.30\.99/s) });
}, 120_000);
