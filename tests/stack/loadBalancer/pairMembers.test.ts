import { disposable, testLab } from "../fixtures";
import { Pair } from "./pair";

jest.setTimeout(10 * 60_000);

const { spare } = Pair;
const lab = disposable(testLab());
let pair: Pair;
beforeAll(async () => void (pair = await Pair.start(lab, { hosts: [...Pair.members, spare] })));
afterAll(() => Pair.stop(pair));

test("a pair becomes one host: the virtual IP and keepalived's configuration go", async () => {
    await pair.up(pair.of("lb1", "lb2"));
    // The dropped host is cleaned by its own `destroy`.
    await pair.up(pair.of("lb1"));
    expect(await pair.holders()).toEqual([]);
    await pair.isClean("lb2");
    const keepalived = "systemctl is-active keepalived || true; ls /etc/keepalived/keepalived.conf 2>&1 || true";
    expect(await lab.host("lb1").sh(keepalived)).toMatch(/^inactive\n.*No such file/);
    await pair.up(pair.of("lb1", "lb2"));
    await pair.answers();
});

test("the first of a pair is dropped and clean, and the other one loses no request", async () => {
    await pair.up(pair.of("lb2", spare));
    await pair.losesNoRequest(() => pair.up(pair.of(spare)), lab.host(spare).address);
    await pair.isClean("lb2");
    await pair.expectOwners(spare);
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
