import { kubernetesApi } from "../../components/cluster/runner/kubernetesApi";

type Api = ReturnType<typeof kubernetesApi>;
type EvictPods = (api: Api, leaving: object[], patience: { seconds: number; pauseSeconds: number }) => Promise<void>;
const { evictPods } = jest.requireActual<{ evictPods: EvictPods }>("../../components/cluster/rke/runner/leavingNodes.js");

beforeEach(() => void jest.spyOn(process.stderr, "write").mockReturnValue(true));
afterEach(() => jest.restoreAllMocks());
const said = () => jest.mocked(process.stderr.write).mock.calls.join("");

interface Pod {
    name: string;
    owner?: string;
    annotations?: Record<string, string>;
    phase?: string;
    /** Statuses with which the API server refuses the first evictions. */
    refusals?: number[];
    /** Evicted pods are listed this many times before they are gone. */
    ends?: number;
}

/** An API server with the nodes node4 and node5 and with pods on node4. */
function cluster(pods: Pod[], { ready = "True", unschedulable = false, failures = 0 } = {}) {
    const asked: string[] = [];
    const ending = new Map<string, number>();
    const failure = (status: number) => Promise.reject(Object.assign(new Error(`answers ${status}`), { status }));
    const listed = () =>
        pods
            .filter(({ name }) => ending.get(name) !== 0)
            .map(({ name, owner = "ReplicaSet", annotations, phase = "Running" }) => {
                const left = ending.get(name);
                if (left !== undefined) ending.set(name, left - 1);
                const deletionTimestamp = left === undefined ? undefined : "2026-01-01T00:00:00Z";
                return {
                    metadata: { namespace: "default", name, annotations, deletionTimestamp, ownerReferences: [{ kind: owner }] },
                    status: { phase },
                };
            });
    const api: Api = async (path, { method = "GET", body = "" } = {}) => {
        const node = /^\/api\/v1\/nodes\/(.*)$/.exec(path)?.[1];
        const evicted = /^\/api\/v1\/namespaces\/default\/pods\/(.*)\/eviction$/.exec(path)?.[1];
        if (method !== "GET") asked.push(evicted ? `evict ${evicted}` : `${node} ${body}`);
        if (evicted) {
            expect(JSON.parse(body)).toMatchObject({ kind: "Eviction", metadata: { namespace: "default", name: evicted } });
            const { refusals = [], ends = 0 } = pods.find(({ name }) => name === evicted)!;
            const refused = refusals.shift();
            if (refused) return failure(refused);
            return void ending.set(evicted, ends);
        }
        if (node && !["node4", "node5"].includes(node)) return failure(404);
        if (node) return { metadata: { name: node }, spec: { unschedulable }, status: { conditions: [{ type: "Ready", status: ready }] } };
        if (failures-- > 0) return failure(500);
        return { items: path.endsWith("=spec.nodeName%3Dnode4") ? listed() : [] };
    };
    return { asked, evict: (names: string[], seconds = 5) => evictPods(api, names.map(named), { seconds, pauseSeconds: 0.01 }) };
}
const named = (name: string) => ({ name, address: "192.0.2.34" });
const cordoned = (node: string, unschedulable: boolean) => `${node} ${JSON.stringify({ spec: { unschedulable } })}`;

test("a node that leaves is cordoned, and its pods are evicted and waited for", async () => {
    const { asked, evict } = cluster([{ name: "rancher-1", ends: 3 }, { name: "rancher-2" }]);
    await evict(["node4"]);
    expect(asked).toEqual([cordoned("node4", true), "evict rancher-1", "evict rancher-2"]);
});

test("pods that belong to their node stay, and so do those that are over", async () => {
    const { asked, evict } = cluster([
        { name: "ingress", owner: "DaemonSet" },
        { name: "static", owner: "Node", annotations: { "kubernetes.io/config.mirror": "1" } },
        { name: "job", owner: "Job", phase: "Succeeded" },
        { name: "failed", owner: "Job", phase: "Failed" },
    ]);
    await evict(["node4"]);
    expect(asked).toEqual([cordoned("node4", true)]);
});

test("an eviction is repeated until a PodDisruptionBudget and the API server allow it", async () => {
    const { asked, evict } = cluster([{ name: "rancher-1", refusals: [429, 429, 500] }], { failures: 2 });
    await evict(["node4"]);
    expect(asked.slice(1)).toEqual(Array(4).fill("evict rancher-1"));
});

test("a PodDisruptionBudget that allows nothing ends the run and uncordons the nodes", async () => {
    const { asked, evict } = cluster([{ name: "longhorn", refusals: Array(1000).fill(429) }, { name: "rancher-1" }]);
    await expect(evict(["node4", "node5"], 0.2)).rejects.toThrow(
        /^RKE was not started and no node was removed, .* within 0\.2 s: \[RHA change-not-possible\]\n {2}- default\/longhorn: its PodDisruptionBudget allows no disruption\n/,
    );
    expect(asked.slice(-2)).toEqual([cordoned("node4", false), cordoned("node5", false)]);
});

test("a node that was cordoned before stays so after a refusal", async () => {
    const { asked, evict } = cluster([{ name: "longhorn", refusals: Array(1000).fill(429) }], { unschedulable: true });
    await expect(evict(["node4"], 0.1)).rejects.toThrow("longhorn");
    expect(asked.filter(each => each.startsWith("node4"))).toEqual([]);
});

test("a pod that does not end in time is named, and its node leaves", async () => {
    await cluster([{ name: "slow", ends: 1_000_000 }]).evict(["node4"], 0.1);
    expect(said()).toContain("node node4 leaves although these pods have not ended yet: default/slow");
});

test.each(["False", "Unknown"])("nothing waits for pods of a node whose condition Ready is %s", async ready => {
    const pods = [
        { name: "lost", ends: 1_000_000 },
        { name: "kept", refusals: [429] },
    ];
    const { asked, evict } = cluster(pods, { ready });
    await evict(["node4"], 3600);
    expect(asked).toEqual([cordoned("node4", true), "evict lost", "evict kept"]);
});

test("a node that Kubernetes does not know is no fault", async () => {
    const { asked, evict } = cluster([]);
    await evict(["node6"]);
    expect(asked).toEqual([]);
});
