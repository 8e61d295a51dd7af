import * as pulumi from "@pulumi/pulumi";
import type * as command from "@pulumi/command";
import { z } from "zod";
import { secret } from "../secrecy";
import { isAddressOrName, isOfAHost } from "./addresses";
import { isPublicKey, knownHostLines, privateKeyType } from "./openssh";

/** SSH settings of all hosts. A host's own setting overrides the one here. */
export interface SshArgs {
    /** User that logs in. A name that OpenSSH refuses is refused. @default `root` on a load balancer host */
    user?: pulumi.Input<string>;
    /** TCP port of sshd. @default 22 */
    port?: pulumi.Input<number>;
    /**
     * Private key in PEM or OpenSSH form: Ed25519, ECDSA or RSA, without a passphrase. It is kept as a secret, and never written to a file.
     * A key that ssh-keygen of the machine that runs Pulumi cannot read is refused.
     */
    privateKey?: pulumi.Input<string>;
    /**
     * Text of a known_hosts file. It gives the keys of hosts without their own `hostKey`: hashed names, patterns and `@revoked` count as
     * they do for SSH. A host that has only a `@cert-authority` line is refused, because Pulumi's SSH client checks no host certificates.
     */
    knownHosts?: pulumi.Input<string>;
    /**
     * Logs in with the keys of the SSH agent at SSH_AUTH_SOCK of the machine that runs Pulumi. An agent can hold SSH certificates, keys
     * with a passphrase and keys on tokens. An agent beside a private key is refused.
     * @default false
     */
    agent?: pulumi.Input<boolean>;
    /** A bastion (jump host) in front of all hosts. */
    bastion?: pulumi.Input<BastionArgs>;
    /**
     * Seconds for which an update waits for the sshd of a host that may still boot, from 0 to 3600. A host that drops packets takes up to
     * three times as long. Previews do not wait.
     * @default 120
     */
    waitSeconds?: pulumi.Input<number>;
}

/**
 * A bastion, also called jump host. Pulumi's commands, probes and RKE reach load balancer hosts and nodes through it. Its sshd must allow
 * TCP forwarding. Ports 443 and 6443 are reached directly.
 */
export interface BastionArgs {
    /** IP address or DNS name of the bastion. */
    address: pulumi.Input<string>;
    /** TCP port of its sshd. @default 22 */
    port?: pulumi.Input<number>;
    /** User that logs in on the bastion. The user needs no other rights. @default `ssh.user`, or root */
    user?: pulumi.Input<string>;
    /** Private key, with the rules of `ssh.privateKey`. It is kept as a secret, which no host gets. @default `ssh.privateKey` */
    privateKey?: pulumi.Input<string>;
    /** Host key of the bastion as one line. Every login but RKE's verifies this key. @default from `ssh.knownHosts` */
    hostKey?: pulumi.Input<string>;
}

/** A host that is reached over SSH. Its host key is always verified: a host without a known key is refused. */
export interface HostArgs {
    /** IP address or DNS name that SSH dials. A loopback, link-local IPv6, multicast or unspecified address is refused. */
    address: pulumi.Input<string>;
    /** TCP port of sshd. @default `ssh.port` */
    port?: pulumi.Input<number>;
    /** User that logs in. On a load balancer host, a user other than root needs `sudo` without a password. @default `ssh.user` */
    user?: pulumi.Input<string>;
    /** Private key, with the rules of `ssh.privateKey`. It is kept as a secret. @default `ssh.privateKey` */
    privateKey?: pulumi.Input<string>;
    /**
     * Host key as one line such as `ssh-ed25519 AAAA…`, from /etc/ssh/ssh_host_*_key.pub on the host. A line whose data is no key of its
     * type is refused. On a load balancer host ssh-rsa is refused, because Pulumi's SSH client supports it with SHA-1 only.
     * @default from `ssh.knownHosts`
     */
    hostKey?: pulumi.Input<string>;
}

/** A login with every value known and every default applied. */
export interface Login {
    address: string;
    port: number;
    user: string;
    /** Undefined for a login with the keys of the user's SSH agent. */
    privateKey?: string;
    hostKey: string;
}

/** A host as SSH reaches it. */
export interface HostConnection extends Login {
    bastion?: Login;
    waitSeconds: number;
}

const hostKeyLine = /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-[a-z0-9@.-]+) [A-Za-z0-9+/]+={0,2}( .*)?\s*$/;

export const addressSchema = z.string().refine(isAddressOrName, "expected an IP address or a DNS name");

/** Address of a host that other hosts reach. */
export const hostAddressSchema = addressSchema.refine(
    isOfAHost,
    "expected an address by which other hosts reach this one, not a loopback, link-local, multicast or unspecified address",
);

/** User that logs in over SSH. Source: `valid_ruser` in ssh.c of OpenSSH; blanks and colons cannot be in /etc/passwd. */
const userSchema = z
    .string()
    .regex(/^(?!-)[^\s\p{Cc}:/'"`;&<>|(){}]+(?<!\\)$/u, "expected a user name, without blanks, quotes and special characters of a shell");

export const dnsNameSchema = z
    .string()
    .max(253)
    .regex(
        // Browsers read a name whose last label is a number as an IPv4 address (URL standard, "ends in a number").
        /^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+(?!(\d+|0x[0-9a-f]*)$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/,
        "expected a lower-case DNS name such as rancher.example.com",
    );

export const portSchema = z.number().int().min(1).max(65535);

export const hostKeySchema = z
    .string()
    .trim()
    .regex(hostKeyLine, 'expected one public host key line such as "ssh-ed25519 AAAA…" (see /etc/ssh/ssh_host_ed25519_key.pub on the host)')
    .refine(
        line => !hostKeyLine.test(line) || isPublicKey(line),
        "expected a whole host key: the data behind the type is no key of this type. Copy the line again from the host",
    );

/** Schema of a private key for TLS. */
const privateKeySchema = z
    .string()
    .regex(/^-----BEGIN [A-Z ]*PRIVATE KEY-----\r?\n/, "expected a private key in PEM or OpenSSH form")
    .refine(
        key => !key.includes("ENCRYPTED") && !isEncryptedOpenSsh(key),
        "expected a key without a passphrase; decrypt it with ssh-keygen -p and store it as a secret",
    );

/** Schema of a private key for SSH. Returns the key in the form that OpenSSH and Pulumi's SSH client read alike. */
const sshKeySchema = z
    .string()
    .overwrite(normalizedKey)
    .superRefine((key, context) => {
        const message = sshKeyProblem(key);
        if (message) context.addIssue({ code: "custom", message });
    });

/**
 * Returns the key's block with Unix line ends, without indentation and without the text around the block. OpenSSH refuses CRLF, and Pulumi's
 * SSH client refuses a block of parameters before the key.
 */
function normalizedKey(text: string): string {
    const block = /-----BEGIN ([A-Z]+ )*PRIVATE KEY-----[^]*?-----END ([A-Z]+ )*PRIVATE KEY-----/.exec(text)?.[0];
    return block === undefined ? text : `${block.replace(/[ \t]*\r?\n[ \t]*/g, "\n")}\n`;
}

/** Returns the reason why a private key cannot be used to log in, or undefined. */
function sshKeyProblem(key: string): string | undefined {
    const { success, error } = privateKeySchema.safeParse(key);
    if (!success) return isPublicKey(key) ? "expected the private key, not the public key of the .pub file" : error.issues[0].message;
    const { type, reason } = privateKeyType(key);
    if (type === undefined) return `expected a private key that OpenSSH reads (ssh-keygen: ${reason}). Make one with ssh-keygen -t ed25519`;
    if (/^(ssh-ed25519|ssh-rsa|ecdsa-.*)$/.test(type)) return undefined;
    return `expected an Ed25519, ECDSA or RSA key: Pulumi's SSH client cannot use ${type}. Make one with ssh-keygen -t ed25519`;
}

/** Reports whether an OpenSSH key has a passphrase. After its magic text the key names its cipher, which is `none` without a passphrase. */
function isEncryptedOpenSsh(key: string): boolean {
    const body = Buffer.from(/BEGIN OPENSSH PRIVATE KEY-----([^-]*)/.exec(key)?.[1] ?? "", "base64").toString("latin1");
    return body.startsWith("openssh-key-v1\0") && !body.startsWith("openssh-key-v1\0\0\0\0\x04none");
}

export const hostSchema = z.strictObject({
    address: hostAddressSchema,
    port: portSchema.optional(),
    user: userSchema.optional(),
    privateKey: secret(sshKeySchema).optional(),
    hostKey: hostKeySchema.optional(),
});
type HostSettings = z.output<typeof hostSchema>;

export const sshSchema = z.strictObject({
    // Without a default: `root` on load balancer hosts is no user for RKE, so a rule asks for the user of nodes.
    user: userSchema.optional(),
    port: portSchema.default(22),
    privateKey: secret(sshKeySchema).optional(),
    knownHosts: z.string().optional(),
    agent: z.boolean().default(false),
    bastion: hostSchema.extend({ port: portSchema.default(22) }).optional(),
    waitSeconds: z.number().int().min(0).max(3600).default(120),
});
export type SshSettings = z.output<typeof sshSchema>;

const anything = z.unknown().optional();
const reachedLogin = z.looseObject({ address: anything, port: anything, privateKey: anything, hostKey: anything });

/** The part of `HostSettings` and `SshSettings` that rules read, even when other values are wrong or unknown. */
export const reachedSchema = z.looseObject({
    ssh: z.looseObject({ bastion: reachedLogin.optional().catch(undefined) }).optional(),
    hosts: z.array(reachedLogin),
});
export type Reached = z.output<typeof reachedSchema>;

/** Returns the connection of a host. Settings that the host does not give come from `ssh`. */
export function connectionOf(host: HostSettings, ssh: SshSettings): HostConnection {
    const { bastion, waitSeconds } = ssh;
    return { ...loginOf(host, ssh), ...(bastion && { bastion: loginOf(bastion, ssh) }), waitSeconds };
}

function loginOf(host: HostSettings, ssh: SshSettings): Login {
    const port = host.port ?? ssh.port;
    return {
        address: host.address,
        port,
        user: host.user ?? ssh.user ?? "root",
        // `reportUnreached` refused a host with neither a key nor an agent, and a host without a host key.
        privateKey: host.privateKey ?? ssh.privateKey,
        hostKey: host.hostKey ?? hostKeyOf(host.address, port, ssh.knownHosts)!,
    };
}

/** Reports hosts, and a bastion, without a host key or a private key. `at` is the path of the hosts. */
export function reportUnreached(
    { ssh = {}, hosts }: Reached,
    context: z.core.$RefinementCtx,
    at: PropertyKey[],
    isRefused: (hostKey: string) => string | undefined = () => undefined,
): void {
    const report = (path: PropertyKey[], message: string) => context.addIssue({ code: "custom", path, message });
    const logins = hosts.map((host, index) => ({ ...host, port: host.port ?? ssh.port, path: [...at, index] as PropertyKey[] }));
    if (ssh.bastion) logins.push({ ...ssh.bastion, port: ssh.bastion.port, path: ["ssh", "bastion"] });
    const keyed = [{ privateKey: ssh.privateKey, path: ["ssh"] }, ...logins].filter(({ privateKey }) => privateKey !== undefined);
    if (ssh.agent === true)
        keyed.forEach(({ path }) => report([...path, "privateKey"], "expected no private key beside ssh.agent: the agent holds the keys."));
    else if (ssh.privateKey === undefined && keyed.length < logins.length)
        report(["ssh", "privateKey"], "expected a private key, ssh.agent: true, or a private key of each host and node");
    logins.forEach(({ address, port, hostKey, path }) => {
        // A value that comes from another resource is checked when it is known.
        if ([address, port].some(value => typeof value === "object") || typeof (ssh.knownHosts ?? "") !== "string") return;
        const known = [String(address), Number(port), ssh.knownHosts as string | undefined] as const;
        const key = hostKey ?? hostKeyOf(...known);
        const problem = key === undefined ? unknownHost(...known) : undefined;
        const message = problem ?? (typeof key === "string" ? isRefused(key.trim()) : undefined);
        if (message) report([...path, "hostKey"], message);
    });
}

/** Returns the reason why @pulumi/command cannot use a host key, or undefined. */
export const notForPulumi = (hostKey: string): string | undefined =>
    hostKey.startsWith("ssh-rsa ")
        ? "expected the Ed25519 or ECDSA key of the host: with its RSA key Pulumi's SSH client asks for SHA-1, which hosts of today refuse"
        : undefined;

/** Returns the key of a host from the text of a known_hosts file. An RSA key is the last choice. */
function hostKeyOf(address: string, port: number, knownHosts = ""): string | undefined {
    const lines = knownHostLines(knownHosts, address, port);
    const revoked = lines.filter(({ marker }) => marker === "@revoked").map(({ key }) => key);
    const keys = lines.filter(({ marker, key }) => !marker && !revoked.includes(key)).map(({ key }) => key);
    return keys.find(key => !key.startsWith("ssh-rsa ")) ?? keys[0];
}

/** Returns the reason why a known_hosts file gives no key of a host. */
function unknownHost(address: string, port: number, knownHosts = ""): string {
    const markers = knownHostLines(knownHosts, address, port).map(({ marker }) => marker);
    if (markers.includes("@revoked")) return "expected a host key: all that ssh.knownHosts holds for this host are marked @revoked";
    if (markers.includes("@cert-authority"))
        return "expected the host's own key: ssh.knownHosts holds only a @cert-authority for this host, and Pulumi's SSH client checks no host certificates";
    return "expected a host key, or a line for this host in ssh.knownHosts (key: /etc/ssh/ssh_host_ed25519_key.pub on the host)";
}

/**
 * Returns the connection for the command provider, built field by field. When the provider meets an unknown field, it prints the whole
 * connection with the private key (pulumi-command #773).
 */
export function commandConnection(connection: pulumi.Input<HostConnection>): pulumi.Output<command.types.input.remote.ConnectionArgs> {
    return pulumi.output(connection).apply(({ bastion, waitSeconds, ...host }) => {
        const dial = ({ address, port, user, privateKey, hostKey }: Login) => ({
            host: address,
            port,
            user,
            // Without a key the provider asks the agent at SSH_AUTH_SOCK.
            privateKey,
            hostKey,
            dialErrorLimit: dialsWithin(waitSeconds),
            perDialTimeout: 5,
        });
        return pulumi.secret({ ...dial(host), ...(bastion && { proxy: dial(bastion) }) });
    });
}

/** Returns how often the command provider dials again within a time. The wait between two dials grows by half, from 0.1 s to 5 s. */
function dialsWithin(seconds: number): number {
    let dials = 0;
    for (let wait = 0.1, left = seconds - wait; left >= 0; left -= wait) {
        dials++;
        wait = Math.min(wait * 1.5, 5);
    }
    return dials;
}
