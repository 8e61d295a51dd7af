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
