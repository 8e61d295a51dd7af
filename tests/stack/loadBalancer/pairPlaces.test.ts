import { HostName } from "../../../lab/inventory";
import { disposable, testLab } from "../fixtures";
import { echo } from "./client";
import { Pair } from "./pair";

jest.setTimeout(10 * 60_000);

const { spare } = Pair;
const lab = disposable(testLab());
let pair: Pair;
beforeAll(async () => void (pair = await Pair.start(lab, { hosts: [...Pair.members, spare] })));
afterAll(() => Pair.stop(pair));

test("two hosts that swap their places serve on", async () => {
    await pair.up(pair.of("lb1", "lb2"));
    await pair.expectOwners("lb1", "lb2");
    await pair.up(pair.of("lb2", "lb1"));
    await pair.expectOwners("lb2", "lb1");
    await pair.answers();
    await pair.noChanges(pair.of("lb2", "lb1"));
});

test("a new host that is unreachable is refused, and the pair is as it was", async () => {
    await pair.up(pair.of("lb2", "lb1"));
    const before = await Promise.all(Pair.members.map(name => pair.release(name)));
    await lab.host(spare).sh("systemctl stop ssh.socket ssh.service 2>/dev/null; true");
    try {
        const { code, output } = await pair.stack.tryUp(pair.of("lb2", spare));
        expect(code).not.toBe(0);
        const [replaced, found] = [lab.host("lb1"), lab.host(spare)].map(({ address }) => address);
        expect(output.replace(/\n\s+/g, " ")).toContain(
            `hosts[1].address: expected a host that answers, because it would replace ${replaced}, found ${found}`,
        );
        expect(await Promise.all(Pair.members.map(name => pair.release(name)))).toEqual(before);
        expect(await pair.holders()).toHaveLength(1);
    } finally {
        await lab.host(spare).sh("systemctl start ssh.service");
    }
});

test("the standby is replaced: no request, no WebSocket is lost, the old one is clean", async () => {
    await pair.up(pair.of("lb2", "lb1"));
    const active = await pair.active();
    const standby = pair.standby(active);
    const hosts: HostName[] = active === "lb2" ? ["lb2", spare] : [spare, "lb1"];
    const socket = await pair.client.openWebSocket();
    await pair.losesNoRequest(() => pair.up(pair.of(...hosts)));
    expect(await pair.holders()).toEqual([active]);
    expect(await echo(socket, "still there")).toBe("still there");
    await pair.isClean(standby);
    await pair.expectOwners(...hosts);
    await pair.answers(lab.host(spare).address);
    await pair.answers();
    await pair.noChanges(pair.of(...hosts));
    // The next change ends the part of the old host as a peer.
    const peers = () => lab.host(active).sh("sed -n '/unicast_peer {/,/}/p' /etc/keepalived/keepalived.conf");
    expect(await peers()).toContain(lab.host(standby).address);
    await pair.up({ ...pair.of(...hosts), readTimeoutSeconds: 3600 });
    expect(await peers()).not.toContain(lab.host(standby).address);
    expect(await pair.holders()).toEqual([active]);
    expect(await echo(socket, "still there")).toBe("still there");
    socket.terminate();
});

test("destroy leaves the hosts as they were", async () => {
    await pair.up(pair.of("lb1", "lb2"));
    await pair.stack.destroy();
    for (const name of [...Pair.members, spare]) await pair.isClean(name);
});
