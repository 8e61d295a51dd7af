import { disposable, testLab } from "../fixtures";
import { echo } from "./client";
import { serving } from "./loadBalancerHost";
import { Pair } from "./pair";

jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
let pair: Pair;
beforeAll(async () => {
    pair = await Pair.start(lab);
    await pair.up();
});
afterAll(() => Pair.stop(pair));

/** Returns the hosts that a run switched to a release, in this order. */
const switched = (output: string) => [...new Set([...output.matchAll(/(lb\d): switching/g)].map(match => match[1]))];

test("one host holds the virtual IP and answers there, and the next preview is empty", async () => {
    expect(await pair.holders()).toHaveLength(1);
    await pair.answers();
    await pair.noChanges();
});

test("a second up reloads nothing", async () => {
    const before = await pair.workers();
    await pair.up();
    expect(await pair.workers()).toEqual(before);
});

test("a change reaches the standby host first, and no request and no WebSocket is lost", async () => {
    const active = await pair.active();
    const sockets = await Promise.all(Array.from({ length: 20 }, () => pair.client.openWebSocket()));
    let output = "";
    await pair.losesNoRequest(async () => ({ output } = await pair.up({ readTimeoutSeconds: 3600 })));
    expect(switched(output)).toEqual([pair.standby(active), active]);
    expect(await pair.holders()).toEqual([active]);
    const answers = await Promise.all(sockets.map((socket, index) => echo(socket, `${index}`)));
    expect(answers).toEqual(sockets.map((_socket, index) => `${index}`));
    sockets.forEach(socket => socket.terminate());
    await pair.up();
});

test("a certificate is replaced on both hosts, and no request and no WebSocket is lost", async () => {
    const renewed = pair.stack.certificate();
    const socket = await pair.client.openWebSocket();
    await pair.losesNoRequest(() => pair.up(serving(renewed)));
    expect(await pair.everywhere("cat /etc/nginx/rancher-ha/fullchain.pem")).toEqual([renewed.certificate, renewed.certificate]);
    expect(await echo(socket, "still there")).toBe("still there");
    socket.terminate();
    await pair.noChanges(serving(renewed));
    await pair.up();
});

test("a change that the first host refuses never reaches the second", async () => {
    const active = await pair.active();
    const before = await Promise.all(Pair.members.map(name => pair.release(name)));
    const { code, output } = await pair.stack.tryUp({ extraDirectives: { server: "no_such_directive on;" } });
    expect(code).not.toBe(0);
    expect(output).toMatch(
        new RegExp(`${pair.standby(active)}: NGINX [\\d.]+ refuses the configuration:[^]*unknown directive "no_such_directive"`),
    );
    expect(output).not.toContain(`${active}: `);
    expect(await Promise.all(Pair.members.map(name => pair.release(name)))).toEqual(before);
    await pair.answers();
    await pair.up();
});

test("an unreachable host is named and left as it is, and catches up later", async () => {
    const active = await pair.active();
    const standby = lab.host(pair.standby(active));
    const before = await Promise.all([active, pair.standby(active)].map(name => pair.release(name)));
    const changes = { readTimeoutSeconds: 3600 };
    await standby.sh("systemctl stop ssh.socket ssh.service 2>/dev/null; true");
    try {
        const { output } = await pair.up(changes);
        expect(output).toContain(`needs attention: ${standby.address} is unreachable: this update leaves it as it is`);
        expect(switched(output)).toEqual([active]);
        const now = await Promise.all([active, pair.standby(active)].map(name => pair.release(name)));
        expect(now.map((release, index) => release === before[index])).toEqual([false, true]);
        await pair.answers();
    } finally {
        await standby.sh("systemctl start ssh.service");
    }
    expect(switched((await pair.up(changes)).output)).toEqual([pair.standby(active)]);
    await pair.noChanges(changes);
    await pair.up();
});
