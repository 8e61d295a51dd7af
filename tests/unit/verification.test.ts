import { spawn } from "child_process";
import { createHash } from "crypto";
import * as http from "http";
import * as http2 from "http2";
import * as https from "https";
import { AddressInfo } from "net";
import { findingOf, parseProbe } from "../../components/remote/probe";
import { liveCheckProgram, verificationProgram } from "../../components/rancher/program";
import { issue, Issued } from "../../lab/certificates";

const hostname = "rancher.example.com";
const password = "first-login-password";
const token = "token-abcde:never-to-be-printed";
const address = "127.0.0.1";
const options = { hostname, addresses: [address], bootstrapPassword: password, maxRequestHeaderSize: "64k", after: [], timeoutSeconds: 0 };

let ca: Issued, otherCa: Issued, leaf: Issued, foreign: Issued;
const servers: http.Server[] = [];

beforeAll(() => {
    ca = issue({ name: "CA", ca: true });
    otherCa = issue({ name: "Other CA", ca: true });
    leaf = issue({ name: hostname, by: ca, names: [`DNS:${hostname}`] });
    foreign = issue({ name: "www.example.net", by: ca, names: ["DNS:www.example.net"] });
});
afterEach(() => servers.splice(0).forEach(server => (server.close(), server.closeAllConnections?.())));

type Answer = (request: http.IncomingMessage, response: http.ServerResponse) => boolean;

interface Faults {
    certificate?: Issued;
    withoutHttp2?: boolean;
    /** Closes every HTTP/2 connection without an answer. */
    closingHttp2?: boolean;
    withoutWebSocket?: boolean;
    /** Offers only the login API `/v1-public`. The other one answers with this status. */
    withoutV3Public?: number;
    wrongAccept?: boolean;
    /** Answers a request in place of Rancher and returns true, or leaves the request to Rancher. */
    answer?: Answer;
    plain?: Answer;
    onLogin?: () => void;
    onLogout?: () => void;
}

/** Starts a load balancer and Rancher in one: two servers with the answers of Rancher 2.11. */
async function rancher(faults: Faults = {}): Promise<{ httpsPort: number; httpPort: number }> {
    const certificate = faults.certificate ?? leaf;
    const handler = (request: any, response: any) => {
        if (request.headers.host !== hostname && request.authority !== hostname) return response.writeHead(421).end();
        if (faults.closingHttp2 && request.httpVersion === "2.0") return request.stream.session.destroy();
        if (faults.answer?.(request, response)) return;
        const text = (status: number, body: string, headers = {}) => response.writeHead(status, headers).end(body);
        if (request.url === "/ping") return text(200, "pong");
        if (request.url === "/cacerts") return text(200, ca.certificate.trim());
        if (request.url === "/") return text(302, "", { location: "/dashboard/" });
        if (request.url === "/v3") return text(401, '{"message":"must authenticate"}');
        if (request.url.startsWith("/v3/tokens")) return (faults.onLogout?.(), text(200, ""));
        const loginPath = faults.withoutV3Public ? "/v1-public/login" : "/v3-public/localProviders/local?action=login";
        if (request.url === loginPath) {
            faults.onLogin?.();
            let body = "";
            request.on("data", (chunk: Buffer) => (body += chunk));
            request.on("end", () => {
                const login = JSON.parse(body);
                if (faults.withoutV3Public && login.type !== "localProvider") return text(422, "");
                return login.password === password ? text(201, JSON.stringify({ token })) : text(401, "");
            });
            return;
        }
        if (request.url.startsWith("/v3-public") && faults.withoutV3Public) return text(faults.withoutV3Public, "");
        return text(request.url === "/dashboard/" ? 200 : 404, "");
    };
    const settings = { key: certificate.privateKey, cert: certificate.certificate };
    const secure: any = faults.withoutHttp2
        ? https.createServer(settings, handler)
        : http2.createSecureServer({ ...settings, allowHTTP1: true }, handler);
    // A server of HTTP/2 does not take this limit as an option.
    secure.maxHeaderSize = 80_000;
    secure.on("upgrade", (request: http.IncomingMessage, socket: import("net").Socket) => {
        if (faults.withoutWebSocket || request.headers.cookie !== `R_SESS=${token}`) {
            return socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
        const key = faults.wrongAccept ? "" : request.headers["sec-websocket-key"];
        const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
        return socket.write(
            `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
        );
    });
    const plain = http.createServer((request, response) => {
        if (!faults.plain?.(request, response)) response.writeHead(301, { location: `https://${hostname}${request.url}` }).end();
    });
    for (const server of [secure, plain]) {
        servers.push(server);
        await new Promise<void>(resolve => server.listen(0, address, resolve));
    }
    const port = (server: http.Server) => (server.address() as AddressInfo).port;
    return { httpsPort: port(secure), httpPort: port(plain) };
}

async function verify(ports: { httpsPort: number; httpPort: number }, changed: Partial<Parameters<typeof verificationProgram>[0]> = {}) {
    const child = spawn("node", ["-", "apply"]);
    child.stdin.end(verificationProgram({ caCertificate: ca.certificate, ...options, ...changed }, { ...ports, pauseSeconds: 0.2 }));
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", chunk => (stdout += chunk));
    child.stderr.on("data", chunk => (stderr += chunk));
    const code = await new Promise<number>(resolve => child.on("close", resolve));
    for (const secret of [password, token]) expect(stdout + stderr).not.toContain(secret);
    return { code, stdout, stderr };
}

async function look(ports: { httpsPort: number; httpPort: number }, asWord: "warning" | "refused" = "warning") {
    const child = spawn("node", ["-", "probe"]);
    child.stdin.end(liveCheckProgram({ ...options, caCertificate: ca.certificate }, asWord, ports));
    let stdout = "";
    child.stdout.on("data", chunk => (stdout += chunk));
    await new Promise(resolve => child.on("close", resolve));
    return parseProbe(stdout);
}

const answering =
    (path: string, status: number, body: string, headers = {}): Answer =>
    (request, response) => {
        if (request.url !== path) return false;
        response.writeHead(status, headers).end(body);
        return true;
    };

test("all checks pass, and the session of the check is ended", async () => {
    let logouts = 0;
    const result = await verify(await rancher({ onLogout: () => (logouts += 1) }));
    expect(result.stderr).toMatch(/8 checks done in \d+ s/);
    expect(result.stdout.split("\n")).toEqual(
        ["certificate", "ping", "redirect", "cacerts", "http2", "redirects", "headers", "websocket"].map(
            name => `ok ${name} at ${address}`,
        ),
    );
    expect(result.code).toBe(0);
    expect(logouts).toBe(1);
});

test.each([401, 404])("the WebSocket is checked too when /v3-public is switched off and answers %i", async withoutV3Public => {
    const result = await verify(await rancher({ withoutV3Public }));
    expect(result.stdout).toContain(`ok websocket at ${address}`);
    expect(result.code).toBe(0);
});

test.each<[string, Faults, Partial<typeof options & { caCertificate: string }>, RegExp]>([
    [
        "certificate of another CA",
        { certificate: undefined },
        { caCertificate: "other" },
        /certificate at 127\.0\.0\.1: expected a certificate for rancher\.example\.com from the given CA, found UNABLE_TO_VERIFY_LEAF_SIGNATURE \(certificate for DNS:rancher\.example\.com, issued by CA\)\. Check which/,
    ],
    [
        "certificate for another name",
        { certificate: "foreign" as never },
        {},
        /certificate at .*found ERR_TLS_CERT_ALTNAME_INVALID \(certificate for DNS:www\.example\.net, issued by CA\)/,
    ],
    [
        "private certificate where a public one is expected",
        {},
        { caCertificate: "" },
        /certificate at .* from a publicly trusted CA, found UNABLE_TO_VERIFY_LEAF_SIGNATURE/,
    ],
    [
        "no upstream",
        { answer: answering("/ping", 502, "<html>Bad Gateway</html>") },
        {},
        /ping at .*expected 200 "pong" from \/ping, found 502 "<html>Bad Gateway<\/html>"\. The load balancer reaches no worker/,
    ],
    [
        "unknown host name",
        { answer: answering("/ping", 404, "default backend - 404") },
        {},
        /ping at .*The ingress controller does not know the host name/,
    ],
    [
        "no redirect on port 80",
        { plain: answering("/dashboard/?from=verification", 200, "Welcome to nginx") },
        {},
        /redirect at .*expected 301 to https:\/\/rancher\.example\.com\/dashboard\/\?from=verification from port \d+, found 200\./,
    ],
    [
        "wrong redirect on port 80",
        { plain: answering("/dashboard/?from=verification", 301, "", { location: `https://${hostname}/` }) },
        {},
        /redirect at .*found 301 to https:\/\/rancher\.example\.com\/\./,
    ],
    [
        "temporary redirect on port 80",
        { plain: answering("/dashboard/?from=verification", 302, "", { location: `https://${hostname}/dashboard/?from=verification` }) },
        {},
        /redirect at .*found 302 to/,
    ],
    [
        "no CA handed out",
        { answer: answering("/cacerts", 200, "") },
        {},
        /cacerts at .*found no certificate\. Agents would not trust the server/,
    ],
    [
        "another CA handed out",
        { answer: answering("/cacerts", 200, "other") },
        {},
        /cacerts at .*expected the CA \(SHA-256 [0-9a-f]{64}\) from \/cacerts, found another content \(SHA-256/,
    ],
    ["HTTP/2 without an answer", { closingHttp2: true }, {}, /http2 at .*no usable connection: .*closed without an answer$/m],
    ["no HTTP/2", { withoutHttp2: true }, {}, /http2 at .*expected HTTP\/2 to be negotiated, found http\/1\.1\./],
    [
        "redirect to itself",
        { answer: answering("/", 302, "", { location: `https://${hostname}/` }) },
        {},
        /redirects at .*found a redirect loop \(https:\/\/rancher\.example\.com\/ → https:\/\/rancher\.example\.com\/\)\. Check that X-Forwarded-Proto/,
    ],
    [
        "redirect to plain HTTP",
        { answer: answering("/v3", 302, "", { location: `http://${hostname}/v3` }) },
        {},
        /redirects at .*found a redirect to http:\/\/rancher\.example\.com\/v3\./,
    ],
    [
        "endless redirects",
        {
            answer: (request, response) =>
                request.url!.startsWith("/v3") &&
                !request.url!.startsWith("/v3-") &&
                !request.url!.includes("token") &&
                !!response.writeHead(302, { location: `${request.url}x` }).end(),
        },
        {},
        /redirects at .*found a redirect loop/,
    ],
    [
        "no WebSocket",
        { withoutWebSocket: true },
        {},
        /websocket at .*expected 101 from \/v1\/subscribe with Upgrade: websocket, found 400\. Check that the load balancer passes/,
    ],
    ["upgrade answered by something else", { wrongAccept: true }, {}, /websocket at .*found 101 with a wrong Sec-WebSocket-Accept/],
    [
        "login broken",
        { answer: answering("/v3-public/localProviders/local?action=login", 500, "boom") },
        {},
        /websocket at .*expected 201 and a token from the login, found 500/,
    ],
])("found: %s", async (_name, faults, changed, expected) => {
    const certificate = (faults.certificate as unknown) === "foreign" ? foreign : undefined;
    const caCertificate = changed.caCertificate === "other" ? otherCa.certificate : changed.caCertificate;
    const ports = await rancher({ ...faults, certificate });
    const result = await verify(ports, { ...changed, ...(caCertificate === undefined ? {} : { caCertificate }) });
    expect(result.stderr).toMatch(expected);
    expect(result.code).toBe(1);
    expect(result.stdout).toBe("");
});

test("nothing listens", async () => {
    const result = await verify({ httpsPort: 1, httpPort: 1 });
    expect(result.stderr).toMatch(
        /1 of 8 checks failed after 0 s, 7 were not tried because of that: \[RHA rancher-answers\]\n {2}certificate at 127\.0\.0\.1: no usable connection: ECONNREFUSED/,
    );
    expect(result.code).toBe(1);
});

test("no password goes over a connection that is not trusted", async () => {
    let logins = 0;
    await verify(await rancher({ onLogin: () => (logins += 1) }), { caCertificate: otherCa.certificate });
    expect(logins).toBe(0);
});

test("a check that fails at first is repeated until it succeeds", async () => {
    let pings = 0;
    const ports = await rancher({
        answer: (request, response) => request.url === "/ping" && ++pings < 3 && !!response.writeHead(503).end(),
    });
    const result = await verify(ports, { timeoutSeconds: 30 });
    expect(result.stderr).toMatch(/waiting \(\d s\): ping at 127\.0\.0\.1: .*No Rancher pod is ready/);
    expect(result.code).toBe(0);
    expect(result.stdout).toMatch(/ok ping at/);
});

test("without a bootstrap password the WebSocket is left out, with the reason", async () => {
    const result = await verify(await rancher(), { bootstrapPassword: undefined });
    expect(result.stdout).toMatch(/left out websocket at 127\.0\.0\.1: it needs a login, and no bootstrap password is given/);
    expect(result.code).toBe(0);
});

test("once the password was changed the WebSocket is left out, after a few attempts", async () => {
    let logins = 0;
    const result = await verify(await rancher({ onLogin: () => (logins += 1) }), {
        bootstrapPassword: "changed-since",
        timeoutSeconds: 60,
    });
    expect(result.stdout).toMatch(
        /left out websocket at 127\.0\.0\.1: it needs a login, and the bootstrap password is refused \(401\): it was changed since/,
    );
    expect(result.code).toBe(0);
    expect(logins).toBe(5);
});

describe("an ingress controller that takes smaller headers than the load balancer", () => {
    const words =
        /^headers at 127\.0\.0\.1: expected 200 from \/ping with a cookie of 63 kB, .* found 400\. .* add large-client-header-buffers: "4 64k"/;

    const small: Faults = {
        answer: ({ headers }, response) =>
            (headers.cookie?.length ?? 0) > 8192 && !!response.writeHead(400).end("Request Header Or Cookie Too Large"),
    };

    test("is a warning, and fails no update", async () => {
        const result = await verify(await rancher(small));
        expect(result.stdout).toMatch(new RegExp(words.source.replace("^", "^warning "), "m"));
        expect(result.stdout).toContain(`ok websocket at ${address}`);
        expect(result.code).toBe(0);
    });

    let pings: number;
    test.each<[string, Answer]>([
        ["Rancher starts", ({ url }, response) => url === "/ping" && ++pings < 6 && !!response.writeHead(503).end()],
        ["it reads new limits", ({ headers }, response) => !!headers.cookie && ++pings < 3 && !!response.writeHead(400).end()],
    ])("is not reported while %s", async (_what, answer) => {
        pings = 0;
        const result = await verify(await rancher({ answer }), { timeoutSeconds: 30 });
        expect(pings).toBeGreaterThan(2);
        expect(result.stdout).toContain(`ok headers at ${address}`);
    });

    test.each(["warning", "refused"] as const)("is a warning of a preview, when other faults are: %s", async word => {
        const found = await look(await rancher(small), word);
        expect([found.state, found.warnings]).toEqual(["in sync", [expect.stringMatching(words)]]);
    });

    test("is not looked for without the limit", async () => {
        const result = await verify(await rancher(small), { maxRequestHeaderSize: undefined });
        expect(result.stdout).toContain(`left out headers at ${address}: the load balancer's largest header field is not given`);
    });
});

test("every address is verified", async () => {
    const ports = await rancher();
    const result = await verify(ports, { addresses: [address, "127.0.0.2"] });
    expect(result.stderr).toMatch(/1 of 16 checks failed after \d s, 7 were not tried/);
    expect(result.stderr).toMatch(/certificate at 127\.0\.0\.2: no usable connection: ECONNREFUSED/);
});

describe("the live check of a preview", () => {
    const dead: Faults = { answer: answering("/ping", 502, "<html>Bad Gateway</html>") };
    const words = /^ping at 127\.0\.0\.1: expected 200 "pong" .*The load balancer reaches no worker: check the upstreams/;

    test("says nothing when all is well, and does not log in", async () => {
        let logins = 0;
        const found = await look(await rancher({ onLogin: () => (logins += 1) }));
        expect([found.state, found.warnings, logins]).toEqual(["in sync", [], 0]);
    });

    test("warns once of a dead URL, with its cause, or refuses", async () => {
        const ports = await rancher(dead);
        expect((await look(ports)).warnings).toEqual([expect.stringMatching(words)]);
        expect(findingOf(await look(ports, "refused"))).toMatch(/^refused: ping at/);
    });

    test("says in one line that this machine does not reach the address", async () =>
        expect((await look({ httpsPort: 1, httpPort: 1 })).warnings).toEqual([
            expect.stringMatching(/^certificate at 127\.0\.0\.1: no usable connection: ECONNREFUSED/),
        ]));
});
