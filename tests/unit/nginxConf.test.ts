import { execFileSync, spawnSync } from "child_process";
import * as fc from "fast-check";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { forHost, maxWorkerConnections, nginxConf, reservedFiles, sysctls, upgradeGains } from "../../components/loadBalancer/nginxConf";
import { releaseFor } from "../../components/loadBalancer/release";
import { NginxSettings, nginxSettingsSchema } from "../../components/loadBalancer/schema";
import { describeIssues } from "../../components/validation";
import { unpackedDebianPackages } from "../../lab/tools";
import { issue } from "../../lab/certificates";

const scripts = join(__dirname, "..", "..", "components", "loadBalancer", "host");
const hostname = "rancher.example.com";
const required = {
    hosts: [{ host: "192.0.2.9", privateKey: "-----BEGIN OPENSSH PRIVATE KEY-----\n", hostKey: "ssh-ed25519 AAAA" }],
    hostname,
    upstreams: ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
    certificateChain: "certificate",
    privateKey: "-----BEGIN PRIVATE KEY-----\n",
};
const settings = (changes: Partial<NginxSettings> = {}): NginxSettings => ({ ...nginxSettingsSchema.parse(required), ...changes });

/** NGINX of Debian 11 and 12, the first with `http2 on`, and newer ones that know every directive. */
const versions = ["1.18.0", "1.22.1", "1.25.1", "1.26.3", "1.30.6"];
const openFiles = 19000;
const render = (changes: Partial<NginxSettings> = {}, version = "1.22.1") =>
    forHost(nginxConf(settings(changes), "release"), version, openFiles);

/** What a function of the host's program makes of a text. */
function hostFunction(file: string, name: string, input: string, before = ":"): string {
    const text = readFileSync(join(scripts, `${file}.sh`), "utf8");
    const body = new RegExp(`^${name}\\(\\) \\{(.*\\}$|$[^]*?^\\}$)`, "m").exec(text)![0];
    return execFileSync("sh", ["-c", `set -eu; ${before}\n${body}\n${name}`], { input }).toString();
}

/** The text between the braces that follow an opening, without comments, one blank between words. */
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
/** The server that answers for our name on a port. */
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

test("a POST or PATCH is never sent to a second node: only methods that NGINX holds idempotent, PUT and DELETE among them, are", () => {
    expect(tls(render())).toContain("proxy_next_upstream error timeout http_502 http_503;");
    expect(render()).not.toContain("non_idempotent");
});

test("when every node is left out, all are asked as if none were: Rancher rightly answers 503 for a cluster that is not connected", () => {
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
        versions.map(version => forHost(nginxConf(settings(), ""), version, openFiles, ipv6).match(/listen (?!127)[^;]*;/g)!);
    for (const all of listens(true)) {
        const overIpv4 = all.filter(line => !line.includes("[::]:"));
        expect(all.filter(line => line.includes("[::]:")).map(line => line.replace("[::]:", ""))).toEqual(overIpv4);
    }
    expect(listens(false).flat().join()).not.toContain("::");
});

test("the status server listens on the loopback address only", () => {
    const status = servers(render()).filter(each => each.includes("stub_status"));
    expect(status).toHaveLength(1);
    expect(status[0].match(/listen [^;]+;/g)).toEqual(["listen 127.0.0.1:10280;"]);
});

test("the token in the path of an import is not logged", () => {
    expect(block(render(), "map $uri $logged_uri")).toBe("default $request_uri; ~^/v3/import/ /v3/import/;");
    expect(/log_format main [^;]*;/.exec(render())![0]).not.toMatch(/\$(request|request_uri|uri|args)\b/);
});

test("the tunnels of agents hold a smaller buffer than answers may need", () => {
    const own = tls(render());
    expect(own).toContain("proxy_buffer_size 8k;");
    expect(block(own, "location ^~ /v3/connect")).toContain("proxy_buffer_size 4k;");
});

test("what a user tunes arrives", () => {
    const text = render({
        upstreams: ["192.0.2.7", "2001:db8::7"],
        upstreamPort: 8080,
        workerConnections: 1024,
        readTimeoutSeconds: 900,
        maxBodySize: "1g",
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

test("brought certificates: one for each type of key, or those that another tool keeps", () => {
    const two = render({ secondCertificate: { certificateChain: "another", privateKey: "another" } });
    expect(tls(two).match(/ssl_certificate [^;]+/g)).toEqual([
        "ssl_certificate rancher-ha/fullchain.pem",
        "ssl_certificate rancher-ha/fullchain-2.pem",
    ]);
    const kept = { certificateChain: "/etc/ssl/a.pem", privateKey: "/etc/ssl/a.key" };
    const elsewhere = settings({ certificateChain: undefined, privateKey: undefined, certificateOnHost: kept });
    expect(tls(forHost(nginxConf(elsewhere, ""), "1.22.1", openFiles))).toMatch(
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

test.each([
    ["a block that does not end", { server: "if ($arg_a) {" }, /extraDirectives\.server: expected whole directives/],
    ["an end of the block around it", { location: "} location /x { return 404;" }, /extraDirectives\.location: expected whole directives/],
    ["an end of the block between quotes inside words", { server: 'set $a a"b; } location /x { set $a c"d;' }, /expected whole directives/],
    ["headers that would drop all others", { location: "proxy_set_header X-A b;" }, /proxy_set_header[^]*extraDirectives\.server/],
    [
        "files that are named from the folder of nginx.conf",
        { http: '# x\n"include" conf.d/*.conf;' },
        /http: expected an absolute path behind include/,
    ],
    ["answer headers that would drop HSTS", { location: "add_header X-A b;" }, /no add_header[^]*extraDirectives\.server/],
])("extra directives with %s are refused", (_what, extraDirectives, message) => {
    const { error } = nginxSettingsSchema.safeParse({ ...required, extraDirectives });
    expect(describeIssues(error!.issues, extraDirectives)).toMatch(message);
});

test.each([
    ["braces inside quotes and comments", 'if ($http_x ~ "^a{2}$") { return 403; } # }\nset $a a\\{${b}c"; # {'],
    ["files by absolute paths, and the word in another place", "include /etc/nginx/conf.d/*.conf; set $a include; # include b;"],
])("extra directives may hold %s", (_what, server) =>
    expect(nginxSettingsSchema.safeParse({ ...required, extraDirectives: { server } }).success).toBe(true),
);

test("the ciphers are those of Mozilla's intermediate configuration that need no DH parameters", () =>
    expect(/ssl_ciphers ([^;]*);/.exec(render())![1].split(":")).toEqual([
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    ]));

describe("release", () => {
    const nameOf = (changes: Partial<NginxSettings> = {}) => releaseFor(settings(changes)).name;
    test("is the same for the same settings", () => expect(nameOf()).toBe(nameOf()));
    test.each<[string, Partial<NginxSettings>]>([
        ["an upstream", { upstreams: ["192.0.2.1"] }],
        ["a timeout", { readTimeoutSeconds: 900 }],
        ["the certificate", { certificateChain: "another" }],
    ])("changes with %s", (_what, changes) => expect(nameOf(changes)).not.toBe(nameOf()));
    test("does not tell anything about the private key", () => expect(nameOf({ privateKey: "x" })).toBe(nameOf()));
});

describe("lines marked for some versions of NGINX", () => {
    const marked = ["always", "new; # nginx >= 1.25.1", "old; # nginx < 1.25.1", "# nginx >= 9 in the middle; stays", ""].join("\n");
    test.each([
        ["1.18.0", false],
        ["1.25.0", false],
        ["1.25.1", true],
        ["1.25.10", true],
        ["1.26.0", true],
        ["2.0.0", true],
        ["1.9.15", false],
    ])("%s", (version, isNew) => {
        const lines = forHost(marked, version, openFiles).split("\n");
        expect(lines.slice(1, 2)).toEqual([isNew ? "new; # nginx >= 1.25.1" : "old; # nginx < 1.25.1"]);
        expect(lines).toHaveLength(4);
    });

    test("are chosen by the host as they are chosen here", () => {
        const onHost = (version: string, files: number, ipv6: boolean, text: string) =>
            hostFunction(
                "release",
                "for_host",
                text,
                `max_connections=${maxWorkerConnections}; reserved_files=${reservedFiles}; open_files() { echo ${files}; }; has_ipv6() { ${ipv6}; }; nginx_version() { echo ${version}; }`,
            );
        for (const version of [...versions, "1.9.15", "1.25.0", "1.25.10", "2.0.0"]) {
            for (const text of [marked, nginxConf(settings(), "release")]) {
                for (const files of [openFiles, 524_288]) {
                    for (const ipv6 of [true, false]) expect(onHost(version, files, ipv6, text)).toBe(forHost(text, version, files, ipv6));
                }
            }
        }
    });

    test("leave every version with one way to say each thing", () => {
        for (const version of versions) {
            const isNew = Number(version.split(".")[1]) >= 25;
            expect([...tls(render({}, version)).matchAll(/listen [^;]*;|http2 on;/g)].map(String)).toEqual(
                isNew ? ["listen 443 ssl;", "listen [::]:443 ssl;", "http2 on;"] : ["listen 443 ssl http2;", "listen [::]:443 ssl http2;"],
            );
        }
        expect(versions.map(version => render({}, version).includes("keepalive_min_timeout"))).toEqual([false, false, false, false, true]);
    });
});

test("kernel settings are lines that the kernel's own names match", () => {
    const text = sysctls(settings());
    const names = [...text.matchAll(/^(net\.\S+) = \d+$/gm)].map(match => match[1]);
    expect(text.split("\n").filter(line => line && !line.startsWith("#"))).toHaveLength(names.length);
    for (const name of names) expect(readFileSync(`/proc/sys/${name.replace(/\./g, "/")}`, "utf8")).toMatch(/^\d+\n$/);
});

test.each([5, 15, 100, 7200])("a peer that is silently gone is given up after deadPeerTimeoutSeconds, here %i", timeout => {
    const text = sysctls(settings({ deadPeerTimeoutSeconds: timeout }));
    const [idle, interval, probes] = ["time", "intvl", "probes"].map(name =>
        Number(new RegExp(`tcp_keepalive_${name} = (\\d+)`).exec(text)![1]),
    );
    expect(idle + interval * probes).toBe(timeout);
    expect(Math.min(idle, interval)).toBeGreaterThan(0);
});

test.each([
    ["over lines, quoted, and without comments", '"listen"\n 1; # listen 2;\nlisten 3 ssl;', ["1", "3"]],
    ["between quotes inside words, which are none to NGINX", 'add_header X a"b; listen 8443; add_header Y c"d;', ["8443"]],
    ["not inside a quoted word", "add_header X 'a; listen 1; b';", []],
    ["of QUIC beside those of TCP", "listen 443 ssl; listen [::]:443 reuseport quic;", ["443", "[::]:443 quic"]],
    ["not as an argument, nor after a word with braces", "set $a b${c}; return 200 listen; x a}listen; listen 5;", ["5"]],
])("listeners are found %s", (_what, text, found) => {
    expect(hostFunction("release", "listeners", text).split("\n").filter(Boolean)).toEqual(found);
});

test("a package that was there and is only renewed is not taken for ours", () => {
    const simulated = [
        "NOTE: This is only a simulation!",
        "Inst libssl3 [3.0.9-1] (3.0.15-1~deb12u1 Debian-Security:12/stable-security [amd64])",
        "Inst nginx-common (1.22.1-9+deb12u1 Debian:12.9/stable [all]) []",
        "Inst nginx (1.22.1-9+deb12u1 Debian:12.9/stable [amd64])",
        "Conf nginx (1.22.1-9+deb12u1 Debian:12.9/stable [amd64])",
    ];
    expect(hostFunction("packages", "new_packages", simulated.join("\n"))).toBe("nginx-common\nnginx\n");
});

test("the host's program is clean for shellcheck", () => {
    const program = ["lib", "checks", "packages", "adoption", "certificate", "ping", "release", "switch", "drift", "main"].map(name =>
        readFileSync(join(scripts, `${name}.sh`), "utf8"),
    );
    const { stdout, error } = spawnSync("shellcheck", ["--shell=sh", "-"], { input: program.join("\n"), encoding: "utf8" });
    if (error) throw new Error("shellcheck is not installed: apt-get install shellcheck");
    expect(stdout).toBe("");
});

describe("the NGINX of Debian", () => {
    let folder: string;
    let packages: string;
    const certificate = issue({ name: hostname, names: [`DNS:${hostname}`] });

    beforeAll(async () => {
        packages = await unpackedDebianPackages(["nginx", "nginx-common"]);
        folder = mkdtempSync(join(tmpdir(), "nginx-"));
        mkdirSync(join(folder, "rancher-ha"));
        writeFileSync(join(folder, "rancher-ha", "fullchain.pem"), certificate.certificate);
        writeFileSync(join(folder, "rancher-ha", "privkey.pem"), certificate.privateKey, { mode: 0o600 });
    }, 120_000);
    afterAll(() => rmSync(folder, { recursive: true }));

    /** What `nginx -t` says, in a network and with system folders of its own: it opens ports, logs and caches. */
    function refusal(text: string): string {
        writeFileSync(join(folder, "nginx.conf"), text);
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

    test("takes the longest host name", () => accepted({ hostname: `${`${"a".repeat(62)}.`.repeat(3)}${"b".repeat(62)}` }));

    test("takes whatever the schema takes", () => {
        const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
        const name = fc
            .array(label, { minLength: 2, maxLength: 5 })
            .map(labels => labels.join("."))
            .filter(text => text.length <= 253 && /[a-z]/.test(text));
        const values = fc.record({
            hostname: name,
            upstreams: fc.uniqueArray(fc.oneof(fc.ipV4(), fc.ipV6()), { minLength: 1, maxLength: 20 }),
            upstreamPort: fc.integer({ min: 1, max: 65535 }),
            workerConnections: fc.integer({ min: 512, max: 1_000_000 }),
            readTimeoutSeconds: fc.integer({ min: 900 }),
            maxBodySize: fc.tuple(fc.integer({ min: 1, max: 4096 }), fc.constantFrom("k", "m", "g")).map(parts => parts.join("")),
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
