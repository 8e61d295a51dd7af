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
const files = "/etc/nginx/rancher-ha";

test.each([
    ["content", `sed -i --follow-symlinks 's/least_conn;/ip_hash;/' ${conf}`, `${conf}: content changed`],
    [
        "a file instead of the link",
        `sed -i 's/least_conn;/least_conn; /' ${conf}`,
        `${conf}: no longer a link to rancher-ha/nginx.conf\n${conf}: content changed`,
    ],
    ["certificate", `sed -i '2s/./x/' ${files}/fullchain.pem`, `${files}/fullchain.pem: content changed`],
    ["mode", `chmod 644 ${files}/privkey.pem`, `${files}/privkey.pem: mode and owner 644 root:root, expected 600 root:root`],
    [
        "owner",
        `chown www-data:www-data ${files}/privkey.pem`,
        `${files}/privkey.pem: mode and owner 600 www-data:www-data, expected 600 root:root`,
    ],
    ["missing file", "rm /etc/sysctl.d/zz-rancher-ha.conf", "/etc/sysctl.d/zz-rancher-ha.conf: missing"],
    ["missing link", `rm ${files}`, `${conf}: missing\n${files}/fullchain.pem: missing\n${files}/privkey.pem: missing`],
    ["service stopped", "systemctl stop nginx; systemctl reset-failed nginx", "nginx.service: inactive, expected active"],
    ["service disabled", "systemctl -q disable nginx 2>/dev/null", "nginx.service: disabled, expected enabled"],
    ["kernel setting", "sysctl -q -w net.ipv4.tcp_retries2=15", "kernel setting net.ipv4.tcp_retries2: 15, expected 5"],
    // Another version of the package cannot be had here: what is noted is changed instead.
    [
        "NGINX version",
        `sed -i 's/^package:nginx .*/package:nginx 1.0-1/' ${stateFolder}/manifest`,
        /^nginx: version 1\.22\.\S+, expected 1\.0-1$/,
    ],
    [
        "workers of another release",
        `cp -p ${conf} /run/nginx.conf; sed -i --follow-symlinks 's/return 200 "[0-9a-f]* /return 200 "another /' ${conf}; systemctl reload nginx
        for n in $(seq 300); do curl -s http://127.0.0.1:10280/release | grep -q ^another && break; sleep 0.2; done; cat /run/nginx.conf >${conf}`,
        /^running workers: release another, expected \w{12}$/,
    ],
    ["package removed", "dpkg --purge nginx >/dev/null 2>&1", /^nginx: version none, expected 1\.22/],
])("drift is found, and healed by an apply: %s", async (_what, tamper, finding) => {
    await lb.sh(tamper);
    const found = await lb.probe();
    if (typeof finding === "string") expect(found).toBe(finding);
    else expect(found).toMatch(finding);
    await lb.apply();
    expect(await lb.probe()).toBe("in sync");
    await lb.served();
});

test("a reload that does not happen is noticed, although the old workers say the same release", async () => {
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
