import { once } from "events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { createServer, Server } from "https";
import { AddressInfo } from "net";
import { tmpdir } from "os";
import { delimiter, join } from "path";
import { brotliCompressSync } from "zlib";
import { unpackState } from "../../components/cluster/rke/state";
import { nodeProgram } from "../../components/remote/programs";
import { issue, Issued } from "../../lab/certificates";
import { run } from "../../lab/process";

// The program runs with a stand-in for rke, and with an API server whose certificates change when that stand-in restarts it.
const [earlier, newest] = [1, 2].map(() => {
    const ca = issue({ name: "kube-ca", ca: true });
    const names = ["IP:127.0.0.1"];
    return {
        ca,
        admin: issue({ name: "kube-admin", by: ca, usage: "clientAuth" }),
        server: issue({ name: "kube-apiserver", by: ca, names }),
    };
});
const pem = ({ certificate, privateKey }: Issued) => ({ certificatePEM: certificate, keyPEM: privateKey });
const bundle = ({ ca, admin }: typeof newest) => ({ "kube-ca": pem(ca), "kube-admin": pem(admin) });
const network = { plugin: "canal", clusterCidr: "10.42.0.0/16", serviceClusterIpRange: "10.43.0.0/16" };
const kubernetesVersion = "v1.30.14-rancher1-1";
const rkeConfig = { nodes: [], kubernetesVersion, network: { plugin: "canal" }, services: { kubeController: network } };
const built = (keys: typeof newest, config: object = rkeConfig) => ({
    desiredState: { rkeConfig: config, certificatesBundle: bundle(keys), encryptionConfig: "the encryption of Secrets" },
    currentState: { rkeConfig: config, certificatesBundle: bundle(keys) },
});
const pack = (state: object) => brotliCompressSync(JSON.stringify(state)).toString("base64");
const pki = (keys: typeof newest) => pack({ desiredState: { rkeConfig, certificatesBundle: bundle(keys) } });

let folder: string;
let server: Server;
/** What the API server holds, and the changes that it got. */
let live: { state: object; isMarked: boolean; workloads: Map<string, any>; changes: string[]; readiness: string[] };

beforeAll(async () => {
    server = createServer({ requestCert: true, rejectUnauthorized: true }, (asked, answer) => {
        let body = "";
        asked.on("data", chunk => (body += chunk));
        asked.on("end", () => {
            const found = respond(asked.method!, asked.url!, body && JSON.parse(body));
            answer.writeHead(found ? 200 : 404).end(JSON.stringify(found ?? {}));
        });
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
});
beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "rotate-"));
    const names = [
        "cattle-system/deployments/rancher",
        "ingress-nginx/daemonsets/controller",
        "kube-system/daemonsets/canal",
        "other/statefulsets/db",
    ];
    live = {
        state: built(earlier),
        isMarked: false,
        workloads: new Map(names.map(name => [name, workload(name)])),
        changes: [],
        readiness: [],
    };
    serve(earlier);
});
afterEach(() => rmSync(folder, { recursive: true }));
afterAll(() => void server.close());

const serve = (keys: typeof newest) => {
    server.closeAllConnections();
    server.setSecureContext({ cert: keys.server.certificate, key: keys.server.privateKey, ca: keys.ca.certificate });
    authority = keys.ca.certificate;
};
let authority: string;

function workload(path: string) {
    const [namespace, , name] = path.split("/");
    const counts = [
        "replicas",
        "updatedReplicas",
        "availableReplicas",
        "desiredNumberScheduled",
        "updatedNumberScheduled",
        "numberAvailable",
    ];
    const status = Object.fromEntries(counts.map(key => [key, 1]));
    return { metadata: { namespace, name, generation: 1 }, spec: { template: {} as any }, status: { ...status, observedGeneration: 1 } };
}

function respond(method: string, url: string, body: any): object | undefined {
    const all = [...live.workloads];
    if (url.endsWith("/full-cluster-state")) {
        if (method === "PATCH") {
            live.isMarked = body.metadata.annotations["pulumi-rancher-ha/ca-rotation"] !== null;
            if (body.data) live.state = JSON.parse(Buffer.from(body.data["full-cluster-state"], "base64").toString());
            live.changes.push(body.data ? "record" : "mark");
        }
        const annotations = live.isMarked ? { "pulumi-rancher-ha/ca-rotation": "not finished" } : {};
        return { metadata: { annotations }, data: { "full-cluster-state": Buffer.from(JSON.stringify(live.state)).toString("base64") } };
    }
    if (url.startsWith("/api/v1/configmaps?")) return { items: [{ metadata: { namespace: "default" }, data: { "ca.crt": authority } }] };
    if (url === "/api/v1/nodes") {
        const status = live.readiness.shift() ?? "True";
        if (status !== "True") live.changes.push("not ready");
        return { items: [{ metadata: { name: "node1" }, status: { conditions: [{ type: "Ready", status }] } }] };
    }
    const kind = /^\/apis\/apps\/v1\/(\w+)$/.exec(url)?.[1];
    if (kind) return { items: all.filter(([path]) => path.includes(`/${kind}/`)).map(([, item]) => item) };
    const path = /^\/apis\/apps\/v1\/namespaces\/(.*)$/.exec(url)?.[1] ?? "";
    const item = live.workloads.get(path);
    if (item && method === "PATCH") {
        live.changes.push(path);
        item.spec.template.metadata = body.spec.template.metadata;
    }
    return item ?? {};
}

/** Runs the program. `rotation` is what the stand-in for rke does in `rke cert rotate`; the API server follows it when it names a restart. */
async function apply({
    rotation = "touch restarted; echo 'level=info msg=\"Successfully restarted Worker Plane\"'",
    epoch = 0,
    previous = "",
} = {}) {
    const calls = join(folder, "calls");
    writeFileSync(
        join(folder, "rke"),
        `#!/bin/sh
[ "$1" != --version ] || { echo "rke version v1.8.14"; exit; }
echo "$*" >>${calls}
if [ "$1" = cert ]; then cp cluster.rkestate ${folder}/rotated; work=$PWD; cd ${folder}; ${rotation}; while [ -e restarted ]; do sleep 0.05; done; exit; fi
cp cluster.rkestate ${folder}/seen; echo 'level=info msg="Finished building Kubernetes cluster successfully"'\n`,
    );
    chmodSync(join(folder, "rke"), 0o755);
    const restarts = setInterval(() => {
        if (!existsSync(join(folder, "restarted"))) return;
        serve(newest);
        rmSync(join(folder, "restarted"));
    }, 50);
    const input = {
        ...{ task: "cluster", epoch, rkeVersion: "1.8.14", clusterYml: "nodes: []\n", pki: pki(newest), earlierPkis: [pki(earlier)] },
        ...{ nodes: [], wantedNodes: [], network, kubernetesVersion, ingressOptions: {}, timeoutSeconds: 30 },
        ...{ preflightProgram: "", startProgram: "", removeContainersProgram: "", leftoverProgram: "" },
        apiEndpoints: [`https://127.0.0.1:${(server.address() as AddressInfo).port}`],
    };
    const entry = join(__dirname, "..", "..", "components", "cluster", "rke", "runner", "rke.js");
    const env = { ...process.env, PATH: [folder, process.env.PATH].join(delimiter), PULUMI_COMMAND_STDOUT: previous };
    const finished = await run("node", ["-", "apply"], { input: nodeProgram(entry, input), env, tolerate: true, timeoutSeconds: 30 });
    clearInterval(restarts);
    const read = (name: string) => readFileSync(join(folder, name), "utf8");
    return {
        ...finished,
        calls: () =>
            read("calls")
                .trimEnd()
                .split("\n")
                .map(call => call.split(" --")[0]),
        state: (name: string) => JSON.parse(read(name)),
    };
}

const restarts = [
    "kube-system/daemonsets/canal",
    "ingress-nginx/daemonsets/controller",
    "cattle-system/deployments/rancher",
    "other/statefulsets/db",
];

test("the CA is rotated before RKE runs: with the stack's PKI, pod by pod, recorded", async () => {
    const { code, stderr, stdout, calls, state } = await apply();
    expect([code, stderr.match(/rotating the cluster's CA|the cluster's CA is rotated/g)]).toEqual([
        0,
        ["rotating the cluster's CA", "the cluster's CA is rotated"],
    ]);
    expect(calls()).toEqual(["cert rotate", "up"]);
    // RKE takes the CA from the current state, and what it must not lose from both.
    for (const part of ["desiredState", "currentState"])
        expect(state("rotated")[part]).toMatchObject({ rkeConfig, certificatesBundle: bundle(newest) });
    expect(state("rotated").desiredState.encryptionConfig).toBe("the encryption of Secrets");
    expect(live.changes).toEqual(["mark", ...restarts, "record"]);
    expect([live.isMarked, live.state]).toEqual([false, state("seen")]);
    expect(unpackState(stdout.split("\n")[0]).currentState!.certificatesBundle).toEqual(bundle(newest));
});

test.each([
    ["before it changes a node", "exit 1", earlier],
    ["after the control plane has the new CA", "touch restarted; while [ -e restarted ]; do sleep 0.05; done; exit 1", newest],
])("a rotation that was ended %s is finished by the next run", async (_moment, rotation, answering) => {
    const failed = await apply({ rotation });
    expect([failed.code, failed.stdout, failed.calls()]).toEqual([1, "", ["cert rotate"]]);
    expect(failed.stderr).toMatch(
        /cluster\.caRotations: not every node has the new CA, .* The new CA is safe in the stack\. .* run pulumi up again/,
    );
    expect([live.isMarked, authority]).toEqual([true, answering.ca.certificate]);
    const { code, calls } = await apply();
    expect([code, calls().slice(1)]).toEqual([0, ["cert rotate", "up"]]);
    expect([live.isMarked, live.state]).toEqual([false, built(newest)]);
});

test("a rotation whose pods did not all restart is finished, and no pod restarts twice", async () => {
    await apply();
    [live.isMarked, live.changes] = [true, []];
    live.workloads.get("other/statefulsets/db").spec.template = {};
    expect((await apply()).calls().slice(2)).toEqual(["cert rotate", "up"]);
    expect(live.changes).toEqual(["mark", "other/statefulsets/db", "record"]);
});

test("later runs of RKE rotate nothing, also while no API server answers", async () => {
    const { stdout } = await apply();
    live.changes = [];
    expect((await apply()).calls().slice(2)).toEqual(["up"]);
    expect(live.changes).toEqual([]);
    server.setSecureContext({});
    expect((await apply({ epoch: 1, previous: stdout })).calls().slice(3)).toEqual(["up"]);
});

test("RKE still sees the changes of the configuration", async () => {
    const { state } = await apply({
        rotation: `sed -i s/canal/changed/g "$work/cluster.rkestate"; touch restarted; echo 'level=info msg="Successfully restarted Worker Plane"'`,
    });
    expect(state("seen").currentState.rkeConfig).toEqual(rkeConfig);
});

test("a rotation begins once the node is ready", async () => {
    live.readiness = ["Unknown", "False"];
    expect((await apply()).calls()).toEqual(["cert rotate", "up"]);
    expect(live.changes).toEqual(["not ready", "not ready", "mark", ...restarts, "record"]);
});

describe("a rotation that could not finish", () => {
    const { refuseUnfitRotation } = jest.requireActual("../../components/cluster/rke/runner/rotationFitness.js");
    const endpoint = () => `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const begin = (changes: object = {}, keys = earlier) => {
        const input = { pki: pki(newest), earlierPkis: [pki(earlier)], apiEndpoints: [endpoint()], ...changes };
        return refuseUnfitRotation(input, JSON.stringify(built(keys)), { seconds: 0.2, pauseSeconds: 0.05 });
    };
    const unready = () => (live.readiness = Array(1000).fill("Unknown"));
    const unavailable = (name: string) => (live.workloads.get(name).status.availableReplicas = 0);

    test("is refused before it begins, and says what is not ready", async () => {
        unready();
        unavailable("cattle-system/deployments/rancher");
        unavailable("other/statefulsets/db");
        await expect(begin()).rejects.toThrow(
            "cluster.caRotations: expected within 0.2 s that every node is Ready, and that the workloads of kube-system, ingress-nginx and cattle-system are " +
                "available, found: [RHA change-not-possible]\n" +
                "  - node node1: not Ready\n" +
                "  - deployment cattle-system/rancher: not all of its pods are available\n" +
                "The rotation was not begun, and RKE was not started. Mend these, and rotate the CA then",
        );
        expect([live.isMarked, ...new Set(live.changes)]).toEqual([false, "not ready"]);
    });

    test.each<[string, () => Promise<void>]>([
        ["is not looked for without a rotation", () => begin({ earlierPkis: undefined })],
        ["goes on when the nodes have the new CA", () => begin({}, newest)],
        ["may be the repair while no API server answers", () => begin({ apiEndpoints: ["https://127.0.0.1:1"] })],
        [
            "goes on when it is marked as begun",
            () => {
                live.isMarked = true;
                return begin();
            },
        ],
    ])("%s", async (_what, run) => {
        unready();
        await run();
    });

    test("is none because of workloads that no step needs", async () => {
        unavailable("other/statefulsets/db");
        await begin();
    });
});

test("an update that rotates the CA, and no other, refuses new and rebuilt nodes", async () => {
    const { refuseNewNodes } = jest.requireActual("../../components/cluster/rke/runner/rotateCa.js");
    const [kept, added] = ["192.0.2.31", "192.0.2.32"].map((address, index) => ({ name: `node${index + 1}`, connection: { address } }));
    const nodes = [{ address: kept.connection.address, hostnameOverride: "node1", role: ["etcd"] }];
    const apiEndpoints = [`https://127.0.0.1:${(server.address() as AddressInfo).port}`];
    const look = (changes: object, rebuilt: object[] = [], keys = earlier) => {
        const input = { pki: pki(newest), earlierPkis: [pki(earlier)], apiEndpoints, nodes: [kept], ...changes };
        return refuseNewNodes(input, JSON.stringify(built(keys, { ...rkeConfig, nodes })), rebuilt);
    };
    await look({});
    await expect(look({ nodes: [kept, added] })).rejects.toThrow(
        /no new and no rebuilt node in the update that rotates the CA, found node2\./,
    );
    await expect(look({}, [kept])).rejects.toThrow(/found node1\. RKE was not started and no host was changed\. Take them out/);
    await look({ earlierPkis: undefined, nodes: [kept, added] });
    await look({ nodes: [kept, added] }, [kept], newest);
});
