// This module tries whether sshd of a host forwards connections.
const { spawn } = require("child_process");
const net = require("net");
const path = require("path");
const { CodedError } = require("./codedError");
const { privateFolder, sshArguments, sshReason } = require("./ssh");

/** @import { Login } from "../connection" */

/**
 * Lists the targets to which sshd of a host forwards no connection. A target is a Unix socket, or an address and port. A port at which
 * nothing listens counts for forwarded. Rejects when SSH itself fails.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {Login & { bastion?: Login }} host
 * @param {string[]} targets
 */
async function deadForwards(env, host, targets) {
    const forwards = targets.map(target => ({ target, socket: path.join(privateFolder(), `f${++forwardCount}`) }));
    const flags = forwards.flatMap(({ target, socket }) => ["-L", `${socket.replace(/%/g, "%%")}:${target}`]);
    // `timeout` ends ssh when this process is killed.
    const child = spawn("timeout", ["60", "ssh", ...sshArguments(host, ["-N", ...flags])], { env, stdio: ["ignore", "ignore", "pipe"] });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", chunk => (stderr += chunk));
    const ended = new Promise(resolve => child.on("close", resolve).on("error", resolve));
    const dead = [];
    for (const { target, socket } of forwards) {
        const said = stderr.length;
        if (await answers(socket, () => child.exitCode === null)) continue;
        // ssh may write its reason shortly after it closes the connection.
        await new Promise(resolve => setTimeout(resolve, 500));
        if (!stderr.slice(said).includes("Connection refused")) dead.push(target);
    }
    const hasFailed = child.exitCode !== null;
    child.kill();
    await ended;
    if (hasFailed) throw new CodedError("ssh", sshReason(host, stderr));
    return dead;
}

let forwardCount = 0;

/**
 * Reports whether anything answers at a Unix socket, which may take 10 s to appear.
 *
 * @param {string} socket
 * @param {() => boolean} isExpected
 */
async function answers(socket, isExpected) {
    for (let attempt = 0; attempt < 100 && isExpected(); attempt++) {
        const answer = await new Promise(resolve => {
            const connection = net.connect(socket, () => connection.write("GET /_ping HTTP/1.0\r\n\r\n"));
            connection.setTimeout(5000, () => connection.destroy());
            connection.once("data", () => resolve("data"));
            connection.once("error", (/** @type {NodeJS.ErrnoException} */ { code }) => resolve(code));
            connection.once("close", () => resolve("closed"));
        });
        if (answer !== "ENOENT" && answer !== "ECONNREFUSED") return answer === "data";
        await new Promise(resolve => setTimeout(resolve, 100));
    }
    return false;
}

module.exports = { deadForwards };
