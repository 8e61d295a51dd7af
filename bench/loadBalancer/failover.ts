import { join } from "path";
import { HostName } from "../../lab/inventory";
import { progress, until } from "../../lab/process";
import { Finished, Stack } from "../../lab/pulumi";
import { hostArgs, runLoadBalancer } from "../../lab/loadBalancer/runLoadBalancer";
import {
    address,
    Balancer,
    certificates,
    component,
    hostname,
    lab,
    nginxVersion,
    ours,
    pause,
    ports,
    settings,
    sh,
    traffic,
    upstreams,
} from "./bed";
import { Report } from "./report";
import { median } from "./statistics";

const pair = ["lb1", "lb2"] as const;
const virtualIp = address("lb1").replace(/\d+$/, "20");

/** Runs `up` of a stack that holds only the pair. Returns the seconds that it took. */
async function up(nodes: readonly HostName[] = upstreams): Promise<number> {
    const { certificate, privateKey } = certificates[ours.key];
    const args = {
        hosts: pair.map(host => hostArgs(lab.host(host))),
        virtualIp: { address: virtualIp },
        hostname,
        upstreams: nodes.map(address),
        upstreamPort: ports.work,
        certificateChain: certificate,
        privateKey,
        takeOver: true,
    };
    return secondsOf("up of the pair", () => runLoadBalancer(lab, "up", args));
}

const upOfNothing = () =>
    secondsOf("up of a program without resources", () => new Stack(lab, { program: join(__dirname, "nothing"), config: {} }).up());

async function secondsOf(what: string, work: () => Promise<Finished>): Promise<number> {
    const began = Date.now();
    const { code, output } = await work();
    if (code !== 0) throw new Error(`${what} ended with ${code}:\n${output.slice(-3000)}`);
    return (Date.now() - began) / 1000;
}

/** Returns the process IDs of NGINX's workers, which a reload would replace. */
const workers = () => Promise.all(pair.map(host => sh(host, "pgrep -P $(cat /run/nginx.pid) | sort")));

async function holders(): Promise<HostName[]> {
    const found = await Promise.all(pair.map(host => sh(host, `ip -o -4 address show to ${virtualIp}`, true)));
    return pair.filter((_host, index) => found[index] !== "");
}

async function holder(): Promise<HostName> {
    await until("one holder of the virtual IP", 60, async () => (await holders()).length === 1);
    return (await holders())[0];
}

const isRunning = (host: HostName) => lab.host(host).isActive("nginx", "keepalived");

const events: { name: string; limit: number; harm: (host: HostName) => Promise<unknown>; mend: (host: HostName) => Promise<unknown> }[] = [
    {
        name: "link lost",
        limit: 0.5,
        harm: host => lab.host(host).setLink("down"),
        mend: host => lab.host(host).setLink("up"),
    },
    {
        name: "NGINX killed",
        limit: 0.6,
        harm: host => sh(host, "kill -9 $(pgrep -x nginx)"),
        mend: async () => undefined,
    },
    {
        name: "host stopped",
        limit: 0.5,
        harm: host => lab.host(host).kill(),
        mend: host => lab.host(host).revive(),
    },
];

/** Measures, for a pair with a virtual IP, how long users are disturbed and how 50 tunnels of agents fare. */
export async function failover(report: Report, quick: boolean): Promise<void> {
    await secondUp(report, quick);
    await takeovers(report, quick);
    await scale(report, quick);
}

/** Measures an `up` that changes nothing: its seconds, and whether a host reloads. */
async function secondUp(report: Report, quick: boolean): Promise<void> {
    await up();
    await holder();
    await pause(4);
    const before = await workers();
    await upOfNothing();
    const beyond: number[] = [];
    for (let round = 0; round < (quick ? 1 : 5); round++) {
        const again = await up();
        const nothing = await upOfNothing();
        progress("second up", `${again.toFixed(2)} s, of which ${nothing.toFixed(2)} s are the start of engine and program`);
        beyond.push(again - nothing);
    }
    const after = await workers();
    report.target("second `up` of a pair, nothing changed, beyond an `up` of a program without resources", median(beyond), "≤", 3, "s");
    report.target("hosts of the pair that reload in it", after.filter((each, index) => each !== before[index]).length, "≤", 0, "");
}

/** Causes each event three times on the host that holds the virtual IP, under new connections and tunnels. */
async function takeovers(report: Report, quick: boolean): Promise<void> {
    const rows: string[][] = [];
    for (const { name, limit, harm, mend } of events) {
        const results: any[] = [];
        for (let round = 0; round < (quick ? 1 : 3); round++) {
            const active = await holder();
            let requests: any;
            const tunnels = await traffic.holding(`tunnels --address ${virtualIp}:443 --count 50`, async () => {
                const running = traffic.run(
                    `requests --address ${virtualIp}:443 --protocol new --rate 20 --seconds 12 --path '/?d=1' --timeout 5s`,
                );
                await pause(4);
                await harm(active);
                requests = await running;
            });
            results.push({ ...requests, tunnels });
            await mend(active);
            await until(`${active} back`, 60, () => isRunning(active));
            await pause(6);
            progress("failover", `${name}, round ${round + 1}: ${requests.disturbed.toFixed(2)} s`);
        }
        const disturbed = results.map(each => each.disturbed as number);
        rows.push([
            name,
            disturbed.map(each => each.toFixed(2)).join(" "),
            results.map(each => each.failedGet).join(" "),
            results.map(({ tunnels }) => tunnels.lost).join(" "),
            Math.max(...results.map(({ tunnels }) => tunnels.awayLongest)).toFixed(1),
        ]);
        report.target(`virtual IP taken over: ${name}`, median(disturbed), "≤", limit, "s");
    }
    report.table(
        "A pair with a virtual IP: 20 new connections a second, and 50 agent tunnels (Rancher's remotedialer)",
        [
            "event on the host that holds it",
            "users disturbed for s, each round",
            "failed requests of 240",
            "tunnels lost of 50",
            "longest away s",
        ],
        rows,
        "A tunnel that is lost with its host comes back by itself: the agent notices at once or with its next ping, and tries again 10 s later.",
    );
}

/** Removes a node from the upstreams and adds it again, under requests over kept connections. */
async function scale(report: Report, quick: boolean): Promise<void> {
    const alone = (nodes: readonly HostName[]) => component("lb3", "apply", settings(ours, "work", { upstreams: nodes.map(address) }));
    await alone(upstreams);
    const cases: [Balancer, string, (nodes: readonly HostName[]) => Promise<unknown>][] = [
        ["lb1", virtualIp, nodes => up(nodes)],
        ["lb3", address("lb3"), alone],
    ];
    const rows: string[][] = [];
    const rounds = quick ? 1 : 3;
    for (const [host, at, change] of cases) {
        const version = await nginxVersion(host);
        let [lost, asked] = [0, 0];
        for (let round = 0; round < rounds; round++) {
            const running = traffic.run(`requests --address ${at}:443 --rate 200 --seconds 40 --path '/?d=5'`);
            for (const nodes of [upstreams.slice(0, 2), upstreams]) {
                await pause(3);
                await change(nodes);
            }
            const { failedGet, requests } = await running;
            [lost, asked] = [lost + failedGet, asked + requests];
        }
        rows.push([version, String(asked), String(lost)]);
        report.target(`requests lost by a node that leaves and comes back, NGINX ${version}`, lost, "≤", 0, "");
    }
    report.table(
        `A node leaves the upstreams and comes back, in ${rounds} rounds, through the component`,
        ["NGINX", "requests", "lost"],
        rows,
    );
}
