import * as pulumi from "@pulumi/pulumi";
import { CertificateArgs } from "../certificates/serverCertificate";
import { SshArgs } from "../remote/args";
import { DriftMode } from "../remote/drift";
import { ExtraDirectivesArgs } from "./directives";
import { LoadBalancerHostArgs, VirtualIpArgs } from "./hosts";
import { TlsVersion } from "./schema";

/** Values that may be tuned on the load balancer. Every default is safe. docs/benchmarks.md holds the measurements. */
export interface NginxTuningArgs {
    /** Port of the ingress controller on the upstreams. @default 80 */
    upstreamPort?: pulumi.Input<number>;
    /**
     * Idle connections to the upstreams that each worker process keeps. They save one TCP connection per request, and more than half of the
     * CPU time. With fewer connections than parallel requests, NGINX opens a part of the connections anew.
     * @default 128
     */
    upstreamKeepalive?: pulumi.Input<number>;
    /**
     * Seconds until NGINX stops connecting to a node and asks the next one. With NGINX's default of 60 s, an unreachable node holds clients
     * a hundred times longer.
     * @default 3
     */
    connectTimeoutSeconds?: pulumi.Input<number>;
    /**
     * Seconds without a byte until a proxied connection is closed. Rancher's documentation recommends the default. Less than 900 is
     * refused, because it would cut off a shell in the browser. At most a year.
     * @default 1800
     */
    readTimeoutSeconds?: pulumi.Input<number>;
    /**
     * Failures within `failTimeoutSeconds` after which a node is removed from rotation for the same time. A failure is a missing
     * connection, a missing answer, 502 or 503. A 502 or 503 to a POST or PATCH does not count, because NGINX does not repeat such a
     * request. Clients wait for an unreachable node only until its removal: less than half as long in all as with 0, which removes none.
     * When every node is removed, NGINX asks all of them. So Rancher's correct 503 for a disconnected cluster blocks no other request, and
     * nodes that return are used at once.
     * @default 3
     */
    maxFails?: pulumi.Input<number>;
    /**
     * Seconds for `maxFails`. While a node stays unreachable, one client in this time waits `connectTimeoutSeconds` for it. A shorter time
     * has no benefit: nodes that return after all were unreachable are used at once.
     * @default 10
     */
    failTimeoutSeconds?: pulumi.Input<number>;
    /**
     * Seconds until a connection to an unreachable node is closed and its pending request fails. The value sets TCP keep-alive for the
     * whole host; Linux's default is two hours. Whatever the value is, a connection with unacknowledged data is closed after about 51 s,
     * to a node or a client. An idle connection of an unreachable client is closed after 60 s.
     * @default 15
     */
    deadPeerTimeoutSeconds?: pulumi.Input<number>;
    /**
     * Connections of one worker process, to clients and nodes together. A WebSocket takes two. NGINX begins to close connections at 15/16
     * of this number. A number above the host's open file limit is refused.
     * @default what the host's open file limit allows, at most 32768
     */
    workerConnections?: pulumi.Input<number>;
    /**
     * Seconds until a reload ends the old worker processes and the WebSockets that they still hold. Without a limit, every reload leaves
     * old workers behind: five reloads grew NGINX from 22 MB to 122 MB. At most a year.
     * @default 3600
     */
    workerShutdownTimeoutSeconds?: pulumi.Input<number>;
    /**
     * Largest request body, in `k`, `m` or `g`. NGINX's default of 1m is too small for charts and manifests. The ingress controller in the
     * cluster gets the same limit: RKE's by its ConfigMap, the one of an existing cluster by annotations of Rancher's Ingress.
     * @default 256m
     */
    maxBodySize?: pulumi.Input<string>;
    /**
     * Largest header field of a request, from 8k to 256k. NGINX's default of 8k is too small for Rancher's tokens and cookies. RKE's ingress
     * controller gets the same limit. An existing cluster's needs it in its ConfigMap, as `large-client-header-buffers: "4 64k"`. A warning
     * tells when that is missing.
     * @default 64k
     */
    maxRequestHeaderSize?: pulumi.Input<string>;
    /**
     * All header fields of a response together, from 4k to 64k. NGINX's default of 4k is too small for a SAML login, whose `Location` holds
     * the request. Each request and each watch holds a buffer of this size. The ingress controller gets the same limit, as for `maxBodySize`.
     * @default 16k
     */
    maxResponseHeaderSize?: pulumi.Input<string>;
    /**
     * Oldest TLS version that clients may use, `1.2` or `1.3`. The default follows Mozilla's intermediate configuration. 1.3 alone locks
     * out agents and tools from before 2018.
     * @default "1.2"
     */
    minTlsVersion?: pulumi.Input<TlsVersion>;
    /**
     * Seconds for which browsers insist on HTTPS (HSTS); 0 is off. With a private CA, HSTS removes the way past a certificate warning.
     * Browsers keep HSTS until this time is over. At most ten years.
     * @default 0
     */
    hstsMaxAgeSeconds?: pulumi.Input<number>;
    /**
     * Proxies in front of the load balancer, as addresses or networks. NGINX trusts their `X-Forwarded-For`. From all other clients,
     * Rancher gets the address that connects, and nothing of the client's own `X-Forwarded-For`. A network larger than /8 is
     * refused. So is one larger than /16 for IPv6, except the private fc00::/7.
     * @default []
     */
    trustedProxies?: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * Port of `/healthz`, `/status` and `/release` on 127.0.0.1, for the host itself only. Only root can open a port below 1024. Any user of
     * the host can take a higher one while NGINX is stopped: NGINX then does not start. 80, 443 and 6443 are refused.
     * @default 280
     */
    statusPort?: pulumi.Input<number>;
    /** Directives that the other arguments do not cover. */
    extraDirectives?: ExtraDirectivesArgs;
}

/** The load balancer's own arguments. The other ones come from other resources of a stack. */
export interface LoadBalancerSettingsArgs extends NginxTuningArgs {
    /** One host, or two with a `virtualIp`. Each runs Debian or Ubuntu, and lets root or a user with `sudo` without a password log in. */
    hosts: LoadBalancerHostArgs[];
    /** The address that two hosts share. VRRP (IP protocol 112) must pass between them. */
    virtualIp?: VirtualIpArgs;
    /**
     * Passes the Kubernetes API on from port 6443 of the load balancer to the control plane nodes, so that it survives the loss of one. With
     * `cluster` and a pair, it is also the default of `cluster.apiEndpoint`, and the API server's certificate covers the virtual IP. The
     * control plane nodes need IP addresses. With `existingCluster` it needs `existingCluster.controlPlaneAddresses`.
     * @default true for a pair, false for one host
     */
    kubernetesApi?: boolean;
    /**
     * Adopts a host that has a foreign configuration of NGINX or keepalived, or belongs to another load balancer. Otherwise such a host is
     * refused, with a list of what was found. The adopted configuration is kept on the host, and restored when the load balancer is
     * destroyed. An NGINX that is not the package `nginx` is always refused.
     * @default false
     */
    takeOver?: pulumi.Input<boolean>;
    /**
     * Seconds after which a run on a host is ended, from 120 to 86400. It then has 60 s to undo its changes. Give more when a package
     * mirror is slow, or when other programs hold the lock of dpkg for long.
     * @default 600
     */
    timeoutSeconds?: pulumi.Input<number>;
    /**
     * Reaction to drift of a host: `off`, `warn` or `enforce`. Even with `off` a pair is probed, because its active host is changed last.
     * @default enforce
     */
    drift?: DriftMode;
}

/** Files of a certificate that another tool, an ACME client for example, keeps on the hosts. */
export interface CertificatePathsArgs {
    /** Absolute path of the server certificate in PEM form, followed by its intermediates. */
    certificateChain: pulumi.Input<string>;
    /** Absolute path of the certificate's private key in PEM form. */
    privateKey: pulumi.Input<string>;
}

export interface NginxLoadBalancerArgs extends LoadBalancerSettingsArgs {
    /** DNS name under which Rancher is served. Requests for other names are refused. */
    hostname: pulumi.Input<string>;
    /** Addresses of the worker nodes, at least one, where the ingress controller listens. An address that occurs twice is refused. */
    upstreams: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * Addresses of the control plane nodes, where the Kubernetes API listens on port 6443, for `kubernetesApi`. An address that occurs
     * twice is refused. @default no Kubernetes API is passed on
     */
    controlPlane?: pulumi.Input<pulumi.Input<string>[]>;
    /** Server certificate in PEM form, followed by its intermediates. Give either this and `privateKey`, or `certificateOnHost`. */
    certificateChain?: pulumi.Input<string>;
    /** Private key of the server certificate in PEM form. It is kept as a secret, with mode 0600 on the host. */
    privateKey?: pulumi.Input<string>;
    /** A certificate with another type of key, RSA beside ECDSA, for clients that support only that type. */
    secondCertificate?: pulumi.Input<CertificateArgs>;
    /** A certificate that another tool renews on the hosts. NGINX is reloaded when its files change. */
    certificateOnHost?: pulumi.Input<CertificatePathsArgs>;
    /** SSH settings for hosts that do not give their own. */
    ssh?: pulumi.Input<SshArgs>;
}
