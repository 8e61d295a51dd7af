import { mkdtempSync } from "fs";
import { join } from "path";
import { disposable, testLab } from "../fixtures";
import { Client } from "../loadBalancer/client";
import { changed, Edit, MainStack, nodes } from "./mainStack";

// These tests follow the verbs of RKE on a cluster of three nodes: a snapshot, its restore after etcd is lost, renewed
// certificates, a rotated CA.
jest.setTimeout(15 * 60_000);

const lab = disposable(testLab());
const tokens =
    (values: object): Edit =>
    ({ cluster }) =>
        Object.assign(cluster, values);
// A recurring snapshot has such a name.
const name = "2026-11-28T09:56:57Z_etcd";
const savedFile = `ls /opt/rke/etcd-snapshots | grep -xF ${name}.zip`;
let main: MainStack;

const onNodes = (script: string) => Promise.all(nodes.map(async node => (await lab.host(node).sh(script)).trim()));
const etcdStarts = () => onNodes("docker inspect --format '{{.State.StartedAt}} {{.State.Running}}' etcd");
const settings = () => main.kubectl(["get", "configmaps", "-o", "name"]);

beforeAll(async () => {
    main = await MainStack.start(lab);
    await main.succeeds("up");
}, 15 * 60_000);

test("a snapshot is saved on every etcd node, once, and nothing else changes", async () => {
    const edit = tokens({ snapshot: { name } });
    expect(changed(await main.succeeds("up", { edit }))).toEqual(["rancher-cluster-snapshot"]);
    expect(await onNodes(savedFile)).toEqual(nodes.map(() => `${name}.zip`));
    await main.isInSync(edit);
    expect(changed(await main.succeeds("up"))).toEqual(["rancher-cluster-snapshot"]);
});

test("a restore of a missing snapshot is announced, and refused before etcd stops", async () => {
    const edit = tokens({ restore: { snapshot: "never-saved" } });
    const starts = await etcdStarts();
    const preview = await main.succeeds("preview", { edit });
    expect(preview.output.replace(/\s+/g, " ")).toContain("All objects made after the snapshot are lost");
    const { code, output } = await main.up({ edit });
    expect(output.replace(/\s+/g, " ")).toMatch(
        /expected never-saved\.zip in \S+ of an etcd node, found only: .*2026-11-28T09:56:57Z_etcd/,
    );
    expect(output).toContain("[RHA snapshot-missing]");
    expect(code).not.toBe(0);
    expect(await etcdStarts()).toEqual(starts);
});

test("a lost etcd is restored by one up from a snapshot of one node, without later objects", async () => {
    const edit = tokens({ restore: { snapshot: name } });
    await main.kubectl(["create", "configmap", "made-later"]);
    expect(await settings()).toContain("made-later");
    await onNodes("docker rm --force etcd && rm -rf /var/lib/etcd/member");
    // Only the last node still has its snapshots.
    for (const node of ["node1", "node2"] as const) await lab.host(node).sh("rm -r /opt/rke/etcd-snapshots");
    const preview = await main.preview({ edit });
    await main.succeeds("up", { edit });
    expect(await settings()).not.toContain("made-later");
    await main.kubectl(["rollout", "status", "deployment/rancher", "--timeout=120s"]);
    expect(await onNodes(savedFile)).toEqual(nodes.map(() => `${name}.zip`));
    expect(await main.kubectl(["get", "nodes", "-o", "name"])).toBe(nodes.map(node => `node/${node}\n`).join(""));
    expect(await etcdStarts()).toEqual(nodes.map(() => expect.stringMatching(/ true$/)));
    await main.isInSync(edit);
    expect([preview.code, preview.output.replace(/\s+/g, " ")]).toEqual([0, expect.stringContaining(`restores the etcd snapshot ${name}`)]);
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
        config.cluster.etcdBackup = { retention: 7 };
    };
    await main.succeeds("up", { edit: later });
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

test("a rotation of the CA that was killed inside RKE is finished by the next up, and nothing is replaced", async () => {
    const edit = tokens({ caRotations: 1 });
    const authority = () => onNodes("openssl x509 -noout -fingerprint -in /etc/kubernetes/ssl/kube-ca.pem");
    const uids = () =>
        main.kubectl(["get", "namespace/cattle-system", "secret/tls-ca", "deployment/rancher", "-o", "jsonpath={.items[*].metadata.uid}"]);
    const [before, objects] = [await authority(), await uids()];
    const preview = await main.succeeds("preview", { edit });
    expect(preview.output.replace(/\s+/g, " ")).toContain(
        "pulumi up rotates the CA of the cluster. etcd and the control plane restart on all nodes",
    );
    expect(changed(preview)).toEqual(
        expect.arrayContaining(["rancher-cluster-rotation-1", "rancher-cluster-nodes", "rancher-cluster-rke"]),
    );

    const killed = await main.killedInsideRke(/rke: .*Restarting up etcd plane/, mkdtempSync(join(lab.folder, "killed-")), edit);
    expect(killed.code).not.toBe(0);
    await main.stack.cancel();
    const { steps, answers } = await underRequests(/restarting the pods of daemonset kube-system/, edit);
    // In the lab, the pods run inside the kubelets, which RKE restarts before. So only the restarts of pods can lose nothing.
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
    await main.isInSync(edit);
});

test("no secret was printed", async () => {
    const secrets = await main.secrets();
    expect(secrets.length).toBeGreaterThan(6);
    expect(secrets.filter(secret => main.printed.join("\n").includes(secret))).toEqual([]);
});

const clusterKubeconfig = async () => (await main.resource("rancher-kubernetes")).inputs.kubeconfig;
