import { HostName } from "../../../lab/inventory";
import { until } from "../../../lab/process";
import { disposable, testLab } from "../fixtures";
import { Pair } from "./pair";

jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
let pair: Pair;
beforeAll(async () => {
    pair = await Pair.start(lab);
    await pair.up();
});
afterAll(() => Pair.stop(pair));

const isActive = (name: HostName, unit: string) => until(unit, 240, () => lab.host(name).succeeds(`systemctl is-active ${unit}`));

test.each<[string, (active: HostName) => Promise<unknown>, (active: HostName) => Promise<unknown>]>([
    ["NGINX is killed", name => lab.host(name).sh("kill -9 $(cat /run/nginx.pid)"), name => isActive(name, "nginx")],
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

test("keepalived is killed: it comes back by itself, with one host that is active", async () => {
    const active = await pair.active();
    await lab.host(active).sh("systemctl kill --signal=KILL keepalived");
    await isActive(active, "keepalived");
    await pair.active();
    await pair.answers();
    await pair.noChanges();
});

test("hosts that do not hear each other both hold the address, and a preview says so", async () => {
    const cut = (how: string) => pair.everywhere(`for chain in INPUT OUTPUT; do iptables ${how} $chain -p vrrp -j DROP; done`);
    await cut("-I");
    try {
        await until("both hosts hold the virtual IP", 240, async () => (await pair.holders()).length === 2);
        await pair.answers();
        const { code, output } = await pair.stack.preview();
        expect(code).toBe(0);
        expect(output).toMatch(/both [\d.]+ and [\d.]+ hold the virtual IP [\d.]+: they do not hear each other/);
    } finally {
        await cut("-D");
    }
    await pair.active();
    await pair.noChanges();
});
