import { spawnSync } from "child_process";
import * as fc from "fast-check";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { nginxConf } from "../../components/loadBalancer/nginxConf";
import { upgradeGains } from "../../components/loadBalancer/nginxVersions";
import { releaseFor } from "../../components/loadBalancer/release";
import { NginxSettings, nginxSettingsSchema } from "../../components/loadBalancer/schema";
import { unpackedDebianPackages } from "../../lab/tools";
import { issue } from "../../lab/certificates";
import { finished, hostname, required, settings } from "../nginx";

/** NGINX of Debian 11 and 12, the first NGINX with `http2 on`, and newer ones that know every directive. */
const versions = ["1.18.0", "1.22.1", "1.25.1", "1.26.3", "1.30.6"];
const render = (changes: Partial<NginxSettings> = {}, version = "1.22.1") => finished(nginxConf(settings(changes)), { version });

/** Returns the text between the braces after `opening`, without comments and with one blank between words. */
function block(text: string, opening: string): string {
    const plain = text.replace(/ *# .*$/gm, "").replace(/\s+/g, " ");
    const start = plain.indexOf(`${opening} {`);
    if (start < 0) throw new Error(`no block "${opening}"`);
    let depth = 0;
    for (let at = plain.indexOf("{", start); at < plain.length; at++) {
        depth += plain[at] === "{" ? 1 : plain[at] === "}" ? -1 : 0;
        if (depth === 0) return plain.slice(plain.indexOf("{", start) + 1, at).trim();
    }
    throw new Error(`block "${opening}" does not end`);
}

const servers = (text: string) => {
    const http = block(text, "http");
    return http
        .split(/(?=server \{)/)
        .slice(1)
        .map(part => block(part, "server"));
};
/** Returns the server that answers for our name on a port. */
const server = (text: string, port: number) => {
    const found = servers(text).filter(each => new RegExp(`listen ${port}[ ;]`).test(each) && each.includes(`server_name ${hostname};`));
    expect(found).toHaveLength(1);
    return found[0];
};
const tls = (text: string) => server(text, 443);

describe("every directive of the manual's example has its meaning here", () => {
    const improved: [directive: string, where: (text: string) => string, text: string | RegExp, because?: string][] = [
        ["worker_processes 4", text => text, "worker_processes auto;", "one for each core"],
        ["worker_rlimit_nofile 40000", text => text, "worker_rlimit_nofile 19000;", "what the host allows"],
        ["worker_connections 8192", text => block(text, "events"), "worker_connections 18744;", "a WebSocket takes two"],
        [
            "upstream rancher",
            text => block(text, "upstream rancher"),
            /server 192\.0\.2\.1:80 .*server 192\.0\.2\.2:80 .*server 192\.0\.2\.3:80 /,
        ],
        [
            "map $http_upgrade: upgrade",
            text => block(text, "map $http_upgrade $upgrade_protocol"),
            "websocket websocket;",
            "h2c does not pass",
        ],
        [
            "map $http_upgrade: Connection",
            text => block(text, "map $upgrade_protocol $connection_upgrade"),
            'default upgrade; "" "";',
            "keep-alive",
        ],
        ["listen 443 ssl http2", tls, "listen 443 ssl http2;"],
        ["server_name FQDN", tls, `server_name ${hostname};`],
        ["ssl_certificate", tls, "ssl_certificate rancher-ha/fullchain.pem;"],
        ["ssl_certificate_key", tls, "ssl_certificate_key rancher-ha/privkey.pem;"],
        ["proxy_set_header Host", tls, `proxy_set_header Host ${hostname};`, "only this name is served"],
        ["proxy_set_header X-Forwarded-Proto", tls, "proxy_set_header X-Forwarded-Proto https;"],
        ["proxy_set_header X-Forwarded-Port", tls, "proxy_set_header X-Forwarded-Port 443;"],
        ["proxy_set_header X-Forwarded-For", tls, "proxy_set_header X-Forwarded-For $remote_addr;", "a client cannot forge it"],
        ["proxy_pass", text => block(tls(text), "location /"), "proxy_pass http://rancher;"],
        ["proxy_http_version 1.1", tls, "proxy_http_version 1.1;"],
        ["proxy_set_header Upgrade", tls, "proxy_set_header Upgrade $upgrade_protocol;"],
        ["proxy_set_header Connection", tls, "proxy_set_header Connection $connection_upgrade;"],
        ["proxy_read_timeout 900s", tls, "proxy_read_timeout 1800s;", "an agent's idle tunnel lives as long as Rancher's documents ask"],
        ["proxy_buffering off", tls, "proxy_buffering off;"],
        ["listen 80, return 301", text => server(text, 80), `return 301 https://${hostname}$request_uri;`],
    ];
    test.each(improved.map(([directive, where, text, because = "the same"]) => ({ directive, where, text, because })))(
        "$directive ($because)",
        ({ where, text }) => {
            if (typeof text === "string") expect(where(render())).toContain(text);
            else expect(where(render())).toMatch(text);
        },
    );
});

test("headers are set in one place: a location that set one would lose the others", () => {
    expect(tls(render()).match(/location [^{]*\{[^}]*proxy_set_header/)).toBeNull();
});

test("what a client may not tell the nodes is replaced or removed", () => {
    const set = [...tls(render()).matchAll(/proxy_set_header (\S+) ([^;]*);/g)].map(match => [match[1], match[2]]);
    expect(new Set(set.map(([name]) => name)).size).toBe(set.length);
    expect(set.filter(([, value]) => /\$http_|\$proxy_add|\$host\b/.test(value))).toEqual([]);
    expect(Object.fromEntries(set)).toMatchObject({
        "X-Forwarded-Host": hostname,
        "X-Real-IP": "$remote_addr",
        Forwarded: '""',
        "X-API-Host": '""',
        "X-API-URL-Prefix": '""',
    });
});

test("a POST or PATCH is never sent to a second node", () => {
    expect(tls(render())).toContain("proxy_next_upstream error timeout http_502 http_503;");
    expect(render()).not.toContain("non_idempotent");
});

test("when every node is removed from rotation, all are asked", () => {
    const upstream = (changes: object) => block(render({ upstreams: ["192.0.2.1", "192.0.2.2"], ...changes }), "upstream rancher");
    expect(upstream({})).toContain(
        "server 192.0.2.1:80 max_fails=3 fail_timeout=10s; server 192.0.2.2:80 max_fails=3 fail_timeout=10s; " +
            "server 192.0.2.1:80 max_fails=0 backup; server 192.0.2.2:80 max_fails=0 backup; ",
    );
    expect(upstream({ maxFails: 0 })).not.toContain("backup");
    expect(upstream({ upstreams: ["192.0.2.1"] })).not.toContain("backup");
});

test.each(versions)("names that are not ours are refused by NGINX %s", version => {
    const text = render({}, version);
    const others = servers(text).filter(each => each.includes("default_server"));
    expect(others.map(each => /return (\d+)/.exec(each)![1])).toEqual(["444", "421"]);
    expect(others[1].includes("ssl_reject_handshake on;")).toBe(version !== "1.18.0");
});

test("every port for users is open over IPv6 too, unless the host has none", () => {
    const listens = (ipv6: boolean) =>
        versions.map(version => finished(nginxConf(settings()), { version, ipv6 }).match(/listen (?!127)[^;]*;/g)!);
    for (const all of listens(true)) {
        const overIpv4 = all.filter(line => !line.includes("[::]:"));
        expect(all.filter(line => line.includes("[::]:")).map(line => line.replace("[::]:", ""))).toEqual(overIpv4);
    }
    expect(listens(false).flat().join()).not.toContain("::");
});

test("the status server listens on the loopback address only", () => {
    const status = servers(render()).filter(each => each.includes("stub_status"));
    expect(status).toHaveLength(1);
    expect(status[0].match(/listen [^;]+;/g)).toEqual(["listen 127.0.0.1:280;"]);
});

test("the token in the path of an import is not logged", () => {
    expect(block(render(), "map $uri $logged_uri")).toBe("default $request_uri; ~^/v3/import/ /v3/import/;");
    expect(/log_format main [^;]*;/.exec(render())![0]).not.toMatch(/\$(request|request_uri|uri|args)\b/);
});

test("an upload goes to a node while it comes in", () => {
    expect(tls(render())).toContain("proxy_request_buffering off;");
});

test("OpenSSL chooses the groups, so X25519MLKEM768 is used where it is known", () => {
    expect(render().match(/ssl_ecdh_curve [^;]*;/g)).toEqual(["ssl_ecdh_curve auto;"]);
});

test("the tunnels of agents hold a smaller buffer than answers may need", () => {
    const own = tls(render());
    expect(own).toContain("proxy_buffer_size 16k; proxy_buffers 8 16k;");
    expect(block(own, "location ^~ /v3/connect")).toContain("proxy_buffer_size 4k;");
});

test("what a user tunes arrives", () => {
    const text = render({
        upstreams: ["192.0.2.7", "2001:db8::7"],
        upstreamPort: 8080,
        workerConnections: 1024,
        readTimeoutSeconds: 900,
        maxBodySize: "1g",
        maxRequestHeaderSize: "128k",
        maxResponseHeaderSize: "32k",
        upstreamKeepalive: 64,
        connectTimeoutSeconds: 5,
        maxFails: 2,
        failTimeoutSeconds: 7,
        workerShutdownTimeoutSeconds: 60,
        hstsMaxAgeSeconds: 300,
        minTlsVersion: "1.3",
        statusPort: 10281,
        trustedProxies: ["10.0.0.0/8"],
        extraDirectives: { http: "limit_conn_zone $binary_remote_addr zone=a:1m;", server: "limit_conn a 10;", location: "limit_rate 1m;" },
    });
    for (const expected of [
        "server 192.0.2.7:8080 ",
        "server [2001:db8::7]:8080 ",
        "worker_connections 1024;",
        "worker_rlimit_nofile 1280;",
        "proxy_read_timeout 900s;",
        "proxy_send_timeout 900s;",
        "client_max_body_size 1g;",
        "large_client_header_buffers 4 128k;",
        "proxy_buffer_size 32k;",
        "keepalive 64;",
        "proxy_connect_timeout 5s;",
        "max_fails=2 fail_timeout=7s;",
        "worker_shutdown_timeout 60s;",
        'add_header Strict-Transport-Security "max-age=300" always;',
        "set_real_ip_from 10.0.0.0/8;",
        "ssl_protocols TLSv1.3;",
        "listen 127.0.0.1:10281;",
    ])
        expect(text).toContain(expected);
    expect(block(text, "http")).toContain("limit_conn_zone");
    expect(tls(text)).toContain("limit_conn a 10;");
    for (const location of ["location /", "location ^~ /v3/import/", "location ^~ /v3/connect"])
        expect(block(tls(text), location)).toContain("limit_rate 1m;");
});

test("provided certificates are one for each type of key, or files of another tool", () => {
    const two = render({ secondCertificate: { certificateChain: "another", privateKey: "another" } });
    expect(tls(two).match(/ssl_certificate [^;]+/g)).toEqual([
        "ssl_certificate rancher-ha/fullchain.pem",
        "ssl_certificate rancher-ha/fullchain-2.pem",
    ]);
    const kept = { certificateChain: "/etc/ssl/a.pem", privateKey: "/etc/ssl/a.key" };
    const elsewhere = settings({ certificateChain: undefined, privateKey: undefined, certificateOnHost: kept });
    expect(tls(finished(nginxConf(elsewhere), { version: "1.22.1" }))).toMatch(
        /ssl_certificate \/etc\/ssl\/a\.pem; ssl_certificate_key \/etc\/ssl\/a\.key;/,
    );
    expect(Object.keys(releaseFor(elsewhere).files)).toEqual(expect.not.arrayContaining(["fullchain.pem", "privkey.pem"]));
});

test("the access log is JSON", () => {
    const format = [.../log_format main escape=json([^;]*);/.exec(render())![1].matchAll(/'([^']*)'/g)].map(part => part[1]).join("");
    const line = format.replace(/\$(status|body_bytes_sent|request_time)\b/g, "1").replace(/\$\w+/g, "text");
    expect(Object.keys(JSON.parse(line))).toEqual(
        expect.arrayContaining(["time", "client", "uri", "status", "seconds", "upstream", "upstream_seconds"]),
    );
});

test("what a newer NGINX would bring is said of those that lack it", () => {
    expect(upgradeGains("1.22.1")).toHaveLength(2);
    expect(upgradeGains("1.26.3").join()).toMatch(/a reload loses no request .* \(NGINX 1\.27\.4\)/);
    expect(upgradeGains("1.30.1")).toEqual([]);
});

test("the ciphers are Mozilla's intermediate ones that need no DH parameters", () =>
    expect(/ssl_ciphers ([^;]*);/.exec(render())![1].split(":")).toEqual([
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    ]));

test("every version of NGINX is left with one way to say each thing", () => {
    for (const version of versions) {
        const isNew = Number(version.split(".")[1]) >= 25;
        expect([...tls(render({}, version)).matchAll(/listen [^;]*;|http2 on;/g)].map(String)).toEqual(
            isNew ? ["listen 443 ssl;", "listen [::]:443 ssl;", "http2 on;"] : ["listen 443 ssl http2;", "listen [::]:443 ssl http2;"],
        );
    }
    expect(versions.map(version => render({}, version).includes("keepalive_min_timeout"))).toEqual([false, false, false, false, true]);
});

describe("the NGINX of Debian", () => {
    let folder: string;
    let packages: string;
    const certificate = issue({ name: hostname, names: [`DNS:${hostname}`] });

    beforeAll(async () => {
        packages = await unpackedDebianPackages(["nginx", "nginx-common", "libnginx-mod-stream"]);
        folder = mkdtempSync(join(tmpdir(), "nginx-"));
        mkdirSync(join(folder, "rancher-ha"));
        writeFileSync(join(folder, "rancher-ha", "fullchain.pem"), certificate.certificate);
        writeFileSync(join(folder, "rancher-ha", "privkey.pem"), certificate.privateKey, { mode: 0o600 });
    }, 120_000);
    afterAll(() => rmSync(folder, { recursive: true }));

    /** Returns the errors of `nginx -t`. NGINX opens ports, logs and caches, so it gets its own network and system folders. */
    function refusal(text: string): string {
        const module = `load_module ${join(packages, "usr/lib/nginx/modules/ngx_stream_module.so")};`;
        writeFileSync(join(folder, "nginx.conf"), text.replace(/^include .*-mod-stream\.conf;$/m, module));
        const places = "for place in /var/log /var/lib /run; do mount -t tmpfs none $place; done; mkdir /var/log/nginx /var/lib/nginx";
        const { stderr, status } = spawnSync(
            "unshare",
            [
                "--mount",
                "--net",
                "sh",
                "-c",
                `${places}; exec "$0" -t -q -c "$1"`,
                join(packages, "usr/sbin/nginx"),
                join(folder, "nginx.conf"),
            ],
            { encoding: "utf8" },
        );
        if (/unshare failed|unshare: .*not permitted/.test(stderr))
            throw new Error("checking with the real NGINX needs root: run the tests as root");
        return status === 0 ? stderr : stderr || `exit code ${status}`;
    }
    const installed = () =>
        spawnSync(join(packages, "usr/sbin/nginx"), ["-v"], { encoding: "utf8" }).stderr.split("/")[1].trim().split(" ")[0];
    const accepted = (changes: Partial<NginxSettings>) => expect(refusal(render(changes, installed()))).toBe("");

    test("takes the configuration without a warning", () => accepted({}));

    test("refuses a broken one, so that this check can fail", () => {
        expect(refusal(render({}, installed()).replace("least_conn;", "least_con;"))).toContain('unknown directive "least_con"');
        expect(refusal(render({ upstreams: ["node.invalid"] }, installed()))).toContain("host not found in upstream");
    });

    const api = { kubernetesApi: true, controlPlane: ["192.0.2.1", "2001:db8::2", "192.0.2.3"] };

    test("takes the Kubernetes API", () => {
        accepted(api);
        expect(refusal(render({ ...api, controlPlane: ["node.invalid"] }, installed()))).toContain("host not found in upstream");
    });

    test("takes the longest host name", () => accepted({ hostname: `${`${"a".repeat(62)}.`.repeat(3)}${"b".repeat(62)}` }));

    test("takes 500 nodes with IPv6 addresses", () =>
        accepted({
            upstreams: Array.from({ length: 500 }, (_, index) => `2001:db8:1111:2222:3333:4444:5555:${(0x1000 + index).toString(16)}`),
        }));

    test("takes whatever the schema takes", () => {
        const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
        const name = fc
            .array(label, { minLength: 2, maxLength: 5 })
            .map(labels => labels.join("."))
            .filter(text => text.length <= 253 && /[a-z]/.test(text));
        const values = fc.record({
            hostname: name,
            upstreams: fc.uniqueArray(fc.oneof(fc.ipV4(), fc.ipV6()), { minLength: 1, maxLength: 100 }),
            upstreamPort: fc.integer({ min: 1, max: 65535 }),
            workerConnections: fc.integer({ min: 512, max: 1_000_000 }),
            readTimeoutSeconds: fc.integer({ min: 900 }),
            maxBodySize: fc.tuple(fc.integer({ min: 1, max: 4096 }), fc.constantFrom("k", "m", "g")).map(parts => parts.join("")),
            maxRequestHeaderSize: fc.integer({ min: 8, max: 256 }).map(size => `${size}k`),
            maxResponseHeaderSize: fc.integer({ min: 4, max: 64 }).map(size => `${size}k`),
        });
        fc.assert(
            fc.property(values, changes => {
                fc.pre(nginxSettingsSchema.safeParse({ ...required, ...changes }).success);
                accepted(changes);
            }),
            { numRuns: 25 },
        );
    }, 60_000);
});
