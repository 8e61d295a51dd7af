import { HostName } from "../../../lab/inventory";
import { hostArgs } from "../../../lab/loadBalancer/runLoadBalancer";
import { until } from "../../../lab/process";
import { disposable, testLab } from "../fixtures";
import { Pair } from "./pair";

// The hosts of this pair have two network cards. SSH and VRRP use one, and users reach the virtual IP through the other.
jest.setTimeout(10 * 60_000);

const address = "10.99.0.100";
const lab = disposable(testLab());
let pair: Pair;
beforeAll(async () => {
    pair = await Pair.start(lab, { args: { virtualIp: { address, advertIntervalSeconds: 1 } } });
    for (const [index, name] of Pair.members.entries())
        await lab.host(name).sh(`ip link add link eth0 name service type macvlan mode bridge
            ip address add 10.99.0.${index + 1}/24 dev service && ip link set service up`);
    await pair.up();
});
afterAll(() => Pair.stop(pair));

/** Waits until one host holds the virtual IP, and returns the host and the card. */
async function holder(): Promise<{ name: HostName; card: string }> {
    let found: { name: HostName; card: string }[] = [];
    await until("one host that holds the virtual IP", 240, async () => {
        const cards = await pair.everywhere(`ip -o -4 address show to ${address} | awk '{ print $2 }'`);
        found = Pair.members.map((name, index) => ({ name, card: cards[index].trim() })).filter(({ card }) => card !== "");
        return found.length === 1;
    });
    return found[0];
}

test("the card in the virtual IP's network carries it, and moves it when it fails", async () => {
    const { name: active, card } = await holder();
    expect(card).toBe("service");
    expect(await lab.host(active).sh("cat /etc/keepalived/keepalived.conf")).toMatch(/ interface eth0\n/);
    const standby = pair.standby(active);
    await lab.host(active).sh("ip link set service down");
    try {
        await until("the standby host to take the virtual IP", 240, async () => (await holder()).name === standby);
        expect((await holder()).card).toBe("service");
    } finally {
        await lab.host(active).sh("ip link set service up");
    }
    await pair.noChanges();
});

test("VRRP uses the card of internalAddress", async () => {
    const hosts = Pair.members.map((name, index) => ({ ...hostArgs(lab.host(name)), internalAddress: `10.99.0.${index + 1}` }));
    await pair.up({ hosts });
    expect((await holder()).card).toBe("service");
    const conf = await lab.host("lb1").sh("cat /etc/keepalived/keepalived.conf");
    expect(conf).toMatch(/ interface service\n[^]* unicast_src_ip 10\.99\.0\.1\s+unicast_peer {\s+10\.99\.0\.2\s/);
    await pair.noChanges({ hosts });
    await pair.up();
});

test.each([
    [
        "in no network of a host",
        "10.98.0.100",
        /expected the virtual IP 10\.98\.0\.100 in a network of this host, found .*service 10\.99\.0\.\d\/24/,
    ],
    [
        "the address of the network",
        "10.99.0.0",
        /found 10\.99\.0\.0, which is the network 10\.99\.0\.0\/24 itself or its broadcast address/,
    ],
    ["the broadcast address", "10.99.0.255", /found 10\.99\.0\.255, which is the network 10\.99\.0\.0\/24 itself/],
    ["of the host itself", "127.0.0.9", /virtualIp\.address: expected the address of a host/],
])("a preview for a pair that serves refuses a virtual IP %s", async (_what, other, words) => {
    const { code, output } = await pair.stack.preview({ virtualIp: { address: other, advertIntervalSeconds: 1 } });
    expect(code).not.toBe(0);
    expect(output.replace(/\n\s+/g, " ")).toMatch(words);
});

test("a preview refuses a virtual IP that another machine has", async () => {
    const other = lab.host("lb4");
    await lab.startAnew("lb4");
    await other.sh(
        "ip link add link eth0 name service type macvlan mode bridge; ip address add 10.99.0.60/24 dev service; ip link set service up",
    );
    const { code, output } = await pair.stack.preview({ virtualIp: { address: "10.99.0.60", advertIntervalSeconds: 1 } });
    expect(code).not.toBe(0);
    expect(output.replace(/\n\s+/g, " ")).toMatch(/virtualIp\.address: expected an address that nothing else uses, found 10\.99\.0\.60/);
});
