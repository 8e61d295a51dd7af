// Reaches Rancher at one address of the load balancer, as browsers and agents do.
const { createHash, randomBytes } = require("crypto");
const http = require("http");
const http2 = require("http2");
const https = require("https");
const tls = require("tls");
const { Unexpected } = require("./unexpected");

// A probe in a preview must be short.
const answerSeconds = process.argv[2] === "probe" ? 3 : 10;

/**
 * @typedef {{ status: number, headers: http.IncomingHttpHeaders, body: string }} Answer
 * @typedef {{ secure?: boolean, headers?: Record<string, string>, body?: string }} Question
 * @typedef {ReturnType<typeof siteAt>} Site
 */

/**
 * Returns a client of Rancher at one address of the load balancer. The client pins the host name to the address and never asks DNS.
 *
 * @param {string} address
 * @param {import("../program").SiteInput} input
 */
function siteAt(address, input) {
    const { hostname, caCertificate, httpsPort, httpPort } = input;
    const tlsOptions = () => ({ host: address, port: httpsPort, servername: hostname, ca: caCertificate || undefined });
    /** @type {(method: string, path: string, question?: Question) => Promise<Answer>} */
    const send = (method, path, { secure = true, headers = {}, body } = {}) =>
        new Promise((resolve, reject) => {
            /** @type {http.RequestOptions & { headers: http.OutgoingHttpHeaders }} */
            const options = { method, path, headers: { Host: hostname, ...headers }, agent: false, timeout: answerSeconds * 1000 };
            if (body !== undefined)
                Object.assign(options.headers, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
            const request = secure
                ? https.request({ ...tlsOptions(), ...options })
                : http.request({ host: address, port: httpPort, ...options });
            request.on("response", response => {
                let text = "";
                response.setEncoding("utf8").on("data", chunk => (text = (text + chunk).slice(0, 1_000_000)));
                response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
                response.on("error", reject);
            });
            request.on("timeout", () => request.destroy(new Error(`no answer in ${answerSeconds} s`)));
            request.on("error", reject);
            request.end(body);
        });
    /** @type {(options: tls.ConnectionOptions) => Promise<tls.TLSSocket>} */
    const connect = options =>
        new Promise((resolve, reject) => {
            const socket = tls.connect({ ...tlsOptions(), ...options, timeout: answerSeconds * 1000 });
            socket.once("secureConnect", () => resolve(socket));
            socket.once("timeout", () => socket.destroy(new Error(`no answer in ${answerSeconds} s`)));
            socket.once("error", reject);
        });
    const getOverHttp2 = async (/** @type {string} */ path) => {
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
    /** @type {(path: string, question?: Question) => Promise<Answer>} */
    const get = (path, question) => send("GET", path, question);
    return { ...input, address, refusals: 0, tlsOptions, send, connect, getOverHttp2, get };
}

/**
 * @param {Site} site
 * @param {string} path
 * @param {string} token
 * @returns {Promise<void>}
 */
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

module.exports = { openWebSocket, siteAt };
