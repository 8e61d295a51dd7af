// Explains failures of OpenSSH by what its client says on standard error.
const { createHash } = require("crypto");

/** @import { Login } from "../connection" */

const otherHostKey = /Host key verification failed|REMOTE HOST IDENTIFICATION|no matching host key/i;
const refusedKey = /Permission denied|Too many authentication failures/i;

/**
 * Returns what a failure of ssh tells about a host: whether it shows another host key, and whether a client without ssh's checks may reach it.
 *
 * @param {Login & { bastion?: Login }} host
 * @param {{ code: number | null, stderr: string, hasBegun: boolean }} result
 */
function reachOf(host, { code, stderr, hasBegun }) {
    const isOther = otherHostKey.test(stderr);
    const showsOtherKey = isOther && !isOfBastion(host, stderr);
    // ssh has no exit code when it was killed, because nothing ended in time.
    return { showsOtherKey, mayBeReached: isOther || code === null || hasBegun };
}

/**
 * Reports whether the bastion is the reason of a failure. The host's own ssh names no port when the bastion's ssh ends early.
 *
 * @param {{ bastion?: Login }} host
 * @param {string} stderr
 */
const isOfBastion = ({ bastion }, stderr) =>
    bastion !== undefined && /UNKNOWN port/.test(stderr) && !/stdio forwarding failed/.test(stderr);

/**
 * Reports whether ssh failed as it does while a host boots.
 *
 * @param {string} stderr
 */
const isBooting = stderr =>
    /Connection (refused|timed out|reset|closed)|No route to host|System is booting up/i.test(stderr) &&
    !otherHostKey.test(stderr) &&
    !refusedKey.test(stderr);

/**
 * @param {Login & { bastion?: Login }} host
 * @param {string} stderr
 */
function sshReason({ bastion, ...host }, stderr) {
    const isBastions = bastion && isOfBastion({ bastion }, stderr);
    const { user, address, port, hostKey, privateKey } = isBastions ? bastion : host;
    const at = `${user}@${address}:${port}${isBastions ? " (the bastion)" : bastion ? ` through the bastion ${bastion.address}` : ""}`;
    if (otherHostKey.test(stderr)) {
        return (
            `${at}: the host shows another host key than the one configured (expected ${fingerprint(hostKey)}, found ` +
            `${shownFingerprint(stderr)}). If the host was rebuilt, put its new key ` +
            "(/etc/ssh/ssh_host_*_key.pub) into the configuration; if not, somebody else may be answering"
        );
    }
    if (refusedKey.test(stderr)) {
        return privateKey === undefined
            ? `${at}: the host refuses every key of the SSH agent. Expected one whose public key is in ~${user}/.ssh/authorized_keys, or one with a certificate of a CA that the host trusts`
            : `${at}: the host refuses the SSH key. Expected the public key in ~${user}/.ssh/authorized_keys`;
    }
    const lines = stderr.trim().split(/\r?\n/);
    // These lines tell how the host's own ssh ended, after that of the bastion.
    const last = lines.filter(line => !/UNKNOWN port|stdio forwarding failed|kex_exchange_identification/.test(line)).pop() ?? lines.pop();
    return `${at}: no SSH connection (${last || "no answer in time"}). Check address, port, firewall and that sshd runs`;
}

/**
 * Returns the fingerprint of a host key as `ssh-keygen -l` prints it.
 *
 * @param {string} hostKey
 */
function fingerprint(hostKey) {
    const digest = createHash("sha256").update(Buffer.from(hostKey.split(" ")[1], "base64"));
    return `SHA256:${digest.digest("base64").replace(/=+$/, "")}`;
}

/**
 * Returns the fingerprint that ssh reports of the key that a host shows.
 *
 * @param {string} stderr
 */
function shownFingerprint(stderr) {
    const offer = /Their offer: (\S+)/.exec(stderr);
    return /SHA256:[A-Za-z0-9+/]{43}/.exec(stderr)?.[0] ?? (offer ? `only keys of type ${offer[1]}` : "no fingerprint");
}

module.exports = { isBooting, reachOf, sshReason };
