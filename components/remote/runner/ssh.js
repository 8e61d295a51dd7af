// This module runs where Pulumi runs, inside a program on standard input. It needs the OpenSSH client and nothing else.
const { spawn } = require("child_process");
const fs = require("fs");
const os = require("os");
const path = require("path");
const { CodedError } = require("./codedError");

/** @import { HostConnection } from "../connection" */

/**
 * Calls `work(env)` with an SSH agent that holds the given private keys. The keys never touch a file.
 *
 * @template Result
 * @param {string[]} privateKeys
 * @param {(env: NodeJS.ProcessEnv) => Promise<Result>} work
 * @returns {Promise<Result>}
 */
async function withSshAgent(privateKeys, work) {
    const socket = path.join(privateFolder(), "agent");
    const agent = outliving("ssh-agent", ["-a", socket, "sh", "-c", 'echo; cat; kill "$SSH_AGENT_PID"'], "pipe");
    const ended = new Promise(resolve => agent.on("close", resolve));
    try {
        await new Promise((resolve, reject) => {
            agent.on("error", (/** @type {NodeJS.ErrnoException} */ error) =>
                reject(
                    new CodedError("missing-program", `cannot start ssh-agent (${error.code}): install the OpenSSH client on this machine`),
                ),
            );
            agent.stdout.once("data", resolve);
            agent.on("exit", code =>
                reject(
                    new CodedError(
                        "missing-program",
                        `ssh-agent ended at once (exit code ${code}): expected it to open ${socket}, which may be too long a path. Set a shorter TMPDIR`,
                    ),
                ),
            );
        });
        const env = { ...process.env, SSH_AUTH_SOCK: socket };
        for (const key of new Set(privateKeys)) {
            const added = await run("ssh-add", ["-q", "-"], { env, input: key.endsWith("\n") ? key : `${key}\n` });
            if (added.code !== 0)
                throw new CodedError("ssh", "the SSH private key is not usable: expected an unencrypted PEM or OpenSSH private key");
        }
        return await work(env);
    } finally {
        agent.stdin.end();
        await ended;
    }
}

/** First line of the program's output. Any text before it comes from a login shell. */
const beginning = "=== pulumi-rancher-ha ===";

/**
 * Runs a shell program with a verb on a host, as root unless `withoutRoot`. Rejects when SSH itself fails.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {HostConnection & { withoutRoot?: boolean }} host
 * @param {string} program
 * @param {string} verb
 * @param {number} timeoutSeconds
 */
async function sshProgram(env, host, program, verb, timeoutSeconds) {
    const name = host.port === 22 ? host.address : `[${host.address}]:${host.port}`;
    const knownHosts = path.join(privateFolder(), `known_hosts-${name}`);
    fs.writeFileSync(knownHosts, `${name} ${host.hostKey}\n`);
    const options = {
        BatchMode: "yes",
        ConnectTimeout: "5",
        ConnectionAttempts: "1",
        GlobalKnownHostsFile: "/dev/null",
        HostKeyAlgorithms: keyAlgorithms(host.hostKey),
        IdentityFile: "none",
        LogLevel: "ERROR",
        ServerAliveInterval: "5",
        StrictHostKeyChecking: "yes",
        UpdateHostKeys: "no",
        UserKnownHostsFile: knownHosts,
    };
    const remote = `${host.user === "root" || host.withoutRoot ? "" : "sudo -n "}timeout -k 5 ${timeoutSeconds} sh -s ${verb}`;
    const result = await run(
        "ssh",
        [
            "-F",
            "none",
            "-T",
            ...Object.entries(options).flatMap(([key, value]) => ["-o", `${key}=${value}`]),
            "-p",
            String(host.port),
            "-l",
            host.user,
            "--",
            host.address,
            remote,
        ],
        { env, input: `echo '${beginning}'\n${program}`, timeoutSeconds: timeoutSeconds + 10 },
    );
    if (result.code === 255 || result.code === null) throw new CodedError("ssh", sshReason(host, result.stderr));
    const begins = result.stdout.indexOf(`${beginning}\n`);
    return { ...result, stdout: begins < 0 ? "" : result.stdout.slice(begins + beginning.length + 1) };
}

/**
 * @param {HostConnection} host
 * @param {string} stderr
 */
function sshReason(host, stderr) {
    const at = `${host.user}@${host.address}:${host.port}`;
    if (/Host key verification failed|REMOTE HOST IDENTIFICATION|no matching host key/i.test(stderr)) {
        return (
            `${at}: the host shows another host key than the one configured. If the host was rebuilt, put its new key ` +
            "(/etc/ssh/ssh_host_*_key.pub) into the configuration; if not, somebody else may be answering"
        );
    }
    if (/Permission denied/i.test(stderr)) {
        return `${at}: the host refuses the SSH key. Expected the public key in ~${host.user}/.ssh/authorized_keys`;
    }
    const last = stderr.trim().split("\n").pop();
    return `${at}: no SSH connection (${last || "no answer in time"}). Check address, port, firewall and that sshd runs`;
}

/** @param {string} hostKey */
function keyAlgorithms(hostKey) {
    const type = hostKey.split(" ")[0];
    return type === "ssh-rsa" ? "rsa-sha2-512,rsa-sha2-256,ssh-rsa" : type;
}

/** @type {string | undefined} */
let ownFolder;

/** Returns the folder of this process, which no other user may enter. It is removed however the process ends. */
function privateFolder() {
    if (ownFolder) return ownFolder;
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "rancher-ha-"));
    ownFolder = folder;
    const keeper = outliving("sh", ["-c", 'cat; rm -rf "$0"', folder], "ignore");
    keeper.unref();
    /** @type {import("net").Socket} */ (keeper.stdin).unref();
    process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }));
    return folder;
}

/**
 * Starts a process that cleans up after this one. Its standard input ends when this process ends, even by SIGKILL.
 *
 * @param {string} file
 * @param {string[]} args
 * @param {"pipe" | "ignore"} stdout
 */
function outliving(file, args, stdout) {
    // The child gets its own session, so that no signal to this process's group reaches the child.
    const child = /** @type {import("child_process").ChildProcessWithoutNullStreams} */ (
        spawn(file, args, { detached: true, stdio: ["pipe", stdout, "ignore"] })
    );
    child.stdin.on("error", () => undefined);
    return child;
}

/**
 * Runs a process to its end.
 *
 * @param {string} file
 * @param {string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, input?: string, timeoutSeconds?: number }} [options]
 * @returns {Promise<{ code: number | null, stdout: string, stderr: string }>}
 */
function run(file, args, { env, input, timeoutSeconds } = {}) {
    return new Promise((resolve, reject) => {
        const child = spawn(file, args, { env, stdio: ["pipe", "pipe", "pipe"] });
        const timer = timeoutSeconds ? setTimeout(() => child.kill("SIGKILL"), timeoutSeconds * 1000) : undefined;
        let stdout = "";
        let stderr = "";
        child.stdout.setEncoding("utf8").on("data", chunk => (stdout += chunk));
        child.stderr.setEncoding("utf8").on("data", chunk => (stderr += chunk));
        child.stdin.on("error", () => undefined);
        child.stdin.end(input ?? "");
        child.on("error", (/** @type {NodeJS.ErrnoException} */ error) => {
            clearTimeout(timer);
            reject(new CodedError("missing-program", `cannot run ${file} (${error.code}): install it on the machine that runs Pulumi`));
        });
        child.on("close", code => {
            clearTimeout(timer);
            resolve({ code, stdout, stderr });
        });
    });
}

module.exports = { privateFolder, run, sshProgram, withSshAgent };
