import { createHash } from "crypto";
import { once } from "events";
import { IncomingHttpHeaders, IncomingMessage, RequestListener } from "http";
import { request } from "https";
import { until } from "../../../lab/process";
import { disposable, testLab } from "../fixtures";
import { askMany, echo } from "./client";
import { hostname, LoadBalancerHost } from "./loadBalancerHost";
import { greet } from "./upstream";

jest.setTimeout(10 * 60_000);

const largeHeader = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh"].map(name => `${name}=${"c".repeat(2000)}`);
const largeBody = Buffer.alloc(20_000_000, "x");

/** The last request that the node got. */
let seen: { headers: IncomingHttpHeaders; digest: string; bytes: number };
const answer: RequestListener = (asked, answered) => {
    const hash = createHash("sha256");
    let bytes = 0;
    asked
        .on("data", chunk => (hash.update(chunk), (bytes += chunk.length)))
        .on("end", () => {
            seen = { headers: asked.headers, digest: hash.digest("hex"), bytes };
            if (asked.url === "/large-header") answered.setHeader("set-cookie", largeHeader);
            if (asked.url === "/large-body") answered.end(largeBody);
            else greet(asked, answered);
        });
};

const lab = disposable(testLab());
let lb: LoadBalancerHost;
beforeAll(async () => {
    lb = await LoadBalancerHost.start(lab, "lb2", answer);
    await lb.apply();
});
afterAll(() => LoadBalancerHost.stop(lb));

/** Returns the text of a request without a body. Its connection ends with the answer. */
const get = (path: string, ...headers: string[]) =>
    [`GET ${path} HTTP/1.1`, `Host: ${hostname}`, ...headers, "Connection: close", "", ""].join("\r\n");

describe("what the nodes are told", () => {
    test("clients cannot forge", async () => {
        const forged = {
            "x-forwarded-for": "6.6.6.6",
            "x-forwarded-proto": "http",
            "x-forwarded-host": "evil.example.com",
            "x-forwarded-port": "80",
            "x-real-ip": "6.6.6.6",
            forwarded: "for=6.6.6.6",
            "x-api-host": "evil.example.com",
        };
        expect(await lb.client.status("/", { headers: forged })).toBe(200);
        expect(seen.headers).toMatchObject({
            host: hostname,
            "x-forwarded-for": lab.gateway,
            "x-forwarded-proto": "https",
            "x-forwarded-host": hostname,
            "x-forwarded-port": "443",
            "x-real-ip": lab.gateway,
        });
        expect(Object.keys(seen.headers)).not.toEqual(expect.arrayContaining(["forwarded"]));
        expect(seen.headers).not.toHaveProperty("x-api-host");
        expect(await lb.client.status("/", { headers: { host: "evil.example.com" } })).toBe(421);
    });

    test("of a client behind a trusted proxy comes from the proxy", () =>
        lb.changed({ trustedProxies: [lab.gateway] }, async () => {
            await lb.client.ask("/", { headers: { "x-forwarded-for": "6.6.6.6, 192.0.2.77" } });
            expect(seen.headers["x-forwarded-for"]).toBe("192.0.2.77");
        }));
});

describe("clients", () => {
    test("may send 40 kB of headers, and not 300 kB", async () => {
        const large = "a".repeat(40_000);
        expect(await lb.client.status("/", { headers: { "x-large": large } })).toBe(200);
        expect(seen.headers["x-large"]).toBe(large);
        // The connection may end before the client has read the answer.
        expect(await lb.client.status("/", { headers: { "x-large": "a".repeat(300_000) } }).catch(() => 400)).toBe(400);
        expect(seen.headers["x-large"]).toBe(large);
        await lb.served();
    });

    test("get an answer with 14 kB of headers", async () => {
        const answered = await lb.client.raw(get("/large-header"));
        expect(answered).toMatch(/^HTTP\/1\.1 200 /);
        expect([...answered.matchAll(/^set-cookie: (.*)\r$/gim)].map(match => match[1])).toEqual(largeHeader);
    });

    test("that never end their headers keep nobody from being served, for 15 s at most", async () => {
        expect(await lb.sh("nginx -T 2>/dev/null")).toContain("client_header_timeout 15s;");
        const slow = lb.client.connect(`GET / HTTP/1.1\r\nHost: ${hostname}\r\nX-Slow: `);
        await once(slow, "secureConnect");
        expect((await askMany(lb.client)).statuses).toEqual([200]);
        slow.destroy();
    });

    test("that stop in the middle are served once they go on, and others meanwhile", async () => {
        const begun = `POST /slow HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\nContent-Length: 10\r\n\r\nxxxxx`;
        const sender = lb.client.connect(begun);
        const { tls } = lb.client;
        const reader = request({ ...tls, path: "/large-body", agent: false, headers: { host: hostname } });
        const [answered] = (await once(reader.end(), "response")) as [IncomingMessage];
        expect((await askMany(lb.client)).statuses).toEqual([200]);
        expect(answered.complete).toBe(false);
        let bytes = 0;
        answered.on("data", chunk => (bytes += chunk.length));
        await once(answered, "end");
        expect(bytes).toBe(largeBody.length);
        sender.write("xxxxx");
        const [first] = await once(sender, "data");
        expect(String(first)).toMatch(/^HTTP\/1\.1 200 /);
        expect(seen.bytes).toBe(10);
    });

    test("upload 100 MB", async () => {
        const body = Buffer.alloc(100 * 1024 * 1024, "x");
        const headers = { "content-length": String(body.length) };
        expect(await lb.client.status("/upload", { method: "POST", headers, body })).toBe(200);
        expect(seen).toMatchObject({ bytes: body.length, digest: createHash("sha256").update(body).digest("hex") });
    });

    test("upload over HTTP/2 without a length, up to the limit", () =>
        lb.changed({ maxBodySize: "2m" }, () => {
            const curl = `curl -sk -T - -X POST -o /dev/null -w '%{http_version} %{http_code}' --resolve ${hostname}:443:127.0.0.1`;
            const upload = (bytes: number) => lb.sh(`head -c ${bytes} /dev/zero | ${curl} https://${hostname}/upload || true`);
            return Promise.all([expect(upload(2_000_000)).resolves.toBe("2 200"), expect(upload(3_000_000)).resolves.toBe("2 413")]);
        }));

    test("upload to a node while they send, so that nothing of it is stored here", async () => {
        const arrived = once(lb.upstream.server, "request");
        const begun = `POST /upload HTTP/1.1\r\nHost: ${hostname}\r\nContent-Length: 50000000\r\n\r\n${"x".repeat(1_000_000)}`;
        const sender = lb.client.connect(begun);
        await arrived;
        expect(await lb.sh("find /proc/[0-9]*/fd -lname '/var/lib/nginx/body/*' 2>/dev/null || true")).toBe("");
        sender.destroy();
    });

    test("keep tunnels that carry data while their network is away for 20 s", async () => {
        const sockets = await Promise.all(Array.from({ length: 50 }, () => lb.client.openWebSocket()));
        const answers = sockets.map(() => 0);
        sockets.forEach((socket, index) => socket.on("message", () => void answers[index]++));
        // Messages of the client still reach the nodes, so their echoes wait on this host without an acknowledgement.
        const away = (how: string) => lb.sh(`iptables ${how} OUTPUT -p tcp --sport 443 -j DROP`);
        await away("-A");
        try {
            for (let second = 0; second < 20; second++) {
                for (const socket of sockets) socket.send(String(second));
                await new Promise(resolve => setTimeout(resolve, 1000));
            }
            expect(answers.every(count => count === 0)).toBe(true);
        } finally {
            await away("-D");
        }
        await until("every tunnel to go on", 90, async () => answers.every(count => count === 20));
        for (const socket of sockets) socket.terminate();
    });

    test("get no upgrade but WebSocket and SPDY", async () => {
        const upgrade = async (protocol: string) => {
            const text = `GET / HTTP/1.1\r\nHost: ${hostname}\r\nConnection: Upgrade, close\r\nUpgrade: ${protocol}\r\n\r\n`;
            return (await lb.client.firstPart(text)).split(" ")[1];
        };
        expect([await upgrade("h2c"), await upgrade("foo/1"), await upgrade("SPDY/3.1")]).toEqual(["200", "200", "101"]);
    });

    test.each([
        ["200", get("/")],
        ["400", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"],
        ["413", `POST / HTTP/1.1\r\nHost: ${hostname}\r\nContent-Length: 999999999999\r\nConnection: close\r\n\r\n`],
        ["421", "GET / HTTP/1.1\r\nHost: other.example.com\r\nConnection: close\r\n\r\n"],
    ])("are not told the version of NGINX by a %s", async (status, text) => {
        const answered = await lb.client.raw(text);
        expect(answered).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [^]*^Server: nginx\r$`, "m"));
        expect(answered).not.toMatch(/nginx\/\d/);
    });

    test("share a few connections to the nodes", async () => {
        let opened = 0;
        const count = () => void opened++;
        lb.upstream.server.on("connection", count);
        expect((await askMany(lb.client)).statuses).toEqual([200]);
        lb.upstream.server.off("connection", count);
        expect(opened).toBeLessThan(30);
    });

    test("and nodes that are silently gone are looked for by the kernel, as configured", async () => {
        const settings = "keepalive_time keepalive_intvl keepalive_probes retries2 thin_linear_timeouts".split(" ");
        const found = await lb.sh(`sysctl -n ${settings.map(name => `net.ipv4.tcp_${name}`).join(" ")}`);
        // The kernel sends the first probe to a node after 6 s, and two more every 3 s. It drops unacknowledged data after 51 s.
        expect(found.trim().split("\n").map(Number)).toEqual([6, 3, 3, 7, 1]);
        expect(await lb.sh("nginx -T 2>/dev/null | grep -c so_keepalive=30s:10s:3")).toBe("2\n");
        const socket = await lb.client.openWebSocket();
        // The kernel's own default is two hours. `ss` prints 29sec, 5.984ms for 5.984 s, 268ms, and minutes as 1min59sec.
        const secondsOf = (timer: string) =>
            timer.includes("min") ? Infinity : parseFloat(timer) / (timer.endsWith("ms") && !timer.includes(".") ? 1000 : 1);
        const within = async (filter: string, seconds: number) => {
            let found = "";
            const isSet = async () => {
                found = await lb.sh(`ss -Htno state established '${filter}'`);
                const timers = [...found.matchAll(/timer:\(keepalive,(\w[\w.]*),/g)];
                return timers.length > 0 && timers.every(([, timer]) => secondsOf(timer) <= seconds);
            };
            await until("keep-alive timers", 240, isSet).catch(() => expect([seconds, found]).toBe("all connections within seconds"));
        };
        await within(`sport = :443 and dst ${lab.gateway}`, 30);
        await within(`dport = :${lb.upstream.port}`, 6);
        expect(await echo(socket, "still there")).toBe("still there");
        socket.terminate();
    });

    test("are told to insist on HTTPS when that is wanted", () =>
        lb.changed({ hstsMaxAgeSeconds: 300 }, async () => {
            expect(await lb.client.raw(get("/"))).toMatch(/^Strict-Transport-Security: max-age=300\r$/m);
        }));

    test("of an old worker keep their WebSocket until workerShutdownTimeoutSeconds is over", async () => {
        await lb.apply({ workerShutdownTimeoutSeconds: 5 });
        const socket = await lb.client.openWebSocket();
        // These are the workers before the change. Workers of an earlier test may still be ending.
        const before = (await lb.sh("pgrep -f 'nginx: worker process$'")).trim().split("\n");
        const closed = once(socket, "close").then(() => Date.now());
        const began = Date.now();
        const applied = lb.apply();
        expect((await closed) - began).toBeGreaterThan(4500);
        await applied;
        await until("the old workers to end", 60, async () => {
            const now = (await lb.workers()).trim().split("\n");
            return before.every(pid => !now.includes(pid));
        });
    });

    test("do not reach what is for the host alone", async () => {
        for (const path of ["/status", "/healthz", "/release"]) expect((await lb.ask(path)).body).toBe(`${hostname} https`);
        await expect(fetch(`http://${lb.host.address}:280/healthz`)).rejects.toThrow();
        expect(await lb.sh("curl -s http://127.0.0.1:280/healthz")).toBe("ok\n");
        expect(await lb.sh("curl -s http://127.0.0.1:280/status")).toMatch(/Active connections: \d+/);
    });

    test("no local user can hold the status port and keep NGINX from starting", async () => {
        const listen = `IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1:280") or print "$!\\n"`;
        expect(await lb.sh(`runuser -u nobody -- perl -MIO::Socket::INET -e '${listen}'`)).toBe("Permission denied\n");
    });
});

describe("TLS", () => {
    test("1.1 is refused", async () => {
        const old = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
        await expect(lb.client.handshake(old)).rejects.toThrow(/alert protocol version/);
    });

    test("1.2 is refused with minTlsVersion 1.3, and the host's own server has statusPort", async () => {
        await lb.changed({ minTlsVersion: "1.3", statusPort: 10281 }, async () => {
            await expect(lb.client.handshake({ maxVersion: "TLSv1.2" })).rejects.toThrow(/alert protocol version/);
            expect(await lb.client.handshake({})).toMatchObject({ protocol: "TLSv1.3" });
            expect(await lb.sh("curl -s http://127.0.0.1:10281/healthz")).toBe("ok\n");
            expect(await lb.probe()).toBe("in sync");
        });
        expect(await lb.probe()).toBe("in sync");
    });

    test.each(["TLSv1.2", "TLSv1.3"] as const)("%s is served, and its sessions are resumed", async version => {
        const only = { minVersion: version, maxVersion: version };
        const first = await lb.client.handshake(only);
        expect(first).toMatchObject({ protocol: version, resumed: false });
        expect(await lb.client.handshake({ ...only, session: first.session })).toMatchObject({ protocol: version, resumed: true });
    });
});

describe("the access log", () => {
    test("is JSON with upstream timings, without the token of an import", async () => {
        await lb.client.ask("/v3/import/abcdef-token-abcdef.yaml?a=b");
        await lb.client.ask("/v3//import/abcdef-token-abcdef.yaml", { method: "HEAD" });
        await lb.client.ask('/quoted"?a=b');
        const uri = "/v3/import/";
        const lines = await lb.logged({ uri, method: "GET" }, { uri, method: "HEAD" }, { uri: '/quoted"?a=b' });
        const first = lines.find(line => line.uri === uri && line.method === "GET");
        expect(first).toMatchObject({ status: 200, client: lab.gateway, tls: "TLSv1.3" });
        expect(Number(first.upstream_seconds)).toBeGreaterThanOrEqual(0);
        expect(await lb.sh("cat /var/log/nginx/*.log | grep -c abcdef-token || true")).toBe("0\n");
    });

    test("nor the error log has that token when no node answers", async () => {
        const refusal = (how: string) => `iptables ${how} OUTPUT -p tcp --dport ${lb.upstream.port} -j REJECT --reject-with tcp-reset`;
        await lb.broken(refusal("-I"), refusal("-D"), async () => {
            expect(await lb.client.status("/v3/import/abcdef-token-abcdef.yaml")).toBe(502);
            expect(await lb.client.status("/elsewhere")).toBe(502);
            expect(await lb.sh("grep -c elsewhere /var/log/nginx/error.log")).not.toBe("0\n");
            await lb.logged({ uri: "/v3/import/", status: 502 }, { uri: "/elsewhere" });
            expect(await lb.sh("cat /var/log/nginx/*.log | grep -c abcdef-token || true")).toBe("0\n");
        });
    });

    test("is rotated, and NGINX writes into the new file", async () => {
        expect(await lb.sh("systemctl is-enabled logrotate.timer")).toBe("enabled\n");
        await lb.sh("logrotate --force /etc/logrotate.d/nginx");
        await until("a new file", 60, async () => {
            await lb.client.ask();
            return (await lb.sh("wc -l </var/log/nginx/access.log")).trim() !== "0";
        });
        expect(await lb.sh("ls /var/log/nginx/access.log.1")).toContain("access.log.1");
    });

    test("is rotated within an hour once it is larger than 1 GB", async () => {
        const rotate = "systemctl start rancher-ha-logs.service; stat -c %s /var/log/nginx/error.log.1 2>/dev/null || echo none";
        await lb.sh("rm -f /var/log/nginx/error.log.*; echo >/var/log/nginx/error.log");
        expect(await lb.sh(rotate)).toBe("none\n");
        await lb.sh("truncate -s 1025M /var/log/nginx/error.log");
        expect(await lb.sh(rotate)).toBe(`${1025 * 1024 * 1024}\n`);
        expect(await lb.sh("systemctl is-active rancher-ha-logs.timer; rm /var/log/nginx/error.log.1")).toBe("active\n");
    });
});
