import { spawnSync } from "child_process";
import { readFileSync } from "fs";
import { join } from "path";
import { keepalivedService, vrrpTable } from "../../components/loadBalancer/keepalivedService";
import { unpackedDebianPackages } from "../../lab/tools";
import { hostFunction } from "../nginx";

const peer = "10.0.0.2";
const vrrp = { routerId: 51, advertIntervalSeconds: 1, address: "10.0.0.1", virtualIp: "10.0.0.9", peer, priority: 150 };

/** Runs a script in its own network. There `nft` is the real one, and `load` runs the unit's command that precedes keepalived. */
async function inNetwork(script: string, unit = keepalivedService(vrrp, "rancher-ha-keepalived")): Promise<string> {
    const libraries = ["libnftables1", "libnftnl11", "libmnl0", "libedit2", "libxtables12", "libjansson4", "libgmp10"];
    const packages = await unpackedDebianPackages(["nftables", ...libraries]);
    const load = /^ExecStartPre=\/usr\/sbin\/(nft '.*')$/m.exec(unit)![1];
    const functions = `nft() { LD_LIBRARY_PATH=${packages}/usr/lib/$(uname -m)-linux-gnu ${packages}/usr/sbin/nft "$@"; }; load() { ${load}; }`;
    const { stdout, stderr } = spawnSync("unshare", ["--net", "sh", "-c", `${functions}; ip link set lo up; ${script}`], {
        encoding: "utf8",
    });
    expect(stderr).toBe("");
    return stdout;
}

/** Returns a command that sends an empty VRRP packet to the host's own address, and prints whether the packet arrives. */
const send = (from: string, ttl: number) => `perl -MSocket -e '
    my ($from, $ttl) = @ARGV;
    socket my $in, PF_INET, SOCK_RAW, 112; socket my $out, PF_INET, SOCK_RAW, 112;
    setsockopt $out, 0, 2, pack "i", $ttl;
    bind $out, sockaddr_in(0, inet_aton($from)); send $out, "x", 0, sockaddr_in(0, inet_aton("${vrrp.address}"));
    vec(my $ready = "", fileno $in, 1) = 1;
    print select($ready, undef, undef, 0.3) ? "arrives\\n" : "dropped\\n";' ${from} ${ttl}`;

test("VRRP is accepted from the peer on the same link only", async () => {
    const packets = [send(peer, 255), send(peer, 64), send("10.0.0.3", 255)].join("; ");
    const addresses = `for a in ${vrrp.address} ${peer} 10.0.0.3; do ip address add $a/24 dev lo; done`;
    const lines = (await inNetwork(`${addresses}; ${packets}; load; load; ${packets}`)).trim().split("\n");
    expect(lines).toEqual(["arrives", "arrives", "arrives", "arrives", "dropped", "dropped"]);
}, 60_000);

test("VRRP is accepted from an earlier peer, too, while the host still has one", async () => {
    const text = keepalivedService(vrrp, "rancher-ha-keepalived");
    const unit = hostFunction(`peer=${peer}; earlier_peers=10.0.0.3; for_peers`, text);
    const addresses = `for a in ${vrrp.address} ${peer} 10.0.0.3 10.0.0.4; do ip address add $a/24 dev lo; done`;
    const packets = [peer, "10.0.0.3", "10.0.0.4"].map(from => send(from, 255)).join("; ");
    expect((await inNetwork(`${addresses}; load; ${packets}`, unit)).trim().split("\n")).toEqual(["arrives", "arrives", "dropped"]);
}, 60_000);

test("the host's program finds the filter and deletes it, more than once", async () => {
    const library = readFileSync(join(__dirname, "../../components/loadBalancer/host/lib.sh"), "utf8");
    const state = "if has_filter; then echo there; else echo missing; fi";
    const program = `vrrp_table=${vrrpTable}\n${library}\n${state}; load; ${state}; delete_filter; ${state}; delete_filter`;
    expect(await inNetwork(program)).toBe("missing\nthere\nmissing\n");
});
