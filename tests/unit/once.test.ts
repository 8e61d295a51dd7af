import { spawnSync } from "child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { delimiter, join } from "path";
import { brotliCompressSync } from "zlib";
import { nodeProgram } from "../../components/remote/programs";
import { hostKey } from "../ssh";

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

/** Restores the snapshot `wanted` with a stand-in for rke, whose `snapshot-save` says `saving`. SSH runs programs on this machine. */
function restore({ saving = line("info", "Finished saving/uploading snapshot [$4] on all etcd hosts"), etcd = "", previous = "" }) {
    program(
        "rke",
        `[ "$1" != --version ] || { echo "rke version v1.8.14"; exit; }
echo "$2 $4" >>${folder}/calls
if [ "$2" = snapshot-save ]; then cat <<END
${saving}
END
exit; fi
echo 'level=info msg="Finished restoring snapshot [wanted] on all etcd hosts"'`,
    );
    program("ssh", "exec sh");
    const connection = { address: "192.0.2.31", port: 22, user: "rke", hostKey, waitSeconds: 0 };
    const input = {
        ...{ task: "restore", token: "wanted", rkeVersion: "1.8.14", clusterYml: "nodes: []\n", timeoutSeconds: 30 },
        ...{ pki: brotliCompressSync(JSON.stringify(state)).toString("base64"), apiEndpoints: [], nodes: [], preflightProgram: "" },
        ...{ etcdNodes: [{ name: "node1", connection }], hasBucket: false, listProgram: "echo wanted.zip", etcdAnswersProgram: etcd },
    };
    const entry = join(__dirname, "..", "..", "components", "cluster", "rke", "runner", "once.js");
    const env = { ...process.env, PATH: [folder, process.env.PATH].join(delimiter), PULUMI_COMMAND_STDOUT: previous };
    const { status, stdout, stderr } = spawnSync("node", ["-", "apply"], { input: nodeProgram(entry, input), encoding: "utf8", env });
    const calls = () => readFileSync(join(folder, "calls"), "utf8").trimEnd().split("\n");
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

test("a restore that was done before saves and restores nothing", () => {
    const { status, stdout, calls } = restore({ previous: "wanted\nstate" });
    expect([status, stdout]).toEqual([0, "wanted\nstate"]);
    expect(calls).toThrow("ENOENT");
});
