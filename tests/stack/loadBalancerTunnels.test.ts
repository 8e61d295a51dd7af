import { addressOf, Host, hostExec, Instance, killHost, removeHost, startHost } from "../../lab/lab";
import { Traffic } from "../../lab/traffic";
import { buildTools } from "../../lab/tools";
import { issue } from "../certificates";
import { forgetLoadBalancer, hostArgs, runLoadBalancer } from "./loadBalancerProgram";

jest.setTimeout(5 * 60_000);
process.env.PULUMI_NODEJS_TRANSPILE_ONLY = "true";

/** What users and 50 tunnels of agents (Rancher's remotedialer) notice of changes and failures behind a pair. */

const instance: Instance = "test";
const balancers = ["lb1", "lb2"] as const;
const upstreams = ["upstream1", "upstream2", "upstream3"] as const;
const hosts: Host[] = [...balancers, ...upstreams, "client"];
const virtualIp = addressOf(instance, "lb1").replace(/\d+$/, "20");
const hostname = "rancher.lab.internal";
const ca = issue({ name: "CA of a test", ca: true });
const newCertificate = () => issue({ name: hostname, by: ca, names: [`DNS:${hostname}`], usage: "serverAuth" });
const certificate = newCertificate();
const traffic = new Traffic(instance);
const port = 80;

let tools: string;

beforeAll(async () => {
    forgetLoadBalancer(instance);
    await Promise.all(hosts.map(host => removeHost(instance, host)));
    tools = await buildTools(true);
    await Promise.all(hosts.map(host => startHost(instance, host)));
    await traffic.install(tools, ["client", ...upstreams]);
    await Promise.all(upstreams.map(host => traffic.startUpstream(host, port)));
    await up();
});

afterAll(async () => {
    await Promise.all(hosts.map(host => removeHost(instance, host)));
});

async function up(changes: object = {}): Promise<void> {
    const args = {
        hosts: balancers.map(host => hostArgs(instance, host)),
        virtualIp: { address: virtualIp },
        hostname,
        upstreams: upstreams.map(host => addressOf(instance, host)),
        upstreamPort: port,
        certificateChain: certificate.certificate,
        privateKey: certificate.privateKey,
        ...changes,
    };
    const { code, output } = await runLoadBalancer(instance, tools, "up", args);
    if (code !== 0) throw new Error(output);
}

const pause = (milliseconds: number) => new Promise(resolve => setTimeout(resolve, milliseconds));
const onHost = async (host: Host, script: string) => (await hostExec(instance, host, ["sh", "-c", script])).stdout.trim();
const tunnels = (work: () => Promise<void>) =>
    traffic.holding(`tunnels --address ${virtualIp}:443 --count 50`, async opened => {
        expect(opened).toBe(50);
        await work();
    });

test("a change of the configuration and of the certificate through up loses no tunnel", async () => {
    const { privateKey, certificate: certificateChain } = newCertificate();
    const result = await tunnels(async () => {
        await up({ maxBodySize: "300m" });
        await up({ maxBodySize: "300m", certificateChain, privateKey });
    });
    expect(result).toMatchObject({ lost: 0, connected: 50 });
});

test.each<[string, (active: Host) => Promise<unknown>]>([
    ["NGINX of the active host", active => onHost(active, "kill -9 $(pgrep -x nginx)")],
    // Its keepalived takes what it still says with it: nobody hears a host that is off.
    ["the active host itself", active => killHost(instance, active)],
])("after a node and then %s are lost, every tunnel is back", async (_what, lose) => {
    let active: Host | undefined;
    const result = await tunnels(async () => {
        await traffic.killUpstream("upstream1");
        await pause(13_000);
        await traffic.startUpstream("upstream1", port);
        const held = await Promise.all(balancers.map(host => onHost(host, `ip -o -4 address show to ${virtualIp}`)));
        active = balancers[held.findIndex(Boolean)];
        await lose(active);
        // A tunnel notices a host that is silent by its next sign of life.
        await pause(28_000);
    });
    expect(result.connected).toBe(50);
    expect(result.lost).toBeGreaterThan(50);
    // An agent tries again 10 s after a loss.
    expect(result.awayLongest).toBeLessThan(15);
    await startHost(instance, active!);
    await up();
});

test("a node that leaves the upstreams and comes back through up costs no request", async () => {
    const address = `--address ${virtualIp}:443 --path '/?d=5' --seconds 40`;
    const running = Promise.all(["new --rate 20", "h2 --rate 100"].map(load => traffic.run(`requests ${address} --protocol ${load}`)));
    await up({ upstreams: upstreams.slice(0, 2).map(host => addressOf(instance, host)) });
    await up();
    const [fresh, kept] = await running;
    expect([fresh.requests, fresh.failedGet, kept.requests, kept.failedGet]).toEqual([800, 0, 4000, 0]);
});

test("a node that dies while it works fails the POSTs that it began with: no other node does them again, and no GET is lost", async () => {
    const running = traffic.run(`requests --address ${virtualIp}:443 --name dying --rate 300 --seconds 6 --method MIX --path '/?d=200'`);
    await pause(3000);
    await traffic.killUpstream("upstream1");
    await pause(1000);
    await traffic.startUpstream("upstream1", port);
    const { requests, failedGet, failedPost } = await running;
    const begun = await Promise.all(upstreams.map(host => onHost(host, "grep ^dying- /run/traffic-posts")));
    const posts = begun.flatMap(ids => ids.split("\n"));
    expect([requests, failedGet, posts.length]).toEqual([1800, 0, new Set(posts).size]);
    expect(failedPost).toBeGreaterThan(0);
});

describe("nodes that answer 503", () => {
    /** Mixed requests while these nodes do so for six seconds, and for four more. */
    async function whileSick(nodes: readonly Host[]): Promise<any> {
        const running = traffic.run(`requests --address ${virtualIp}:443 --rate 60 --seconds 12 --method MIX --path '/?d=20'`);
        await pause(2000);
        await Promise.all(nodes.map(host => onHost(host, "touch /run/traffic-sick")));
        await pause(6000);
        await Promise.all(nodes.map(host => onHost(host, "rm /run/traffic-sick")));
        const ended = Date.now();
        const result = await running;
        return { ...result, lastFailureAfter: (result.lastFailureAt - ended) / 1000 };
    }

    test("one: it is left out, after it has failed a few POSTs and no GET", async () => {
        const { failedGet, failedPost } = await whileSick(["upstream1"]);
        // A third of the 180 POSTs would fail if it stayed in.
        expect([failedGet, failedPost < 15]).toEqual([0, true]);
    });

    test("all: they are asked nevertheless, and serve the moment they are well", async () => {
        const { failedGet, lastFailureAfter } = await whileSick(upstreams);
        expect(failedGet).toBeGreaterThan(100);
        expect(lastFailureAfter).toBeLessThan(0.5);
    });
});
