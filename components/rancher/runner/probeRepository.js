// Asks a chart repository for its index, as Helm does. Runs where Pulumi runs, as part of a program on standard input.
const http = require("http");
const https = require("https");
const { text } = require("stream/consumers");
const { parse } = require("yaml");
const { withCode } = require("../../remote/runner/codedError");
const { probeText } = require("../../remote/runner/probe");

/** @import { RepositoryInput } from "../program" */

const answerSeconds = 20;

/** @param {RepositoryInput} input */
async function main(input) {
    process.stdout.write(probeText(await look(input)));
}

/**
 * A repository that gives no answer is a warning, because the machine that runs `pulumi up` may reach it. Node knows neither the proxies
 * nor the CAs of this machine, which Helm uses. So behind a proxy nothing is asked.
 *
 * @param {RepositoryInput} input
 * @returns {Promise<import("../../remote/runner/probe").Said>}
 */
async function look({ chart, version, ...place }) {
    const { HTTPS_PROXY, https_proxy, HTTP_PROXY, http_proxy } = process.env;
    if (HTTPS_PROXY || https_proxy || HTTP_PROXY || http_proxy) return {};
    const index = new URL(place.repo);
    index.pathname = index.pathname.replace(/\/*$/, "/index.yaml");
    const where = `${index.origin}${index.pathname}`;
    /** @param {string} reason */
    const noAnswer = reason => ({
        warning: `expected an index of charts at ${where}, found ${reason}. Without it, pulumi up stops once the cluster is built, before Rancher`,
    });
    /** @type {{ status: number, body: string }} */
    let answer;
    try {
        answer = await ask(index, place);
    } catch (/** @type {any} */ error) {
        return noAnswer(error.code ?? error.message);
    }
    const { status, body } = answer;
    if (status >= 500 || status === 429) return noAnswer(`HTTP ${status}`);
    const fault = status === 200 ? chartFault(body, chart, version) : `an index of charts, found HTTP ${status}: ${hintOf(status)}`;
    return fault === undefined ? {} : { refused: withCode("configuration", `the chart repository ${where}: expected ${fault}`) };
}

/** @param {number} status */
const hintOf = status =>
    [401, 403].includes(status) ? "is the login in repositoryOpts right?" : "is repository the folder in which index.yaml is?";

/**
 * Gets a page, and follows redirects. The login is for the host of the repository alone.
 *
 * @param {URL} url
 * @param {Omit<RepositoryInput, "chart" | "version">} place
 * @param {number} [redirects]
 * @returns {Promise<{ status: number, body: string }>}
 */
async function ask(url, place, redirects = 5) {
    const isOwn = url.host === new URL(place.repo).host;
    const auth = isOwn && place.username !== undefined ? `${place.username}:${place.password}` : undefined;
    const options = { auth, ca: place.ca, agent: false, signal: AbortSignal.timeout(answerSeconds * 1000) };
    /** @type {http.IncomingMessage} */
    const response = await new Promise((resolve, reject) => {
        (url.protocol === "https:" ? https : http).get(url, options, resolve).on("error", reject);
    });
    const { statusCode = 0, headers } = response;
    const body = await text(response);
    if (statusCode >= 300 && statusCode < 400 && headers.location && redirects > 0)
        return ask(new URL(headers.location, url), place, redirects - 1);
    return { status: statusCode, body };
}

/**
 * Returns what is missing in the index of a repository.
 *
 * @param {string} index
 * @param {string} chart
 * @param {string} version
 */
function chartFault(index, chart, version) {
    /** @type {string[]} */
    let versions;
    try {
        const { entries } = parse(index, { logLevel: "error" });
        versions = (entries?.[chart] ?? []).map((/** @type {{ version: string }} */ entry) => String(entry.version).replace(/^v/, ""));
    } catch {
        return "an index of charts, found a page of another kind";
    }
    if (versions.includes(version.replace(/^v/, ""))) return undefined;
    return `chart ${chart} in version ${version}, found ${versions.length === 0 ? "no such chart" : versions.slice(0, 5).join(", ")}`;
}

module.exports = { main };
