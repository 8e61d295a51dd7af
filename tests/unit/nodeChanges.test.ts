import { once } from "events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { createServer, Server } from "https";
import { AddressInfo } from "net";
import { tmpdir } from "os";
import { delimiter, join } from "path";
import { brotliCompressSync } from "zlib";
import { nodeProgram } from "../../components/remote/programs";
import { issue, Issued } from "../../lab/certificates";
import { run } from "../../lab/process";
import { hostKey } from "../ssh";

// The program runs with a stand-in for rke, and with the API server of a cluster of three workers. Only a node that leaves has a host to log in to.
const ca = issue({ name: "kube-ca", ca: true });
const pem = ({ certificate, privateKey }: Issued) => ({ certificatePEM: certificate, keyPEM: privateKey });
const certificatesBundle = { "kube-ca": pem(ca), "kube-admin": pem(issue({ name: "kube-admin", by: ca, usage: "clientAuth" })) };
const network = { plugin: "canal", clusterCidr: "10.42.0.0/16", serviceClusterIpRange: "10.43.0.0/16" };
const kubernetesVersion = "v1.30.14-rancher1-1";
const numbers = [1, 2, 3];
const address = (number: number) => `192.0.2.3${number}`;
const nodes = numbers.map(number => ({
    ...{ address: address(number), internalAddress: `10.0.0.${number}` },
    ...{ hostnameOverride: `node${number}`, role: ["worker"] },
}));
const rkeConfig = { nodes, kubernetesVersion, network: { plugin: "canal" }, services: { kubeController: network } };
const state = JSON.stringify({ desiredState: { rkeConfig, certificatesBundle }, currentState: { rkeConfig, certificatesBundle } });

let folder: string;
let server: Server;
/** What the API server deletes. */
let deleted: string[];
/** Field managers that cordoned nodes, by the number of the node. */
let cordons: Record<number, string> = {};
/** The number of the node that a killed run left marked. */
let marked: number | undefined;
/** Whether the API server refuses every change until RKE has run. */
let refuses = false;
/** Changes of nodes, with whether RKE ran before. */
let patched: [url: string, body: string, hasRun: boolean][];
beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "node-changes-"));
    writeFileSync(
        join(folder, "rke"),
        `#!/bin/sh\n[ "$1" != --version ] || { echo "rke version v1.8.14"; exit; }\ncp cluster.rkestate ${folder}/ran\necho "$RKE_LOG"\n`,
    );
    writeFileSync(join(folder, "ssh"), "#!/bin/sh\nexec sh\n");
    ["rke", "ssh"].forEach(name => chmodSync(join(folder, name), 0o755));
    const { certificate: cert, privateKey: key } = issue({ name: "kube-apiserver", by: ca, names: ["IP:127.0.0.1"] });
    server = createServer({ cert, key, ca: ca.certificate, requestCert: true }, async (asked, answer) => {
        const { url, method } = asked;
        if (method === "DELETE") deleted.push(url!);
        const body = Buffer.concat(await asked.toArray()).toString();
        const hasRun = existsSync(join(folder, "ran"));
        if (method === "PATCH") patched.push([url!, body, hasRun]);
        const live = { items: numbers.map(liveNode) };
        const secret = { metadata: {}, data: { "full-cluster-state": Buffer.from(state).toString("base64") } };
        const found = ["DELETE", "PATCH"].includes(method!)
            ? {}
            : url === "/api/v1/nodes"
              ? live
              : url!.endsWith("/full-cluster-state") && secret;
        answer.writeHead(refuses && method === "PATCH" && !hasRun ? 500 : found ? 200 : 404).end(JSON.stringify(found || {}));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
});
afterAll(() => {
    server.close();
    rmSync(folder, { recursive: true });
});

/** Returns a node as Kubernetes has it. */
const liveNode = (number: number) => {
    const manager = cordons[number];
    const managedFields = manager ? [{ manager, fieldsV1: { "f:spec": { "f:unschedulable": {} } } }] : [{ manager: "rke", fieldsV1: {} }];
    return {
        metadata: { name: `node${number}`, managedFields, ...(number === marked && { annotations: { [mark]: "true" } }) },
        spec: { ...(manager && { unschedulable: true }) },
        status: { conditions: [{ type: "Ready", status: "True" }] },
    };
};

const mark = "pulumi-rancher-ha/cordoned";

const wanted = (number: number, changes: object = {}) => ({
    ...{ address: address(number), innerAddress: `10.0.0.${number}`, name: `node${number}`, roles: ["worker"] },
    ...{ servesIngress: true, ...changes },
});

/** Runs a task for these nodes of the configuration. Returns what it says, and whether RKE ran. */
async function change(task: string, wantedNodes: object[], { previous = "", preflightProgram = "", log = "" } = {}) {
    rmSync(join(folder, "ran"), { force: true });
    [deleted, patched] = [[], []];
    const input = {
        ...{ task, rkeVersion: "1.8.14", clusterYml: "nodes: []\n", pki: brotliCompressSync(state).toString("base64") },
        ...{ nodes: [], wantedNodes, network, kubernetesVersion, ingressOptions: {}, timeoutSeconds: 30 },
        ...{ preflightProgram, startProgram: "", removeContainersProgram: "", leftoverProgram: "" },
        apiEndpoints: [`https://127.0.0.1:${(server.address() as AddressInfo).port}`],
    };
    const entry = join(__dirname, "..", "..", "components", "cluster", "rke", "runner", "rke.js");
    const env = { ...process.env, PATH: [folder, process.env.PATH].join(delimiter), PULUMI_COMMAND_STDOUT: previous, RKE_LOG: log };
    const { code, stderr } = await run("node", ["-", "apply"], {
        input: nodeProgram(entry, input),
        env,
        tolerate: true,
        timeoutSeconds: 30,
    });
    return { code, stderr, hasRun: existsSync(join(folder, "ran")) };
}

describe.each(["nodes", "cluster"])("the task %s, before RKE runs,", task => {
    test("refuses another name and another inner address of a node that was built", async () => {
        const { stderr, hasRun } = await change(task, [wanted(1, { name: "first" }), wanted(2, { innerAddress: "10.0.0.9" }), wanted(3)]);
        expect(stderr).toContain(
            "RKE was not started and no host was changed, because: [RHA change-not-possible]\n" +
                "  - hostname of the node 192.0.2.31: expected node1, with which RKE built it, found first\n" +
                "  - internalAddress of the node 192.0.2.32: expected 10.0.0.2, with which RKE built it, found 10.0.0.9\n" +
                "  - RKE cannot change it on a built node. Return to the earlier value, or remove the node in one update",
        );
        expect(hasRun).toBe(false);
    });

    test.each([["controlplane"], ["etcd"], ["controlplane", "etcd", "worker"]])(
        "refuses a new node (%s) of a leaving one's name",
        async (...roles) => {
            const { stderr, hasRun } = await change(task, [wanted(1), wanted(2), wanted(4, { name: "node3", roles })]);
            expect(stderr).toContain(
                "RKE was not started and no host was changed, because: [RHA change-not-possible]\n" +
                    "  - hostname of the new node 192.0.2.34: expected another one than that of the node 192.0.2.33, which leaves, found node3. ",
            );
            expect(hasRun).toBe(false);
        },
    );

    test("takes a new worker that has the name of one that leaves", async () => {
        const { stderr, hasRun } = await change(task, [wanted(1), wanted(2), wanted(4, { name: "node3" })]);
        expect(stderr).not.toContain("RKE was not started");
        expect(hasRun).toBe(task === "cluster");
    });

    test("refuses to replace all nodes that serve ingress", async () => {
        const { stderr, hasRun } = await change(task, [wanted(4), wanted(3, { servesIngress: false })]);
        expect(stderr).toContain(
            "  - nodes: expected that a node stays which serves ingress and is ready, one of node1, node2, node3, found none. ",
        );
        expect(hasRun).toBe(false);
    });

    test("takes a change that leaves one of them", async () => {
        const { stderr, hasRun } = await change(task, [wanted(3), wanted(4)]);
        expect(stderr).not.toContain("RKE was not started");
        expect(hasRun).toBe(task === "cluster");
    });
});

test("a node whose host joined another cluster leaves Kubernetes and RKE's state", async () => {
    const connection = { address: address(3), port: 22, user: "rke", hostKey };
    const previous = `${brotliCompressSync(state).toString("base64")}\n${JSON.stringify([{ name: "node3", connection }])}`;
    const leave = (preflightProgram: string) => change("cluster", [wanted(1), wanted(2)], { previous, preflightProgram });
    const toldToRke = () =>
        JSON.parse(readFileSync(join(folder, "ran"), "utf8")).currentState.rkeConfig.nodes.map((node: { address: string }) => node.address);
    await leave("");
    expect([deleted, toldToRke()]).toEqual([[], numbers.map(address)]);
    await leave("echo 'it belongs to another cluster: /etc/kubernetes/ssl/kube-ca.pem'");
    expect([deleted, toldToRke()]).toEqual([["/api/v1/nodes/node3"], [1, 2].map(address)]);
});

describe("a node in maintenance", () => {
    afterEach(() => void ([cordons, marked, refuses] = [{}, undefined, false]));
    const finished = 'level=info msg="Finished building Kubernetes cluster successfully"';
    const url = "/api/v1/nodes/node2";
    const markedFirst = [url, `{"metadata":{"annotations":{"${mark}":"true"}}}`, false];
    const cordonedAgain = [url, `{"metadata":{"annotations":{"${mark}":null}},"spec":{"unschedulable":true}}`, true];
    const ofNodes = () => patched.filter(([path]) => path.startsWith("/api/v1/nodes/"));

    test.each([
        ["RKE has run", finished, 0],
        ["RKE has failed", "", 1],
    ])("is cordoned again after %s", async (_what, log, expected) => {
        cordons = { 2: "kubectl-cordon" };
        const { code, stderr } = await change("cluster", [wanted(1), wanted(2), wanted(3)], { log });
        expect([code, ofNodes()]).toEqual([expected, [markedFirst, cordonedAgain]]);
        expect(stderr).toContain("cordoned: node2. RKE uncordons them, and they are cordoned again after its run\n");
        expect(stderr).toContain("node node2 is cordoned again. After its maintenance: kubectl uncordon node2\n");
    });

    test.each([
        ["uncordoned it", {}],
        ["cordoned it for an upgrade", { 2: "rke" }],
    ])("is cordoned again by the run after one that was killed when RKE had %s", async (_what, byRke) => {
        [cordons, marked] = [byRke, 2];
        const { code } = await change("cluster", [wanted(1), wanted(2), wanted(3)], { log: finished });
        expect([code, ofNodes()]).toEqual([0, [markedFirst, cordonedAgain]]);
    });

    test("is cordoned again where the API server takes no mark", async () => {
        [cordons, refuses] = [{ 2: "kubectl-cordon" }, true];
        const { code } = await change("cluster", [wanted(1), wanted(2), wanted(3)], { log: finished });
        expect([code, ofNodes()]).toEqual([0, [markedFirst, cordonedAgain]]);
    });

    test("is not one that RKE cordoned, or that leaves", async () => {
        cordons = { 1: "rke", 3: "kubectl-cordon" };
        const { stderr } = await change("cluster", [wanted(1), wanted(2), wanted(4, { name: "node3" })], { log: finished });
        expect(ofNodes()).toEqual([]);
        expect(stderr).not.toContain("cordoned");
    });
});
