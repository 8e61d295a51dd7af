import { z } from "zod";
import { secret } from "../secrecy";
import { hostAddressSchema, portSchema } from "./addresses";
import { hostKeyLine, hostKeyOf, isPublicKey, privateKeyType, unknownHost } from "./openssh";

/** User that logs in over SSH. Source: `valid_ruser` in ssh.c of OpenSSH; blanks and colons cannot be in /etc/passwd. */
const userSchema = z
    .string()
    .regex(/^(?!-)[^\s\p{Cc}:/'"`;&<>|(){}]+(?<!\\)$/u, "expected a user name, without blanks, quotes and special characters of a shell");

export const hostKeySchema = z
    .string()
    .overwrite(line => line.trim().replace(/^(\S+)[ \t]+(\S+)/, "$1 $2"))
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
export type HostSettings = z.output<typeof hostSchema>;

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
    /^ssh-rsa\s/.test(hostKey)
        ? "expected the Ed25519 or ECDSA key of the host: with its RSA key Pulumi's SSH client asks for SHA-1, which hosts of today refuse"
        : undefined;
