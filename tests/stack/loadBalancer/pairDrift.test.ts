import { until } from "../../../lab/process";
import { DriftTable } from "../driftTable";
import { disposable, testLab } from "../fixtures";
import { Pair } from "./pair";

// A preview must report manual changes on the hosts of a pair, and `up` must repair them. A round takes half a minute, so each round makes
// several changes.
jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
let pair: Pair;
let table: DriftTable;
/** The current arguments of the stack. */
let args: object = { readTimeoutSeconds: 3600 };
const on = (host: "lb1" | "lb2", script: string) => () => lab.host(host).sh(script);
const [conf, files] = ["/etc/nginx/nginx.conf", "/etc/nginx/rancher-ha"];

beforeAll(async () => {
    // With a control plane, NGINX needs the package of its module stream.
    pair = await Pair.start(lab, { args: { controlPlane: [lab.addressAt(31)] } });
    await pair.up();
    const folders = "etc/nginx var/lib/pulumi-rancher-ha etc/sysctl.d etc/systemd/system etc/keepalived usr/local/sbin";
    await on("lb2", `tar -C / -cf /root/snapshot.tar ${folders}`)();
    await pair.up(args);
    table = new DriftTable("load balancer hosts", {
        preview: flags => pair.stack.preview(args, flags),
        up: () => pair.stack.tryUp(args),
    });
});
afterAll(() => Pair.stop(pair));

test("files, modes, services and settings of a host", () =>
    table.round(
        {
            what: "nginx.conf edited",
            make: on("lb1", `sed -i --follow-symlinks 's/least_conn;/ip_hash;/' ${conf}`),
            words: `${conf}: content changed`,
        },
        {
            what: "certificate edited",
            make: on("lb1", `sed -i '2s/./x/' ${files}/fullchain.pem`),
            words: `${files}/fullchain.pem: content changed`,
        },
        {
            what: "key readable by everybody",
            make: on("lb1", `chmod 644 ${files}/privkey.pem`),
            words: `${files}/privkey.pem: mode and owner 644 root:root, expected 600 root:root`,
        },
        {
            what: "file with kernel settings removed",
            make: on("lb1", "rm /etc/sysctl.d/zz-rancher-ha.conf"),
            words: "/etc/sysctl.d/zz-rancher-ha.conf: missing",
        },
        {
            what: "kernel setting changed",
            make: on("lb1", "sysctl -q -w net.ipv4.tcp_retries2=15"),
            words: "kernel setting net.ipv4.tcp_retries2: 15, expected 7",
        },
        {
            what: "NGINX disabled",
            make: on("lb1", "systemctl -q disable nginx 2>/dev/null"),
            words: "nginx.service: disabled, expected enabled",
        },
        {
            what: "keepalived.conf edited",
            make: on("lb1", "sed -i 's/priority .*/priority 1/' /etc/keepalived/keepalived.conf"),
            words: "/etc/keepalived/keepalived.conf: content changed",
        },
        {
            what: "a file in place of the link to nginx.conf",
            make: on("lb2", `sed -i 's/least_conn;/least_conn; /' ${conf}`),
            words: `${conf}: no longer a link to rancher-ha/nginx.conf`,
        },
        {
            what: "key replaced",
            make: on("lb2", `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 >${files}/privkey.pem 2>/dev/null`),
            words: `${files}/privkey.pem: content changed`,
        },
        {
            what: "key owned by NGINX's user",
            make: on("lb2", `chown www-data:www-data ${files}/privkey.pem`),
            words: `${files}/privkey.pem: mode and owner 600 www-data:www-data, expected 600 root:root`,
        },
        {
            what: "drop-in of the unit edited",
            make: on("lb2", "echo >>/etc/systemd/system/nginx.service.d/rancher-ha.conf"),
            words: "/etc/systemd/system/nginx.service.d/rancher-ha.conf: content changed",
        },
        {
            what: "NGINX stopped",
            make: on("lb2", "systemctl stop nginx; systemctl reset-failed nginx"),
            words: "nginx.service: inactive, expected active",
        },
        {
            what: "keepalived stopped",
            make: on("lb2", "systemctl stop keepalived"),
            words: "keepalived.service: inactive, expected active",
        },
    ));

test("what a host lost", () =>
    table.round(
        {
            what: "package removed",
            make: on("lb1", "dpkg --purge libnginx-mod-stream nginx >/dev/null 2>&1"),
            words: "nginx: version none, expected <version>",
        },
        {
            what: "package of a module removed",
            make: on("lb2", "dpkg --purge libnginx-mod-stream >/dev/null 2>&1"),
            words: "NGINX would not start again with the files on this host",
        },
        {
            what: "packet filter of VRRP removed",
            make: on("lb1", "nft flush ruleset"),
            words: "nftables table rancher_ha, which filters VRRP: missing, expected present",
        },
        { what: "link to the release removed", make: on("lb2", `rm ${files}`), words: `${conf}: missing` },
    ));

test("a host that was set back, and what belongs to others", () => {
    const dropIn = "/etc/systemd/system/nginx.service.d/override.conf";
    return table.round(
        {
            what: "host set back to an old snapshot",
            make: on("lb2", "tar -C / -xf /root/snapshot.tar; systemctl daemon-reload; systemctl reload nginx keepalived"),
            words: "release <release>, expected <release>, which this configuration makes",
        },
        {
            what: "a foreign drop-in for NGINX's unit",
            make: on("lb1", `printf '[Service]\\nNice=5\\n' >${dropIn}; systemctl daemon-reload`),
            words: `needs attention: NginxLoadBalancer lb: lb1: nginx.service: the drop-in ${dropIn} is not of this stack`,
            undo: on("lb1", `rm ${dropIn}; systemctl daemon-reload`),
        },
    );
});

test("keepalived stopped on both hosts", () =>
    table.round({
        what: "keepalived stopped on both hosts",
        make: () => pair.everywhere("systemctl stop keepalived"),
        words: "needs attention: no host holds the virtual IP <address>",
    }));

test("hosts that do not hear each other", () => {
    const rule = (verb: string) => pair.everywhere(`iptables ${verb} INPUT -p 112 -j DROP`);
    return table.round({
        what: "VRRP blocked between the hosts",
        make: async () => {
            await rule("-A");
            await until("both hosts to hold the virtual IP", 240, async () => (await pair.holders()).length === 2);
            await pair.answers();
        },
        words: "needs attention: both <host> and <host> hold the virtual IP <address>",
        undo: async () => {
            await rule("-D");
            await pair.active();
        },
    });
});

test("the dates of certificates that another tool keeps on the hosts", async () => {
    const files = { certificateChain: "/etc/tls/rancher/fullchain.pem", privateKey: "/etc/tls/rancher/privkey.pem" };
    await pair.everywhere("mkdir -p /etc/tls/rancher");
    for (const name of Pair.members) {
        await lab.host(name).write(files.certificateChain, pair.stack.provided.certificate, "644");
        await lab.host(name).write(files.privateKey, pair.stack.provided.privateKey, "600");
    }
    args = { certificateChain: undefined, privateKey: undefined, certificateOnHost: files };
    await pair.up(args);
    // All hosts share the clock of this machine. So the test changes the time that openssl of a host reads.
    const wrapper = "/usr/local/bin/openssl";
    const at = (seconds: number) =>
        `printf '#!/bin/sh\ncase $1 in verify) shift; set -- verify -attime ${seconds} "$@" ;; esac\nexec /usr/bin/openssl "$@"\n' >${wrapper}
        chmod 755 ${wrapper}`;
    await table.round(
        {
            what: "certificate of another tool: not valid yet",
            make: on("lb1", at(1_000_000_000)),
            words: `needs attention: NginxLoadBalancer lb: lb1: ${files.certificateChain} is valid from`,
            undo: on("lb1", `rm ${wrapper}`),
        },
        {
            what: "certificate of another tool: expired",
            make: on("lb2", at(4_000_000_000)),
            words: `needs attention: NginxLoadBalancer lb: lb2: ${files.certificateChain} is valid from`,
            undo: on("lb2", `rm ${wrapper}`),
        },
    );
});

test("the page says what was found", () => table.write());
