// Runs `rke` where Pulumi runs. The state, the configuration and the SSH key come in on standard input; nothing of it is left on disk.
const { apply } = require("./applyCluster");
const { check } = require("./checkNodes");
const { createPki } = require("./createPki");
const { bounded, maxErrorBytes } = require("./progress");
const { destroy } = require("./removeCluster");

/** @import { ClusterInput, PkiInput } from "../program" */

/** @param {(ClusterInput & PkiInput) & { task: "pki" | "nodes" | "cluster" }} input */
function main(input) {
    const verb = process.argv[2];
    const work = verb === "destroy" ? destroy : { pki: createPki, nodes: check, cluster: apply }[input.task];
    // Until the work is done: Node ends with success when nothing is left to wait for.
    process.exitCode = 1;
    work(input).then(
        () => (process.exitCode = 0),
        error => process.stderr.write(`${bounded(error.message, maxErrorBytes)}\n`),
    );
}

module.exports = { main };
