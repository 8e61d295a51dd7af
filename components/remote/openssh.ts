import { spawnSync } from "child_process";
import { join } from "path";
import { withCode } from "../errorCodes";

/** This file reads SSH's own formats with ssh-keygen, so that a key or a file means here what it means to SSH. It contacts no host. */

/** Answers of ssh-keygen. The schema asks the same questions several times. */
const answers = new Map<string, { stdout: string; reason: string }>();

/** Runs ssh-keygen on a text. The text travels through a pipe, so a private key never touches a file. */
function sshKeygen(args: string[], text: string): { stdout: string; reason: string } {
    const question = JSON.stringify([args, text]);
    const known = answers.get(question);
    if (known) return known;
    const script = join(__dirname, "sshKeygen.sh");
    const { stdout, stderr, status } = spawnSync("sh", [script, ...args], { input: text, encoding: "utf8" });
    if (status === 127 || status === null)
        throw new Error(withCode("ssh", "cannot run ssh-keygen: install the OpenSSH client on the machine that runs Pulumi"));
    const reason = stderr.trim().replace(/^Load key "\/dev\/stdin": /, "");
    const answer = { stdout: status === 0 ? stdout : "", reason };
    answers.set(question, answer);
    return answer;
}

/** Returns the type of a private key's public half, for example `ssh-ed25519`, or the reason why OpenSSH cannot read the key. */
export function privateKeyType(privateKey: string): { type?: string; reason: string } {
    const { stdout, reason } = sshKeygen(["-y", "-P", ""], privateKey);
    return { type: stdout.split(" ")[0] || undefined, reason };
}

/** Reports whether a line is a public key whose data is a key of the type that the line names. */
export function isPublicKey(line: string): boolean {
    return sshKeygen(["-l"], line).stdout !== "";
}

/** A line of a known_hosts file about one host. */
interface KnownHost {
    /** @default none: the line holds the key of the host */
    marker?: "@cert-authority" | "@revoked";
    /** Type and data of the key, as in `ssh-ed25519 AAAA…`. */
    key: string;
}

/** Returns the lines of a known_hosts file about a host: hashed names, patterns and markers count as they do for SSH. */
export function knownHostLines(knownHosts: string, address: string, port: number): KnownHost[] {
    const name = port === 22 ? address : `[${address}]:${port}`;
    return sshKeygen(["-F", name], knownHosts)
        .stdout.split("\n")
        .filter(line => line !== "" && !line.startsWith("#"))
        .map(line => {
            const [, marker, type, data] = /^(@\S+)?\s*\S+\s+(\S+)\s+(\S+)/.exec(line)!;
            return { marker: marker as KnownHost["marker"], key: `${type} ${data}` };
        });
}

/** Returns the key of a host from the text of a known_hosts file. An RSA key is the last choice. */
export function hostKeyOf(address: string, port: number, knownHosts = ""): string | undefined {
    const lines = knownHostLines(knownHosts, address, port);
    const revoked = lines.filter(({ marker }) => marker === "@revoked").map(({ key }) => key);
    const keys = lines.filter(({ marker, key }) => !marker && !revoked.includes(key)).map(({ key }) => key);
    return keys.find(key => !key.startsWith("ssh-rsa ")) ?? keys[0];
}

/** Returns the reason why a known_hosts file gives no key of a host. */
export function unknownHost(address: string, port: number, knownHosts = ""): string {
    const markers = knownHostLines(knownHosts, address, port).map(({ marker }) => marker);
    if (markers.includes("@revoked")) return "expected a host key: all that ssh.knownHosts holds for this host are marked @revoked";
    if (markers.includes("@cert-authority"))
        return "expected the host's own key: ssh.knownHosts holds only a @cert-authority for this host, and Pulumi's SSH client checks no host certificates";
    return "expected a host key, or a line for this host in ssh.knownHosts (key: /etc/ssh/ssh_host_ed25519_key.pub on the host)";
}
