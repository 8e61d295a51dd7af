import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import { RancherBackup, RancherBackupArgs } from "../../components/rancher/rancherBackup";
import { issue } from "../../lab/certificates";
import { record, Recording, secret } from "./recorder";

const encryptionKey = Buffer.from("0123456789abcdef0123456789abcdef").toString("base64");
const s3 = {
    endpoint: "s3.example.com",
    bucket: "backups",
    folder: "rancher",
    region: "eu-central-1",
    accessKey: "the-access",
    secretKey: "the-secret",
};
const args: RancherBackupArgs = { chartVersion: "106.0.2+up7.0.2", rancherVersion: "2.11.3", encryptionKey, s3 };

const build = (changed: Partial<RancherBackupArgs> = {}): Promise<Recording> =>
    record(() => {
        const provider = new k8s.Provider("cluster", { kubeconfig: "text" });
        return new RancherBackup("backup", { ...args, ...changed }, { provider, deletedWith: provider });
    });
const release = (recording: Recording, name: string) => recording.one("kubernetes:helm.sh/v3:Release", name);
const object = (recording: Recording) => recording.one("kubernetes:resources.cattle.io/v1:Backup");

test("the CRDs come first, then the operator, then the schedule", async () => {
    const recording = await build();
    const [crd, operator] = [release(recording, "backup-crd"), release(recording, "backup-operator")];
    expect(operator.dependencies).toEqual(
        expect.arrayContaining(
            [crd, ...recording.resources.filter(({ type }) => type === "kubernetes:core/v1:Secret")].map(({ urn }) => urn),
        ),
    );
    expect(object(recording).dependencies).toContain(operator.urn);
    expect(crd.inputs).toMatchObject({
        name: "rancher-backup-crd",
        namespace: "cattle-resources-system",
        chart: "rancher-backup-crd",
        version: "106.0.2+up7.0.2",
        repositoryOpts: { repo: "https://charts.rancher.io" },
    });
    expect(object(recording).inputs).toEqual({
        apiVersion: "resources.cattle.io/v1",
        kind: "Backup",
        metadata: { name: "rancher" },
        spec: {
            resourceSetName: "rancher-resource-set-full",
            encryptionConfigSecretName: "rancher-backup-encryption",
            schedule: "0 2 * * *",
            retentionCount: 10,
        },
    });
});

test("another schedule replaces the object, because the operator would ignore it", async () => {
    const { replaceOnChanges, deleteBeforeReplace } = object(await build());
    expect({ replaceOnChanges, deleteBeforeReplace }).toEqual({ replaceOnChanges: ["spec.schedule"], deleteBeforeReplace: true });
});

test("keys stand in Secrets alone, and the chart's values name the Secret", async () => {
    const caCertificate = issue({ name: "S3 CA", ca: true }).certificate;
    const given = { encryptionKey: pulumi.secret(encryptionKey), s3: { ...s3, caCertificate, secretKey: pulumi.secret(s3.secretKey) } };
    const recording = await build({ ...given, values: { debug: true }, systemDefaultRegistry: "registry.example.com" });
    expect(release(recording, "backup-operator").inputs.values).toEqual({
        debug: true,
        global: { cattle: { systemDefaultRegistry: "registry.example.com" } },
        s3: {
            enabled: true,
            endpoint: "s3.example.com",
            bucketName: "backups",
            folder: "rancher",
            region: "eu-central-1",
            endpointCA: Buffer.from(caCertificate).toString("base64"),
            credentialSecretName: "rancher-backup-s3-credentials",
            credentialSecretNamespace: "cattle-resources-system",
        },
    });
    const keys = recording.one("kubernetes:core/v1:Secret", "backup-s3").inputs;
    expect(keys).toMatchObject({
        metadata: { name: "rancher-backup-s3-credentials", namespace: "cattle-resources-system" },
        stringData: secret({ accessKey: "the-access", secretKey: "the-secret" }),
    });
    const encryption = recording.one("kubernetes:core/v1:Secret", "backup-encryption").inputs;
    const { resources } = parse(encryption.stringData.secret["encryption-provider-config.yaml"]);
    expect(resources).toEqual([{ resources: ["secrets"], providers: [{ aesgcm: { keys: [{ name: "key1", secret: encryptionKey }] } }] }]);
    const others = recording.resources.filter(({ type }) => type !== "kubernetes:core/v1:Secret");
    for (const text of [encryptionKey, "the-access", "the-secret"]) expect(JSON.stringify(others)).not.toContain(text);
});

test("Helm makes the namespace, and the Secrets wait for it", async () => {
    const recording = await build();
    expect(recording.resources.map(({ type }) => type)).not.toContain("kubernetes:core/v1:Namespace");
    const crds = release(recording, "backup-crd");
    expect(crds.inputs.createNamespace).toBe(true);
    expect(recording.one("kubernetes:core/v1:Secret", "backup-encryption").dependencies).toContain(crds.urn);
});

test("an IAM role needs no Secret", async () => {
    const recording = await build({ s3: { bucket: "backups" } });
    const secrets = recording.resources.filter(({ type }) => type === "kubernetes:core/v1:Secret").map(({ name }) => name);
    expect(secrets).toEqual(["backup-encryption"]);
    expect(release(recording, "backup-operator").inputs.values.s3).toEqual({
        enabled: true,
        endpoint: "s3.amazonaws.com",
        bucketName: "backups",
    });
});

test("backups on a volume outlive the stack, and their claim keeps its name", async () => {
    const recording = await build({ s3: undefined, volume: { name: "rancher-backups", size: "10Gi" } });
    const operator = release(recording, "backup-operator");
    const persistence = { enabled: true, volumeName: "rancher-backups", size: "10Gi", storageClass: "-" };
    expect(operator.inputs.values).toEqual({ persistence });
    const kept = recording.resources.filter(({ retainOnDelete }) => retainOnDelete).map(({ name }) => name);
    expect(kept.sort()).toEqual(["backup-crd", "backup-operator"]);
});

test("Rancher before 2.11 has one set of resources", async () => {
    const recording = await build({ chartVersion: "105.0.1+up6.0.1", rancherVersion: "2.10.4" });
    expect(object(recording).inputs.spec.resourceSetName).toBe("rancher-resource-set");
});

test("charts of an OCI registry are named by their whole reference", async () => {
    const recording = await build({ repository: "oci://registry.example.com/charts" });
    expect(release(recording, "backup-crd").inputs).toMatchObject({
        chart: "oci://registry.example.com/charts/rancher-backup-crd",
        repositoryOpts: {},
    });
});

test("a chart on disk of another version is refused", async () => {
    const chart = "lab/rancher/chart";
    await expect(build({ chartPath: chart, crdChartPath: chart })).rejects.toThrow(
        /crdChartPath: expected the chart of version 106\.0\.2\+up7\.0\.2 in lab.rancher.chart, found 2\.11\.3\. \[RHA versions\]/,
    );
});

test("a chart for another Rancher is refused, with the versions that fit", async () => {
    await expect(build({ chartVersion: "105.0.1+up6.0.1" })).rejects.toThrow(
        /chartVersion: expected a version 106\.x\.y\+up7\.x\.y of the backup charts, which is for Rancher 2\.11, found "105\.0\.1\+up6\.0\.1" \[RHA versions\]/,
    );
});
