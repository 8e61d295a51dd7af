// Runs where Pulumi runs, as part of a program on standard input.
const https = require("https");

/** Returns a handler for a rejected request. The handler resolves to the fallback when the object does not exist. */
const unless404 = (/** @type {any} */ fallback) => (/** @type {any} */ error) => {
    if (error.status === 404) return fallback;
    throw error;
};

/**
 * @typedef {(path: string, options?: { method?: string, body?: string, type?: string }) => Promise<any>} KubernetesApi
 */

/** The API quotes values of the request after these words. The request can hold secrets, so a message ends before a quoted value. */
const quoted = /(?<=\bvalue: |\bgot |\berror found in ).*/;

/**
 * Returns what an answer says about its error, on one line and without values of the request. Kubernetes says it in `message`, etcd in
 * `reason`. Another answer is not passed on: a proxy in front of the API sends whole pages.
 *
 * @param {string} text
 * @returns {string | undefined}
 */
function messageIn(text) {
    try {
        const { message, reason } = JSON.parse(text);
        const said = [message, reason].find(each => typeof each === "string" && each !== "");
        return said?.replace(/\s+/g, " ").trim().replace(quoted, "…").slice(0, 400);
    } catch {
        return undefined;
    }
}

/**
 * Returns the word and the text with which a probe reports a rejected request. A system that answered is not unreachable: the probe
 * cannot tell its state.
 *
 * @param {any} error
 * @returns {{ unreachable: string } | { unknown: string }}
 */
const failureOf = ({ isUnreachable, message }) => (isUnreachable ? { unreachable: message } : { unknown: message });

/**
 * Returns a function that asks the Kubernetes API and resolves to the answer. The function waits `patienceSeconds` for an answer. With 5 s,
 * a probe of seven unreachable nodes still ends within its timeout. It rejects with one line when there is no answer or an error. This
 * error has `isUnreachable` when there is no answer. Otherwise its `status` is the HTTP status, and its message ends with that of the API.
 *
 * @param {import("../kubeconfig").ApiAccess & { patienceSeconds?: number }} access
 * @returns {KubernetesApi}
 */
function kubernetesApi({ endpoint, ca, certificate, key, token, serverName, isInsecure = false, patienceSeconds = 5 }) {
    const tls = { ca, cert: certificate, key, rejectUnauthorized: !isInsecure, ...(serverName && { servername: serverName }) };
    const agent = new https.Agent({ keepAlive: true, maxSockets: 8, ...tls });
    return (path, { method = "GET", body, type } = {}) =>
        new Promise((resolve, reject) => {
            const headers = { ...(token && { Authorization: `Bearer ${token}` }), ...(type && { "Content-Type": type }) };
            // The signal also closes the socket, which would keep the process alive.
            const signal = AbortSignal.timeout(patienceSeconds * 1000);
            const fail = (/** @type {NodeJS.ErrnoException} */ error) => {
                const reason = signal.aborted ? `no answer within ${patienceSeconds} s` : error.code || error.message;
                reject(Object.assign(new Error(`${endpoint}: ${reason}`), { isUnreachable: true }));
            };
            const request = https.request(`${endpoint}${path}`, { method, headers, agent, signal }, response => {
                let text = "";
                response
                    .setEncoding("utf8")
                    .on("data", chunk => (text += chunk))
                    .on("error", fail)
                    .on("end", () => {
                        const status = response.statusCode ?? 0;
                        if (status >= 300) {
                            const said = messageIn(text);
                            const message = `${endpoint} answers ${status}${said ? `: ${said}` : ""}`;
                            return reject(Object.assign(new Error(message), { status }));
                        }
                        try {
                            resolve(JSON.parse(text));
                        } catch {
                            reject(Object.assign(new Error(`${endpoint} answers something else than the Kubernetes API`), { status }));
                        }
                    });
            });
            request.on("error", fail);
            request.end(body);
        });
}

/**
 * Asks the questions one after the other until one gets an answer, because an API server that has just started may not answer at once.
 * Returns undefined for an empty list. Otherwise rejects after the last round with the different reasons, one on each line. This error has
 * `isUnreachable` when no server gave an answer.
 *
 * @template Answer
 * @param {(() => Promise<Answer>)[]} questions
 * @param {number} [rounds]
 * @returns {Promise<Answer | undefined>}
 */
async function firstAnswer(questions, rounds = 3) {
    /** @type {Set<string>} */
    const reasons = new Set();
    let isUnreachable = true;
    for (let round = 1; round <= rounds; round++) {
        if (reasons.size > 0) await new Promise(resolve => setTimeout(resolve, 2000));
        for (const ask of questions) {
            try {
                return await ask();
            } catch (/** @type {any} */ error) {
                reasons.add(error.message);
                isUnreachable &&= Boolean(error.isUnreachable);
            }
        }
    }
    if (reasons.size > 0) throw Object.assign(new Error([...reasons].join("\n")), { isUnreachable });
    return undefined;
}

/**
 * Returns the options of a request that changes these fields of an object.
 *
 * @param {object} fields
 */
const mergePatch = fields => ({ method: "PATCH", type: "application/merge-patch+json", body: JSON.stringify(fields) });

module.exports = { failureOf, firstAnswer, kubernetesApi, mergePatch, unless404 };
