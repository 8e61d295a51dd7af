// This module tries whether sshd of a host forwards connections to a Unix socket.
const net = require("net");
const path = require("path");
const { CodedError } = require("./codedError");
const { privateFolder, sshReason, startSsh } = require("./ssh");

/** @import { Login } from "../connection" */

/**
 * Reports whether a Unix socket of a host answers through a forwarded connection. Rejects when SSH itself fails.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {Login & { bastion?: Login }} host
 * @param {string} remoteSocket
 */
async function isForwarded(env, host, remoteSocket) {
    const socket = path.join(privateFolder(), `f${++forwardCount}`);
    const forward = `${socket.replace(/%/g, "%%")}:${remoteSocket}`;
    const { child, stop } = startSsh(env, host, ["-N", "-L", forward], 60);
    const hasAnswered = await answers(socket, () => child.exitCode === null);
    const hasFailed = child.exitCode !== null;
    const stderr = await stop();
    if (hasFailed) throw new CodedError("ssh", sshReason(host, stderr));
    return hasAnswered;
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

module.exports = { isForwarded };
