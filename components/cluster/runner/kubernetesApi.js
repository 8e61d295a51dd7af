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

/**
 * Returns a function that asks the Kubernetes API and resolves to the answer. The function waits `patienceSeconds` for an answer. With 5 s,
 * a probe of seven unreachable nodes still ends within its timeout. It rejects with one line when there is no answer or an error. The
 * `status` of this error is the HTTP status.
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
                reject(new Error(`${endpoint}: ${reason}`));
            };
            const request = https.request(`${endpoint}${path}`, { method, headers, agent, signal }, response => {
                let text = "";
                response
                    .setEncoding("utf8")
                    .on("data", chunk => (text += chunk))
                    .on("error", fail)
                    .on("end", () => {
                        const status = response.statusCode ?? 0;
                        if (status >= 300) return reject(Object.assign(new Error(`${endpoint} answers ${status}`), { status }));
                        try {
                            resolve(JSON.parse(text));
                        } catch {
                            reject(new Error(`${endpoint} answers something else than the Kubernetes API`));
                        }
                    });
            });
            request.on("error", fail);
            request.end(body);
        });
}

/**
 * Asks the questions one after the other until one gets an answer, because an API server that has just started may not answer at once.
 * Returns undefined for an empty list. Otherwise rejects after the last round with the different reasons, one on each line.
 *
 * @template Answer
 * @param {(() => Promise<Answer>)[]} questions
 * @param {number} [rounds]
 * @returns {Promise<Answer | undefined>}
 */
async function firstAnswer(questions, rounds = 3) {
    /** @type {Set<string>} */
    const reasons = new Set();
    for (let round = 1; round <= rounds; round++) {
        if (reasons.size > 0) await new Promise(resolve => setTimeout(resolve, 2000));
        for (const ask of questions) {
            try {
                return await ask();
            } catch (/** @type {any} */ error) {
                reasons.add(error.message);
            }
        }
    }
    if (reasons.size > 0) throw new Error([...reasons].join("\n"));
    return undefined;
}

module.exports = { firstAnswer, kubernetesApi, unless404 };
