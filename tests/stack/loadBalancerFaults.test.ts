import { createHash } from "crypto";
import { once } from "events";
import { IncomingMessage } from "http";
import { request } from "https";
import { AddressInfo, Socket } from "net";
import { connect as connectTls, ConnectionOptions } from "tls";
import WebSocket, { WebSocketServer } from "ws";
import { hostScript } from "../../components/loadBalancer/nginxLoadBalancer";
import { NginxSettings } from "../../components/loadBalancer/schema";
import { addressOf, hostExec, killHost, removeHost, reviveHost, startHost } from "../../lab/lab";
import { until } from "../../lab/process";
import { issue, Issued, KeyKind } from "../certificates";
import {
    address,
    apply,
    ask,
    broken,
    ca,
    certificate,
    fingerprint,
    heard,
    host,
    hostname,
    hostState,
    instance,
    keys,
    killed,
    logged,
    onHost,
    owner,
    probe,
    program,
    refused,
    served,
    settings,
    ssh,
    startLabHost,
    stopLabHost,
    upstreamServer,
    workers,
} from "./labHost";

jest.setTimeout(5 * 60_000);

/** What a client may do wrong, and what a user may bring, to a load balancer that serves. */

let seen: { headers: IncomingMessage["headers"]; digest: string; bytes: number };
let pristine: string;
const largeHeader = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh"].map(name => `${name}=${"c".repeat(1000)}`);
const largeBody = Buffer.alloc(20_000_000, "x");

beforeAll(async () => {
    pristine = await startLabHost((asked, answer) => {
        const hash = createHash("sha256");
        let bytes = 0;
        asked
            .on("data", chunk => (hash.update(chunk), (bytes += chunk.length)))
            .on("end", () => {
                seen = { headers: asked.headers, digest: hash.digest("hex"), bytes };
                if (asked.url === "/large-header") answer.setHeader("set-cookie", largeHeader);
                answer.end(asked.url === "/large-body" ? largeBody : `${asked.headers.host} ${asked.headers["x-forwarded-proto"]}`);
            });
    });
    const sockets = new WebSocketServer({ noServer: true });
    upstreamServer().on("upgrade", (asked, socket, head) => {
        if (asked.headers.upgrade !== "websocket")
            return void socket.write(
                `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${asked.headers.upgrade}\r\n\r\n`,
            );
        sockets.handleUpgrade(asked, socket, head, client => client.on("message", message => client.send(String(message))));
    });
    await apply(program());
    idle = await openIdle();
});

afterAll(async () => {
    idle?.socket.terminate();
    await Promise.all([stopLabHost(), removeHost(instance, idleHost)]);
});

/** Open from the first to the last test of this file, through a host that none of them touches. */
let idle: { socket: WebSocket; since: number };
const idleHost = "lb4";
const idleMinutes = 14;

async function openIdle(): Promise<typeof idle> {
    await removeHost(instance, idleHost);
    await startHost(instance, idleHost);
    await hostExec(instance, idleHost, ["sh", "-s", "apply"], { input: program() });
    const socket = await openWebSocket(addressOf(instance, idleHost));
    return { socket, since: Date.now() };
}

async function openWebSocket(to = address): Promise<WebSocket> {
    const socket = new WebSocket(`wss://${hostname}/`, {
        ca: ca.certificate,
        lookup: (_name, _options, found) => found(null, [{ address: to, family: 4 }] as never),
    });
    await once(socket, "open");
    return socket;
}

/** Sends a request with these headers; resolves to its status. */
function send(headers: Record<string, string>, { method = "GET", path = "/", body = Buffer.alloc(0) } = {}): Promise<number> {
    return new Promise((resolve, reject) => {
        const options = {
            host: address,
            path,
            method,
            servername: hostname,
            ca: ca.certificate,
            agent: false,
            headers: { host: hostname, ...headers },
        };
        request(options, answer => answer.resume().on("end", () => resolve(answer.statusCode!)))
            .on("error", reject)
            .end(body);
    });
}

/** A text over TLS; resolves to what came until the connection ended. */
function raw(text: string): Promise<string> {
    return new Promise((resolve, reject) => {
        const socket = connectTls({ host: address, port: 443, servername: hostname, ca: ca.certificate }, () => socket.write(text));
        let answer = "";
        socket
            .on("data", chunk => (answer += chunk))
            .on("end", () => resolve(answer))
            .on("error", reject);
    });
}

/** 300 requests, ten at a time, all answered and none late. */
async function serveMany(): Promise<void> {
    let longest = 0;
    const statuses = new Set<number>();
    for (let round = 0; round < 30; round++) {
        const began = Date.now();
        for (const status of await Promise.all(Array.from({ length: 10 }, () => send({})))) statuses.add(status);
        longest = Math.max(longest, Date.now() - began);
    }
    expect([...statuses]).toEqual([200]);
    expect(longest).toBeLessThan(5000);
}

/** Connects with these options; resolves to the protocol, whether the session was resumed, and the session. */
function handshake(options: ConnectionOptions): Promise<{ protocol: string; resumed: boolean; session: Buffer }> {
    return new Promise((resolve, reject) => {
        const socket = connectTls({ host: address, port: 443, servername: hostname, ca: ca.certificate, ...options });
        const { protocol, resumed } = { protocol: () => socket.getProtocol()!, resumed: () => socket.isSessionReused() };
        socket.on("secureConnect", () => socket.write(`GET / HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`));
        // TLS 1.3 hands the session out with the first answer.
        socket.on("data", () => {
            resolve({ protocol: protocol(), resumed: resumed(), session: socket.getSession()! });
            socket.destroy();
        });
        socket.on("error", reject);
    });
}

describe("clients", () => {
    test("cannot forge what the nodes are told about them", async () => {
        const forged = {
            "x-forwarded-for": "6.6.6.6",
            "x-forwarded-proto": "http",
            "x-forwarded-host": "evil.example.com",
            "x-forwarded-port": "80",
            "x-real-ip": "6.6.6.6",
            forwarded: "for=6.6.6.6",
            "x-api-host": "evil.example.com",
        };
        expect(await send(forged)).toBe(200);
        const gateway = address.replace(/\d+$/, "1");
        expect(seen.headers).toMatchObject({
            host: hostname,
            "x-forwarded-for": gateway,
            "x-forwarded-proto": "https",
            "x-forwarded-host": hostname,
            "x-forwarded-port": "443",
            "x-real-ip": gateway,
        });
        expect(Object.keys(seen.headers)).not.toEqual(expect.arrayContaining(["forwarded"]));
        expect(seen.headers).not.toHaveProperty("x-api-host");
        expect(await send({ host: "evil.example.com" })).toBe(421);
    });

    test("behind a trusted proxy are told from it", async () => {
        await apply(program({ trustedProxies: [address.replace(/\d+$/, "1")] }));
        await send({ "x-forwarded-for": "6.6.6.6, 192.0.2.77" });
        expect(seen.headers["x-forwarded-for"]).toBe("192.0.2.77");
        await apply(program());
    });

    test("may send 40 kB of headers, and not 300 kB", async () => {
        const large = "a".repeat(40_000);
        expect(await send({ "x-large": large })).toBe(200);
        expect(seen.headers["x-large"]).toBe(large);
        // The end of the connection may overtake the answer.
        expect(await send({ "x-large": "a".repeat(300_000) }).catch(() => 400)).toBe(400);
        expect(seen.headers["x-large"]).toBe(large);
        await served(certificate);
    });

    test("get an answer with 7 kB of headers", async () => {
        const answer = await raw(`GET /large-header HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`);
        expect(answer).toMatch(/^HTTP\/1\.1 200 /);
        expect([...answer.matchAll(/^set-cookie: (.*)\r$/gim)].map(match => match[1])).toEqual(largeHeader);
    });

    test("that do not end their headers are cut off after 15 s, while others are served", async () => {
        const began = Date.now();
        const slow = raw(`GET / HTTP/1.1\r\nHost: ${hostname}\r\nX-Slow: `).then(answer => [answer, (Date.now() - began) / 1000]);
        await serveMany();
        const [answer, seconds] = await slow;
        expect(answer).toBe("");
        expect(seconds).toBeGreaterThan(13);
        expect(seconds).toBeLessThan(20);
    });

    test("that send or read slowly are served all the same, and so are others meanwhile", async () => {
        const body = connectTls({ host: address, port: 443, servername: hostname, ca: ca.certificate });
        body.write(`POST /slow HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\nContent-Length: 10\r\n\r\n`);
        const sender = setInterval(() => body.write("x"), 500);
        const reader = request({
            host: address,
            path: "/large-body",
            servername: hostname,
            ca: ca.certificate,
            agent: false,
            headers: { host: hostname },
        });
        const [answer] = (await once(reader.end(), "response")) as [IncomingMessage];
        let bytes = 0;
        answer.on("data", chunk => {
            bytes += chunk.length;
            answer.pause();
            setTimeout(() => answer.resume(), 10);
        });
        await serveMany();
        expect(answer.complete).toBe(false);
        const [first] = await once(body, "data");
        clearInterval(sender);
        expect(String(first)).toMatch(/^HTTP\/1\.1 200 /);
        expect(seen.bytes).toBe(10);
        await once(answer, "end");
        expect(bytes).toBe(largeBody.length);
    });

    test("upload 100 MB", async () => {
        const body = Buffer.alloc(100 * 1024 * 1024, "x");
        expect(await send({ "content-length": String(body.length) }, { method: "POST", path: "/upload", body })).toBe(200);
        expect(seen).toMatchObject({ bytes: body.length, digest: createHash("sha256").update(body).digest("hex") });
    });

    test("get no upgrade but WebSocket and SPDY", async () => {
        const upgrade = async (protocol: string) => {
            const answer = raw(`GET / HTTP/1.1\r\nHost: ${hostname}\r\nConnection: Upgrade, close\r\nUpgrade: ${protocol}\r\n\r\n`);
            return (
                await Promise.race([answer, new Promise<string>(resolve => setTimeout(() => resolve("HTTP/1.1 101 (open)"), 2000))])
            ).split(" ")[1];
        };
        expect([await upgrade("h2c"), await upgrade("foo/1"), await upgrade("SPDY/3.1")]).toEqual(["200", "200", "101"]);
    });

    test.each([
        ["200", "GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"],
        ["400", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"],
        ["413", "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 999999999999\r\nConnection: close\r\n\r\n"],
        ["421", "GET / HTTP/1.1\r\nHost: other.example.com\r\nConnection: close\r\n\r\n"],
    ])("are not told the version of NGINX by a %s", async (status, text) => {
        const answer = await raw(text.replace("HOST", hostname));
        expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [^]*^Server: nginx\r$`, "m"));
        expect(answer).not.toMatch(/nginx\/\d/);
    });

    test("with TLS 1.1 are refused", async () => {
        const old = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
        await expect(handshake(old)).rejects.toThrow(/alert protocol version/);
    });

    test("with TLS 1.2 are refused when that is wanted, and what is for the host alone may have another port", async () => {
        await apply(program({ minTlsVersion: "1.3", statusPort: 10281 }));
        await expect(handshake({ maxVersion: "TLSv1.2" })).rejects.toThrow(/alert protocol version/);
        expect(await handshake({})).toMatchObject({ protocol: "TLSv1.3" });
        expect(await onHost("curl -s http://127.0.0.1:10281/healthz")).toBe("ok\n");
        expect(await probe()).toBe("in sync");
        await apply(program());
        expect(await probe()).toBe("in sync");
    });

    test.each(["TLSv1.2", "TLSv1.3"] as const)("with %s are served, and resume their session", async version => {
        const only = { minVersion: version, maxVersion: version };
        const first = await handshake(only);
        expect(first).toMatchObject({ protocol: version, resumed: false });
        expect(await handshake({ ...only, session: first.session })).toMatchObject({ protocol: version, resumed: true });
    });

    test("share a few connections to the nodes", async () => {
        let opened = 0;
        const count = () => void opened++;
        upstreamServer().on("connection", count);
        await serveMany();
        upstreamServer().off("connection", count);
        expect(opened).toBeLessThan(30);
    });

    test("and nodes that are silently gone are released: a node after 15 s, a client after a minute", async () => {
        const open = async () => {
            const upgraded = once(upstreamServer(), "upgrade") as Promise<[IncomingMessage]>;
            const client = await openWebSocket();
            const [{ socket: node }] = await upgraded;
            return { client, node };
        };
        const deadNode = await open();
        const deadClient = await open();
        const clientPort = (deadClient.client as unknown as { _socket: Socket })._socket.localPort;
        const silent = (how: string) =>
            `iptables ${how} INPUT -p tcp --dport ${deadNode.node.remotePort} -j DROP; iptables ${how} INPUT -p tcp --sport ${clientPort} -j DROP`;
        await broken(silent("-I"), silent("-D"), async () => {
            const began = Date.now();
            const seconds = (closed: Promise<unknown>) => closed.then(() => (Date.now() - began) / 1000);
            const closed = [once(deadNode.client, "close"), once(deadClient.node, "close")];
            const [node, client] = await Promise.all(closed.map(seconds));
            expect(node).toBeLessThan(20);
            expect(client).toBeLessThan(70);
        });
    });

    test("are told to insist on HTTPS when that is wanted", async () => {
        await apply(program({ hstsMaxAgeSeconds: 300 }));
        const answer = await raw(`GET / HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`);
        expect(answer).toMatch(/^Strict-Transport-Security: max-age=300\r$/m);
        await apply(program());
    });

    test("of an old worker keep their WebSocket for workerShutdownTimeoutSeconds, then it ends", async () => {
        await apply(program({ workerShutdownTimeoutSeconds: 5 }));
        const socket = await openWebSocket();
        // Not those that still end for an earlier test.
        const current = async () => (await onHost("pgrep -f 'nginx: worker process$'")).trim().split("\n");
        const before = await current();
        const closed = once(socket, "close").then(() => Date.now());
        const began = Date.now();
        const applied = apply(program({ workerShutdownTimeoutSeconds: 6 }));
        expect((await closed) - began).toBeGreaterThan(4500);
        await applied;
        await until("the old workers to end", 10, async () => {
            const now = (await workers()).trim().split("\n");
            return before.every(pid => !now.includes(pid));
        });
        await apply(program());
    });

    test("do not reach what is for the host alone", async () => {
        for (const path of ["/status", "/healthz", "/release"]) {
            await send({}, { path });
            expect((await ask(path)).body).toBe(`${hostname} https`);
        }
        await expect(fetch(`http://${address}:10280/healthz`)).rejects.toThrow();
        expect(await onHost("curl -s http://127.0.0.1:10280/healthz")).toBe("ok\n");
        expect(await onHost("curl -s http://127.0.0.1:10280/status")).toMatch(/Active connections: \d+/);
    });
});

describe("the access log", () => {
    test("is JSON with upstream timings, without the token of an import", async () => {
        await send({}, { path: "/v3/import/abcdef-token-abcdef.yaml?a=b" });
        await send({}, { path: "/v3//import/abcdef-token-abcdef.yaml", method: "HEAD" });
        await send({}, { path: '/quoted"?a=b' });
        const uri = "/v3/import/";
        const lines = await logged({ uri, method: "GET" }, { uri, method: "HEAD" }, { uri: '/quoted"?a=b' });
        const first = lines.find(line => line.uri === uri && line.method === "GET");
        expect(first).toMatchObject({ status: 200, client: address.replace(/\d+$/, "1"), tls: "TLSv1.3" });
        expect(Number(first.upstream_seconds)).toBeGreaterThanOrEqual(0);
        expect(await onHost("cat /var/log/nginx/*.log | grep -c abcdef-token || true")).toBe("0\n");
    });

    test("nor is that token in the error log when no node answers", async () => {
        const { port } = upstreamServer().address() as AddressInfo;
        const refusal = (how: string) => `iptables ${how} OUTPUT -p tcp --dport ${port} -j REJECT --reject-with tcp-reset`;
        await broken(refusal("-I"), refusal("-D"), async () => {
            expect(await send({}, { path: "/v3/import/abcdef-token-abcdef.yaml" })).toBe(502);
            expect(await send({}, { path: "/elsewhere" })).toBe(502);
            expect(await onHost("grep -c elsewhere /var/log/nginx/error.log")).not.toBe("0\n");
            await logged({ uri: "/v3/import/", status: 502 }, { uri: "/elsewhere" });
            expect(await onHost("cat /var/log/nginx/*.log | grep -c abcdef-token || true")).toBe("0\n");
        });
    });

    test("is rotated, and NGINX writes into the new file", async () => {
        expect(await onHost("systemctl is-enabled logrotate.timer")).toBe("enabled\n");
        await onHost("logrotate --force /etc/logrotate.d/nginx");
        await until("a new file", 10, async () => (await send({}), (await onHost("wc -l </var/log/nginx/access.log")).trim() !== "0"));
        expect(await onHost("ls /var/log/nginx/access.log.1")).toContain("access.log.1");
    });
});

describe("certificates that cannot be served are refused, and the old one is served on", () => {
    const issued = (options: Partial<Parameters<typeof issue>[0]>) => {
        const made = issue({ name: hostname, by: ca, names: [`DNS:${hostname}`], usage: "serverAuth", ...options });
        keys.push(made.privateKey);
        return made;
    };
    test.each<[string, () => Issued, RegExp]>([
        [
            "for another name",
            () => issued({ names: ["DNS:other.example.com"] }),
            /fullchain\.pem does not cover rancher\.lab\.internal: DNS:other\.example\.com/,
        ],
        [
            "expired",
            () => issued({ days: -1 }),
            /fullchain\.pem is valid from .* to .*, and the clock of this host says .*Renew the certificate, or set the clock/,
        ],
        [
            "with a chain in the wrong order",
            () => {
                const made = issued({});
                return { ...made, certificate: made.certificate + certificate.certificate };
            },
            /the chain fullchain\.pem is not in order: expected the certificate of .*CA of a test, found /,
        ],
        [
            "with an intermediate of the right name and another key",
            () => {
                const made = issued({});
                return {
                    ...made,
                    certificate: made.certificate + issued({ name: "CA of a test", ca: true, names: undefined }).certificate,
                };
            },
            /the chain fullchain\.pem does not hold: a certificate is not signed with the key of the next: error/,
        ],
        [
            "with its name in the subject alone",
            () => issued({ names: undefined }),
            /fullchain\.pem does not cover rancher\.lab\.internal: it has no/,
        ],
    ])("%s", (_what, made, words) => refused(program({}, made()), words));

    test("not valid yet on this host, whose clock is far off", () =>
        // The clock belongs to the whole machine: what openssl of the host takes for the time is changed instead.
        broken(
            `printf '#!/bin/sh\\ncase $1 in verify) shift; set -- verify -attime 1000000000 "$@" ;; esac\\nexec /usr/bin/openssl "$@"\\n' >/usr/local/bin/openssl
            chmod 755 /usr/local/bin/openssl`,
            "rm /usr/local/bin/openssl",
            () => refused(program({ readTimeoutSeconds: 999 }), /is valid from .*, and the clock of this host says/),
        ));
});

describe("certificates of other kinds", () => {
    const rsa = issue({ name: hostname, by: ca, names: [`DNS:${hostname}`], usage: "serverAuth", key: KeyKind.Rsa });

    /** Fingerprint of what a client gets that knows these signatures only. */
    const offered = (sigalgs: string) =>
        new Promise<string>((resolve, reject) => {
            const socket = connectTls({ host: address, port: 443, servername: hostname, ca: ca.certificate, sigalgs }, () => {
                resolve(socket.getPeerCertificate().fingerprint256);
                socket.destroy();
            });
            socket.on("error", reject);
        });

    test("two: every client gets the one that it knows", async () => {
        keys.push(rsa.privateKey);
        await apply(program({ secondCertificate: { certificateChain: rsa.certificate, privateKey: rsa.privateKey } }));
        expect(await offered("ECDSA+SHA256")).toBe(await fingerprint(certificate));
        expect(await offered("RSA-PSS+SHA256")).toBe(await fingerprint(rsa));
        expect(await onHost("stat -Lc '%a %U' /etc/nginx/rancher-ha/privkey-2.pem")).toBe("600 root\n");
        expect(await probe()).toBe("in sync");
        await apply(program());
    });

    describe("files that another tool keeps on the host", () => {
        const live = "/etc/letsencrypt/live/rancher";
        const kept = { certificateChain: `${live}/fullchain.pem`, privateKey: `${live}/privkey.pem` };
        const elsewhere = (): Partial<NginxSettings> => ({ certificateChain: undefined, privateKey: undefined, certificateOnHost: kept });
        const put = async (name: string, text: string, version: number) => {
            const archive = `/etc/letsencrypt/archive/${name}${version}.pem`;
            await hostExec(instance, host, ["sh", "-c", `umask 077; mkdir -p ${live} /etc/letsencrypt/archive; cat >${archive}`], {
                input: text,
            });
            await onHost(`ln -sfn ${archive} ${live}/${name}.pem`);
        };
        afterAll(() => onHost("rm -rf /etc/letsencrypt"));

        test("are refused while they are missing", () =>
            refused(program(elsewhere()), /expected a PEM file \/etc\/letsencrypt\/live\/rancher\/fullchain\.pem, found none/));

        test("are served, and so is a renewal once both are written", async () => {
            await put("fullchain", certificate.certificate, 1);
            await put("privkey", certificate.privateKey, 1);
            await apply(program(elsewhere()));
            await served(certificate);
            expect(await probe()).toBe("in sync");

            const renewed = issue({ name: hostname, by: ca, names: [`DNS:${hostname}`], usage: "serverAuth" });
            keys.push(renewed.privateKey);
            const before = await workers();
            await put("fullchain", renewed.certificate, 2);
            await new Promise(resolve => setTimeout(resolve, 2000));
            expect(await workers()).toBe(before);
            await served(certificate);
            await put("privkey", renewed.privateKey, 2);
            await until("the renewed certificate", 40, async () => (await ask()).fingerprint === (await fingerprint(renewed)));
            expect(await probe()).toBe("in sync");
        });

        test.each([
            ["for another name", { names: ["DNS:other.lab.internal"] }, "does not cover rancher.lab.internal"],
            ["that has expired", { days: -1 }, "has expired"],
        ])("are not served when the renewal is one %s", async (_what, changes, words) => {
            const before = await ask();
            const wrong = issue({ name: hostname, by: ca, names: [`DNS:${hostname}`], usage: "serverAuth", ...changes });
            keys.push(wrong.privateKey);
            await put("fullchain", wrong.certificate, 5);
            await put("privkey", wrong.privateKey, 5);
            const log = "journalctl -u rancher-ha-certificate --since '-2min' -o cat --no-pager";
            await until("what is wrong, in the journal", 30, async () => (await onHost(log)).includes(words));
            expect(await ask()).toEqual(before);
            expect(await probe()).toContain(`NGINX does not serve the certificate in ${live}/fullchain.pem`);
            await put("fullchain", certificate.certificate, 1);
            await put("privkey", certificate.privateKey, 1);
            await until("a certificate that is fit", 40, async () => (await ask()).fingerprint === (await fingerprint(certificate)));
        });

        test("are still looked at after many changes beside them", async () => {
            await onHost(`for n in 1 2 3 4 5 6 7 8; do touch ${live}/other; sleep 1.5; done; rm ${live}/other`);
            expect(await onHost("systemctl is-active rancher-ha-certificate.path")).toBe("active\n");
            const renewed = issue({ name: hostname, by: ca, names: [`DNS:${hostname}`], usage: "serverAuth" });
            keys.push(renewed.privateKey);
            await put("fullchain", renewed.certificate, 4);
            await put("privkey", renewed.privateKey, 4);
            await until("the renewed certificate", 40, async () => (await ask()).fingerprint === (await fingerprint(renewed)));
        });

        test("that were renewed without a reload are seen as drift", async () => {
            await onHost("systemctl stop rancher-ha-certificate.path");
            const renewed = issue({ name: hostname, by: ca, names: [`DNS:${hostname}`], usage: "serverAuth" });
            keys.push(renewed.privateKey);
            await put("fullchain", renewed.certificate, 3);
            await put("privkey", renewed.privateKey, 3);
            expect(await probe()).toBe(
                `rancher-ha-certificate.path: inactive, expected active\nNGINX does not serve the certificate in ${live}/fullchain.pem`,
            );
            await apply(program(elsewhere()));
            await served(renewed);
            expect(await probe()).toBe("in sync");
        });

        test.each(["fullchain.pem", "privkey.pem"])("are missed in the probe: %s", async name => {
            await onHost(`mv ${live}/${name} ${live}/away`);
            expect(await probe()).toContain(`${live}/privkey.pem: missing, not readable, or they do not belong together`);
            await onHost(`mv ${live}/away ${live}/${name}`);
            expect(await probe()).toBe("in sync");
        });

        test("stay when the stack brings its own certificate again", async () => {
            await apply(program());
            await served(certificate);
            expect(await onHost(`ls ${live}`)).toBe("fullchain.pem\nprivkey.pem\n");
            expect(await onHost("systemctl is-active rancher-ha-certificate.path || true")).toBe("inactive\n");
        });
    });
});

describe("extra directives", () => {
    const extra = (directives: Partial<NginxSettings["extraDirectives"]>) => ({
        extraDirectives: { http: "", server: "", location: "", ...directives },
    });

    test("take effect", async () => {
        await apply(program(extra({ http: "map $host $greeting { default hello; }", server: "add_header X-Greeting $greeting always;" })));
        const header = await new Promise(resolve =>
            request({ host: address, servername: hostname, ca: ca.certificate, agent: false, headers: { host: hostname } }, answer =>
                resolve(answer.resume().headers["x-greeting"]),
            ).end(),
        );
        expect(header).toBe("hello");
        await apply(program());
    });

    test.each([
        [
            "that NGINX does not know",
            extra({ server: "no_such_directive on;" }),
            /refuses the configuration:[^]*unknown directive "no_such_directive"/,
        ],
        [
            "that open another listener",
            extra({ http: "server { listen 8443; return 204; }" }),
            /expected no other listener than ports 80 and 443, found listen 8443/,
        ],
        [
            "that open one in words that are hard to find",
            extra({ server: 'add_header X "#a"; "listen"\n 8443 ssl;' }),
            /expected no other listener than ports 80 and 443, found listen 8443/,
        ],
        [
            "that include a file with one",
            extra({ http: "include /run/extra.conf;" }),
            /expected no other listener than ports 80 and 443, found listen 0\.0\.0\.0:9443/,
        ],
    ])("%s are refused before they go live", async (_what, changes, words) => {
        await onHost("echo 'server { listen 0.0.0.0:9443; }' >/run/extra.conf");
        await refused(program(changes), words);
    });
});

test("more connections than the host has files are refused", () =>
    refused(
        program({ workerConnections: 900_000 }),
        /workerConnections: expected at most \d+, because NGINX may open \d+ files on this host, found 900000\. Lower it, or raise LimitNOFILE/,
    ));

test("the last three releases are kept, their keys for root alone", async () => {
    for (const readTimeoutSeconds of [1000, 1001, 1002, 1003]) await apply(program({ readTimeoutSeconds }));
    const kept = await onHost("ls /var/lib/pulumi-rancher-ha/load-balancer/releases");
    expect(kept.trim().split("\n")).toHaveLength(3);
    expect(
        await onHost("find /var/lib/pulumi-rancher-ha -name 'privkey*' ! -perm 600; stat -c %a /var/lib/pulumi-rancher-ha/load-balancer"),
    ).toBe("700\n");
    await apply(program());
});

test.each([
    ["before the new files are on the disk", '{ sync -f "$dir"'],
    ["between the files and the link", 'point "$current" "$2"'],
    ["before the reload", 'activate "$previous" "$dir" ||'],
    ["before the release is noted", 'mv -fT "$state/manifest.new"'],
])("the host loses power %s: it serves after it, and the next apply converges", async (_when, step) => {
    const noted = () => onHost("sha256sum /var/lib/pulumi-rancher-ha/load-balancer/manifest");
    const before = await noted();
    const text = program({ readTimeoutSeconds: 2000 });
    expect(text.split(step)).toHaveLength(2);
    let lost: Promise<unknown> | undefined;
    const applied = await ssh("apply", text.replace(step, `{ echo here >&2; sleep 60; }; ${step}`), {
        onLine: line => {
            if (line === "here") lost = killHost(instance, host);
        },
    });
    expect(lost).toBeDefined();
    expect(applied).toMatchObject({ code: 255, stdout: "" });
    await lost;
    await reviveHost(instance, host);
    await until(
        "the host",
        60,
        async () => (await hostExec(instance, host, ["systemctl", "is-active", "ssh", "nginx"], { tolerate: true })).code === 0,
    );
    expect(await noted()).toBe(before);
    await served(certificate);
    await apply(program({ readTimeoutSeconds: 2000 }));
    expect(await probe()).toBe("in sync");
    await apply(program());
});

test("destroy leaves the host as it was", async () => {
    expect(await ssh("destroy", program())).toMatchObject({ code: 0 });
    expect(await hostState()).toBe(pristine);
});

test("a host with an NGINX of somebody else is taken over without a moment without a listener, and given back", async () => {
    const site = "server { listen 80 default_server; location / { return 200 theirs; } }";
    await onHost(`{ apt-get -q update; DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install nginx; } >/run/apt.log 2>&1
        rm /etc/nginx/sites-enabled/default; echo '${site}' >/etc/nginx/conf.d/shop.conf; systemctl restart nginx`);
    const before = await hostState();
    const theirs = async () => (await fetch(`http://${address}/`)).text();
    expect(await theirs()).toBe("theirs");
    await refused(
        program(),
        /nginx on this host is configured for something else:\n\/etc\/nginx\/conf\.d\/shop\.conf\nChoose another host, .*or set takeOver/,
    );

    const state = "/var/lib/pulumi-rancher-ha/load-balancer";
    await broken(
        `mkdir -p ${state}; mount -t tmpfs -o size=40k,mode=700 none ${state}`,
        `umount ${state}; rm -r /var/lib/pulumi-rancher-ha`,
        async () => {
            const said = expect.stringContaining(`what is there could not be kept. Check free space in ${state}`);
            expect(await ssh("apply", program({ takeOver: true }))).toMatchObject({ code: 1, said });
            expect(await theirs()).toBe("theirs");
        },
    );
    expect(await hostState()).toBe(before);

    const refusedConnections: Error[] = [];
    const knock = setInterval(() => void fetch(`http://${address}/`).catch(error => refusedConnections.push(error.cause)), 20);
    await apply(program({ takeOver: true }));
    clearInterval(knock);
    expect(refusedConnections.filter(error => /ECONNREFUSED/.test(String(error)))).toEqual([]);
    await served(certificate);
    expect(await probe()).toBe("in sync");

    // No room for the copy that is put back: what was kept is not lost, and our configuration is not half gone.
    await broken(
        "mkdir /etc/nginx.new; mount -t tmpfs -o size=40k none /etc/nginx.new",
        "umount /etc/nginx.new; rm -rf /etc/nginx.new",
        async () => {
            const said = expect.stringContaining("configuration of nginx that was here before cannot be put back into /etc/nginx");
            expect(await ssh("destroy", program())).toMatchObject({ code: 1, said });
            expect(await onHost(`nginx -t -q; cat ${state}/original/nginx/etc/conf.d/shop.conf`)).toBe(`${site}\n`);
            await served(certificate);
        },
    );
    // Killed when their files are back, and the service does not know it yet.
    const kept = `${state}/original/nginx`;
    const hangs = `[ ! -e ${kept}/restoring ] || sleep 60; exec /usr/bin/systemctl "$@"`;
    await broken(
        `printf '#!/bin/sh\\n%s\\n' '${hangs}' >/usr/local/sbin/systemctl; chmod 755 /usr/local/sbin/systemctl`,
        "rm /usr/local/sbin/systemctl",
        () =>
            killed(
                "destroy",
                program(),
                "putting the configuration of nginx back",
                `diff -r --no-dereference ${kept}/etc /etc/nginx >/dev/null`,
            ),
    );
    await served(certificate);
    expect(await ssh("destroy", program())).toMatchObject({ code: 0 });
    expect(await hostState()).toBe(before);
    expect(await theirs()).toBe("theirs");
    await onHost("dpkg --purge nginx nginx-common >/dev/null 2>&1; rm -rf /etc/nginx");
});

const ofPair = (last: number) => address.replace(/\d+$/, String(last));
const vrrp = () => ({ routerId: 77, advertIntervalSeconds: 0.1, address, peer: ofPair(21), virtualIp: ofPair(20), priority: 100 });

test("a host that fails to become one of a pair is as it was, without the packages of a pair", async () => {
    await apply(program());
    const wrong = { extraDirectives: { http: "", server: "no_such_directive on;", location: "" } };
    await refused(hostScript(owner, settings(wrong), 1, vrrp()), /installing keepalived[^]*unknown directive "no_such_directive"/);
});

test("a keepalived of somebody else: refused, runs on when one host fails to become a pair, and is back after a pair is destroyed", async () => {
    const theirs =
        "vrrp_instance theirs {\n state BACKUP\n interface eth0\n virtual_router_id 9\n virtual_ipaddress {\n 10.89.78.99/32\n }\n}";
    await onHost(`{ apt-get -q update; DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install keepalived; } >/run/apt.log 2>&1
        printf '${theirs.replace(/\n/g, "\\n")}\\n' >/etc/keepalived/keepalived.conf; systemctl -q enable keepalived 2>/dev/null; systemctl restart keepalived`);
    const keepalived = () => onHost("cat /etc/keepalived/keepalived.conf; systemctl is-enabled keepalived; systemctl is-active keepalived");
    const before = [await hostState(), await keepalived()];
    expect(before[1]).toBe(`${theirs}\nenabled\nactive\n`);
    const refusal = {
        code: 1,
        said: expect.stringContaining("keepalived on this host is configured for something else:\n/etc/keepalived/keepalived.conf\n"),
    };
    expect(await ssh("apply", hostScript(owner, settings(), 1, vrrp()))).toMatchObject(refusal);
    const pair = hostScript(owner, settings({ takeOver: true }), 1, vrrp());
    const applied = await ssh("apply", pair.replace(/return 200 "\w{12} /, 'return 200 "another '));
    expect(applied.said).toMatch(
        /taking over the configuration of keepalived[^]*found release 'another'[^]*the previous release was put back/,
    );
    expect([await hostState(), await keepalived()]).toEqual(before);
    await served(certificate);
    await apply(pair);
    expect(await probe()).toBe("in sync");

    // Once more when the host is one alone: what is there now is kept, not what was there the first time.
    await apply(program());
    const others = theirs.replace("_id 9", "_id 10");
    await onHost(
        `printf '${others.replace(/\n/g, "\\n")}\\n' >/etc/keepalived/keepalived.conf; systemctl -q enable --now keepalived 2>/dev/null`,
    );
    expect(await ssh("apply", hostScript(owner, settings(), 1, vrrp()))).toMatchObject(refusal);
    await apply(pair);
    expect(await ssh("destroy", program())).toMatchObject({ code: 0 });
    expect(await keepalived()).toBe(`${others}\nenabled\nactive\n`);
});

test(
    `a WebSocket that was idle for ${idleMinutes} minutes is still there`,
    async () => {
        await new Promise(resolve => setTimeout(resolve, idle.since + idleMinutes * 60_000 - Date.now()));
        expect(idle.socket.readyState).toBe(WebSocket.OPEN);
        const answer = once(idle.socket, "message");
        idle.socket.send("still there");
        expect(String((await answer)[0])).toBe("still there");
    },
    (idleMinutes + 1) * 60_000,
);

test("no private key was said", () => {
    const lines = keys.flatMap(key => key.trim().split("\n").slice(1, -1));
    expect(lines.length).toBeGreaterThan(2);
    for (const line of lines) expect(heard.some(text => text.includes(line))).toBe(false);
});
