import { disposable, testLab } from "../fixtures";
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

test("one of a pair gets another address: the new one serves, the old one is clean", async () => {
    await pair.up(pair.of("lb2", "lb1"));
    await pair.up(pair.of("lb2", spare));
    await pair.isClean("lb1");
    await pair.expectOwners("lb2", spare);
    await pair.answers(lab.host(spare).address);
    await pair.answers();
    await pair.noChanges(pair.of("lb2", spare));
});

test("destroy leaves the hosts as they were", async () => {
    await pair.up(pair.of("lb1", "lb2"));
    await pair.stack.destroy();
    for (const name of [...Pair.members, spare]) await pair.isClean(name);
});
