import { disposable, testLab } from "../fixtures";
import { LoadBalancerHost, stateFolder } from "./loadBalancerHost";

jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
let lb: LoadBalancerHost;
beforeAll(async () => {
    lb = await LoadBalancerHost.start(lab);
});
beforeEach(() => lb.apply());
afterAll(() => LoadBalancerHost.stop(lb));

const conf = "/etc/nginx/nginx.conf";

// pairDrift.test.ts tests manual changes, and docs/drift.md lists them.

test("workers of another release than the files are noticed", async () => {
    await lb.sh(`cp -p ${conf} /run/nginx.conf; sed -i --follow-symlinks 's/return 200 "[0-9a-f]* /return 200 "another /' ${conf}
        systemctl reload nginx
        for n in $(seq 300); do curl -s http://127.0.0.1:280/release | grep -q ^another && break; sleep 0.2; done
        cat /run/nginx.conf >${conf}`);
    expect(await lb.probe()).toMatch(/^running workers: release another, expected \w{12}$/);
    await lb.apply();
    expect(await lb.probe()).toBe("in sync");
});

test.each([
    ["a security update", "1.22.0-0", "in sync"],
    ["another minor version", "1.20.2-1", /^nginx: version 1\.22\.\S+, expected 1\.20\.2-1$/],
])("%s of NGINX", async (_what, noted, finding) => {
    // No other version of the package is available here, so the test changes the recorded version.
    await lb.sh(`sed -i 's/^package:nginx .*/package:nginx ${noted}/' ${stateFolder}/manifest`);
    expect(await lb.probe()).toEqual(typeof finding === "string" ? finding : expect.stringMatching(finding));
    await lb.sh("systemctl restart nginx");
    await lb.apply();
    expect(await lb.probe()).toBe("in sync");
});

test("a greeting of the login shell does not stand in the way of a look", () =>
    lb.broken(
        "cp -p /root/.bashrc /root/.bashrc.kept; printf 'echo Welcome to %s\\nprintf finding' lb2 >/root/.bashrc",
        "mv /root/.bashrc.kept /root/.bashrc",
        async () => {
            expect(await lb.probe()).toBe("in sync");
            await lb.sh("systemctl -q disable nginx 2>/dev/null");
            expect(await lb.probe()).toBe("nginx.service: disabled, expected enabled");
            await lb.sh("systemctl -q enable nginx 2>/dev/null");
        },
    ));

test("apply fails when NGINX did not reload, although workers report the same release", async () => {
    await lb.broken(
        `sed -i --follow-symlinks 's/30s:10s:3/31s:10s:3/' ${conf}
        printf '#!/bin/sh\n[ "$*" != "reload-or-restart nginx.service" ] || exit 0\nexec /usr/bin/systemctl "$@"\n' >/usr/local/sbin/systemctl
        chmod 755 /usr/local/sbin/systemctl`,
        "rm /usr/local/sbin/systemctl",
        async () =>
            expect(await lb.run("apply", lb.program())).toMatchObject({
                code: 1,
                said: expect.stringMatching(/expected release (\w+) of a new worker, found release '\1' of worker \d+/),
            }),
    );
    await lb.apply();
    expect(await lb.probe()).toBe("in sync");
});
