// This module runs where Pulumi runs, inside a program on standard input. It needs the OpenSSH client and nothing else.
const { spawn } = require("child_process");
const { createHash } = require("crypto");
const fs = require("fs");
const os = require("os");
const path = require("path");
const agentScript = require("./agent.sh");
const { CodedError } = require("./codedError");
const removeFolderScript = require("./removeFolder.sh");
const { deadlineIn } = require("./deadline");
const { isBooting, reachOf, sshReason } = require("./sshFailure");

/** @import { Login } from "../connection" */

/**
 * Calls `work(env)` with an SSH agent that holds the private keys of hosts and bastions. The keys never touch a file. Hosts without keys are
 * reached with the user's own agent.
 *
 * @template Result
 * @param {(Login & { bastion?: Login })[]} hosts
 * @param {(env: NodeJS.ProcessEnv) => Promise<Result>} work
 * @returns {Promise<Result>}
 */
async function withSshAgent(hosts, work) {
    const logins = hosts.flatMap(({ bastion, ...host }) => (bastion ? [host, bastion] : [host]));
    const privateKeys = new Set(logins.flatMap(({ privateKey }) => privateKey ?? []));
    if (logins.length > 0 && privateKeys.size === 0) {
        if (process.env.SSH_AUTH_SOCK) return work(process.env);
        throw new CodedError(
            "ssh",
            "ssh.agent: expected an SSH agent at SSH_AUTH_SOCK, found none. Start ssh-agent, and load the key with ssh-add",
        );
    }
    // An agent removes its socket some time after it has ended.
    const socket = path.join(privateFolder(), `agent${(agents += 1)}`);
    const agent = outliving("ssh-agent", ["-a", socket, "sh", "-c", agentScript], "pipe");
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
        for (const key of privateKeys) {
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

let agents = 0;

/** First line of the program's output. Any text before it comes from a login shell. */
const beginning = "=== pulumi-rancher-ha ===";

/**
 * Runs a shell program with a verb on a host, as root unless `withoutRoot`. `hasBegun` tells whether its first line ran. Rejects when SSH
 * itself fails, with what `reachOf` returns. Waits up to `waitSeconds` for a host that boots.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {Login & { bastion?: Login, withoutRoot?: boolean }} host
 * @param {string} program
 * @param {string} verb
 * @param {number} timeoutSeconds
 */
async function sshProgram(env, host, program, verb, timeoutSeconds, waitSeconds = 0) {
    const remote = `${host.user === "root" || host.withoutRoot ? "" : "sudo -n "}timeout -k 5 ${timeoutSeconds} sh -s ${verb}`;
    const input = `echo '${beginning}'\n${program}`;
    const deadline = deadlineIn(waitSeconds);
    for (;;) {
        const result = await run("ssh", [...sshArguments(host, ["-T"]), remote], { env, input, timeoutSeconds: timeoutSeconds + 10 });
        if (result.code !== 255 && result.code !== null) {
            const begins = result.stdout.indexOf(`${beginning}\n`);
            const hasBegun = begins >= 0;
            return { ...result, hasBegun, stdout: hasBegun ? result.stdout.slice(begins + beginning.length + 1) : "" };
        }
        if (!isBooting(result.stderr) || deadline.isOver()) {
            const reach = reachOf(host, { ...result, hasBegun: result.stdout.includes(beginning) });
            throw Object.assign(new CodedError("ssh", sshReason(host, result.stderr)), reach);
        }
        await new Promise(resolve => setTimeout(resolve, 2000));
    }
}

/** Name of the host in its own known_hosts file. ssh would look for another form of an IPv6 address than the one configured. */
const hostAlias = "rancher-ha";

/**
 * Returns the arguments of ssh for a login. ssh then reads no configuration file of the user.
 *
 * @param {Login & { bastion?: Login }} login
 * @param {string[]} flags
 * @returns {string[]}
 */
function sshArguments({ address, port, user, hostKey, bastion }, flags) {
    const knownHosts = knownHostsFile(`${hostAlias} ${hostKey}\n`);
    const options = {
        BatchMode: "yes",
        ConnectTimeout: bastion ? "15" : "5",
        ConnectionAttempts: "1",
        GlobalKnownHostsFile: "/dev/null",
        HostKeyAlgorithms: keyAlgorithms(hostKey),
        HostKeyAlias: hostAlias,
        IdentityFile: "none",
        // INFO also reports why a forward fails. ERROR does not.
        LogLevel: "INFO",
        ServerAliveInterval: "5",
        StrictHostKeyChecking: "yes",
        UpdateHostKeys: "no",
        // ssh splits this value at blanks and expands %.
        UserKnownHostsFile: `"${knownHosts.replace(/%/g, "%%")}"`,
        ...(bastion && { ProxyCommand: proxyCommand(bastion) }),
    };
    const settings = Object.entries(options).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
    return ["-F", "none", ...flags, ...settings, "-p", String(port), "-l", user, "--", address];
}

/**
 * Returns the file that holds this line of known_hosts alone. It is written once, because an ssh that runs may be reading it.
 *
 * @param {string} line
 */
function knownHostsFile(line) {
    const file = path.join(privateFolder(), `known_hosts-${createHash("sha256").update(line).digest("hex")}`);
    if (!fs.existsSync(file)) fs.writeFileSync(file, line);
    return file;
}

/**
 * Starts ssh beside this program, for some seconds at most. `stop` ends it, and resolves to what it said on standard error.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {Login & { bastion?: Login }} login
 * @param {string[]} flags
 * @param {number} timeoutSeconds
 * @param {string[]} command
 */
function startSsh(env, login, flags, timeoutSeconds, command = []) {
    // `timeout` ends ssh when this process is killed.
    const child = spawn("timeout", [String(timeoutSeconds), "ssh", ...sshArguments(login, flags), ...command], { env });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", chunk => (stderr += chunk));
    const ended = new Promise(resolve => child.on("close", resolve).on("error", resolve));
    const stop = async () => {
        child.kill();
        await ended;
        return stderr;
    };
    return { child, stop };
}

/**
 * Returns the command by which ssh reaches a host through a bastion. `ProxyJump` would verify the bastion by files of the user.
 *
 * @param {Login} bastion
 * @returns {string}
 */
function proxyCommand(bastion) {
    const target = "[%h]:%p";
    // ssh expands % in this command, and a shell splits it.
    const words = sshArguments(bastion, ["-W", target]).map(word => (word === target ? word : word.replace(/%/g, "%%")));
    return ["ssh", ...words.map(word => `'${word.replace(/'/g, "'\\''")}'`)].join(" ");
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
    const keeper = outliving("sh", ["-c", removeFolderScript, "sh", folder], "ignore");
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

module.exports = { privateFolder, run, sshProgram, startSsh, withSshAgent };
