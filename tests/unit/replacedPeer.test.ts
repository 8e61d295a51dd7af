import { mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { releaseFor } from "../../components/loadBalancer/release";
import { realKeepalived } from "../keepalived";
import { run } from "../../lab/process";
import { hostFunction, settings } from "../nginx";

jest.setTimeout(90_000);

// A pair replaces one of its hosts with Debian's real keepalived. The hosts are network namespaces on one bridge.
const [stays, leaves, comes, virtualIp] = ["192.0.2.22", "192.0.2.21", "192.0.2.23", "192.0.2.20"];
let folder: string;
let keepalived: string;
beforeAll(async () => {
    keepalived = await realKeepalived();
    folder = mkdtempSync(join(tmpdir(), "replaced-peer-"));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

/** Returns keepalived.conf of a host, as the host finishes it. */
function conf(address: string, peer: string, priority: number, earlier = ""): string {
    const text = releaseFor(settings(), { routerId: 51, advertIntervalSeconds: 0.5, virtualIp, address, peer, priority }).files;
    return hostFunction(`peer=${peer}; earlier_peers=${earlier}; for_peers`, text["keepalived.conf"]!)
        .replace(/@(virtual_ip_)?interface@/g, "eth0")
        .replace(/script ".*"/g, 'script "/bin/true"');
}

/** Shell functions of the test: `start HOST CONF`, `reload HOST CONF`, `stop HOST`, and `within N COMMAND`, which waits up to N s. */
const steps = (files: string) => `
within() { local n; for n in $(seq $(($1 * 10))); do ! "\${@:2}" || return 0; sleep 0.1; done; echo "not in time: \${*:2}"; }
start() {
    cp ${files}/$2 /run/$1.conf
    ip netns exec $1 env ${keepalived} --dont-fork --log-console -f /run/$1.conf -p /run/$1.pid -r /run/$1-vrrp.pid >/run/$1.log 2>&1 &
}
reload() { cp ${files}/$2 /run/$1.conf; kill -HUP $(cat /run/$1.pid); sleep 3; }
stop() { kill $(cat /run/$1.pid); within 20 gone $1; }
gone() { [ ! -e /run/$1.pid ]; }
has() { ip netns exec $1 ip -o -4 address show to ${virtualIp} | grep -q .; }
is_backup() { grep -q 'Entering BACKUP STATE' /run/$1.log; }
# Prints how often a host took the virtual IP.
taken() { local host; for host in "$@"; do echo "$host $(grep -c 'Entering MASTER STATE' /run/$host.log)"; done; }
mount -t tmpfs none /run; mkdir /run/netns; ip link add bridge type bridge; ip link set bridge up
for host in stays:${stays} leaves:${leaves} comes:${comes}; do
    name=\${host%:*}; ip netns add $name; ip link add $name type veth peer name eth0 netns $name; ip link set $name master bridge up
    ip netns exec $name sh -c "ip link set lo up; ip address add \${host#*:}/24 dev eth0; ip link set eth0 up"
done`;

/** Runs steps on hosts of their own, and returns the lines of the output. The steps find the files by their names. */
async function onHosts(files: Record<string, string>, text: string): Promise<string[]> {
    const own = mkdtempSync(join(folder, "hosts-"));
    for (const [name, content] of Object.entries(files)) writeFileSync(join(own, name), content);
    const namespaces = ["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"];
    const { stdout } = await run("unshare", [...namespaces, "bash", "-c", `${steps(own)}\n${text}`], {
        tolerate: true,
        timeoutSeconds: 80,
    });
    return stdout.trim().split("\n");
}

const replace = "reload stays changed; stop leaves; start comes new; within 30 is_backup comes; sleep 3; reload stays last";

// The tests wait nearly all the time.
test.concurrent.each([
    [150, 100],
    [100, 150],
])("the standby host is replaced and the virtual IP stays, with priorities %i and %i", async (own, other) => {
    const files = {
        before: conf(stays, leaves, own),
        changed: conf(stays, comes, own, leaves),
        last: conf(stays, comes, own),
        old: conf(leaves, stays, other),
        new: conf(comes, stays, other),
    };
    const begin = "start stays before; within 30 has stays; start leaves old; within 30 is_backup leaves; sleep 3";
    expect(await onHosts(files, `${begin}; ${replace}; taken stays leaves comes`)).toEqual(["stays 1", "leaves 0", "comes 0"]);
});

test.concurrent("the active host is replaced and the virtual IP moves once", async () => {
    const files = {
        before: conf(stays, leaves, 150),
        changed: conf(stays, comes, 150, leaves),
        last: conf(stays, comes, 150),
        old: conf(leaves, stays, 100),
        new: conf(comes, stays, 100),
    };
    const begin = "start leaves old; within 30 has leaves; start stays before; within 30 is_backup stays; sleep 3";
    expect(await onHosts(files, `${begin}; ${replace}; taken leaves stays comes`)).toEqual(["leaves 1", "stays 1", "comes 0"]);
});

test.concurrent("without the earlier peer, the host that leaves would take the virtual IP", async () => {
    const files = { before: conf(stays, leaves, 150), changed: conf(stays, comes, 150), old: conf(leaves, stays, 100) };
    const begin = "start stays before; within 30 has stays; start leaves old; within 30 is_backup leaves; sleep 3";
    expect(await onHosts(files, `${begin}; reload stays changed; within 20 has leaves; taken leaves`)).toEqual(["leaves 1"]);
});
