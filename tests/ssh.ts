import { execFileSync } from "child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";

/** Makes a key pair for SSH with ssh-keygen. */
export function newSshKey(options: string[] = ["-t", "ed25519"]): { privateKey: string; publicKey: string } {
    const folder = mkdtempSync(join(tmpdir(), "ssh-key-"));
    try {
        execFileSync("ssh-keygen", ["-q", "-N", "", "-C", "", "-f", join(folder, "key"), ...options]);
        const [privateKey, publicKey] = ["key", "key.pub"].map(name => readFileSync(join(folder, name), "utf8"));
        return { privateKey, publicKey: publicKey.trim() };
    } finally {
        rmSync(folder, { recursive: true });
    }
}

/** A valid private key, and a host key that no host has. */
export const sshKey = newSshKey().privateKey;
export const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleE";

/**
 * Puts stand-ins for nodes into a folder of PATH: SSH runs programs on this machine, after the shell text `before`, and forwards a Docker that
 * answers. All nodes share this machine, so none is locked.
 */
export function standInForNodes(folder: string, before = ""): void {
    const mode = 0o755;
    const forward = `const socket = process.argv[process.argv.indexOf("-L") + 1].split(":")[0];
require("net").createServer(connection => connection.end("HTTP/1.0 200 OK")).listen(socket);`;
    writeFileSync(join(folder, "forward"), `#!${process.execPath}\n${forward}\n`, { mode });
    writeFileSync(join(folder, "ssh"), `#!/bin/sh\ncase "$*" in *" -N "*) exec ${folder}/forward "$@" ;; esac\n${before}\nexec sh\n`, {
        mode,
    });
    writeFileSync(join(folder, "flock"), "#!/bin/sh\n", { mode });
}
