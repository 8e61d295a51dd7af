import { HostName } from "../../lab/inventory";
import { progress } from "../../lab/process";
import { address, Balancer, haproxy, lab, manual, ours, pause, ports, serving, sh, traffic, upstreams, Variant } from "./bed";
import { Report } from "./report";
import { median, shuffled, spread } from "./statistics";

interface Scenario {
    name: string;
    /** Requests per second, for `seconds` seconds. */
    rate: number;
    seconds: number;
    method?: "GET" | "MIX";
    /** Milliseconds that an upstream works for a request. */
    delay: number;
    timeoutSeconds: number;
    /** Begins after `at` seconds and ends `lasts` later. */
    at: number;
    lasts: number;
    begin: (balancers: Balancer[]) => Promise<unknown>;
    end: () => Promise<unknown>;
    /** Number of rounds. @default 3 */
    rounds?: number;
    /** Highest accepted time that clients hang, as a ratio to the manual's. @default no longer than with the manual's */
    hangTarget?: number;
    /** Linux tries to connect once a second at first. @default false: the intervals double, as they do with Debian 12's kernel */
    oncePerSecond?: boolean;
}

const [first] = upstreams;
const all = (work: (host: HostName) => Promise<unknown>) => Promise.all(upstreams.map(work));
const silent = (host: HostName, isSo: boolean) =>
    sh(host, ["INPUT -i", "OUTPUT -o"].map(chain => `iptables ${isSo ? "-I" : "-D"} ${chain} eth0 -j DROP`).join("; "));
const refusing = (host: HostName, isSo: boolean) =>
    sh(host, `iptables ${isSo ? "-I" : "-D"} INPUT -p tcp --dport 80 -j REJECT --reject-with tcp-reset`);
const misbehaving = (how: "sick" | "slow") => (host: HostName, isSo: boolean) =>
    sh(host, isSo ? `touch /run/traffic-${how}` : `rm -f /run/traffic-${how}`);
const [sick, slow] = [misbehaving("sick"), misbehaving("slow")];

/** Load of the scenarios in which nodes answer, but with faults. */
const everyday = { rate: 60, seconds: 18, method: "MIX", delay: 20, timeoutSeconds: 30, at: 5 } as const;

const oneGone = { rate: 40, seconds: 80, delay: 100, timeoutSeconds: 120, at: 8, lasts: 60, hangTarget: 0.007 } as const;

const linkDown: Scenario = {
    name: "link of one node down for 60 s",
    ...oneGone,
    begin: () => lab.host(first).setLink("down"),
    end: () => lab.host(first).setLink("up"),
};

const allSilent: Scenario = {
    name: "all nodes silent for 4 s",
    rate: 50,
    seconds: 25,
    delay: 20,
    timeoutSeconds: 60,
    at: 6,
    lasts: 4,
    begin: () => all(host => silent(host, true)),
    end: () => all(host => silent(host, false)),
};

/** Since 6.5, Linux tries to connect once a second at first. Data on a kept connection still follows the older rule. */
const onNewerKernel = (scenario: Scenario): Scenario => ({ ...scenario, name: `${scenario.name}, Linux 6.5`, oncePerSecond: true });

const scenarios: Scenario[] = [
    {
        name: "one node silent for 60 s",
        ...oneGone,
        begin: () => silent(first, true),
        end: () => silent(first, false),
    },
    linkDown,
    onNewerKernel(linkDown),
    {
        name: "process of one node killed",
        // Few requests are open at one moment.
        rounds: 6,
        rate: 300,
        seconds: 8,
        method: "MIX",
        delay: 50,
        timeoutSeconds: 30,
        at: 3,
        lasts: 4,
        begin: () => traffic.killUpstream(first),
        end: () => traffic.startUpstream(first, ports.work),
    },
    {
        name: "all nodes refuse for 2 s",
        rate: 50,
        seconds: 20,
        delay: 20,
        timeoutSeconds: 60,
        at: 6,
        lasts: 2,
        begin: () => all(host => refusing(host, true)),
        end: () => all(host => refusing(host, false)),
    },
    allSilent,
    onNewerKernel(allSilent),
    {
        name: "one node takes 2 s longer for 8 s",
        ...everyday,
        lasts: 8,
        begin: () => slow(first, true),
        end: () => slow(first, false),
    },
    {
        name: "one node answers 503 for 8 s",
        ...everyday,
        lasts: 8,
        begin: () => sick(first, true),
        end: () => sick(first, false),
    },
    {
        name: "all nodes answer 503 for 4 s",
        ...everyday,
        lasts: 4,
        begin: () => all(host => sick(host, true)),
        end: () => all(host => sick(host, false)),
    },
    {
        name: "nodes well, some other requests rightly get 503 for 8 s",
        rate: 60,
        seconds: 18,
        delay: 20,
        timeoutSeconds: 30,
        at: 5,
        lasts: 8,
        begin: async balancers =>
            void Promise.all(
                balancers.map(host => traffic.run(`requests --address ${address(host)}:443 --rate 5 --seconds 8 --path '/?status=503'`)),
            ),
        end: async () => undefined,
    },
];

/** Our configuration without passive health checks. Its results explain why the default removes a failing node from rotation. */
const neverLeftOut: Variant = { ...ours, name: "ours, max_fails 0", changes: { maxFails: 0 } };
const variants = [manual, ours, neverLeftOut];
/** Balancers with the same version of NGINX, and that of HAProxy. */
const balancers: Balancer[] = ["lb1", "lb2", "lb4", "lb3"];

/** What the columns and the names of the configurations mean. */
const explanation =
    "Each configuration runs on a host of its own with the same NGINX, all at once, and on another host in every round. HAProxy looks at " +
    "each node's health every 2 s, and repeats what is not a POST at another node. Hang: the summed time of all requests that took " +
    "over 1 s. A longest time of 120 s is the client's own limit. Not worse, among the targets, means: our median is not above the " +
    "manual's by more than the noise (±). The noise is half the distance between the lowest and the highest round of the " +
    "configuration whose rounds lie further apart. max_fails 0 removes no node from rotation. Its results are why the default is 3. " +
    "Intervals between attempts to connect double, as with Debian 12's kernel; with Linux 6.5 (Debian 13 has 6.12) the first ones " +
    "are a second.";

/** Measures the same events for all configurations at once, each on its own host, under clients with a fixed rate. */
export async function failures(report: Report, quick: boolean): Promise<void> {
    const rows: string[][] = [];
    for (const scenario of scenarios.filter(({ lasts }) => !quick || lasts < 60)) {
        const results = new Map<string, Suffered[]>([...variants, haproxy].map(({ name }) => [name, []]));
        for (let round = 0; round < (quick ? 1 : (scenario.rounds ?? 3)); round++) {
            const order = [...shuffled(variants, round), haproxy];
            const found = await suffered(scenario, order);
            order.forEach(({ name }, index) => results.get(name)!.push(found[index]));
        }
        progress("failures", scenario.name);
        for (const [name, rounds] of results) {
            const of = (key: keyof Suffered) => rounds.map(each => each[key]);
            rows.push([
                scenario.name,
                name,
                `${rounds.length} × ${rounds[0].requests}`,
                spread(of("failedGet")),
                spread(of("failedPost")),
                String(Math.max(...of("twice"))),
                spread(of("hang")),
                Math.max(...of("longest")).toFixed(1),
                Math.max(...of("lastFailureAfter")).toFixed(1),
            ]);
        }
        const each = (name: string, value: (found: Suffered) => number) => results.get(name)!.map(value);
        const neverWorse = (what: string, unit: string, value: (found: Suffered) => number) =>
            report.neverWorse(`${scenario.name}: ${what}`, unit, each(manual.name, value), each(ours.name, value));
        neverWorse("failed requests", "", ({ failedGet, failedPost }) => failedGet + failedPost);
        if (scenario.hangTarget) {
            const [theirs, own] = [manual, ours].map(({ name }) => median(each(name, ({ hang }) => hang)));
            report.target(`${scenario.name}: time that clients hang`, own / theirs, "≤", scenario.hangTarget);
        } else neverWorse("time that clients hang", "s", ({ hang }) => hang);
    }
    report.table(
        "A node, or all, fail (three nodes)",
        [
            "event",
            "configuration",
            "rounds × requests",
            "failed GET",
            "failed POST",
            "POST done twice",
            "hang s",
            "longest s",
            "last failure after the event, s",
        ],
        rows,
        explanation,
    );
}

/** Failures and waiting times of a configuration's clients. */
interface Suffered {
    requests: number;
    failedGet: number;
    failedPost: number;
    twice: number;
    hang: number;
    longest: number;
    lastFailureAfter: number;
}

/** Returns the failures and waiting times of the clients of each configuration, in this order. */
async function suffered(scenario: Scenario, order: Variant[]): Promise<Suffered[]> {
    await all(host => sh(host, ": >/run/traffic-posts"));
    const linear = `sysctl -eqw net.ipv4.tcp_syn_linear_timeouts=${scenario.oncePerSecond ? 4 : 0}`;
    await Promise.all(balancers.map(host => sh(host, linear)));
    const measured = async () => {
        // A burst comes first, so that connections to all nodes are kept.
        await Promise.all(
            balancers.map(host => traffic.run(`requests --address ${address(host)}:443 --rate 300 --seconds 2 --path '/?d=100'`)),
        );
        const running = balancers.map((host, index) =>
            traffic.run(
                `requests --address ${address(host)}:443 --name v${index} --rate ${scenario.rate} --seconds ${scenario.seconds} --method ${scenario.method ?? "GET"} ` +
                    `--path '/?d=${scenario.delay}' --timeout ${scenario.timeoutSeconds}s`,
            ),
        );
        await pause(scenario.at);
        await scenario.begin(balancers);
        await pause(scenario.lasts);
        await scenario.end();
        const ended = Date.now();
        return (await Promise.all(running)).map(result => ({
            ...result,
            lastFailureAfter: Math.max(0, result.lastFailureAt - ended) / 1000,
        }));
    };
    const nested = balancers.reduceRight<() => Promise<any[]>>(
        (inner, host, index) => () => serving(host, order[index], "work", inner, false),
        measured,
    );
    const results = await nested();
    const posts = (await Promise.all(upstreams.map(host => sh(host, "cat /run/traffic-posts 2>/dev/null", true))))
        .join("")
        .split("\n")
        .filter(Boolean);
    return results.map((result, index) => {
        const own = posts.filter(id => id.startsWith(`v${index}-`));
        return { ...result, twice: own.length - new Set(own).size };
    });
}
