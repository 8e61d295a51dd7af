// Runs the command `rke` in a private folder and reads its log.
const { spawn } = require("child_process");
const fs = require("fs");
const path = require("path");
const { CodedError } = require("../../../remote/runner/codedError");
const { deadlineIn } = require("../../../remote/runner/deadline");
const { privateFolder, run } = require("../../../remote/runner/ssh");
const { elapsed, say, sayAlive } = require("./progress");
const { builtNodes } = require("./rkeState");

/**
 * Returns cluster.yml with the nodes that RKE built first, in the order in which it built them. RKE asks the first etcd node for the members of
 * etcd, and waits without a limit for a new node. Another order would restart etcd and the API servers.
 *
 * @param {string} clusterYml
 * @param {string} state
 */
function builtNodesFirst(clusterYml, state) {
    const built = state ? builtNodes(state).map(({ address }) => address) : [];
    /** @param {string} node */
    const place = node => {
        const index = built.indexOf(addressIn(node));
        return index < 0 ? built.length : index;
    };
    return withNodes(clusterYml, nodes => nodes.sort((one, other) => place(one) - place(other)));
}

/**
 * Returns cluster.yml without the nodes of these addresses.
 *
 * @param {string} clusterYml
 * @param {string[]} addresses
 */
const withoutNodes = (clusterYml, addresses) => withNodes(clusterYml, nodes => nodes.filter(node => !addresses.includes(addressIn(node))));

/**
 * @param {string} clusterYml
 * @param {(nodes: string[]) => string[]} change
 */
const withNodes = (clusterYml, change) =>
    clusterYml.replace(/^nodes:\n((?: .*\n)+)/m, (_, nodes) => `nodes:\n${change(nodes.split(/^(?= {2}- )/m)).join("")}`);

/** @param {string} node */
const addressIn = node => /^ {2}- address: "?([^"\n]+)/.exec(node)?.[1] ?? "";

/**
 * Creates a private folder with cluster.yml and the state file.
 *
 * @param {string} clusterYml
 * @param {string} state
 */
function workFolder(clusterYml, state) {
    const folder = privateFolder();
    process.umask(0o077);
    fs.writeFileSync(path.join(folder, "cluster.yml"), builtNodesFirst(clusterYml, state));
    fs.writeFileSync(path.join(folder, "cluster.rkestate"), state, { mode: 0o600 });
    return folder;
}

/** @param {string} expected */
async function checkRkeVersion(expected) {
    const { code, stdout } = await run("rke", ["--version"]);
    const found = /v?(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
    if (code !== 0 || found !== expected) {
        throw new CodedError(
            "versions",
            `rke on this machine: expected version ${expected}, found ${found ?? "none that says its version"}. Put the release v${expected} on the PATH`,
        );
    }
}

/**
 * Returns one line of RKE's log as { level, text }, or undefined.
 *
 * @param {string} line
 */
function parseLine(line) {
    const match = /level=(\w+) msg="((?:[^"\\]|\\.)*)"/.exec(line);
    if (!match) return undefined;
    return { level: match[1], text: match[2].replace(/\\n/g, " ").replace(/\\(.)/g, "$1") };
}

/** Matches warnings after which the cluster differs from the configuration, although RKE may end with success. */
const seriousWarning =
    /Failed to set up SSH tunneling|Removing host|Failed to deploy (DNS )?addon|Failed to delete etcd|Couldn't clean up|rolling snapshot container failed|Failed to take snapshot/i;

/** Matches lines about one container on one host. There are too many of them to show. */
const detail = /\b(on|to|for) (host|node) \[|^Image \[|^Container \[|Deployed local admin kubeconfig|Deployed state file/;

/** Matches warnings about a cluster that does not answer. They are expected before the first build. */
const noAnswer = /reachable Kubernetes API endpoint/;

/** Matches the access key of S3 as RKE and rke-tools log it, plain or in base64. */
const loggedAccessKey = /(?<=\baccesskey \[)[^\]]*|(?<=\bs3-accessKey=)("[^"]*"|[^\s"]+)/g;

/**
 * Returns a line of RKE's log that is safe to show. Of the secrets, RKE logs the access key of S3. A line that looks like another is hidden.
 *
 * @param {string} line
 */
function showable(line) {
    const text = line.replace(loggedAccessKey, "(not shown)");
    return /BEGIN [A-Z ]*(KEY|CERTIFICATE)|[A-Za-z0-9+/]{80,}/.test(text) ? "(a line that is not shown)" : text.slice(0, 300);
}

/**
 * The result of a run of rke. `done` is true when rke logged its success marker. `killed` says after which time this program killed rke.
 *
 * @typedef {{ code: number | null, warnings: string[], fatal: string | undefined, done: boolean, last: string, killed?: string }} RkeResult
 */

/**
 * Follows the log of rke. Shows the lines that a reader needs, and collects warnings, the fatal error and the success marker.
 *
 * @param {import("child_process").ChildProcessByStdio<null, import("stream").Readable, import("stream").Readable>} child
 * @param {string} marker
 * @param {boolean} isFirstBuild
 */
function follow(child, marker, isFirstBuild) {
    /** @type {Omit<RkeResult, "code">} */
    const result = { warnings: [], fatal: undefined, done: false, last: "" };
    /** @type {NodeJS.Timeout | undefined} */
    let quiet;
    // Doubles as a liveness check: if Pulumi was killed, this write fails, this process ends, and RKE is killed with it.
    const busy = () => {
        sayAlive(`rke: busy: ${result.last}`);
        wait();
    };
    // The interval grows after two minutes, because `maxBytes` limits the output.
    const wait = () => {
        clearTimeout(quiet);
        quiet = setTimeout(busy, elapsed() < 120 ? 5_000 : 60_000);
    };
    wait();
    /** @param {string} line */
    const read = line => {
        const said = parseLine(line);
        // RKE is a Go program. The first line of a crash is the only one that says why.
        if (!said && /^(panic|fatal error): /.test(line)) result.fatal ??= `rke crashed: ${showable(line)}`;
        if (!said) return;
        if (said.text.includes(marker)) result.done = true;
        if (said.level === "fatal") result.fatal = showable(said.text);
        if (said.level === "warning") result.warnings.push(showable(said.text));
        const text = showable(said.text);
        const isShown = said.level === "info" ? text !== result.last && !detail.test(text) : !(isFirstBuild && noAnswer.test(text));
        if (isShown) {
            wait();
            say(`rke: ${said.level === "info" ? "" : `${said.level}: `}${text}`);
        }
        result.last = text;
    };
    for (const stream of [child.stdout, child.stderr]) {
        let rest = "";
        stream.setEncoding("utf8").on("data", chunk => {
            const lines = (rest + chunk).split("\n");
            rest = lines.pop() ?? "";
            lines.forEach(read);
        });
    }
    child.on("close", () => clearTimeout(quiet));
    return result;
}

/**
 * Returns the flag for unknown Docker versions when cluster.yml accepts them. RKE replaces the key of cluster.yml by its flag.
 *
 * @param {string} folder
 */
const dockerFlag = folder =>
    /^ignore_docker_version: true$/m.test(fs.readFileSync(path.join(folder, "cluster.yml"), "utf8")) ? ["--ignore-docker-version"] : [];

/**
 * Runs rke in its own process group, which is killed after its time, and when this process ends. `limitSeconds` is the time of which this
 * run has the rest.
 *
 * @param {string[]} args
 * @param {{ folder: string, env: NodeJS.ProcessEnv, marker: string, timeoutSeconds: number, limitSeconds?: number, isFirstBuild?: boolean }} options
 * @returns {Promise<RkeResult>}
 */
function runRke(args, { folder, env, marker, timeoutSeconds, limitSeconds = timeoutSeconds, isFirstBuild = false }) {
    return new Promise((resolve, reject) => {
        const child = spawn("rke", [...args, ...dockerFlag(folder)], {
            cwd: folder,
            env,
            detached: true,
            stdio: ["ignore", "pipe", "pipe"],
        });
        const stop = () => {
            try {
                // A process that could not be started has no process id.
                if (child.pid) process.kill(-child.pid, "SIGKILL");
            } catch {
                // rke has already ended
            }
        };
        /** @type {string | undefined} */
        let killed;
        const timer = setTimeout(() => {
            // The runs without hosts have a limit of their own.
            killed = `${limitSeconds} s${args.includes("--init") ? "" : " (cluster.timeoutSeconds)"}`;
            stop();
        }, timeoutSeconds * 1000);
        for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => process.exit(1));
        process.on("exit", stop);
        const result = follow(child, marker, isFirstBuild);
        child.on("error", (/** @type {NodeJS.ErrnoException} */ error) =>
            reject(
                new CodedError(
                    "missing-program",
                    `cannot run rke (${error.code}): put the rke binary on the PATH of the machine that runs Pulumi`,
                ),
            ),
        );
        child.on("close", code => {
            clearTimeout(timer);
            process.off("exit", stop);
            resolve({ code, ...result, killed });
        });
    });
}

/** Matches failures after which containers start on. RKE gives a service 60 s to become healthy, and an API server on a busy node needs more. */
const startsOn = /Failed to verify healthcheck|failed to report healthy/;

/** Another run needs this time at least. A shorter one would be killed before it reaches what failed. */
const shortestRunSeconds = 120;

/**
 * Runs rke, up to three times while services still start. Each of these commands can be repeated. Returns the last result, with the warnings
 * of all runs, and with the last fatal error that any run told.
 *
 * @param {string[]} args
 * @param {Parameters<typeof runRke>[1] & { beforeNextRun?: () => void }} options
 * @returns {Promise<RkeResult>}
 */
async function runRkeUntilHealthy(args, options) {
    const { left } = deadlineIn(options.timeoutSeconds);
    /** @type {string[]} */
    const warnings = [];
    /** @type {string | undefined} */
    let fatal;
    for (let runs = 1; ; runs += 1) {
        const result = await runRke(args, { ...options, timeoutSeconds: left(), limitSeconds: options.timeoutSeconds });
        warnings.push(...result.warnings);
        const isStarting = startsOn.test(result.fatal ?? "") && !warnings.some(text => seriousWarning.test(text));
        // A run that succeeded has mended what an earlier one said.
        fatal = result.code === 0 ? result.fatal : (result.fatal ?? fatal);
        if (!isStarting || runs === 3 || left() < shortestRunSeconds) return { ...result, fatal, warnings };
        say(`a service was not healthy within the 60 s that RKE gives it, and it starts on: run ${runs + 1} of 3 of RKE`);
        options.beforeNextRun?.();
    }
}

/**
 * Returns how rke ended.
 *
 * @param {RkeResult} result
 */
const ending = ({ code, killed }) => (killed ? "killed" : code === null ? "ended by a signal" : `exit code ${code}`);

/**
 * @param {string} what
 * @param {Pick<RkeResult, "warnings" | "fatal"> & Partial<RkeResult>} result
 */
function rkeFailure(what, { killed, last, fatal, warnings }) {
    const serious = warnings.filter(text => seriousWarning.test(text));
    const timeout = killed && `rke was killed after ${killed}. Its last line: ${last || "none"}`;
    const reasons = [timeout, fatal, ...serious].filter(Boolean).map(text => `  - ${text}`);
    return new CodedError("rke-failed", `${what}${reasons.length ? `:\n${reasons.join("\n")}` : ""}`);
}

/**
 * Returns how RKE saves a snapshot of etcd: its arguments, and the line of its log that tells success.
 *
 * @param {string} name
 */
const snapshotSave = name => ({
    args: ["etcd", "snapshot-save", "--name", name],
    marker: `Finished saving/uploading snapshot [${name}]`,
});

module.exports = {
    checkRkeVersion,
    ending,
    rkeFailure,
    runRke,
    runRkeUntilHealthy,
    seriousWarning,
    snapshotSave,
    withoutNodes,
    workFolder,
};
