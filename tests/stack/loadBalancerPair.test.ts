import { once } from "events";
import { createServer, Server } from "http";
import { request } from "https";
import { AddressInfo } from "net";
import { addressOf, Host, hostExec, Instance, removeHost, startHost } from "../../lab/lab";
import { run, until } from "../../lab/process";
import { buildTools } from "../../lab/tools";
import { issue } from "../certificates";
import { forgetLoadBalancer, hostArgs, runLoadBalancer } from "./loadBalancerProgram";
import { hostDigest } from "./testStack";

jest.setTimeout(5 * 60_000);
process.env.PULUMI_NODEJS_TRANSPILE_ONLY = "true";

const instance: Instance = "test";
const hosts = ["lb1", "lb2"] as const;
const virtualIp = addressOf(instance, "lb1").replace(/\d+$/, "20");
const hostname = "rancher.lab.internal";
const ca = issue({ name: "CA of a test", ca: true });
const certificate = issue({ name: hostname, by: ca, names: [`DNS:${hostname}`], usage: "serverAuth" });

let tools: string;
let upstream: Server;
let pristine: string[];

const onHost = async (host: Host, script: string) => (await hostExec(instance, host, ["sh", "-c", script])).stdout;
/** A host that is no part of the pair at first. */
const spare = "upstream1";
const everywhere = (script: string) => Promise.all(hosts.map(host => onHost(host, script)));

beforeAll(async () => {
    forgetLoadBalancer(instance);
    await Promise.all([...hosts, spare].map(host => removeHost(instance, host as Host)));
    tools = await buildTools(true);
    await Promise.all([...hosts, spare].map(host => startHost(instance, host as Host)));
    pristine = await Promise.all(hosts.map(host => hostDigest(host, instance)));
    upstream = createServer((asked, answer) => {
        asked.resume().on("end", () => answer.end(`served ${asked.headers["x-forwarded-proto"]}`));
    });
    await once(upstream.listen(0, virtualIp.replace(/\d+$/, "1")), "listening");
});

afterAll(async () => {
    upstream?.close();
    await Promise.all([...hosts, spare].map(host => removeHost(instance, host as Host)));
});

/** Runs the program of tests/fixtures/loadBalancer with these arguments beside those of a pair. */
function pulumi(verb: string, changes: object = {}, flags: string[] = []) {
    const { address: gateway, port } = upstream.address() as AddressInfo;
    const args = {
        hosts: hosts.map(host => hostArgs(instance, host)),
        virtualIp: { address: virtualIp },
        hostname,
        upstreams: [gateway],
        upstreamPort: port,
        certificateChain: certificate.certificate,
        privateKey: certificate.privateKey,
        ...changes,
    };
    return runLoadBalancer(instance, tools, verb, args, flags);
}

async function up(changes: object = {}): Promise<string> {
    const { code, output } = await pulumi("up", changes);
    if (code !== 0) throw new Error(output);
    return output;
}

async function noChanges(changes: object = {}): Promise<void> {
    const { code, output } = await pulumi("preview", changes, ["--expect-no-changes"]);
    expect({ code, output: code === 0 ? "" : output }).toEqual({ code: 0, output: "" });
}

/** Hosts that hold the virtual IP. */
async function holders(): Promise<Host[]> {
    const found = await everywhere(`ip -o -4 address show to ${virtualIp}`);
    return hosts.filter((_host, index) => found[index].trim() !== "");
}
const holder = async () => {
    await until("one host that holds the virtual IP", 30, async () => (await holders()).length === 1);
    return (await holders())[0];
};
const other = (host: Host) => hosts.find(each => each !== host)!;

/** A request over a connection of its own, as a client of the virtual IP or of one host. */
function ask(address = virtualIp): Promise<string> {
    return new Promise((resolve, reject) => {
        const options = {
            host: address,
            servername: hostname,
            ca: ca.certificate,
            agent: false,
            headers: { host: hostname },
            timeout: 1000,
        };
        const asked = request(options, answer => {
            let body = "";
            answer.on("data", chunk => (body += chunk)).on("end", () => resolve(`${answer.statusCode} ${body}`));
        });
        asked
            .on("timeout", () => asked.destroy(new Error("no answer")))
            .on("error", reject)
            .end();
    });
}
const answers = (address = virtualIp) =>
    until(`an answer at ${address}`, 30, () =>
        ask(address).then(
            text => text === "200 served https",
            () => false,
        ),
    );

/** Asks 20 times a second while `work` runs; returns how many requests there were, and why some failed. */
async function underLoad(work: () => Promise<unknown>, address = virtualIp): Promise<{ asked: number; failures: string[] }> {
    const failures: string[] = [];
    const running: Promise<unknown>[] = [];
    const timer = setInterval(() => {
        if (running.length < 4000) running.push(ask(address).catch((error: Error) => failures.push(error.message)));
    }, 50);
    try {
        await work();
    } finally {
        clearInterval(timer);
    }
    await Promise.all(running);
    return { asked: running.length, failures };
}

/** The machine's end of the cable of a host. */
async function cable(host: Host): Promise<string> {
    const index = (await onHost(host, "cat /sys/class/net/eth0/iflink")).trim();
    const { stdout } = await run("ip", ["-o", "link"]);
    return new RegExp(`^${index}: ([^@:]+)`, "m").exec(stdout)![1];
}

const release = (host: Host) => onHost(host, "readlink /etc/nginx/rancher-ha");
const workers = (host: Host) => onHost(host, "pgrep -P $(cat /run/nginx.pid) | sort");

test("comes up: one host holds the virtual IP and answers there, and the next preview is empty", async () => {
    await up();
    expect(await holders()).toHaveLength(1);
    await answers();
    await noChanges();
});

test("a second up reloads nothing", async () => {
    const before = await Promise.all(hosts.map(workers));
    await up();
    expect(await Promise.all(hosts.map(workers))).toEqual(before);
});

test("a change reaches the host that users do not reach first, and no request is lost", async () => {
    const active = await holder();
    let output = "";
    const { asked, failures } = await underLoad(async () => (output = await up({ readTimeoutSeconds: 3600 })));
    const order = [...output.matchAll(/(lb\d): switching/g)].map(match => match[1]);
    expect(order).toEqual([other(active), active]);
    expect(asked).toBeGreaterThan(20);
    expect(failures).toEqual([]);
    expect(await holders()).toEqual([active]);
    await up();
});

test("a certificate is replaced on both hosts, and no request is lost", async () => {
    const renewed = issue({ name: hostname, by: ca, names: [`DNS:${hostname}`], usage: "serverAuth" });
    const changes = { certificateChain: renewed.certificate, privateKey: renewed.privateKey };
    const { asked, failures } = await underLoad(() => up(changes));
    expect(asked).toBeGreaterThan(20);
    expect(failures).toEqual([]);
    expect(await everywhere("cat /etc/nginx/rancher-ha/fullchain.pem")).toEqual([renewed.certificate, renewed.certificate]);
    await noChanges(changes);
    await up();
});

test("a change that the first host refuses never reaches the second", async () => {
    const active = await holder();
    const before = await Promise.all(hosts.map(release));
    const { code, output } = await pulumi("up", { extraDirectives: { server: "no_such_directive on;" } });
    expect(code).toBe(1);
    expect(output).toMatch(
        new RegExp(`${other(active)}: NGINX [\\d.]+ refuses the configuration:[^]*unknown directive "no_such_directive"`),
    );
    expect(output).not.toContain(`${active}: `);
    expect(await Promise.all(hosts.map(release))).toEqual(before);
    await answers();
});

test("a host that cannot be reached is named, and the other one is not touched", async () => {
    const active = await holder();
    const before = await release(active);
    await onHost(other(active), "systemctl stop ssh.socket ssh.service 2>/dev/null; true");
    try {
        const { code, output } = await pulumi("up", { readTimeoutSeconds: 3600 });
        expect(code).toBe(1);
        expect(output).toMatch(new RegExp(`error: .*lb-host-\\d: .*${addressOf(instance, other(active))}`));
        expect(await release(active)).toBe(before);
    } finally {
        await onHost(other(active), "systemctl start ssh.service");
    }
    await up();
    await noChanges();
});

describe("the other host takes the virtual IP", () => {
    test.each<[string, (host: Host) => Promise<unknown>, (host: Host) => Promise<unknown>]>([
        [
            "when NGINX is killed; NGINX comes back by itself",
            host => onHost(host, "kill -9 $(cat /run/nginx.pid)"),
            host =>
                until(
                    "NGINX",
                    30,
                    async () => (await hostExec(instance, host, ["systemctl", "is-active", "nginx"], { tolerate: true })).code === 0,
                ),
        ],
        [
            "when NGINX hangs",
            host => onHost(host, "kill -STOP $(pgrep -P $(cat /run/nginx.pid))"),
            host => onHost(host, "kill -CONT $(pgrep -P $(cat /run/nginx.pid))"),
        ],
        [
            "when its link is lost",
            async host => run("ip", ["link", "set", await cable(host), "down"]),
            async host => run("ip", ["link", "set", await cable(host), "up"]),
        ],
    ])("%s, and keeps it when the first is back", async (_what, harm, mend) => {
        const active = await holder();
        await harm(active);
        await until("the other host to take the virtual IP", 30, async () => (await holders()).includes(other(active)));
        await answers();
        await mend(active);
        await until("one holder", 30, async () => (await holders()).length === 1);
        expect(await holders()).toEqual([other(active)]);
        await answers();
        await noChanges();
    });

    test("keepalived killed: it comes back by itself, with one holder", async () => {
        const active = await holder();
        await onHost(active, "systemctl kill --signal=KILL keepalived");
        await until(
            "keepalived",
            30,
            async () => (await hostExec(instance, active, ["systemctl", "is-active", "keepalived"], { tolerate: true })).code === 0,
        );
        await holder();
        await answers();
        await noChanges();
    });
});

test("hosts that do not hear each other both hold the address, and a preview says so", async () => {
    const cut = (how: string) => everywhere(`for chain in INPUT OUTPUT; do iptables ${how} $chain -p vrrp -j DROP; done`);
    await cut("-I");
    try {
        await until("both hosts hold the virtual IP", 30, async () => (await holders()).length === 2);
        await answers();
        const { code, output } = await pulumi("preview");
        expect(code).toBe(0);
        expect(output).toMatch(/both [\d.]+ and [\d.]+ hold the virtual IP [\d.]+: they do not hear each other/);
    } finally {
        await cut("-D");
    }
    await holder();
    await noChanges();
});

test.each<[string, string, RegExp]>([
    ["keepalived stopped", "systemctl stop keepalived", /keepalived\.service: inactive, expected active/],
    ["keepalived.conf edited", "sed -i 's/priority .*/priority 1/' /etc/keepalived/keepalived.conf", /keepalived\.conf: content changed/],
])("drift: %s is seen in a preview, and healed by up", async (_what, tamper, finding) => {
    await onHost("lb2", tamper);
    expect((await pulumi("preview", {}, ["--diff"])).output).toMatch(finding);
    await up();
    await noChanges();
    await answers();
});

test("a pair becomes one host again: the virtual IP and keepalived's configuration go", async () => {
    // The host that is left out is emptied by its own destroy.
    await pulumi("up", {
        hosts: [hostArgs(instance, "lb1")],
        virtualIp: undefined,
    });
    expect(await holders()).toEqual([]);
    expect(await hostDigest("lb2", instance)).toBe(pristine[1]);
    expect(await onHost("lb1", "systemctl is-active keepalived || true; ls /etc/keepalived/keepalived.conf 2>&1 || true")).toMatch(
        /^inactive\n.*No such file/,
    );
    await up();
    await answers();
});

describe("hosts change their places", () => {
    const some = (...chosen: Host[]) => ({
        hosts: chosen.map(host => hostArgs(instance, host)),
        ...(chosen.length > 1 ? {} : { virtualIp: undefined }),
    });
    const digest = (host: Host) => hostDigest(host, instance);
    const owners = async (...chosen: Host[]) =>
        Promise.all(chosen.map(async host => (await onHost(host, "cat /var/lib/pulumi-rancher-ha/load-balancer/owner")).trim()));
    const owner = (index: number, host: Host) => `lb-host-${index}@${addressOf(instance, host)}`;
    let spareAtFirst: string;

    test("two that swap serve on", async () => {
        spareAtFirst = await digest(spare);
        await up(some("lb1", "lb2"));
        const { failures } = await underLoad(() => up(some("lb2", "lb1")));
        expect(await owners("lb2", "lb1")).toEqual([owner(1, "lb2"), owner(2, "lb1")]);
        // The address moves once or twice, each time within half a second.
        expect(failures.length).toBeLessThan(20);
        await answers();
        await noChanges(some("lb2", "lb1"));
    });

    test("one of a pair that gets another address: the new one serves, the old one is clean", async () => {
        const { failures } = await underLoad(() => up(some("lb2", spare)));
        expect(failures.length).toBeLessThan(20);
        expect(await digest("lb1")).toBe(pristine[0]);
        expect(await owners("lb2", spare)).toEqual([owner(1, "lb2"), owner(2, spare)]);
        await answers(addressOf(instance, spare));
        await answers();
        await noChanges(some("lb2", spare));
    });

    test("the first of a pair is dropped: the one that is left serves all the time, the dropped one is clean", async () => {
        const { asked, failures } = await underLoad(() => up(some(spare)), addressOf(instance, spare));
        expect(asked).toBeGreaterThan(20);
        expect(failures).toEqual([]);
        expect(await digest("lb2")).toBe(pristine[1]);
        expect(await owners(spare)).toEqual([owner(1, spare)]);
        await noChanges(some(spare));
    });

    test("a host alone that gets another address: the old one serves until the new one does, then it is clean", async () => {
        const output = await up(some("lb1"));
        expect(output.indexOf("lb1: serves release")).toBeLessThan(output.indexOf(`${spare}: removing packages`));
        await answers(addressOf(instance, "lb1"));
        expect(await digest(spare)).toBe(spareAtFirst);
        await noChanges(some("lb1"));
    });
});

test("destroy leaves the hosts as they were", async () => {
    expect((await pulumi("destroy")).code).toBe(0);
    expect(await Promise.all(hosts.map(host => hostDigest(host, instance)))).toEqual(pristine);
});
