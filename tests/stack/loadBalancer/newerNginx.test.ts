import { once } from "events";
import { connect as connectHttp2 } from "http2";
import { LabHost } from "../../../lab/host";
import { disposable, digestOf, testLab } from "../fixtures";
import { changed } from "../wholeStack/mainStack";
import { Client } from "./client";
import { hostname } from "./loadBalancerHost";
import { hostArgs } from "../../../lab/loadBalancer/runLoadBalancer";
import { LoadBalancerStack } from "./loadBalancerStack";
import { Upstream } from "./upstream";

jest.setTimeout(10 * 60_000);

/**
 * These tests run the load balancer on a newer Debian with the NGINX of the Debian after that. This NGINX knows directives that Debian 12's
 * does not.
 */

const lab = disposable(testLab());
let host: LabHost;
let stack: LoadBalancerStack;
let upstream: Upstream;
let client: Client;
let pristine: string;

beforeAll(async () => {
    await lab.startAnew("lb3");
    host = lab.host("lb3");
    pristine = await digestOf(host);
    upstream = await Upstream.start(lab);
    stack = new LoadBalancerStack(lab, {
        hosts: [hostArgs(lab.host("lb3"))],
        upstreams: [upstream.address],
        upstreamPort: upstream.port,
    });
    client = new Client(host.address, hostname, stack.ca.certificate);
    await stack.up();
});
afterAll(() => {
    client?.stop();
    upstream?.stop();
});

test("comes up with what this NGINX can, without a warning and without later changes", async () => {
    expect(await host.sh("nginx -v 2>&1")).toMatch(/nginx\/1\.(2[89]|[3-9]\d)/);
    expect(await host.sh("nginx -t -q 2>&1")).toBe("");
    expect(await host.sh("cat /etc/nginx/nginx.conf")).toContain("keepalive_min_timeout 5s;");
    expect(await stack.noChanges()).not.toContain("a newer one would bring");
});

test("serves HTTP/2", async () => {
    const session = connectHttp2(`https://${host.address}`, { ca: stack.ca.certificate, servername: hostname });
    const stream = session.request({ ":path": "/", ":authority": hostname });
    const [headers] = await once(stream, "response");
    expect([headers[":status"], session.alpnProtocol]).toEqual([200, "h2"]);
    session.destroy();
});

test("serves a client that offers nothing but the post-quantum key exchange", async () => {
    // The OpenSSL of this Debian has it. That of Node, and that of Debian 12, may lack it.
    const handshake = `openssl s_client -connect 127.0.0.1:443 -servername ${hostname} -groups X25519MLKEM768`;
    const request = `printf 'GET / HTTP/1.1\\r\\nHost: ${hostname}\\r\\nConnection: close\\r\\n\\r\\n'`;
    const answer = await host.sh(`${request} | ${handshake} -ign_eof 2>&1`);
    expect(answer).toMatch(/^Negotiated TLS1\.3 group: X25519MLKEM768$/m);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /m);
});

test("an update keeps an NGINX that was restarted under open WebSockets", async () => {
    const sockets = await Promise.all([client.openWebSocket(), client.openWebSocket()]);
    const ended = Promise.all(sockets.map(socket => once(socket, "close")));
    await host.sh("systemctl restart nginx");
    await ended;
    expect(changed(await stack.up())).toEqual([]);
    expect(await client.status()).toBe(200);
});

test("destroy leaves the host as it was", async () => {
    await stack.destroy();
    expect(await digestOf(host)).toBe(pristine);
});
