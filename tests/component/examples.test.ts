import * as pulumi from "@pulumi/pulumi";
import { join } from "path";
import { stringify } from "yaml";
import { RancherHa } from "../../components";
import { caChecksum } from "../../components/certificates/pem";
import { parseConfig, readConfig } from "../../config";
import { repository } from "../../lab/inventory";
import { exampleConfig, exampleFiles } from "../examples";
import { said } from "../probes";
import { record, Recording, RecordOptions, secret } from "./recorder";
import { hostname, mock, root, server, sshKey } from "./stackMocks";

const kubeconfig = stringify({
    "current-context": "rke2",
    contexts: [{ name: "rke2", context: { cluster: "rke2", user: "admin" } }],
    clusters: [{ name: "rke2", cluster: { server: "https://192.0.2.31:6443" } }],
    users: [{ name: "admin", user: { token: "made-up" } }],
});
const secrets: Record<string, string> = {
    "ssh.privateKey": sshKey,
    "certificate.privateKey": server.privateKey,
    "existingCluster.kubeconfig": kubeconfig,
    "cluster.etcdBackup.s3.accessKey": "made-up",
    "cluster.etcdBackup.s3.secretKey": "made-up",
    "rancher.backup.encryptionKey": Buffer.alloc(32).toString("base64"),
    "rancher.backup.s3.accessKey": "made-up",
    "rancher.backup.s3.secretKey": "made-up",
};

/** Returns the configuration of a file, with a real certificate in place of an invented one. */
function configOf(file: string): Record<string, any> {
    const config = exampleConfig(file, path => secrets[path]);
    const { certificate } = config;
    if (certificate) Object.assign(certificate, { certificateChain: server.certificate, caCertificate: root.certificate });
    return config;
}

const options = { preview: true, mock, call: () => ({ stdout: said("in sync", { kubernetes: "v1.33.1+rke2r1" }) }) };

/** Returns a configuration as the engine passes it on, with groups as JSON. */
const handedOver = (config: Record<string, unknown>): Record<string, string> =>
    Object.fromEntries(
        Object.entries(config).map(([key, value]) => [`project:${key}`, typeof value === "string" ? value : JSON.stringify(value)]),
    );

/** Previews a configuration like index.ts of this repository. */
function previewed(config: Record<string, unknown>): Promise<Recording> {
    const args = parseConfig(handedOver(config), "project", () => "");
    return record(() => new RancherHa("rancher", args), options);
}

/** Previews the program of a folder with encrypted configuration. The program's exports are the recorded outputs. */
function previewedProgram(name: string, config: Record<string, string>, changed: RecordOptions = {}): Promise<Recording> {
    const own = Object.entries(config).map(([key, value]) => [`project:${key}`, value]);
    pulumi.runtime.setAllConfig(
        Object.fromEntries(own),
        own.map(([key]) => key),
    );
    return record(() => jest.requireActual(join(repository, "examples", name)), { ...options, ...changed });
}

const countOf = ({ resources }: Recording, type: RegExp) => resources.filter(resource => type.test(resource.type)).length;
const hosts = (recording: Recording) => countOf(recording, /^command:remote:Command$/);
const ownCa = (recording: Recording) => countOf(recording, /^tls:index\/selfSignedCert:/);
const caSecrets = (recording: Recording) => countOf(recording, /^kubernetes:core\/v1:Secret$/);

describe("configurations", () => {
    test.each([
        ["minimal", { hosts: 1, ownCa: 1, caSecrets: 1, kubernetesVersion: "v1.30.14" }],
        ["pair", { hosts: 2, ownCa: 1, caSecrets: 1, kubernetesVersion: "v1.30.14" }],
        ["provided-certificate", { hosts: 1, ownCa: 0, caSecrets: 1, kubernetesVersion: "v1.30.14" }],
        ["certificate-on-hosts", { hosts: 1, ownCa: 0, caSecrets: 0, kubernetesVersion: "v1.30.14" }],
        ["no-way-out", { hosts: 1, ownCa: 1, caSecrets: 1, kubernetesVersion: "v1.30.14" }],
        // With the encryption key and the S3 keys of Rancher's backups.
        ["backups", { hosts: 1, ownCa: 1, caSecrets: 3, kubernetesVersion: "v1.30.14" }],
        ["existing-cluster", { hosts: 1, ownCa: 1, caSecrets: 1, kubernetesVersion: "v1.33.1+rke2r1" }],
    ])("%s.yaml is previewed", async (name, expected) => {
        const recording = await previewed(configOf(`examples/${name}.yaml`));
        const { url, kubernetesVersion } = recording.outputs;
        expect(url).toBe(`https://${hostname}`);
        expect({ hosts: hosts(recording), ownCa: ownCa(recording), caSecrets: caSecrets(recording), kubernetesVersion }).toEqual(expected);
    });

    test.each(exampleFiles)("%s is previewed with each group encrypted as a whole", async file => {
        const config = configOf(file);
        const given = handedOver({ ...config, rancher: { ...config.rancher, additionalValues: { webhook: { token: "made-up" } } } });
        const plain = await previewed(config);
        pulumi.runtime.setAllConfig(given, Object.keys(given));
        const encrypted = await record(() => new RancherHa("rancher", readConfig()), options);
        expect(encrypted.resources.map(({ urn }) => urn)).toEqual(plain.resources.map(({ urn }) => urn));
        expect(JSON.stringify(encrypted.one("kubernetes:helm.sh/v3:Release", "-release").inputs.values)).toMatch(/"secret":[^]*"made-up"/);
    });

    test.each(exampleFiles)("%s with a wrong key is refused", file => {
        const config = configOf(file);
        config.loadBalancer.hosts[0].name = "lb1";
        expect(() => previewed(config)).toThrow("project:loadBalancer.hosts[0].name: no such key");
    });
});

describe("programs", () => {
    test("load-balancer-alone", async () => {
        const recording = await previewedProgram("load-balancer-alone", { sshPrivateKey: sshKey });
        expect(hosts(recording)).toBe(1);
        expect(countOf(recording, /^kubernetes:/)).toBe(0);
        expect(recording.outputs.addresses).toEqual(["192.0.2.21"]);
    });

    test("library: the kubeconfig goes to further resources", async () => {
        const recording = await previewedProgram("library", { sshPrivateKey: sshKey });
        expect(recording.one("kubernetes:core/v1:Namespace", "monitoring").provider).toContain("pulumi:providers:kubernetes::kubernetes::");
        expect(recording.outputs.url).toBe(`https://${hostname}`);
    });

    test("two-stacks: the agents get what the other stack puts out", async () => {
        const outputs = { url: `https://${hostname}`, loadBalancerAddresses: ["192.0.2.21"], caCertificate: root.certificate };
        const otherStack = { outputs, secretOutputNames: [] };
        const recording = await previewedProgram(
            "two-stacks",
            { rancherStack: "organization/pulumi-rancher-ha/production", kubeconfig },
            { mock: ({ type }) => (type === "pulumi:pulumi:StackReference" ? otherStack : {}) },
        );
        const { spec } = recording.one("kubernetes:apps/v1:DeploymentPatch").inputs;
        expect(spec.template.spec.hostAliases).toEqual([{ ip: "192.0.2.21", hostnames: [hostname] }]);
        expect(recording.one("pulumi:providers:kubernetes").inputs.kubeconfig).toEqual(secret(kubeconfig));
        expect(recording.outputs.caChecksum).toBe(caChecksum(root.certificate));
    });
});
