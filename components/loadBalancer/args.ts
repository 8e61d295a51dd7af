import * as pulumi from "@pulumi/pulumi";
import { CertificateArgs } from "../certificates/serverCertificate";
import { HostArgs, SshArgs } from "../remote/connection";
import { DriftMode } from "../remote/drift";
import { TlsVersion } from "./schema";

/** Directives of NGINX that the other arguments do not cover. NGINX checks them before they go live; none may open a port. */
export interface ExtraDirectivesArgs {
    /** Inside `http`, for example a `limit_req_zone`. @default "" */
    http?: pulumi.Input<string>;
    /** Inside the `server` of Rancher. @default "" */
    server?: pulumi.Input<string>;
    /**
     * Inside the `location`s of Rancher. No `proxy_set_header` and no `add_header`: one here would drop all that the server sets.
     * @default ""
     */
    location?: pulumi.Input<string>;
}

/** What may be tuned on the load balancer. Every default is safe; the measurements stand in docs/benchmarks.md. */
export interface NginxTuningArgs {
    /** Port of the ingress controller on the upstreams. @default 80 */
    upstreamPort?: pulumi.Input<number>;
    /**
     * Idle connections to the upstreams that each worker process keeps. They save a TCP connection per request: more than half of the CPU.
     * Fewer than the requests at one time bring part of the new connections back.
     * @default 128
     */
    upstreamKeepalive?: pulumi.Input<number>;
    /**
     * Seconds until a node that does not answer a connection is given up and the next one asked. NGINX's own 60 lets clients hang a hundred
     * times longer when a node is silently gone.
     * @default 3
     */
    connectTimeoutSeconds?: pulumi.Input<number>;
    /**
     * Seconds without a byte after which a proxied connection is closed. The default is Rancher's own advice; less than 900 is refused,
     * because a shell in the browser is cut off by it.
     * @default 1800
     */
    readTimeoutSeconds?: pulumi.Input<number>;
    /**
     * Failures within `failTimeoutSeconds` (no connection, no answer, 502, 503) after which a node is left out for as long; a 502 or 503 to
     * a POST or PATCH, which are not repeated, does not count. Clients wait for a node that is gone only until then, less than half as long
     * in all as with 0, which leaves out none. When every node is left out, all are asked as if none were, so that Rancher's rightful 503
     * for a cluster that is not connected stops nobody else, and nodes that are back are used at once.
     * @default 3
     */
    maxFails?: pulumi.Input<number>;
    /**
     * Seconds for `maxFails`. A node that stays away makes somebody wait for `connectTimeoutSeconds` only once in as long. A shorter time
     * brings nothing, because nodes that are back after all were gone are used at once whatever it is.
     * @default 10
     */
    failTimeoutSeconds?: pulumi.Input<number>;
    /**
     * Seconds after which a connection to a node that is silently gone is ended, and what waits for its answer gets an error. Linux itself
     * waits two hours. These are kernel settings, for the whole host. What the node has not acknowledged is given up after about 14
     * whatever this says; clients that are gone are noticed after 60.
     * @default 15
     */
    deadPeerTimeoutSeconds?: pulumi.Input<number>;
    /**
     * Connections of one worker process, from clients and to nodes together: a WebSocket takes two, and NGINX begins to close connections
     * at 15/16 of it. Refused above the host's open file limit.
     * @default what the host's open file limit allows, at most 32768
     */
    workerConnections?: pulumi.Input<number>;
    /**
     * Seconds until a reload ends the worker processes of before, and the WebSockets they still hold. Without a bound every reload leaves a
     * generation of them: five made 22 MB 122 MB.
     * @default 3600
     */
    workerShutdownTimeoutSeconds?: pulumi.Input<number>;
    /** Largest request body; NGINX's own 1m is too little for charts and manifests. @default 256m */
    maxBodySize?: pulumi.Input<string>;
    /**
     * Oldest version of TLS that clients may speak, `1.2` or `1.3`. The default is the intermediate configuration of Mozilla: 1.3 alone
     * shuts out agents and tools of before 2018.
     * @default "1.2"
     */
    minTlsVersion?: pulumi.Input<TlsVersion>;
    /**
     * Seconds for which browsers insist on HTTPS (HSTS). 0 is off. With a private CA HSTS takes away the way past a warning, and browsers do
     * not forget it before the time is over.
     * @default 0
     */
    hstsMaxAgeSeconds?: pulumi.Input<number>;
    /**
     * Proxies in front of the load balancer, as addresses or networks: their `X-Forwarded-For` is believed. Without any, the address that
     * connects is the client's, and nothing that a client writes there reaches Rancher.
     * @default []
     */
    trustedProxies?: pulumi.Input<pulumi.Input<string>[]>;
    /** Port of `/healthz`, `/status` and `/release` on 127.0.0.1, for the host itself only. @default 10280 */
    statusPort?: pulumi.Input<number>;
    /** Directives that the other arguments do not cover. */
    extraDirectives?: ExtraDirectivesArgs;
}

/** An address that two hosts share: the one that holds it answers, the other takes it within half a second (keepalived, VRRP 3). */
export interface VirtualIpArgs {
    /** IPv4 address in the network of both hosts that nothing else uses. */
    address: pulumi.Input<string>;
    /**
     * Seconds between two signs of life. With the default, a lost host is replaced after about 0.35 s. On hosts that stand still for longer
     * now and then, take more: the address moves after three missed ones, and every move cuts all WebSockets.
     * @default 0.1
     */
    advertIntervalSeconds?: pulumi.Input<number>;
    /** VRRP router id from 1 to 255, another one for each pair in a network. @default drawn once at random */
    routerId?: pulumi.Input<number>;
}

/** The load balancer, apart from what the other resources of a stack give it. */
export interface LoadBalancerSettingsArgs extends NginxTuningArgs {
    /** One host, or two with a `virtualIp`: Debian or Ubuntu, reached as root or with sudo without a password. */
    hosts: HostArgs[];
    /** The address that two hosts share. VRRP (IP protocol 112) must pass between them. */
    virtualIp?: VirtualIpArgs;
    /**
     * Whether to take a host whose NGINX or keepalived is configured for something else. Otherwise it is refused, with a list of what is
     * there. What is taken over is kept on the host, and put back when the load balancer is destroyed. An NGINX that is not the package
     * `nginx` is always refused.
     * @default false
     */
    takeOver?: pulumi.Input<boolean>;
    /**
     * What to do about a host changed behind Pulumi's back. A pair is looked at even when it is off: the host that users reach is changed
     * last.
     * @default enforce
     */
    drift?: DriftMode;
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
    /** A certificate with a key of another type, RSA beside ECDSA, for clients that know only that. */
    secondCertificate?: pulumi.Input<CertificateArgs>;
    /** A certificate that is renewed on the hosts by somebody else: NGINX is reloaded when its files change. */
    certificateOnHost?: pulumi.Input<CertificatePathsArgs>;
    /** How the hosts are reached over SSH, as far as they do not say so themselves. */
    ssh?: pulumi.Input<SshArgs>;
}
