import { execFileSync } from "child_process";
import { once } from "events";
import { mkdtempSync, readFileSync, rmSync } from "fs";
import { createServer, Server } from "https";
import { AddressInfo, createServer as createTcpServer } from "net";
import { tmpdir } from "os";
import { join } from "path";
import { findingOf, parseProbe, Probe } from "../../components/remote/probe";
import { nodeProgram } from "../../components/remote/programs";
import { run } from "../../lab/process";
import { issue } from "../../lab/certificates";

const ca = issue({ name: "kube-ca", ca: true });
const api = issue({ name: "kube-apiserver", by: ca, names: ["IP:127.0.0.1"] });
const admin = issue({ name: "kube-admin", by: ca, usage: "clientAuth" });
const roles = ["controlplane", "etcd", "worker"];

interface Taint {
    key: string;
    value?: string;
    effect: string;
}
interface Live {
    name: string;
    roles?: string[];
    ready?: string;
    version?: string;
    labels?: Record<string, string>;
    taints?: Taint[];
    unschedulable?: boolean;
}
const dedicated = { key: "dedicated", value: "rancher", effect: "NoSchedule" };
const node = ({
    name,
    roles: own = roles,
    ready = "True",
    version = "v1.30.14",
    labels = { zone: "a" },
    taints = [dedicated],
    ...spec
}: Live) => ({
    metadata: { name, labels: { ...labels, ...Object.fromEntries(own.map(role => [`node-role.kubernetes.io/${role}`, "true"])) } },
    spec: { ...spec, taints },
    status: { conditions: [{ type: "Ready", status: ready }], nodeInfo: { kubeletVersion: version } },
});
const network = { plugin: "canal", clusterCidr: "10.42.0.0/16", serviceClusterIpRange: "10.43.0.0/16" };
const addressOf = (name: string) => `192.0.2.${name.slice(4)}`;
/** Returns a node of the configuration. */
const asked = (name: string, changes: object = {}) => ({
    ...{ address: addressOf(name), innerAddress: addressOf(name), name, roles, labels: { zone: "a" }, taints: [dedicated] },
    servesIngress: true,
    ...changes,
});
/** Returns the nodes in RKE's state. RKE writes the address of other nodes into it when none was configured. */
const built = (names: string[], changes: object = {}) =>
    names.map(name => ({
        ...{ role: [...roles].reverse(), labels: { zone: "a" }, taints: [dedicated] },
        ...{ address: addressOf(name), internalAddress: addressOf(name), hostnameOverride: name },
        ...changes,
    }));
/** Returns the note that RKE leaves in the cluster after a run for these nodes. */
const note = (names: string[], certificatesBundle = {}, nodes = built(names), selector = {}) => {
    const ingress = { nodeSelector: selector, options: { "use-forwarded-headers": "true", "proxy-body-size": "50m" } };
    const rkeConfig = { kubernetesVersion: "v1.30.14-rancher1-1", nodes, network, ingress, services: { kubeController: network } };
    const state = { currentState: { rkeConfig, certificatesBundle } };
    return { data: { "full-cluster-state": Buffer.from(JSON.stringify(state)).toString("base64") } };
};

const healthy = (name: string, status = "True", message = "ok") => ({
    metadata: { name },
    conditions: [{ type: "Healthy", status, message }],
});
const components = ["scheduler", "controller-manager", "etcd-0", "etcd-1"].map(name => healthy(name));
const ingress = { data: { "use-forwarded-headers": "true", "proxy-body-size": "50m", other: "1" } };

const entry = join(__dirname, "..", "..", "components", "cluster", "rke", "runner", "probeNodes.js");

let server: Server;
/** Answers by the last part of the requested path. */
let answers: Record<string, unknown>;
beforeAll(async () => {
    const options = { cert: api.certificate, key: api.privateKey, ca: ca.certificate, requestCert: true, rejectUnauthorized: true };
    server = createServer(options, (asked, answer) => {
        const found = answers[asked.url!.split("/").pop()!] ?? 404;
        const refused = { kind: "Status", message: "refused for a test" };
        answer
            .writeHead(typeof found === "number" ? found : 200)
            .end(typeof found === "string" ? found : JSON.stringify(typeof found === "number" ? refused : found));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
});
afterAll(() => void server.close());

interface Asked {
    known?: unknown;
    /** Ports of the API servers. 0 is that of the server of this test. */
    ports?: number[];
    etcdPort?: number;
    wanted?: object;
    answer?: Record<string, unknown>;
}

async function look(
    live: Live[],
    { known = note(["node1", "node2"]), ports, etcdPort, wanted = {}, answer = {} }: Asked = {},
): Promise<Probe> {
    answers = {
        nodes: { items: live.map(node) },
        "full-cluster-state": known,
        componentstatuses: { items: components },
        "ingress-nginx-controller": ingress,
        ...Object.fromEntries(["daemonsets", "deployments", "statefulsets"].map(kind => [kind, { items: [] }])),
        health: { health: "true" },
        version: {},
        ...answer,
    };
    const input = {
        controlPlane: (ports ?? [0]).map((port, index) => ({
            node: `node${index + 1}`,
            endpoint: `https://127.0.0.1:${port || (server.address() as AddressInfo).port}`,
        })),
        apiEndpoint: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
        etcd: [{ node: "node1", endpoint: `https://127.0.0.1:${etcdPort ?? (server.address() as AddressInfo).port}` }],
        network,
        kubernetesVersion: "v1.30.14-rancher1-1",
        nodes: [asked("node1"), asked("node2")],
        ca: ca.certificate,
        certificate: admin.certificate,
        key: admin.privateKey,
        ...wanted,
    };
    const { stdout, stderr } = await run("node", ["-", "probe"], { input: nodeProgram(entry, input), timeoutSeconds: 20 });
    expect(stderr).toBe("");
    return parseProbe(stdout);
}
const probe = async (live: Live[], asked?: Asked) => findingOf(await look(live, asked));
const well = [{ name: "node1" }, { name: "node2" }];

test("an API server that answers is named while the kubeconfig's endpoint does not", async () => {
    const { port } = server.address() as AddressInfo;
    const silent = await look(well, { ports: [1, port], wanted: { apiEndpoint: "https://127.0.0.1:2" } });
    expect(silent.facts).toEqual({ "answering-api": `https://127.0.0.1:${port}` });
    // The certificate of the API servers does not cover this name yet.
    const uncovered = await look(well, { wanted: { apiEndpoint: `https://localhost:${port}` } });
    expect([uncovered.state, uncovered.facts]).toEqual(["in sync", { "answering-api": `https://127.0.0.1:${port}` }]);
    expect((await look(well)).facts).toEqual({});
});

test("nodes as RKE left them are in sync, whatever the configuration asks for next", async () => expect(await probe(well)).toBe("in sync"));

test.each<[string, Live[], string]>([
    ["a node that is not Ready", [well[0], { name: "node2", ready: "Unknown" }], "node node2: not Ready"],
    ["another version of the kubelet", [well[0], { name: "node2", version: "v1.29.0" }], "node node2: kubelet v1.29.0, expected v1.30.14"],
    ["another role", [well[0], { name: "node2", roles: ["worker"] }], "node node2: roles worker, expected controlplane,etcd,worker"],
    ["a label removed", [well[0], { name: "node2", labels: {} }], "node node2: label zone is missing"],
    ["a label changed", [well[0], { name: "node2", labels: { zone: "b" } }], "node node2: label zone was changed"],
    ["a label like a role of another tool", [well[0], { name: "node2", roles: [...roles, "monitoring"] }], "in sync"],
])("%s is named", async (_what, live, found) => expect(await probe(live)).toBe(found));

test("certificates that end within 60 days are a warning, and no drift", async () => {
    const ending = (ca: boolean) =>
        [59, 61].map(days => [`kube-${ca ? "ca-" : ""}${days}`, { certificatePEM: issue({ name: "kube", ca, days }).certificate }]);
    const bundle = Object.fromEntries([...ending(false), ...ending(true)]);
    // RKE never renews this one, and Kubernetes uses its key alone.
    const known = note(["node1", "node2"], { ...bundle, "kube-node": {}, "kube-service-account-token": bundle["kube-59"] });
    const found = await look(well, { known });
    expect([found.state, ...found.warnings]).toEqual([
        "in sync",
        expect.stringMatching(/^CAs of the cluster end within 60 days: kube-ca-59 in 5[89] days\. Raise cluster\.caRotations by one /),
        expect.stringMatching(/^certificates of the cluster end within 60 days: kube-59 in 5[89] days\. Set cluster\.rotateCertificates /),
    ]);
});

test("before its CA is rotated, a cluster is compared by its earlier certificates", async () => {
    const other = issue({ name: "kube-ca", ca: true });
    const newest = { ca: other.certificate, certificate: admin.certificate, key: admin.privateKey };
    const keys = { ca: ca.certificate, certificate: admin.certificate, key: admin.privateKey };
    const live = [well[0], { name: "node2", ready: "Unknown" }];
    const found = await look(live, { wanted: { ...newest, earlierKeys: [newest, keys] } });
    expect([findingOf(found), found.facts["earlier-pki"]]).toEqual(["node node2: not Ready", "2"]);
    expect((await look(well, { wanted: { earlierKeys: [newest] } })).facts).toEqual({});
    expect((await look(well, { wanted: newest })).state).toBe("unreachable");
});

test("a preview refuses a new node while a rotation of the CA begins or finishes", async () => {
    const keys = { ca: ca.certificate, certificate: admin.certificate, key: admin.privateKey };
    const newest = { ...keys, ca: issue({ name: "kube-ca", ca: true }).certificate };
    const nodes = [asked("node1"), asked("node2"), asked("node3")];
    const words = /^refused: cluster\.caRotations: expected no new .* found node3\. .* \[RHA change-not-possible\]$/;
    expect(await probe(well, { wanted: { nodes, rotates: true } })).toMatch(words);
    expect(await probe(well, { wanted: { ...newest, nodes, earlierKeys: [keys] } })).toMatch(words);
    expect(await probe(well, { wanted: { nodes } })).toBe("in sync");
    expect(await probe(well, { wanted: { rotates: true } })).toBe("in sync");
});

describe("a rotation of the CA that could not finish", () => {
    const keys = { ca: ca.certificate, certificate: admin.certificate, key: admin.privateKey };
    const pending = { ...keys, ca: issue({ name: "kube-ca", ca: true }).certificate, earlierKeys: [keys] };
    const fitness = { nodes: [], preflightProgram: "" };
    const rancher = {
        metadata: { namespace: "cattle-system", name: "rancher", generation: 1 },
        ...{
            spec: { replicas: 3, template: {} },
            status: { observedGeneration: 1, replicas: 3, updatedReplicas: 3, availableReplicas: 2 },
        },
    };
    const answer = { deployments: { items: [rancher] }, daemonsets: { items: [] }, statefulsets: { items: [] } };
    const live = [well[0], { name: "node2", ready: "Unknown" }];
    const words =
        /^refused: cluster\.caRotations: expected that every node is Ready, .* found: \[RHA change-not-possible\]\n {2}- node node2: not Ready\n {2}- deployment cattle-system\/rancher: not all /;

    test("is refused in its preview, and in that of the next try", async () => {
        expect(await probe(live, { answer, wanted: { rotates: true } })).toMatch(words);
        expect(await probe(live, { answer, wanted: { ...pending, fitness } })).toMatch(words);
    });

    test("is finished when it has begun, and an update waits for the cluster by itself", async () => {
        const begun = { ...note(["node1", "node2"]), metadata: { annotations: { "pulumi-rancher-ha/ca-rotation": "not finished" } } };
        expect(await probe(live, { answer, known: begun, wanted: { ...pending, fitness } })).toBe("node node2: not Ready");
        expect(await probe(live, { answer, wanted: pending })).toBe("node node2: not Ready");
    });
});

test.each<[string, Live[], string]>([
    [
        "a node deleted from Kubernetes",
        [well[0]],
        "node node2 is missing in the cluster, and RKE fails without it. On the node: docker restart kubelet",
    ],
    [
        "a node that left and joined again",
        [...well, { name: "stranger" }],
        "node stranger is in the cluster, but RKE was not run for it and does not remove it. " +
            "Switch its host off, and then: kubectl delete node stranger",
    ],
])("%s is told to a person, because no run of RKE heals it", async (_what, live, words) => {
    const found = await look(live);
    expect([found.state, ...found.warnings]).toEqual(["in sync", words]);
});

test("a node of the configuration that RKE's record lacks is drift: RKE adds it", async () => {
    const found = await look(well, { known: note(["node1"]) });
    expect([findingOf(found), found.warnings]).toEqual(["node node2: in the cluster, but RKE was not run for it", []]);
});

test("no one is asked to bring a deleted node back that leaves", async () => {
    const found = await look([well[0]], { wanted: { nodes: [asked("node1")] } });
    expect([found.state, found.outdated, found.warnings]).toEqual([
        "in sync",
        ["node node2: RKE was run for it, and it is not in the configuration"],
        [],
    ]);
});

test("a cordon and a foreign taint are told to a person, and are no drift", async () => {
    const system = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };
    const foreign = { key: "maintenance", effect: "NoExecute" };
    const found = await look([well[0], { name: "node2", unschedulable: true, taints: [dedicated, system, foreign] }]);
    expect([found.state, ...found.warnings]).toEqual([
        "in sync",
        "node node2 is cordoned: no new pod starts there. After its maintenance: kubectl uncordon node2",
        "node node2 has the taint maintenance=:NoExecute, which is not of this stack",
    ]);
});

test.each<[string, Record<string, unknown>, string]>([
    [
        "a scheduler that is not healthy",
        { componentstatuses: { items: [healthy("scheduler", "False", "connection refused"), ...components.slice(1)] } },
        "node node1: scheduler is not healthy",
    ],
    ["an etcd member that is not healthy", { health: { health: "false" } }, "node node1: its etcd member is not healthy"],
    ["an etcd member that does not show its health", { health: 403 }, "in sync"],
    ["an etcd member behind a firewall is not told", { health: "<html>" }, "in sync"],
    [
        "forwarded headers that are no longer trusted",
        { "ingress-nginx-controller": { data: { "proxy-body-size": "50m" } } },
        "ConfigMap ingress-nginx/ingress-nginx-controller: use-forwarded-headers is missing: every page of Rancher is an endless redirect",
    ],
    [
        "another option of the ingress controller",
        { "ingress-nginx-controller": { data: { ...ingress.data, "proxy-body-size": "1m" } } },
        "ConfigMap ingress-nginx/ingress-nginx-controller: proxy-body-size was changed",
    ],
])("%s is named", async (_what, answer, found) => expect(await probe(well, { answer })).toBe(found));

test("a taint that was removed is told to a person: RKE would not set it again", async () => {
    const found = await look([well[0], { name: "node2", taints: [] }]);
    const words = "node node2 lacks the taint dedicated=rancher:NoSchedule: kubectl taint node node2 dedicated=rancher:NoSchedule";
    expect([found.state, ...found.warnings]).toEqual(["in sync", words]);
});

test("an etcd member without a leader is named with etcd's reason", async () =>
    expect(await probe(well, { answer: { health: 503 } })).toMatch(
        /^node node1: its etcd member is not healthy: https:\/\/127\.0\.0\.1:\d+ answers 503: refused for a test$/,
    ));

test("a new control plane node, on which nothing runs yet, is no drift", async () =>
    expect(await probe([well[0]], { known: note(["node1"]), ports: [0, 1] })).toBe("in sync"));

test("an etcd member that does not run is named", async () =>
    expect(await probe(well, { etcdPort: 1 })).toBe("node node1: its etcd member does not run"));

test.each<[string, object, string[]]>([
    ["nothing else", {}, []],
    [
        "another Kubernetes",
        { kubernetesVersion: "v1.31.1-rancher1-1" },
        ["RKE was last run for Kubernetes v1.30.14-rancher1-1, expected v1.31.1-rancher1-1"],
    ],
    [
        "other roles, labels and taints",
        { nodes: [asked("node1", { roles: ["worker"], labels: {}, taints: [] }), asked("node2")] },
        [
            "node node1: RKE was last run for the roles controlplane,etcd,worker, expected worker",
            "node node1: RKE was last run for the taints dedicated=rancher:NoSchedule, expected none",
            "node node1: RKE was last run for other labels",
        ],
    ],
])("a configuration that asks for %s than RKE's last run", async (_what, wanted, outdated) =>
    expect(await look(well, { wanted })).toMatchObject({ state: "in sync", outdated }),
);

test("a configuration that asks for other nodes than RKE's last run", async () => {
    const [known, live] = [note(["node1", "node2", "node3"]), [...well, { name: "node3" }]];
    const found = await look(live, { known, wanted: { nodes: ["node1", "node2", "node4"].map(name => asked(name)) } });
    const outdated = ["node node4: RKE was not run for it", "node node3: RKE was run for it, and it is not in the configuration"];
    expect(found).toMatchObject({ state: "in sync", outdated });
});

test.each<[string, RegExp | "in sync"]>([
    ["v1.30.14-rancher1-2", "in sync"],
    ["v1.31.1-rancher1-1", "in sync"],
    [
        "v1.32.1-rancher1-1",
        /^refused: kubernetesVersion: expected at most one minor version above v1\.30\.14-rancher1-1.*Upgrade to v1\.31 first \[RHA change-not-possible\]$/,
    ],
    ["v1.30.13-rancher1-1", /^refused: kubernetesVersion: expected v1\.30\.14-rancher1-1 or newer.*Kubernetes goes back only by a restore/],
    ["v1.29.15-rancher1-1", /^refused: kubernetesVersion: expected v1\.30\.14-rancher1-1 or newer/],
])("on Kubernetes 1.30.14, %s: %s", async (kubernetesVersion, found) => {
    const said = await probe(well, { wanted: { kubernetesVersion } });
    expect(said).toEqual(found === "in sync" ? found : expect.stringMatching(found));
});

test.each<[string, string, RegExp | "in sync"]>([
    ["which that upgrade saved", "v1.29.15-rancher1-1-to-v1.30.14-rancher1-1-20261128T095657Z", "in sync"],
    [
        "of the same version",
        "v1.30.14-rancher1-1-to-v1.31.1-rancher1-1-20261128T095657Z",
        /Its name begins with v1\.29\.15-rancher1-1-to-: /,
    ],
    ["of no upgrade", "before-rancher-2.11.3", /^refused: kubernetesVersion: expected v1\.30\.14-rancher1-1 or newer/],
])("on Kubernetes 1.30.14, v1.29.15 beside the restore of a snapshot %s", async (_what, restores, found) => {
    const said = await probe(well, { wanted: { kubernetesVersion: "v1.29.15-rancher1-1", restores } });
    expect(said).toEqual(found === "in sync" ? found : expect.stringMatching(found));
});

describe("a node that RKE was not run for", () => {
    const joining = asked("node3", { address: "127.0.0.1" });
    let fitness: object;
    beforeAll(() => {
        const folder = mkdtempSync(join(tmpdir(), "probe-nodes-"));
        execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, "key")]);
        const [privateKey, hostKey] = ["key", "key.pub"].map(name => readFileSync(join(folder, name), "utf8"));
        rmSync(folder, { recursive: true });
        // Nothing listens on port 1.
        const connection = { address: joining.address, port: 1, user: "rke", hostKey: hostKey.trim(), privateKey };
        fitness = { nodes: [{ name: joining.name, connection }], preflightProgram: "" };
    });

    test.each<[string, object, string]>([
        ["in a cluster that is not built yet", { nodes: [joining], ca: undefined }, "absent"],
        [
            "in a cluster none of whose API servers runs",
            { nodes: [joining], controlPlane: [{ node: "node3", endpoint: "https://127.0.0.1:1" }] },
            "absent",
        ],
        ["in a cluster that it joins", { nodes: [asked("node1"), asked("node2"), joining] }, "in sync"],
    ])("is looked at over SSH, %s, and is told when it is unreachable", async (_what, wanted, state) => {
        const words = /^node3: rke@127\.0\.0\.1:1: no SSH connection .*RKE is not run before that works$/;
        expect(await look(well, { wanted: { ...wanted, fitness } })).toMatchObject({ state, warnings: [expect.stringMatching(words)] });
    });

    test("of a cluster that is adopted is looked at although RKE was run for it", async () => {
        const nodes = [asked("node1"), asked("node2"), joining];
        const adoptedNodes = built(["node1", "node2"]).concat({
            ...built(["node3"])[0],
            address: joining.address,
            internalAddress: joining.innerAddress,
        });
        const known = note([], {}, adoptedNodes);
        const { warnings } = await look([...well, { name: "node3" }], { known, wanted: { nodes, adoptedNodes, fitness } });
        expect(warnings).toEqual([expect.stringMatching(/^node3: rke@127\.0\.0\.1:1: no SSH connection /)]);
    });

    test("is refused while its key cannot be loaded into an SSH agent", async () => {
        const [{ connection, name }] = (fitness as { nodes: { connection: object; name: string }[] }).nodes;
        const unusable = { ...fitness, nodes: [{ name, connection: { ...connection, privateKey: "no key" } }] };
        const found = await look(well, { wanted: { nodes: [joining], ca: undefined, fitness: unusable } });
        expect(found).toMatchObject({ state: "refused", reason: expect.stringMatching(/^the SSH private key is not usable/) });
    });

    test("is not looked at by an update, which does that itself", async () =>
        expect((await look(well, { wanted: { nodes: [joining], ca: undefined } })).warnings).toEqual([]));
});

test("a state of other nodes is not adopted", async () => {
    const said = await probe(well, { wanted: { adoptedNodes: built(["node1", "node9"]) } });
    expect(said).toMatch(
        /^refused: cluster\.rkeState: expected a state of these nodes, found a state with the node 192\.0\.2\.9\. .*\ncluster\.nodes: expected the nodes of cluster\.rkeState, found another one, 192\.0\.2\.2\. /,
    );
});

test("a state with other names, inner addresses or roles of the nodes is not adopted", async () => {
    const [first, second] = built(["node1", "node2"]);
    const others = [
        { ...first, role: ["worker"], hostnameOverride: "first" },
        { ...second, internalAddress: "10.0.0.2" },
    ];
    const said = await probe(well, { wanted: { adoptedNodes: others } });
    const advice = "Adopt the cluster as it is, and change its nodes in a later run";
    expect(said.replace("refused: ", "").replace(" [RHA change-not-possible]", "").split("\n")).toEqual([
        `cluster.nodes: hostname of the node 192.0.2.1: expected first, with which RKE built it, found node1. ${advice}`,
        `cluster.nodes: roles of the node 192.0.2.1: expected worker, with which RKE built it, found controlplane,etcd,worker. ${advice}`,
        `cluster.nodes: internalAddress of the node 192.0.2.2: expected 10.0.0.2, with which RKE built it, found 192.0.2.2. ${advice}`,
    ]);
    expect(await probe(well, { wanted: { adoptedNodes: [first, second] } })).toBe("in sync");
});

test.each<[string, object, string]>([
    ["name", { name: "first" }, "hostname of the node 192.0.2.1: expected node1, with which RKE built it, found first"],
    [
        "inner address",
        { innerAddress: "10.0.0.1" },
        "internalAddress of the node 192.0.2.1: expected 192.0.2.1, with which RKE built it, found 10.0.0.1",
    ],
])("another %s of a node that was built is refused", async (_what, changes, words) => {
    const said = await probe(well, { wanted: { nodes: [asked("node1", changes), asked("node2")] } });
    expect(said).toBe(
        `refused: ${words} [RHA change-not-possible]\nRKE cannot change it on a built node. Return to the earlier value, or remove the node in ` +
            'one update, and add it with the new one in the next: docs/operations.md, "Replace a node or a load balancer host"',
    );
});

test.each<[string, string[], RegExp | "in sync"]>([
    [
        "control plane node",
        roles,
        /^refused: hostname of the new node 192\.0\.2\.9: expected another one than that of the node 192\.0\.2\.3, /,
    ],
    ["worker", ["worker"], "in sync"],
])("a new %s with the name of a node that leaves", async (_what, own, found) => {
    const known = note(["node1", "node2", "node3"]);
    const nodes = [asked("node1"), asked("node2"), asked("node3", { address: "192.0.2.9", innerAddress: "192.0.2.9", roles: own })];
    const said = await probe([...well, { name: "node3" }], { known, wanted: { nodes } });
    expect(said).toEqual(found === "in sync" ? found : expect.stringMatching(found));
});

test("a node that leaves beside a restore is warned of, unless it is lost", async () => {
    const known = note(["node1", "node2", "node3"]);
    const seen = async (ready: string, restores?: string) =>
        (await look([...well, { name: "node3", ready }], { known, wanted: { restores } })).warnings;
    expect(await seen("True", "before-the-trouble")).toEqual([
        expect.stringMatching(
            /^cluster\.restore\.snapshot: unless before-the-trouble was restored before, pulumi up refuses .* while node3 leave\. /,
        ),
    ]);
    expect([await seen("Unknown", "before-the-trouble"), await seen("True")]).toEqual([[], []]);
});

describe("nodes that serve ingress", () => {
    const gate = { gate: "open" };
    const worker = (name: string, changes: object = {}) => asked(name, { roles: ["worker"], ...changes });
    const known = note(["node1", "node2", "node3"], {}, [
        ...built(["node1"], { role: ["controlplane", "etcd"] }),
        ...built(["node2", "node3"], { role: ["worker"] }),
    ]);
    const control = asked("node1", { roles: ["controlplane", "etcd"], servesIngress: false });
    const live = [{ name: "node1", roles: ["controlplane", "etcd"] }, ...["node2", "node3"].map(name => ({ name, roles: ["worker"] }))];
    const change = (nodes: object[], changes: Asked = {}, lives: Live[] = live) =>
        probe(lives, { known, etcdPort: undefined, ...changes, wanted: { nodes: [control, ...nodes] } });
    const refused =
        /^refused: nodes: expected that a node stays which serves ingress and is ready, one of node2, node3, found none\..* Add the new nodes first.* \[RHA change-not-possible\]$/;

    test("are not all replaced in one update", async () => {
        expect(await change([worker("node4"), worker("node5")])).toMatch(refused);
        expect(await change([worker("node2"), worker("node4")])).toBe("in sync");
        expect(await change([worker("node2"), worker("node3"), worker("node4")])).toBe("in sync");
    });

    test("are those of the selector, before and after", async () => {
        const selected = note(
            [],
            {},
            [
                ...built(["node1"], { role: ["controlplane", "etcd"] }),
                ...built(["node2"], { role: ["worker"], labels: gate }),
                ...built(["node3"], { role: ["worker"] }),
            ],
            gate,
        );
        const nodes = [{ ...live[0] }, { ...live[1], labels: gate }, live[2]];
        const open = (name: string) => worker(name, { labels: gate });
        const idle = (name: string) => worker(name, { servesIngress: false });
        expect(await change([idle("node3"), open("node4")], { known: selected }, nodes)).toMatch(/one of node2, found none/);
        expect(await change([idle("node2"), idle("node3"), open("node4")], { known: selected }, nodes)).toMatch(/one of node2, found none/);
        expect(await change([open("node2"), open("node4")], { known: selected }, nodes)).toBe("in sync");
    });

    test("may all be replaced when none is ready, because none serves", async () => {
        const lost = live.map(node => (node.roles[0] === "worker" ? { ...node, ready: "Unknown" } : node));
        expect(await change([worker("node4")], {}, lost)).toMatch(/^node node2: not Ready/);
        // node2 serves, and node3 alone would stay.
        expect(await change([worker("node3")], {}, [live[0], live[1], lost[2]])).toMatch(/one of node2, found none/);
    });
});

test("a preview lets an etcd node leave only while the other members keep the quorum", async () => {
    const names = ["node1", "node2", "node3"];
    const { port } = server.address() as AddressInfo;
    const change = (leaving: string, added: string, down: string) => {
        const nodes = [...names.filter(name => name !== leaving), added];
        const etcd = nodes.map(node => ({ node, endpoint: `https://127.0.0.1:${node === down || node === added ? 1 : port}` }));
        return probe(
            names.map(name => ({ name })),
            { known: note(names), wanted: { nodes: nodes.map(name => asked(name)), etcd } },
        );
    };
    expect(await change("node1", "node4", "node2")).toBe(
        "refused: etcd would lose its quorum without node1: expected that more than half of its 3 members stay and are healthy, found node3. Not " +
            "healthy: node2. Return to the earlier nodes, bring members up that are not healthy, and let one etcd node leave in each update " +
            "[RHA etcd-quorum]",
    );
    expect(await change("node1", "node4", "")).toBe("in sync");
});

test("thirty workers take no more questions than three nodes", async () => {
    const names = Array.from({ length: 30 }, (_, index) => `node${index + 1}`);
    expect(
        await probe(
            names.map(name => ({ name })),
            { known: note(names) },
        ),
    ).toBe("in sync");
});

test("RKE's note that is gone is named", async () =>
    expect(await probe(well, { known: { data: {} } })).toBe("RKE's state in the cluster (kube-system/full-cluster-state): missing"));

test("an API server that is gone is named, and another one is asked", async () =>
    expect(await probe(well, { ports: [1, (server.address() as AddressInfo).port] })).toBe(
        "node node1: its API server does not answer: https://127.0.0.1:1: ECONNREFUSED",
    ));

test("one that takes the connection and says nothing does not keep the probe", async () => {
    const silent = createTcpServer();
    await once(silent.listen(0, "127.0.0.1"), "listening");
    const ports = [silent, server].map(each => (each.address() as AddressInfo).port);
    expect(await probe(well, { ports })).toMatch(/^node node1: its API server does not answer: \S+ no answer within 5 s$/);
    expect(await probe(well, { ports: ports.slice(0, 1) })).toMatch(/^unreachable: https:\/\/127\.0\.0\.1:\d+: no answer within 5 s$/);
    silent.close();
}, 60_000);

test("a network that cannot be changed any more is refused", async () =>
    expect(await probe(well, { wanted: { network: { ...network, clusterCidr: "10.52.0.0/16" } } })).toMatch(
        /^refused: network\.clusterCidr: expected 10\.42\.0\.0\/16, with which the cluster was built, found 10\.52\.0\.0\/16 \[RHA change-not-possible\]\nIt cannot be changed/,
    ));

test("an answer that is no JSON is not taken for a change", async () =>
    expect(await probe(well, { known: "<html>" })).toMatch(/^unknown: .* answers something else than the Kubernetes API/));

test.each<[string, Asked, RegExp]>([
    ["an API server that refuses", { known: 403 }, /^unknown: https:\/\/127\.0\.0\.1:\d+ answers 403: refused for a test$/],
    [
        "an API server that refuses the first question",
        { answer: { componentstatuses: 401 } },
        /^unknown: https:\/\/127\.0\.0\.1:\d+ answers 401: refused for a test$/,
    ],
    [
        "an API server that refuses, beside one that does not run,",
        { ports: [1, 0], answer: { componentstatuses: 500 } },
        /^unknown: https:\/\/127\.0\.0\.1:1: ECONNREFUSED; \S+ answers 500: refused for a test$/,
    ],
    ["no API server", { ports: [1] }, /^absent: no cluster runs on node1\. If it is not built yet, the next pulumi up builds it$/],
])("%s is told", async (_what, asked, words) => expect(await probe(well, asked)).toMatch(words));
