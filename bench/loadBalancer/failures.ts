import { Host } from "../../lab/lab";
import { progress } from "../../lab/process";
import { address, Balancer, manual, ours, pause, ports, serving, setLink, sh, traffic, upstreams, Variant } from "./bed";
import { Report } from "./report";

interface Scenario {
    name: string;
    /** Requests per second, and for how many seconds. */
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
    /** How often it is tried: few requests are under way at one moment. Default once. */
    times?: number;
    /** How long clients hang, against the manual's. */
    hangTarget?: number;
}

const [first] = upstreams;
const all = (work: (host: Host) => Promise<unknown>) => Promise.all(upstreams.map(work));
const silent = (host: Host, isSo: boolean) =>
    sh(host, ["INPUT -i", "OUTPUT -o"].map(chain => `iptables ${isSo ? "-I" : "-D"} ${chain} eth0 -j DROP`).join("; "));
const refusing = (host: Host, isSo: boolean) =>
    sh(host, `iptables ${isSo ? "-I" : "-D"} INPUT -p tcp --dport 80 -j REJECT --reject-with tcp-reset`);
const sick = (host: Host, isSo: boolean) => sh(host, isSo ? "touch /run/traffic-sick" : "rm -f /run/traffic-sick");

const scenarios: Scenario[] = [
    {
        name: "one node silent for 60 s",
        rate: 40,
        seconds: 80,
        delay: 100,
        timeoutSeconds: 120,
        at: 8,
        lasts: 60,
        begin: () => silent(first, true),
        end: () => silent(first, false),
        hangTarget: 0.007,
    },
    {
        name: "link of one node down for 60 s",
        rate: 40,
        seconds: 80,
        delay: 100,
        timeoutSeconds: 120,
        at: 8,
        lasts: 60,
        begin: () => setLink(first, "down"),
        end: () => setLink(first, "up"),
        hangTarget: 0.007,
    },
    {
        name: "process of one node killed, six times",
        times: 6,
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
    {
        name: "all nodes silent for 4 s",
        rate: 50,
        seconds: 25,
        delay: 20,
        timeoutSeconds: 60,
        at: 6,
        lasts: 4,
        begin: () => all(host => silent(host, true)),
        end: () => all(host => silent(host, false)),
    },
    {
        name: "one node answers 503 for 8 s",
        rate: 60,
        seconds: 18,
        method: "MIX",
        delay: 20,
        timeoutSeconds: 30,
        at: 5,
        lasts: 8,
        begin: () => sick(first, true),
        end: () => sick(first, false),
    },
    {
        name: "all nodes answer 503 for 4 s",
        rate: 60,
        seconds: 18,
        method: "MIX",
        delay: 20,
        timeoutSeconds: 30,
        at: 5,
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

/** The same events for both at once, each configuration on a host of its own: what clients of a fixed rate suffer. */
export async function failures(report: Report, quick: boolean, candidates: Variant[] = [ours]): Promise<void> {
    const balancers: Balancer[] = ["lb1", "lb2", "lb3"];
    const variants = [manual, ...candidates].slice(0, balancers.length);
    const rows: string[][] = [];
    for (const scenario of scenarios.filter(({ lasts }) => !quick || lasts < 60)) {
        const rounds: Suffered[][] = [];
        for (let round = 0; round < (scenario.times ?? 1); round++) rounds.push(await suffered(scenario, variants, balancers));
        const results = new Map(variants.map(({ name }, index) => [name, together(rounds.map(round => round[index]))]));
        progress("failures", scenario.name);
        for (const [name, result] of results) {
            const { requests, failedGet, failedPost, twice, hang, longest, lastFailureAfter } = result;
            const counts = [requests, failedGet, failedPost, twice].map(String);
            rows.push([scenario.name, name, ...counts, hang.toFixed(0), longest.toFixed(1), lastFailureAfter.toFixed(1)]);
        }
        const of = (name: string) => results.get(name)!;
        const failed = (name: string) => of(name).failedGet + of(name).failedPost;
        const { name } = variants[variants.length - 1];
        if (scenario.hangTarget)
            report.target(`${scenario.name}: time that clients hang`, of(name).hang / of("manual").hang, "≤", scenario.hangTarget);
        else {
            // Which requests are under way at the moment is chance: two sums of such counts differ by twice their deviation at most.
            const chance = scenario.times ? Math.round(2 * Math.sqrt(failed("manual") + failed(name))) : 0;
            const manuals = `the manual's: ${failed("manual")}${chance ? `, ${chance} more or fewer by chance` : ""}`;
            report.target(`${scenario.name}: failed requests (${manuals})`, failed(name), "≤", failed("manual") + chance, "");
        }
    }
    report.table(
        "A node, or all, fail (three nodes)",
        [
            "event",
            "configuration",
            "requests",
            "failed GET",
            "failed POST",
            "POST done twice",
            "hang s",
            "longest s",
            "last failure after the event, s",
        ],
        rows,
        "Hang: the summed time of all requests that took over 1 s. A longest time of 120 s is the client's own limit.",
    );
}

/** What the clients of a configuration suffered. */
interface Suffered {
    requests: number;
    failedGet: number;
    failedPost: number;
    twice: number;
    hang: number;
    longest: number;
    lastFailureAfter: number;
}

function together(rounds: Suffered[]): Suffered {
    const sum = (key: keyof Suffered) => rounds.reduce((total, each) => total + each[key], 0);
    const most = (key: keyof Suffered) => Math.max(...rounds.map(each => each[key]));
    return {
        requests: sum("requests"),
        failedGet: sum("failedGet"),
        failedPost: sum("failedPost"),
        twice: sum("twice"),
        hang: sum("hang"),
        longest: most("longest"),
        lastFailureAfter: most("lastFailureAfter"),
    };
}

async function suffered(scenario: Scenario, variants: Variant[], balancers: Balancer[]): Promise<Suffered[]> {
    const used = balancers.slice(0, variants.length);
    await all(host => sh(host, "systemctl is-active -q traffic || true; : >/run/traffic-posts"));
    const measured = async () => {
        // A burst first, so that connections to all nodes are kept.
        await Promise.all(used.map(host => traffic.run(`requests --address ${address(host)}:443 --rate 300 --seconds 2 --path '/?d=100'`)));
        const running = used.map((host, index) =>
            traffic.run(
                `requests --address ${address(host)}:443 --name v${index} --rate ${scenario.rate} --seconds ${scenario.seconds} --method ${scenario.method ?? "GET"} ` +
                    `--path '/?d=${scenario.delay}' --timeout ${scenario.timeoutSeconds}s --event-ends ${scenario.at + scenario.lasts}`,
            ),
        );
        await pause(scenario.at);
        await scenario.begin(used);
        await pause(scenario.lasts);
        await scenario.end();
        return Promise.all(running);
    };
    const nested = used.reduceRight<() => Promise<any[]>>(
        (inner, host, index) => () => serving(host, variants[index], "work", inner, false),
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
