import { ChildProcess } from "child_process";
import { until } from "../../../lab/process";
import { disposable, testLab } from "../fixtures";
import { hostname, LoadBalancerHost, serving, stateFolder } from "./loadBalancerHost";

jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
let lb: LoadBalancerHost;
beforeAll(async () => {
    lb = await LoadBalancerHost.start(lab);
    await lb.apply();
});
afterAll(() => LoadBalancerHost.stop(lb));

test("the lab waits for every unit that a test names, not for one of them", async () => {
    expect(await lb.host.isActive("ssh", "nginx")).toBe(true);
    await lb.sh("systemctl stop rancher-ha-logs.timer");
    expect(await lb.host.isActive("ssh", "rancher-ha-logs.timer")).toBe(false);
    await lb.sh("systemctl start rancher-ha-logs.timer");
});

test.each([
    ["the SSH connection is lost", async (client: ChildProcess) => client.kill("SIGKILL")],
    ["the run on the host is killed", () => lb.kill()],
])("%s in the middle of a switch: it serves on, the next apply converges", async (_what, end) => {
    const first = await lb.apply();
    const renewed = lb.certificate();
    await lb.interrupted("apply", lb.program(serving(renewed)), "switching to release", end);
    expect((await lb.ask()).status).toBe(200);
    await lb.apply(serving(renewed));
    await lb.served(renewed);
    expect(await lb.probe()).toBe("in sync");
    expect(await lb.sh("find /etc/nginx /var/lib/pulumi-rancher-ha -name '*.new' -o -name new")).toBe("");
    expect((await lb.apply()).stdout).toBe(first.stdout);
});

test("the next run rolls back a faulty release that a killed run never verified", async () => {
    const ping = `curl -sk -o /dev/null -w '%{http_code}' --resolve ${hostname}:443:127.0.0.1 https://${hostname}/ping`;
    await lb.killed("apply", lb.program({ upstreamPort: 9 }), "switching", `[ "$(${ping})" = 502 ]`);
    expect((await lb.ask()).status).toBe(502);
    expect(await lb.run("apply", lb.program({ upstreamPort: 9 }))).toMatchObject({
        code: 1,
        said: expect.stringMatching(/as the previous release gave \(200\), found 502[^]*the host was rolled back to the previous release/),
    });
    const only = 'test "$(pgrep --count --parent "$(cat /run/nginx.pid)")" = "$(nproc)"';
    const isServed = async () => (await lb.ask()).status === 200;
    await until("only workers of the previous release", 60, async () => (await isServed()) && lb.host.succeeds(only));
    await lb.served();
    expect(await lb.probe()).toBe("in sync");
});

test.each([
    ["before the new files are on the disk", '{ sync -f "$next"'],
    ["between the files and the link", 'point "$current" "$to"'],
    ["before the reload", 'problem=$(activate "$previous" "$next")'],
    ["before the release is noted", 'manifest | write "$state/manifest.next"'],
])("power is lost %s: it serves after it, the next apply converges", async (_when, step) => {
    const noted = () => lb.sh(`sha256sum ${stateFolder}/manifest`);
    const before = await noted();
    const text = lb.program({ readTimeoutSeconds: 2000 });
    expect(text.split(step)).toHaveLength(2);
    let lost: Promise<unknown> | undefined;
    const ran = await lb.run("apply", text.replace(step, `{ echo here >&2; sleep 600; }; ${step}`), line => {
        if (line === "here") lost = lb.host.kill();
    });
    expect(lost).toBeDefined();
    expect(ran).toMatchObject({ code: 255, stdout: "" });
    await lost;
    await lb.host.revive();
    await until("the host", 240, () => lb.host.isActive("ssh", "nginx"));
    expect(await noted()).toBe(before);
    await lb.served();
    await lb.apply({ readTimeoutSeconds: 2000 });
    expect(await lb.probe()).toBe("in sync");
    await lb.apply();
});
