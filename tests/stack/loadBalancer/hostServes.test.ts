import { once } from "events";
import { get } from "http";
import { connect as connectHttp2 } from "http2";
import { connect as connectTls } from "tls";
import { blocksOf, pageText, sectionOf } from "../../pages";
import { disposable, installAnew, testLab } from "../fixtures";
import { echo } from "./client";
import { hostname, LoadBalancerHost, serving, stateFolder } from "./loadBalancerHost";

jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
let lb: LoadBalancerHost;
beforeAll(async () => {
    lb = await LoadBalancerHost.start(lab);
    expect(await lb.probe()).toBe("absent: not set up");
    await lb.apply();
});
afterAll(() => LoadBalancerHost.stop(lb));

/** Shell text that upgrades NGINX as the package scripts of nginx.org and of Debian do. */
const upgradeOnTheFly = `kill -USR2 $(cat /run/nginx.pid)
    for n in $(seq 300); do [ ! -s /run/nginx.pid.oldbin ] || [ ! -s /run/nginx.pid ] || break; sleep 0.2; done
    kill -QUIT $(cat /run/nginx.pid.oldbin)`;

/** Sends requests one after another while a command runs that replaces the process of NGINX. Returns what the command printed. */
async function losesNoRequest(command: string): Promise<string> {
    const before = await lb.sh("cat /run/nginx.pid");
    let over = false;
    const found: unknown[] = [];
    const asking = (async () => {
        while (!over) found.push(await lb.ask().then(({ status }) => status, String));
    })();
    const printed = await lb.sh(command).finally(() => (over = true));
    await asking;
    expect(found.filter(status => status !== 200)).toEqual([]);
    expect(await lb.sh("cat /run/nginx.pid")).not.toBe(before);
    return printed;
}

describe("a host that serves", () => {
    test("answers for our name through HTTP/1.1 and HTTP/2 with the certificate", async () => {
        await lb.served();
        const session = connectHttp2(`https://${lb.host.address}`, { ca: lb.ca.certificate, servername: hostname });
        const stream = session.request({ ":path": "/", ":authority": hostname });
        const [headers] = await once(stream, "response");
        expect([headers[":status"], session.alpnProtocol]).toEqual([200, "h2"]);
        session.destroy();
    });

    test("answers over IPv6, and tells the nodes the client's address", async () => {
        const answer = await lb.sh(`curl -sk -w ' %{http_version}' --resolve ${hostname}:443:[::1] https://${hostname}/`);
        expect(answer).toBe(`${hostname} https 2`);
        await lb.logged({ client: "::1", status: 200 });
        const redirect = `curl -s -o /dev/null -w '%{redirect_url}' --resolve ${hostname}:80:[::1] http://${hostname}/dashboard`;
        expect(await lb.sh(redirect)).toBe(`https://${hostname}/dashboard`);
    });

    test("sends plain HTTP to HTTPS, and refuses other names", async () => {
        const host = lb.host.address;
        const answer = await new Promise<[number, string]>((resolve, reject) =>
            get({ host, path: "/dashboard?a=b", agent: false, headers: { host: hostname } }, ({ statusCode, headers }) =>
                resolve([statusCode!, headers.location!]),
            ).on("error", reject),
        );
        expect(answer).toEqual([301, `https://${hostname}/dashboard?a=b`]);
        const plain = new Promise((_resolve, reject) =>
            get({ host, agent: false, headers: { host: "other.example.com" } }).on("error", reject),
        );
        await expect(plain).rejects.toThrow("socket hang up");
        const handshake = new Promise((resolve, reject) =>
            connectTls({ host, port: 443, servername: "other.example.com" }, () => resolve("connected")).on("error", reject),
        );
        await expect(handshake).rejects.toThrow(/unrecognized name/);
    });

    test("keeps the private key for root alone", async () => {
        expect(await lb.sh("stat -c '%a %U:%G' /etc/nginx/rancher-ha/privkey.pem")).toBe("600 root:root\n");
        expect(await lb.probe()).toBe("in sync");
    });

    test("is not touched by a second apply", async () => {
        const first = await lb.apply();
        const files = `/etc/nginx/nginx.conf /etc/nginx/rancher-ha /etc/nginx/rancher-ha/* /etc/sysctl.d/zz-rancher-ha.conf ${stateFolder}/manifest`;
        const look = async () => [await lb.sh(`stat -c '%n %i %y' ${files}`), await lb.workers()];
        const before = await look();
        const second = await lb.apply();
        expect([second.stdout, second.said]).toEqual([first.stdout, "lb2: nothing to change\n"]);
        expect(await look()).toEqual(before);
    });

    test("takes a change after NGINX was upgraded on the fly under an open WebSocket", async () => {
        const socket = await lb.client.openWebSocket();
        await lb.sh(upgradeOnTheFly);
        expect(await lb.sh("systemctl show -p MainPID --value nginx")).not.toBe(await lb.sh("cat /run/nginx.pid"));
        await lb.apply({ readTimeoutSeconds: 3600 });
        await lb.served();
        expect(await echo(socket, "still there")).toBe("still there");
        socket.terminate();
        await lb.apply();
    });

    test("is restarted after such an upgrade under a WebSocket: no request is lost", async () => {
        const socket = await lb.client.openWebSocket();
        await lb.sh(upgradeOnTheFly);
        await losesNoRequest("systemctl restart nginx");
        socket.terminate();
        expect(await lb.sh("systemctl show -p MainPID --value nginx; pgrep -xc nginx -P 1")).toBe(
            `${await lb.sh("cat /run/nginx.pid")}1\n`,
        );
        expect(await lb.probe()).toBe("in sync");
    });

    test("is restarted as packages do it: no request is lost, and one process stays", async () => {
        await losesNoRequest("systemctl restart nginx");
        expect(await lb.sh("systemctl show -p MainPID --value nginx")).toBe(await lb.sh("cat /run/nginx.pid"));
        expect(await lb.probe()).toBe("in sync");
        await lb.sh("systemctl stop nginx");
        expect(await lb.sh("pgrep -x nginx || echo none")).toBe("none\n");
        await lb.apply();
        await lb.served();
    });

    test("gets NGINX anew by apt: no request is lost", async () => {
        const log = await losesNoRequest(installAnew("nginx", "nginx-common"));
        expect(log).toContain("Setting up nginx (");
        expect(await lb.probe()).toBe("in sync");
        expect((await lb.apply()).said).toBe("lb2: nothing to change\n");
    });

    test("may be Ubuntu", () =>
        lb.broken(
            "printf 'ID=ubuntu\\nID_LIKE=debian\\n' >/run/os-release; mount --bind /run/os-release /usr/lib/os-release",
            "umount /usr/lib/os-release",
            async () => expect((await lb.apply()).said).toBe("lb2: nothing to change\n"),
        ));

    test("is locked by a file that nobody else can hold", async () => {
        expect(await lb.sh("stat -c '%a %U' /run /run/pulumi-rancher-ha.lock")).toBe("755 root\n600 root\n");
    });

    test("is kept by the destroy of a resource to which it no longer belongs", async () => {
        const theirs = lb.program().replace(/^owner=.*$/m, "owner=organization/rancher/production/lb/lb-host-2@192.0.2.9");
        expect(await lb.run("destroy", theirs)).toMatchObject({ code: 0, said: `lb2: kept: this host belongs to ${lb.owner} now\n` });
        await lb.served();
        // An apply with another owner gives the host to that owner, even when nothing changes.
        expect((await lb.apply(theirs)).said).toBe("lb2: nothing to change\n");
        expect((await lb.destroy()).said).toBe(
            "lb2: kept: this host belongs to organization/rancher/production/lb/lb-host-2@192.0.2.9 now\n",
        );
        await lb.apply();
        expect(await lb.probe()).toBe("in sync");
    });

    test("serves a renewed certificate after a reload", async () => {
        const first = await lb.apply();
        const renewed = lb.certificate();
        const before = [await lb.sh("cat /run/nginx.pid"), await lb.workers()];
        expect((await lb.apply(serving(renewed))).stdout).not.toBe(first.stdout);
        await lb.served(renewed);
        expect(await lb.sh("cat /run/nginx.pid")).toBe(before[0]);
        expect(await lb.workers()).not.toBe(before[1]);
        expect(await lb.sh("stat -c '%a %U:%G' /etc/nginx/rancher-ha/privkey.pem")).toBe("600 root:root\n");
        expect((await lb.apply()).stdout).toBe(first.stdout);
    });

    test("keeps the last three releases, their keys for root alone", async () => {
        for (const readTimeoutSeconds of [1000, 1001, 1002, 1003]) await lb.apply({ readTimeoutSeconds });
        const kept = await lb.sh(`ls ${stateFolder}/releases`);
        expect(kept.trim().split("\n")).toHaveLength(3);
        expect(await lb.sh(`find /var/lib/pulumi-rancher-ha -name 'privkey*' ! -perm 600; stat -c %a ${stateFolder}`)).toBe("700\n");
        await lb.apply();
    });

    test("is rolled back by hand with the commands of docs/load-balancer.md", async () => {
        const section = sectionOf(pageText("docs/load-balancer.md"), "How is a release rolled back by hand?");
        const [list, rollBack] = blocksOf(section, "sh");
        await lb.apply({ readTimeoutSeconds: 1004 });
        await lb.apply();
        const lines = (await lb.sh(list)).trim().split("\n");
        const [newest, previous] = lines.flatMap(line => /\S+$/.exec(line.replace(/^total .*/, "")) ?? []);
        expect(lines.at(-1)).toBe(`${stateFolder}/releases/${newest}`);
        await lb.sh(rollBack.replace("RELEASE", previous));
        expect(await lb.sh("nginx -T 2>/dev/null | grep -c 'proxy_read_timeout 1004s'")).not.toBe("0\n");
        await lb.served();
        await lb.apply();
        expect(await lb.probe()).toBe("in sync");
    });
});

describe("kernel settings", () => {
    test("hold when the host starts, whatever /etc/sysctl.conf says", () =>
        lb.broken(
            "cp -a /etc/sysctl.conf /run/; echo 'net.ipv4.tcp_retries2 = 15' >>/etc/sysctl.conf; test -e /etc/sysctl.d/99-sysctl.conf",
            "cp -a /run/sysctl.conf /etc/",
            async () => {
                await lb.sh("/lib/systemd/systemd-sysctl");
                expect(await lb.probe()).toBe("in sync");
            },
        ));

    test("that only one release sets are as before without it", async () => {
        const setting = "net.ipv4.tcp_early_retrans";
        const original = await lb.sh(`sysctl -n ${setting}`);
        expect(original).not.toBe("0\n");
        await lb.apply(lb.program().replace("net.ipv4.tcp_retries2 = 7", `$&\n${setting} = 0`));
        expect(await lb.sh(`sysctl -n ${setting}`)).toBe("0\n");
        await lb.sh(`sysctl -q -w ${setting}=1`);
        expect(await lb.probe()).toBe(`kernel setting ${setting}: 1, expected 0`);
        await lb.apply();
        expect(await lb.sh(`sysctl -n ${setting}`)).toBe(original);
        expect(await lb.probe()).toBe("in sync");
    });
});

describe("destroy", () => {
    beforeEach(() => lb.apply());

    test("leaves the host as it was before the first apply, and can be repeated", async () => {
        await lb.destroy();
        expect(await lb.state()).toBe(lb.pristine);
        expect((await lb.destroy()).said).toBe("lb2: nothing to remove\n");
        expect(await lb.state()).toBe(lb.pristine);
        expect(await lb.probe()).toBe("absent: not set up");
    });

    test("leaves a package of ours that another came to need, and says so", async () => {
        const control = "Package: needy\\nVersion: 1\\nArchitecture: all\\nMaintainer: test\\nDescription: test\\nDepends: logrotate\\n";
        await lb.sh(`mkdir -p /run/needy/DEBIAN; printf '${control}' >/run/needy/DEBIAN/control
            dpkg-deb -b /run/needy /run/needy.deb >/dev/null && dpkg -i /run/needy.deb >/dev/null`);
        expect((await lb.destroy()).said).toContain("the package logrotate stays: needy depends on logrotate");
        await lb.sh("dpkg --purge needy logrotate libpopt0 >/dev/null 2>&1; rm -rf /run/needy*");
        expect(await lb.state()).toBe(lb.pristine);
    });

    test("that is killed while it removes packages is finished by the next", async () => {
        await lb.killed("destroy", lb.program(), "removing packages", "[ ! -e /usr/sbin/nginx ]");
        await lb.destroy();
        expect(await lb.state()).toBe(lb.pristine);
    });
});
