import { spawnSync } from "child_process";
import { once } from "events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { createServer } from "https";
import { AddressInfo } from "net";
import { tmpdir } from "os";
import { delimiter, join } from "path";
import { brotliCompressSync } from "zlib";
import { nodeProgram } from "../../components/remote/programs";
import { issue, Issued } from "../../lab/certificates";
import { run } from "../../lab/process";
import { hostKey, sshKey, standInForNodes } from "../ssh";

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "once-"))));
afterEach(() => rmSync(folder, { recursive: true }));

const pair = { certificatePEM: "the CA", keyPEM: "key" };
const state = { desiredState: { rkeConfig: { nodes: [] }, certificatesBundle: { "kube-ca": pair, "kube-admin": pair } } };
const line = (level: string, message: string) => `time="2026-01-01T00:00:00Z" level=${level} msg="${message}"`;

function program(name: string, text: string) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, name), 0o755);
}

/** Puts a stand-in for rke in place, whose `snapshot-save` says `saving`. SSH runs programs on this machine. Returns what rke was called with. */
function standIns(saving = line("info", "Finished saving/uploading snapshot [$4] on all etcd hosts")) {
    program(
        "rke",
        `[ "$1" != --version ] || { echo "rke version v1.8.14"; exit; }
echo "$2 $4" >>${folder}/calls
cp cluster.rkestate "${folder}/state-$2"
if [ "$2" = snapshot-save ]; then cat <<END
${saving}
END
exit; fi
echo 'level=info msg="Finished restoring snapshot [wanted] on all etcd hosts"'`,
    );
    standInForNodes(folder);
    return () => readFileSync(join(folder, "calls"), "utf8").trimEnd().split("\n");
}

const node1 = { name: "node1", connection: { address: "192.0.2.31", port: 22, user: "rke", hostKey, waitSeconds: 0 } };
const entry = join(__dirname, "..", "..", "components", "cluster", "rke", "runner", "once.js");
const pack = (value: object) => brotliCompressSync(JSON.stringify(value)).toString("base64");

/** Returns the program that restores the snapshot `wanted`, and its environment. */
function restoring(changes: object, previous = "") {
    const input = {
        ...{ task: "restore", token: "wanted", rkeVersion: "1.8.14", clusterYml: "nodes: []\n", timeoutSeconds: 30 },
        ...{ pki: pack(state), apiEndpoints: [], nodes: [], preflightProgram: "", etcdAnswersProgram: "" },
        ...{ wantedNodes: [], encryptionKeyProgram: "" },
        ...{ etcdNodes: [node1], hasBucket: false, listProgram: "echo wanted.zip", ...changes },
    };
    const env = { ...process.env, PATH: [folder, process.env.PATH].join(delimiter), PULUMI_COMMAND_STDOUT: previous };
    return { input: nodeProgram(entry, input), env };
}

function restore({ saving, etcd = "", previous }: { saving?: string; etcd?: string; previous?: string }) {
    const calls = standIns(saving);
    const { status, stdout, stderr } = spawnSync("node", ["-", "apply"], {
        ...restoring({ etcdAnswersProgram: etcd }, previous),
        encoding: "utf8",
    });
    return { status, stdout, stderr, calls };
}

const saves = expect.stringMatching(/^snapshot-save before-restore-\d{8}T\d{6}Z$/);
const failed = line("fatal", "[etcd] Failed to take snapshot on all etcd hosts: no space left on device");

test("a restore first saves a snapshot, and says how the present objects come back", () => {
    const { status, stdout, stderr, calls } = restore({});
    expect([status, ...calls()]).toEqual([0, saves, "snapshot-restore wanted"]);
    const [name] = calls()[0].split(" ").slice(1);
    expect(stderr).toContain(`before the restore of wanted, /opt/rke/etcd-snapshots/${name}.zip\n`);
    expect(stderr).toContain(`cluster.restore.snapshot: ${name} brings the present objects back\n`);
    expect(stdout.split("\n")[0]).toBe("wanted");
});

test("a snapshot that is on the nodes and not in the bucket is enough", () => {
    const { status, calls } = restore({
        saving: line("fatal", "[etcd] Failed to upload etcd snapshot file to s3 on all etcd hosts"),
        etcd: "echo 'etcd answers'",
    });
    expect([status, ...calls()]).toEqual([0, saves, "snapshot-restore wanted"]);
});

test("nothing is restored while etcd answers and no snapshot can be saved", () => {
    const { status, stdout, stderr, calls } = restore({ saving: failed, etcd: "echo 'etcd answers'" });
    expect([status, stdout, ...calls()]).toEqual([1, "", saves]);
    expect(stderr).toMatch(/cluster\.restore: nothing was restored, .* Correct the cause and run pulumi up again.* \[RHA rke-failed\]/);
    expect(stderr).toContain("  - [etcd] Failed to take snapshot on all etcd hosts: no space left on device\n");
});

test.each([
    ["answers nowhere", ""],
    ["is on nodes that SSH does not reach", "exit 255"],
])("a lost etcd is restored without a snapshot, which is said: it %s", (_what, etcd) => {
    const { status, stderr, calls } = restore({ saving: failed, etcd });
    expect([status, ...calls()]).toEqual([0, saves, "snapshot-restore wanted"]);
    expect(stderr).toContain("etcd answers on no node, so no snapshot of it was saved: all objects made after wanted are lost\n");
    expect(stderr).not.toContain("brings the present objects back");
});

test("a snapshot and a restore get the key of encrypted Secrets that only a node has", () => {
    standIns();
    const key = "kind: EncryptionConfiguration\nkeys: of this run\n";
    const changes = {
        ...{
            nodes: [{ ...node1, connection: { ...node1.connection, privateKey: sshKey } }],
            wantedNodes: [{ address: node1.connection.address, roles: ["controlplane"] }],
            encryptsSecrets: true,
        },
        encryptionKeyProgram: `echo 'key ${Buffer.from(key).toString("base64")}'`,
    };
    const { status, stderr } = spawnSync("node", ["-", "apply"], { ...restoring(changes), encoding: "utf8" });
    expect([status, stderr]).toEqual([0, expect.stringContaining("that of the nodes is kept, from node1\n")]);
    for (const verb of ["snapshot-save", "snapshot-restore"])
        expect(JSON.parse(readFileSync(join(folder, `state-${verb}`), "utf8")).desiredState.encryptionConfig).toBe(key);
});

test("a restore that was done before saves and restores nothing", () => {
    const { status, stdout, calls } = restore({ previous: "wanted\nstate" });
    expect([status, stdout]).toEqual([0, "wanted\nstate"]);
    expect(calls).toThrow("ENOENT");
});

describe("a cluster that runs, when a snapshot is restored:", () => {
    const ca = issue({ name: "kube-ca", ca: true });
    const pem = ({ certificate, privateKey }: Issued) => ({ certificatePEM: certificate, keyPEM: privateKey });
    const certificatesBundle = { "kube-ca": pem(ca), "kube-admin": pem(issue({ name: "kube-admin", by: ca, usage: "clientAuth" })) };
    const nodes = ["192.0.2.31", "192.0.2.33"].map((address, index) => ({
        address,
        hostnameOverride: `node${2 * index + 1}`,
        role: ["etcd"],
    }));
    const cluster = {
        desiredState: { rkeConfig: { nodes }, certificatesBundle },
        currentState: { rkeConfig: { nodes }, certificatesBundle },
    };
    const ago = (seconds: number) => ({ spec: { renewTime: new Date(Date.now() - seconds * 1000).toISOString() } });
    const ready = (status: string) => ({ metadata: { name: "node3" }, status: { conditions: [{ type: "Ready", status }] } });

    /** Restores with an API server that has these objects of node3, and a cordoned node1. Returns the changes after RKE's last verb, too. */
    async function restoreAt(objects: { nodes?: object; leases?: object }, wantedNodes: object[] = []) {
        const { certificate: cert, privateKey: key } = issue({ name: "kube-apiserver", by: ca, names: ["IP:127.0.0.1"] });
        const secret = { metadata: {}, data: { "full-cluster-state": Buffer.from(JSON.stringify(cluster)).toString("base64") } };
        const list = { items: [{ metadata: { name: "node1" }, spec: { unschedulable: true } }] };
        const calls = standIns();
        const changes: [name: string, body: string, after: string][] = [];
        const server = createServer({ cert, key, ca: ca.certificate, requestCert: true }, async (asked, answer) => {
            const [kind, name] = asked.url!.split("/").slice(-2) as ["nodes" | "leases", string];
            const body = Buffer.concat(await asked.toArray()).toString();
            if (asked.method === "PATCH") changes.push([name, body, calls().pop()!]);
            const ofNode = name === "node3" ? objects[kind] : undefined;
            const found = asked.method === "PATCH" ? {} : name === "full-cluster-state" ? secret : name === "nodes" ? list : ofNode;
            answer.writeHead(found ? 200 : 404).end(JSON.stringify(found ?? {}));
        });
        await once(server.listen(0, "127.0.0.1"), "listening");
        const apiEndpoints = [`https://127.0.0.1:${(server.address() as AddressInfo).port}`];
        const { input, env } = restoring({ apiEndpoints, wantedNodes, pki: pack({ desiredState: cluster.desiredState }) });
        const { code, stderr } = await run("node", ["-", "apply"], { input, env, tolerate: true, timeoutSeconds: 60 });
        server.close();
        return { code, stderr, calls, changes };
    }

    test("a node in maintenance is cordoned again", async () => {
        const { code, changes } = await restoreAt({}, [{ address: "192.0.2.31", roles: ["etcd"] }]);
        const mark = "pulumi-rancher-ha/cordoned";
        expect([code, changes]).toEqual([
            0,
            [
                ["node1", `{"metadata":{"annotations":{"${mark}":"true"}}}`, saves],
                ["node1", `{"metadata":{"annotations":{"${mark}":null}},"spec":{"unschedulable":true}}`, "snapshot-restore wanted"],
            ],
        ]);
    });

    test.each([
        ["whose kubelet renews its lease", { nodes: ready("Unknown"), leases: ago(5) }],
        ["that is ready, without a lease", { nodes: ready("True") }],
    ])("a node that leaves is refused before etcd stops: one %s", async (_what, objects) => {
        const { code, stderr, calls } = await restoreAt(objects);
        expect(code).toBe(1);
        expect(stderr).toMatch(
            /cluster\.restore\.snapshot: expected that no running node leaves in the update that restores, found node3\. .*etcd was not stopped\..* \[RHA change-not-possible\]/,
        );
        expect(calls).toThrow("ENOENT");
    });

    test.each([
        ["that a snapshot calls ready, with an old lease", { nodes: ready("True"), leases: ago(600) }],
        ["that is not ready", { nodes: ready("Unknown") }],
        ["that Kubernetes does not know", {}],
    ])("a node that leaves may be a lost one: one %s", async (_what, objects) => {
        const { code, stderr, calls } = await restoreAt(objects);
        expect([code, ...calls()]).toEqual([0, saves, "snapshot-restore wanted"]);
        expect(stderr).not.toContain("Kubernetes does not say");
    });
});
