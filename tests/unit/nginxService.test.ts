import { spawnSync } from "child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { releaseFor } from "../../components/loadBalancer/release";
import { unpackedDebianPackages } from "../../lab/tools";
import { settings } from "../nginx";

jest.setTimeout(90_000);

// The script that systemd calls runs with Debian's real NGINX in its own namespaces. The test acts as systemd.
let folder: string;
let packages: string;
beforeAll(async () => {
    packages = await unpackedDebianPackages(["nginx", "nginx-common"]);
    folder = mkdtempSync(join(tmpdir(), "nginx-service-"));
    mkdirSync(join(folder, "bin"));
    // NGINX starts its successor by the path that it was started with.
    const text = releaseFor(settings()).files["nginx-service"]!.replace(
        "/usr/sbin/nginx ",
        `${packages}/usr/sbin/nginx -c ${folder}/nginx.conf `,
    );
    executable("rancher-ha-nginx", text);
    executable("in-pair", text.replace("down_file=''", "down_file=/run/down"));
    // The script looks for the unit in /proc/PID/cgroup. In these namespaces every process belongs to the unit.
    executable("grep", "#!/bin/sh\n");
    executable("systemctl", '#!/bin/sh\necho "1 nginx.service $(cat /run/job) running"\n');
    writeFileSync(
        join(folder, "nginx.conf"),
        `pid /run/nginx.pid; worker_processes 1; events {}
         http { access_log off; server { listen 127.0.0.1:80;
             location / { return 200 "$pid\\n"; } location /slow { proxy_pass http://127.0.0.1:81; } } }`,
    );
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

function executable(name: string, text: string): void {
    writeFileSync(join(folder, "bin", name), text);
    chmodSync(join(folder, "bin", name), 0o755);
}

/**
 * Shell functions of the test. `ask` prints the process that answers, and `restart` does what systemd does. `running` prints the number of
 * processes of NGINX, and `becomes` waits for a number first.
 */
const steps = `
ask() { exec 3<>/dev/tcp/127.0.0.1/80 && printf 'GET %s HTTP/1.0\\r\\n\\r\\n' "\${1:-/}" >&3 && tail -n 1 <&3; }
main() { cat /run/nginx.pid; }
restart() {
    echo restart >/run/job
    before=$(main); export SERVICE_RESULT=success
    rancher-ha-nginx stop
    # systemd stops the old process, and the one that the file of the process ID names.
    for process in $before $(main 2>/dev/null); do ! kill -0 $process 2>/dev/null || kill -TERM $process; done; sleep 0.2
    rancher-ha-nginx ended; rm -f /run/nginx.pid
    rancher-ha-nginx start
}
running() { pgrep -c -x nginx; }
becomes() { for n in $(seq 100); do [ "$(running)" != $1 ] || break; sleep 0.1; done; running; }
echo start >/run/job; rancher-ha-nginx start; becomes 2 >/dev/null`;

/** Runs a text with NGINX running, and returns what it printed. */
function inNamespaces(text: string, service = "rancher-ha-nginx"): string {
    const places = "for place in /var/log /var/lib /run; do mount -t tmpfs none $place; done; mkdir /var/log/nginx /var/lib/nginx";
    const program = `${places}; ip link set lo up; ${steps}\n${text}`.replaceAll("rancher-ha-nginx", service);
    const { stdout } = spawnSync(
        "unshare",
        ["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-c", program],
        {
            encoding: "utf8",
            timeout: 60_000,
            // unshare ignores SIGTERM while it waits for its child.
            killSignal: "SIGKILL",
            env: { ...process.env, PATH: `${join(folder, "bin")}:${process.env.PATH}` },
        },
    );
    return stdout;
}

test("a restart refuses no client, answers the open requests, and ends the old process", () => {
    const said = inNamespaces(`
        perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalPort => 81, Listen => 5, ReuseAddr => 1); $c = $s->accept;
            1 while <$c> =~ m{\\S}; sleep 2; print $c "HTTP/1.0 200 OK\\r\\n\\r\\nslow\\n"' &
        until /bin/grep -q :0051 /proc/net/tcp; do sleep 0.1; done
        (ask /slow >/run/slow) & sleep 1
        old=$(main)
        (while [ ! -e /run/over ]; do ask >/dev/null || echo refused; done) &
        restart; touch /run/over
        [ "$(main)" = $old ] && echo same
        ask | sed 's/[0-9][0-9]*/answered/'
        kill -0 $old 2>/dev/null && echo "the old process runs"
        cat /run/slow; becomes 2`);
    expect(said).toBe("answered\nslow\n2\n");
});

test("a restart refuses no client while the process before an upgrade has one", () => {
    const said = inNamespaces(`
        perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalPort => 81, Listen => 5, ReuseAddr => 1); $c = $s->accept; sleep 50' &
        until /bin/grep -q :0051 /proc/net/tcp; do sleep 0.1; done
        (ask /slow >/dev/null) & sleep 1
        first=$(main); kill -USR2 $first; becomes 4; kill -QUIT $first; becomes 4
        (while [ ! -e /run/over ]; do ask >/dev/null || echo refused; done) &
        restart; touch /run/over
        kill -0 $first 2>/dev/null && echo "the first process runs"
        ask | sed 's/[0-9][0-9]*/answered/'; becomes 2`);
    expect(said).toBe("4\n4\nanswered\n2\n");
});

test("restarts can follow each other", () => {
    expect(inNamespaces("restart; restart; ask | sed 's/[0-9][0-9]*/answered/'; becomes 2")).toBe("answered\n2\n");
});

test("a stop ends every process, also after an upgrade that systemd does not know of", () => {
    const said = inNamespaces(`kill -USR2 $(main); becomes 4; echo stop >/run/job; rancher-ha-nginx stop; becomes 0`);
    expect(said).toBe("4\n0\n");
});

test("a restart with a configuration that is refused is a stop and a start", () => {
    const said = inNamespaces(`cp ${folder}/nginx.conf /run/; sed -i 's/server {/sever {/' ${folder}/nginx.conf
        restart 2>/dev/null; becomes 0; cp /run/nginx.conf ${folder}/; rancher-ha-nginx start; becomes 2`);
    expect(said).toBe("0\n2\n");
});

test("a start ends the workers of a killed main process, which hold its ports", () => {
    const said = inNamespaces(`kill -9 $(main); becomes 1; SERVICE_RESULT=signal rancher-ha-nginx ended; becomes 0
        rancher-ha-nginx start; becomes 2`);
    expect(said).toBe("1\n0\n2\n");
});

test("NGINX starts although keepalived's file cannot be written", () => {
    const said = inNamespaces(
        "rm -rf /run/down; mkdir /run/down; rancher-ha-nginx stop; becomes 0 >/dev/null; rancher-ha-nginx start; becomes 2",
        "in-pair",
    );
    expect(said).toBe("2\n");
});

test("keepalived hears of a stop before NGINX ends, and of no restart", () => {
    const said = inNamespaces(
        `cat /run/down; restart; cat /run/down; becomes 2 >/dev/null
        (until [ "$(cat /run/down)" = 1 ]; do sleep 0.02; done; running) &
        echo stop >/run/job; rancher-ha-nginx stop; wait $!; becomes 0`,
        "in-pair",
    );
    expect(said).toBe("0\n0\n2\n0\n");
});
