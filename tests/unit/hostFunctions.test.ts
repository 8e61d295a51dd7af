import { spawnSync } from "child_process";
import { readFileSync } from "fs";
import { nginxConf } from "../../components/loadBalancer/nginxConf";
import { scripts } from "../../components/loadBalancer/program";
import { places, releaseFor } from "../../components/loadBalancer/release";
import { issue } from "../../lab/certificates";
import { withHostFunctions } from "../../lab/loadBalancer/hostFunctions";
import { finished, hostFunction, hostname, settings } from "../nginx";

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
        const lines = finished(marked, { version }).split("\n");
        expect(lines.slice(1, 2)).toEqual([isNew ? "new; # nginx >= 1.25.1" : "old; # nginx < 1.25.1"]);
        expect(lines).toHaveLength(4);
    });
});

test.each([
    { openFiles: 19000, connections: 18744, files: 19000 },
    { openFiles: 524_288, connections: 32768, files: 33024 },
])("a host that allows $openFiles open files gets $connections connections", ({ openFiles, connections, files }) => {
    const text = finished(nginxConf(settings()), { version: "1.22.1", openFiles });
    expect(text).toContain(`worker_connections ${connections};`);
    expect(text).toContain(`worker_rlimit_nofile ${files};`);
});

test.each([
    ["over lines, quoted, and without comments", '"listen"\n 1; # listen 2;\nlisten 3 ssl;', ["1", "3"]],
    ["between quotes inside words, which are none to NGINX", 'add_header X a"b; listen 8443; add_header Y c"d;', ["8443"]],
    ["not inside a quoted word", "add_header X 'a; listen 1; b';", []],
    ["of QUIC beside those of TCP", "listen 443 ssl; listen [::]:443 reuseport quic;", ["443", "[::]:443 quic"]],
    ["not as an argument, nor after a word with braces", "set $a b${c}; return 200 listen; x a}listen; listen 5;", ["5"]],
])("listeners are found %s", (_what, text, found) => {
    expect(hostFunction("listeners", text).split("\n").filter(Boolean)).toEqual(found);
});

test("a package that was there and is only renewed is not taken for ours", () => {
    const simulated = [
        "NOTE: This is only a simulation!",
        "Inst libssl3 [3.0.9-1] (3.0.15-1~deb12u1 Debian-Security:12/stable-security [amd64])",
        "Inst nginx-common (1.22.1-9+deb12u1 Debian:12.9/stable [all]) []",
        "Inst nginx (1.22.1-9+deb12u1 Debian:12.9/stable [amd64])",
        "Conf nginx (1.22.1-9+deb12u1 Debian:12.9/stable [amd64])",
    ];
    expect(hostFunction("new_packages", simulated.join("\n"))).toBe("nginx-common\nnginx\n");
});

test.each([
    ["nothing changed", "no", "enabled", []],
    ["a unit changed", "yes", "enabled", ["daemon-reload"]],
    ["a unit would not start with the host", "no", "enabled-runtime", ["-q enable nginx.service"]],
])("systemd reads all units again only if it must: %s", (_what, outdated, enabled, expected) => {
    const systemctl = `systemctl() { case $1 in show) echo "$*" >&2; echo ${outdated} ;; is-enabled) echo ${enabled} ;; *) echo "$*" >&2 ;; esac; }`;
    const stubs =
        "restore_kernel_settings() { :; }; sysctl() { :; }; delete_filter() { :; }; certificates=; loaded_certificate=/nonexistent/file";
    const said = hostFunction(`places='${places}'; ${systemctl}; ${stubs}; activate /nonexistent /nonexistent 2>&1`, "").trim().split("\n");
    expect(said).toEqual([
        "show -p NeedDaemonReload --value nginx.service rancher-ha-certificate.path rancher-ha-certificate.timer " +
            "rancher-ha-certificate.service rancher-ha-logs.timer rancher-ha-logs.service keepalived.service",
        ...expected,
    ]);
});

test("a check after an apply knows the files of another tool that the apply has loaded", () => {
    const stubs = "restore_kernel_settings() { :; }; sysctl() { :; }; delete_filter() { :; }; systemctl() { echo enabled; }";
    const known = 'folder=$(mktemp -d); loaded_certificate=$folder/loaded; certificates="$folder/chain $folder/key"';
    const digests = `certificate_digest $folder/chain $folder/key; cat $loaded_certificate; rm -r $folder`;
    const files = "echo 1 >$folder/chain; echo 2 >$folder/key";
    const shown = hostFunction(`places='${places}'; ${stubs}; ${known}; ${files}; activate / / >/dev/null; ${digests}`, "");
    const [now, loaded] = shown.split("\n");
    expect(loaded).toBe(now);
});

test("a release enables the units of its files, and none that another one starts", () => {
    const enabled = (...files: string[]) =>
        hostFunction(
            `places='${places}'; folder=$(mktemp -d); for file in ${files.join(" ")}; do : >"$folder/$file"; done
            units "$folder"; rm -r "$folder"`,
            "",
        )
            .trim()
            .split("\n");
    const always = ["nginx.service.conf", "logs.timer", "logs.service"];
    expect(enabled(...always)).toEqual(["nginx.service", "rancher-ha-logs.timer"]);
    expect(
        enabled(...always, "certificate.path", "certificate.timer", "certificate.service", "keepalived.conf", "keepalived.service.conf"),
    ).toEqual([
        "nginx.service",
        "keepalived.service",
        "rancher-ha-certificate.path",
        "rancher-ha-certificate.timer",
        "rancher-ha-logs.timer",
    ]);
});

test("a limit does not move with the clock", () => {
    const shown = hostFunction("allow 2; date() { echo 9999999999; }; is_in_time && echo before; sleep 2.1; is_in_time || echo after", "");
    expect(shown).toBe("before\nafter\n");
});

test("the result of an apply is a line, also after a greeting without a line end", () => {
    const program = readFileSync(
        scripts.find(path => path.endsWith("/main.sh"))!,
        "utf8",
    );
    const steps = ["lock", "check_owner", "check_host", "check_foreign", "begin", "keep_original", "install_packages", "write_stage"];
    const last = ["keep_kernel_settings", "check_stage", "unchanged", "keep_serving"];
    const without = [...steps, ...last].map(step => `${step}() { :; }`).join("\n");
    const { stdout } = spawnSync("sh", ["-s", "none"], {
        input: `printf Welcome\n${withHostFunctions(program)}\n${without}\napplied() { echo 0123456789abcdef; }\napply`,
        encoding: "utf8",
    });
    expect(stdout.split("\n").slice(-2)).toEqual(["0123456789abcdef", ""]);
});

test("a certificate that becomes valid within a minute is waited for", () => {
    const { certificate } = issue({ name: "rancher.example.com", names: ["DNS:rancher.example.com"] });
    const ahead = (seconds: number) =>
        hostFunction(
            `chain=$(mktemp); counter=$(mktemp); cat >"$chain"; sleep() { date >/dev/null; }; say() { echo "\${1%% which*}"; }
            date() { echo >>"$counter"; [ "$(wc -l <"$counter")" -lt 5 ] && behind=${seconds} || behind=0
                echo $(($(/bin/date +%s) - behind)); }
            openssl() { [ "$1" != verify ] || case "$*" in *-attime*) ;; *) shift; set -- verify -attime "$(date)" "$@" ;; esac
                command openssl "$@"; }
            await_validity "$chain"; echo end; rm "$chain" "$counter"`,
            certificate,
        );
    expect([ahead(20), ahead(0), ahead(900)]).toEqual(["waiting for the certificate,\nend\n", "end\n", "end\n"]);
});

describe("peers of a host of a pair", () => {
    const [peer, earlier] = ["192.0.2.22", "192.0.2.29"];
    const vrrp = { routerId: 51, advertIntervalSeconds: 1, address: "192.0.2.21", virtualIp: "192.0.2.20", peer: earlier, priority: 150 };
    const files = (present: string) => releaseFor(settings(), { ...vrrp, peer: present }).files;
    /** Runs a text beside a keepalived.conf that is served. */
    const beside = (text: string, input = files(earlier)["keepalived.conf"]!) =>
        hostFunction(
            `current=$(mktemp -d); cat >"$current/keepalived.conf"; peer=${peer}; virtual_ip=192.0.2.20; ${text}; rm -r "$current"`,
            input,
        );
    const peersOf = (status: string) =>
        beside(`status_of_ping() { echo ${status}; }; earlier_peers=$(earlier_peers)
        for_peers <<'END' >"$current/next"\n${files(peer)["keepalived.conf"]}\nEND
        mv "$current/next" "$current/keepalived.conf"; current_peers`);

    test("are read from keepalived.conf", () => {
        expect(beside("current_peers")).toBe(`${earlier}\n`);
        expect(beside("current_peers", "")).toBe("");
    });

    test("an earlier one stays until the configured one serves", () => {
        expect([peersOf(""), peersOf("200")]).toEqual([`${peer}\n${earlier}\n`, `${peer}\n`]);
    });

    test("those of another virtual IP do not stay", () =>
        expect(beside("virtual_ip=192.0.2.19; status_of_ping() { :; }; earlier_peers")).toBe(""));

    test("without a change, files stay as they are, and nobody is asked", () =>
        expect(beside(`peer=${earlier}; status_of_ping() { echo asked >&2; }; earlier_peers; echo text | for_peers`)).toBe("text\n"));

    test("the packet filter accepts an earlier one, too", () => {
        const text = hostFunction(`peer=${peer}; earlier_peers=${earlier}; for_peers`, files(peer)["keepalived.service.conf"]!);
        expect(text).toBe(files(peer)["keepalived.service.conf"]!.replaceAll(`!= ${peer} drop`, `!= { ${peer}, ${earlier} } drop`));
        expect(text.match(/192\.0\.2\.29/g)).toHaveLength(2);
    });
});

test("errors of NGINX are told without those of a request", () => {
    const lines = ["[emerg] 1#1: bind() failed", '[error] 2#2: *3 timed out, client: 192.0.2.9, request: "GET /?code=abc HTTP/1.1"'];
    expect(hostFunction("last_errors", lines.join("\n"))).toBe(`${lines[0]}\n`);
});

describe("the answer to /ping through a new release", () => {
    /** Verifies a release through which users get a status. Returns what the host says. `before` is the status of the previous release. */
    const verified = (before: string, status: string) => {
        const facts = `hostname=${hostname} release=new status_port=280 certificates= virtual_ip= takeover_seconds=-10
            running_release() { echo new 2; }; serves() { true; }; status_of_ping() { echo ${status}; }`;
        const { stdout, stderr } = spawnSync("sh", ["-c", withHostFunctions(`${facts}\nverify 1 '${before}' && echo stays`)], {
            encoding: "utf8",
        });
        return stdout + stderr;
    };

    test.each([
        ["200", "200"],
        ["200", "503"],
        ["404", "404"],
        ["404", "200"],
        ["404", "503"],
        ["503", "200"],
        ["403", "403"],
        ["", "404"],
        ["", "502"],
        ["", ""],
    ])("after '%s' may be '%s'", (before, status) => expect(verified(before, status)).toBe("stays\n"));

    test.each([
        ...["", "502", "504"].map(status => ["200", status, "reaches no node"]),
        ...["301", "400", "401", "403", "404", "421", "429", "500"].map(status => ["200", status, "gives another answer than before"]),
        ["404", "400", "gives another answer than before"],
        ["503", "404", "gives another answer than before"],
    ])("after '%s' may not be '%s'", (before, status, problem) => {
        const shown = `as the previous release gave (${before}), found ${status || "none"}. Check upstreams, upstreamPort and extraDirectives`;
        expect(verified(before, status)).toMatch(new RegExp(`NGINX runs but ${problem}: .*${shown.replace(/[()]/g, "\\$&")}`));
    });

    test.each([
        ["200", "release 200"],
        ["404", "release 404"],
        ["502", "release "],
        // NGINX before 1.19.4 says by this that it serves another hostname.
        ["421", "release "],
    ])("through the previous release was %s: '%s' is remembered", (status, shown) => {
        const facts = `state=/none unverified=/none/unverified current=/none/current
            all_releases() { echo release; }; status_of_ping() { echo ${status}; }`;
        expect(hostFunction(`${facts}\nprevious_release`, "")).toBe(`${shown}\n`);
    });
});

test("a foreign drop-in of a unit is told, and one of the platform for all is not", () => {
    const files = ["/run/systemd/system/service.d/zzz-lxc-service.conf", "/etc/systemd/system/nginx.service.d/override.conf"];
    const shown = hostFunction(
        `units() { echo nginx.service; }; systemctl() { echo "${files.join(" ")}"; }; places=; warn_of_drop_ins`,
        "",
    );
    expect(shown).toMatch(
        /^nginx\.service: the drop-in \/etc\/systemd\/system\/nginx\.service\.d\/override\.conf is not of this stack .*\n$/,
    );
});

describe("who answers at an address", () => {
    /** Runs a text with the host's functions beside an interface `near`, whose peer is in another network namespace. */
    const besideNeighbour = (text: string) => {
        const program = `unshare --net sleep 60 & neighbour=$!; sleep 0.5
            ip link add near type veth peer name far netns $neighbour && ip link set near address 02:00:00:00:00:01 up
            at() { nsenter --net=/proc/$neighbour/ns/net "$@"; }
            at ip link set far address 02:00:00:00:00:02 up; at ip address add 192.0.2.60/24 dev far
            ip address add 192.0.2.21/24 dev near; sleep 0.5
            ${withHostFunctions(text)}; kill $neighbour`;
        return spawnSync("unshare", ["--net", "sh", "-c", program], { encoding: "utf8" }).stdout;
    };

    test("is found by its hardware address, without a trace in its table of neighbours", () =>
        expect(besideNeighbour("arp_answer 192.0.2.60 near; at ip neigh show to 192.0.2.21")).toBe("02:00:00:00:00:02\n"));

    test("is nobody, or the host itself", () =>
        expect(besideNeighbour("arp_answer 192.0.2.61 near; arp_answer 192.0.2.21 near; arp_answer 192.0.2.61 none; echo end")).toBe(
            "end\n",
        ));

    test("is asked only before the host has the virtual IP", () => {
        const host = (served: string) =>
            `virtual_ip=192.0.2.60; current_virtual_ip() { echo ${served}; }; answer_at_new_virtual_ip; echo end`;
        expect(["", "192.0.2.60"].map(served => besideNeighbour(host(served)))).toEqual(["02:00:00:00:00:02\nend\n", "end\n"]);
    });
});

test("the host's program is clean for shellcheck", () => {
    const program = scripts.map(path => readFileSync(path, "utf8"));
    const { stdout, error } = spawnSync("shellcheck", ["--shell=sh", "-"], { input: program.join("\n"), encoding: "utf8" });
    if (error) throw new Error("shellcheck is not installed: apt-get install shellcheck");
    expect(stdout).toBe("");
});
