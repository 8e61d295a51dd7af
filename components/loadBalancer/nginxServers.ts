import { extraDirectives, lines, paragraphs } from "./nginxText";
import { NginxSettings } from "./schema";

/**
 * Returns the paths of certificates and keys as NGINX reads them. Paths in a release are relative to nginx.conf, so the same text can be
 * checked in a staging folder.
 */
export function certificateFiles({ secondCertificate, certificateOnHost }: NginxSettings): { chain: string; key: string }[] {
    if (certificateOnHost) return [{ chain: certificateOnHost.certificateChain, key: certificateOnHost.privateKey }];
    const files = [{ chain: "rancher-ha/fullchain.pem", key: "rancher-ha/privkey.pem" }];
    if (secondCertificate) files.push({ chain: "rancher-ha/fullchain-2.pem", key: "rancher-ha/privkey-2.pem" });
    return files;
}

function certificates(settings: NginxSettings): string[] {
    return certificateFiles(settings).flatMap(({ chain, key }) => [`ssl_certificate ${chain};`, `ssl_certificate_key ${key};`]);
}

export const unknownHttpNames = `
    # A request for another name reaches no node. NGINX closes its connection without an answer.
    server {
        listen 80 default_server;
        listen [::]:80 default_server;
        server_name _;
        access_log off;
        return 444;
    }`;

export const redirect = ({ hostname }: NginxSettings) => `
    server {
        listen 80;
        listen [::]:80;
        server_name ${hostname};
        return 301 https://${hostname}$request_uri;
    }`;

export function unknownHttpsNames(settings: NginxSettings): string {
    const forOldNginx = certificates(settings).map(line => `${line} # nginx < 1.19.4`);
    return `
    server {
        # so_keepalive closes connections of unreachable clients after 60 s. NGINX applies it to all servers of this port.
        listen 443 ssl default_server so_keepalive=30s:10s:3; # nginx >= 1.25.1
        listen [::]:443 ssl default_server so_keepalive=30s:10s:3; # nginx >= 1.25.1
        http2 on; # nginx >= 1.25.1
        listen 443 ssl http2 default_server so_keepalive=30s:10s:3; # nginx < 1.25.1
        listen [::]:443 ssl http2 default_server so_keepalive=30s:10s:3; # nginx < 1.25.1
        # A client that asks for another name gets no certificate. # nginx >= 1.19.4
        ssl_reject_handshake on; # nginx >= 1.19.4
        # NGINX before 1.19.4 cannot refuse a handshake. It needs a certificate to answer 421. # nginx < 1.19.4${lines(8, forOldNginx)}
        server_name _;
        access_log off;
        # A client may ask for our name in the handshake, and for another one in the Host header.
        return 421;
    }`;
}

export const rancher = (settings: NginxSettings) => `
    server {
        listen 443 ssl; # nginx >= 1.25.1
        listen [::]:443 ssl; # nginx >= 1.25.1
        http2 on; # nginx >= 1.25.1
        listen 443 ssl http2; # nginx < 1.25.1
        listen [::]:443 ssl http2; # nginx < 1.25.1
        server_name ${settings.hostname};${lines(8, certificates(settings))}
${paragraphs(
    proxying(settings),
    headers(settings),
    strictTransportSecurity(settings),
    extraDirectives(settings, "server", 8),
    location(settings, "/"),
    location(settings, "^~ /v3/import/", "# The error log would hold the path, with its token.", "error_log /dev/null crit;"),
    location(
        settings,
        "^~ /v3/connect",
        "# Each of thousands of idle agent tunnels holds two of these buffers.",
        `proxy_buffer_size ${tunnelBuffer};`,
    ),
)}
    }`;

/**
 * Size of the buffers of a tunnel. With 2k, an idle tunnel takes 3 kB less memory, but bulk data through it is a quarter slower. The other
 * way to less memory is `ssl_buffer_size 8k`: 5 kB less, but a fifth more CPU for an answer of 64 kB over HTTP/2. Source: `make bench`.
 */
const tunnelBuffer = "4k";

const proxying = ({ connectTimeoutSeconds, readTimeoutSeconds, upstreams, maxResponseHeaderSize }: NginxSettings) => `
        proxy_http_version 1.1;
        # Events of a watch and lines of a log must reach the client at once.
        proxy_buffering off;
        # Rancher sends several cookies, and a SAML request in a Location header: more than the default of 4 kB.
        # Answers pass through this buffer too, so a small one costs more system calls.
        proxy_buffer_size ${maxResponseHeaderSize};
        # Nothing uses these buffers, but NGINX refuses fewer or smaller ones beside the one above.
        proxy_buffers 8 ${maxResponseHeaderSize};
        # A node gets an upload while it comes in. NGINX cannot check who may upload, so stored uploads could fill the disk.
        proxy_request_buffering off;
        # An unreachable node must not hold a request for the default of 60 s.
        proxy_connect_timeout ${connectTimeoutSeconds}s;
        # An agent's tunnel and a shell in the browser may be idle for this time.
        proxy_read_timeout ${readTimeoutSeconds}s;
        proxy_send_timeout ${readTimeoutSeconds}s;
        # TCP keep-alive closes connections to unreachable nodes. Its times are kernel settings of this host.
        proxy_socket_keepalive on;
        # When a node is unreachable or answers 502 or 503, the next node gets the request. NGINX never sends a POST or PATCH twice.
        # It may send a PUT or DELETE twice, which is harmless: Kubernetes answers the second one with 409 or 404.
        # Once a part of a body that comes in late was sent to a node, no other node gets the request.
        proxy_next_upstream error timeout http_502 http_503;
        # A request tries each node once, and one more as the last resort.
        proxy_next_upstream_tries ${upstreams.length + 1};`;

const headers = ({ hostname }: NginxSettings) => `
        # A client can forge none of these headers: ingress controllers and Rancher trust them.
        # They all stand here, because a location that sets one header loses all others.
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
        # Rancher would build the links of its API from these two.
        proxy_set_header X-API-Host "";
        proxy_set_header X-API-URL-Prefix "";`;

function strictTransportSecurity({ hstsMaxAgeSeconds }: NginxSettings): string {
    if (hstsMaxAgeSeconds === 0) return "";
    return lines(8, [
        "# This header replaces the one that Rancher sends.",
        "proxy_hide_header Strict-Transport-Security;",
        `add_header Strict-Transport-Security "max-age=${hstsMaxAgeSeconds}" always;`,
    ]);
}

const location = (settings: NginxSettings, path: string, ...own: string[]) => `
        location ${path} {${lines(12, own)}
            proxy_pass http://rancher;${extraDirectives(settings, "location", 12)}
        }`;

export const status = ({ statusPort }: NginxSettings) => `
    # Monitoring, keepalived and the stack ask this server, from this host alone.
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
        # The answer shows which release the running workers have loaded, and which worker answers.
        location = /release {
            return 200 "@release@ $pid\\n";
        }
        location / {
            return 404;
        }
    }`;
