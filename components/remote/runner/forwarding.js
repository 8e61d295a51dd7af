// This module asks programs behind Unix sockets of a host, through connections that its sshd forwards.
const net = require("net");
const path = require("path");
const { CodedError } = require("./codedError");
const { privateFolder, startSsh } = require("./ssh");
const { sshReason } = require("./sshFailure");

/** @import { Login } from "../connection" */

/**
 * Sends a request to a Unix socket of a host. Resolves to the answer, or to undefined when none comes. Rejects when SSH itself fails.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {Login & { bastion?: Login }} host
 * @param {string} remoteSocket
 * @param {string} request
 * @param {number} patienceSeconds
 */
async function askSocket(env, host, remoteSocket, request, patienceSeconds) {
    const socket = path.join(privateFolder(), `f${++forwardCount}`);
    const forward = `${socket.replace(/%/g, "%%")}:${remoteSocket}`;
    const { child, stop } = startSsh(env, host, ["-N", "-L", forward], 60);
    const answer = await answerOf(socket, request, patienceSeconds, () => child.exitCode === null);
    const hasFailed = child.exitCode !== null;
    const stderr = await stop();
    if (hasFailed) throw new CodedError("ssh", sshReason(host, stderr));
    return answer;
}

let forwardCount = 0;

/**
 * Returns the answer of a Unix socket, which may take 10 s to appear.
 *
 * @param {string} socket
 * @param {string} request
 * @param {number} patienceSeconds
 * @param {() => boolean} isExpected
 */
async function answerOf(socket, request, patienceSeconds, isExpected) {
    for (let attempt = 0; attempt < 100 && isExpected(); attempt++) {
        let text = "";
        const code = await new Promise(resolve => {
            const connection = net.connect(socket, () => connection.write(request)).setEncoding("utf8");
            connection.setTimeout(patienceSeconds * 1000, () => connection.destroy());
            connection.on("data", chunk => (text += chunk));
            connection.once("error", (/** @type {NodeJS.ErrnoException} */ error) => resolve(error.code));
            connection.once("close", () => resolve("closed"));
        });
        if (code !== "ENOENT" && code !== "ECONNREFUSED") return text || undefined;
        await new Promise(resolve => setTimeout(resolve, 100));
    }
    return undefined;
}

/**
 * Reports whether sshd of a host forwards connections to Docker. Rejects when SSH itself fails.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {Login & { bastion?: Login }} host
 */
const reachesDocker = async (env, host) => (await askSocket(env, host, dockerSocket, "GET /_ping HTTP/1.0\r\n\r\n", 5)) !== undefined;

const dockerSocket = "/var/run/docker.sock";

module.exports = { askSocket, dockerSocket, reachesDocker };
