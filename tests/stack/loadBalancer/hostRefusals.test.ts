import { disposable, listener, noListener, testLab } from "../fixtures";
import { LoadBalancerHost } from "./loadBalancerHost";

jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
let lb: LoadBalancerHost;
beforeAll(async () => void (lb = await LoadBalancerHost.start(lab)));
afterAll(() => LoadBalancerHost.stop(lb));

describe("a host that cannot become a load balancer is refused untouched", () => {
    test("another system than Debian or Ubuntu", () =>
        lb.broken(
            "printf 'ID=fedora\\nPRETTY_NAME=\"Fedora Linux 42\"\\n' >/run/os-release; mount --bind /run/os-release /usr/lib/os-release",
            "umount /usr/lib/os-release",
            () => lb.refuses({}, /lb2: expected Debian or Ubuntu, found Fedora Linux 42\. Nothing was changed/),
        ));

    test("port 443 taken by another process, which is named", () =>
        lb.broken(listener(443), noListener, () => lb.refuses({}, /ports 80 and 443 must be free for NGINX[^]*:443 [^]*"perl",pid=/)));

    test("port 6443 taken by another process, when the Kubernetes API passes through", () => {
        const passing = { kubernetesApi: true, controlPlane: ["192.0.2.31"] };
        return lb.broken(listener(6443), noListener, () =>
            lb.refuses(passing, /ports 80, 443 and 6443 must be free for NGINX[^]*:6443 [^]*"perl",pid=/),
        );
    });

    test.each([
        ["a binary", "/usr/local/sbin/nginx"],
        ["a unit", "/etc/systemd/system/nginx.service"],
    ])("an NGINX that did not come as a package: %s", (_what, file) =>
        lb.broken(
            `printf '[Service]\\nExecStart=/bin/true\\n' >${file}; chmod 755 ${file}; systemctl daemon-reload`,
            `rm ${file}; systemctl daemon-reload`,
            async () => {
                const words = `expected no NGINX or that of the package nginx, found ${file} (of no package)`;
                expect(await lb.probe()).toContain(`refused: lb2: ${words}`);
                await lb.refuses({ takeOver: true }, new RegExp(words.replace(/[.()]/g, "\\$&")));
            },
        ),
    );

    test("ports held by a foreign program of the name nginx", () =>
        lb.broken(`cp /usr/bin/perl /tmp/nginx; ${listener(80, "/tmp/nginx")}`, `${noListener}; rm /tmp/nginx`, () =>
            lb.refuses({ takeOver: true }, /ports 80 and 443 must be free for NGINX[^]*:80 [^]*"nginx",pid=/),
        ));

    test("a configuration that is left of an NGINX", () =>
        lb.broken("mkdir /etc/nginx; echo 'events {}' >/etc/nginx/nginx.conf", "rm -r /etc/nginx", () =>
            lb.refuses({}, /nginx on this host is configured for something else: \[RHA host-not-fit\]\n\/etc\/nginx\/nginx\.conf\n/),
        ));
});

describe("a host that has NGINX already", () => {
    beforeAll(() => lb.install("nginx"));
    afterAll(() => lb.sh("dpkg --purge nginx nginx-common >/dev/null 2>&1 || true"));

    test("with a configuration of its own is refused, with a list of it", () =>
        lb.broken(
            "cp -p /etc/nginx/nginx.conf /run/; echo '# ours' >>/etc/nginx/nginx.conf; touch /etc/nginx/conf.d/shop.conf",
            "cp -p /run/nginx.conf /etc/nginx/; rm /etc/nginx/conf.d/shop.conf",
            async () => {
                await lb.refuses(
                    {},
                    /configured for something else: \[RHA host-not-fit\]\n\/etc\/nginx\/nginx\.conf \(changed\)\n\/etc\/nginx\/conf\.d\/shop\.conf\nChoose another host, remove that configuration, or set takeOver/,
                );
            },
        ));

    test("with a module's own configuration is refused", () =>
        lb.broken(
            "echo 'stream { server { listen 5432; return x; } }' >/etc/nginx/modules-enabled/90-stream.conf",
            "rm /etc/nginx/modules-enabled/90-stream.conf",
            () => lb.refuses({}, /configured for something else: \[RHA host-not-fit\]\n\/etc\/nginx\/modules-enabled\/90-stream\.conf\n/),
        ));

    test.each([
        ["a file", "rm $d; echo 'server { listen 80; }' >$d"],
        ["a link to another one", "ln -sfn /etc/shop.conf $d"],
    ])("with %s in the place of the package's own site is refused", (_what, put) =>
        lb.broken(
            `d=/etc/nginx/sites-enabled/default; ${put}`,
            "ln -sfn /etc/nginx/sites-available/default /etc/nginx/sites-enabled/default",
            () =>
                lb.refuses(
                    {},
                    /configured for something else: \[RHA host-not-fit\]\n\/etc\/nginx\/sites-enabled\/default\nChoose another host/,
                ),
        ),
    );

    test("is as it was after an apply that failed", () =>
        lb.broken(listener(280), noListener, () =>
            lb.refuses({}, /does not serve the new release[^]*127\.0\.0\.1:280 failed[^]*the host was restored as it was/),
        ));
});
