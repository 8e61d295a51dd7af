import { randomBytes } from "crypto";
import { mkdtempSync, readFileSync } from "fs";
import { join } from "path";
import { gunzipSync } from "zlib";
import { issue } from "../../../lab/certificates";
import { S3Server } from "../../../lab/s3";
import { pageText } from "../../pages";
import { bastionAt, disposable, loginsOf, refuseDirectSsh, testLab } from "../fixtures";
import { Client } from "../loadBalancer/client";
import { changed, Edit, hosts, MainStack, nodes } from "./mainStack";

// These tests follow the verbs of RKE on a cluster of three nodes. They save a snapshot on the nodes and in S3, and restore it after etcd
// is lost. Then they renew certificates, rotate the CA and destroy the cluster. The nodes accept SSH from a bastion alone. The same S3
// server is the place of Rancher's own backups. Rancher and its backup operator have an HTTP proxy.
jest.setTimeout(15 * 60_000);

const { askBucket } = jest.requireActual("../../../components/cluster/rke/runner/bucket.js");
const { withAgentFor } = jest.requireActual("../../../components/cluster/rke/runner/nodes.js");

const lab = disposable(testLab());
const tokens =
    (values: object): Edit =>
    ({ cluster }) =>
        Object.assign(cluster, values);
// A recurring snapshot has such a name.
const name = "2026-11-28T09:56:57Z_etcd";
/** Runs a block of the section about the verbs of RKE. */
const asWritten = (block: number, examples?: Record<string, string>) =>
    main.asWritten(["operations.md", "Save and restore a snapshot", block], examples);
const savedFile = `ls /opt/rke/etcd-snapshots | grep -xF ${name}.zip`;
const folder = "rancher/etcd";
let main: MainStack;
let s3: S3Server;
let bastion: Awaited<ReturnType<typeof bastionAt>>;
let withoutRancher: string[];

const proxy = "http://proxy.example.com:3128";

const bucket = () => {
    const { endpoint, accessKey, secretKey, caCertificate } = s3;
    return { endpoint, bucket: "etcd", folder, accessKey, secretKey, caCertificate };
};
const encryptionKey = randomBytes(32).toString("base64");
/** Backups of Rancher, in another bucket. */
const backup = () => ({
    chartVersion: "106.0.2+up7.0.2",
    chartPath: "lab/rancher/backup",
    crdChartPath: "lab/rancher/backup-crd",
    encryptionKey,
    s3: { ...bucket(), bucket: "rancher", folder: undefined },
});

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
    main = await MainStack.start(lab, [...hosts], config => {
        bucketWith({})(config);
        Object.assign(config.ssh, { bastion });
        Object.assign(config.rancher, { backup: backup(), proxy, noProxy: [".corp.example.com"] });
    });
    bastion = await bastionAt(lab.host("lb1"));
    await Promise.all(nodes.map(node => refuseDirectSsh(lab.host(node))));
    s3 = new S3Server(lab.host("lb1"), await lab.tools());
    await Promise.all([s3.start("etcd", "rancher"), ...nodes.map(node => s3.connect(lab.host(node)))]);
    // A cluster to which Rancher moves comes up in two steps.
    const [, flags] = /^ *pulumi up (--exclude .*)$/m.exec(pageText("docs/operations.md"))!;
    withoutRancher = await main.succeeds("up", { flags: flags.replace(/'/g, "").split(" ") }).then(() => main.names());
    await main.succeeds("up");
}, 15 * 60_000);

const ofBackups = ["encryption", "s3", "crd", "operator", "backup"].map(suffix => `rancher-backup-${suffix}`);
const operators = async (...args: string[]) =>
    JSON.parse(await main.kubectl(["get", ...args, "--namespace=cattle-resources-system", "--output=json"]));

test("a cluster to which Rancher moves has the backup operator before Rancher", () => {
    expect(withoutRancher).toEqual(expect.arrayContaining(ofBackups.slice(0, -1)));
    for (const later of ["rancher-release-release", "rancher-backup-backup"]) expect(withoutRancher).not.toContain(later);
});

test("Rancher's backup operator has its schedule and bucket, and Helm's record no key", async () => {
    expect(await main.names()).toEqual(expect.arrayContaining(ofBackups));
    await main.isInSync();
    expect((await operators("deployment", "rancher-backup")).status).toMatchObject({ readyReplicas: 1 });
    expect((await operators("backups.resources.cattle.io", "rancher")).spec).toEqual({
        resourceSetName: "rancher-resource-set-full",
        encryptionConfigSecretName: "rancher-backup-encryption",
        schedule: "0 2 * * *",
        retentionCount: 10,
    });
    const { output } = await main.preview({ edit: ({ rancher }) => (rancher.backup.schedule = "@hourly") });
    expect(output).toMatch(/^ *\+- .*rancher-backup-backup +replace/m);
    const secrets: { metadata: any; data: Record<string, string> }[] = (await operators("secrets")).items;
    const plain = (text: string) => Buffer.from(text, "base64").toString();
    const dataOf = (name: string) => Object.entries(secrets.find(({ metadata }) => metadata.name === name)!.data);
    const read = Object.fromEntries(
        ["rancher-backup-s3", "rancher-backup-s3-credentials"].flatMap(dataOf).map(([key, text]) => [key, plain(text)]),
    );
    expect(read).toEqual({
        credentialSecretName: "rancher-backup-s3-credentials",
        credentialSecretNamespace: "cattle-resources-system",
        bucketName: "rancher",
        endpoint: s3.endpoint,
        endpointCA: Buffer.from(s3.caCertificate).toString("base64"),
        accessKey: s3.accessKey,
        secretKey: s3.secretKey,
    });
    const records = secrets.filter(({ metadata }) => metadata.labels?.owner === "helm");
    expect(records).toHaveLength(2);
    const recorded = records.map(({ data }) => gunzipSync(Buffer.from(plain(data.release), "base64")).toString()).join("");
    expect(recorded).toContain(s3.endpoint);
    expect([s3.secretKey, s3.accessKey, encryptionKey].filter(key => recorded.includes(key))).toEqual([]);
});

test("Rancher and the backup operator get the proxy, and reach the cluster without it", async () => {
    const direct = [
        "10.42.0.0/16",
        "10.43.0.0/16",
        ...nodes.map(node => lab.host(node).address),
        "rancher.lab.internal",
        ".corp.example.com",
    ];
    for (const place of ["--namespace=cattle-system --selector=app=rancher", "--namespace=cattle-resources-system"]) {
        const pods = JSON.parse(await main.kubectl(["get", "pods", ...place.split(" "), "--output=json"])).items;
        expect(pods.length).toBeGreaterThan(0);
        for (const { spec } of pods) {
            const env = Object.fromEntries(spec.containers[0].env.map(({ name: key, value }: any) => [key, value]));
            expect(env).toMatchObject({ HTTP_PROXY: proxy, HTTPS_PROXY: proxy });
            expect(env.NO_PROXY.split(",")).toEqual(expect.arrayContaining([...direct, "127.0.0.0/8", ".svc", ".cluster.local"]));
        }
    }
});

const flat = (output: string) => output.replace(/\s+/g, " ");

/** Expects an update to be refused with these words, while etcd runs on. */
async function isRefused(edit: Edit, ...words: (string | RegExp)[]): Promise<void> {
    const starts = await etcdStarts();
    const { code, output } = await main.up({ edit });
    words.forEach(word => expect(flat(output)).toMatch(word));
    expect(code).not.toBe(0);
    expect(await etcdStarts()).toEqual(starts);
}

test("a bucket with a wrong key is refused before RKE starts", async () => {
    const words = /403 SignatureDoesNotMatch: .* Check accessKey and secretKey/;
    await isRefused(bucketWith({ secretKey: s3.accessKey }), "[RHA bucket-not-usable]", words, "RKE was not started");
});

test.each<[string, () => object, RegExp]>([
    ["that is right", () => ({}), /^$/],
    ["with an unknown key", () => ({ accessKey: "unknown" }), /: No user exists with the provided access key/],
    ["that is missing", () => ({ bucket: "missing" }), /404 NoSuchBucket: /],
    ["behind another CA", () => ({ caCertificate: issue({ name: "other", ca: true }).certificate }), /: UNABLE_TO_VERIFY_LEAF_SIGNATURE: /],
    ["in another region", () => ({ region: "eu-central-1" }), /400 AuthorizationHeaderMalformed: .* expecting 'us-east-1'/],
])("what each node says of a bucket %s", async (_what, changes, words) => {
    const reached = nodes.map(name => {
        const { address, hostKey } = lab.host(name);
        const privateKey = readFileSync(lab.privateKeyFile, "utf8");
        return {
            name,
            connection: { address, port: 22, user: "rke", hostKey, privateKey, waitSeconds: 0, bastion: { ...bastion, port: 22 } },
        };
    });
    const asked = { nodes: reached, access: { ...bucket(), ...changes() } };
    const { faults } = await withAgentFor(reached, (env: NodeJS.ProcessEnv) => askBucket(env, asked));
    expect(nodes.map((_, index) => faults[index] ?? "")).toEqual(nodes.map(() => expect.stringMatching(words)));
});

test("a snapshot is saved on every etcd node and in the bucket; nothing else changes", async () => {
    const edit = tokens({ snapshot: { name } });
    expect(changed(await main.succeeds("preview", { edit }))).toEqual(["rancher-cluster-snapshot"]);
    main.configure();
    await asWritten(0, { "before-rancher-2.11.3": name });
    expect(await onNodes(savedFile)).toEqual(nodes.map(() => `${name}.zip`));
    expect(await s3.objects("etcd")).toEqual([`${folder}/${name}.zip`]);
    expect(changed(await main.succeeds("preview"))).toEqual(["rancher-cluster-snapshot"]);
    await main.isInSync(edit);
    await asWritten(3);
    await main.isInSync();
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
    expect(flat(output)).toContain("etcd answers on no node, so no snapshot of it was saved");
    expect(await settings()).not.toContain("made-later");
    await main.kubectl(["rollout", "status", "deployment/rancher", "--timeout=120s"]);
    expect(await onNodes(savedFile)).toEqual(nodes.map(() => `${name}.zip`));
    expect(await main.kubectl(["get", "nodes", "-o", "name"])).toBe(nodes.map(node => `node/${node}\n`).join(""));
    expect(await etcdStarts()).toEqual(nodes.map(() => expect.stringMatching(/ true$/)));
    await main.isInSync(edit);
    expect([preview.code, flat(preview.output)]).toEqual([0, expect.stringContaining(`restores the etcd snapshot ${name}`)]);
    return flat(output);
}

test("a lost etcd is restored from the bucket alone, but not while S3 is down", async () => {
    const edit = tokens({ restore: { snapshot: name } });
    await onNodes("rm -r /opt/rke/etcd-snapshots");
    await s3.stop();
    await isRefused(edit, "[RHA bucket-not-usable]", "Connection refused", "etcd was not stopped");
    await s3.resume();
    expect(await restoresLostEtcd(edit)).toContain(`snapshot in the bucket etcd at ${s3.endpoint}: ${folder}/${name}.zip`);
});

test("while S3 is down, a lost etcd is restored from a snapshot of one node", async () => {
    await main.succeeds("up");
    // Only the last node still has its snapshots.
    for (const node of ["node1", "node2"] as const) await lab.host(node).sh("rm -r /opt/rke/etcd-snapshots");
    await s3.stop();
    expect(await restoresLostEtcd(tokens({ restore: { snapshot: name } }))).toContain("RKE takes the snapshot of a node");
    await s3.resume();
});

test("a restore while etcd answers first saves a snapshot, which the next one restores", async () => {
    await main.succeeds("up");
    await main.kubectl(["create", "configmap", "made-later"]);
    main.configure();
    const output = await asWritten(1, { "before-rancher-2.11.3": name });
    expect(await settings()).not.toContain("made-later");
    const [, saved] = /cluster\.restore\.snapshot: (before-restore-\w+) brings/.exec(flat(output))!;
    expect(await s3.objects("etcd")).toContain(`${folder}/${saved}.zip`);
    const edit = tokens({ restore: { snapshot: saved } });
    await main.succeeds("up", { edit });
    expect(await settings()).toContain("made-later");
    await main.kubectl(["rollout", "status", "deployment/rancher", "--timeout=120s"]);
    await main.isInSync(edit);
});

test("certificates are renewed, the CA stays, and a later run without S3 keeps them", async () => {
    const edit = tokens({ rotateCertificates: "november-2026" });
    const serials = (file: string) => onNodes(`openssl x509 -noout -serial -in /etc/kubernetes/ssl/${file}.pem`);
    const [authority, server, kubeconfig] = [await serials("kube-ca"), await serials("kube-apiserver"), await clusterKubeconfig()];
    // The key of the restore is removed. Its removal runs nothing.
    await main.succeeds("up");
    expect(changed(await main.succeeds("preview", { edit }))).toEqual(["rancher-cluster-certificates"]);
    main.configure();
    await asWritten(2);
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
    await s3.silence();
    const withSnapshot: Edit = config => {
        later(config);
        tokens({ snapshot: { name: "silent" } })(config);
    };
    const { code, output } = await main.up({ edit: withSnapshot });
    await s3.silence(false);
    // RKE does what the configuration asks for. The snapshot is refused.
    const noAnswer = "no answer within 20 s";
    expect(flat(output)).toMatch(new RegExp(`warning: .*${noAnswer}.*Until it answers, snapshots of etcd are only on the nodes`));
    expect(flat(output)).toMatch(/\[RHA bucket-not-usable\] .* Check endpoint, and the network between\. No snapshot was saved/);
    expect(code).not.toBe(0);
    expect(await onNodes("ls /opt/rke/etcd-snapshots")).toEqual(nodes.map(() => expect.not.stringContaining("silent")));
    // RKE has finished. The command of the certificates waited for the snapshot, and does nothing for a token that it has done.
    expect(changed(await main.succeeds("up", { edit: later }))).toEqual(["rancher-cluster-certificates"]);
    expect(await serials("kube-apiserver")).toEqual(renewed);
    await main.isInSync(later);
});

/** Brings the stack up, and returns the answers of Rancher to requests through the load balancer since a line of the output. */
async function underRequests(line: RegExp, edit: Edit) {
    const client = new Client(lab.host("lb1").address, "rancher.lab.internal", (await main.authorities())[1]);
    const answers: (number | string)[] = [];
    let [isMeant, isOver] = [false, false];
    const onLine = (said: string) => void (isMeant ||= line.test(said));
    const asking = (async () => {
        while (!isOver) {
            if (isMeant) answers.push(await client.status("/ping").catch(String));
            await new Promise(resolve => setTimeout(resolve, 50));
        }
    })();
    const finished = await main.succeeds("up", { edit, onLine }).finally(() => (isOver = true));
    await asking;
    return { ...finished, answers };
}

const rotated = tokens({ caRotations: 1 });
const authority = () => onNodes("openssl x509 -noout -fingerprint -in /etc/kubernetes/ssl/kube-ca.pem");

test("a CA rotation killed inside RKE is finished by the next up; nothing is replaced", async () => {
    const uids = () =>
        main.kubectl(["get", "namespace/cattle-system", "secret/tls-ca", "deployment/rancher", "-o", "jsonpath={.items[*].metadata.uid}"]);
    const [before, objects] = [await authority(), await uids()];
    const preview = await main.succeeds("preview", { edit: rotated });
    expect(preview.output.replace(/\s+/g, " ")).toContain(
        "pulumi up rotates the CA of the cluster. etcd and the control plane restart on all nodes",
    );
    expect(changed(preview)).toEqual(
        expect.arrayContaining(["rancher-cluster-rotation-1", "rancher-cluster-nodes", "rancher-cluster-rke"]),
    );

    const killed = await main.killedInsideRke(/rke: .*Restarting up etcd plane/, mkdtempSync(join(lab.folder, "killed-")), rotated);
    expect(killed.code).not.toBe(0);
    await main.stack.cancel();
    const { steps, answers } = await underRequests(/restarting the pods of daemonset kube-system/, rotated);
    // tests/soak/upgrade.soak.ts counts the losses of the whole rotation.
    expect(answers.filter(answer => answer !== 200)).toEqual([]);
    expect(answers.length).toBeGreaterThan(100);
    const ops = steps.filter(({ op }) => op !== "same" && op !== "read").map(({ op, name }) => `${op} ${name}`);
    expect(ops).toEqual(expect.arrayContaining(["update rancher-cluster-rke", "update rancher-kubernetes"]));
    expect(ops.filter(op => !op.startsWith("update "))).toEqual([]);
    const after = await authority();
    after.forEach((fingerprint, index) => expect(fingerprint).not.toBe(before[index]));
    expect(new Set(after).size).toBe(1);
    main.forgetKubeconfig();
    expect(await uids()).toBe(objects);
    await main.kubectl(["rollout", "status", "deployment/rancher", "--timeout=120s"]);
    await main.isInSync(rotated);
});

test("a restore, a snapshot or a new node beside a rotation is refused in the preview", async () => {
    const before = await authority();
    const both = await main.preview({ edit: tokens({ caRotations: 2, restore: { snapshot: name } }) });
    expect(both.code).not.toBe(0);
    const saved = await main.preview({ edit: tokens({ caRotations: 2, snapshot: { name: "beside-a-rotation" } }) });
    expect(saved.code).not.toBe(0);
    expect(flat(saved.output)).toMatch(/snapshot\.name: expected none in the update that rotates the CA, found beside-a-rotation: /);
    const newNode = await main.preview({
        edit: ({ cluster }) => {
            const { hostKey } = lab.host("node1");
            cluster.caRotations = 2;
            cluster.nodes.push({ address: lab.addressAt(34), hostname: "node4", user: "rke", roles: ["worker"], hostKey });
        },
    });
    expect(newNode.code).not.toBe(0);
    expect(flat(newNode.output)).toMatch(/cluster\.caRotations: expected no new .* node .*, found node4\./);
    expect(both.output).toMatch(/restore\.snapshot: expected none in the update that creates or adopts the cluster, or rotates its CA/);
    const { code, output } = await main.up();
    expect(code).not.toBe(0);
    expect(output.replace(/\s+/g, " ")).toContain("If cluster.caRotations is lower than before, set it back");
    expect(await authority()).toEqual(before);
    await main.isInSync(rotated);
});

test("without rancher.backup, its objects go, and the namespace stays", async () => {
    const edit: Edit = config => {
        rotated(config);
        config.rancher.backup = undefined;
    };
    const { steps } = await main.succeeds("up", { edit });
    const removed = steps.filter(({ op }) => op.startsWith("delete")).map(({ name }) => name);
    expect(removed.sort()).toEqual([...ofBackups, "rancher-backup"].sort());
    expect(await main.kubectl(["get", "namespace", "cattle-resources-system", "--output=name"])).toBe(
        "namespace/cattle-resources-system\n",
    );
    await main.isInSync(edit);
});

test("SSH to the nodes came from the bastion alone: Pulumi, probes, RKE in all verbs", async () => {
    const logins = await Promise.all(nodes.map(name => loginsOf(lab.host(name))));
    expect(logins).toEqual(nodes.map(() => [`Accepted publickey for rke from ${lab.host("lb1").address}`]));
});

test("no secret was printed, and the keys of S3 are encrypted in the state", async () => {
    const keys = [s3.accessKey, s3.secretKey, encryptionKey].flatMap(key => [key, Buffer.from(key).toString("base64")]);
    const secrets = [...(await main.secrets()), ...keys];
    expect(secrets.length).toBeGreaterThan(6);
    expect(secrets.filter(secret => main.printed.join("\n").includes(secret))).toEqual([]);
    const state = JSON.stringify(await main.stack.exported());
    expect(keys.filter(key => state.includes(key))).toEqual([]);
});

test("destroy with Rancher's backups removes all but the snapshots in the bucket", async () => {
    await main.succeeds("up", { edit: rotated });
    expect(await main.names()).toEqual(expect.arrayContaining(ofBackups));
    const objects = await s3.objects("etcd");
    await main.succeeds("destroy", { edit: rotated });
    expect(await main.stack.resources()).toEqual([]);
    await Promise.all(nodes.map(node => main.isClean(node)));
    expect(objects).toEqual(await s3.objects("etcd"));
});

const clusterKubeconfig = async () => (await main.resource("rancher-kubernetes")).inputs.kubeconfig;
