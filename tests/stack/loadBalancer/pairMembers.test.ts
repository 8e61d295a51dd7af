import { HostName } from "../../../lab/inventory";
import { disposable, testLab } from "../fixtures";
import { stateFolder } from "./loadBalancerHost";
import { Pair } from "./pair";

jest.setTimeout(10 * 60_000);

const { spare } = Pair;
const lab = disposable(testLab());
let pair: Pair;
beforeAll(async () => void (pair = await Pair.start(lab, { hosts: [...Pair.members, spare] })));
afterAll(() => Pair.stop(pair));

/** Expects the resources of the stack, in their order, to own these hosts. */
const areOwners = async (...names: HostName[]) => {
    const owners = await Promise.all(names.map(name => lab.host(name).sh(`cat ${stateFolder}/owner`)));
    expect(owners).toEqual(names.map((name, index) => `lb-host-${index + 1}@${lab.host(name).address}\n`));
};

test("a pair becomes one host: the virtual IP and keepalived's configuration go", async () => {
    await pair.up(pair.of("lb1", "lb2"));
    // The host that is left out is emptied by its own destroy.
    await pair.up(pair.of("lb1"));
    expect(await pair.holders()).toEqual([]);
    await pair.isClean("lb2");
    const keepalived = "systemctl is-active keepalived || true; ls /etc/keepalived/keepalived.conf 2>&1 || true";
    expect(await lab.host("lb1").sh(keepalived)).toMatch(/^inactive\n.*No such file/);
    await pair.up(pair.of("lb1", "lb2"));
    await pair.answers();
});

test("two hosts that swap their places serve on", async () => {
    await pair.up(pair.of("lb1", "lb2"));
    await areOwners("lb1", "lb2");
    await pair.up(pair.of("lb2", "lb1"));
    await areOwners("lb2", "lb1");
    await pair.answers();
    await pair.noChanges(pair.of("lb2", "lb1"));
});

test("one of a pair gets another address: the new one serves, the old one is clean", async () => {
    await pair.up(pair.of("lb2", "lb1"));
    await pair.up(pair.of("lb2", spare));
    await pair.isClean("lb1");
    await areOwners("lb2", spare);
    await pair.answers(lab.host(spare).address);
    await pair.answers();
    await pair.noChanges(pair.of("lb2", spare));
});

test("the first of a pair is dropped: the other one loses no request, the dropped one is clean", async () => {
    await pair.up(pair.of("lb2", spare));
    await pair.losesNoRequest(() => pair.up(pair.of(spare)), lab.host(spare).address);
    await pair.isClean("lb2");
    await areOwners(spare);
    await pair.noChanges(pair.of(spare));
});

test("a host alone gets another address: the old one serves until the new one does", async () => {
    await pair.up(pair.of(spare));
    const { output } = await pair.up(pair.of("lb1"));
    const [serves, removes] = [output.indexOf("lb1: serves release"), output.indexOf(`${spare}: removing packages`)];
    expect(serves).toBeGreaterThan(-1);
    expect(serves).toBeLessThan(removes);
    await pair.answers(lab.host("lb1").address);
    await pair.isClean(spare);
    await pair.noChanges(pair.of("lb1"));
});

test("destroy leaves the hosts as they were", async () => {
    await pair.up(pair.of("lb1", "lb2"));
    await pair.stack.destroy();
    for (const name of [...Pair.members, spare]) await pair.isClean(name);
});
