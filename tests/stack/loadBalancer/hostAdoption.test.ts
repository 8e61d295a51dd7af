import { disposable, testLab } from "../fixtures";
import { LoadBalancerHost, stateFolder } from "./loadBalancerHost";

jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
let lb: LoadBalancerHost;
beforeAll(async () => void (lb = await LoadBalancerHost.start(lab)));
afterAll(() => LoadBalancerHost.stop(lb));

const adopting = { takeOver: true };

/** Purges packages, and removes the configuration beside them. */
const purge = (...packages: string[]) => lb.sh(`dpkg --purge ${packages.join(" ")} >/dev/null 2>&1; rm -rf /etc/nginx`);

test("an NGINX as it came is adopted, and destroy gives it back", async () => {
    await lb.install("nginx");
    const before = await lb.state();
    await lb.apply();
    await lb.served();
    await lb.destroy();
    expect(await lb.state()).toBe(before);
    await expect(lb.ask()).rejects.toThrow("ECONNREFUSED");
    await purge("nginx", "nginx-common");
});

describe("a foreign NGINX", () => {
    const site = "server { listen 80 default_server; location / { return 200 theirs; } }";
    const theirs = async () => (await fetch(`http://${lb.host.address}/`)).text();
    const isTheirsAgain = async () => {
        expect(await lb.state()).toBe(before);
        expect(await theirs()).toBe("theirs");
    };
    let before: string;

    beforeAll(async () => {
        await lb.install("nginx");
        await lb.sh(`rm /etc/nginx/sites-enabled/default; echo '${site}' >/etc/nginx/conf.d/shop.conf; systemctl restart nginx`);
        before = await lb.state();
        expect(await theirs()).toBe("theirs");
    });
    afterAll(() => purge("nginx", "nginx-common"));

    test("is refused unless it is to be adopted", () =>
        lb.refuses(
            {},
            /nginx on this host is configured for something else: \[RHA host-not-fit\]\n\/etc\/nginx\/conf\.d\/shop\.conf\nChoose another host, .*or set takeOver/,
        ));

    test("serves on when there is no room to keep its configuration", async () => {
        await lb.broken(
            `mkdir -p ${stateFolder}; mount -t tmpfs -o size=40k,mode=700 none ${stateFolder}`,
            `umount ${stateFolder}; rm -r /var/lib/pulumi-rancher-ha`,
            async () => {
                const said = expect.stringContaining(`what is there could not be kept. Make space on the disk of ${stateFolder}`);
                expect(await lb.run("apply", lb.program(adopting))).toMatchObject({ code: 1, said });
                expect(await theirs()).toBe("theirs");
            },
        );
        await isTheirsAgain();
    });

    test("is adopted without a moment without a listener, and given back", async () => {
        const refusedConnections: Error[] = [];
        const knock = setInterval(() => void fetch(`http://${lb.host.address}/`).catch(error => refusedConnections.push(error.cause)), 20);
        await lb.apply(adopting).finally(() => clearInterval(knock));
        expect(refusedConnections.filter(error => /ECONNREFUSED/.test(String(error)))).toEqual([]);
        await lb.served();
        expect(await lb.probe()).toBe("in sync");
        await lb.destroy();
        await isTheirsAgain();
    });

    test("is not lost when there is no room to give it back", async () => {
        await lb.apply(adopting);
        await lb.broken(
            "mkdir /etc/nginx.new; mount -t tmpfs -o size=40k none /etc/nginx.new",
            "umount /etc/nginx.new; rm -rf /etc/nginx.new",
            async () => {
                const said = expect.stringContaining("earlier configuration of nginx cannot be restored into /etc/nginx");
                expect(await lb.run("destroy", lb.program())).toMatchObject({ code: 1, said });
                expect(await lb.sh(`nginx -t -q; cat ${stateFolder}/original/nginx/etc/conf.d/shop.conf`)).toBe(`${site}\n`);
                await lb.served();
            },
        );
        await lb.destroy();
        await isTheirsAgain();
    });

    test("is given back by the next destroy when one is killed before NGINX knows of it", async () => {
        await lb.apply(adopting);
        const kept = `${stateFolder}/original/nginx`;
        const hangs = `[ ! -e ${kept}/restoring ] || sleep 600; exec /usr/bin/systemctl "$@"`;
        await lb.broken(
            `printf '#!/bin/sh\\n%s\\n' '${hangs}' >/usr/local/sbin/systemctl; chmod 755 /usr/local/sbin/systemctl`,
            "rm /usr/local/sbin/systemctl",
            () =>
                lb.killed(
                    "destroy",
                    lb.program(),
                    "putting the configuration of nginx back",
                    `diff -r --no-dereference ${kept}/etc /etc/nginx >/dev/null`,
                ),
        );
        await lb.served();
        await lb.destroy();
        await isTheirsAgain();
    });
});

describe("a host of a pair", () => {
    const vrrp = () => ({
        routerId: 77,
        advertIntervalSeconds: 0.1,
        address: lb.host.address,
        peer: lab.addressAt(21),
        virtualIp: lab.addressAt(20),
        priority: 100,
    });
    const theirs = (id: number) =>
        `vrrp_instance theirs {\n state BACKUP\n interface eth0\n virtual_router_id ${id}\n virtual_ipaddress {\n ${lab.addressAt(99)}/32\n }\n}\n`;
    const keepalived = () => lb.sh("cat /etc/keepalived/keepalived.conf; systemctl is-enabled keepalived; systemctl is-active keepalived");
    const run = async (configuration: string) => {
        await lb.host.write("/etc/keepalived/keepalived.conf", configuration);
        await lb.sh("systemctl -q enable keepalived 2>/dev/null; systemctl restart keepalived");
        expect(await keepalived()).toBe(`${configuration}enabled\nactive\n`);
    };
    const isRefused = async () =>
        expect(await lb.run("apply", lb.program({}, vrrp()))).toMatchObject({
            code: 1,
            said: expect.stringContaining(
                "keepalived on this host is configured for something else: [RHA host-not-fit]\n/etc/keepalived/keepalived.conf\n",
            ),
        });

    beforeEach(() => lb.apply());
    afterAll(() => lb.destroy());

    test("that fails to become one is as it was, without the packages of a pair", () => {
        const wrong = { extraDirectives: { http: "", server: "no_such_directive on;", location: "" } };
        return lb.refuses(lb.program(wrong, vrrp()), /installing keepalived[^]*unknown directive "no_such_directive"/);
    });

    describe("with a foreign keepalived", () => {
        beforeEach(async () => {
            await lb.install("keepalived");
            await run(theirs(9));
        });
        afterEach(async () => {
            await lb.destroy();
            await lb.sh("dpkg --purge keepalived >/dev/null 2>&1; rm -rf /etc/keepalived");
        });

        test("is refused, and keepalived runs on when a pair fails that adopts it", async () => {
            const before = [await lb.state(), await keepalived()];
            await isRefused();
            const applied = await lb.run("apply", lb.program(adopting, vrrp()).replace(/return 200 "\w{12} /, 'return 200 "another '));
            expect(applied.said).toMatch(
                /taking over the configuration of keepalived[^]*found release 'another'[^]*the host was rolled back to the previous release/,
            );
            expect([await lb.state(), await keepalived()]).toEqual(before);
            await lb.served();
        });

        test("gives back the configuration that was there when it last became one of a pair", async () => {
            const pair = () => lb.program(adopting, vrrp());
            await lb.apply(pair());
            expect(await lb.probe()).toBe("in sync");
            // The host becomes a single host again. A second pair then keeps the configuration that it finds.
            await lb.apply();
            await run(theirs(10));
            await isRefused();
            await lb.apply(pair());
            await lb.destroy();
            expect(await keepalived()).toBe(`${theirs(10)}enabled\nactive\n`);
        });
    });
});
