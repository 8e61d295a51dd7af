import { progress } from "../../lab/process";
import { address, manual, memory, openFiles, ours, serving, sh, traffic } from "./bed";
import { Report } from "./report";

const host = "lb1";

/** Idle WebSockets: memory of each, and how many are held. */
export async function websockets(report: Report, quick: boolean): Promise<void> {
    const some = quick ? 1000 : 4000;
    const many = quick ? 2000 : 18_000;
    const rows: string[][] = [];
    const each = new Map<string, { bytes: number; held: number }>();
    for (const variant of [manual, ours]) {
        const bytes = await serving(host, variant, "work", async () => {
            const before = await memory(host);
            let after = 0;
            await hold(some, async () => void (after = await memory(host)));
            return (after - before) / some;
        });
        const held = await serving(host, variant, "work", async () => (await hold(many, async () => undefined)).held);
        const warnings = Number(
            (await sh(host, "grep -c 'worker_connections are not enough\\|reusing connections' /var/log/nginx/error.log || true")).trim(),
        );
        await sh(host, ": >/var/log/nginx/error.log");
        each.set(variant.name, { bytes, held });
        rows.push([variant.name, (bytes / 1024).toFixed(1), `${held} of ${many}`, String(warnings)]);
        progress("websockets", `${variant.name}: ${held} held`);
    }
    report.table(
        `Idle WebSockets (open file limit of the host: ${await openFiles(host)})`,
        ["configuration", `kB each, with ${some}`, "held", "lines in the error log that say why not"],
        rows,
        "A WebSocket takes two connections, and NGINX begins to close connections when a sixteenth of its table is left. Under the path of the tunnels\nof agents. NGINX counts two workers here, the manual asks for four.",
    );
    report.target("memory per idle WebSocket", each.get("ours")!.bytes / each.get("manual")!.bytes, "≤", 1);
    report.target("idle WebSockets held with 2 workers", each.get("ours")!.held, "≥", quick ? many : 17_000, "");
}

const hold = (count: number, work: () => Promise<void>) =>
    traffic.holding(`websockets --address ${address(host)}:443 --count ${count}`, work);
