import { disposable, listener, noListener, testLab } from "../fixtures";
import { hostname, LoadBalancerHost, stateFolder } from "./loadBalancerHost";

jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
let lb: LoadBalancerHost;
beforeAll(async () => {
    lb = await LoadBalancerHost.start(lab);
    await lb.apply();
});
afterAll(() => LoadBalancerHost.stop(lb));

/** A change that a host would accept without the fault of the test. */
const change = { readTimeoutSeconds: 3600 };

describe("a host that serves refuses and serves on", () => {
    afterEach(async () => expect(await lb.probe()).toBe("in sync"));

    test("a configuration that NGINX refuses", () =>
        lb.refuses(lb.program(change).replace("least_conn;", "least_con;"), /refuses the configuration:[^]*unknown directive "least_con"/));

    test("the key of another certificate", () =>
        lb.refuses(
            { ...change, privateKey: lb.certificate().privateKey },
            /the private key rancher-ha\/privkey\.pem does not belong to the certificate rancher-ha\/fullchain\.pem\. The host was left as it was/,
        ));

    test("a release that the workers do not serve in the end", () =>
        lb.refuses(
            lb.program(change).replace(/return 200 "\w{12} /, 'return 200 "another '),
            /does not serve the new release: expected release \w{12} of a new worker, found release 'another' of worker \d+;[^]*the host was rolled back to the previous release/,
        ));

    test("another certificate than the one that was given", () =>
        lb.broken(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -days 1 -keyout /run/other.key -out /run/other.pem 2>/dev/null",
            "rm /run/other.key /run/other.pem",
            () =>
                lb.refuses(
                    lb
                        .program(change)
                        .replaceAll("ssl_certificate rancher-ha/fullchain.pem;", "ssl_certificate /run/other.pem;")
                        .replaceAll("ssl_certificate_key rancher-ha/privkey.pem;", "ssl_certificate_key /run/other.key;"),
                    /does not serve the new release[^]*expected certificate \S+, found '\S+'[^]*the host was rolled back to the previous release/,
                ),
        ));

    test("a port of the nodes on which nobody listens", () =>
        lb.refuses(
            { upstreamPort: 9 },
            new RegExp(
                `reaches no node: expected an answer to https://${hostname}/ping, as the previous release gave \\(200\\), found 502` +
                    "[^]*the host was rolled back to the previous release",
            ),
        ));

    test("a directive that answers in the place of the nodes", () =>
        lb.refuses(
            { extraDirectives: { http: "", server: "return 400;", location: "" } },
            new RegExp(
                `gives another answer than before: expected an answer to https://${hostname}/ping, as the previous release gave \\(200\\), ` +
                    "found 400[^]*the host was rolled back to the previous release",
            ),
        ));

    test("more connections than the host has files", () =>
        lb.refuses(
            { workerConnections: 900_000 },
            /workerConnections: expected at most \d+, because NGINX may open \d+ files on this host, found 900000\. Lower it, or raise LimitNOFILE/,
        ));

    test("port 443 taken by another process while NGINX is down", async () => {
        await lb.sh("systemctl stop nginx");
        await lb.broken(listener(443), `${noListener}; systemctl start nginx`, async () => {
            const before = await lb.state();
            expect(await lb.run("apply", lb.program(change))).toMatchObject({
                code: 1,
                said: expect.stringMatching(/:443 [^]*"perl",pid=/),
            });
            expect(await lb.state()).toBe(before);
        });
    });
});

describe("extra directives", () => {
    const extra = (directives: { http?: string; server?: string }) => ({
        extraDirectives: { http: "", server: "", location: "", ...directives },
    });

    test("take effect", () =>
        lb.changed(
            extra({ http: "map $host $greeting { default hello; }", server: "add_header X-Greeting $greeting always;" }),
            async () => {
                expect((await lb.client.ask()).headers).toMatchObject({ "x-greeting": "hello" });
            },
        ));

    test.each([
        [
            "that NGINX does not know",
            extra({ server: "no_such_directive on;" }),
            /refuses the configuration:[^]*unknown directive "no_such_directive"/,
        ],
        [
            "that open another listener",
            extra({ http: "server { listen 8443; return 204; }" }),
            /expected no other listener than ports 80 and 443, found listen 8443/,
        ],
        [
            "that open one in words that are hard to find",
            extra({ server: 'add_header X "#a"; "listen"\n 8443 ssl;' }),
            /expected no other listener than ports 80 and 443, found listen 8443/,
        ],
        [
            "that include a file with one",
            extra({ http: "include /run/extra.conf;" }),
            /expected no other listener than ports 80 and 443, found listen 0\.0\.0\.0:9443/,
        ],
    ])("%s are refused before they go live", async (_what, changes, words) => {
        await lb.sh("echo 'server { listen 0.0.0.0:9443; }' >/run/extra.conf");
        await lb.refuses(changes, words);
    });
});

describe("a full disk", () => {
    afterEach(async () => expect(await lb.probe()).toBe("in sync"));

    const copy = (place: string, options: string) =>
        `mkdir /run/copy; cp -a ${place}/. /run/copy; mount -t tmpfs -o ${options},mode=700 none ${place}; cp -a /run/copy/. ${place}`;
    const fillUp = (place: string) => `${copy(place, "size=256k")}; dd if=/dev/zero bs=512 2>/dev/null of=${place}/full || true`;
    test.each([
        [
            "while files are staged",
            stateFolder,
            fillUp(stateFolder),
            /could not be written\. Make space on the disk of \/var\/lib\/pulumi-rancher-ha\/load-balancer\. The host was left as it was/,
        ],
        [
            "before anything is staged",
            `${stateFolder}/releases`,
            `${copy(`${stateFolder}/releases`, "size=64k,nr_inodes=1")} || true`,
            /cannot be written: [^]*No space left on device/,
        ],
    ])("%s refuses a change", (_what, place, fill, words) =>
        lb.broken(fill, `umount ${place}; rm -rf /run/copy`, () => lb.refuses(change, words)),
    );

    /** Returns the program of a change that runs `fill` before its last step, which records the state of the host. */
    const filled = (fill: string) => lb.program(change).replace('manifest | write "$state/manifest.next"', `${fill}; $&`);
    const fillState = 'dd if=/dev/zero bs=512 of="$releases/full" 2>/dev/null || true';
    const smallState = "mount -t tmpfs -o size=512k,mode=700 none";
    const restarts = async () => {
        await lb.sh("nginx -t -q && systemctl restart nginx");
        expect((await lb.ask()).status).toBe(200);
    };

    test("once the files are switched: the host is rolled back to the previous release", () =>
        lb.broken(
            `mkdir /run/copy; cp -a ${stateFolder}/. /run/copy; ${smallState} ${stateFolder}; cp -a /run/copy/. ${stateFolder}`,
            `umount ${stateFolder}; rm -rf /run/copy`,
            async () => {
                const releases = () => lb.sh(`readlink /etc/nginx/rancher-ha; ls ${stateFolder}/releases`);
                const before = await releases();
                expect(await lb.run("apply", filled(fillState))).toMatchObject({
                    code: 1,
                    said: expect.stringMatching(
                        /load-balancer cannot be written\. Make space on its disk \[RHA host-storage\]\n.*the host was rolled back to the previous release/,
                    ),
                });
                await lb.sh(`rm ${stateFolder}/releases/full`);
                expect(await releases()).toBe(before);
                await restarts();
            },
        ));

    test("of /etc too: it says so, and NGINX survives a restart", async () => {
        const fillBoth = `${fillState}; n=0; while touch /etc/nginx/full$n 2>/dev/null; do n=$((n + 1)); done`;
        await lb.broken(
            `mkdir -p /run/copy/state /run/copy/nginx; cp -a ${stateFolder}/. /run/copy/state; cp -a /etc/nginx/. /run/copy/nginx
            ${smallState} ${stateFolder}; cp -a /run/copy/state/. ${stateFolder}
            mount -t tmpfs -o size=1m,nr_inodes=200,mode=755 none /etc/nginx; cp -a /run/copy/nginx/. /etc/nginx`,
            `umount ${stateFolder} /etc/nginx; rm -rf /run/copy`,
            async () => {
                expect(await lb.run("apply", filled(fillBoth))).toMatchObject({
                    code: 1,
                    said: expect.stringMatching(/the host could not be rolled back to the previous release: .*nginx\.conf leads to \//),
                });
                await restarts();
            },
        );
        await lb.apply();
        await lb.served();
    });
});
