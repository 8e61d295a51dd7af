import { progress } from "../../lab/process";
import { address, Balancer, manual, nginxVersion, ours, pause, place, serving, sh, traffic, Variant } from "./bed";
import { Report } from "./report";

/** Configuration changes while requests come in over kept connections, over new ones, and over HTTP/2. */
export async function changes(report: Report, quick: boolean): Promise<void> {
    const reloads = quick ? 4 : 20;
    const seconds = reloads * 3.5 + 2;
    const rows: string[][] = [];
    const lost = new Map<string, number>();
    for (const [host, variant] of [
        ["lb1", manual],
        ["lb1", ours],
        ["lb3", manual],
        ["lb3", ours],
    ] as [Balancer, Variant][]) {
        const version = await nginxVersion(host);
        const { results, tunnels } = await serving(
            host,
            variant,
            "work",
            async () => {
                const load = (protocol: string, rate: number) =>
                    traffic.run(
                        `requests --address ${address(host)}:443 --protocol ${protocol} --rate ${rate} --seconds ${seconds} --path '/?d=2'`,
                    );
                let results: any[] = [];
                const tunnels = await traffic.holding(`tunnels --address ${address(host)}:443 --count 50`, async () => {
                    const running = [load("h1", 800), load("new", 50), load("h2", 600)];
                    for (let change = 0; change < reloads; change++) {
                        await pause(3.5);
                        const folder = await place(host, variant, "work", { maxBodySize: `${200 + (change % 50)}m` });
                        await sh(host, `nginx -c ${folder}/nginx.conf -s reload`);
                    }
                    results = await Promise.all(running);
                });
                return { results, tunnels };
            },
            false,
        );
        const failed = results.map(({ failedGet }) => failedGet as number);
        const requests = results.reduce((sum, each) => sum + each.requests, 0);
        lost.set(
            `${host} ${variant.name}`,
            failed.reduce((sum, each) => sum + each, 0),
        );
        rows.push([version, variant.name, String(requests), ...failed.map(String), `${tunnels.lost} of 50`]);
        progress("changes", `${variant.name}, NGINX ${version}: ${failed.join(" ")} of ${requests} lost`);
    }
    report.table(
        `${reloads} configuration changes under load`,
        ["NGINX", "configuration", "requests", "lost: kept connections", "lost: new connections", "lost: HTTP/2", "agent tunnels lost"],
        rows,
        "No client repeats a request. The manual's configuration is reloaded as it is.",
    );
    report.target(`requests lost over ${reloads} changes, NGINX ${await nginxVersion("lb3")}`, lost.get("lb3 ours")!, "≤", 0, "");
    report.target(
        `requests lost over ${reloads} changes, NGINX ${await nginxVersion("lb1")} (the manual's: ${lost.get("lb1 manual")})`,
        lost.get("lb1 ours")!,
        "≤",
        lost.get("lb1 manual")!,
        "",
    );
}
