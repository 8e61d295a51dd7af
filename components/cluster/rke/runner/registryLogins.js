// Tries the logins of private registries through the Docker of each node, which pulls RKE's images. Nothing is kept on the node.
const { askSocket, dockerSocket } = require("../../../remote/runner/forwarding");

/** @import { ReachedNode } from "../program" */
/** @import { RegistryLogin } from "../registries" */

/** Seconds that Docker and the registry have for an answer. */
const patienceSeconds = 20;

/**
 * Asks Docker of a node to log in. Returns the reason of a failure. No answer is no failure of the login.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {ReachedNode["connection"]} connection
 * @param {RegistryLogin} login
 */
async function loginFault(env, connection, { url, user, password }) {
    const body = JSON.stringify({ username: user, password, serveraddress: url.split("/")[0] });
    const headers = `Host: docker\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
    const answer = await askSocket(env, connection, dockerSocket, `POST /auth HTTP/1.0\r\n${headers}\r\n${body}`, patienceSeconds);
    const [, status, said] = /^HTTP\S+ (\d+)[^]*?\r\n\r\n([^]*)$/.exec(answer ?? "") ?? [];
    if (status === undefined) return `no answer within ${patienceSeconds} s`;
    return /^2/.test(status) ? undefined : (/"message":"((?:[^"\\]|\\.)*)"/.exec(said)?.[1].replace(/\\(.)/g, "$1") ?? `status ${status}`);
}

/** Matches what Docker says of a registry that gives no answer. */
const noAnswer = /no answer within|dial tcp|timeout|Client\.Timeout|deadline exceeded|EOF|connection (refused|reset)|\b5\d\d\b/i;

/**
 * Lists the logins that fail: those that a registry refuses, and those that it does not answer.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {ReachedNode[]} nodes
 * @param {RegistryLogin[]} logins
 */
async function tryLogins(env, nodes, logins) {
    /** @type {{ refused: string[], unanswered: string[] }} */
    const faults = { refused: [], unanswered: [] };
    await Promise.all(
        nodes.map(async ({ name, connection }) => {
            for (const login of logins) {
                const fault = await loginFault(env, connection, login);
                if (fault === undefined) continue;
                const line =
                    `${name} (${connection.address}): cluster.privateRegistries[${login.index}]: expected that ${login.url} ` +
                    `accepts the login of ${login.user}, found: ${fault.trim()}`;
                (noAnswer.test(fault) ? faults.unanswered : faults.refused).push(line);
            }
        }),
    );
    return faults;
}

module.exports = { tryLogins };
