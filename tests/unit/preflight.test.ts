import { spawnSync } from "child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { delimiter, join } from "path";
import { preflightProgram } from "../../components/cluster/rke/hostPrograms";

const own = "-----BEGIN CERTIFICATE-----\nb3du\n-----END CERTIFICATE-----\n";
const other = own.replace("b3du", "b3RoZXI=");

let folder: string;
beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "preflight-"));
    mkdirSync(join(folder, "ssl"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs the preflight of a node on which `docker run` does this. Returns the lines about the cluster of the node. */
function told(dockerRun: string): string[] {
    const answers = "version) echo 28.3.0 ;; images) echo 'sha256:1b2c registry.example.com/rancher/rke-tools:' ;;";
    writeFileSync(join(folder, "docker"), `#!/bin/sh\ncase $1 in ${answers} run) ${dockerRun} ;; esac\n`);
    chmodSync(join(folder, "docker"), 0o755);
    const program = preflightProgram([], [own])
        .replace("'@now@'", String(Math.floor(Date.now() / 1000)))
        .replace("-d /etc/kubernetes/ssl", `-d ${join(folder, "ssl")}`);
    const env = { ...process.env, PATH: [folder, process.env.PATH].join(delimiter) };
    const { status, stdout } = spawnSync("sh", ["-s"], { input: program, env, encoding: "utf8" });
    expect(status).toBe(0);
    return stdout.split("\n").filter(line => line.startsWith("it "));
}

test.each([
    ["of this cluster", `printf %b '${own.replace(/\n/g, "\\n")}'`, []],
    ["of another cluster", `printf %b '${other.replace(/\n/g, "\\n")}'`, [expect.stringContaining("it belongs to another cluster: ")]],
    ["without a CA yet", "exit 1", []],
    [
        "whose Docker starts no container",
        "exit 125",
        [expect.stringMatching(/^it does not show whose cluster it is in: .* exit code 125 /)],
    ],
])("a node %s", (_what, dockerRun, lines) => expect(told(dockerRun)).toEqual(lines));
