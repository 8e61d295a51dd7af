import { ChildProcess } from "child_process";
import { disposable, listener, noListener, testLab } from "../fixtures";
import { LoadBalancerHost } from "./loadBalancerHost";

jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
let lb: LoadBalancerHost;
beforeAll(async () => void (lb = await LoadBalancerHost.start(lab)));
afterAll(() => LoadBalancerHost.stop(lb));

const invalid = () => lb.program().replace("least_conn;", "least_con;");

describe("a first apply that fails leaves the host as it was", () => {
    test("package sources that do not answer", () =>
        lb.broken(
            "echo 'deb http://127.0.0.1:9/debian bookworm main' >/run/sources; mount --bind /run/sources /etc/apt/sources.list",
            "umount /etc/apt/sources.list",
            () => lb.refuses({}, /packages could not be installed: nginx[^]*127\.0\.0\.1[^]*Check its package sources and network/),
        ));

    test("a configuration that the new NGINX refuses, and destroy has nothing to do", async () => {
        await lb.refuses(invalid(), /NGINX [\d.]+ refuses the configuration:[^]*unknown directive "least_con" in nginx\.conf:\d+/);
        expect((await lb.destroy()).said).toBe("lb2: nothing to remove\n");
        expect(await lb.state()).toBe(lb.pristine);
    });

    test("a port of the configuration is taken", () =>
        lb.broken(listener(280), noListener, () =>
            lb.refuses({}, /nginx\.service does not start: [^]*127\.0\.0\.1:280 failed[^]*the host was restored as it was/),
        ));
});

test("nodes that do not answer yet do not fail a first apply", async () => {
    await lb.apply({ upstreamPort: 9 });
    expect((await lb.ask()).status).toBe(502);
    await lb.destroy();
    expect(await lb.state()).toBe(lb.pristine);
});

/** Waits until dpkg has begun to install NGINX. */
const halfInstalled = "for n in $(seq 6000); do [ ! -e /var/lib/dpkg/info/nginx-common.list ] || exit 0; sleep 0.05; done; exit 1";

test.each([
    ["the SSH connection is lost", async (client: ChildProcess) => void client.kill("SIGKILL")],
    ["the run on the host is killed", async () => void (await lb.kill())],
])("%s while NGINX is installed: the next apply converges", async (_what, end) => {
    await lb.interrupted("apply", lb.program(), "installing nginx", client => lb.sh(halfInstalled).then(() => end(client)));
    await lb.apply();
    expect(await lb.probe()).toBe("in sync");
    await lb.served();
    await lb.destroy();
    expect(await lb.state()).toBe(lb.pristine);
});

test("no private key is said by apply, a failed apply, probe and destroy", async () => {
    await lb.run("apply", invalid());
    await lb.apply();
    await lb.probe();
    await lb.destroy();
    expect(lb.saidNoKey()).toBeGreaterThan(2);
});
