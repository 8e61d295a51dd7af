import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { caChecksum } from "../../components/certificates/pem";
import { AgentTlsMode } from "../../components/rancher/helmValues";
import { RancherReleaseArgs } from "../../components/rancher/args";
import { RancherRelease } from "../../components/rancher/rancherRelease";
import { DriftMode } from "../../components/remote/drift";
import { issue } from "../../lab/certificates";
import { Telemetry } from "../../components/rancher/schema";
import { kubeconfigOf } from "../kubeconfig";
import { said } from "../probes";
import { record, RecordOptions, secret, unknown } from "./recorder";
import { findingOf, isLatch } from "./stackMocks";

const checksum = "ab".repeat(32);
const args: RancherReleaseArgs = {
    hostname: "rancher.example.com",
    chartVersion: "2.11.3",
    kubernetesVersion: "v1.30.14",
    caChecksum: checksum,
};
const mock: RecordOptions["mock"] = resource => {
    if (resource.type === "random:index/randomPassword:RandomPassword") return { result: pulumi.secret("generated-password") };
    if (isLatch(resource.name)) return { stdout: "0" };
    if (resource.type !== "kubernetes:helm.sh/v3:Release") return {};
    return { status: { version: resource.inputs.version, revision: 4, status: "deployed" } };
};
const build =
    (changed: Partial<RancherReleaseArgs> = {}) =>
    () => {
        const provider = new k8s.Provider("cluster", { kubeconfig: "text" });
        return new RancherRelease("rancher", { ...args, ...changed }, { provider, deletedWith: provider });
    };

test("installs the chart as Rancher wants it, and only the password is a secret", async () => {
    const recording = await record(build(), { mock });
    const release = recording.one("kubernetes:helm.sh/v3:Release");
    const provider = recording.one("pulumi:providers:kubernetes");
    expect(release.inputs).toEqual({
        name: "rancher",
        namespace: "cattle-system",
        createNamespace: true,
        chart: "rancher",
        version: "2.11.3",
        repositoryOpts: { repo: "https://releases.rancher.com/server-charts/stable" },
        values: {
            hostname: "rancher.example.com",
            replicas: 3,
            tls: "external",
            privateCA: true,
            extraEnv: [{ name: "PULUMI_RANCHER_HA_CA_SHA256", value: checksum }],
            ingress: { includeDefaultExtraAnnotations: true, tls: { source: "secret" } },
            bootstrapPassword: secret("generated-password"),
        },
        description: "Rancher 2.11.3 for https://rancher.example.com",
        timeout: 900,
        cleanupOnFail: true,
        maxHistory: 10,
        compat: "true",
    });
    expect(release.provider).toBe(`${provider.urn}::cluster-id`);
    expect(release.deletedWith).toBe(provider.urn);
    expect(recording.outputs).toEqual({
        version: "2.11.3",
        revision: 4,
        status: "deployed",
        bootstrapPassword: secret("generated-password"),
    });

    const component = recording.one("pulumi-rancher-ha:index:RancherRelease");
    const children = recording.resources.filter(resource => resource.parent === component.urn);
    expect(children.map(child => child.name).sort()).toEqual(["rancher-bootstrap-password", "rancher-release"]);
    expect(recording.one("random:index/randomPassword:RandomPassword").inputs).toEqual({ length: 24, special: false });
});

test("takes a password, a chart on disk and a cluster's own choice of replicas", async () => {
    const recording = await record(build({ bootstrapPassword: "chosen-by-people", chartPath: "lab/rancher/chart", replicas: -3 }), {
        mock,
    });
    const { inputs } = recording.one("kubernetes:helm.sh/v3:Release");
    expect(inputs).toMatchObject({
        chart: "lab/rancher/chart",
        repositoryOpts: {},
        values: { replicas: -3, bootstrapPassword: secret("chosen-by-people") },
    });
    expect(recording.resources.map(resource => resource.type)).not.toContain("random:index/randomPassword:RandomPassword");
    expect(recording.outputs.bootstrapPassword).toEqual(secret("chosen-by-people"));
});

test.each([
    ["plain", ""],
    ["from another resource", pulumi.secret("")],
])("an empty password, %s, leaves the chart without one", async (_how, bootstrapPassword) => {
    const extraEnv = [{ name: "CATTLE_BOOTSTRAP_PASSWORD", value: "of a Secret of mine" }];
    const recording = await record(build({ bootstrapPassword, values: { extraEnv } }), { mock });
    const { values } = recording.one("kubernetes:helm.sh/v3:Release").inputs;
    expect(values).toMatchObject({ hostname: "rancher.example.com", extraEnv: [extraEnv[0], { value: checksum }] });
    expect(values).not.toHaveProperty("bootstrapPassword");
    expect(recording.resources.map(resource => resource.type)).not.toContain("random:index/randomPassword:RandomPassword");
    expect(recording.outputs.bootstrapPassword).toEqual(secret(""));
});

test.each([
    ["the stack's own", undefined],
    ["a given one", "chosen-by-people"],
])("a variable that the chart sets for the password is refused beside %s", async (_what, bootstrapPassword) => {
    const values = { extraEnv: [{ name: "CATTLE_BOOTSTRAP_PASSWORD", value: "a" }] };
    await expect(record(build({ bootstrapPassword, values }), { mock })).rejects.toThrow(
        /values\.extraEnv\[0\]\.name: expected another name than CATTLE_BOOTSTRAP_PASSWORD, .* Use rancher\.bootstrapPassword/,
    );
});

const folder = mkdtempSync(join(tmpdir(), "rancher-release-"));
const caFile = join(folder, "ca.pem");
beforeAll(() => writeFileSync(caFile, issue({ name: "Repository CA", ca: true }).certificate));
afterAll(() => rmSync(folder, { recursive: true }));

test.each<[string, Partial<RancherReleaseArgs>, object]>([
    [
        "an OCI registry",
        { repository: "oci://registry.example.com/charts/rancher" },
        { chart: "oci://registry.example.com/charts/rancher" },
    ],
    [
        "an OCI registry with a CA and a secret login",
        {
            repository: "oci://registry.example.com/charts/rancher",
            repositoryOpts: { username: "puller", password: "s3cret", caFile },
        },
        {
            chart: "oci://registry.example.com/charts/rancher",
            repositoryOpts: { username: secret("puller"), password: secret("s3cret"), caFile },
        },
    ],
    [
        "a repository with a CA and a secret login",
        {
            repository: "https://charts.example.com",
            repositoryOpts: { username: "puller", password: "s3cret", caFile },
        },
        {
            chart: "rancher",
            repositoryOpts: {
                repo: "https://charts.example.com",
                username: secret("puller"),
                password: secret("s3cret"),
                caFile,
            },
        },
    ],
])("takes the chart from %s", async (_what, changed, found) => {
    const recording = await record(build(changed), { mock });
    const { chart, repositoryOpts, version } = recording.one("kubernetes:helm.sh/v3:Release").inputs;
    expect({ chart, repositoryOpts, version }).toEqual({ repositoryOpts: {}, version: "2.11.3", ...found });
});

test("additional CAs become the Secret that the chart mounts, before the pods start", async () => {
    const ca = issue({ name: "Proxy CA", ca: true });
    const recording = await record(build({ additionalTrustedCAs: `of the proxy\r\n${ca.certificate.replace(/\n/g, "\r\n")}` }), { mock });
    const object = recording.one("kubernetes:core/v1:Secret");
    expect(object).toMatchObject({
        name: "rancher-additional-cas",
        parent: recording.one("pulumi-rancher-ha:index:RancherRelease").urn,
        deletedWith: recording.one("pulumi:providers:kubernetes").urn,
        inputs: {
            metadata: { name: "tls-ca-additional", namespace: "cattle-system" },
            stringData: secret({ "ca-additional.pem": ca.certificate }),
        },
    });
    const release = recording.one("kubernetes:helm.sh/v3:Release");
    expect(release.dependencies).toContain(object.urn);
    expect(release.inputs.values.extraEnv).toContainEqual({
        name: "PULUMI_RANCHER_HA_ADDITIONAL_CAS_SHA256",
        value: caChecksum(ca.certificate),
    });
});

test("a proxy is the only further secret, and only when it is given as one", async () => {
    const proxy = "http://user:word@proxy.example.com:3128";
    const noProxy = expect.stringMatching(/^127\.0\.0\.0\/8,.*,rancher\.example\.com,192\.0\.2\.31$/);
    for (const [given, seen] of [
        [pulumi.secret(proxy), secret(proxy)],
        ["http://proxy.example.com:3128", "http://proxy.example.com:3128"],
    ] as const) {
        const recording = await record(build({ proxy: given, noProxy: ["192.0.2.31"] }), { mock });
        const { values } = recording.one("kubernetes:helm.sh/v3:Release").inputs;
        expect(values).toMatchObject({ hostname: "rancher.example.com", replicas: 3, proxy: seen, noProxy });
    }
});

test("a proxy is compared with that of Helm's record, and a secret one is not shown", async () => {
    const call = jest.fn(() => ({ stdout: said("in sync") }));
    const proxy = pulumi.secret("http://user:word@proxy.example.com:3128");
    const recording = await record(build({ kubeconfig, proxy }), { mock, call });
    expect(JSON.stringify(call.mock.calls)).toContain("user:word");
    const visible = (_: string, value: any) => (value?.secret ? "secret" : value);
    expect(JSON.stringify(recording.resources, visible)).not.toContain("user:word");
});

test.each([
    [{ noProxy: ["192.0.2.31"] }, "proxy: expected a proxy beside noProxy"],
    [{ proxy: "proxy.example.com:3128" }, "proxy: expected an http or https URL"],
    [{ proxy: "http://proxy.example.com", values: { noProxy: ".svc" } }, "values.noProxy: .* Use the argument noProxy"],
])("refuses a proxy that Rancher cannot use: %j", (changed, words) =>
    expect(record(build(changed), { mock })).rejects.toThrow(new RegExp(words)),
);

test("a secret among the values stays one", async () => {
    const values = { proxy: pulumi.secret("http://user:word@proxy.example.com") };
    const recording = await record(build({ values }), { mock });
    expect(JSON.stringify(recording.one("kubernetes:helm.sh/v3:Release").inputs.values)).toContain('{"secret":');
    expect(recording.one("kubernetes:helm.sh/v3:Release").inputs.values).toHaveProperty("secret");
});

const kubeconfig = kubeconfigOf({}, { token: "token-of-an-administrator" });

test("objects changed behind Pulumi's back make Helm run again", async () => {
    const recording = await record(build({ kubeconfig }), {
        mock: resource => (isLatch(resource.name) ? { stdout: "2" } : mock(resource)),
        call: () => ({ stdout: said("Deployment rancher: spec.replicas is 1, expected 3") }),
    });
    expect(findingOf(recording.one("command:local:Command", "-drift"))).toBe("Deployment rancher: spec.replicas is 1, expected 3");
    const { inputs } = recording.one("kubernetes:helm.sh/v3:Release");
    expect(inputs.description).toBe("Rancher 2.11.3 for https://rancher.example.com, run 3");
    const visible = (key: string, value: any) => (value?.secret ? "secret" : value);
    expect(JSON.stringify(recording.resources, visible)).not.toContain("token-of-an-administrator");
    // The command `-free` clears an interrupted run of Helm before Helm runs again.
    expect(recording.one("kubernetes:helm.sh/v3:Release").dependencies).toContain(recording.one("command:local:Command", "-free").urn);
});

test("Rancher's settings are set after the release, and only with a kubeconfig", async () => {
    const telemetry = Telemetry.Out;
    const older = { chartVersion: "2.10.9", telemetry, eulaAgreed: "2025-06-30T12:00:00Z", kubeconfig };
    const recording = await record(build(older), { mock, call: () => ({ stdout: said("in sync") }) });
    const { inputs, dependencies } = recording.one("command:local:Command", "-settings");
    expect(dependencies).toContain(recording.one("kubernetes:helm.sh/v3:Release").urn);
    expect(inputs.stdin.secret).toContain('"once":{"server-url":"https://rancher.example.com"}');
    expect(inputs.stdin.secret).toContain('"always":{"telemetry-opt":"out","eula-agreed":"2025-06-30T12:00:00Z"}');
    const without = await record(build(), { mock });
    expect(without.resources.filter(({ name }) => name.endsWith("-settings"))).toEqual([]);
});

test("nothing is looked for without a kubeconfig", async () => {
    const call = jest.fn(() => ({ stdout: said("in sync") }));
    const recording = await record(build(), { mock, call });
    expect(call).not.toHaveBeenCalled();
    expect(recording.resources.map(({ name }) => name)).not.toContain("rancher-drift");
});

test("with drift off nothing is healed, and Helm waits for the probe, which can refuse", async () => {
    const order: string[] = [];
    const call = async () => {
        await new Promise(resolve => setTimeout(resolve, 200));
        order.push("probe");
        return { stdout: said("Deployment rancher: missing") };
    };
    const noting: RecordOptions["mock"] = resource => (order.push(resource.type), mock(resource));
    const recording = await record(build({ drift: DriftMode.Off, kubeconfig }), { mock: noting, call });
    expect(order.filter(what => ["probe", "kubernetes:helm.sh/v3:Release"].includes(what))).toEqual([
        "probe",
        "kubernetes:helm.sh/v3:Release",
    ]);
    expect(recording.resources.map(({ name }) => name)).not.toContain("rancher-drift");
    expect(recording.one("kubernetes:helm.sh/v3:Release").inputs.description).toBe("Rancher 2.11.3 for https://rancher.example.com");
});

test.each<[string, object, object]>([
    ["a command", {}, { exec: { command: "get-token", apiVersion: "client.authentication.k8s.io/v1beta1" } }],
    ["a file", { "certificate-authority": "/ca.pem" }, { token: "t" }],
    ["a proxy", { "proxy-url": "socks5://192.0.2.9" }, { token: "t" }],
    ["another user", {}, { token: "t", as: "admin" }],
])("with a kubeconfig that names %s nothing is asked, and Helm runs", async (_what, cluster, user) => {
    const call = jest.fn(() => ({ stdout: said("in sync") }));
    const recording = await record(build({ kubeconfig: kubeconfigOf(cluster, user) }), { mock, call });
    expect(call).not.toHaveBeenCalled();
    expect(findingOf(recording.one("command:local:Command", "-drift"))).toBe("in sync");
    // These commands would end with an error, and the release depends on the first one.
    for (const command of ["-free", "-settings"]) expect(recording.one("command:local:Command", command).inputs.stdin).toEqual(secret(""));
    expect(recording.one("kubernetes:helm.sh/v3:Release").dependencies).toContain(recording.one("command:local:Command", "-free").urn);
});

test("in a first preview only what depends on other resources is unknown", async () => {
    const preview = await record(build(), { preview: true });
    const { inputs } = preview.one("kubernetes:helm.sh/v3:Release");
    expect(inputs).toMatchObject({ version: "2.11.3", values: { hostname: "rancher.example.com", bootstrapPassword: unknown } });
    expect(preview.outputs).toMatchObject({ revision: unknown });
});

test("what is not known yet is no fault, what is known is checked", async () => {
    const plan = (changed: Partial<RancherReleaseArgs> = {}) =>
        record(
            () => {
                const later = new tls.PrivateKey("other", { algorithm: "ECDSA" }).publicKeyPem;
                const values = { values: { proxy: later }, additionalValues: { new: { key: later } } };
                const others = {
                    kubernetesVersion: later,
                    additionalTrustedCAs: later,
                    caChecksum: later,
                    agentTlsMode: AgentTlsMode.Strict,
                    ...values,
                };
                return build({ ...others, ...changed })();
            },
            { preview: true },
        );
    expect((await plan()).one("kubernetes:helm.sh/v3:Release").inputs.values).toEqual(unknown);
    await expect(plan({ additionalValues: { replicas: 1 } })).rejects.toThrow(/additionalValues\.replicas: expected a value that nothing/);
});

test.each<[Partial<Record<keyof RancherReleaseArgs, unknown>>, RegExp]>([
    [{ chartVersion: undefined }, /chartVersion: expected string, found nothing/],
    [{ chartVersion: "~2.11" }, /chartVersion: expected one exact version such as 2\.11\.3/],
    [{ chartVersion: "v2.11.3" }, /chartVersion: expected one exact version such as 2\.11\.3, without v/],
    [
        { chartVersion: "2.12.1", distribution: "rke" },
        /chartVersion: expected a Rancher .*RKE 1.*The nearest that works is Rancher 2\.11\.x/,
    ],
    [
        { chartVersion: "2.9.0", kubernetesVersion: "v1.32.6" },
        /chartVersion: expected a Rancher for Kubernetes 1\.32; 2\.9 works on 1\.27 to 1\.30/,
    ],
    [{ hostname: "192.0.2.1" }, /hostname: expected a lower-case DNS name/],
    [{ replicas: 0 }, /replicas: expected at least 1, or a negative number/],
    [
        { bootstrapPassword: "short" },
        /bootstrapPassword: expected at least 12 characters, as Rancher wants, or an empty string for none, found a value that is not shown/,
    ],
    [{ repository: "stable" }, /repository: expected the URL of a chart repository/],
    [
        { repository: "https://charts.example.com", repositoryOpts: { caFile: "/nowhere/ca.pem" } },
        /repositoryOpts\.caFile: expected a file with a CA certificate as PEM in \/nowhere\/ca\.pem, found ENOENT\. \[RHA configuration\]/,
    ],
    [
        { repository: "https://charts.example.com", repositoryOpts: { caFile: __filename } },
        /repositoryOpts\.caFile: expected a file with a CA certificate as PEM in .*, found no certificate/,
    ],
    [
        { repository: "oci://registry.example.com/rancher", repositoryOpts: { caFile } },
        /repositoryOpts\.caFile: expected a login beside the CA of an OCI registry/,
    ],
    [{ repository: "https://charts.example.com", repositoryOpts: { username: "puller" } }, /repositoryOpts\.password: expected both/],
    [
        { repository: "https://charts.example.com", chartPath: "x.tgz" },
        /chartPath: expected either repository or chartPath, found both\. Remove one\./,
    ],
    [
        { kubernetesVersion: "latest" },
        /kubernetesVersion: expected a Kubernetes version such as v1\.31\.4, or an empty string, found "latest"/,
    ],
    [{ caChecksum: "ab" }, /caChecksum: expected a SHA-256 checksum in hex, .*, or an empty string, found "ab"/],
    [{ adoptedCaChecksum: "" }, /adoptedCaChecksum: expected a SHA-256 checksum in hex, of 64 digits and lower-case letters, found ""/],
    [{ caChecksum: "", agentTlsMode: AgentTlsMode.Strict }, /agentTlsMode: expected system-store for a publicly trusted CA/],
    [
        { additionalValues: { tls: "ingress" } },
        /additionalValues\.tls: expected a value that nothing else sets\. The load balancer ends TLS\. \[RHA configuration\]$/,
    ],
    [{ additionalTrustedCAs: "true" }, /additionalTrustedCAs: expected PEM text .*, found no PEM block/],
    [
        { values: { additionalTrustedCAs: true } },
        /values\.additionalTrustedCAs: expected the certificates .* rancher\.additionalTrustedCAs/,
    ],
    [{ values: { hostname: "x" } }, /values\.hostname: no such key/],
])("refuses %j", async (changed, message) => {
    const attempt = record(build(changed as never), { mock });
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.not.toThrow(/short/);
});

test("only the preview that creates the release asks the chart's repository", async () => {
    const asked = async (options: RecordOptions, changes: Partial<RancherReleaseArgs> = {}) => {
        const programs: string[] = [];
        const call: RecordOptions["call"] = ({ inputs }) => (programs.push(inputs.stdin), { stdout: said("in sync") });
        await record(build(changes), { mock, call, ...options });
        return programs.map(program => JSON.parse(/\nmain\((.*)\);\n$/.exec(program)![1]));
    };
    const first: RecordOptions = { preview: true, isNew: ({ type }) => type === "kubernetes:helm.sh/v3:Release" };
    const stable = { repo: "https://releases.rancher.com/server-charts/stable", chart: "rancher", version: "2.11.3" };
    expect(await asked(first)).toEqual([stable]);
    const folder = mkdtempSync(join(tmpdir(), "ca-"));
    const caFile = join(folder, "ca.pem");
    const { certificate } = issue({ name: "company CA", ca: true });
    writeFileSync(caFile, certificate);
    const place = { repository: "https://charts.example.com", repositoryOpts: { username: "operator", password: "s3cret", caFile } };
    expect(await asked(first, place)).toEqual([
        { ...stable, repo: place.repository, username: "operator", password: "s3cret", ca: certificate },
    ]);
    rmSync(folder, { recursive: true });
    expect(await asked({ preview: true })).toEqual([]);
    expect(await asked({})).toEqual([]);
    expect(await asked(first, { chartPath: "lab/rancher/chart" })).toEqual([]);
    const login = { username: "operator", password: "s3cret" };
    expect(await asked(first, { repository: "oci://registry.example.com/charts/rancher", repositoryOpts: login })).toEqual([]);
});
