import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { parseProbe } from "../../components/remote/probe";
import { nodeProgram } from "../../components/remote/programs";
import { run } from "../../lab/process";

// A login shell reads its rc file for `ssh HOST COMMAND`, too. What the file prints comes before the output of a program.
const components = join(__dirname, "..", "..", "components");
const host = { address: "192.0.2.9", port: 22, user: "rke", privateKey: "", hostKey: "ssh-ed25519 AAAA" };
let folder: string;
beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "greeting-"));
    // A shell on this machine replaces the OpenSSH client and its agent. Its greeting contains words of a probe.
    const commands = {
        ssh: 'echo "Welcome to lb1"; echo "finding none"; printf "no end of line"; for last; do :; done; exec sh -c "${last#sudo -n }"',
        "ssh-agent": 'shift 2; SSH_AGENT_PID=$$ exec "$@"',
        "ssh-add": "cat >/dev/null",
    };
    for (const [name, text] of Object.entries(commands)) {
        writeFileSync(join(folder, name), `#!/bin/bash\n${text}\n`);
        chmodSync(join(folder, name), 0o755);
    }
});
afterAll(() => rmSync(folder, { recursive: true }));

const runner = (input: string) =>
    run("node", ["-", "probe"], { input, env: { ...process.env, SSH_AUTH_SOCK: "", PATH: `${folder}:${process.env.PATH}` } });

test("of a load balancer host is no part of the probe", async () => {
    const program = "echo 'fact nginx 1.22.1'; echo end";
    const { stdout } = await runner(nodeProgram(join(components, "remote", "runner", "probeHost.js"), { host, program }));
    expect(parseProbe(stdout)).toMatchObject({ state: "in sync", facts: { nginx: "1.22.1" }, findings: [] });
});

test("of a node is no problem of the node", async () => {
    const nodes = [{ name: "node1", connection: host }];
    const main = `module.exports = { main: nodes => require(${JSON.stringify(join(components, "cluster/rke/runner/nodes"))})
        .onEach(process.env, nodes, "echo 'no Docker'").then(found => process.stdout.write(JSON.stringify(found))) };`;
    const entry = join(folder, "main.js");
    writeFileSync(entry, main);
    const { stdout } = await runner(nodeProgram(entry, nodes));
    expect(JSON.parse(stdout)).toEqual([{ lines: ["node1 (192.0.2.9): no Docker"] }]);
});
