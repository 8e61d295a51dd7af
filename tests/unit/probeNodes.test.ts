import { once } from "events";
import { createServer, Server } from "https";
import { AddressInfo, createServer as createTcpServer } from "net";
import { join } from "path";
import { findingOf, parseProbe } from "../../components/host/probe";
import { nodeProgram } from "../../components/host/programs";
import { run } from "../../lab/process";
import { issue } from "../certificates";

const ca = issue({ name: "kube-ca", ca: true });
const api = issue({ name: "kube-apiserver", by: ca, names: ["IP:127.0.0.1"] });
const admin = issue({ name: "kube-admin", by: ca, usage: "clientAuth" });
const roles = ["controlplane", "etcd", "worker"];

interface Live {
    name: string;
    roles?: string[];
    ready?: string;
    version?: string;
}
const node = ({ name, roles: own = roles, ready = "True", version = "v1.30.14" }: Live) => ({
    metadata: { name, labels: Object.fromEntries(own.map(role => [`node-role.kubernetes.io/${role}`, "true"])) },
    status: { conditions: [{ type: "Ready", status: ready }], nodeInfo: { kubeletVersion: version } },
});
const network = { plugin: "canal", clusterCidr: "10.42.0.0/16", serviceClusterIpRange: "10.43.0.0/16" };
/** What RKE leaves in the cluster after a run for these nodes. */
const note = (names: string[]) => {
    const nodes = names.map(name => ({ address: `192.0.2.${name.slice(-1)}`, hostnameOverride: name, role: [...roles].reverse() }));
    const rkeConfig = { kubernetesVersion: "v1.30.14-rancher1-1", nodes, network, services: { kubeController: network } };
    const state = { currentState: { rkeConfig } };
    return { data: { "full-cluster-state": Buffer.from(JSON.stringify(state)).toString("base64") } };
};

let server: Server;
let answers: Record<string, unknown>;
beforeAll(async () => {
    const options = { cert: api.certificate, key: api.privateKey, ca: ca.certificate, requestCert: true, rejectUnauthorized: true };
    server = createServer(options, (asked, answer) => {
        const found = answers[asked.url!.includes("secrets") ? "note" : "nodes"];
        answer
            .writeHead(found === undefined ? 404 : typeof found === "number" ? found : 200)
            .end(typeof found === "string" ? found : JSON.stringify(found ?? {}));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
});
afterAll(() => void server.close());

async function probe(
    live: Live[],
    known: unknown = note(["node1", "node2"]),
    ports = [(server.address() as AddressInfo).port],
    wanted = network,
): Promise<string> {
    answers = { nodes: { items: live.map(node) }, note: known };
    const folder = join(__dirname, "..", "..", "components", "cluster", "runner");
    const sources = ["../../host/runner/probe.js", "kubernetesApi.js", "builtNetwork.js", "probeNodes.js"].map(file => join(folder, file));
    const input = {
        endpoints: ports.map(port => `https://127.0.0.1:${port}`),
        network: wanted,
        ca: ca.certificate,
        certificate: admin.certificate,
        key: admin.privateKey,
    };
    const { stdout, stderr } = await run("node", ["-", "probe"], { input: nodeProgram(sources, input), timeoutSeconds: 20 });
    expect(stderr).toBe("");
    return findingOf(parseProbe(stdout));
}
const well = [{ name: "node1" }, { name: "node2" }];

test("nodes as RKE left them are in sync, whatever the configuration asks for next", async () => expect(await probe(well)).toBe("in sync"));

test.each<[string, Live[], string]>([
    ["a node that is gone", [well[0]], "node node2: missing in the cluster"],
    ["a node that is not Ready", [well[0], { name: "node2", ready: "Unknown" }], "node node2: not Ready"],
    ["another version of the kubelet", [well[0], { name: "node2", version: "v1.29.0" }], "node node2: kubelet v1.29.0, expected v1.30.14"],
    ["another role", [well[0], { name: "node2", roles: ["worker"] }], "node node2: roles worker, expected controlplane,etcd,worker"],
    ["a node of somebody else", [...well, { name: "stranger" }], "node stranger: in the cluster, but RKE was not run for it"],
])("%s is named", async (_what, live, found) => expect(await probe(live)).toBe(found));

test("RKE's note that is gone is named", async () =>
    expect(await probe(well, { data: {} })).toBe("RKE's state in the cluster (kube-system/full-cluster-state): missing"));

test("another control plane node is asked when the first does not answer", async () =>
    expect(await probe(well, undefined, [1, (server.address() as AddressInfo).port])).toBe("in sync"));

test("one that takes the connection and says nothing does not keep the probe", async () => {
    const silent = createTcpServer();
    await once(silent.listen(0, "127.0.0.1"), "listening");
    const ports = [silent, server].map(each => (each.address() as AddressInfo).port);
    expect(await probe(well, undefined, ports)).toBe("in sync");
    expect(await probe(well, undefined, ports.slice(0, 1))).toMatch(/^unreachable: https:\/\/127\.0\.0\.1:\d+: no answer within 5 s$/);
    silent.close();
}, 60_000);

test("a network that cannot be changed any more is refused", async () =>
    expect(await probe(well, undefined, undefined, { ...network, clusterCidr: "10.52.0.0/16" })).toMatch(
        /^refused: network\.clusterCidr: expected 10\.42\.0\.0\/16, with which the cluster was built, found 10\.52\.0\.0\/16\nIt cannot be changed/,
    ));

test("an answer that is no JSON is not taken for a change", async () =>
    expect(await probe(well, "<html>")).toMatch(/^unreachable: .* answers something else than the Kubernetes API/));

test.each([
    ["an API server that refuses", 403, undefined, /^unreachable: https:\/\/127\.0\.0\.1:\d+ answers 403$/],
    ["no API server", note([]), [1], /^absent: no API server runs: https:\/\/127\.0\.0\.1:1: ECONNREFUSED$/],
])("%s is told", async (_what, known, ports, words) => expect(await probe(well, known, ports)).toMatch(words));
