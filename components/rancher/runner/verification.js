// Checks Rancher through the load balancer, as browsers and agents use it. Runs where Pulumi runs, as a program on standard input.
const { withCode } = require("../../remote/runner/codedError");
const { stopwatch } = require("../../remote/runner/deadline");
const { probeText } = require("../../remote/runner/probe");
const { checks } = require("./checks");
const { siteAt } = require("./site");
const { LeftOut, NoConnection, Shortcoming, Unexpected } = require("./unexpected");

/** @import { LiveCheckInput, VerificationInput } from "../program" */
/** @import { Coded } from "../../remote/runner/codedError" */
/** @import { Site } from "./site" */
/** @typedef {typeof checks[string]} Check */

/** @param {LiveCheckInput | VerificationInput} input */
const main = input => ("asWord" in input ? look(input) : verify(input));

/**
 * Checks once, without a login, and reports faults in the words of a probe.
 *
 * @param {LiveCheckInput} input
 */
async function look({ asWord, ...input }) {
    const sites = input.addresses.map(address => siteAt(address, { ...input, bootstrapPassword: undefined }));
    /** @type {{ warning: Coded[], refused: Coded[] }} */
    const said = { warning: [], refused: [] };
    for (const { title, problem } of (await Promise.all(sites.map(firstFault))).flatMap(fault => fault ?? []))
        said[problem instanceof Shortcoming ? "warning" : asWord].push(withCode("rancher-answers", `${title}: ${problem.message}`));
    process.stdout.write(probeText(said));
}

/**
 * Returns the first fault at an address. Later checks would report the same cause.
 *
 * @param {Site} site
 */
async function firstFault(site) {
    for (const [name, check] of Object.entries(checks)) {
        if (isFine(await problemOf(check, site))) continue;
        // NGINX may have been reloading during the first attempt.
        await new Promise(resolve => setTimeout(resolve, 1000));
        const problem = await problemOf(check, site);
        if (problem && !isFine(problem)) return { title: `${name} at ${site.address}`, problem };
    }
    return undefined;
}

/**
 * Returns the problem, or undefined.
 *
 * @param {Check} check
 * @param {Site} site
 * @returns {Promise<Error | undefined>}
 */
async function problemOf(check, site) {
    try {
        await check(site);
        return undefined;
    } catch (/** @type {any} */ error) {
        return error instanceof LeftOut || error instanceof Unexpected ? error : new NoConnection(error);
    }
}

/**
 * @param {Error | undefined} problem
 * @returns {boolean}
 */
const isFine = problem => problem === undefined || problem instanceof LeftOut;

// An ingress controller may still be reading the limits that the same update gave it.
const secondsOfReload = 15;

/** @param {VerificationInput} input */
async function verify(input) {
    // The exit code is 1 until all checks succeed, because Node ends with 0 when it has nothing left to wait for.
    process.exitCode = 1;
    const seconds = stopwatch();
    const say = (/** @type {string} */ text) => process.stderr.write(`${text}\n`);
    const elapsed = () => Math.round(seconds());
    const sites = input.addresses.map(address => siteAt(address, input));
    /** @type {{ title: string, site: Site, check: Check, problem?: string, done?: boolean }[]} */
    let pending = sites.flatMap(site =>
        Object.entries(checks).map(([name, check]) => ({ title: `${name} at ${site.address}`, site, check })),
    );
    const total = pending.length;
    /** @type {string[]} */
    const results = [];
    const attempt = async (/** @type {typeof pending[number]} */ one) => {
        const problem = await problemOf(one.check, one.site);
        const isShort = problem instanceof Shortcoming;
        const isFinal = isShort && elapsed() >= Math.min(secondsOfReload, input.timeoutSeconds);
        if (!isFinal && !isFine(problem)) return problem?.message;
        results.push(problem ? `${isShort ? "warning" : "left out"} ${one.title}: ${problem.message}` : `ok ${one.title}`);
        if (problem) say(results[results.length - 1]);
        return undefined;
    };
    say(`Verifying https://${input.hostname} at ${input.addresses.join(", ")}`);
    for (;;) {
        for (const one of pending) {
            // No other check uses an untrusted connection, because one of them sends the password.
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
            const rest = notTried ? `, ${notTried} were not tried because of that` : "";
            say(withCode("rancher-answers", `${failed.length} of ${total} checks failed after ${elapsed()} s${rest}:`));
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
