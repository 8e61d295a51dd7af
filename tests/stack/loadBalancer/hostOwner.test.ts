import { disposable, testLab } from "../fixtures";
import { LoadBalancerHost, stateFolder } from "./loadBalancerHost";

// A host belongs to one load balancer of one stack. Another load balancer gets the host only with `takeOver`.
jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
let lb: LoadBalancerHost;
let staging: string;
beforeAll(async () => {
    lb = await LoadBalancerHost.start(lab);
    staging = lb.owner.replace("/production/", "/staging/");
    await lb.apply();
});
afterAll(() => LoadBalancerHost.stop(lb));

const ofStaging = (changes = {}) => lb.program(changes).replace(/^owner=.*$/m, `owner='${staging}'`);

test("another stack is refused by preview and apply, and its destroy keeps the host", async () => {
    const words = `lb2: expected a host of no other load balancer, found that of ${lb.owner}.`;
    expect(await lb.probe(staging)).toContain(`refused: ${words}`);
    await lb.refuses(ofStaging(), new RegExp(words.replace(/[.]/g, "\\.")));
    expect((await lb.run("destroy", ofStaging())).said).toContain(`kept: this host belongs to ${lb.owner} now`);
    expect(await lb.probe()).toBe("in sync");
    await lb.served();
});

test("after a takeover, the earlier stack is refused, and its destroy keeps the host", async () => {
    const { said } = await lb.apply(ofStaging({ takeOver: true }));
    expect(said).toContain(`taking the host over from ${lb.owner}`);
    expect(await lb.probe(staging)).toBe("in sync");
    expect(await lb.probe()).toContain(`refused: lb2: expected a host of no other load balancer, found that of ${staging}.`);
    expect((await lb.run("destroy", lb.program())).said).toContain(`kept: this host belongs to ${staging} now`);
    await lb.served();
    await lb.apply({ takeOver: true });
});

test("another resource of the same load balancer may own it, so hosts can swap places", async () => {
    await lb.apply(lb.program().replace("/lb-host-1@", "/lb-host-2@"));
    expect(await lb.sh(`cat ${stateFolder}/owner`)).toContain("/lb-host-2@");
    await lb.apply();
});

test("an owner that an earlier version noted, without its stack, is noted anew", async () => {
    const noted = (resource: string) => lb.sh(`echo '${resource}@${lb.host.address}' >${stateFolder}/owner`);
    await noted("lb-host-1");
    expect(await lb.probe()).toBe("in sync");
    await lb.apply();
    expect(await lb.sh(`cat ${stateFolder}/owner`)).toBe(`${lb.owner}\n`);
    await noted("other-host-1");
    await lb.refuses({}, /found that of other-host-1@/);
    await lb.apply({ takeOver: true });
});
