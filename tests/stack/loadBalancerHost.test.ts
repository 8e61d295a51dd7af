import { ChildProcess } from "child_process";
import { once } from "events";
import { readFileSync } from "fs";
import { get } from "http";
import { connect as connectHttp2 } from "http2";
import { join } from "path";
import { connect as connectTls } from "tls";
import { command } from "../../lab/engine/providers/command";
import { labFiles } from "../../lab/lab";
import { run, until } from "../../lab/process";
import {
    Applied,
    address,
    apply,
    ask,
    broken,
    ca,
    certificate,
    connection,
    heard,
    hostState,
    hostname,
    instance,
    keys,
    killed,
    logged,
    newCertificate,
    onHost,
    owner,
    probe,
    program,
    refused,
    runOnHostIsOver,
    served,
    ssh,
    workers,
    startLabHost,
    stopLabHost,
} from "./labHost";
import { listener, noListener } from "./testStack";

jest.setTimeout(5 * 60_000);

let pristine: string;
beforeAll(async () => void (pristine = await startLabHost()));
afterAll(stopLabHost);

/** Waits until dpkg has begun with NGINX. */
const halfInstalled = "for n in $(seq 600); do [ ! -e /var/lib/dpkg/info/nginx-common.list ] || exit 0; sleep 0.05; done; exit 1";

describe("a host that cannot become a load balancer is refused before anything is touched", () => {
    test("another system than Debian or Ubuntu", () =>
        broken(
            "printf 'ID=fedora\\nPRETTY_NAME=\"Fedora Linux 42\"\\n' >/run/os-release; mount --bind /run/os-release /usr/lib/os-release",
            "umount /usr/lib/os-release",
            () => refused(program(), /lb2: expected Debian or Ubuntu, found Fedora Linux 42\. Nothing was changed/),
        ));

    test("port 443 taken by another process, which is named", () =>
        broken(listener(443), noListener, () => refused(program(), /ports 80 and 443 must be free for NGINX[^]*:443 [^]*"perl",pid=/)));

    test.each([
        ["a binary", "/usr/local/sbin/nginx"],
        ["a unit", "/etc/systemd/system/nginx.service"],
    ])("an NGINX that did not come as a package: %s", (_what, file) =>
        broken(
            `printf '[Service]\\nExecStart=/bin/true\\n' >${file}; chmod 755 ${file}; systemctl daemon-reload`,
            `rm ${file}; systemctl daemon-reload`,
            async () => {
                const words = `expected no NGINX or that of the package nginx, found ${file} (of no package)`;
                expect(await probe()).toContain(`refused: lb2: ${words}`);
                await refused(program({ takeOver: true }), new RegExp(words.replace(/[.()]/g, "\\$&")));
            },
        ),
    );

    test("ports held by an NGINX of something else", () =>
        broken(`cp /usr/bin/perl /tmp/nginx; ${listener(80, "/tmp/nginx")}`, `${noListener}; rm /tmp/nginx`, () =>
            refused(program({ takeOver: true }), /ports 80 and 443 must be free for NGINX[^]*:80 [^]*"nginx",pid=/),
        ));

    test("a configuration that is left of an NGINX", () =>
        broken("mkdir /etc/nginx; echo 'events {}' >/etc/nginx/nginx.conf", "rm -r /etc/nginx", () =>
            refused(program(), /nginx on this host is configured for something else:\n\/etc\/nginx\/nginx\.conf\n/),
        ));
});

describe("a first apply that fails leaves the host as it was", () => {
    test("package sources that do not answer", () =>
        broken(
            "echo 'deb http://127.0.0.1:9/debian bookworm main' >/run/sources; mount --bind /run/sources /etc/apt/sources.list",
            "umount /etc/apt/sources.list",
            () => refused(program(), /packages could not be installed: nginx[^]*127\.0\.0\.1[^]*Check its package sources and network/),
        ));

    test("a configuration that the new NGINX refuses", () =>
        refused(
            program().replace("least_conn;", "least_con;"),
            /NGINX [\d.]+ refuses the configuration:[^]*unknown directive "least_con" in nginx\.conf:\d+/,
        ));

    test("a port of the configuration is taken", () =>
        broken(listener(10280), noListener, () =>
            refused(program(), /nginx\.service does not start: [^]*127\.0\.0\.1:10280 failed[^]*the host was put back as it was/),
        ));

    test("nodes that do not answer yet are no fault of it: it succeeds", async () => {
        await apply(program({ upstreamPort: 9 }));
        expect((await ask()).status).toBe(502);
        expect(await ssh("destroy", program())).toMatchObject({ code: 0 });
        expect(await hostState()).toBe(pristine);
    });

    test("destroy has nothing to do after it", async () => {
        expect(await ssh("destroy", program())).toMatchObject({ code: 0, said: "lb2: nothing to remove\n" });
    });

    test.each([
        ["the SSH connection lost while NGINX is installed", async (client: ChildProcess) => String(client.kill("SIGKILL"))],
        ["the host's run killed while NGINX is installed", () => onHost("kill -9 -$(cat /run/apply.pid)")],
    ])("%s: the next apply converges, and destroy leaves nothing", async (_what, end) => {
        let ended: Promise<unknown> | undefined;
        await ssh("apply", program(), {
            before: "echo $$ >/run/apply.pid;",
            onLine: (line, client) => {
                if (line.includes("installing nginx")) ended = onHost(halfInstalled).then(() => end(client));
            },
        });
        expect(ended).toBeDefined();
        await ended;
        await runOnHostIsOver();
        await apply(program());
        expect(await probe()).toBe("in sync");
        await served(certificate);
        expect(await ssh("destroy", program())).toMatchObject({ code: 0 });
        expect(await hostState()).toBe(pristine);
    });
});

describe("a host that serves", () => {
    let first: Applied;

    beforeAll(async () => {
        expect(await probe()).toBe("not installed");
        first = await apply(program());
    });

    test("answers for our name through HTTP/1.1 and HTTP/2 with the certificate", async () => {
        await served(certificate);
        const session = connectHttp2(`https://${address}`, { ca: ca.certificate, servername: hostname });
        const stream = session.request({ ":path": "/", ":authority": hostname });
        const [headers] = await once(stream, "response");
        expect([headers[":status"], session.alpnProtocol]).toEqual([200, "h2"]);
        session.destroy();
    });

    test("answers over IPv6, and tells the nodes the client's address", async () => {
        const answer = await onHost(`curl -sk -w ' %{http_version}' --resolve ${hostname}:443:[::1] https://${hostname}/`);
        expect(answer).toBe(`${hostname} https 2`);
        await logged({ client: "::1", status: 200 });
        const redirect = `curl -s -o /dev/null -w '%{redirect_url}' --resolve ${hostname}:80:[::1] http://${hostname}/dashboard`;
        expect(await onHost(redirect)).toBe(`https://${hostname}/dashboard`);
    });

    test("sends plain HTTP to HTTPS, and refuses other names", async () => {
        const answer = await new Promise<[number, string]>((resolve, reject) =>
            get({ host: address, path: "/dashboard?a=b", agent: false, headers: { host: hostname } }, ({ statusCode, headers }) =>
                resolve([statusCode!, headers.location!]),
            ).on("error", reject),
        );
        expect(answer).toEqual([301, `https://${hostname}/dashboard?a=b`]);
        const plain = new Promise((_resolve, reject) =>
            get({ host: address, agent: false, headers: { host: "other.example.com" } }).on("error", reject),
        );
        await expect(plain).rejects.toThrow("socket hang up");
        const handshake = new Promise((resolve, reject) =>
            connectTls({ host: address, port: 443, servername: "other.example.com" }, () => resolve("connected")).on("error", reject),
        );
        await expect(handshake).rejects.toThrow(/unrecognized name/);
    });

    test("keeps the private key for root alone", async () => {
        expect(await onHost("stat -c '%a %U:%G' /etc/nginx/rancher-ha/privkey.pem")).toBe("600 root:root\n");
        expect(await probe()).toBe("in sync");
    });

    test("is not touched by a second apply", async () => {
        const look = () =>
            onHost(
                "stat -c '%n %i %y' /etc/nginx/nginx.conf /etc/nginx/rancher-ha /etc/nginx/rancher-ha/* /etc/sysctl.d/zz-rancher-ha.conf /var/lib/pulumi-rancher-ha/load-balancer/manifest",
            );
        const before = [await look(), await workers()];
        const second = await apply(program());
        expect([second.stdout, second.said]).toEqual([first.stdout, "lb2: nothing to change\n"]);
        expect([await look(), await workers()]).toEqual(before);
    });

    test("may be Ubuntu", () =>
        broken(
            "printf 'ID=ubuntu\\nID_LIKE=debian\\n' >/run/os-release; mount --bind /run/os-release /usr/lib/os-release",
            "umount /usr/lib/os-release",
            async () => expect((await apply(program())).said).toBe("lb2: nothing to change\n"),
        ));

    test("is locked by a file that nobody else can hold", async () => {
        expect(await onHost("stat -c '%a %U' /run /run/pulumi-rancher-ha.lock")).toBe("755 root\n600 root\n");
    });

    test("is kept by the destroy of a resource to which it no longer belongs", async () => {
        const theirs = program().replace(/^owner=.*$/m, "owner=lb-host-2@192.0.2.9");
        expect(await ssh("destroy", theirs)).toMatchObject({ code: 0, said: `lb2: kept: this host belongs to ${owner} now\n` });
        await served(certificate);
        // Whoever applies has it from then on, even when there is nothing to change.
        expect((await apply(theirs)).said).toBe("lb2: nothing to change\n");
        expect(await ssh("destroy", program())).toMatchObject({ said: "lb2: kept: this host belongs to lb-host-2@192.0.2.9 now\n" });
        await apply(program());
        expect(await probe()).toBe("in sync");
    });

    test("serves a renewed certificate after a reload", async () => {
        const renewed = newCertificate();
        keys.push(renewed.privateKey);
        const before = [await onHost("cat /run/nginx.pid"), await workers()];
        expect((await apply(program({}, renewed))).stdout).not.toBe(first.stdout);
        await served(renewed);
        expect(await onHost("cat /run/nginx.pid")).toBe(before[0]);
        expect(await workers()).not.toBe(before[1]);
        expect(await onHost("stat -c '%a %U:%G' /etc/nginx/rancher-ha/privkey.pem")).toBe("600 root:root\n");
        expect((await apply(program())).stdout).toBe(first.stdout);
    });

    describe("refuses and goes on serving", () => {
        const change = { readTimeoutSeconds: 3600 };

        test("a configuration that NGINX refuses", () =>
            refused(program(change).replace("least_conn;", "least_con;"), /refuses the configuration:[^]*unknown directive "least_con"/));

        test("the key of another certificate", () => {
            const other = newCertificate();
            keys.push(other.privateKey);
            return refused(
                program({ ...change, privateKey: other.privateKey }),
                /the private key does not belong to the certificate fullchain\.pem\. The host was left as it was/,
            );
        });

        test("a release that the workers do not serve in the end", () =>
            refused(
                program(change).replace(/return 200 "\w{12} /, 'return 200 "another '),
                /does not serve the new release: expected release \w{12} of a new worker, found release 'another' of worker \d+;[^]*the previous release was put back/,
            ));

        test("another certificate than the one that was given", () =>
            broken(
                "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -days 1 -keyout /run/other.key -out /run/other.pem 2>/dev/null",
                "rm /run/other.key /run/other.pem",
                () =>
                    refused(
                        program(change)
                            .replaceAll("ssl_certificate rancher-ha/fullchain.pem;", "ssl_certificate /run/other.pem;")
                            .replaceAll("ssl_certificate_key rancher-ha/privkey.pem;", "ssl_certificate_key /run/other.key;"),
                        /does not serve the new release[^]*expected certificate \S+, found '\S+'[^]*the previous release was put back/,
                    ),
            ));

        test("a port of the nodes on which nobody listens", () =>
            refused(
                program({ upstreamPort: 9 }),
                new RegExp(
                    `reaches no node: expected an answer to https://${hostname}/ping, as the previous release gave \\(200\\), found 502` +
                        "[^]*the previous release was put back",
                ),
            ));

        test("nor does it take a release with which a run was killed before it was verified", async () => {
            const ping = `curl -sk -o /dev/null -w '%{http_code}' --resolve ${hostname}:443:127.0.0.1 https://${hostname}/ping`;
            await killed("apply", program({ upstreamPort: 9 }), "switching", `[ "$(${ping})" = 502 ]`);
            expect((await ask()).status).toBe(502);
            expect(await ssh("apply", program({ upstreamPort: 9 }))).toMatchObject({
                code: 1,
                said: expect.stringMatching(/as the previous release gave \(200\), found 502[^]*the previous release was put back/),
            });
            await until("workers of the previous release", 10, async () => (await ask()).status === 200);
            await served(certificate);
        });

        test("port 443 taken by another process while NGINX is down", async () => {
            await onHost("systemctl stop nginx");
            await broken(listener(443), noListener, async () => {
                const before = await hostState();
                expect(await ssh("apply", program(change))).toMatchObject({ code: 1, said: expect.stringMatching(/:443 [^]*"perl",pid=/) });
                expect(await hostState()).toBe(before);
            });
            await onHost("systemctl start nginx");
        });

        const state = "/var/lib/pulumi-rancher-ha/load-balancer";
        const copy = (place: string, options: string) =>
            `mkdir /run/copy; cp -a ${place}/. /run/copy; mount -t tmpfs -o ${options},mode=700 none ${place}; cp -a /run/copy/. ${place}`;
        const tmpfs = (place: string) => `${copy(place, "size=128k")}; dd if=/dev/zero bs=512 2>/dev/null of=${place}/full || true`;
        test.each([
            [
                "the disk is full while files are staged",
                state,
                tmpfs(state),
                /could not be written\. Check free space in \/var\/lib\/pulumi-rancher-ha\/load-balancer\. The host was left as it was/,
            ],
            [
                "the disk is full before anything is staged",
                `${state}/releases`,
                `${copy(`${state}/releases`, "size=64k,nr_inodes=1")} || true`,
                /cannot be written: [^]*No space left on device/,
            ],
        ])("%s", (_what, place, fill, words) => broken(fill, `umount ${place}; rm -rf /run/copy`, () => refused(program(change), words)));

        describe("the disk is full once the files are switched", () => {
            /** A change whose last step, writing down what the host is like, is preceded by this. */
            const change = (fill: string) =>
                program({ readTimeoutSeconds: 3600 }).replace(
                    'manifest >"$state/manifest.new"',
                    `${fill}; manifest >"$state/manifest.new"`,
                );
            const fillState = 'dd if=/dev/zero bs=512 of="$releases/full" 2>/dev/null || true';
            const smallState = "mount -t tmpfs -o size=512k,mode=700 none";
            const restarts = async () => {
                await onHost("nginx -t -q && systemctl restart nginx");
                expect((await ask()).status).toBe(200);
            };

            test("the previous release is put back", () =>
                broken(
                    `mkdir /run/copy; cp -a ${state}/. /run/copy; ${smallState} ${state}; cp -a /run/copy/. ${state}`,
                    `umount ${state}; rm -rf /run/copy`,
                    async () => {
                        const before = await onHost("readlink /etc/nginx/rancher-ha; ls /var/lib/pulumi-rancher-ha/load-balancer/releases");
                        expect(await ssh("apply", change(fillState))).toMatchObject({
                            code: 1,
                            said: expect.stringMatching(
                                /load-balancer cannot be written\. Check free space there\n.*the previous release was put back/,
                            ),
                        });
                        await onHost(`rm ${state}/releases/full`);
                        expect(await onHost("readlink /etc/nginx/rancher-ha; ls /var/lib/pulumi-rancher-ha/load-balancer/releases")).toBe(
                            before,
                        );
                        await restarts();
                    },
                ));

            test("and so is /etc: it says so, and NGINX survives a restart", async () => {
                const fillBoth = `${fillState}; n=0; while touch /etc/nginx/full$n 2>/dev/null; do n=$((n + 1)); done`;
                await broken(
                    `mkdir -p /run/copy/state /run/copy/nginx; cp -a ${state}/. /run/copy/state; cp -a /etc/nginx/. /run/copy/nginx
                    ${smallState} ${state}; cp -a /run/copy/state/. ${state}
                    mount -t tmpfs -o size=1m,nr_inodes=200,mode=755 none /etc/nginx; cp -a /run/copy/nginx/. /etc/nginx`,
                    `umount ${state} /etc/nginx; rm -rf /run/copy`,
                    async () => {
                        expect(await ssh("apply", change(fillBoth))).toMatchObject({
                            code: 1,
                            said: expect.stringMatching(/the previous release could not be put back: .*nginx\.conf leads to \//),
                        });
                        await restarts();
                    },
                );
                await apply(program());
                await served(certificate);
            });
        });

        test("and is in sync after all of it", async () => expect(await probe()).toBe("in sync"));
    });

    test.each([
        ["the SSH connection is lost", async (client: ChildProcess) => String(client.kill("SIGKILL"))],
        ["the run on the host is killed", () => onHost("kill -9 -$(cat /run/apply.pid)")],
    ])("when %s in the middle of a switch, it goes on serving and the next apply converges", async (_what, end) => {
        const renewed = newCertificate();
        keys.push(renewed.privateKey);
        let ended: unknown;
        await ssh("apply", program({}, renewed), {
            before: "echo $$ >/run/apply.pid;",
            onLine: (line, client) => {
                if (line.includes("switching to release")) ended = end(client);
            },
        });
        expect(ended).toBeDefined();
        await ended;
        await runOnHostIsOver();
        expect((await ask()).status).toBe(200);
        await apply(program({}, renewed));
        await served(renewed);
        expect(await probe()).toBe("in sync");
        expect(await onHost("find /etc/nginx /var/lib/pulumi-rancher-ha -name '*.new' -o -name new")).toBe("");
        expect((await apply(program())).stdout).toBe(first.stdout);
    });

    describe("drift is found, and healed by an apply", () => {
        const sameText = "p=/etc/nginx/nginx.conf; cp -p $p /run/nginx.conf";
        const files = "/etc/nginx/rancher-ha";
        test.each([
            [
                "content",
                "sed -i --follow-symlinks 's/least_conn;/ip_hash;/' /etc/nginx/nginx.conf",
                "/etc/nginx/nginx.conf: content changed",
            ],
            [
                "a file instead of the link",
                "sed -i 's/least_conn;/least_conn; /' /etc/nginx/nginx.conf",
                "/etc/nginx/nginx.conf: no longer a link to rancher-ha/nginx.conf\n/etc/nginx/nginx.conf: content changed",
            ],
            ["certificate", "sed -i '2s/./x/' /etc/nginx/rancher-ha/fullchain.pem", "/etc/nginx/rancher-ha/fullchain.pem: content changed"],
            [
                "mode",
                "chmod 644 /etc/nginx/rancher-ha/privkey.pem",
                "/etc/nginx/rancher-ha/privkey.pem: mode and owner 644 root:root, expected 600 root:root",
            ],
            [
                "owner",
                "chown www-data:www-data /etc/nginx/rancher-ha/privkey.pem",
                "/etc/nginx/rancher-ha/privkey.pem: mode and owner 600 www-data:www-data, expected 600 root:root",
            ],
            ["missing file", "rm /etc/sysctl.d/zz-rancher-ha.conf", "/etc/sysctl.d/zz-rancher-ha.conf: missing"],
            [
                "missing link",
                `rm ${files}`,
                `/etc/nginx/nginx.conf: missing\n${files}/fullchain.pem: missing\n${files}/privkey.pem: missing`,
            ],
            ["service stopped", "systemctl stop nginx", "nginx.service: inactive, expected active"],
            ["service disabled", "systemctl -q disable nginx 2>/dev/null", "nginx.service: disabled, expected enabled"],
            ["kernel setting", "sysctl -q -w net.ipv4.tcp_retries2=15", "kernel setting net.ipv4.tcp_retries2: 15, expected 5"],
            // Another version of the package cannot be had here: what is noted is changed instead.
            [
                "NGINX version",
                "sed -i 's/^package:nginx .*/package:nginx 1.0-1/' /var/lib/pulumi-rancher-ha/load-balancer/manifest",
                /^nginx: version 1\.22\.\S+, expected 1\.0-1$/,
            ],
            [
                "workers of another release",
                `${sameText}; sed -i --follow-symlinks 's/return 200 "[0-9a-f]* /return 200 "another /' $p; systemctl reload nginx; sleep 1; cat /run/nginx.conf >$p`,
                /^running workers: release another, expected \w{12}$/,
            ],
            ["package removed", "dpkg --purge nginx >/dev/null 2>&1", /^nginx: version none, expected 1\.22/],
        ])("%s", async (_what, tamper, finding) => {
            await onHost(tamper);
            const found = await probe();
            if (typeof finding === "string") expect(found).toBe(finding);
            else expect(found).toMatch(finding);
            await apply(program());
            expect(await probe()).toBe("in sync");
            await served(certificate);
        });
    });

    test("a reload that does not happen is not taken for done, although the workers of before say the same release", () =>
        broken(
            `sed -i --follow-symlinks 's/30s:10s:3/31s:10s:3/' /etc/nginx/nginx.conf
            printf '#!/bin/sh\n[ "$*" != "reload-or-restart nginx.service" ] || exit 0\nexec /usr/bin/systemctl "$@"\n' >/usr/local/sbin/systemctl
            chmod 755 /usr/local/sbin/systemctl`,
            "rm /usr/local/sbin/systemctl",
            async () =>
                expect(await ssh("apply", program())).toMatchObject({
                    code: 1,
                    said: expect.stringMatching(/expected release (\w+) of a new worker, found release '\1' of worker \d+/),
                }),
        ).then(async () => {
            await apply(program());
            expect(await probe()).toBe("in sync");
        }));

    test("kernel settings hold when the host starts, whatever /etc/sysctl.conf says", () =>
        broken(
            "cp -a /etc/sysctl.conf /run/; echo 'net.ipv4.tcp_retries2 = 15' >>/etc/sysctl.conf; test -e /etc/sysctl.d/99-sysctl.conf",
            "cp -a /run/sysctl.conf /etc/",
            async () => {
                await onHost("/lib/systemd/systemd-sysctl");
                expect(await probe()).toBe("in sync");
            },
        ));

    test("a kernel setting that a release is the first to have, or no longer has, is as it was before without it", async () => {
        const setting = "net.ipv4.tcp_early_retrans";
        const original = await onHost(`sysctl -n ${setting}`);
        expect(original).not.toBe("0\n");
        const more = (text: string) => text.replace("net.ipv4.tcp_retries2 = 5", `$&\n${setting} = 0`);
        await apply(more(program()));
        expect(await onHost(`sysctl -n ${setting}`)).toBe("0\n");
        await onHost(`sysctl -q -w ${setting}=1`);
        expect(await probe()).toBe(`kernel setting ${setting}: 1, expected 0`);
        await apply(program());
        expect(await onHost(`sysctl -n ${setting}`)).toBe(original);
        expect(await probe()).toBe("in sync");
    });

    test("destroy leaves a package of ours that another came to need, and says so", async () => {
        await apply(program());
        const control = "Package: needy\\nVersion: 1\\nArchitecture: all\\nMaintainer: test\\nDescription: test\\nDepends: logrotate\\n";
        await onHost(`mkdir -p /run/needy/DEBIAN; printf '${control}' >/run/needy/DEBIAN/control
            dpkg-deb -b /run/needy /run/needy.deb >/dev/null && dpkg -i /run/needy.deb >/dev/null`);
        const destroyed = await ssh("destroy", program());
        expect(destroyed).toMatchObject({
            code: 0,
            said: expect.stringContaining("the package logrotate stays: needy depends on logrotate"),
        });
        await onHost("dpkg --purge needy logrotate libpopt0 >/dev/null 2>&1; rm -rf /run/needy*");
        expect(await hostState()).toBe(pristine);
        await apply(program());
    });

    test("destroy that is killed while it removes packages is finished by the next", async () => {
        await killed("destroy", program(), "removing packages", "[ ! -e /usr/sbin/nginx ]");
        expect(await ssh("destroy", program())).toMatchObject({ code: 0 });
        expect(await hostState()).toBe(pristine);
        await apply(program());
    });

    test("destroy leaves the host as it was before the first apply, and can be repeated", async () => {
        expect(await ssh("destroy", program())).toMatchObject({ code: 0, stdout: "" });
        expect(await hostState()).toBe(pristine);
        expect(await ssh("destroy", program())).toMatchObject({ code: 0, said: "lb2: nothing to remove\n" });
        expect(await hostState()).toBe(pristine);
        expect(await probe()).toBe("not installed");
    });
});

describe("a host that has NGINX already", () => {
    const install = "apt-get -q update; DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install nginx";
    beforeAll(() => onHost(`{ ${install}; } >/run/apt.log 2>&1 || { tail /run/apt.log; false; }`));
    afterAll(() => onHost("dpkg --purge nginx nginx-common >/dev/null 2>&1 || true"));

    test("with a configuration of its own is refused, with a list of it", () =>
        broken(
            "cp -p /etc/nginx/nginx.conf /run/; echo '# ours' >>/etc/nginx/nginx.conf; touch /etc/nginx/conf.d/shop.conf",
            "cp -p /run/nginx.conf /etc/nginx/; rm /etc/nginx/conf.d/shop.conf",
            async () => {
                const before = await hostState();
                const applied = await ssh("apply", program());
                expect(applied).toMatchObject({
                    code: 1,
                    said: expect.stringContaining(
                        "configured for something else:\n/etc/nginx/nginx.conf (changed)\n/etc/nginx/conf.d/shop.conf\nChoose another host, remove that configuration, or set takeOver",
                    ),
                });
                expect(await hostState()).toBe(before);
            },
        ));

    test("with a module's own configuration is refused", () =>
        broken(
            "echo 'stream { server { listen 5432; return x; } }' >/etc/nginx/modules-enabled/90-stream.conf",
            "rm /etc/nginx/modules-enabled/90-stream.conf",
            () => refused(program(), /configured for something else:\n\/etc\/nginx\/modules-enabled\/90-stream\.conf\n/),
        ));

    test.each([
        ["a file", "rm $d; echo 'server { listen 80; }' >$d"],
        ["a link to another one", "ln -sfn /etc/shop.conf $d"],
    ])("with %s in the place of the package's own site is refused", (_what, put) =>
        broken(
            `d=/etc/nginx/sites-enabled/default; ${put}`,
            "ln -sfn /etc/nginx/sites-available/default /etc/nginx/sites-enabled/default",
            async () => {
                const before = await hostState();
                expect(await ssh("apply", program())).toMatchObject({
                    code: 1,
                    said: expect.stringContaining("configured for something else:\n/etc/nginx/sites-enabled/default\nChoose another host"),
                });
                expect(await hostState()).toBe(before);
            },
        ),
    );

    test("is as it was after an apply that failed", () =>
        broken(listener(10280), noListener, () =>
            refused(program(), /does not serve the new release[^]*127\.0\.0\.1:10280 failed[^]*the host was put back as it was/),
        ));

    test("as it came is taken, and destroy gives it back", async () => {
        const before = await hostState();
        await apply(program());
        await served(certificate);
        expect(await ssh("destroy", program())).toMatchObject({ code: 0 });
        expect(await hostState()).toBe(before);
        await expect(ask()).rejects.toThrow("ECONNREFUSED");
    });
});

describe("a host that cannot be reached", () => {
    const otherKey = async () => {
        const file = join(labFiles(instance).folder, "other");
        await run("sh", ["-c", 'rm -f "$0" "$0.pub"; ssh-keygen -q -t ed25519 -N \'\' -f "$0"', file]);
        return { privateKey: readFileSync(file, "utf8"), publicKey: readFileSync(`${file}.pub`, "utf8").trim() };
    };
    /** Runs the command as the lab's provider does; returns how it fails. */
    const refusal = (changes: object) =>
        command
            .create(
                {
                    urn: "urn:test::host",
                    type: "command:remote:Command",
                    config: {},
                    say: () => undefined,
                    stop: new AbortController().signal,
                },
                {
                    connection: { ...connection(), dialErrorLimit: 0, perDialTimeout: 5, ...changes },
                    create: "sh -s apply",
                    stdin: program(),
                },
            )
            .then(
                () => "",
                (error: Error) => error.message,
            );

    test.each([
        [
            "no host at the address",
            async () => ({ host: address.replace(/\d+$/, "29") }),
            /no SSH connection \(.*(No route to host|timed out).*Check address, port, firewall/,
            /EHOSTUNREACH|Timed out/,
        ],
        [
            "no sshd at the port",
            async () => ({ port: 2222 }),
            /:2222: no SSH connection \(.*Connection refused/,
            /:2222: connect ECONNREFUSED/,
        ],
        [
            "another host key",
            async () => ({ hostKey: (await otherKey()).publicKey }),
            /shows another host key than the one configured/,
            /host key mismatch/,
        ],
        [
            "another SSH key",
            async () => ({ privateKey: (await otherKey()).privateKey }),
            /the host refuses the SSH key/,
            /authentication methods failed/,
        ],
    ])("%s: the probe says so and does not fail, the apply fails clearly", async (_what, changes, probed, applied) => {
        const changed = await changes();
        const found = await probe(changed);
        expect(found).toMatch(/^unreachable: root@/);
        expect(found).toMatch(probed);
        expect(await refusal(changed)).toMatch(applied);
    });
});

test("no private key was said", () => {
    const lines = keys.flatMap(key => key.trim().split("\n").slice(1, -1));
    expect(lines.length).toBeGreaterThan(8);
    for (const line of lines) expect(heard.some(text => text.includes(line))).toBe(false);
});
