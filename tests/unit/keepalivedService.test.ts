import { spawnSync } from "child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { releaseFor } from "../../components/loadBalancer/release";
import { realKeepalived } from "../keepalived";
import { settings } from "../nginx";

jest.setTimeout(90_000);

// The script that systemd calls runs with Debian's real keepalived on two hosts, which are network namespaces. The test acts as systemd.
const [own, peer, virtualIp] = ["192.0.2.21", "192.0.2.22", "192.0.2.20"];
let folder: string;
let keepalived: string;
beforeAll(async () => {
    keepalived = await realKeepalived();
    folder = mkdtempSync(join(tmpdir(), "keepalived-service-"));
    mkdirSync(join(folder, "bin"));
    const vrrp = { routerId: 51, advertIntervalSeconds: 0.5, virtualIp };
    const files = [
        releaseFor(settings(), { ...vrrp, address: own, peer, priority: 100 }).files,
        releaseFor(settings(), { ...vrrp, address: peer, peer: own, priority: 150 }).files,
    ];
    files.forEach((file, host) =>
        writeFileSync(
            join(folder, `${host}.conf`),
            file["keepalived.conf"]!.replace(/@(virtual_ip_)?interface@/g, "eth0").replace(/script ".*"/g, 'script "/bin/true"'),
        ),
    );
    executable("rancher-ha-keepalived", files[0]["keepalived-service"]!);
    executable("systemctl", '#!/bin/sh\necho "1 keepalived.service $(cat /run/job) running"\n');
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

function executable(name: string, text: string): void {
    writeFileSync(join(folder, "bin", name), text);
    chmodSync(join(folder, "bin", name), 0o755);
}

/**
 * Shell functions of the test. `start` and `end` do what systemd does. `cards` prints the interfaces of this host that carry the virtual
 * IP, and `peer_has` reports whether the peer carries it. `within N COMMAND` waits up to N s for a command to succeed.
 */
const steps = () => `
within() { local n; for n in $(seq $(($1 * 10))); do ! "\${@:2}" || return 0; sleep 0.1; done; return 1; }
cards() { ip -o -4 address show to ${virtualIp} | awk '{ print $2 }' | paste -sd' '; }
has() { [ "$(cards)" = "$1" ]; }
peer_has() { ip netns exec peer ip -o -4 address show to ${virtualIp} | grep -q .; }
start() { ${keepalived} --dont-fork --log-console -f ${folder}/0.conf >/run/own.log 2>&1 & export MAINPID=$!; rancher-ha-keepalived started; }
end() {
    echo $1 >/run/job; rancher-ha-keepalived stop
    kill $MAINPID 2>/dev/null; wait $MAINPID 2>/dev/null
    rancher-ha-keepalived ended; echo start >/run/job
}
mount -t tmpfs none /run; echo start >/run/job
ip link set lo up; ip netns add peer; ip link add eth0 type veth peer name eth0 netns peer
ip address add ${own}/24 dev eth0; ip link set eth0 up
ip netns exec peer sh -c 'ip address add ${peer}/24 dev eth0; ip link set eth0 up'
start; within 30 has eth0 || echo "this host does not become active"
ip netns exec peer env ${keepalived} --dont-fork --log-console -f ${folder}/1.conf -p /run/peer.pid -r /run/peer-vrrp.pid >/run/peer.log 2>&1 &
within 30 grep -q 'Entering BACKUP STATE' /run/peer.log || echo "the peer does not start"`;

/** Runs a text on a host that is active, and returns what it printed. */
function onActiveHost(text: string): string {
    const { stdout } = spawnSync(
        "unshare",
        ["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-c", `${steps()}\n${text}`],
        {
            encoding: "utf8",
            timeout: 60_000,
            killSignal: "SIGKILL",
            env: { ...process.env, PATH: `${join(folder, "bin")}:${process.env.PATH}` },
        },
    );
    return stdout;
}

test("a restart of the active host leaves the virtual IP there all the time", () => {
    const said = onActiveHost(`
        (while [ ! -e /run/over ]; do cards; done | sort -u >/run/cards) & watcher=$!
        end restart; start; cards; touch /run/over; wait $watcher
        grep -qx '' /run/cards && echo "this host was without the address"
        sleep 3; grep 'Entering MASTER' /run/peer.log; grep -o 'Entering MASTER' /run/own.log`);
    expect(said).toBe("eth0\nEntering MASTER\n");
});

test("after a failed restart, the peer takes the virtual IP before its wait ends", () => {
    expect(onActiveHost(`end restart; cards; rancher-ha-keepalived ended; cards; within 8 peer_has && echo peer`)).toBe("lo\n\npeer\n");
});

test("a stop hands the virtual IP over, and a restart of the standby host leaves it", () => {
    expect(onActiveHost(`end stop; cards; within 8 peer_has && echo peer; start; end restart; start; cards; peer_has && echo peer`)).toBe(
        "\npeer\n\npeer\n",
    );
});
