import { NginxSettings, TlsVersion } from "./schema";

/**
 * Kernel settings of a load balancer host. Upstream sockets take their keep-alive times from here only. A connection that carries a
 * request or a tunnel is thin: what is lost on it is sent again six times within 1.4 s before the intervals double (not with BBR,
 * under which no connection counts as thin), so that nodes which come back after seconds are found sooner.
 */
export function sysctls({ deadPeerTimeoutSeconds }: NginxSettings): string {
    const [probes, interval] = [3, Math.floor(deadPeerTimeoutSeconds / 5)];
    return `# Managed by Pulumi (pulumi-rancher-ha)
net.ipv4.tcp_keepalive_time = ${deadPeerTimeoutSeconds - probes * interval}
net.ipv4.tcp_keepalive_intvl = ${interval}
net.ipv4.tcp_keepalive_probes = ${probes}
net.ipv4.tcp_retries2 = 5
net.ipv4.tcp_thin_linear_timeouts = 1
`;
}

/** What an argument leaves to the host: as many connections as its open file limit allows, up to this. */
export const maxWorkerConnections = 32768;

/** Files that a worker needs beside its connections. */
export const reservedFiles = 256;

/** Where NGINX finds certificates and keys: in its release, or where another tool keeps them. */
export function certificateFiles({ secondCertificate, certificateOnHost }: NginxSettings): { chain: string; key: string }[] {
    if (certificateOnHost) return [{ chain: certificateOnHost.certificateChain, key: certificateOnHost.privateKey }];
    const files = [{ chain: "rancher-ha/fullchain.pem", key: "rancher-ha/privkey.pem" }];
    if (secondCertificate) files.push({ chain: "rancher-ha/fullchain-2.pem", key: "rancher-ha/privkey-2.pem" });
    return files;
}

/**
 * The manual's configuration, improved where measurements show a gain (docs/benchmarks.md):
 * - upstream keep-alive, which needs an empty `Connection` header: more than half of the CPU per request;
 * - `least_conn` with shared counts and a connect timeout: a node that is silently gone is avoided;
 * - a request that one node answers with 502 or 503 is given to the next; a node that goes on failing is left out for a while. When
 *   all are, they are asked as before (each stands there a second time, as `backup`): Rancher rightly answers 503 for a cluster that
 *   is not connected, which must stop nobody else, and nodes that are back are used at once. A POST or PATCH is never sent twice (no
 *   `non_idempotent`); a PUT or DELETE may be, because a second one does no more than the first: Kubernetes answers it with 409 or 404;
 * - TCP keep-alive on both sides: dead peers do not hold connections for hours;
 * - only names that are ours are served, and forwarding headers are set here and not passed on: an ingress that trusts the load
 *   balancer can be told nothing by a client;
 * - only WebSocket and SPDY upgrades pass (`kubectl exec` uses SPDY/3.1);
 * - TLS 1.2 and 1.3 with the intermediate ciphers of Mozilla; header and body limits that fit Rancher's tokens and uploads;
 * - answer headers up to 8 kB: Rancher sends several cookies, and a SAML request in a `Location`; the tunnels of agents, which hold
 *   their buffer while they are idle, have NGINX's own 4 kB;
 * - the access log is written once a second and not for every request: a tenth of the CPU;
 * - a smaller TLS buffer, because each idle WebSocket holds one; old workers end at last, and exhausted connections are logged.
 *
 * The host finishes the text, see `forHost`: a line that ends in `# nginx >= V` or `# nginx < V` is for those versions only, one
 * that listens on `[::]` is for hosts with IPv6, and `@connections@` and `@open_files@` come from the host's open file limit.
 * Certificate paths are relative to nginx.conf, so that the same text can be checked in a staging folder. The status server tells
 * `release` and the process that answers, so that it is known what the running workers have loaded.
 */
export function nginxConf(settings: NginxSettings, release: string): string {
    const { hostname, upstreams, upstreamPort, readTimeoutSeconds, trustedProxies, extraDirectives, hstsMaxAgeSeconds } = settings;
    const nodes = upstreams.map(address => `${urlHost(address)}:${upstreamPort}`);
    const servers = nodes.map(node => `server ${node} max_fails=${settings.maxFails} fail_timeout=${settings.failTimeoutSeconds}s;`);
    // NGINX never leaves out the only server.
    const lastResort = settings.maxFails > 0 && nodes.length > 1 ? nodes.map(node => `server ${node} max_fails=0 backup;`) : [];
    const location = (path: string, ...own: string[]) =>
        block(
            8,
            [`location ${path} {`],
            [...own, "proxy_pass http://rancher;", ...lines(extraDirectives.location)].map(line => `    ${line}`),
            ["}"],
        );
    const connections = settings.workerConnections;
    const certificates = certificateFiles(settings).flatMap(({ chain, key }) => [
        `ssl_certificate ${chain};`,
        `ssl_certificate_key ${key};`,
    ]);
    return `# Managed by Pulumi (pulumi-rancher-ha): changes made here are undone.
user www-data;
pid /run/nginx.pid;
worker_processes auto;
worker_rlimit_nofile ${connections ? connections + reservedFiles : "@open_files@"};
worker_shutdown_timeout ${settings.workerShutdownTimeoutSeconds}s;
error_log /var/log/nginx/error.log warn;

events {
    worker_connections ${connections ?? "@connections@"};
}

http {
    server_tokens off;
    server_names_hash_bucket_size 512;
    default_type application/octet-stream;
${block(
    4,
    trustedProxies.map(network => `set_real_ip_from ${network};`),
    trustedProxies.length > 0 ? ["real_ip_header X-Forwarded-For;", "real_ip_recursive on;"] : [],
)}

    # The path of an import holds a token.
    map $uri $logged_uri {
        default $request_uri;
        ~^/v3/import/ /v3/import/;
    }
    log_format main escape=json
        '{"time":"$time_iso8601","id":"$request_id","client":"$remote_addr","method":"$request_method","uri":"$logged_uri",'
        '"protocol":"$server_protocol","status":$status,"bytes":$body_bytes_sent,"seconds":$request_time,"upstream":"$upstream_addr",'
        '"upstream_status":"$upstream_status","upstream_connect_seconds":"$upstream_connect_time",'
        '"upstream_seconds":"$upstream_response_time","tls":"$ssl_protocol","tls_resumed":"$ssl_session_reused"}';
    access_log /var/log/nginx/access.log main buffer=64k flush=1s;

    keepalive_requests 1000;
    keepalive_min_timeout 5s; # nginx >= 1.27.4
    client_header_timeout 15s;
    large_client_header_buffers 4 64k;
    http2_max_field_size 64k; # nginx < 1.19.7
    http2_max_header_size 256k; # nginx < 1.19.7
    client_max_body_size ${settings.maxBodySize};
    client_body_buffer_size 128k;

    ssl_protocols ${settings.minTlsVersion === TlsVersion.Tls12 ? "TLSv1.2 " : ""}TLSv1.3;
    ssl_ciphers ${ciphers.join(":")};
    ssl_prefer_server_ciphers off;
    ssl_ecdh_curve X25519:prime256v1:secp384r1;
    ssl_buffer_size 4k;
    ssl_session_cache shared:tls:10m;
    ssl_session_timeout 1d;
    ssl_session_tickets off; # nginx < 1.23.2

    upstream rancher {
        zone rancher 128k;
        least_conn;
        ${[...servers, ...lastResort].join("\n        ")}
        keepalive ${settings.upstreamKeepalive};
        keepalive_timeout 50s;
        keepalive_requests 10000;
    }

    map $http_upgrade $upgrade_protocol {
        default "";
        websocket websocket;
        SPDY/3.1 SPDY/3.1;
    }
    map $upgrade_protocol $connection_upgrade {
        default upgrade;
        "" "";
    }
${block(4, lines(extraDirectives.http))}
    server {
        listen 80 default_server;
        listen [::]:80 default_server;
        server_name _;
        access_log off;
        return 444;
    }
    server {
        listen 80;
        listen [::]:80;
        server_name ${hostname};
        return 301 https://${hostname}$request_uri;
    }

    server {
        listen 443 ssl default_server so_keepalive=30s:10s:3; # nginx >= 1.25.1
        listen [::]:443 ssl default_server so_keepalive=30s:10s:3; # nginx >= 1.25.1
        http2 on; # nginx >= 1.25.1
        listen 443 ssl http2 default_server so_keepalive=30s:10s:3; # nginx < 1.25.1
        listen [::]:443 ssl http2 default_server so_keepalive=30s:10s:3; # nginx < 1.25.1
        ssl_reject_handshake on; # nginx >= 1.19.4
${block(
    8,
    certificates.map(line => `${line} # nginx < 1.19.4`),
)}
        server_name _;
        access_log off;
        return 421;
    }
    server {
        listen 443 ssl; # nginx >= 1.25.1
        listen [::]:443 ssl; # nginx >= 1.25.1
        http2 on; # nginx >= 1.25.1
        listen 443 ssl http2; # nginx < 1.25.1
        listen [::]:443 ssl http2; # nginx < 1.25.1
        server_name ${hostname};
${block(8, certificates)}

        proxy_http_version 1.1;
        proxy_buffering off;
        proxy_buffer_size 8k;
        proxy_connect_timeout ${settings.connectTimeoutSeconds}s;
        proxy_read_timeout ${readTimeoutSeconds}s;
        proxy_send_timeout ${readTimeoutSeconds}s;
        proxy_socket_keepalive on;
        proxy_next_upstream error timeout http_502 http_503;
        proxy_next_upstream_tries ${nodes.length + 1};
        proxy_set_header Host ${hostname};
        proxy_set_header Upgrade $upgrade_protocol;
        proxy_set_header Connection $connection_upgrade;
        proxy_set_header X-Forwarded-Host ${hostname};
        proxy_set_header X-Forwarded-Proto https;
        proxy_set_header X-Forwarded-Port 443;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Request-ID $request_id;
        proxy_set_header Forwarded "";
        proxy_set_header X-API-Host "";
        proxy_set_header X-API-URL-Prefix "";
${block(
    8,
    hstsMaxAgeSeconds > 0
        ? ["proxy_hide_header Strict-Transport-Security;", `add_header Strict-Transport-Security "max-age=${hstsMaxAgeSeconds}" always;`]
        : [],
    lines(extraDirectives.server),
)}
${location("/")}
        # An error would be logged with the path, which holds a token.
${location("^~ /v3/import/", "error_log /dev/null crit;")}
        # Tunnels of agents: thousands of connections that are idle for their whole life.
${location("^~ /v3/connect", "proxy_buffer_size 4k;")}
    }

    # For this host only.
    server {
        listen 127.0.0.1:${settings.statusPort};
        server_name localhost;
        access_log off;
        location = /healthz {
            return 200 "ok\\n";
        }
        location = /status {
            stub_status;
        }
        location = /release {
            return 200 "${release} $pid\\n";
        }
        location / {
            return 404;
        }
    }
}
`.replace(/\n\n+(?= *\n| *})/g, "\n");
}

const ciphers = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
];

/** An address as it stands in a URL: NGINX refuses some ways to write an IPv6 address that are valid. */
function urlHost(address: string): string {
    return address.includes(":") ? new URL(`http://[${address}]`).hostname : address;
}

/** What an NGINX newer than this one would bring. */
export function upgradeGains(version: string): string[] {
    return gains.filter(({ since }) => number(version) < number(since)).map(({ since, gain }) => `${gain} (NGINX ${since})`);
}

const gains = [
    { since: "1.23.2", gain: "TLS sessions resume by tickets with rotated keys" },
    { since: "1.27.4", gain: "a reload loses no request of a keep-alive connection" },
];

/** The configuration as a host finishes it. The host program holds the same rules in awk and sed. */
export function forHost(configuration: string, version: string, openFiles: number, ipv6 = true): string {
    const belongs = (line: string) => {
        if (!ipv6 && /^ *listen \[::\]/.test(line)) return false;
        const marker = / # nginx (>=|<) ([0-9.]+)$/.exec(line);
        return !marker || number(version) >= number(marker[2]) === (marker[1] === ">=");
    };
    const connections = Math.min(openFiles - reservedFiles, maxWorkerConnections);
    return configuration
        .split("\n")
        .filter(belongs)
        .join("\n")
        .replace("@connections@", String(connections))
        .replace("@open_files@", String(connections + reservedFiles));
}

function number(version: string): number {
    const [major, minor, patch] = version.split(".").map(Number);
    return major * 1_000_000 + minor * 1000 + patch;
}

function lines(text: string): string[] {
    return text.trim() === "" ? [] : text.trim().split("\n");
}

/** Lines as a block of the configuration, after an empty line when there are any. */
function block(indentation: number, ...groups: string[][]): string {
    return groups
        .flat()
        .map(line => " ".repeat(indentation) + line)
        .join("\n");
}
