const { withCode } = require("../../../remote/runner/codedError");
const { bullets } = require("./findings");
const { preflight, withAgentFor } = require("./nodes");
const { tryLogins } = require("./registryLogins");

/** @import { Fitness } from "../program" */
/** @import { WantedNode } from "../wantedNodes" */

/**
 * Checks new nodes in a preview, so that the preview already refuses a node that RKE cannot use or that belongs to another cluster.
 *
 * @param {WantedNode[]} newNodes
 * @param {Fitness} fitness
 * @param {import("../registries").RegistryLogin[]} logins
 */
async function lookAtNew(newNodes, { nodes, preflightProgram }, logins) {
    const asked = nodes.filter(({ connection }) => newNodes.some(({ address }) => address === connection.address));
    /** @type {Awaited<ReturnType<typeof preflight>>} */
    let found;
    /** @type {string[]} */
    let wrongLogins = [];
    try {
        found = await withAgentFor(asked, async env => {
            const checked = await preflight(env, asked, preflightProgram, { timeoutSeconds: 20 });
            const usable = asked.filter((_, index) => checked[index].lines.length === 0 && !checked[index].failure);
            wrongLogins = (await tryLogins(env, usable, logins)).refused;
            return checked;
        });
    } catch (/** @type {any} */ error) {
        // The keys or the SSH agent of this machine do not work, so no update can reach a node.
        return { refused: withCode("ssh", error.message) };
    }
    const refused = [...found.flatMap(({ lines }) => lines), ...wrongLogins];
    const failures = found.flatMap(({ failure }) => failure ?? []);
    return {
        ...(refused.length > 0 && { refused: withCode("nodes-not-fit", `RKE cannot run on these nodes:\n${bullets(refused)}`) }),
        warning: failures.map(failure => `${failure}. RKE is not run before that works`),
    };
}

module.exports = { lookAtNew };
