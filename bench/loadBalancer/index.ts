import { existsSync, readFileSync, writeFileSync } from "fs";
import { availableParallelism } from "os";
import { join } from "path";
import { progress } from "../../lab/process";
import { congestionControl, nginxVersion, lab, startBed } from "./bed";
import { failover } from "./failover";
import { failures } from "./failures";
import { changes } from "./changes";
import { Report } from "./report";
import { bulk, streams } from "./longAnswers";
import { handshakes, latency } from "./speed";
import { largeAnswers, throughput } from "./throughput";
import { websockets } from "./websockets";

/**
 * Compares NGINX with the manual's configuration to ours. Writes docs/benchmarks.md and its chart. Arguments name the parts to measure
 * again. The other parts stay as in docs/benchmarks.json. `QUICK=1` takes fewer and shorter rounds, and prints the results instead.
 */
const parts = { throughput, largeAnswers, bulk, streams, latency, handshakes, websockets, failures, changes, failover };

const docs = join(__dirname, "..", "..", "docs");

async function main(): Promise<void> {
    const quick = process.env.QUICK === "1";
    const chosen = process.argv.slice(2);
    const data = join(docs, "benchmarks.json");
    const report = new Report(!quick && chosen.length > 0 && existsSync(data) ? JSON.parse(readFileSync(data, "utf8")) : {});
    await startBed();
    let introduction: string;
    try {
        introduction = `# The load balancer, measured

With our configuration, a request costs a third of the processor time that it costs with [the manual's](../lab/manual.conf), or less than half over
HTTP/2. When a node fails, clients hang for a small part of the time, and about as many requests fail, or fewer. The table marks each missed target.

Written by \`make bench\`: NGINX with the configuration of the manual against ours with its
defaults, on the same hosts in one run for each part. Some parts also measure HAProxy (bench/loadBalancer/haproxy.cfg) with our certificate and
job. There are ${availableParallelism()} cores. For throughput, latency and handshakes NGINX has one and
clients and upstreams the other, elsewhere they share them. NGINX ${await nginxVersion("lb1")} (Debian 12)
where nothing else is said, ${await nginxVersion("lb3")} where a newer one is. TCP's congestion control is ${await congestionControl("lb1")}, not BBR, which paces what
is sent. "manual again" is the same configuration a second time: differences up to this ratio are noise. Medians, in
brackets the lowest and the highest of the rounds. Upstreams are stand-ins. Only ratios mean anything elsewhere.

Why targets are missed:

- CPU of an answer of 1 kB over HTTP/2: NGINX passes on what a node sends at once, so header and body take a write each. HAProxy sends about
  nine answers in a write. No directive of NGINX closes this gap: smaller buffers, larger pools, no log and no backup servers change nothing.
- Memory of an idle WebSocket: \`ssl_buffer_size 16k\` takes 5 kB of it. With 8k, an answer of 64 kB over HTTP/2 takes a fifth more CPU.
- Handshakes: with AVX-512 IFMA an RSA signature is cheap, so an ECDSA signature saves less. The rest of a handshake costs the same.
- Requests lost with NGINX 1.22.1: before 1.27.4, a reload closes kept connections, and loses a request that is on its way. Browsers and Go clients
  repeat a GET then. A preview says what a newer NGINX would bring.
- All nodes silent, Linux 6.5: a request on a kept connection waits for TCP's repetition of its data, whose intervals double. The manual opens
  a connection for each request, and a new one is tried once a second. With hardly any kept connections (\`upstreamKeepalive: 1\`), our time is
  the manual's, but each request costs more. HAProxy keeps connections, too, and takes as long as we do.`;
        for (const [name, part] of Object.entries(parts)) {
            if (chosen.length > 0 && !chosen.includes(name)) continue;
            progress(name, "…");
            report.begin(name);
            await part(report, quick);
            if (!quick) writeFileSync(data, report.json());
        }
    } finally {
        await lab.stop();
    }
    const text = report.markdown(introduction);
    process.stdout.write(text);
    if (quick) return;
    writeFileSync(join(docs, "benchmarks.md"), text);
    writeFileSync(join(docs, "benchmarks.svg"), report.svg());
}

main().catch((error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
});
