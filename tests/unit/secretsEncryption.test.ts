import { createHash } from "crypto";
import { spawnSync } from "child_process";
import { once } from "events";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "fs";
import { createServer, Server } from "https";
import { AddressInfo } from "net";
import { tmpdir } from "os";
import { delimiter, join } from "path";
import { brotliCompressSync } from "zlib";
import { hostPrograms } from "../../components/cluster/rke/hostPrograms";
import { unpackState } from "../../components/cluster/rke/state";
import { nodeProgram } from "../../components/remote/programs";
import { issue } from "../../lab/certificates";
import { run } from "../../lab/process";
import { hostKey, sshKey, standInForNodes } from "../ssh";

// The program runs with stand-ins for rke, for SSH to two control plane nodes with the real host program, and for an API server.
const ca = issue({ name: "kube-ca", ca: true });
const admin = issue({ name: "kube-admin", by: ca, usage: "clientAuth" });
const apiServer = issue({ name: "kube-apiserver", by: ca, names: ["IP:127.0.0.1"] });
const pem = ({ certificate, privateKey }: typeof ca) => ({ certificatePEM: certificate, keyPEM: privateKey });
const certificatesBundle = { "kube-ca": pem(ca), "kube-admin": pem(admin) };
const network = { plugin: "canal", clusterCidr: "10.42.0.0/16", serviceClusterIpRange: "10.43.0.0/16" };
const kubernetesVersion = "v1.30.14-rancher1-1";
const nodes = ["node1", "node2"].map((name, index) => ({
    name,
    connection: { address: `192.0.2.3${index + 1}`, port: 22, user: "rke", hostKey, privateKey: sshKey, waitSeconds: 0 },
}));
const configOf = (isOn: boolean) => ({
    nodes: nodes.map(({ name, connection }) => ({ address: connection.address, hostnameOverride: name, role: ["controlplane"] })),
    kubernetesVersion,
    network: { plugin: "canal" },
    services: { kubeController: network, kubeApi: { ...(isOn && { secretsEncryptionConfig: { enabled: true } }) } },
});
/** Returns a file with a key as RKE writes it. */
const keyFile = (name: string) =>
    `apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- name: ${name}\n  secret: c2VjcmV0LW9mLQ${name}==`;
const [key1, key2] = [keyFile("one"), keyFile("two")];
/** A built cluster without encryption, or with a key. */
const built = (key?: string) => {
    const part = { rkeConfig: configOf(key !== undefined), certificatesBundle, ...(key && { encryptionConfig: key }) };
    return { desiredState: part, currentState: part };
};
const digest = (text: string) => createHash("sha256").update(text).digest("hex");

let folder: string;
let server: Server;
/** The Secret with RKE's state in the cluster. */
let live: { state: object; mark?: string };

beforeAll(async () => {
    const tls = { cert: apiServer.certificate, key: apiServer.privateKey, ca: ca.certificate };
    server = createServer({ ...tls, requestCert: true, rejectUnauthorized: true }, (asked, answer) => {
        let body = "";
        asked.on("data", chunk => (body += chunk));
        asked.on("end", () => {
            if (asked.url!.endsWith("/full-cluster-state") && body) {
                const mark = JSON.parse(body).metadata.annotations["pulumi-rancher-ha/encrypted-secrets"];
                live.mark = mark ?? undefined;
            }
            const data = { "full-cluster-state": Buffer.from(JSON.stringify(live.state)).toString("base64") };
            const annotations = live.mark === undefined ? undefined : { "pulumi-rancher-ha/encrypted-secrets": live.mark };
            answer.end(JSON.stringify({ metadata: { annotations }, data }));
        });
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
});
beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "encryption-"));
    live = { state: built() };
    script("docker", `[ "$1" = inspect ] && cat ${folder}/$host/apiserver`);
    standInForNodes(folder, 'for word in "$@"; do case $word in 192.*) host=$word ;; esac; done; export host');
    for (const { connection } of nodes) mkdirSync(join(folder, connection.address));
});
afterEach(() => rmSync(folder, { recursive: true }));
afterAll(() => void server.close());

function script(name: string, text: string): void {
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, name), 0o755);
}

/** Writes the file with the key on a node. */
function left(node: number, text: string): string {
    const file = join(folder, nodes[node - 1].connection.address, "kubernetes", "ssl", "encryption.yaml");
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, `${text}\n`, { mode: 0o600 });
    return file;
}
/** Lets the API server of a node encrypt Secrets, by RKE's file or another one. */
const encrypts = (node: number, other?: string) => {
    const { address } = nodes[node - 1].connection;
    const file = other ?? join(folder, address, "kubernetes", "ssl", "encryption.yaml");
    writeFileSync(join(folder, address, "apiserver"), `{"Cmd":["--encryption-provider-config=${file}","--other"]}`);
};

const fatal = (text: string) => `echo 'level=fatal msg="${text}"'; exit 1`;
const done = "echo 'level=info msg=\"Finished building Kubernetes cluster successfully\"'";
/** Lets RKE write a state into its folder. */
const records = (state: object) => {
    const file = join(folder, `recorded-${readdirSync(folder).length}`);
    writeFileSync(file, JSON.stringify(state));
    return `cat ${file} >cluster.rkestate`;
};

/** Runs the program, with what each run of the stand-in for rke does. */
async function apply(runs: string[], { isOn = true, answers = true, clusterYml = "nodes: []\n" } = {}) {
    readdirSync(folder)
        .filter(name => /^(seen|run)-/.test(name))
        .forEach(name => rmSync(join(folder, name)));
    runs.forEach((text, index) => script(`run-${index + 1}`, text));
    script(
        "rke",
        `[ "$1" != --version ] || { echo "rke version v1.8.14"; exit; }
        number=1; while [ -e ${folder}/seen-$number ]; do number=$((number + 1)); done
        cp cluster.rkestate ${folder}/seen-$number; exec ${folder}/run-$number`,
    );
    const programs = Object.fromEntries(Object.keys(hostPrograms()).map(name => [name, ""]));
    const input = {
        ...{ task: "cluster", rkeVersion: "1.8.14", clusterYml, network, kubernetesVersion, ingressOptions: {} },
        ...{ nodes, preflightProgram: "", timeoutSeconds: 600, encryptsSecrets: isOn ? true : undefined, ...programs },
        wantedNodes: nodes.map(({ name, connection: { address } }) => ({ name, address, innerAddress: address, roles: ["controlplane"] })),
        encryptionKeyProgram: hostPrograms().encryptionKeyProgram.replaceAll("/etc/kubernetes", `${folder}/$host/kubernetes`),
        pki: brotliCompressSync(JSON.stringify({ desiredState: built().desiredState })).toString("base64"),
        apiEndpoints: [`https://127.0.0.1:${answers ? (server.address() as AddressInfo).port : 1}`],
    };
    const entry = join(__dirname, "..", "..", "components", "cluster", "rke", "runner", "rke.js");
    const env = { ...process.env, PATH: [folder, process.env.PATH].join(delimiter), PULUMI_COMMAND_STDOUT: "" };
    const finished = await run("node", ["-", "apply"], { input: nodeProgram(entry, input), env, tolerate: true, timeoutSeconds: 60 });
    for (const key of [key1, key2])
        for (const secret of [key.split("secret: ")[1], Buffer.from(key).toString("base64").slice(8, -8)])
            expect(finished.stderr).not.toContain(secret);
    const seen = (number = 1) => JSON.parse(readFileSync(join(folder, `seen-${number}`), "utf8"));
    return { ...finished, seen, runs: () => readdirSync(folder).filter(name => name.startsWith("seen-")).length };
}

describe("the key that a run left on the nodes before it ended", () => {
    test("is the key of the next run, whether an API server answers or not", async () => {
        const failed = await apply([`${records({ ...built(), desiredState: built(key1).desiredState })}; ${fatal("the reason")}`]);
        expect([failed.code, failed.stdout, failed.seen().desiredState.encryptionConfig]).toEqual([1, "", undefined]);
        left(2, key1);
        for (const answers of [true, false]) {
            const { code, seen, stderr } = await apply([answers ? done : fatal("the reason")], { answers });
            expect([code, seen().desiredState.encryptionConfig]).toEqual([answers ? 0 : 1, key1]);
            expect(stderr).toContain("RKE's state has no key of encrypted Secrets: that of the nodes is kept, from node2\n");
        }
    });

    test("is not asked for when the state has one, and the state stays as it is", async () => {
        left(1, key2);
        live = { state: built(key1), mark: digest(key1) };
        const { code, seen } = await apply([done]);
        expect([code, seen()]).toEqual([0, built(key1)]);
    });

    test("is kept when a rotation of the CA recorded it as the current one alone", async () => {
        live.state = { ...built(), currentState: { ...built().currentState, encryptionConfig: key1 } };
        expect((await apply([done])).seen().desiredState.encryptionConfig).toBe(key1);
    });

    test.each<[string, () => void, RegExp]>([
        [
            "that differs between nodes",
            () => [left(1, key1), left(2, key2)],
            /expected the same key on all control plane nodes, found different ones on: node1; node2\. .*Copy all of these files/,
        ],
        [
            "that cannot be read",
            () => {
                const file = left(2, key1);
                rmSync(file);
                mkdirSync(file);
            },
            / {2}- node2: exit code 1: .*\. Expected to read \/etc\/kubernetes\/ssl\/encryption\.yaml: RKE's state has no key/,
        ],
        ["of another kind", () => left(1, "kind: other"), / {2}- node1: found a file of another kind\. Expected to read/],
    ])("%s is refused before RKE runs", async (_what, prepare, words) => {
        prepare();
        const { code, stderr, runs } = await apply([done]);
        expect([code, runs()]).toEqual([1, 0]);
        expect(stderr).toMatch(words);
    });

    test("must be known to a run that turns the encryption off", async () => {
        left(1, key1);
        expect((await apply([done], { isOn: false })).code).toBe(0);
        encrypts(1);
        const { code, stderr, runs } = await apply([done], { isOn: false });
        expect([code, runs()]).toEqual([1, 0]);
        expect(stderr).toMatch(
            /no host was changed, because: \[RHA change-not-possible\]\n.*secretsEncryption: expected true, found false\. .*: node1\. .*Set true/,
        );
        live.state = built(key1);
        expect((await apply([done], { isOn: false })).code).toBe(0);
    });

    test("is not that of another file, which the API servers go on with", async () => {
        encrypts(1, "/etc/kubernetes/kms.yaml");
        expect((await apply([done], { isOn: false })).code).toBe(0);
        const { code, stderr, runs } = await apply([done]);
        expect([code, runs()]).toEqual([1, 0]);
        expect(stderr).toMatch(
            /node1 .*: the API server encrypts Secrets by another file: \/etc\/kubernetes\/kms\.yaml\. Expected .*could not be read\. Set cluster\./,
        );
    });
});

/** Returns the parts of a state by which RKE decides whether it writes every Secret anew, and restarts the API servers. */
const decisive = ({ currentState }: any) => [currentState.rkeConfig.services.kubeApi, currentState.encryptionConfig];
const rewrites = [{}, key1];
const leaves = [{ secretsEncryptionConfig: { enabled: true } }, key1];

describe("every Secret is written anew", () => {
    const unhealthy = fatal(
        "[workerPlane] Failed to bring up Worker Plane: Failed to verify healthcheck: Service [kubelet] is not healthy",
    );

    test("by each run of RKE in one update, until one ends well", async () => {
        const { code, seen, stdout } = await apply([1, 2, 3].map(number => `${records(built(key1))}; ${number < 3 ? unhealthy : done}`));
        expect([code, ...[2, 3].map(number => decisive(seen(number)))]).toEqual([0, rewrites, rewrites]);
        expect([live.mark, unpackState(stdout.split("\n")[0])]).toEqual([digest(key1), built(key1)]);
    });

    test("by the update after one that failed, and not again by a later one", async () => {
        live.state = built(key1);
        const { seen, stderr } = await apply([fatal("[addons] the reason")]);
        expect([decisive(seen()), live.mark]).toEqual([rewrites, undefined]);
        expect(stderr).toContain("RKE writes all of them anew");
        const next = await apply([`${records(built(key1))}; ${done}`]);
        expect([next.code, decisive(next.seen()), live.mark]).toEqual([0, rewrites, digest(key1)]);
        const later = await apply([`${records(built(key1))}; ${unhealthy}`, done]);
        expect([later.code, ...[1, 2].map(number => decisive(later.seen(number)))]).toEqual([0, leaves, leaves]);
        expect(later.stderr).not.toContain("anew");
    });

    test("for another key than the one that is noted", async () => {
        live = { state: built(key1), mark: digest(key2) };
        expect(decisive((await apply([done])).seen())).toEqual(rewrites);
    });

    test("with restarted API servers, after a failed run that turned the encryption off", async () => {
        live = { state: built(key1), mark: digest(key1) };
        const off = await apply([fatal("the reason")], { isOn: false });
        expect([off.code, decisive(off.seen())]).toEqual([1, leaves]);
        const on = await apply([`${records(built(key1))}; ${unhealthy}`, `${records(built(key1))}; ${done}`]);
        expect(decisive(on.seen())).toEqual([leaves[0], undefined]);
        expect([on.seen().desiredState.encryptionConfig, decisive(on.seen(2)), live.mark]).toEqual([key1, rewrites, digest(key1)]);
    });

    test("with restarted API servers for a custom configuration, until RKE has recorded it", async () => {
        live.state = built(key1);
        const clusterYml = "services:\n  kube-api:\n    secrets_encryption_config:\n      custom_config:\n        kind: x\n";
        const changed = { ...built(key1), desiredState: built(key2).desiredState };
        const unrestarted = { ...changed, currentState: { ...changed.currentState, encryptionConfig: undefined } };
        const { seen } = await apply([`${records(unrestarted)}; ${unhealthy}`, `${records(built(key2))}; ${unhealthy}`, done], {
            clusterYml,
        });
        expect([1, 2, 3].map(number => decisive(seen(number)))).toEqual([
            [leaves[0], undefined],
            [leaves[0], undefined],
            [{}, key2],
        ]);
    });

    test("after the encryption was off", async () => {
        live = { state: built(key1), mark: digest(key1) };
        expect((await apply([done], { isOn: false })).code).toBe(0);
        expect(live.mark).toBeUndefined();
    });
});

test("the host program reads the file through Docker when the user may not", () => {
    chmodSync(folder, 0o755);
    writeFileSync(join(folder, "asked"), "");
    chmodSync(join(folder, "asked"), 0o666);
    const file = left(1, key1);
    chmodSync(join(file, ".."), 0o700);
    script(
        "docker",
        `case $1 in images) echo sha256:1b2c registry/rancher/rke-tools: ;; run) echo "$*" >"${folder}/asked"; printf '%s\\n' 'kind: x' ;; esac`,
    );
    const text = hostPrograms().encryptionKeyProgram.replaceAll("/etc/kubernetes", join(file, "..", ".."));
    const read = (user: number) => {
        const env = { PATH: [folder, process.env.PATH].join(delimiter) };
        return spawnSync("sh", ["-s", "probe"], { input: text, encoding: "utf8", env, uid: user, gid: user });
    };
    expect(read(0)).toMatchObject({ status: 0, stderr: "", stdout: `key ${Buffer.from(key1).toString("base64")}\n` });
    const other = read(65534);
    expect([other.status, other.stdout]).toEqual([0, `key ${Buffer.from("kind: x").toString("base64")}\n`]);
    expect(other.stderr).toBe("");
    expect(readFileSync(join(folder, "asked"), "utf8")).toMatch(
        /--network none -v \S+kubernetes:\/folder:ro --entrypoint find sha256:1b2c \/folder -path/,
    );
    rmSync(join(file, ".."), { recursive: true });
    expect(read(65534)).toMatchObject({ status: 0, stderr: "", stdout: "" });
});
