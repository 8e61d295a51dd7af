// Defines the checks of Rancher at one address of the load balancer.
const { openWebSocket } = require("./site");
const { described, LeftOut, oneLine, sha256, Shortcoming, Unexpected } = require("./unexpected");

const maxHops = 5;
const maxRefusals = 5;

/** @import { Site } from "./site" */

/** @type {Record<string, (site: Site) => Promise<void>>} */
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
    headers: async site => {
        if (!site.headerBuffers) throw new LeftOut("the load balancer's largest header field is not given");
        const size = parseInt(site.headerBuffers.split(" ")[1]) - 1;
        // Without Rancher's answer to a small request, that of a large one would tell nothing.
        await checks.ping(site);
        const answer = await site.get("/ping", { headers: { Cookie: `verification=${"x".repeat(size * 1024)}` } });
        if (answer.status === 200) return;
        throw new Shortcoming(
            `200 from /ping with a cookie of ${size} kB, which the load balancer passes on`,
            answer.status,
            "Users with large tokens cannot log in. Raise the limit of the ingress controller. For ingress-nginx, add " +
                `large-client-header-buffers: "${site.headerBuffers}" to its ConfigMap`,
        );
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

/**
 * @param {Site} site
 * @param {string} path
 */
async function followRedirects(site, path) {
    /** @type {string[]} */
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

/**
 * Asks both login APIs in turn. Rancher 2.13 deprecated `/v3-public`, and a feature flag can switch it off. It may then answer 401, as to
 * a wrong password, so `/v1-public` is asked too. An older Rancher answers 404 there. Source: rancher/rancher pkg/auth/server.go.
 *
 * @param {Site} site
 */
async function answerToLogin(site) {
    const login = { username: "admin", password: site.bootstrapPassword, description: "verification", ttl: 60000 };
    const answer = await site.send("POST", "/v3-public/localProviders/local?action=login", { body: JSON.stringify(login) });
    if (!refusals.includes(answer.status)) return answer;
    const newer = await site.send("POST", "/v1-public/login", { body: JSON.stringify({ ...login, type: "localProvider" }) });
    return newer.status === 404 ? answer : newer;
}

const refusals = [401, 403, 404];

/** @param {Site} site */
async function logIn(site) {
    const answer = await answerToLogin(site);
    if (refusals.includes(answer.status)) {
        // A Rancher that has just started may not have created its administrator yet.
        site.refusals += 1;
        if (site.refusals >= maxRefusals) {
            const cause = answer.status === 404 ? "Rancher hides its local users or has no login API" : "it was changed since";
            throw new LeftOut(`it needs a login, and the bootstrap password is refused (${answer.status}): ${cause}`);
        }
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

/** @param {number} status */
function reachAdvice(status) {
    if (status === 502 || status === 504) return "The load balancer reaches no worker: check the upstreams, and port 80 on the workers";
    if (status === 503) return "No Rancher pod is ready: look at the pods in cattle-system";
    if (status === 404) return "The ingress controller does not know the host name: check hostname and the Ingress cattle-system/rancher";
    return "Look at the pods in cattle-system and the load balancer's log";
}

module.exports = { checks };
