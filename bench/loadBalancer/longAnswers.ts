import { progress } from "../../lab/process";
import { address, cpu, haproxy, hostname, manual, ours, serving, sh } from "./bed";
import { Report } from "./report";
import { withinRounds } from "./speed";
import { median, pairedRatio, shuffled, spread } from "./statistics";

const host = "lb1";
const variants = [manual, ours, haproxy];
const megabytes = 256;

/** First request of an agent. The key is the one of RFC 6455. */
const handshake = [
    "GET /v3/connect HTTP/1.1",
    `Host: ${hostname}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "",
    "",
];

/** Measures bulk data through a tunnel, from a node to its agent. */
export async function bulk(report: Report, quick: boolean): Promise<void> {
    const receive = `printf '${handshake.join("\\r\\n")}' | taskset -c 1 openssl s_client -quiet -connect ${address(host)}:443 -servername ${hostname} 2>/dev/null | wc -c`;
    const found = new Map(variants.map(({ name }) => [name, { perSecond: [] as number[], cpu: [] as number[] }]));
    for (let round = 0; round <= (quick ? 2 : 11); round++) {
        for (const variant of shuffled(variants, round)) {
            await serving(host, variant, "long", async () => {
                const [before, began] = [await cpu(host), Date.now()];
                const bytes = Number(await sh("client", receive));
                const seconds = (Date.now() - began) / 1000;
                const used = ((await cpu(host)) - before) / megabytes;
                if (bytes < megabytes * 2 ** 20) throw new Error(`${variant.name}: the tunnel ended after ${bytes} bytes`);
                if (round === 0) return;
                found.get(variant.name)!.perSecond.push(megabytes / seconds);
                found.get(variant.name)!.cpu.push(used);
            });
        }
        progress("bulk", `round ${round}`);
    }
    const ratio = (name: string, what: "perSecond" | "cpu") => pairedRatio(found.get(name)![what], found.get("manual")![what]);
    report.table(
        `Bulk data through a tunnel, ${megabytes} MB from a node to its agent`,
        ["configuration", "MB/s", "ratio", "CPU µs per MB", "ratio"],
        [...found].map(([name, { perSecond, cpu: used }]) => [
            name,
            spread(perSecond),
            ratio(name, "perSecond").toFixed(2),
            spread(used),
            ratio(name, "cpu").toFixed(2),
        ]),
        withinRounds,
    );
    report.target(
        `bulk data through a tunnel, MB/s (HAProxy's: ${ratio("HAProxy", "perSecond").toFixed(2)} ×)`,
        ratio("ours", "perSecond"),
        "≥",
        0.93,
    );
}

/** Measures the delay of 200 events of a stream in two seconds. Such a stream is a watch, or a log that is followed. */
export async function streams(report: Report, quick: boolean): Promise<void> {
    const arrival = `perl -MTime::HiRes=time -ne '$| = 1; printf "%.3f\\n", 1000 * (time - $_)'`;
    const rows: string[][] = [];
    for (const protocol of ["http1.1", "http2"]) {
        const found = new Map(variants.map(({ name }) => [name, [] as number[]]));
        for (let round = 0; round < (quick ? 1 : 5); round++) {
            for (const variant of shuffled(variants, round)) {
                const times = await serving(host, variant, "long", () =>
                    sh("client", `curl -skN --${protocol} https://${hostname}/stream | ${arrival}`),
                );
                const late = times.trim().split("\n").map(Number);
                if (late.length !== 200) throw new Error(`${variant.name}: ${late.length} of 200 events arrived`);
                found.get(variant.name)!.push(median(late));
            }
        }
        for (const [name, medians] of found) rows.push([protocol === "http2" ? "HTTP/2" : "HTTP/1.1", name, spread(medians, 2)]);
        const what = `${protocol === "http2" ? "HTTP/2" : "HTTP/1.1"} stream: events arrive after`;
        report.target(what, median(found.get("ours")!), "≤", 2, "ms");
        progress("streams", protocol);
    }
    report.table("Events of a stream: time from the node to the client, median, milliseconds", ["protocol", "configuration", "ms"], rows);
}
