import { spawnSync } from "child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { withHostFunctions } from "../../lab/loadBalancer/hostFunctions";

// The host's program installs and removes packages with stand-ins for apt-get and dpkg, and with real locks.
let folder: string;
const file = (name: string) => join(folder, name);
const calls = () => (existsSync(file("calls")) ? readFileSync(file("calls"), "utf8").trim().split("\n") : []);
beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "packages-"));
    for (const name of ["bin", "stage"]) mkdirSync(file(name));
    command("hostname", "echo lb1");
    command("dpkg-query", "false");
    command("systemctl", "true");
    command("sync", "true");
    command("dpkg", 'echo "dpkg $*" >>calls');
    command("apt-get", aptGet());
    command("apt-mark", 'echo "apt-mark $*" >>calls');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Replaces a command of the system by a script, which runs in the folder of the test. */
function command(name: string, text: string): void {
    writeFileSync(join(folder, "bin", name), `#!/bin/sh\ncd ${folder}\n${text}\n`);
    chmodSync(join(folder, "bin", name), 0o755);
}

/** Returns an apt-get that notes its calls. `special` runs before the answer of a simulation. */
const aptGet = (special = "") => `
    call=$(echo "$*" | sed 's/-q -y --no-install-recommends -o DPkg::Options::=--force-confold //')
    echo "apt-get $call" >>calls
    ${special}
    case $call in *--simulate*) echo 'Inst nginx (1.22.1 Debian [amd64])' ;; esac`;

/** Runs a text with the host's functions. They may wait for `timeoutSeconds` less 30 s. */
function host(text: string, timeoutSeconds = 90) {
    const places = `state=${folder}; stage=${file("stage")}; package_locks=${file("lock")}; virtual_ip=; stream=; mark=mark`;
    const program = `timeout_seconds=${timeoutSeconds}; ${withHostFunctions('allow "$((timeout_seconds - 30))"')}\n${places}; ${text}`;
    const env = { ...process.env, PATH: `${file("bin")}:${process.env.PATH}` };
    const { status, stdout, stderr } = spawnSync("sh", ["-s"], { input: program, encoding: "utf8", env, cwd: folder });
    return { code: status, stdout, said: stderr };
}

/** Returns shell text that locks the packages for some seconds, and goes on as soon as the lock is held. */
const held = (seconds: number) =>
    `flock ${file("lock")} sleep ${seconds} >/dev/null 2>&1 & until [ -n "$(lock_holder)" ]; do sleep 0.1; done;`;

test("packages are installed, and noted before", () => {
    expect(host("install_packages")).toEqual({ code: 0, stdout: "", said: "lb1: installing nginx openssl logrotate\n" });
    expect(calls().map(call => call.replace(" nginx openssl logrotate", " …"))).toEqual([
        "apt-get update",
        "apt-get install --simulate …",
        "apt-get install …",
    ]);
    expect(readFileSync(file("packages"), "utf8")).toBe("nginx\n");
});

test.each([
    ["would be installed from Ubuntu 20.04", "", "1:2.0.19-2ubuntu0.2", 1],
    ["would be installed from Debian 11", "", "1:2.1.5-0.2+deb11u1", 0],
    ["is installed, and newer than apt's", "1:2.2.7-1+b2", "1:2.0.19-2", 0],
    ["apt does not know yet", "", "(none)", 0],
])("a host of a pair is refused for an old keepalived alone: one that %s", (_what, installed, candidate, code) => {
    command("apt-cache", `echo "keepalived:"; echo "  Candidate: ${candidate}"`);
    command("dpkg", 'exec /usr/bin/dpkg "$@"');
    command("dpkg-query", installed && `case "$*" in *Version*) echo "${installed}" ;; *) echo installed ;; esac`);
    const ran = host("virtual_ip=192.0.2.20; check_network() { :; }; check_pair");
    expect(ran.code).toBe(code);
    if (code) expect(ran.said).toContain(`expected keepalived 2.1 or later for a virtual IP, found ${candidate}. Install Debian 11`);
});

test("needrestart suspends itself meanwhile, and restarts no foreign service", () => {
    command("apt-get", aptGet('echo "$call: ${NEEDRESTART_SUSPEND:-runs}" >>needrestart'));
    expect(host("install_packages").code).toBe(0);
    const told = readFileSync(file("needrestart"), "utf8").trim().split("\n");
    expect(told).toHaveLength(3);
    expect(told.filter(line => !line.endsWith(": 1"))).toEqual([]);
});

test.each([
    ["dynamic", ["apt-get install libnginx-mod-stream", "apt-mark manual libnginx-mod-stream"]],
    ["built in", []],
])("the module stream that is %s", (kind, calledFor) => {
    command("nginx", `echo "configure arguments: --with-stream${kind === "dynamic" ? "=dynamic" : ""} --with-http_ssl_module" >&2`);
    expect(host("stream=yes; install_packages").code).toBe(0);
    expect(calls().filter(call => /^apt-(get install|mark manual) lib/.test(call))).toEqual(calledFor);
});

test("a lock is said at once with its holder, and waited for", () => {
    const { code, said } = host(`${held(3)} install_packages`);
    expect([code, calls()[0]]).toEqual([0, "apt-get update"]);
    expect(said).toMatch(/^lb1: installing .*\nlb1: waiting for (flock|sleep) \(process \d+\), which holds the lock of dpkg\n$/);
});

test("a lock that apt-get meets is waited for, too", () => {
    command("apt-get", aptGet('[ -e met ] || { touch met; echo "E: Could not get lock /var/lib/dpkg/lock"; exit 100; }'));
    expect(host("install_packages").code).toBe(0);
    expect(calls().slice(0, 2)).toEqual(["apt-get update", "apt-get update"]);
});

test("a lock that is held until the deadline ends the run, with its holder", () => {
    const { code, said } = host(`${held(20)} install_packages`, 31);
    expect([code, calls()]).toEqual([1, []]);
    expect(said).toMatch(
        /packages could not be installed: .* Expected the lock of dpkg within timeoutSeconds \(31\), found it held by \w+ \(process \d+\)\. Run/,
    );
});

test("a failing package source is reported, and the packages are installed", () => {
    command("apt-get", aptGet('[ "$call" != update ] || { echo "E: The repository of others is not signed."; exit 100; }'));
    const { code, said } = host("install_packages");
    expect([code, calls().length]).toEqual([0, 3]);
    expect(said).toContain("lb1: apt-get update failed: E: The repository of others is not signed.\n");
});

test("packages that nobody has end the run, with what apt-get said", () => {
    command("apt-get", aptGet("case $call in *--simulate*) echo 'E: Unable to locate package nginx'; exit 100 ;; esac"));
    const { code, said } = host("install_packages");
    expect(code).toBe(1);
    expect(said).toMatch(
        /could not be installed: nginx .*The end of what apt-get install said: \[RHA packages\]\nE: Unable to locate package nginx\n/,
    );
});

describe("a package in the state", () => {
    const [works, onHost, isNone] = ["installed", "on the host", "none"];

    test.each<[string, string]>([
        ["installed", works],
        ["triggers-pending", works],
        ["triggers-awaited", works],
        ["half-configured", onHost],
        ["unpacked", onHost],
        ["half-installed", onHost],
        ["config-files", isNone],
        ["not-installed", isNone],
    ])("%s is %s", (state, found) => {
        command("dpkg-query", `case $* in *Version*) echo 1.22.1 ;; *) echo ${state} ;; esac`);
        const words = `if installed nginx; then echo ${works}; elif is_on_host nginx; then echo ${onHost}; else echo ${isNone}; fi`;
        expect(host(`${words}; package_version nginx`).stdout).toBe(`${found}\n${found === isNone ? "" : "1.22.1\n"}`);
    });

    test("half-configured is configured by apt-get, and is not noted as new", () => {
        command("dpkg-query", "case $* in *nginx) echo half-configured ;; *) echo installed ;; esac");
        command("apt-get", 'echo "apt-get $*" >>calls; case $* in *--simulate*) echo "Conf nginx (1.22.1 Debian [amd64])" ;; esac');
        expect(host("foreign_nginx() { :; }; install_packages").code).toBe(0);
        expect(calls().pop()).toMatch(/install nginx$/);
        expect(readFileSync(file("packages"), "utf8").trim()).toBe("");
    });

    test("half-configured, of the package nginx, is no foreign NGINX", () => {
        command("dpkg-query", "echo half-configured");
        command("nginx", "true");
        expect(host("check_nginx_package")).toEqual({ code: 0, stdout: "", said: "" });
    });

    test("half-installed after destroy is told as one that could not be removed", () => {
        command("dpkg-query", "echo half-installed");
        command("dpkg", 'echo "dpkg: error processing package nginx (--purge):" >&2; exit 1');
        const { code, said } = host("echo nginx >packages; remove_packages");
        expect([code, said]).toEqual([1, expect.stringMatching(/cannot be removed: dpkg: error processing package nginx/)]);
    });
});

test("destroy names a package that stays, and the first package that needs it", () => {
    command("dpkg-query", "echo installed");
    const needs = ["libssl-extra depends on openssl-extra.", "ca-certificates depends on openssl; however:"];
    const report = [...needs, ...Array(5000).fill("other depends on openssl (>= 1.1.1).")].map(line => ` ${line}\n`).join("");
    writeFileSync(file("report"), report);
    command("dpkg", `cat ${file("report")} >&2; exit 1`);
    expect(host("echo openssl >packages; remove_packages")).toEqual({
        code: 0,
        stdout: "",
        said: "lb1: removing packages\nlb1: the package openssl stays: ca-certificates depends on openssl; however:\n",
    });
});

test("configuration of the package nginx that is missing or changed is named so", () => {
    command("dpkg-query", "echo installed");
    const lines = ["??5?????? c /etc/nginx/nginx.conf", "missing     c /etc/nginx/mime.types", "??5??????   /usr/share/nginx/html"];
    command("dpkg", `[ "$2" != nginx ] || printf '%s\\n' ${lines.map(line => `'${line}'`).join(" ")}`);
    expect(host("foreign_nginx").stdout).toBe("/etc/nginx/nginx.conf (changed)\n/etc/nginx/mime.types (missing)\n");
});

describe("new packages of an apply that failed", () => {
    const withdraw = "echo before >packages; echo nginx >>packages; installed_now=nginx; withdraw_packages";

    test("are removed", () => {
        expect(host(withdraw)).toEqual({ code: 0, stdout: "", said: "" });
        expect([calls(), readFileSync(file("packages"), "utf8")]).toEqual([["dpkg --purge nginx"], "before\n"]);
    });

    test("stay noted when dpkg cannot remove them", () => {
        command("dpkg", "exit 2");
        expect(host(withdraw).said).toBe("lb1: the new packages stay until destroy: nginx\n");
        expect(readFileSync(file("packages"), "utf8")).toBe("before\nnginx\n");
    });
});

test("destroy waits for the lock before it takes anything down", () => {
    const main = readFileSync(join(__dirname, "../../components/loadBalancer/host/main.sh"), "utf8").replace(/\ncase \$1 in[^]*/, "\n");
    const text = `${main}\nlock() { :; }; owner=us; echo us >owner; echo nginx >packages; restore_host() { say restored; }`;
    const waited = host(`${text}; ${held(3)} destroy`);
    expect(waited.said).toMatch(/^lb1: waiting for .* holds the lock of dpkg\nlb1: restored\n$/);
    const refused = host(`${text}; ${held(20)} destroy`, 31);
    expect(refused.said).toMatch(/the packages cannot be removed\. Expected the lock of dpkg .*\. Nothing was changed \[RHA packages\]\n$/);
    expect(refused.said).not.toContain("restored");
});

test.each([
    ["fails", '[ "$1" != reload-or-restart ]', "true"],
    ["is refused", "true", '[ "$1" != -t ]'],
])("destroy reports an NGINX with another configuration when the reload %s", (_what, systemctl, nginx) => {
    command("systemctl", systemctl);
    command("nginx", nginx);
    mkdirSync(file("kept"));
    for (const name of ["enabled", "active"]) writeFileSync(join(file("kept"), name), `${name}\n`);
    expect(host("restore_service nginx kept")).toEqual({
        code: 0,
        stdout: "",
        said: "lb1: nginx does not run with its earlier configuration. Look at nginx -t and journalctl -u nginx\n",
    });
    command("systemctl", "true");
    command("nginx", "true");
    expect(host("restore_service nginx kept").said).toBe("");
});
