import { progress } from "../../lab/process";
import { address, haproxy, manual, memory, openFiles, ours, serving, sh, traffic } from "./bed";
import { Report } from "./report";
import { pairedRatio, shuffled, spread } from "./statistics";

const host = "lb1";

/** Measures idle WebSockets: the memory of each, and the number that NGINX holds. */
export async function websockets(report: Report, quick: boolean): Promise<void> {
    const some = quick ? 1000 : 4000;
    const many = quick ? 2000 : 18_000;
    const variants = [manual, ours, haproxy];
    const found = new Map(variants.map(({ name }) => [name, { bytes: [] as number[], held: [] as number[], warnings: [] as number[] }]));
    for (let round = 0; round < (quick ? 1 : 3); round++) {
        for (const variant of shuffled(variants, round)) {
            const each = found.get(variant.name)!;
            await serving(host, variant, "work", async () => {
                const before = await memory(host);
                await hold(some, async () => void each.bytes.push(((await memory(host)) - before) / some));
            });
            if (variant.haproxy) continue;
            each.held.push(await serving(host, variant, "work", async () => (await hold(many, async () => undefined)).held));
            const limits = "worker_connections are not enough\\|reusing connections";
            each.warnings.push(Number((await sh(host, `grep -c '${limits}' /var/log/nginx/error.log || true`)).trim()));
            await sh(host, ": >/var/log/nginx/error.log");
            progress("websockets", `${variant.name}, round ${round + 1}: ${each.held[round]} held`);
        }
    }
    const ratio = (name: string) => pairedRatio(found.get(name)!.bytes, found.get("manual")!.bytes);
    const kilobytes = (bytes: number[]) => bytes.map(each => each / 1024);
    report.table(
        `Idle WebSockets (open file limit of the host: ${await openFiles(host)})`,
        ["configuration", `kB each, with ${some}`, "held", "lines in the error log that say why not"],
        [...found].map(([name, { bytes, held, warnings }]) => [
            name,
            spread(kilobytes(bytes), 1),
            held.length > 0 ? `${spread(held)} of ${many}` : "not measured",
            warnings.length > 0 ? spread(warnings) : "",
        ]),
        "A WebSocket takes two connections, and NGINX begins to close connections when a sixteenth of its table is left. The WebSockets use the path of agents'\ntunnels. NGINX has two workers here; the manual asks for four.\nHAProxy lets clients beyond its limit wait instead of refusing them, so only its memory is measured.",
    );
    report.target(`memory per idle WebSocket (HAProxy's: ${ratio("HAProxy").toFixed(2)} ×)`, ratio("ours"), "≤", 0.95);
    report.target("idle WebSockets held with 2 workers", Math.min(...found.get("ours")!.held), "≥", quick ? many : 17_000, "");
}

const hold = (count: number, work: () => Promise<void>) =>
    traffic.holding(`websockets --address ${address(host)}:443 --count ${count}`, work);
