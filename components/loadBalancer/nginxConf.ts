import { createHash } from "crypto";
import { NginxSettings } from "./schema";

/** Loopback port of the status server (`/healthz`, `/status`, `/release`). */
export const statusPort = 10280;

/**
 * Kernel settings of a load balancer host. Upstream sockets take their keep-alive times from here only: a peer that is silently
 * gone is released after a minute, and not after hours.
 */
export const sysctls = `# Managed by Pulumi (pulumi-rancher-ha)
net.ipv4.tcp_keepalive_time = 30
net.ipv4.tcp_keepalive_intvl = 10
net.ipv4.tcp_keepalive_probes = 3
net.ipv4.tcp_retries2 = 6
`;

const certificateFiles = ["ssl_certificate rancher-ha/fullchain.pem;", "ssl_certificate_key rancher-ha/privkey.pem;"];

/**
 * The manual's configuration, improved where measurements show a gain:
 * - upstream keep-alive, which needs an empty `Connection` header: a third of the CPU per request;
 * - `least_conn` with shared counts, a connect timeout and a short `fail_timeout`: a dead node is avoided, and used again as soon
 *   as it is back. POSTs are never sent twice: `proxy_next_upstream` leaves out `non_idempotent`;
 * - TCP keep-alive on both sides: dead peers do not hold connections for hours;
 * - only names that are ours are served, and forwarding headers are set here and not passed on: an ingress that trusts the load
 *   balancer can be told nothing by a client;
 * - only WebSocket and SPDY upgrades pass (`kubectl exec` uses SPDY/3.1);
 * - TLS 1.2 and 1.3 with the intermediate ciphers of Mozilla; header and body limits that fit Rancher's tokens and uploads;
 * - old workers end at last an hour after a reload, and exhausted connections are logged.
 *
 * A line that ends in `# nginx >= V` or `# nginx < V` belongs to those versions only: see `forVersion`. Certificate paths are
 * relative to nginx.conf, so that the same text can be checked in a staging folder. The status server tells `release`, so that
 * it is known what the running workers have loaded.
 */
export function nginxConf(settings: NginxSettings, release: string): string {
    const { hostname, upstreams, upstreamPort, workerConnections, readTimeoutSeconds, maxBodySize } = settings;
    const servers = upstreams.map(address => `server ${urlHost(address)}:${upstreamPort} max_fails=3 fail_timeout=2s;`);
    return `# Managed by Pulumi (pulumi-rancher-ha): changes made here are undone.
user www-data;
pid /run/nginx.pid;
worker_processes auto;
worker_rlimit_nofile ${workerConnections + 1000};
worker_shutdown_timeout 1h;
error_log /var/log/nginx/error.log warn;

events {
    worker_connections ${workerConnections};
}

http {
    server_tokens off;
    server_names_hash_bucket_size 512;
    default_type application/octet-stream;

    log_format main '$remote_addr $time_iso8601 "$request" $status $body_bytes_sent rt=$request_time up=$upstream_addr us=$upstream_status '
                    'uct=$upstream_connect_time urt=$upstream_response_time tls=$ssl_protocol/$ssl_session_reused id=$request_id';
    log_format without_uri '$remote_addr $time_iso8601 $request_method $status rt=$request_time up=$upstream_addr id=$request_id';
    access_log /var/log/nginx/access.log main;

    keepalive_requests 1000;
    keepalive_min_timeout 5s; # nginx >= 1.27.4
    client_header_timeout 15s;
    large_client_header_buffers 4 64k;
    http2_max_field_size 64k; # nginx < 1.19.7
    http2_max_header_size 256k; # nginx < 1.19.7
    client_max_body_size ${maxBodySize};
    client_body_buffer_size 128k;

    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ${ciphers.join(":")};
    ssl_prefer_server_ciphers off;
    ssl_ecdh_curve X25519:prime256v1:secp384r1;
    ssl_session_cache shared:tls:10m;
    ssl_session_timeout 1d;
    ssl_session_tickets off; # nginx < 1.23.2

    upstream rancher {
        zone rancher 128k;
        least_conn;
        ${servers.join("\n        ")}
        keepalive 128;
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

    server {
        listen 80 default_server;
        server_name _;
        access_log off;
        return 444;
    }
    server {
        listen 80;
        server_name ${hostname};
        return 301 https://${hostname}$request_uri;
    }

    server {
        listen 443 ssl default_server so_keepalive=30s:10s:3; # nginx >= 1.25.1
        http2 on; # nginx >= 1.25.1
        listen 443 ssl http2 default_server so_keepalive=30s:10s:3; # nginx < 1.25.1
        ssl_reject_handshake on; # nginx >= 1.19.4
        ${certificateFiles[0]} # nginx < 1.19.4
        ${certificateFiles[1]} # nginx < 1.19.4
        server_name _;
        access_log off;
        return 421;
    }
    server {
        listen 443 ssl; # nginx >= 1.25.1
        http2 on; # nginx >= 1.25.1
        listen 443 ssl http2; # nginx < 1.25.1
        server_name ${hostname};
        ${certificateFiles[0]}
        ${certificateFiles[1]}

        proxy_http_version 1.1;
        proxy_buffering off;
        proxy_buffer_size 8k;
        proxy_connect_timeout 3s;
        proxy_read_timeout ${readTimeoutSeconds}s;
        proxy_send_timeout ${readTimeoutSeconds}s;
        proxy_socket_keepalive on;
        proxy_next_upstream error timeout;
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

        location / {
            proxy_pass http://rancher;
        }
        # The path holds a token.
        location ^~ /v3/import/ {
            access_log /var/log/nginx/access.log without_uri;
            proxy_pass http://rancher;
        }
    }

    # For this host only.
    server {
        listen 127.0.0.1:${statusPort};
        server_name localhost;
        access_log off;
        location = /healthz {
            return 200 "ok\\n";
        }
        location = /status {
            stub_status;
        }
        location = /release {
            return 200 "${release}\\n";
        }
        location / {
            return 404;
        }
    }
}
`;
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

/** Name of a configuration together with its certificate. */
export function releaseOf(settings: NginxSettings): string {
    return createHash("sha256")
        .update(nginxConf(settings, "") + settings.certificateChain)
        .digest("hex")
        .slice(0, 12);
}

/** The configuration as an NGINX of this version gets it. The host program holds the same rule in awk. */
export function forVersion(configuration: string, version: string): string {
    const belongs = (line: string) => {
        const marker = / # nginx (>=|<) ([0-9.]+)$/.exec(line);
        return !marker || number(version) >= number(marker[2]) === (marker[1] === ">=");
    };
    return configuration.split("\n").filter(belongs).join("\n");
}

function number(version: string): number {
    const [major, minor, patch] = version.split(".").map(Number);
    return major * 1_000_000 + minor * 1000 + patch;
}
