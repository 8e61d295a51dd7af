import { once } from "events";
import { IncomingMessage, RequestListener } from "http";
import { request } from "https";
import { Socket } from "net";
import WebSocket from "ws";
import { Lab } from "../../lab/lab";
import { disposable } from "../stack/fixtures";
import { askMany, echo } from "../stack/loadBalancer/client";
import { hostname, LoadBalancerHost } from "../stack/loadBalancer/loadBalancerHost";
import { greet } from "../stack/loadBalancer/upstream";
import { expectFigures } from "./figures";

jest.setTimeout(10 * 60_000);

/** These tests measure how long clients wait, and how long the load balancer waits for them. */

const largeBody = Buffer.alloc(20_000_000, "x");
const idleMinutes = 14;

/** Size of the last request's body in bytes. */
let received = 0;
const answer: RequestListener = (asked, answered) => {
    let bytes = 0;
    asked
        .on("data", chunk => (bytes += chunk.length))
        .on("end", () => {
            received = bytes;
            if (asked.url === "/large-body") answered.end(largeBody);
            else greet(asked, answered);
        });
};

const lab = disposable(Lab.of("soak"));
let lb: LoadBalancerHost;
/** A WebSocket that is open from the first to the last test, through a host that no test touches. */
let idle: { through: LoadBalancerHost; socket: WebSocket; since: number };

beforeAll(async () => {
    const through = await LoadBalancerHost.start(lab, "lb4");
    await through.apply();
    idle = { through, socket: await through.client.openWebSocket(), since: Date.now() };
    lb = await LoadBalancerHost.start(lab, "lb2", answer);
    await lb.apply();
});
afterAll(() => {
    LoadBalancerHost.stop(idle?.through);
    LoadBalancerHost.stop(lb);
});

test("clients that do not end their headers are cut off, while others are served", async () => {
    const began = Date.now();
    const slow = lb.client
        .raw(`GET / HTTP/1.1\r\nHost: ${hostname}\r\nX-Slow: `)
        .then(answered => ({ answered, seconds: (Date.now() - began) / 1000 }));
    const others = await askMany(lb.client);
    const { answered, seconds } = await slow;
    expect(answered).toBe("");
    expect(others.statuses).toEqual([200]);
    expectFigures({
        "cut off after": [seconds, { atLeast: 13, atMost: 20, unit: "s" }],
        "longest answer to ten others": [others.slowestSeconds, { atMost: 5, unit: "s" }],
    });
});

test("clients that send or read slowly are served, and others meanwhile", async () => {
    const body = lb.client.connect(`POST /slow HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\nContent-Length: 10\r\n\r\n`);
    const sender = setInterval(() => body.write("x"), 500);
    const reader = request({ ...lb.client.tls, path: "/large-body", agent: false, headers: { host: hostname } });
    const [answered] = (await once(reader.end(), "response")) as [IncomingMessage];
    let bytes = 0;
    answered.on("data", chunk => {
        bytes += chunk.length;
        answered.pause();
        setTimeout(() => answered.resume(), 10);
    });
    const others = await askMany(lb.client);
    expect(answered.complete).toBe(false);
    const [first] = await once(body, "data");
    clearInterval(sender);
    expect(String(first)).toMatch(/^HTTP\/1\.1 200 /);
    expect(received).toBe(10);
    if (!answered.complete) await once(answered, "end");
    expect(bytes).toBe(largeBody.length);
    expect(others.statuses).toEqual([200]);
    expectFigures({ "longest answer to ten others": [others.slowestSeconds, { atMost: 5, unit: "s" }] });
});

test("connections of unreachable clients and nodes are closed", async () => {
    const open = async () => {
        const upgraded = once(lb.upstream.server, "upgrade") as Promise<[IncomingMessage]>;
        const client = await lb.client.openWebSocket();
        const [{ socket: node }] = await upgraded;
        return { client, node };
    };
    const deadNode = await open();
    const deadClient = await open();
    const clientPort = (deadClient.client as unknown as { _socket: Socket })._socket.localPort;
    const silent = (how: string) =>
        `iptables ${how} INPUT -p tcp --dport ${deadNode.node.remotePort} -j DROP; iptables ${how} INPUT -p tcp --sport ${clientPort} -j DROP`;
    await lb.broken(silent("-I"), silent("-D"), async () => {
        const began = Date.now();
        const seconds = (closed: Promise<unknown>) => closed.then(() => (Date.now() - began) / 1000);
        const [node, client] = await Promise.all([once(deadNode.client, "close"), once(deadClient.node, "close")].map(seconds));
        expectFigures({
            "of a node": [node, { atMost: 20, unit: "s" }],
            "of a client": [client, { atMost: 70, unit: "s" }],
        });
    });
});

test(
    `a WebSocket that was idle for ${idleMinutes} minutes is still there`,
    async () => {
        await new Promise(resolve => setTimeout(resolve, idle.since + idleMinutes * 60_000 - Date.now()));
        expect(idle.socket.readyState).toBe(WebSocket.OPEN);
        expect(await echo(idle.socket, "still there")).toBe("still there");
        expectFigures({ "idle for": [(Date.now() - idle.since) / 60_000, { atLeast: idleMinutes, unit: "minutes" }] });
    },
    (idleMinutes + 1) * 60_000,
);
