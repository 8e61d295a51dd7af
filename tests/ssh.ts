import { execFileSync } from "child_process";
import { mkdtempSync, readFileSync, rmSync } from "fs";
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
