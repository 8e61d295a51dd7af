import { ChildProcess, spawn } from "child_process";
import { once } from "events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { delimiter, join } from "path";
import { createInterface } from "readline";
import { nodeProgram } from "../../components/remote/programs";
import { until } from "../../lab/process";
import { hostKey, sshKey } from "../ssh";

// The program runs with a stand-in for SSH that runs the host program here, with a lock of its own for each node.
const runner = join(__dirname, "..", "..", "components", "cluster", "rke", "runner");
const node = (name: string, address: string) => ({
    name,
    connection: { address, port: 22, user: "rke", hostKey, privateKey: sshKey, waitSeconds: 0 },
});
const [node1, node2] = [node("node1", "192.0.2.31"), node("node2", "192.0.2.32")];

let folder: string;
let runs: ChildProcess[];
beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "lock-"));
    runs = [];
    command("ssh", `for word in "$@"; do case $word in 192.*) host=$word ;; esac; done\n${reaching}`);
    // The program under test. It works, and so holds the locks, until a signal ends it.
    const work = `say("works"); return new Promise(resolve => process.once("SIGUSR2", resolve));`;
    writeFileSync(
        join(folder, "entry.js"),
        `const { printResult } = require("${join(runner, "..", "..", "..", "remote", "runner", "result")}");
const { withLockOf } = require("${join(runner, "lock")}");
const { say } = require("${join(runner, "progress")}");
module.exports = { main: nodes => printResult(withLockOf(nodes, [], async () => { ${work} }).then(() => "")) };`,
    );
});
afterEach(async () => {
    await Promise.all(runs.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null).map(child => ended(child)));
    rmSync(folder, { recursive: true });
});

const program = 'sed -u "s|/tmp/pulumi-rancher-ha|$FOLDER/$host|; s|-w 90|-w 3|" 2>/dev/null';
const reaching = `SSH_CONNECTION="198.51.100.7 50000 $host 22" exec sh < <(${program})`;

function command(name: string, text: string): void {
    writeFileSync(join(folder, name), `#!/bin/bash\n${text}\n`);
    chmodSync(join(folder, name), 0o755);
}

/** Starts a run on nodes. `says` waits until it has said a text, or has ended. */
function start(nodes: object[]) {
    const PATH = [folder, process.env.PATH].join(delimiter);
    const child = spawn("node", ["-", "apply"], { env: { ...process.env, PATH, FOLDER: folder } });
    runs.push(child);
    child.stdin.end(nodeProgram(join(folder, "entry.js"), nodes));
    const lines: string[] = [];
    createInterface({ input: child.stderr }).on("line", line => lines.push(line.replace(/^\[.*?\] /, "")));
    const says = (text: string) =>
        until(`a run that says "${text}"`, 20, async () => child.exitCode !== null || lines.some(line => line.includes(text)));
    return { child, lines, says };
}

/** Ends a run, and waits for its end. */
async function ended(child: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    child.kill(signal);
    await once(child, "close");
}

test("a second run waits until the first has ended, and says for which", async () => {
    const first = start([node1, node2]);
    await first.says("works");
    const second = start([node2]);
    await second.says("waiting");
    await ended(first.child, "SIGUSR2");
    await second.says("works");
    expect(second.lines).toEqual(["waiting for another run on node2, which was started from 198.51.100.7", "works"]);
});

test("a killed run holds no lock", async () => {
    const first = start([node1]);
    await first.says("works");
    await ended(first.child);
    const second = start([node1]);
    await second.says("works");
    expect(second.lines).toEqual(["works"]);
});

test("a run that does not end refuses a second one", async () => {
    const first = start([node1]);
    await first.says("works");
    const second = start([node2, node1]);
    await once(second.child, "close");
    expect(second.lines.join("\n")).toMatch(
        /node1 \(192\.0\.2\.31\): expected that no other run changes this node, found one that did not end within 90 s.* 198\.51\.100\.7\. Nothing was changed.*\[RHA host-busy\]/,
    );
});

test("nodes that SSH does not reach are not locked, and one without flock is told", async () => {
    command("flock", "echo 'flock: not found' >&2; exit 127");
    command("ssh", `case "$*" in *192.0.2.32*) exit 255 ;; esac\nhost=192.0.2.31\n${reaching}`);
    const run = start([node1, node2]);
    await run.says("works");
    expect(run.lines).toEqual([expect.stringMatching(/^warning: node1 .* is not locked against other runs: /), "works"]);
});
