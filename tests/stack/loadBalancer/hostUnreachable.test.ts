import { readFileSync } from "fs";
import { join } from "path";
import { run } from "../../../lab/process";
import { disposable, testLab } from "../fixtures";
import { LoadBalancerHost } from "./loadBalancerHost";
import { hostArgs } from "../../../lab/loadBalancer/runLoadBalancer";
import { LoadBalancerStack } from "./loadBalancerStack";

jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
let lb: LoadBalancerHost;
let stack: LoadBalancerStack;
beforeAll(async () => {
    lb = await LoadBalancerHost.start(lab);
    stack = new LoadBalancerStack(lab, { upstreams: [lb.upstream.address], upstreamPort: lb.upstream.port });
});
afterAll(() => LoadBalancerHost.stop(lb));

async function otherKey(): Promise<{ privateKey: string; publicKey: string }> {
    const file = join(lab.folder, "other");
    await run("sh", ["-c", 'rm -f "$0" "$0.pub"; ssh-keygen -q -t ed25519 -N \'\' -f "$0"', file]);
    return { privateKey: readFileSync(file, "utf8"), publicKey: readFileSync(`${file}.pub`, "utf8").trim() };
}

test.each([
    [
        "no host at the address",
        async () => ({ address: lab.addressAt(29) }),
        /no SSH connection \(.*(No route to host|timed out).*Check address, port, firewall/,
        /no route to host|i\/o timeout/,
    ],
    [
        "no sshd at the port",
        async () => ({ port: 2222 }),
        /:2222: no SSH connection \(.*Connection refused/,
        /:2222: connect: connection refused/,
    ],
    [
        "another host key",
        async () => ({ hostKey: (await otherKey()).publicKey }),
        /shows another host key than the one configured \(expected (SHA256:\S{43}), found (?!\1)SHA256:\S{43}\)/,
        /host key mismatch/,
    ],
    [
        "another SSH key",
        async () => ({ privateKey: (await otherKey()).privateKey }),
        /the host refuses the SSH key/,
        /unable to authenticate/,
    ],
])("%s: the probe says so and does not fail, up fails clearly", async (_what, changes, probed, failed) => {
    const changed = await changes();
    const { state, reason } = await lb.probeOnce(changed);
    expect({ state, reason }).toEqual({ state: "unreachable", reason: expect.stringMatching(/^root@/) });
    expect(reason).toMatch(probed);
    const { code, output } = await stack.tryUp({ ssh: { waitSeconds: 1 }, hosts: [{ ...hostArgs(lab.host("lb2")), ...changed }] });
    expect(code).not.toBe(0);
    expect(output).toMatch(failed);
});
