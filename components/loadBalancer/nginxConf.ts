import { apiPort } from "../kubernetesApi";
import { requestHeaderBuffers, requestHeaders } from "./limits";
import { mark } from "./mark";
import { rancher, redirect, status, unknownHttpNames, unknownHttpsNames } from "./nginxServers";
import { extraDirectives, lines, paragraphs } from "./nginxText";
import { apiServers, NginxSettings, TlsVersion } from "./schema";

/** Default of `workerConnections` on a host whose open file limit allows more. */
export const maxWorkerConnections = 32768;

/** Number of files that a worker may open beside its connections. */
export const reservedFiles = 256;

/**
 * Renders the manual's configuration with the improvements that docs/benchmarks.md measures. Each reason is written beside its directive,
 * for the operator who reads the file on the host. `releaseFor` replaces `@release@` by the name of the release.
 *
 * The host finishes the text (`for_host` in host/release.sh). It drops lines that end in `# nginx >= V` or `# nginx < V` when its NGINX
 * does not match. Without IPv6 it drops lines that listen on `[::]`. Its open file limit replaces `@connections@` and `@open_files@`.
 */
export function nginxConf(settings: NginxSettings): string {
    const http = paragraphs(
        basics,
        trustedProxies(settings),
        log,
        limits(settings),
        tls(settings),
        upstream(settings),
        maps,
        extraDirectives(settings, "http", 4),
        unknownHttpNames,
        redirect(settings),
        unknownHttpsNames(settings),
        rancher(settings),
        status(settings),
    );
    return `${main(settings)}

${events(settings)}

http {${http}
}
${kubernetesApi(settings)}`;
}

const main = ({ workerConnections, workerShutdownTimeoutSeconds, ...settings }: NginxSettings) =>
    `# ${mark}: changes made here are undone.
user www-data;
pid /run/nginx.pid;
worker_processes auto;
# A worker may open ${reservedFiles} files beside its connections.
worker_rlimit_nofile ${workerConnections ? workerConnections + reservedFiles : "@open_files@"};
# After a reload, an old worker waits for its last WebSocket. This timeout closes the WebSockets that are still open.
worker_shutdown_timeout ${workerShutdownTimeoutSeconds}s;
# NGINX reports exhausted connections as warnings.
error_log /var/log/nginx/error.log warn;${streamModule(settings)}`;

const streamModule = (settings: Parameters<typeof apiServers>[0]) =>
    apiServers(settings)
        ? lines(0, [
              "# Debian's package libnginx-mod-stream holds this file. NGINX of nginx.org has `stream` built in, and no such file.",
              "include /etc/nginx/modules-enabled/*-mod-stream.conf;",
          ])
        : "";

const events = ({ workerConnections }: NginxSettings) => `events {
    # A WebSocket takes two connections: one to the client, one to the node.
    worker_connections ${workerConnections ?? "@connections@"};
}`;

const basics = `
    server_tokens off;
    # The longest DNS name, of 253 characters, needs a bucket of this size.
    server_names_hash_bucket_size 512;
    default_type application/octet-stream;`;

function trustedProxies(settings: NginxSettings): string {
    if (settings.trustedProxies.length === 0) return "";
    return lines(4, [
        "# Only these proxies may tell the address of a client.",
        ...settings.trustedProxies.map(network => `set_real_ip_from ${network};`),
        "real_ip_header X-Forwarded-For;",
        "real_ip_recursive on;",
    ]);
}

const log = `
    # The path of an import holds a token, so the log gets the path without the token.
    map $uri $logged_uri {
        default $request_uri;
        ~^/v3/import/ /v3/import/;
    }
    log_format main escape=json
        '{"time":"$time_iso8601","id":"$request_id","client":"$remote_addr","method":"$request_method","uri":"$logged_uri",'
        '"protocol":"$server_protocol","status":$status,"bytes":$body_bytes_sent,"seconds":$request_time,"upstream":"$upstream_addr",'
        '"upstream_status":"$upstream_status","upstream_connect_seconds":"$upstream_connect_time",'
        '"upstream_seconds":"$upstream_response_time","tls":"$ssl_protocol","tls_resumed":"$ssl_session_reused"}';
    # Writing once a second, not for each request, saves a tenth of the CPU.
    access_log /var/log/nginx/access.log main buffer=64k flush=1s;`;

const limits = (settings: NginxSettings) => `
    # An idle WebSocket holds these two pools. With the default of 512 and 4096 bytes it takes 4 kB more.
    connection_pool_size 256;
    request_pool_size 1k;
    # NGINX before 1.19.10 closes a connection after 100 requests.
    keepalive_requests 1000;
    # During a reload, a client may be sending a request on an idle connection. NGINX waits 5 s for it. # nginx >= 1.27.4
    keepalive_min_timeout 5s; # nginx >= 1.27.4
    # By default, a client that sends half a request line holds a connection for 60 s.
    client_header_timeout 15s;
    # Tokens and cookies of Rancher make headers that exceed the default of 8 kB.
    large_client_header_buffers ${requestHeaderBuffers(settings)};
    http2_max_field_size ${settings.maxRequestHeaderSize}; # nginx < 1.19.7
    http2_max_header_size ${requestHeaders(settings)}; # nginx < 1.19.7
    # Uploads to Rancher exceed the default of 1 MB.
    client_max_body_size ${settings.maxBodySize};
    # An upload passes through this buffer. A larger one than the default of 16 kB takes fewer system calls.
    client_body_buffer_size 128k;`;

const tls = ({ minTlsVersion }: NginxSettings) => `
    # These are the ciphers of Mozilla's intermediate configuration that need no DH parameters.
    ssl_protocols ${minTlsVersion === TlsVersion.Tls12 ? "TLSv1.2 " : ""}TLSv1.3;
    ssl_ciphers ${ciphers.join(":")};
    ssl_prefer_server_ciphers off;
    # OpenSSL chooses the groups: a fixed list would lack X25519MLKEM768, which OpenSSL has since 3.5.
    ssl_ecdh_curve auto;
    # An answer of 64 kB takes a third of the writes that it takes with 4 kB.
    ssl_buffer_size 16k;
    # The workers share their sessions, so that a client can resume one with any worker.
    ssl_session_cache shared:tls:10m;
    ssl_session_timeout 1d;
    # NGINX before 1.23.2 never changes the keys of its tickets. # nginx < 1.23.2
    ssl_session_tickets off; # nginx < 1.23.2`;

const ciphers = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
];

const upstream = (settings: NginxSettings) => `
    upstream rancher {
        # The workers share their counts, so that each knows which nodes are busy and which fail.
        # A node stands here twice, and takes less than 4 kB.
        zone rancher ${Math.max(128, 4 * settings.upstreams.length)}k;
        # Requests pile up at an unreachable node, so this method avoids the node.
        least_conn;${lines(8, servers(settings, settings.upstreams, settings.upstreamPort, httpLastResort))}
        # Kept connections save more than half of the CPU per request. They need an empty Connection header, see below.
        keepalive ${settings.upstreamKeepalive};
        # NGINX closes an idle connection before the ingress controller does, which waits 75 s. A request would fail on a closed one.
        keepalive_timeout 50s;
        # NGINX before 1.19.10 closes a connection after 100 requests.
        keepalive_requests 10000;
    }`;

const httpLastResort = [
    "# When every node is removed, all are asked again: Rancher rightly answers 503 for a cluster that is not connected.",
    "# Other requests must not fail because of it, and nodes that are back must be used at once.",
];

function servers({ maxFails, failTimeoutSeconds }: NginxSettings, addresses: string[], port: number, lastResort: string[]): string[] {
    const nodes = addresses.map(address => `${urlHost(address)}:${port}`);
    const inRotation = nodes.map(node => `server ${node} max_fails=${maxFails} fail_timeout=${failTimeoutSeconds}s;`);
    // NGINX never removes the only server from rotation.
    if (maxFails === 0 || nodes.length === 1) return inRotation;
    return [
        "# A node that fails max_fails times within fail_timeout is removed from rotation for that time.",
        ...inRotation,
        ...lastResort,
        ...nodes.map(node => `server ${node} max_fails=0 backup;`),
    ];
}

function kubernetesApi(settings: NginxSettings): string {
    const nodes = apiServers(settings);
    if (!nodes) return "";
    return `
# The Kubernetes API. The bytes pass as they are: API servers end TLS, and ask each client for its certificate or token.
stream {
    upstream kubernetes {
        # The workers share their counts, so that each knows which API servers fail.
        zone kubernetes ${Math.max(128, 4 * nodes.length)}k;
        least_conn;${lines(8, servers(settings, nodes, apiPort, apiLastResort))}
    }

    server {
        # so_keepalive closes connections of unreachable clients after 60 s.
        listen ${apiPort} so_keepalive=30s:10s:3;
        listen [::]:${apiPort} so_keepalive=30s:10s:3;
        # NGINX sees only whether an API server takes the connection. Active health checks are a feature of NGINX Plus.
        proxy_connect_timeout ${settings.connectTimeoutSeconds}s;
        # A watch or a shell may be idle for this time.
        proxy_timeout ${settings.readTimeoutSeconds}s;
        # TCP keep-alive closes connections to unreachable nodes.
        proxy_socket_keepalive on;
        proxy_pass kubernetes;
    }
}
`;
}

const apiLastResort = ["# When every node is removed, all are asked again, so that nodes that are back are used at once."];

/** Returns an address in the form of a URL, because NGINX refuses some valid forms of an IPv6 address. */
function urlHost(address: string): string {
    return address.includes(":") ? new URL(`http://[${address}]`).hostname : address;
}

const maps = `
    # Only WebSocket and SPDY upgrades reach a node, because kubectl exec uses SPDY/3.1. Others, such as h2c, are dropped.
    map $http_upgrade $upgrade_protocol {
        default "";
        websocket websocket;
        SPDY/3.1 SPDY/3.1;
    }
    # Without an upgrade, the empty header keeps the connection to the node open.
    map $upgrade_protocol $connection_upgrade {
        default upgrade;
        "" "";
    }`;
