import * as pulumi from "@pulumi/pulumi";

/** SSH settings of all hosts. A host's own setting overrides the one here. */
export interface SshArgs {
    /** User that logs in. A name that OpenSSH refuses is refused. @default `root` on a load balancer host */
    user?: pulumi.Input<string>;
    /** TCP port of sshd. @default 22 */
    port?: pulumi.Input<number>;
    /**
     * Private key in PEM or OpenSSH form: Ed25519, ECDSA or RSA, without a passphrase. It is kept as a secret, and never written to a file.
     * A key that ssh-keygen of the machine that runs Pulumi cannot read is refused.
     * @default none
     */
    privateKey?: pulumi.Input<string>;
    /**
     * Text of a known_hosts file. It gives the keys of hosts without their own `hostKey`: hashed names, patterns and `@revoked` count as
     * they do for SSH. A host that has only a `@cert-authority` line is refused, because Pulumi's SSH client checks no host certificates.
     * @default none
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
