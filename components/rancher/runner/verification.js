// Runs where Pulumi runs, as a program on standard input: asks Rancher through the load balancer, as browsers and agents do.
const { createHash, randomBytes } = require("crypto");
const http = require("http");
const http2 = require("http2");
const https = require("https");
const tls = require("tls");
const { probeText } = require("../../remote/runner/probe");

// A look in a preview must not take long.
const answerSeconds = process.argv[2] === "probe" ? 3 : 10;
const maxHops = 5;
const maxRefusals = 5;

/** What a check throws when the answer is wrong: what was expected, what came, and what to do. */
class Unexpected extends Error {
    constructor(expected, found, advice) {
        super(`expected ${expected}, found ${found}. ${advice}`);
    }
}

/** What a check throws when it cannot be done, and that is no fault of the stack. */
class LeftOut extends Error {}

const checks = {
    certificate: async site => {
        const socket = await site.connect({ rejectUnauthorized: false });
        const certificate = socket.getPeerCertificate();
        socket.destroy();
        if (socket.authorized) return;
        const names = oneLine(certificate.subjectaltname ?? certificate.subject?.CN ?? "no name");
        const found = `${socket.authorizationError} (certificate for ${names}, issued by ${oneLine(certificate.issuer?.CN ?? "no name")})`;
        const trusted = site.caCertificate ? "the given CA" : "a publicly trusted CA";
        throw new Unexpected(
            `a certificate for ${site.hostname} from ${trusted}`,
            found,
            "Check which certificate the load balancer serves",
        );
    },
    ping: async site => {
        const answer = await site.get("/ping");
        if (answer.status === 200 && answer.body.trim() === "pong") return;
        throw new Unexpected('200 "pong" from /ping', described(answer), reachAdvice(answer.status));
    },
    redirect: async site => {
        const path = "/dashboard/?from=verification";
        const answer = await site.get(path, { secure: false });
        const target = `https://${site.hostname}${path}`;
        if (answer.status === 301 && answer.headers.location === target) return;
        const found = `${answer.status}${answer.headers.location ? ` to ${oneLine(answer.headers.location)}` : ""}`;
        throw new Unexpected(
            `301 to ${target} from port ${site.httpPort}`,
            found,
            "Check that the load balancer answers there, and nothing else",
        );
    },
    cacerts: async site => {
        if (!site.caCertificate) throw new LeftOut("the certificate is from a publicly trusted CA, so Rancher hands out none");
        const answer = await site.get("/cacerts");
        if (answer.status === 200 && answer.body.trim() === site.caCertificate.trim()) return;
        const found =
            answer.status !== 200
                ? described(answer)
                : answer.body.trim() === ""
                  ? "no certificate"
                  : `another content (SHA-256 ${sha256(answer.body.trim())})`;
        throw new Unexpected(
            `the CA (SHA-256 ${sha256(site.caCertificate.trim())}) from /cacerts`,
            found,
            "Agents would not trust the server: check the Secret cattle-system/tls-ca, and restart Rancher's pods if it is right",
        );
    },
    http2: async site => {
        const status = await site.getOverHttp2("/ping");
        if (status === 200) return;
        throw new Unexpected("200 from /ping over HTTP/2", status, "Check http2 in the load balancer's configuration");
    },
    redirects: async site => {
        for (const path of ["/", "/v3"]) await followRedirects(site, path);
    },
    websocket: async site => {
        if (!site.bootstrapPassword) throw new LeftOut("it needs a login, and no bootstrap password is given");
        const token = await logIn(site);
        try {
            await openWebSocket(site, "/v1/subscribe", token);
        } finally {
            await site
                .send("POST", "/v3/tokens?action=logout", { headers: { Authorization: `Bearer ${token}` }, body: "{}" })
                .catch(() => undefined);
        }
    },
};

async function followRedirects(site, path) {
    const seen = [];
    let url = `https://${site.hostname}${path}`;
    for (;;) {
        seen.push(url);
        const answer = await site.get(url.slice(`https://${site.hostname}`.length), { headers: { Accept: "text/html" } });
        if (answer.status >= 500) throw new Unexpected(`an answer from ${path}`, described(answer), reachAdvice(answer.status));
        if (answer.status < 300 || answer.status >= 400 || !answer.headers.location) return;
        const next = new URL(answer.headers.location, url).href;
        if (!next.startsWith(`https://${site.hostname}/`)) {
            throw new Unexpected(`${path} to lead to https://${site.hostname}/`, `a redirect to ${oneLine(next)}`, forwardedAdvice);
        }
        if (seen.includes(next) || seen.length > maxHops) {
            throw new Unexpected(
                `${path} to lead to a page`,
                `a redirect loop (${[...seen, next].map(oneLine).join(" → ")})`,
                forwardedAdvice,
            );
        }
        url = next;
    }
}

const forwardedAdvice = 'Check that X-Forwarded-Proto reaches Rancher: the ingress controller needs use-forwarded-headers "true"';

async function logIn(site) {
    const body = JSON.stringify({ username: "admin", password: site.bootstrapPassword, description: "verification", ttl: 60000 });
    const answer = await site.send("POST", "/v3-public/localProviders/local?action=login", { body });
    // 404 is the answer of a Rancher that hides its local users.
    if ([401, 403, 404].includes(answer.status)) {
        // A Rancher that has just started may not have made its administrator yet.
        site.refusals += 1;
        if (site.refusals >= maxRefusals)
            throw new LeftOut(`it needs a login, and the bootstrap password is refused (${answer.status}): it was changed since`);
        throw new Unexpected("the login to be accepted", answer.status, "Rancher may still be starting");
    }
    let token;
    try {
        token = JSON.parse(answer.body).token;
    } catch {
        token = undefined;
    }
    if (answer.status !== 201 || !token) throw new Unexpected("201 and a token from the login", answer.status, reachAdvice(answer.status));
    return token;
}

function openWebSocket(site, path, token) {
    const key = randomBytes(16).toString("base64");
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    const advice = "Check that the load balancer passes the headers Upgrade and Connection over HTTP/1.1";
    return new Promise((resolve, reject) => {
        const headers = {
            Host: site.hostname,
            Connection: "Upgrade",
            Upgrade: "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key,
            Cookie: `R_SESS=${token}`,
        };
        const request = https.request({ ...site.tlsOptions(), path, headers, agent: false, timeout: answerSeconds * 1000 });
        request.on("upgrade", (answer, socket) => {
            socket.destroy();
            if (answer.headers["sec-websocket-accept"] === accept) resolve();
            else
                reject(
                    new Unexpected(
                        `a WebSocket from ${path}`,
                        "101 with a wrong Sec-WebSocket-Accept",
                        "Something between answers in Rancher's place",
                    ),
                );
        });
        request.on("response", answer => {
            answer.resume();
            reject(new Unexpected(`101 from ${path} with Upgrade: websocket`, answer.statusCode, advice));
        });
        request.on("timeout", () => request.destroy(new Error(`no answer in ${answerSeconds} s`)));
        request.on("error", reject);
        request.end();
    });
}

/** Rancher at one address of the load balancer: the host name is pinned to the address, DNS is never asked. */
function siteAt(address, input) {
    const { hostname, caCertificate, httpsPort, httpPort } = input;
    const tlsOptions = () => ({ host: address, port: httpsPort, servername: hostname, ca: caCertificate || undefined });
    const send = (method, path, { secure = true, headers = {}, body } = {}) =>
        new Promise((resolve, reject) => {
            const options = { method, path, headers: { Host: hostname, ...headers }, agent: false, timeout: answerSeconds * 1000 };
            if (body !== undefined)
                Object.assign(options.headers, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
            const request = secure
                ? https.request({ ...tlsOptions(), ...options })
                : http.request({ host: address, port: httpPort, ...options });
            request.on("response", response => {
                let text = "";
                response.setEncoding("utf8").on("data", chunk => (text = (text + chunk).slice(0, 1_000_000)));
                response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body: text }));
                response.on("error", reject);
            });
            request.on("timeout", () => request.destroy(new Error(`no answer in ${answerSeconds} s`)));
            request.on("error", reject);
            request.end(body);
        });
    const connect = options =>
        new Promise((resolve, reject) => {
            const socket = tls.connect({ ...tlsOptions(), ...options, timeout: answerSeconds * 1000 });
            socket.once("secureConnect", () => resolve(socket));
            socket.once("timeout", () => socket.destroy(new Error(`no answer in ${answerSeconds} s`)));
            socket.once("error", reject);
        });
    const getOverHttp2 = async path => {
        const socket = await connect({ ALPNProtocols: ["h2", "http/1.1"] });
        if (socket.alpnProtocol !== "h2") {
            socket.destroy();
            throw new Unexpected(
                "HTTP/2 to be negotiated",
                socket.alpnProtocol || "no protocol",
                "Check http2 in the load balancer's configuration",
            );
        }
        const session = http2.connect(`https://${hostname}`, { createConnection: () => socket });
        try {
            return await new Promise((resolve, reject) => {
                session.on("error", reject);
                const stream = session.request({ ":path": path, ":authority": hostname });
                stream.setTimeout(answerSeconds * 1000, () => reject(new Error(`no answer over HTTP/2 in ${answerSeconds} s`)));
                stream.on("error", reject);
                stream.on("close", () => reject(new Error("the connection was closed without an answer")));
                stream.on("response", headers => resolve(headers[":status"]));
            });
        } finally {
            session.destroy();
        }
    };
    return { ...input, address, refusals: 0, tlsOptions, send, connect, getOverHttp2, get: (path, options) => send("GET", path, options) };
}

function reachAdvice(status) {
    if (status === 502 || status === 504) return "The load balancer reaches no worker: check the upstreams, and port 80 on the workers";
    if (status === 503) return "No Rancher pod is ready: look at the pods in cattle-system";
    if (status === 404) return "The ingress controller does not know the host name: check hostname and the Ingress cattle-system/rancher";
    return "Look at the pods in cattle-system and the load balancer's log";
}

function described({ status, body }) {
    return `${status} ${JSON.stringify(oneLine(body))}`;
}

function oneLine(text) {
    const line = String(text)
        .trim()
        .split("\n")[0]
        .replace(/[^\x20-\x7e]/g, "?");
    return line.length > 100 ? `${line.slice(0, 100)}…` : line;
}

function sha256(text) {
    return createHash("sha256").update(text).digest("hex");
}

const main = input => (process.argv[2] === "probe" ? look(input) : verify(input));

/** Asks once, without a login, and says what is wrong in the words of a probe. `asWord` is `warning` or `refused`. */
async function look({ asWord, ...input }) {
    const problems = await Promise.all(
        input.addresses.map(async address => {
            const site = siteAt(address, { ...input, bootstrapPassword: undefined });
            for (const [name, check] of Object.entries(checks)) {
                if (typeof (await problemOf(check, site)) !== "string") continue;
                // NGINX may have been reloading.
                await new Promise(resolve => setTimeout(resolve, 1000));
                const problem = await problemOf(check, site);
                // The others would tell of the same cause.
                if (typeof problem === "string") return `${name} at ${address}: ${problem}`;
            }
        }),
    );
    process.stdout.write(probeText({ [asWord]: problems.filter(Boolean) }));
}

/** Returns what is wrong, or why the check is left out, or nothing. */
async function problemOf(check, site) {
    try {
        await check(site);
        return undefined;
    } catch (error) {
        if (error instanceof LeftOut) return error;
        return error instanceof Unexpected ? error.message : `no usable connection: ${error.code ?? ""} ${oneLine(error.message)}`;
    }
}

async function verify(input) {
    // Until all is checked: Node ends with success when nothing is left to wait for.
    process.exitCode = 1;
    const started = Date.now();
    const say = text => process.stderr.write(`${text}\n`);
    const elapsed = () => Math.round((Date.now() - started) / 1000);
    const sites = input.addresses.map(address => siteAt(address, input));
    let pending = sites.flatMap(site =>
        Object.entries(checks).map(([name, check]) => ({ title: `${name} at ${site.address}`, site, check })),
    );
    const total = pending.length;
    const results = [];
    const attempt = async one => {
        const problem = await problemOf(one.check, one.site);
        if (typeof problem === "string") return problem;
        results.push(problem ? `left out ${one.title}: ${problem.message}` : `ok ${one.title}`);
        if (problem) say(results[results.length - 1]);
        return undefined;
    };
    say(`Verifying https://${input.hostname} at ${input.addresses.join(", ")}`);
    for (;;) {
        for (const one of pending) {
            // Nothing else, the login least of all, goes over a connection that is not trusted.
            const untrusted = pending.find(({ site, problem, check }) => site === one.site && check === checks.certificate && problem);
            if (untrusted && untrusted !== one) continue;
            const before = one.problem;
            one.problem = await attempt(one);
            one.done = one.problem === undefined;
            if (one.problem && one.problem !== before) say(`waiting (${elapsed()} s): ${one.title}: ${one.problem}`);
        }
        pending = pending.filter(one => !one.done);
        if (pending.length === 0) break;
        if (elapsed() >= input.timeoutSeconds) {
            const failed = pending.filter(one => one.problem);
            const notTried = pending.length - failed.length;
            say(
                `${failed.length} of ${total} checks failed after ${elapsed()} s${notTried ? `, ${notTried} were not tried because of that` : ""}:`,
            );
            failed.forEach(one => say(`  ${one.title}: ${one.problem}`));
            return;
        }
        await new Promise(resolve => setTimeout(resolve, input.pauseSeconds * 1000));
    }
    say(`${total} checks done in ${elapsed()} s`);
    process.stdout.write(results.join("\n"));
    process.exitCode = 0;
}

module.exports = { main };
