import * as pulumi from "@pulumi/pulumi";
import type * as command from "@pulumi/command";
import { hostKeyOf } from "./openssh";
import { HostSettings, SshSettings } from "./schema";

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
            // The provider asks the agent at SSH_AUTH_SOCK beside a key, too. runner/probeHost.js refuses a socket where none listens.
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
