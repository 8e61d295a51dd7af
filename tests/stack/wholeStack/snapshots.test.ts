import { issue } from "../../../lab/certificates";
import { S3Server } from "../../../lab/s3";
import { disposable, testLab } from "../fixtures";
import { changed, Edit, hosts, MainStack, nodes } from "./mainStack";

// These tests follow the verbs of RKE on a cluster of three nodes: a snapshot on the nodes and in S3, its restore after etcd is lost,
// renewed certificates.
jest.setTimeout(15 * 60_000);

const lab = disposable(testLab());
const tokens =
    (values: object): Edit =>
    ({ cluster }) =>
        Object.assign(cluster, values);
// A recurring snapshot has such a name.
const name = "2026-11-28T09:56:57Z_etcd";
const savedFile = `ls /opt/rke/etcd-snapshots | grep -xF ${name}.zip`;
const folder = "rancher/etcd";
let main: MainStack;
let s3: S3Server;

const bucket = () => {
    const { endpoint, accessKey, secretKey, caCertificate } = s3;
    return { endpoint, bucket: "etcd", folder, accessKey, secretKey, caCertificate };
};
/** Changes keys of the bucket. */
const bucketWith =
    (changes: object, more: Edit = () => undefined): Edit =>
    config => {
        config.cluster.etcdBackup = { s3: { ...bucket(), ...changes } };
        more(config);
    };
const onNodes = (script: string) => Promise.all(nodes.map(async node => (await lab.host(node).sh(script)).trim()));
const etcdStarts = () => onNodes("docker inspect --format '{{.State.StartedAt}} {{.State.Running}}' etcd");
const settings = () => main.kubectl(["get", "configmaps", "-o", "name"]);

beforeAll(async () => {
    main = await MainStack.start(lab, [...hosts], config => bucketWith({})(config));
    s3 = new S3Server(lab.host("lb1"), await lab.tools());
    await Promise.all([s3.start("etcd"), ...nodes.map(node => s3.connect(lab.host(node)))]);
    await main.succeeds("up");
}, 15 * 60_000);

const flat = (output: string) => output.replace(/\s+/g, " ");

/** Expects an update to be refused with these words, while etcd runs on. */
async function isRefused(edit: Edit, ...words: (string | RegExp)[]): Promise<void> {
    const starts = await etcdStarts();
    const { code, output } = await main.up({ edit });
    words.forEach(word => expect(flat(output)).toMatch(word));
    expect(code).not.toBe(0);
    expect(await etcdStarts()).toEqual(starts);
}

test.each<[string, () => object, RegExp]>([
    ["with a wrong key", () => ({ secretKey: s3.accessKey }), /403 SignatureDoesNotMatch: .* Check accessKey and secretKey/],
    ["that is missing", () => ({ bucket: "missing" }), /404 NoSuchBucket: .* Check bucket\./],
    ["behind another CA", () => ({ caCertificate: issue({ name: "other", ca: true }).certificate }), / Check caCertificate and endpoint\./],
])("a bucket %s is refused before RKE starts", async (_what, changes, words) => {
    await isRefused(bucketWith(changes()), "[RHA bucket-not-usable]", words, "RKE was not started");
});

test("a snapshot is saved on every etcd node and in the bucket, once, and nothing else changes", async () => {
    const edit = tokens({ snapshot: { name } });
    expect(changed(await main.succeeds("up", { edit }))).toEqual(["rancher-cluster-snapshot"]);
    expect(await onNodes(savedFile)).toEqual(nodes.map(() => `${name}.zip`));
    expect(await s3.objects("etcd")).toEqual([`${folder}/${name}.zip`]);
    await main.isInSync(edit);
    expect(changed(await main.succeeds("up"))).toEqual(["rancher-cluster-snapshot"]);
    // RKE would save it on the nodes only.
    await isRefused(edit, "[RHA change-not-possible]", `found the bucket etcd at ${s3.endpoint}: ${folder}/${name}.zip, `);
});

test("a restore of a missing snapshot is announced, and refused before etcd stops", async () => {
    const edit = tokens({ restore: { snapshot: "never-saved" } });
    const preview = await main.succeeds("preview", { edit });
    expect(flat(preview.output)).toContain("All objects made after the snapshot are lost");
    const found = `- the bucket etcd at ${s3.endpoint}: ${folder}/${name}.zip`;
    await isRefused(
        edit,
        "[RHA snapshot-missing]",
        /expected never-saved\.zip in \S+ of an etcd node or in the bucket etcd .*, found only: /,
        found,
    );
});

/** Loses etcd on every node, restores a snapshot by one update, and expects the cluster of then. */
async function restoresLostEtcd(edit: Edit): Promise<string> {
    await main.kubectl(["create", "configmap", "made-later"]);
    expect(await settings()).toContain("made-later");
    await onNodes("docker rm --force etcd && rm -rf /var/lib/etcd/member");
    const preview = await main.preview({ edit });
    const { output } = await main.succeeds("up", { edit });
    expect(await settings()).not.toContain("made-later");
    await main.kubectl(["rollout", "status", "deployment/rancher", "--timeout=120s"]);
    expect(await onNodes(savedFile)).toEqual(nodes.map(() => `${name}.zip`));
    expect(await main.kubectl(["get", "nodes", "-o", "name"])).toBe(nodes.map(node => `node/${node}\n`).join(""));
    expect(await etcdStarts()).toEqual(nodes.map(() => expect.stringMatching(/ true$/)));
    await main.isInSync(edit);
    expect([preview.code, flat(preview.output)]).toEqual([0, expect.stringContaining(`restores the etcd snapshot ${name}`)]);
    return flat(output);
}

test("without snapshots on the nodes, a lost etcd is restored from the bucket, and not while S3 is down", async () => {
    const edit = tokens({ restore: { snapshot: name } });
    await onNodes("rm -r /opt/rke/etcd-snapshots");
    await s3.stop();
    await isRefused(edit, "[RHA bucket-not-usable]", "Connection refused", "etcd was not stopped");
    await s3.resume();
    expect(await restoresLostEtcd(edit)).toContain(`snapshot in the bucket etcd at ${s3.endpoint}: ${folder}/${name}.zip`);
});

test("while S3 is down, a lost etcd is restored from a snapshot of one node, without later objects", async () => {
    await main.succeeds("up");
    // Only the last node still has its snapshots.
    for (const node of ["node1", "node2"] as const) await lab.host(node).sh("rm -r /opt/rke/etcd-snapshots");
    await s3.stop();
    expect(await restoresLostEtcd(tokens({ restore: { snapshot: name } }))).toContain("RKE takes the snapshot of a node");
    await s3.resume();
});

test("certificates are renewed, CA and kubeconfig stay, and the next up of RKE keeps them", async () => {
    const edit = tokens({ rotateCertificates: "2026-11" });
    const serials = (file: string) => onNodes(`openssl x509 -noout -serial -in /etc/kubernetes/ssl/${file}.pem`);
    const [authority, server, kubeconfig] = [await serials("kube-ca"), await serials("kube-apiserver"), await clusterKubeconfig()];
    // The key of the restore is removed. Its removal runs nothing.
    await main.succeeds("up");
    expect(changed(await main.succeeds("up", { edit }))).toEqual(["rancher-cluster-certificates"]);
    const renewed = await serials("kube-apiserver");
    renewed.forEach((serial, index) => expect(serial).not.toBe(server[index]));
    expect([await serials("kube-ca"), await clusterKubeconfig()]).toEqual([authority, kubeconfig]);
    // The client of the tests has the kubeconfig of before.
    await main.kubectl(["rollout", "status", "deployment/rancher", "--timeout=120s"]);
    await main.isInSync(edit);

    const later: Edit = config => {
        edit(config);
        config.cluster.etcdBackup = { s3: bucket(), retention: 7 };
    };
    await main.succeeds("up", { edit: later });
    expect(await serials("kube-apiserver")).toEqual(renewed);
    await main.isInSync(later);
});

test("no secret was printed, and the keys of S3 are encrypted in the state", async () => {
    const keys = [s3.accessKey, s3.secretKey].flatMap(key => [key, Buffer.from(key).toString("base64")]);
    const secrets = [...(await main.secrets()), ...keys];
    expect(secrets.length).toBeGreaterThan(6);
    expect(secrets.filter(secret => main.printed.join("\n").includes(secret))).toEqual([]);
    const state = JSON.stringify(await main.stack.exported());
    expect(keys.filter(key => state.includes(key))).toEqual([]);
});

const clusterKubeconfig = async () => (await main.resource("rancher-kubernetes")).inputs.kubeconfig;
