import { cpSync, readFileSync, writeFileSync } from "fs";
import { join } from "path";
import { caChecksum } from "../../components/certificates/pem";
import { Agents } from "../../lab/agents";
import { addOlderKubernetes, olderKubernetes } from "../../lab/olderKubernetes";
import { repository } from "../../lab/inventory";
import { toolFolder } from "../../lab/tools";
import { Traffic } from "../../lab/traffic";
import { disposable, testLab } from "../stack/fixtures";
import { RancherClient } from "../stack/rancherClient";
import { Edit, hosts, MainStack, nodes } from "../stack/wholeStack/mainStack";
import { expectFigures } from "./figures";

jest.setTimeout(20 * 60_000);

/**
 * These tests upgrade and renew a cluster of three nodes under load: browsers and agents through the load balancer. Pods outlive a restart
 * of their kubelet.
 */

const lab = disposable(testLab("soak"));
const traffic = new Traffic(lab);
const agentCount = 20;
const oneByOne: Edit = config => (config.cluster.upgradeStrategy = { maxUnavailableWorker: "1", maxUnavailableControlplane: "1" });
/** Rancher 2.11 needs Kubernetes 1.30 or later. */
const withOlderRancher: Edit = ({ rancher: settings }) => {
    const chartPath = join(lab.folder, "chart");
    cpSync(join(repository, settings.chartPath), chartPath, { recursive: true });
    const file = join(chartPath, "Chart.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replaceAll("2.11.3", "2.10.3"));
    Object.assign(settings, { chartPath, chartVersion: "2.10.3" });
};
/** Returns a change of the configuration of the cluster. */
const cluster =
    (change: object): Edit =>
    config =>
        Object.assign(config.cluster, change);
const older = cluster({ kubernetesVersion: `${olderKubernetes}-rancher1-1` });
/** Its images in the lab hold the programs of 1.30.14. */
const newer = cluster({ kubernetesVersion: "v1.30.5-rancher1-1" });
/** Name of the snapshot that the upgrade saved first. */
let savedFirst: string;
let main: MainStack;
let rancher: RancherClient;
let agents: Agents;

beforeAll(async () => {
    main = await MainStack.start(lab, [...hosts, "client"], config => (oneByOne(config), withOlderRancher(config)));
    await addOlderKubernetes(nodes.map(node => lab.host(node)));
    await main.succeeds("up", { edit: older });
    await traffic.install(await lab.tools(), ["client"]);
    const { url, caCertificate, bootstrapPassword } = await main.stack.outputs();
    const { address } = lab.host("lb1");
    rancher = new RancherClient(new URL(url).hostname, address, caCertificate);
    const token = await rancher.login(bootstrapPassword);
    const registration = await rancher.registrationToken(token);
    const target = { url, address, caChecksum: caChecksum(caCertificate), token: registration };
    agents = await Agents.start(lab.host("client"), join(toolFolder("node-workloads"), "node-workloads"), target, agentCount);
}, 30 * 60_000);

/** Sends GETs at 50 a second until `work` ends: 40 over HTTP/2 as browsers, 10 over new connections. Sums up their failures and tunnels. */
async function underLoad(work: () => Promise<unknown>) {
    const began = Date.now();
    let isOver = false;
    const sum = { requests: 0, lost: 0, slowest: 0, reasons: {} as Record<string, number> };
    const load = async (flags: string) => {
        while (!isOver) {
            const part = await traffic.run(`requests --address ${lab.host("lb1").address}:443 --path '/ping?' ${flags}`);
            sum.requests += part.requests;
            sum.lost += part.failedGet;
            sum.slowest = Math.max(sum.slowest, part.longest);
            for (const [reason, count] of Object.entries<number>(part.reasons)) sum.reasons[reason] = (sum.reasons[reason] ?? 0) + count;
        }
    };
    // The pauses between the parts of the two loads fall on different moments.
    const loads = Promise.all(["h2 --rate 40 --seconds 10", "new --rate 10 --seconds 7"].map(flags => load(`--protocol ${flags}`)));
    await work().finally(() => (isOver = true));
    const seconds = (Date.now() - began) / 1000;
    await loads;
    await agents.connect();
    expect((await rancher.ask("GET", "/ping")).body).toBe("pong");
    if (sum.lost > 0) console.warn(`lost requests by reason: ${JSON.stringify(sum.reasons)}`);
    return { seconds, ...sum, tunnels: await agents.since(began) };
}

function expectKept({ seconds, requests, lost, slowest, tunnels }: Awaited<ReturnType<typeof underLoad>>, mostLost: number): void {
    expect(requests).toBeGreaterThan(seconds * 45);
    expectFigures({
        "duration of the update": [seconds, { atMost: 900, unit: "s" }],
        "lost at 50 a second": [lost, { atMost: mostLost, unit: "requests" }],
        "slowest answer": [slowest, { atMost: 10, unit: "s" }],
        "losses of tunnels, some of the same agent": [tunnels.lost, { atMost: agentCount * 6, unit: "tunnels" }],
        "away longest": [tunnels.awayLongest, { atMost: 30, unit: "s" }],
        "connected in the end": [tunnels.connected, { atLeast: agentCount, atMost: agentCount, unit: "tunnels" }],
    });
}

/** Returns the versions of Kubernetes that run: of the kubelets as the API tells them, and of each node's API server. */
async function running(): Promise<string[]> {
    const kubelets = await main.kubectl(["get", "nodes", "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}"]);
    const servers = await Promise.all(nodes.map(node => lab.host(node).sh("docker exec kube-apiserver kube-apiserver --version")));
    return [...kubelets.split(" "), ...servers.map(line => line.trim().split(" ")[1])];
}

test("Kubernetes is upgraded by a minor version, node by node", async () => {
    expect(await running()).toEqual(Array(6).fill(olderKubernetes));
    const { output: preview } = await main.succeeds("preview", { edit: newer, flags: ["--diff"] });
    expect(preview).toMatch(/kubernetes_version: "v1\.29\.15-rancher1-1" => "v1\.30\.5-rancher1-1"/);
    let output = "";
    const result = await underLoad(async () => ({ output } = await main.succeeds("up", { edit: newer })));
    const folder = "/opt/rke/etcd-snapshots";
    savedFirst = /saving an etcd snapshot first, \S+\/(v1\.29\.15-rancher1-1-to-v1\.30\.5-\S+)\.zip/.exec(output)![1];
    await Promise.all(nodes.map(node => lab.host(node).sh(`test -s ${folder}/${savedFirst}.zip`)));
    expect(await running()).toEqual(Array(6).fill("v1.30.14"));
    expect(await Promise.all(nodes.map(node => main.imageVersions(node)))).toEqual(Array(3).fill("v1.30.5\n"));
    await main.isInSync(newer);
    expectKept(result, 0);
});

test("the snapshot saved before the upgrade restores the older Kubernetes and objects", async () => {
    await main.kubectl(["create", "configmap", "made-later"]);
    const refused = await main.preview({ edit: older });
    expect(refused.output).toMatch(/kubernetesVersion: expected v1\.30\.5-rancher1-1 or newer/);
    const back: Edit = config => {
        older(config);
        config.cluster.restore = { snapshot: savedFirst };
    };
    await main.succeeds("up", { edit: back });
    expect(await running()).toEqual(Array(6).fill(olderKubernetes));
    expect(await main.kubectl(["get", "configmaps", "-o", "name"])).not.toContain("made-later");
    await main.kubectl(["rollout", "status", "deployment/rancher", "--timeout=120s"]);
    await agents.connect();
    await main.succeeds("up", { edit: older });
    await main.isInSync(older);
});

test("a draining upgrade stops when a node is off, and finishes once the node is back", async () => {
    const drained = cluster({ upgradeStrategy: { drain: true, nodeDrainInput: { force: true, deleteLocalData: true } } });
    let off: Promise<void> | undefined;
    const onLine = (line: string) => {
        if (/rke: \[controlplane\] Processing controlplane hosts for upgrade/.test(line)) off ??= lab.host("node3").kill();
    };
    let stopped = { code: 0, output: "" };
    const meanwhile = await underLoad(async () => (stopped = await main.up({ edit: drained, onLine })));
    await off;
    expect(stopped.output).toMatch(/rke up did not finish the cluster[^]*\[RHA rke-failed\]/);
    const again = await main.up({ edit: drained });
    expect(again.output).toMatch(/RKE was not started and no host was changed, because:[^]*node3: .*no SSH connection/);
    expect([stopped.code, again.code]).not.toContain(0);
    await lab.host("node3").revive();
    await main.succeeds("up", { edit: drained });
    expect(await Promise.all(nodes.map(node => main.imageVersions(node)))).toEqual(Array(3).fill("v1.30.14\n"));
    expect(await main.kubectl(["get", "nodes", "-o", "jsonpath={.items[*].spec.unschedulable}"])).toBe("");
    await main.isInSync(drained);
    expectKept(meanwhile, 100);
});

test("the certificates of the cluster are renewed", async () => {
    const renewed = cluster({ rotateCertificates: "soak" });
    const result = await underLoad(() => main.succeeds("up", { edit: renewed }));
    await main.isInSync(renewed);
    expectKept(result, 0);
});

test("the CA of the cluster is rotated", async () => {
    const rotated = cluster({ caRotations: 1 });
    const result = await underLoad(() => main.succeeds("up", { edit: rotated }));
    main.forgetKubeconfig();
    await main.isInSync(rotated);
    expectKept(result, 0);
});
