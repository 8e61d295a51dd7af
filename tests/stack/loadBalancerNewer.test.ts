import { once } from "events";
import { createServer, Server } from "http";
import { connect as connectHttp2 } from "http2";
import { AddressInfo } from "net";
import { addressOf, hostExec, Instance, removeHost, startHost } from "../../lab/lab";
import { buildTools } from "../../lab/tools";
import { issue } from "../certificates";
import { forgetLoadBalancer, hostArgs, runLoadBalancer } from "./loadBalancerProgram";
import { hostDigest } from "./testStack";

jest.setTimeout(5 * 60_000);
process.env.PULUMI_NODEJS_TRANSPILE_ONLY = "true";

/** The load balancer on a newer Debian with the NGINX of the next one, which knows directives that Debian 12 does not. */

const instance: Instance = "test";
const host = "lb3";
const address = addressOf(instance, host);
const hostname = "rancher.lab.internal";
const ca = issue({ name: "CA of a test", ca: true });
const certificate = issue({ name: hostname, by: ca, names: [`DNS:${hostname}`], usage: "serverAuth" });

let tools: string;
let upstream: Server;
let pristine: string;

beforeAll(async () => {
    forgetLoadBalancer(instance);
    tools = await buildTools(true);
    await removeHost(instance, host);
    await startHost(instance, host);
    pristine = await hostDigest(host, instance);
    upstream = createServer((_asked, answer) => answer.end("served"));
    await once(upstream.listen(0, address.replace(/\d+$/, "1")), "listening");
});

afterAll(async () => {
    upstream?.close();
    await removeHost(instance, host);
});

function pulumi(verb: string, flags: string[] = []) {
    const { address: gateway, port } = upstream.address() as AddressInfo;
    const args = {
        hosts: [hostArgs(instance, host)],
        hostname,
        upstreams: [gateway],
        upstreamPort: port,
        certificateChain: certificate.certificate,
        privateKey: certificate.privateKey,
    };
    return runLoadBalancer(instance, tools, verb, args, flags);
}

test("comes up with what this NGINX can, without a warning, and the next preview is empty", async () => {
    const { code, output } = await pulumi("up");
    expect({ code, tail: code === 0 ? "" : output }).toEqual({ code: 0, tail: "" });
    const onHost = async (script: string) => (await hostExec(instance, host, ["sh", "-c", script])).stdout;
    expect(await onHost("nginx -v 2>&1")).toMatch(/nginx\/1\.(2[89]|[3-9]\d)/);
    expect(await onHost("nginx -t -q 2>&1")).toBe("");
    expect(await onHost("cat /etc/nginx/nginx.conf")).toContain("keepalive_min_timeout 5s;");
    const preview = await pulumi("preview", ["--expect-no-changes"]);
    expect({ code: preview.code, output: preview.code === 0 ? "" : preview.output }).toEqual({ code: 0, output: "" });
    expect(preview.output).not.toContain("a newer one would bring");
});

test("serves HTTP/2", async () => {
    const session = connectHttp2(`https://${address}`, { ca: ca.certificate, servername: hostname });
    const stream = session.request({ ":path": "/", ":authority": hostname });
    const [headers] = await once(stream, "response");
    expect([headers[":status"], session.alpnProtocol]).toEqual([200, "h2"]);
    session.destroy();
});

test("destroy leaves the host as it was", async () => {
    expect((await pulumi("destroy")).code).toBe(0);
    expect(await hostDigest(host, instance)).toBe(pristine);
});
