import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { needsAttention } from "../attention";
import { hostProgram, observeHost } from "../remote/commands";
import { CertificateArgs } from "../certificates/serverCertificate";
import { HostConnectionArgs } from "../remote/connection";
import { driftEpoch, DriftMode, warnOfSetBack } from "../remote/drift";
import { Probe } from "../remote/probe";
import { stackName } from "../owner";
import { secretAs } from "../secrecy";
import { Refusal, refuseOutputs, validated } from "../validation";
import { upgradeGains } from "./nginxConf";
import { activeHost, otherApply, otherRelease, pairFault } from "./observation";
import { hostScript, probeScript, vrrpOf } from "./program";
import { describeFiles, releaseFor } from "./release";
import { nginxLoadBalancerSchema, hostsSchema, TlsVersion } from "./schema";

/** Directives of NGINX that the other arguments do not cover. NGINX checks them before they go live; none may open a port. */
export interface ExtraDirectivesArgs {
    /** Inside `http`, for example a `limit_req_zone`. Default none. */
    http?: pulumi.Input<string>;
    /** Inside the `server` of Rancher. Default none. */
    server?: pulumi.Input<string>;
    /**
     * Inside the `location`s of Rancher. No `proxy_set_header` and no `add_header`: one here would drop all that the server sets.
     * Default none.
     */
    location?: pulumi.Input<string>;
}

/** What may be tuned on the load balancer. Every default is safe; the measurements stand in docs/benchmarks.md. */
export interface NginxTuningArgs {
    /** Port of the ingress controller on the upstreams. Default 80. */
    upstreamPort?: pulumi.Input<number>;
    /**
     * Idle connections to the upstreams that each worker process keeps. Default 128. They save a TCP connection per request:
     * more than half of the CPU. Fewer than the requests at one time bring part of the new connections back.
     */
    upstreamKeepalive?: pulumi.Input<number>;
    /**
     * Seconds until a node that does not answer a connection is given up and the next one asked. Default 3; NGINX's own 60 lets
     * clients hang a hundred times longer when a node is silently gone.
     */
    connectTimeoutSeconds?: pulumi.Input<number>;
    /**
     * Seconds without a byte after which a proxied connection is closed. Default 1800, Rancher's own advice; less than 900 is
     * refused, because a shell in the browser is cut off by it.
     */
    readTimeoutSeconds?: pulumi.Input<number>;
    /**
     * Failures within `failTimeoutSeconds` (no connection, no answer, 502, 503) after which a node is left out for as long; a 502 or
     * 503 to a POST or PATCH, which are not repeated, does not count. Default 3: clients wait for a node that is gone only until then,
     * less than half as long in all as with 0, which leaves out none. When every node is left out, all are asked as if none were, so
     * that Rancher's rightful 503 for a cluster that is not connected stops nobody else, and nodes that are back are used at once.
     */
    maxFails?: pulumi.Input<number>;
    /**
     * Seconds for `maxFails`. Default 10: a node that stays away makes somebody wait for `connectTimeoutSeconds` only once in as long.
     * A shorter time brings nothing, because nodes that are back after all were gone are used at once whatever it is.
     */
    failTimeoutSeconds?: pulumi.Input<number>;
    /**
     * Seconds after which a connection to a node that is silently gone is ended, and what waits for its answer gets an error.
     * Default 15, instead of the two hours of Linux. They are kernel settings, for the whole host. What the node has not acknowledged
     * is given up after about 14 whatever this says; clients that are gone are noticed after 60.
     */
    deadPeerTimeoutSeconds?: pulumi.Input<number>;
    /**
     * Connections of one worker process, from clients and to nodes together: a WebSocket takes two, and NGINX begins to close
     * connections at 15/16 of it. Default: what the host's open file limit allows, at most 32768. Refused above that limit.
     */
    workerConnections?: pulumi.Input<number>;
    /**
     * Seconds until a reload ends the worker processes of before, and the WebSockets they still hold. Default 3600. Without a
     * bound every reload leaves a generation of them: five made 22 MB 122 MB.
     */
    workerShutdownTimeoutSeconds?: pulumi.Input<number>;
    /** Largest request body, for example `256m`, which is the default; NGINX's own 1m is too little for charts and manifests. */
    maxBodySize?: pulumi.Input<string>;
    /**
     * Oldest version of TLS that clients may speak, `1.2` or `1.3`. Default 1.2, the intermediate configuration of Mozilla: 1.3
     * alone shuts out agents and tools of before 2018.
     */
    minTlsVersion?: pulumi.Input<TlsVersion>;
    /**
     * Seconds for which browsers insist on HTTPS (HSTS). Default 0, off: with a private CA it takes away the way past a warning,
     * and browsers do not forget it before the time is over.
     */
    hstsMaxAgeSeconds?: pulumi.Input<number>;
    /**
     * Proxies in front of the load balancer, as addresses or networks: their `X-Forwarded-For` is believed. Default none: the
     * address that connects is the client's, and nothing that a client writes there reaches Rancher.
     */
    trustedProxies?: pulumi.Input<pulumi.Input<string>[]>;
    /** Port of `/healthz`, `/status` and `/release` on 127.0.0.1, for the host itself only. Default 10280. */
    statusPort?: pulumi.Input<number>;
    /** Directives that the other arguments do not cover. Default none. */
    extraDirectives?: ExtraDirectivesArgs;
}

/** An address that two hosts share: the one that holds it answers, the other takes it within half a second (keepalived, VRRP 3). */
export interface VirtualIpArgs {
    /** IPv4 address in the network of both hosts that nothing else uses. */
    address: pulumi.Input<string>;
    /**
     * Seconds between two signs of life. Default 0.1: a lost host is replaced after about 0.35 s. On hosts that stand still for
     * longer now and then, take more: the address moves after three missed ones, and every move cuts all WebSockets.
     */
    advertIntervalSeconds?: pulumi.Input<number>;
    /** VRRP router id from 1 to 255, another one for each pair in a network. Default: drawn once at random. */
    routerId?: pulumi.Input<number>;
}

/** The load balancer, apart from what the other resources of a stack give it. */
export interface LoadBalancerSettingsArgs extends NginxTuningArgs {
    /** One host, or two with a `virtualIp`: Debian or Ubuntu, reached as root or with sudo without a password. */
    hosts: pulumi.Input<HostConnectionArgs>[];
    /** The address that two hosts share. VRRP (IP protocol 112) must pass between them. */
    virtualIp?: VirtualIpArgs;
    /**
     * Whether to take a host whose NGINX or keepalived is configured for something else. Default false: it is refused, with a list
     * of what is there. What is taken over is kept on the host, and put back when the load balancer is destroyed. An NGINX that is
     * not the package `nginx` is always refused.
     */
    takeOver?: pulumi.Input<boolean>;
}

/** Files of a certificate that another tool, an ACME client for example, keeps on the hosts. */
export interface CertificatePathsArgs {
    /** Absolute path: server certificate in PEM form, followed by its intermediates. */
    certificateChain: pulumi.Input<string>;
    /** Absolute path: its private key in PEM form. */
    privateKey: pulumi.Input<string>;
}

export interface NginxLoadBalancerArgs extends LoadBalancerSettingsArgs {
    /** DNS name under which Rancher is served. Requests for other names are refused. */
    hostname: pulumi.Input<string>;
    /** Addresses of the worker nodes, where the ingress controller listens. At least one, each once. */
    upstreams: pulumi.Input<pulumi.Input<string>[]>;
    /** Server certificate in PEM form, followed by its intermediates. Either this and `privateKey` or `certificateOnHost`. */
    certificateChain?: pulumi.Input<string>;
    /** Private key of the server certificate in PEM form. Kept as a secret, mode 0600 on the host. */
    privateKey?: pulumi.Input<string>;
    /** A certificate with a key of another type, RSA beside ECDSA, for clients that know only that. Default none. */
    secondCertificate?: pulumi.Input<CertificateArgs>;
    /** A certificate that is renewed on the hosts by somebody else: NGINX is reloaded when its files change. */
    certificateOnHost?: pulumi.Input<CertificatePathsArgs>;
    /**
     * What to do about a host changed behind Pulumi's back. Default enforce. A pair is looked at even when it is off: the host that
     * users reach is changed last.
     */
    drift?: DriftMode;
}

/**
 * NGINX on one host or a pair, as the layer-7 load balancer that ends TLS for Rancher. What a host serves is a release: staged,
 * checked, switched at once, checked in what is really served, and rolled back when that fails. Of a pair, the host that users do
 * not reach is changed first, and the other one only when that went well. Files, modes, services, versions and the holder of the
 * virtual IP are looked at in every preview.
 */
export class NginxLoadBalancer extends pulumi.ComponentResource {
    /** Where users and agents connect, and the DNS name must lead: the virtual IP, or the only host. */
    readonly addresses: pulumi.Output<string[]>;
    /** Every address that serves: the virtual IP and the hosts behind it. */
    readonly servingAddresses: pulumi.Output<string[]>;
    /** Changes whenever what a host serves changes. */
    readonly fingerprint: pulumi.Output<string>;

    constructor(name: string, args: NginxLoadBalancerArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:NginxLoadBalancer", name, {}, opts);
        refuseOutputs(this, `NginxLoadBalancer ${name}`, { hosts: args.hosts, virtualIp: args.virtualIp, drift: args.drift });
        const settings = validated(this, `NginxLoadBalancer ${name}`, nginxLoadBalancerSchema, args);
        // All that a look at the hosts needs: known before the nodes are, so that a host that is unfit is told before a cluster is built.
        const place = validated(this, `NginxLoadBalancer ${name}`, hostsSchema, {
            hosts: args.hosts,
            virtualIp: args.virtualIp,
            takeOver: args.takeOver,
        });
        // A literal is refused before anything is registered.
        for (const { host } of args.hosts as HostConnectionArgs[]) if (typeof host === "string") this.claim(name, host);
        const child = { parent: this };
        const mode = args.drift ?? DriftMode.Enforce;
        const routerId = args.virtualIp && this.routerId(name, args.virtualIp);
        // A preview shows keys as digests, and certificates are public.
        const shown = { ...args, hosts: [], certificateChain: "", privateKey: "", secondCertificate: undefined };

        // The same address in another stack, or below another load balancer, is another owner.
        const scope = `${stackName()}/${name}`;
        // From the arguments: all that is validated is unknown as long as a node is.
        const identities = args.hosts.map(connection => pulumi.unsecret(pulumi.output(connection)).host);
        const owners = identities.map((identity, index) =>
            identity.apply(address => {
                this.claim(name, address);
                return `${scope}/${name}-host-${index + 1}@${address}`;
            }),
        );

        // The order in which a pair is changed depends on who holds the virtual IP, whatever is done about drift.
        const observations =
            mode === DriftMode.Off && args.hosts.length < 2
                ? []
                : args.hosts.map((_, index) =>
                      observeHost(
                          place.hosts[index],
                          pulumi.all([place, owners[index]]).apply(([known, owner]) => probeScript(known, index, owner)),
                          `NginxLoadBalancer ${name}`,
                          this,
                      ),
                  );
        const active = pulumi.all([pulumi.unsecret(settings), pulumi.all(observations)]).apply(([{ hosts, virtualIp }, seen]) => {
            this.report(
                hosts.map(({ host }) => host),
                virtualIp?.address,
                seen,
            );
            return activeHost(seen);
        });

        const commands: command.remote.Command[] = identities.map((identity, index) => {
            const resource = `${name}-host-${index + 1}`;
            const vrrp = pulumi.all([settings, routerId]).apply(([known, id]) => (id === undefined ? undefined : vrrpOf(known, index, id)));
            const release = pulumi.all([settings, vrrp]).apply(known => releaseFor(...known));
            // A digest of public files.
            const releaseName = pulumi.unsecret(release).apply(({ name }) => name);
            // Not asked for without a release on the host: in a first preview it is not known which one is wanted.
            const outdated = ({ state, facts }: Probe) =>
                state === "unreachable" || facts.release === undefined
                    ? pulumi.output([])
                    : releaseName.apply(wanted => otherRelease(facts.release, wanted));
            const epoch = driftEpoch(
                `${name}-drift-${index + 1}`,
                {
                    mode,
                    observe: () => observations[index],
                    outdated,
                    desired: secretAs(
                        shown,
                        release.apply(({ files }) => describeFiles(files)),
                    ),
                },
                child,
            );
            const program = pulumi.output({ owner: owners[index], settings, release, epoch, vrrp }).apply(hostScript);
            const command = hostProgram(
                resource,
                { connection: settings.hosts[index], identity, program, timeoutSeconds: 600 },
                {
                    ...child,
                    dependsOn: active.apply(last => (index === last ? commands.filter((_, other) => other !== index) : [])),
                    // A new host serves before the old one goes; but never are there three for one virtual IP.
                    deleteBeforeReplace: args.hosts.length > 1,
                },
            );
            if (mode !== DriftMode.Off) {
                warnOfSetBack(resource, mode, observations[index].apply(outdated), command.stdout);
                this.warnOfOtherApply(resource, pulumi.all([observations[index], releaseName, command.stdout]));
            }
            return command;
        });

        const done = pulumi.all(commands.map(({ id }) => id));
        this.fingerprint = pulumi.all(commands.map(({ stdout }) => stdout.apply(lastLine))).apply(all => all.join(" "));
        const addresses = pulumi.unsecret(pulumi.all([settings, done]).apply(([{ hosts, virtualIp }]) => ({ hosts, virtualIp })));
        this.addresses = addresses.apply(({ hosts, virtualIp }) => (virtualIp ? [virtualIp.address] : hosts.map(({ host }) => host)));
        this.servingAddresses = addresses.apply(({ hosts, virtualIp }) => [
            ...(virtualIp ? [virtualIp.address] : []),
            ...hosts.map(({ host }) => host),
        ]);
        this.registerOutputs({
            addresses: this.addresses,
            servingAddresses: this.servingAddresses,
            fingerprint: this.fingerprint,
        });
    }

    /** Refuses a host that another load balancer of this program has. */
    private claim(name: string, host: string): void {
        const stack = pulumi.runtime.getStackResource();
        // Mocks of a user's own test, and programs in other languages, have none: there the host itself refuses the second apply.
        if (!stack) return;
        const claims = claimedHosts.get(stack) ?? new Map<string, { name: string; by: NginxLoadBalancer }>();
        claimedHosts.set(stack, claims);
        const first = claims.get(host) ?? { name, by: this };
        claims.set(host, first);
        if (first.by === this) return;
        throw new Refusal(
            `NginxLoadBalancer ${name}: hosts: expected hosts of its own, found ${host}, which is a host of NginxLoadBalancer ${first.name} too. ` +
                "Give each load balancer another host",
            this,
        );
    }

    /** Warns in a preview without a change, the only run that knows the result of the last apply. */
    private warnOfOtherApply(resource: string, known: pulumi.Output<[Probe, string, string]>): void {
        if (!pulumi.runtime.isDryRun()) return;
        known.apply(([found, wanted, result]) => {
            const fault = otherApply(found, wanted, lastLine(result));
            if (fault) needsAttention(`${resource}: ${fault}`, this);
        });
    }

    private routerId(name: string, { routerId }: VirtualIpArgs): pulumi.Output<number> {
        if (routerId !== undefined) return pulumi.output(routerId);
        return new random.RandomInteger(`${name}-router-id`, { min: 1, max: 255 }, { parent: this }).result;
    }

    /** Says what a reader of a preview should know and no change of a host repairs. */
    private report(hosts: string[], virtualIp: string | undefined, observations: Probe[]): void {
        const fault = virtualIp && pairFault(virtualIp, hosts, observations);
        if (fault) needsAttention(fault, this);
        observations.forEach(({ facts: { nginx: nginxVersion } }, index) => {
            const gains = nginxVersion ? upgradeGains(nginxVersion) : [];
            if (gains.length > 0)
                void pulumi.log.info(`${hosts[index]} has NGINX ${nginxVersion}; a newer one would bring: ${gains.join("; ")}`, this);
        });
    }
}

/** The load balancer of each host, by the stack resource of the program: one process may run several programs. */
const claimedHosts = new WeakMap<pulumi.Resource, Map<string, { name: string; by: NginxLoadBalancer }>>();

/** A login shell may have said something before. */
const lastLine = (text: string) => text.trim().split("\n").pop()!;
