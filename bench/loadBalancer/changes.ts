import { progress } from "../../lab/process";
import {
    address,
    Balancer,
    component,
    haproxy,
    manual,
    nginxVersion,
    ours,
    pause,
    place,
    reloadHaproxy,
    serving,
    settings,
    sh,
    traffic,
} from "./bed";
import { Report } from "./report";
import { shuffled, spread } from "./statistics";

const secondsPerChange = 3.5;

/** A configuration that serves while `work` runs, and the change of one setting. */
interface Side {
    name: string;
    /** Program and version. */
    version: (host: Balancer) => Promise<string>;
    serving: (host: Balancer, work: () => Promise<void>) => Promise<void>;
    change: (host: Balancer, maxBodySize: string) => Promise<unknown>;
}

const nginx = async (host: Balancer) => `NGINX ${await nginxVersion(host)}`;

const sides: Side[] = [
    {
        // A person does it in this way: overwrite the file, then reload NGINX.
        name: "manual",
        version: nginx,
        serving: (host, work) => serving(host, manual, "work", work, false),
        change: async (host, maxBodySize) => {
            const folder = await place(host, manual, "work", { maxBodySize });
            await sh(host, `nginx -c ${folder}/nginx.conf -s reload`);
        },
    },
    {
        name: "ours",
        version: nginx,
        serving: async (host, work) => {
            await component(host, "apply", settings(ours, "work"));
            try {
                await work();
            } finally {
                await component(host, "destroy", settings(ours, "work"));
            }
        },
        change: (host, maxBodySize) => component(host, "apply", settings(ours, "work", { maxBodySize })),
    },
    {
        // Its configuration has no limit of bodies, so the same file is placed and read anew.
        name: "HAProxy",
        version: async host => (await sh(host, "haproxy -v")).replace(/^HAProxy version ([0-9.]+)[^]*$/, "HAProxy $1"),
        serving: (host, work) => serving(host, haproxy, "work", work, false),
        change: async host => {
            await place(host, haproxy, "work");
            await sh(host, reloadHaproxy);
        },
    },
];

/** What the clients of one round lost: requests over kept connections, over new ones and over HTTP/2, and tunnels. */
interface Lost {
    requests: number;
    failed: number[];
    turnedAway: number;
    tunnels: number;
}

/** Measures configuration changes under requests over kept connections, over new connections, and over HTTP/2. */
export async function changes(report: Report, quick: boolean): Promise<void> {
    const [rounds, count] = quick ? [1, 4] : [4, 5];
    const rows: string[][] = [];
    for (const host of ["lb1", "lb3"] as const) {
        const found = new Map<string, Lost[]>(sides.map(({ name }) => [name, []]));
        for (let round = 0; round < rounds; round++)
            for (const side of shuffled(sides, round)) {
                const lost = await underLoad(host, side, count);
                found.get(side.name)!.push(lost);
                progress("changes", `${side.name}, round ${round + 1} of ${rounds}: ${lost.failed.join(" ")} of ${lost.requests} lost`);
            }
        for (const side of sides) {
            const of = (value: (lost: Lost) => number) => found.get(side.name)!.map(value);
            const requests = `${rounds} × ${found.get(side.name)![0].requests}`;
            const failed = [0, 1, 2].map(kind => spread(of(lost => lost.failed[kind])));
            const tunnels = `${Math.max(...of(lost => lost.tunnels))} of 50`;
            rows.push([await side.version(host), side.name, requests, ...failed, spread(of(lost => lost.turnedAway)), tunnels]);
        }
        const [theirs, own] = ["manual", "ours"].map(name =>
            found.get(name)!.map(({ failed }) => failed.reduce((sum, each) => sum + each)),
        );
        const what = `requests lost over ${count} changes, NGINX ${await nginxVersion(host)}`;
        if (host === "lb3") report.target(what, Math.max(...own), "≤", 0, "");
        else report.neverWorse(what, "", theirs, own);
    }
    report.table(
        `${count} configuration changes under load`,
        [
            "program",
            "configuration",
            "rounds × requests",
            "lost: kept connections",
            "lost: new connections",
            "lost: HTTP/2",
            "HTTP/2: turned away",
            "agent tunnels lost",
        ],
        rows,
        "No client repeats a request. Turned away: the server says with a GOAWAY or REFUSED_STREAM that it did not begin with the request; " +
            "browsers and net/http repeat it, here it is only counted. The manual's file is overwritten and NGINX reloaded; ours is changed by " +
            "the component's program, as `up` does it; HAProxy's master starts a new worker.",
    );
}

/** Makes the changes under requests of three kinds and 50 open tunnels. */
async function underLoad(host: "lb1" | "lb3", side: (typeof sides)[number], count: number): Promise<Lost> {
    const seconds = count * secondsPerChange + 2;
    let results: any[] = [];
    let tunnels: any;
    await side.serving(host, async () => {
        const load = (protocol: string, rate: number) =>
            traffic.run(
                `requests --address ${address(host)}:443 --protocol ${protocol} --rate ${rate} --seconds ${seconds} --path '/?d=2'`,
            );
        tunnels = await traffic.holding(`tunnels --address ${address(host)}:443 --count 50`, async () => {
            const running = [load("h1", 800), load("new", 50), load("h2", 600)];
            for (let change = 0; change < count; change++) {
                await Promise.all([pause(secondsPerChange), pause(secondsPerChange / 2).then(() => side.change(host, `${200 + change}m`))]);
            }
            results = await Promise.all(running);
        });
    });
    return {
        requests: results.reduce((sum, each) => sum + each.requests, 0),
        failed: results.map(each => each.failedGet),
        turnedAway: results.reduce((sum, each) => sum + each.turnedAway, 0),
        tunnels: tunnels.lost,
    };
}
