import { progress } from "../../lab/process";
import { address, cpu, haproxy, hostname, manual, ours, pause, ports, runAtOnce, serving, sh, traffic, upstreams, Variant } from "./bed";
import { Report } from "./report";
import { median, pairedRatio, shuffled, spread } from "./statistics";

const host = "lb1";
const variants: Variant[] = [manual, { ...manual, name: "manual again" }, ours, haproxy];

export const withinRounds = "A ratio is the median of the ratios within each round: this machine's speed changes while it is measured.";

/** Measures latency at a fixed rate that leaves the host idle most of the time. */
export async function latency(report: Report, quick: boolean): Promise<void> {
    const direct = "no load balancer, one upstream";
    const upstreamsAtOnce = (atOnce: boolean) => Promise.all(upstreams.map(each => runAtOnce(each, "nginx", atOnce)));
    await upstreamsAtOnce(true);
    for (const protocol of ["HTTP/1.1", "HTTP/2"]) {
        const measure = async (url: string) => percentiles(await fixedRate(url, protocol === "HTTP/1.1"));
        const throughBalancer = (variant: Variant) =>
            serving(host, variant, "speed", async () => {
                await runAtOnce(host, variant.haproxy ? "haproxy" : "nginx");
                return measure(`https://${hostname}/`);
            });
        const cases = new Map(variants.map(variant => [variant.name, () => throughBalancer(variant)]));
        if (protocol === "HTTP/1.1") cases.set(direct, () => measure(`http://${address("upstream1")}:${ports.speed}/`));
        const found = new Map([...cases.keys()].map(name => [name, [] as number[][]]));
        for (let round = 0; round <= (quick ? 2 : 11); round++) {
            for (const [name, work] of shuffled([...cases], round)) {
                const times = await work();
                if (round > 0) found.get(name)!.push(times);
            }
            progress(`latency ${protocol}`, `round ${round}`);
        }
        const column = (name: string, index: number) => found.get(name)!.map(row => row[index]);
        const ratio = (name: string, index: number) => pairedRatio(column(name, index), column("manual", index));
        report.table(
            `Latency at 960 requests/s, ${protocol}, milliseconds`,
            ["configuration", "p50", "ratio", "p99", "ratio", "p99.9", "ratio"],
            [...cases.keys()].map(name => [
                name,
                ...[0, 1, 2].flatMap(index => [spread(column(name, index), 2), ratio(name, index).toFixed(2)]),
            ]),
            `${withinRounds} NGINX or HAProxy, upstreams and the client have real-time priority on their cores, so scheduling delay of this machine is excluded.`,
        );
        Object.entries({ p50: 0.7, p99: 0.7, "p99.9": 1 }).forEach(([name, limit], index) => {
            const [again, other] = ["manual again", "HAProxy"].map(each => ratio(each, index).toFixed(2));
            report.target(
                `${protocol} latency ${name} (the manual's again: ${again} ×, HAProxy's: ${other} ×)`,
                ratio("ours", index),
                "≤",
                limit,
            );
        });
    }
    await upstreamsAtOnce(false);
}

/**
 * Returns the times of the requests of three seconds, in milliseconds, sorted. Each of 20 connections makes 48 requests a second, so no
 * connection reaches NGINX's limit of requests.
 */
async function fixedRate(url: string, http1: boolean): Promise<number[]> {
    const flags = `-c20 -m1 -t1 -n${20 * 48 * 4} --rps=48 --log-file=/run/latency ${http1 ? "--h1" : ""}`;
    const [text] = await Promise.all([
        sh("client", `rm -f /run/latency; taskset -c 1 h2load ${flags} ${url} >/dev/null && sort -n /run/latency`),
        pause(0.5).then(() => runAtOnce("client", "h2load")),
    ]);
    const requests = text
        .trim()
        .split("\n")
        .map(line => line.split("\t").map(Number));
    if (requests.some(([, status]) => status !== 200)) throw new Error("h2load: not every answer was 200");
    // The requests of the first second wait for the handshakes of the other connections.
    return requests
        .filter(([start]) => start > requests[0][0] + 1e6)
        .map(([, , time]) => time / 1000)
        .sort((a, b) => a - b);
}

/** Returns p50, p99 and p99.9. */
const percentiles = (sorted: number[]) => [0.5, 0.99, 0.999].map(share => sorted[Math.floor(share * sorted.length)]);

/** OpenSSL 3 signs with RSA-2048 more than twice as fast on a CPU with AVX-512 IFMA (Ice Lake, Zen 4 and later). */
const onOlderCpu = (variant: Variant): Variant => ({
    ...variant,
    name: `${variant.name}, without AVX-512 IFMA`,
    environment: "OPENSSL_ia32cap=:~0x200000",
});

/**
 * Measures new connections: handshake, one request or none, end. The client limits their number, so the figure is CPU time. The client
 * resumes TLS 1.2 by tickets only. Before NGINX 1.23.2 our configuration has no tickets, so there is no row for them.
 */
export async function handshakes(report: Report, quick: boolean): Promise<void> {
    const rsa: Variant = { ...ours, name: "ours RSA", key: "rsa" };
    const options = { full: "", resumed: "--resumed", "full, no request": "--alone" };
    const cases: [Variant, string, keyof typeof options][] = [
        [manual, "1.2", "full"],
        [manual, "1.2", "resumed"],
        [rsa, "1.2", "full"],
        [rsa, "1.3", "full"],
        [ours, "1.2", "full"],
        [ours, "1.3", "full"],
        [ours, "1.3", "resumed"],
        [haproxy, "1.2", "full"],
        [haproxy, "1.3", "full"],
        [haproxy, "1.3", "resumed"],
        [rsa, "1.3", "full, no request"],
        [ours, "1.3", "full, no request"],
        [onOlderCpu(rsa), "1.3", "full, no request"],
        [onOlderCpu(ours), "1.3", "full, no request"],
    ];
    const title = ([variant, version, kind]: (typeof cases)[number]) => `${variant.name}, TLS ${version}, ${kind}`;
    const found = new Map(cases.map(each => [title(each), [] as any[]]));
    for (let round = 0; round <= (quick ? 1 : 4); round++) {
        for (const each of shuffled(cases, round)) {
            const [variant, version, kind] = each;
            await serving(host, variant, "speed", async () => {
                const before = await cpu(host);
                const result = await traffic.run(
                    `handshakes --address ${address(host)}:443 --seconds ${quick ? 2 : 3} --tls ${version} ${options[kind]}`,
                    true,
                );
                if (result.failed > 0) throw new Error(`${title(each)}: ${result.failed} connections failed`);
                if (round > 0) found.get(title(each))!.push({ ...result, cpu: ((await cpu(host)) - before) / result.connections });
            });
        }
        progress("handshakes", `round ${round}`);
    }
    const column = (name: string, key: string) => found.get(name)!.map(result => result[key] as number);
    const base = title(cases[0]);
    const ratio = (name: string) => median(column(name, "cpu")) / median(column(base, "cpu"));
    const alone = (variant: Variant) => median(column(title([variant, "1.3", "full, no request"]), "cpu"));
    report.table(
        "New connections: handshake, one request or none, end (the manual's certificate: RSA-2048; ours: ECDSA P-256)",
        ["handshake", "connections/s", "CPU µs each", "ratio to the manual's full one", "resumed", "handshake p50 / p99 ms"],
        cases.map(each => {
            const name = title(each);
            const perSecond = found.get(name)!.map(({ connections, seconds }) => connections / seconds);
            const share = median(found.get(name)!.map(({ reused, connections }) => reused / connections));
            const times = `${median(column(name, "p50")).toFixed(1)} / ${median(column(name, "p99")).toFixed(1)}`;
            return [name, spread(perSecond), spread(column(name, "cpu")), ratio(name).toFixed(2), `${(100 * share).toFixed(0)} %`, times];
        }),
        `RSA and ECDSA differ by the signature alone: ${(alone(rsa) - alone(ours)).toFixed(0)} µs on this CPU. The other ${alone(ours).toFixed(0)} µs of a handshake are the same.`,
    );
    const figure = "TLS 1.3 full handshake CPU, our certificate (ECDSA) against RSA-2048";
    report.target(figure, alone(ours) / alone(rsa), "≤", 0.45);
    report.target(`${figure}, without AVX-512 IFMA`, alone(onOlderCpu(ours)) / alone(onOlderCpu(rsa)), "≤", 0.45);
}
