import { spawnSync } from "child_process";
import { join } from "path";
import { withCode } from "../errorCodes";
import { canonical } from "./addresses";

/** This file reads SSH's own formats with ssh-keygen, so that a key or a file means here what it means to SSH. It contacts no host. */

/** Answers of ssh-keygen. The schema asks the same questions several times. */
const answers = new Map<string, { stdout: string; reason: string }>();

/** Runs ssh-keygen on a text. The text travels through a pipe, so a private key never touches a file. */
function sshKeygen(args: string[], text: string): { stdout: string; reason: string } {
    const question = JSON.stringify([args, text]);
    const known = answers.get(question);
    if (known) return known;
    const script = join(__dirname, "runner", "sshKeygen.sh");
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

/** Matches a line with a public key of a type that Pulumi's SSH client takes as a host key. */
export const hostKeyLine = /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-[a-z0-9@.-]+) [A-Za-z0-9+/]+={0,2}( .*)?\s*$/;

/** A line of a known_hosts file about one host. */
interface KnownHost {
    /** @default none: the line holds the key of the host */
    marker?: "@cert-authority" | "@revoked";
    /** Type and data of the key, as in `ssh-ed25519 AAAA…`. */
    key: string;
    /** Number of the line in the file, from 1. */
    line: number;
}

/** Returns the name under which SSH looks for a host: lower case, and the short form of an IPv6 address. */
function nameOf(address: string): string {
    const [, ipv6] = /^\[(.*)\]$/.exec(canonical(address)) ?? [];
    return ipv6 ?? address.toLowerCase();
}

/** Returns the lines of a known_hosts file about a host: hashed names, patterns and markers count as they do for SSH. */
function knownHostLines(knownHosts: string, address: string, port: number): KnownHost[] {
    const name = nameOf(address);
    if (port === 22) return linesOf(knownHosts, name);
    const ofPort = linesOf(knownHosts, `[${name}]:${port}`);
    // SSH takes the key of the plain name if the port has none of its own. A key that is revoked for the port stays revoked.
    return ofPort.some(({ marker }) => !marker) ? ofPort : [...ofPort, ...linesOf(knownHosts, name)];
}

/** Returns the lines of a known_hosts file about a name. */
function linesOf(knownHosts: string, name: string): KnownHost[] {
    const found = sshKeygen(["-F", name], knownHosts).stdout.matchAll(
        /^# Host .* found: line (\d+).*\n[ \t]*(@\S+)?[ \t]*\S+[ \t]+(\S+)[ \t]+(\S+)/gm,
    );
    return [...found].map(([, line, marker, type, data]) => ({
        marker: marker as KnownHost["marker"],
        key: `${type} ${data}`,
        line: Number(line),
    }));
}

/** Returns the lines with a key that is not revoked. */
function ownLines(lines: KnownHost[]): KnownHost[] {
    const revoked = lines.filter(({ marker }) => marker === "@revoked").map(({ key }) => key);
    return lines.filter(({ marker, key }) => !marker && !revoked.includes(key));
}

/** Returns the lines with a whole key of the type that is chosen. An RSA key is the last choice. */
function chosenLines(lines: KnownHost[]): KnownHost[] {
    const whole = ownLines(lines).filter(({ key }) => hostKeyLine.test(key) && isPublicKey(key));
    const { key } = whole.find(each => !each.key.startsWith("ssh-rsa ")) ?? whole[0] ?? {};
    return whole.filter(each => typeOf(each.key) === typeOf(key!));
}

const typeOf = (key: string) => key.split(" ")[0];

/** Returns the key of a host from the text of a known_hosts file. Returns undefined for two keys of one type. */
export function hostKeyOf(address: string, port: number, knownHosts = ""): string | undefined {
    const keys = new Set(chosenLines(knownHostLines(knownHosts, address, port)).map(({ key }) => key));
    return keys.size === 1 ? [...keys][0] : undefined;
}

/** Returns the reason why a known_hosts file gives no key of a host. */
export function unknownHost(address: string, port: number, knownHosts = ""): string {
    const lines = knownHostLines(knownHosts, address, port);
    const [first, ...others] = chosenLines(lines);
    const other = others.find(({ key }) => key !== first.key);
    if (other) {
        const what = `lines ${first.line} and ${other.line} of ssh.knownHosts hold two of the type ${typeOf(first.key)}`;
        return `expected one key of the host: ${what}. Remove the line with the old key, or give hostKey.`;
    }
    const [unusable] = ownLines(lines);
    if (unusable) return `expected a whole host key: line ${unusable.line} of ssh.knownHosts holds ${fault(unusable.key)}.`;
    const markers = lines.map(({ marker }) => marker);
    if (markers.includes("@revoked")) return "expected a host key: all that ssh.knownHosts holds for this host are marked @revoked";
    if (markers.includes("@cert-authority"))
        return "expected the host's own key: ssh.knownHosts holds only a @cert-authority for this host, and Pulumi's SSH client checks no host certificates";
    return "expected a host key, or a line for this host in ssh.knownHosts (key: /etc/ssh/ssh_host_ed25519_key.pub on the host)";
}

/** Returns what is wrong with a key that cannot be a host key. */
const fault = (key: string): string =>
    isPublicKey(key)
        ? `a key of the type ${typeOf(key)}, which Pulumi's SSH client does not take. Give the Ed25519 key of the host`
        : `data that is no key of the type ${typeOf(key)}. Copy the line again from the host`;
