import { spawnSync } from "child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { withHostFunctions } from "../../lab/loadBalancer/hostFunctions";
import { unpackedDebianPackages } from "../../lab/tools";

jest.setTimeout(90_000);

// The host's program checks the files of Debian's real NGINX, which runs in its own namespaces.
let folder: string;
beforeAll(async () => {
    const packages = await unpackedDebianPackages(["nginx", "nginx-common"]);
    folder = mkdtempSync(join(tmpdir(), "drift-"));
    mkdirSync(join(folder, "bin"));
    executable("nginx", `exec ${packages}/usr/sbin/nginx -c ${folder}/nginx.conf "$@"`);
    // In /run/states, a test gives the next states of NGINX. The last one stays.
    executable(
        "systemctl",
        `[ "$1" != is-enabled ] || { echo enabled; exit; }
         [ ! -s /run/states ] || head -n1 /run/states; [ "$(wc -l </run/states)" -lt 2 ] || sed -i 1d /run/states; exit $(cat /run/inactive)`,
    );
    writeFileSync(
        join(folder, "nginx.conf"),
        `pid /run/nginx.pid; error_log /var/log/nginx/error.log; events {}
         http { access_log /var/log/nginx/access.log; server { listen 127.0.0.1:80; } include ${folder}/extra.conf; }`,
    );
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

function executable(name: string, text: string): void {
    writeFileSync(join(folder, "bin", name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, "bin", name), 0o755);
}

/** Shell functions of the test. `files` prints all files that NGINX may write, with owner, size and time. */
const steps = () => `
for place in /run /var/log /var/lib; do mount -t tmpfs none $place; done; mkdir /var/log/nginx /var/lib/nginx
files() { find /run /var/log /var/lib -printf '%p %u %s %T@\\n' | sort; }
check() { value valid:conf yes; }
ip link set lo up; echo 0 >/run/inactive; touch /run/states ${folder}/extra.conf; nginx
until [ -s /run/nginx.pid ]; do sleep 0.1; done`;

/** Runs a text with the host's functions beside an NGINX that runs. */
function host(text: string): string {
    const { stdout, stderr } = spawnSync(
        "unshare",
        ["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", `${withHostFunctions(steps())}\n${text}`],
        {
            encoding: "utf8",
            timeout: 60_000,
            killSignal: "SIGKILL",
            env: { ...process.env, PATH: `${join(folder, "bin")}:${process.env.PATH}` },
        },
    );
    expect(stderr).toBe("");
    return stdout;
}

test("files with which NGINX would not start again are seen, by a check without traces", () => {
    expect(host(`check; rm ${folder}/extra.conf; check; touch ${folder}/extra.conf; check`)).toBe("yes\nno\nyes\n");
    expect(host('before=$(files); check; [ "$(files)" = "$before" ] && echo same')).toBe("yes\nsame\n");
});

test.each([
    // NGINX loses a signal between its PID file and its first wait for signals.
    ["NGINX does not run", "echo 1 >/run/inactive; while kill $(cat /run/nginx.pid 2>/dev/null) 2>/dev/null; do sleep 0.1; done"],
    ["a log is missing", "rm /var/log/nginx/access.log"],
])("the check does not run, and creates no file, while %s", (_what, text) =>
    expect(host(`${text}; rm ${folder}/extra.conf; before=$(files); check; [ "$(files)" = "$before" ] && echo same`)).toBe("yes\nsame\n"),
);

test("a difference is told in words that hold no part of the configuration", () =>
    expect(host("describe valid:/etc/nginx/nginx.conf yes no")).toBe(
        "NGINX would not start again with the files on this host: see nginx -t\n",
    ));

test("a check that does not end is no difference", () => {
    const text = `timeout() { command timeout 1 sh -c "sleep 5"; }; check`;
    expect(host(text)).toBe("yes\n");
});

describe("a unit of systemd", () => {
    /** Compares the host with a record in which NGINX is active, while systemd reports these states one after another. */
    const differencesIn = (...states: string[]) =>
        host(`places=; current=/run/current; state=/run; echo "unit:nginx.service enabled active" >/run/manifest
            printf '%s\\n' ${states.join(" ")} >/run/states; sleep() { :; }; differences`);

    test("that reloads or restarts right now is no difference", () => {
        expect(differencesIn("reloading", "active")).toBe("");
        expect(differencesIn("deactivating", "activating", "active")).toBe("");
    });

    test("is recorded as it is after a reload that began during the record", () =>
        expect(
            host(`printf '%s\\n' reloading reloading active >/run/states; sleep() { :; }; keys() { echo unit:nginx.service; }; manifest`),
        ).toBe("unit:nginx.service enabled active\n"));

    test("that does not come to rest is one", () =>
        expect(differencesIn("activating")).toBe("nginx.service: activating, expected active\n"));
});
