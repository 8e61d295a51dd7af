import * as pulumi from "@pulumi/pulumi";
import type * as command from "@pulumi/command";
import { z } from "zod";

/** SSH settings of all hosts. A host's own setting overrides the one here. */
export interface SshArgs {
    /** User that logs in. @default `root` on a load balancer host */
    user?: pulumi.Input<string>;
    /** TCP port of sshd. @default 22 */
    port?: pulumi.Input<number>;
    /** Private key in PEM or OpenSSH form, without a passphrase. It is kept as a secret, and never written to a file. */
    privateKey?: pulumi.Input<string>;
    /** Text of a known_hosts file that is not hashed. It gives the keys of hosts without their own `hostKey`. */
    knownHosts?: pulumi.Input<string>;
}

/** A host that is reached over SSH. Its host key is always verified: a host without a known key is refused. */
export interface HostArgs {
    /** IP address or DNS name that SSH dials. */
    address: pulumi.Input<string>;
    /** TCP port of sshd. @default `ssh.port` */
    port?: pulumi.Input<number>;
    /** User that logs in. On a load balancer host, a user other than root needs `sudo` without a password. @default `ssh.user` */
    user?: pulumi.Input<string>;
    /** Private key in PEM or OpenSSH form, without a passphrase. It is kept as a secret. @default `ssh.privateKey` */
    privateKey?: pulumi.Input<string>;
    /**
     * Host key as one line such as `ssh-ed25519 AAAA…`, from /etc/ssh/ssh_host_*_key.pub on the host. On a load balancer host ssh-rsa is
     * refused, because Pulumi's SSH client supports it with SHA-1 only.
     * @default from `ssh.knownHosts`
     */
    hostKey?: pulumi.Input<string>;
}

/** A host with every value known and every default applied. */
export interface HostConnection {
    address: string;
    port: number;
    user: string;
    privateKey: string;
    hostKey: string;
}

const hostKeyLine = /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-[a-z0-9@.-]+) [A-Za-z0-9+/]+={0,2}( .*)?$/;

export const addressSchema = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$/, "expected an IP address or a DNS name");

export const ipAddressSchema = z.union([z.ipv4(), z.ipv6()], "expected an IP address");

export const dnsNameSchema = z
    .string()
    .max(253)
    .regex(
        /^(?=.*[a-z])([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/,
        "expected a lower-case DNS name such as rancher.example.com",
    );

export const portSchema = z.number().int().min(1).max(65535);

export const hostKeySchema = z
    .string()
    .regex(
        hostKeyLine,
        'expected one public host key line such as "ssh-ed25519 AAAA…" (see /etc/ssh/ssh_host_ed25519_key.pub on the host)',
    );

export const privateKeySchema = z
    .string()
    .regex(/^-----BEGIN [A-Z ]*PRIVATE KEY-----\r?\n/, "expected a private key in PEM or OpenSSH form")
    .refine(
        key => !key.includes("ENCRYPTED") && !isEncryptedOpenSsh(key),
        "expected a key without a passphrase; decrypt it with ssh-keygen -p and store it as a secret",
    );

/** Reports whether an OpenSSH key has a passphrase. After its magic text the key names its cipher, which is `none` without a passphrase. */
function isEncryptedOpenSsh(key: string): boolean {
    const body = Buffer.from(/BEGIN OPENSSH PRIVATE KEY-----([^-]*)/.exec(key)?.[1] ?? "", "base64").toString("latin1");
    return body.startsWith("openssh-key-v1\0") && !body.startsWith("openssh-key-v1\0\0\0\0\x04none");
}

export const sshSchema = z.strictObject({
    user: z.string().min(1).optional(),
    port: portSchema.optional(),
    privateKey: privateKeySchema.optional(),
    knownHosts: z.string().optional(),
});
export type SshSettings = z.output<typeof sshSchema>;

export const hostSchema = z.strictObject({
    address: addressSchema,
    port: portSchema.optional(),
    user: z.string().min(1).optional(),
    privateKey: privateKeySchema.optional(),
    hostKey: hostKeySchema.optional(),
});
type HostSettings = z.output<typeof hostSchema>;

/** The part of `HostSettings` and `SshSettings` that rules read, even when other values are wrong or unknown. */
export const reachedSchema = z.looseObject({
    ssh: z.looseObject({}).optional(),
    hosts: z.array(z.looseObject({ address: z.unknown().optional() })),
});

/** Returns the connection of a host. Settings that the host does not give come from `ssh`. */
export function connectionOf(host: HostSettings, ssh: SshSettings = {}): HostConnection {
    const port = host.port ?? ssh.port ?? 22;
    return {
        address: host.address,
        port,
        user: host.user ?? ssh.user ?? "root",
        // `reportUnreached` refused a host without a key.
        privateKey: host.privateKey ?? ssh.privateKey!,
        hostKey: host.hostKey ?? hostKeyOf(host.address, port, ssh.knownHosts)!,
    };
}

/** Reports hosts without a host key or a private key. `at` is the path of the hosts. */
export function reportUnreached(
    { ssh = {}, hosts }: z.output<typeof reachedSchema>,
    context: z.core.$RefinementCtx,
    at: PropertyKey[],
    isRefused: (hostKey: string) => string | undefined = () => undefined,
): void {
    const report = (path: PropertyKey[], message: string) => context.addIssue({ code: "custom", path, message });
    const { port: defaultPort = 22, knownHosts, privateKey } = ssh;
    if (privateKey === undefined && hosts.some(host => host.privateKey === undefined))
        report(["ssh", "privateKey"], "expected a private key, or one of its own for each host and node");
    hosts.forEach(({ address, port = defaultPort, hostKey }, index) => {
        // A value that comes from another resource is checked when it is known.
        if ([address, port, knownHosts].some(value => typeof value === "object")) return;
        const key = hostKey ?? hostKeyOf(String(address), Number(port), knownHosts as string | undefined);
        const problem = key === undefined ? "expected a host key, or a line for this host in ssh.knownHosts" : undefined;
        const message = problem ?? (typeof key === "string" ? isRefused(key) : undefined);
        if (message) report([...at, index, "hostKey"], message);
    });
}

/** Returns the reason why @pulumi/command cannot use a host key, or undefined. */
export const notForPulumi = (hostKey: string): string | undefined =>
    hostKey.startsWith("ssh-rsa ")
        ? "expected the Ed25519 or ECDSA key of the host: with its RSA key Pulumi's SSH client asks for SHA-1, which hosts of today refuse"
        : undefined;

/** Returns the key of a host from the text of a known_hosts file. An RSA key is the last choice. */
function hostKeyOf(address: string, port: number, knownHosts = ""): string | undefined {
    const name = port === 22 ? address : `[${address}]:${port}`;
    const keys = knownHosts
        .split("\n")
        .map(line => line.trim().split(/\s+/))
        .filter(([names, , key]) => key !== undefined && !names.startsWith("#") && names.split(",").includes(name))
        .map(([, type, key]) => `${type} ${key}`);
    return keys.find(key => !key.startsWith("ssh-rsa ")) ?? keys[0];
}

/**
 * Returns the connection for the command provider, built field by field. When the provider meets an unknown field, it prints the whole
 * connection with the private key (pulumi-command #773).
 */
export function commandConnection(connection: pulumi.Input<HostConnection>): command.types.input.remote.ConnectionArgs {
    const known = pulumi.output(connection);
    return {
        host: known.address,
        port: known.port,
        user: known.user,
        privateKey: pulumi.secret(known.privateKey),
        hostKey: known.hostKey,
        dialErrorLimit: 3,
        perDialTimeout: 10,
    };
}
