import * as pulumi from "@pulumi/pulumi";
import { createHash } from "crypto";
import { join } from "path";
import { hostProgram, observeHost } from "../host/commands";
import { HostConnectionArgs } from "../host/connection";
import { driftEpoch, DriftMode } from "../host/drift";
import { shellProgram } from "../host/programs";
import { validated } from "../validation";
import { nginxConf, releaseOf, statusPort, sysctls } from "./nginxConf";
import { nginxLoadBalancerSchema, NginxSettings } from "./schema";

/** What may be tuned on the load balancer; every default is safe. */
export interface NginxTuningArgs {
    /** Port of the ingress controller on the upstreams. Default 80. */
    upstreamPort?: pulumi.Input<number>;
    /**
     * Connections of one worker process, from clients and to nodes together. Default 16384; a WebSocket takes two, so this holds
     * about 7700 of them for each CPU core. The host's open file limit must be 1000 above it.
     */
    workerConnections?: pulumi.Input<number>;
    /**
     * Seconds without a byte after which a proxied connection is closed. Default 1800, Rancher's own advice; less than 900 is
     * refused, because a shell in the browser is cut off by it.
     */
    readTimeoutSeconds?: pulumi.Input<number>;
    /** Largest request body, for example `64m`, which is the default; NGINX's own 1m is too little for charts and manifests. */
    maxBodySize?: pulumi.Input<string>;
}

export interface NginxLoadBalancerArgs extends NginxTuningArgs {
    /** The load balancer hosts: Debian or Ubuntu, reached as root or with sudo without a password. Exactly one today. */
    hosts: pulumi.Input<pulumi.Input<HostConnectionArgs>[]>;
    /** DNS name under which Rancher is served. Requests for other names are refused. */
    hostname: pulumi.Input<string>;
    /** Addresses of the worker nodes, where the ingress controller listens. At least one, each once. */
    upstreams: pulumi.Input<pulumi.Input<string>[]>;
    /** Server certificate in PEM form, followed by its intermediates. */
    certificateChain: pulumi.Input<string>;
    /** Private key of the server certificate in PEM form. Kept as a secret, mode 0600 on the host. */
    privateKey: pulumi.Input<string>;
    /** What to do about a host changed behind Pulumi's back. Default enforce. */
    drift?: DriftMode;
}

/**
 * NGINX on a host, as the layer-7 load balancer that ends TLS for Rancher. Installs it, writes configuration and certificate,
 * checks them before they go live, reloads only when something changed, checks what is really served, and goes back to the
 * previous state when any of that fails. Files, modes, service state and the NGINX version are looked at in every preview.
 */
export class NginxLoadBalancer extends pulumi.ComponentResource {
    /** Addresses of the hosts, once they serve this configuration. */
    readonly addresses: pulumi.Output<string[]>;
    /** The configuration, before the host drops the lines for other versions of NGINX. */
    readonly configuration: pulumi.Output<string>;
    /** Changes whenever what a host serves changes. */
    readonly fingerprint: pulumi.Output<string>;

    constructor(name: string, args: NginxLoadBalancerArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:NginxLoadBalancer", name, {}, opts);
        const settings = validated(this, `NginxLoadBalancer ${name}`, nginxLoadBalancerSchema, args);
        const connection = settings.hosts[0];
        const child = { parent: this };
        this.configuration = pulumi.unsecret(settings.apply(known => nginxConf(known, releaseOf(known))));

        const epoch = driftEpoch(
            `${name}-drift`,
            {
                mode: args.drift ?? DriftMode.Enforce,
                observe: () => observeHost(connection, probeScript(), child),
                desired: {
                    "nginx.conf": this.configuration,
                    certificate: pulumi.unsecret(settings.certificateChain),
                    "private key, SHA-256": pulumi.unsecret(settings.privateKey.apply(sha256)),
                },
            },
            child,
        );
        const host = hostProgram(
            `${name}-host`,
            { connection, program: pulumi.all([settings, epoch]).apply(parts => hostScript(...parts)), timeoutSeconds: 600 },
            child,
        );

        this.fingerprint = host.stdout;
        this.addresses = pulumi.unsecret(pulumi.all([settings.hosts, host.id]).apply(([hosts]) => hosts.map(each => each.host)));
        this.registerOutputs({ addresses: this.addresses, configuration: this.configuration, fingerprint: this.fingerprint });
    }
}

const program = join(__dirname, "host.sh");

/** The program that says what on a host differs from what was last applied. */
export function probeScript(): string {
    return shellProgram(program, { status_port: String(statusPort) });
}

/** The program that makes a host serve these settings. A higher epoch only makes it run again. */
export function hostScript(settings: NginxSettings, epoch: number): string {
    const release = releaseOf(settings);
    return shellProgram(program, {
        drift_epoch: String(epoch),
        status_port: String(statusPort),
        hostname: settings.hostname,
        release,
        configuration: nginxConf(settings, release),
        certificate: settings.certificateChain.trim(),
        private_key: settings.privateKey.trim(),
        sysctls,
    });
}

function sha256(text: string): string {
    return createHash("sha256").update(text).digest("hex");
}
