import { HostName } from "../../../lab/inventory";
import { until } from "../../../lab/process";
import { disposable, installAnew, testLab } from "../fixtures";
import { echo } from "./client";
import { Pair } from "./pair";

jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
let pair: Pair;
beforeAll(async () => {
    pair = await Pair.start(lab);
    await pair.up();
});
afterAll(() => Pair.stop(pair));

const becomesActive = (name: HostName, unit: string) => until(unit, 240, () => lab.host(name).isActive(unit));

test.each<[string, (active: HostName) => Promise<unknown>, (active: HostName) => Promise<unknown>]>([
    ["NGINX is killed", name => lab.host(name).sh("kill -9 $(cat /run/nginx.pid)"), name => becomesActive(name, "nginx")],
    [
        "NGINX hangs",
        name => lab.host(name).sh("kill -STOP $(pgrep -P $(cat /run/nginx.pid))"),
        name => lab.host(name).sh("kill -CONT $(pgrep -P $(cat /run/nginx.pid))"),
    ],
    ["the link is lost", name => lab.host(name).setLink("down"), name => lab.host(name).setLink("up")],
])("%s: the standby host takes the virtual IP, and keeps it after that", async (_what, harm, mend) => {
    const active = await pair.active();
    const standby = pair.standby(active);
    await harm(active);
    await until("the standby host to take the virtual IP", 240, async () => (await pair.holders()).includes(standby));
    await pair.answers();
    await mend(active);
    expect(await pair.active()).toBe(standby);
    await pair.answers();
    await pair.noChanges();
});

test("NGINX of the active host restarts: no request is lost, and the virtual IP stays", async () => {
    const active = await pair.active();
    await pair.losesNoRequest(() => lab.host(active).sh("systemctl restart nginx"));
    expect(await pair.holders()).toEqual([active]);
    await pair.noChanges();
});

test("keepalived restarts: no request or WebSocket is lost, and the virtual IP stays", async () => {
    const active = await pair.active();
    const socket = await pair.client.openWebSocket();
    await pair.losesNoRequest(async () => {
        await lab.host(active).sh("systemctl restart keepalived");
        await lab.host(pair.standby(active)).sh("systemctl restart keepalived");
    });
    expect(await pair.holders()).toEqual([active]);
    expect(await lab.host(active).sh("ip -o -4 address show dev lo")).not.toContain(pair.virtualIp);
    expect(await echo(socket, "still there")).toBe("still there");
    socket.terminate();
    await pair.noChanges();
});

test("apt installs NGINX and keepalived anew on the active host: no request is lost", async () => {
    const active = await pair.active();
    await pair.losesNoRequest(() => lab.host(active).sh(installAnew("nginx", "nginx-common", "keepalived")));
    await pair.noChanges();
});

test("keepalived is killed: it comes back by itself, with one host that is active", async () => {
    const active = await pair.active();
    await lab.host(active).sh("systemctl kill --signal=KILL keepalived");
    await becomesActive(active, "keepalived");
    await pair.active();
    await pair.answers();
    await pair.noChanges();
});

test("the virtual IP moves to a host that reaches a node, and stays when none does", async () => {
    const active = await pair.active();
    const standby = pair.standby(active);
    const check = async (name: HostName) => lab.host(name).succeeds("setpriv --reuid nobody rancher-ha-reaches-a-node");
    await pair.nodes(active, "cut");
    await until("the standby host to take the virtual IP", 240, async () => (await pair.holders()).join() === standby);
    await pair.answers();
    await pair.nodes(standby, "cut");
    expect(await Promise.all([check(active), check(standby)])).toEqual([true, true]);
    await pair.nodes(active, "free");
    expect(await Promise.all([check(active), check(standby)])).toEqual([true, false]);
    await pair.nodes(standby, "free");
    await pair.active();
    await pair.answers();
    await pair.noChanges();
});
