import { HostName } from "../../lab/inventory";
import { Lab } from "../../lab/lab";
import { until } from "../../lab/process";
import { Traffic } from "../../lab/traffic";
import { disposable } from "../stack/fixtures";
import { serving } from "../stack/loadBalancer/loadBalancerHost";
import { Pair } from "../stack/loadBalancer/pair";
import { expectFigures } from "./figures";

jest.setTimeout(10 * 60_000);

/** These tests measure the effects of changes and failures behind a pair on users and on 50 tunnels of agents (Rancher's remotedialer). */

const nodes = ["upstream1", "upstream2", "upstream3"] as const;
const port = 80;
const lab = disposable(Lab.of("soak"));
const traffic = new Traffic(lab);
let pair: Pair;

beforeAll(async () => {
    const tools = await lab.tools();
    await lab.startAnew("client", ...nodes);
    await traffic.install(tools, ["client", ...nodes]);
    await Promise.all(nodes.map(node => traffic.startUpstream(node, port)));
    // Takeover is measured, so the interval between advertisements is the default.
    const args = {
        virtualIp: { address: lab.addressAt(20) },
        upstreams: nodes.map(node => lab.host(node).address),
        upstreamPort: port,
    };
    pair = await Pair.start(lab, { hosts: [...Pair.members, Pair.spare], args });
});
beforeEach(() => pair.up(pair.of("lb1", "lb2")));
afterAll(() => Pair.stop(pair));

async function changeTwice(): Promise<void> {
    const renewed = serving(pair.stack.certificate());
    await pair.up({ maxBodySize: "300m" });
    await pair.up({ maxBodySize: "300m", ...renewed });
}

const pause = (milliseconds: number) => new Promise(resolve => setTimeout(resolve, milliseconds));
/** Sends requests over new connections at this rate while `work` runs, and counts the lost ones. */
async function underLoad(work: () => Promise<unknown>, { address = pair.virtualIp, rate = 20 } = {}): Promise<any> {
    const seconds = 60;
    const running = traffic.run(
        `requests --address ${address}:443 --rate ${rate} --seconds ${seconds} --protocol new --path '/?d=5' --timeout 5s`,
    );
    await work();
    return running;
}
const tunnels = (work: () => Promise<void>) =>
    traffic.holding(`tunnels --address ${pair.virtualIp}:443 --count 50`, async opened => {
        expect(opened).toBe(50);
        await work();
    });

describe("requests lost", () => {
    test("under a change of the configuration and of the certificate", async () => {
        const { requests, failedGet } = await underLoad(async () => {
            await pair.up({ readTimeoutSeconds: 3600 });
            await pair.up(serving(pair.stack.certificate()));
        });
        expect(requests).toBe(1200);
        expectFigures({ "of 1200": [failedGet, { atMost: 0, unit: "requests" }] });
    });

    // The address moves once or twice, each time within half a second.
    test.each<[string, HostName[]]>([
        ["while two hosts swap their places", ["lb2", "lb1"]],
        ["while one of a pair gets another address", ["lb2", Pair.spare]],
    ])("%s", async (_what, members) => {
        const { failedGet } = await underLoad(() => pair.up(pair.of(...members)));
        expectFigures({ "at 20 a second": [failedGet, { atMost: 19, unit: "requests" }] });
    });

    test("at the host that stays while the first of a pair is dropped", async () => {
        const { address } = lab.host("lb2");
        const { failedGet } = await underLoad(() => pair.up(pair.of("lb2")), { address });
        expectFigures({ "of 1200": [failedGet, { atMost: 0, unit: "requests" }] });
    });

    test("when a node leaves the upstreams and comes back", async () => {
        const address = `--address ${pair.virtualIp}:443 --path '/?d=5' --seconds 60`;
        const running = Promise.all(["new --rate 20", "h2 --rate 100"].map(load => traffic.run(`requests ${address} --protocol ${load}`)));
        await pair.up({ upstreams: nodes.slice(0, 2).map(node => lab.host(node).address) });
        await pair.up();
        const [fresh, kept] = await running;
        expect([fresh.requests, kept.requests]).toEqual([1200, 6000]);
        expectFigures({
            "of 1200 over new connections": [fresh.failedGet, { atMost: 0, unit: "requests" }],
            "of 6000 over HTTP/2": [kept.failedGet, { atMost: 0, unit: "requests" }],
        });
    });
});

describe("requests lost while packages restart a service at a security update", () => {
    test.each<[string, string, () => Promise<{ address?: string; name: HostName }>]>([
        ["NGINX of the active host of a pair", "nginx", async () => ({ name: await pair.active() })],
        ["NGINX of one host, at its own address", "nginx", async () => ({ name: "lb2", address: lab.host("lb2").address })],
        ["keepalived of the active host", "keepalived", async () => ({ name: await pair.active() })],
        ["keepalived of the standby host", "keepalived", async () => ({ name: pair.standby(await pair.active()) })],
    ])("%s", async (_what, unit, which) => {
        const { name, address } = await which();
        const { requests, failedGet } = await underLoad(() => lab.host(name).sh(`systemctl restart ${unit}`), { address, rate: 200 });
        expect(requests).toBe(12_000);
        expectFigures({ "of 12000": [failedGet, { atMost: 0, unit: "requests" }] });
    });
});

test.each<[string, () => Promise<unknown>]>([
    ["a change of the configuration and of the certificate", () => changeTwice()],
    ["a restart of keepalived", async () => lab.host(await pair.active()).sh("systemctl restart keepalived")],
])("no tunnel is lost under %s", async (_what, work) => {
    const result = await tunnels(async () => void (await work()));
    expectFigures({
        lost: [result.lost, { atMost: 0, unit: "tunnels" }],
        "connected in the end": [result.connected, { atLeast: 50, atMost: 50, unit: "tunnels" }],
    });
});

test.each<[string, (active: HostName) => Promise<unknown>]>([
    ["NGINX of the active host", active => lab.host(active).sh("kill -9 $(pgrep -x nginx)")],
    // The host is killed with its keepalived. So no message of this host tells the standby host to take over.
    ["the active host itself", active => lab.host(active).kill()],
])("every tunnel is back after a node and then %s are lost", async (_what, lose) => {
    const active = await pair.active();
    let takeover = 0;
    const result = await tunnels(async () => {
        await traffic.killUpstream("upstream1");
        await pause(13_000);
        await traffic.startUpstream("upstream1", port);
        const since = Date.now();
        await lose(active);
        await until("the other host to take the virtual IP", 30, async () =>
            (await lab.host(pair.standby(active)).sh(`ip -o -4 address show to ${pair.virtualIp}`)).includes(pair.virtualIp),
        );
        takeover = (Date.now() - since) / 1000;
        // A tunnel notices an unreachable host only when the next keep-alive message gets no answer.
        await pause(28_000);
    });
    await lab.host(active).start();
    expectFigures({
        "virtual IP taken after": [takeover, { atMost: 5, unit: "s" }],
        "connected in the end": [result.connected, { atLeast: 50, atMost: 50, unit: "tunnels" }],
        "lost, some twice": [result.lost, { atLeast: 51, unit: "tunnels" }],
        // An agent tries again 10 s after a loss.
        "away longest": [result.awayLongest, { atMost: 15, unit: "s" }],
    });
});

test("a node that dies while it works fails POSTs that no other node does again", async () => {
    const running = traffic.run(
        `requests --address ${pair.virtualIp}:443 --name dying --rate 300 --seconds 6 --method MIX --path '/?d=200'`,
    );
    await pause(3000);
    await traffic.killUpstream("upstream1");
    await pause(1000);
    await traffic.startUpstream("upstream1", port);
    const { requests, failedGet, failedPost } = await running;
    const begun = await Promise.all(nodes.map(node => lab.host(node).sh("grep ^dying- /run/traffic-posts")));
    const posts = begun.flatMap(ids => ids.trim().split("\n"));
    expect([requests, posts.length]).toEqual([1800, new Set(posts).size]);
    expectFigures({
        "failed GETs": [failedGet, { atMost: 0, unit: "requests" }],
        "failed POSTs": [failedPost, { atLeast: 1, unit: "requests" }],
    });
});

describe("nodes that answer 503", () => {
    /** Sends mixed requests while these nodes answer 503 for six seconds, and for four seconds more. */
    async function whileSick(sick: readonly HostName[]): Promise<any> {
        const running = traffic.run(`requests --address ${pair.virtualIp}:443 --rate 60 --seconds 12 --method MIX --path '/?d=20'`);
        await pause(2000);
        await Promise.all(sick.map(node => lab.host(node).sh("touch /run/traffic-sick")));
        await pause(6000);
        await Promise.all(sick.map(node => lab.host(node).sh("rm /run/traffic-sick")));
        const ended = Date.now();
        const result = await running;
        return { ...result, lastFailureAfter: (result.lastFailureAt - ended) / 1000 };
    }

    test("one: it is removed from rotation after a few failed POSTs and no failed GET", async () => {
        const { failedGet, failedPost } = await whileSick(["upstream1"]);
        expectFigures({
            "failed GETs": [failedGet, { atMost: 0, unit: "requests" }],
            // A third of the 180 POSTs would fail if the node were not removed from rotation.
            "failed POSTs": [failedPost, { atMost: 14, unit: "requests" }],
        });
    });

    test("all: they are asked nevertheless, and serve the moment they are well", async () => {
        const { failedGet, lastFailureAfter } = await whileSick(nodes);
        expectFigures({
            "failed GETs while they are sick": [failedGet, { atLeast: 101, unit: "requests" }],
            "last failure after they are well": [lastFailureAfter, { atMost: 0.5, unit: "s" }],
        });
    });
});
