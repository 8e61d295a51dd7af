import { progress } from "../../lab/process";
import { cpu, haproxy, hostname, manual, ours, serving, sh, Variant } from "./bed";
import { Report } from "./report";
import { withinRounds } from "./speed";
import { pairedRatio, shuffled, spread } from "./statistics";

const host = "lb1";

/** Answers of one size, and their targets. */
interface Answers {
    size: string;
    path: string;
    variants: Variant[];
    /** Number of requests over HTTP/2 in a round. */
    requests: number;
    targets: Record<"HTTP/1.1" | "HTTP/2", { fast: number; lean: number }>;
}

const small: Answers = {
    size: "1 kB",
    path: "/",
    variants: [manual, { ...manual, name: "manual again" }, ours, haproxy],
    // Each of 20 connections makes fewer than 1000 requests. After 1000, NGINX would close the connection, and h2load would stop.
    requests: 18_000,
    targets: { "HTTP/1.1": { fast: 2, lean: 0.33 }, "HTTP/2": { fast: 1.25, lean: 0.35 } },
};

/** Pages of Rancher, and lists of its API. */
const large: Answers = {
    size: "64 kB",
    path: "/64k",
    variants: [manual, ours, haproxy],
    requests: 6000,
    targets: { "HTTP/1.1": { fast: 1, lean: 0.45 }, "HTTP/2": { fast: 1, lean: 0.5 } },
};

export const throughput = (report: Report, quick: boolean) => measure(report, quick, small);
export const largeAnswers = (report: Report, quick: boolean) => measure(report, quick, large);

type Load = () => Promise<{ count: number; perSecond: number }>;

async function overHttp1(path: string, seconds: number): ReturnType<Load> {
    const text = await sh("client", `taskset -c 1 wrk -t1 -c50 -d${seconds}s https://${hostname}${path}`);
    const [, count, unit] = /(\d+) requests in ([\d.]+)s/.exec(text)!.map(Number);
    const bad = /Non-2xx or 3xx responses: (\d+)/.exec(text) ?? /Socket errors: (.*)/.exec(text);
    if (bad) throw new Error(`wrk counted errors: ${bad[0]}`);
    return { count, perSecond: count / unit };
}

async function overHttp2(path: string, requests: number): ReturnType<Load> {
    const text = await sh("client", `taskset -c 1 h2load -c20 -m10 -t1 -n${requests} https://${hostname}${path}`);
    const count = Number(/status codes: (\d+) 2xx/.exec(text)![1]);
    if (count !== requests) throw new Error(`h2load: ${count} of ${requests} succeeded`);
    return { count, perSecond: Number(/([\d.]+) req\/s/.exec(text)![1]) };
}

/** Measures requests per second and CPU time per request, over kept connections. */
async function measure(report: Report, quick: boolean, { size, path, variants, requests, targets }: Answers): Promise<void> {
    const loads: Record<keyof typeof targets, Load> = {
        "HTTP/1.1": () => overHttp1(path, quick ? 2 : 3),
        "HTTP/2": () => overHttp2(path, requests),
    };
    for (const protocol of ["HTTP/1.1", "HTTP/2"] as const) {
        const found = new Map(variants.map(({ name }) => [name, { perSecond: [] as number[], cpu: [] as number[] }]));
        for (let round = 0; round <= (quick ? 2 : 11); round++) {
            for (const variant of shuffled(variants, round)) {
                await serving(host, variant, "speed", async () => {
                    const before = await cpu(host);
                    const { count, perSecond } = await loads[protocol]();
                    const used = ((await cpu(host)) - before) / count;
                    if (round === 0) return;
                    found.get(variant.name)!.perSecond.push(perSecond);
                    found.get(variant.name)!.cpu.push(used);
                });
            }
            progress(`${protocol}, ${size}`, `round ${round}`);
        }
        const base = found.get("manual")!;
        const ratio = (name: string, what: "perSecond" | "cpu") => pairedRatio(found.get(name)![what], base[what]);
        report.table(
            `Throughput, ${protocol}, kept connections, answers of ${size}`,
            ["configuration", "requests/s", "ratio", "CPU µs per request", "ratio"],
            variants.map(({ name }) => {
                const { perSecond, cpu: used } = found.get(name)!;
                return [name, spread(perSecond), ratio(name, "perSecond").toFixed(2), spread(used, 1), ratio(name, "cpu").toFixed(2)];
            }),
            withinRounds,
        );
        const beside = (what: "perSecond" | "cpu") => `(HAProxy's: ${ratio("HAProxy", what).toFixed(2)} ×)`;
        report.target(`${protocol}, ${size}: requests/s ${beside("perSecond")}`, ratio("ours", "perSecond"), "≥", targets[protocol].fast);
        report.target(`${protocol}, ${size}: CPU per request ${beside("cpu")}`, ratio("ours", "cpu"), "≤", targets[protocol].lean);
    }
}
