import * as pulumi from "@pulumi/pulumi";
import type * as command from "@pulumi/command";
import { z } from "zod";

/** How to reach one host over SSH. Host keys are always verified: a host without a known key is refused. */
export interface HostConnectionArgs {
    /** IP address or DNS name that SSH dials. */
    host: pulumi.Input<string>;
    /** TCP port of sshd. Default 22. */
    port?: pulumi.Input<number>;
    /** User that logs in. Default `root`; any other user needs `sudo` without a password where a component says so. */
    user?: pulumi.Input<string>;
    /** Private key in PEM or OpenSSH form, not encrypted. Always kept as a secret. */
    privateKey: pulumi.Input<string>;
    /**
     * Host key as one authorized-keys style line, for example `ssh-ed25519 AAAA…` (a line of /etc/ssh/ssh_host_*_key.pub). Refused:
     * ssh-rsa, for which the SSH client of @pulumi/command knows only SHA-1.
     */
    hostKey: pulumi.Input<string>;
}

/** `HostConnectionArgs` with every value known and every default applied. */
export interface HostConnection {
    host: string;
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

/** An OpenSSH key names its cipher after its magic text: `none`, or it has a passphrase. */
function isEncryptedOpenSsh(key: string): boolean {
    const body = Buffer.from(/BEGIN OPENSSH PRIVATE KEY-----([^-]*)/.exec(key)?.[1] ?? "", "base64").toString("latin1");
    return body.startsWith("openssh-key-v1\0") && !body.startsWith("openssh-key-v1\0\0\0\0\x04none");
}

export const hostConnectionSchema = z.strictObject({
    host: addressSchema,
    port: portSchema.default(22),
    user: z.string().min(1).default("root"),
    privateKey: privateKeySchema,
    hostKey: hostKeySchema.refine(
        key => !key.startsWith("ssh-rsa "),
        "expected the Ed25519 or ECDSA key of the host: with its RSA key Pulumi's SSH client asks for SHA-1, which hosts of today refuse",
    ),
});

/**
 * The connection as the command provider wants it. Built field by field: the provider prints the whole connection, key
 * included, when it meets a field it does not know (pulumi-command #773).
 */
export function commandConnection(connection: pulumi.Input<HostConnection>): command.types.input.remote.ConnectionArgs {
    const known = pulumi.output(connection);
    return {
        host: known.host,
        port: known.port,
        user: known.user,
        privateKey: pulumi.secret(known.privateKey),
        hostKey: known.hostKey,
        dialErrorLimit: 3,
        perDialTimeout: 10,
    };
}
