import { readFileSync } from "fs";
import { join } from "path";
import { Vrrp } from "../../components/loadBalancer/keepalivedConf";
import { hostScript } from "../../components/loadBalancer/program";
import { nginxConf } from "../../components/loadBalancer/nginxConf";
import { releaseFor } from "../../components/loadBalancer/release";
import { NginxSettings, nginxSettingsSchema } from "../../components/loadBalancer/schema";
import { sysctlConf } from "../../components/loadBalancer/sysctlConf";
import { HostName } from "../../lab/inventory";
import { Lab } from "../../lab/lab";
import { finishNginxConf } from "../../lab/loadBalancer/hostFunctions";
import { manualConf } from "../../lab/manualConf";
import { run, until } from "../../lab/process";
import { Traffic } from "../../lab/traffic";
import { issue, KeyKind } from "../../lab/certificates";

/** Lab in which the load balancer is measured. All load stays inside its network. */
export const lab = Lab.of("bench");
export const hostname = "rancher.lab.internal";
export const upstreams = ["upstream1", "upstream2", "upstream3"] as const;
/** lb3 has a newer NGINX. */
const balancers = ["lb1", "lb2", "lb3", "lb4"] as const;
export type Balancer = (typeof balancers)[number];

export const ports = { work: 80, speed: 8080, long: 8081 };
export const traffic = new Traffic(lab);
const ca = issue({ name: "CA of a benchmark", ca: true });
const certificateOf = (key: string[]) => issue({ name: hostname, by: ca, names: [`DNS:${hostname}`], usage: "serverAuth", key });
export const certificates = { rsa: certificateOf(KeyKind.Rsa), ecdsa: certificateOf(KeyKind.Ecdsa) };

/** A configuration that is measured. */
export interface Variant {
    name: string;
    ours: boolean;
    /** HAProxy instead of NGINX. */
    haproxy?: true;
    key: keyof typeof certificates;
    /** Settings that differ from our defaults. */
    changes?: Partial<NginxSettings>;
    /** Environment of NGINX, in the form of shell assignments. */
    environment?: string;
}

export const manual: Variant = { name: "manual", ours: false, key: "rsa" };
export const ours: Variant = { name: "ours", ours: true, key: "ecdsa" };
/** HAProxy with our certificate, on a host with our kernel settings. */
export const haproxy: Variant = { ...ours, name: "HAProxy", haproxy: true };

export const sh = (host: HostName, script: string, tolerate = false) => lab.host(host).sh(script, { tolerate });
export const address = (host: HostName) => lab.host(host).address;
export const pause = (seconds: number) => new Promise(resolve => setTimeout(resolve, seconds * 1000));

export async function startBed(): Promise<void> {
    await lab.stop();
    const all: HostName[] = [...balancers, "client", ...upstreams];
    await lab.start(...all);
    await traffic.install(await lab.tools(), all);
    const packages = { client: ["wrk", "nghttp2-client"], balancer: ["nginx", "openssl", "haproxy"], upstream: ["nginx"] };
    await Promise.all(
        all.map(async host => {
            const kind = host === "client" ? "client" : host.startsWith("lb") ? "balancer" : "upstream";
            await lab.host(host).script(join(__dirname, "prepareHost.sh"), packages[kind]);
            if (kind === "upstream") await startUpstream(host);
            if (kind === "client") await sh(host, `echo "${address("lb1")} ${hostname}" >>/etc/hosts`);
        }),
    );
    // A configuration that opens a connection for each request would otherwise run out of ports first.
    const range = "net.ipv4.ip_local_port_range='1024 65000' net.ipv4.tcp_tw_reuse=1";
    await Promise.all(["client" as const, ...balancers].map(host => sh(host, `sysctl -qw ${range}`)));
    // The congestion control is Debian's default, whatever this machine uses. BBR paces packets, which costs CPU time. A network namespace
    // that may not choose cubic gets reno, the most similar one.
    const congestion = ["cubic", "reno"].map(name => `sysctl -qw net.ipv4.tcp_congestion_control=${name}`).join(" 2>/dev/null || ");
    await Promise.all(all.map(host => sh(host, congestion)));
}

/**
 * Starts three upstreams on a host. The first answers as fast as possible. The second works for a while, fails on request and ends tunnels.
 * The third sends long answers.
 */
async function startUpstream(host: HostName): Promise<void> {
    const fast = `user www-data; worker_processes 1; pid /run/fast.pid; worker_rlimit_nofile 18000; events { worker_connections 9000; }
        http { access_log off; keepalive_timeout 75s; keepalive_requests 1000000;
        server { listen ${ports.speed} backlog=4096; default_type application/json;
        location / { return 200 "${"x".repeat(1024)}"; } location = /64k { root /bench; } } }`;
    await lab.host(host).write("/bench/fast.conf", fast);
    await lab.host(host).write("/bench/64k", "x".repeat(65_536));
    await lab.host(host).write("/bench/upstream.pl", readFileSync(join(__dirname, "upstream.pl"), "utf8"));
    await sh(host, `setsid perl /bench/upstream.pl ${ports.long} </dev/null >/dev/null 2>&1 &`);
    await sh(host, "taskset -c 1 nginx -c /bench/fast.conf");
    await traffic.startUpstream(host, ports.work);
}

export function settings(variant: Variant, port: keyof typeof ports, changes: Partial<NginxSettings> = {}): NginxSettings {
    const { certificate, privateKey } = certificates[variant.key];
    const host = { address: address("lb1"), privateKey, hostKey: lab.host("lb1").hostKey };
    const required = { hosts: [host], hostname, upstreams: upstreams.map(address), upstreamPort: ports[port] };
    return { ...nginxSettingsSchema.parse({ ...required, certificateChain: certificate, privateKey }), ...variant.changes, ...changes };
}

const versions = new Map<Balancer, string>();
export async function nginxVersion(host: Balancer): Promise<string> {
    if (!versions.has(host)) versions.set(host, (await sh(host, "nginx -v 2>&1")).replace(/^.*nginx\/([0-9.]+)[^]*$/, "$1"));
    return versions.get(host)!;
}
export const congestionControl = async (host: Balancer) => (await sh(host, "sysctl -n net.ipv4.tcp_congestion_control")).trim();
export const openFiles = async (host: Balancer) => Number((await sh(host, "ulimit -Hn")).trim());

/** Limit of open files here, where a shell starts NGINX, and not its unit. */
const limitOfShell = "open_files() { ulimit -Hn; }";

/** Installs a configuration on a balancer, beside other ones. */
export async function place(
    host: Balancer,
    variant: Variant,
    port: keyof typeof ports,
    changes: Partial<NginxSettings> = {},
): Promise<string> {
    const folder = `/bench/${variant.name.replace(/\W+/g, "-")}`;
    const known = settings(variant, port, changes);
    if (variant.haproxy) return placeHaproxy(host, folder, known);
    const text = variant.ours
        ? await lab.host(host).sh(finishNginxConf(limitOfShell), { input: nginxConf(known) })
        : manualConf({
              openFiles: Math.min(40_000, await openFiles(host)),
              servers: known.upstreams.map(each => `${each}:${known.upstreamPort}`),
              hostname,
              certificates: `${folder}/rancher-ha/`,
          });
    const files = { ...releaseFor(known).files, "nginx.conf": text };
    await sh(host, `mkdir -p ${folder}/rancher-ha`);
    for (const [name, content] of Object.entries(files)) {
        if (!/\.pem$|^nginx\.conf$/.test(name)) continue;
        const file = name === "nginx.conf" ? `${folder}/${name}` : `${folder}/rancher-ha/${name}`;
        await lab.host(host).write(file, content);
    }
    return folder;
}

async function placeHaproxy(host: Balancer, folder: string, known: NginxSettings): Promise<string> {
    const servers = known.upstreams.map((each, index) => `    server node${index + 1} ${each}:${known.upstreamPort}`);
    const text = readFileSync(join(__dirname, "haproxy.cfg"), "utf8")
        .replace("@connections@", String(Math.floor((await openFiles(host)) / 2.1)))
        .replace("@certificate@", `${folder}/server.pem`)
        .replace("@servers@", servers.join("\n"))
        .replaceAll("@hostname@", hostname);
    await sh(host, `mkdir -p ${folder}`);
    await lab.host(host).write(`${folder}/server.pem`, `${known.certificateChain!.trim()}\n${known.privateKey!}`, "600");
    await lab.host(host).write(`${folder}/haproxy.cfg`, text);
    return folder;
}

const haproxyPid = "/run/bench.pid";

/** Shell text that makes HAProxy read its configuration anew, as its unit of systemd does. */
export const reloadHaproxy = `kill -USR2 $(cat ${haproxyPid})`;

/** Returns the commands that start and stop an installed configuration. */
function program({ haproxy, environment = "" }: Variant, folder: string, pinned: boolean): { start: string; stop: string } {
    const prefix = `${environment} ${pinned ? "taskset -c 0" : ""}`;
    if (!haproxy) {
        return { start: `${prefix} nginx -c ${folder}/nginx.conf 2>&1`, stop: `nginx -c ${folder}/nginx.conf -s stop 2>/dev/null` };
    }
    // Its unit of systemd starts it with a master (-W), too.
    const start = `${prefix} setsid haproxy -W -db -f ${folder}/haproxy.cfg </dev/null >/var/log/haproxy.log 2>&1 & echo $! >${haproxyPid}`;
    return { start, stop: `kill $(cat ${haproxyPid})` };
}

/** Runs the program of the component on a balancer, as `up` and `destroy` do. */
export async function component(host: Balancer, verb: "apply" | "destroy", known: NginxSettings, vrrp?: Vrrp): Promise<void> {
    const settings = { ...known, takeOver: true };
    const input = hostScript({ owner: "bench", settings, release: releaseFor(settings, vrrp), epoch: 0, vrrp });
    await lab.host(host).exec(["sh", "-s", verb], { input });
}

/** Sets the kernel settings of a host: ours, or those of a host without changes. */
async function setKernel(host: Balancer, isOurs: boolean): Promise<void> {
    const untouched =
        "net.ipv4.tcp_keepalive_time=7200 net.ipv4.tcp_keepalive_intvl=75 net.ipv4.tcp_keepalive_probes=9 net.ipv4.tcp_retries2=15 net.ipv4.tcp_thin_linear_timeouts=0";
    const lines = [...sysctlConf(settings(ours, "work")).matchAll(/^(net\S+) = (\d+)$/gm)]
        .map(([, name, value]) => `${name}=${value}`)
        .join(" ");
    await sh(host, `sysctl -qw ${isOurs ? lines : untouched}`);
}

/** Runs NGINX, or HAProxy, with an installed configuration while `work` runs. With `pinned`, it has the first core only. */
export async function serving<T>(
    host: Balancer,
    variant: Variant,
    port: keyof typeof ports,
    work: () => Promise<T>,
    pinned = true,
): Promise<T> {
    const folder = await place(host, variant, port);
    await setKernel(host, variant.ours);
    const { start, stop } = program(variant, folder, pinned);
    await sh(host, `: >/var/log/nginx/access.log; ${start}`);
    try {
        await until(`${variant.name} on ${host}`, 10, async () => (await sh(host, "ss -Hltn 'sport = :443'")) !== "");
        return await work();
    } finally {
        await sh(host, `${stop}; for n in $(seq 100); do ${processes} >/dev/null || break; sleep 0.05; done`);
    }
}

/** Gives the processes of this name on a host real-time priority on their core, or takes this priority away. */
export async function runAtOnce(host: HostName, name: string, atOnce = true): Promise<void> {
    const init = (await run("podman", ["inspect", "--format", "{{.State.Pid}}", lab.host(host).container])).stdout.trim();
    // With cgroup v1, each group has a real-time budget. A container's group has none, and the root group has one.
    const group = "/sys/fs/cgroup/cpu/tasks";
    const one = `[ ! -e ${group} ] || echo $p >${group}; chrt ${atOnce ? "-f -p 10" : "-o -p 0"} $p`;
    await run("sh", ["-c", `for p in $(pgrep --ns ${init} --nslist pid -x ${name}); do ${one}; done`]);
}

const processes = "pgrep -x 'nginx|haproxy'";

/** Returns the CPU time of the load balancer on a host, in microseconds. */
export async function cpu(host: Balancer): Promise<number> {
    const text = await sh(host, `for p in $(${processes}); do cat /proc/$p/schedstat 2>/dev/null; done`);
    return text.split("\n").reduce((sum, line) => sum + Number(line.split(" ")[0] || 0), 0) / 1000;
}

/** Returns the memory of the load balancer on a host (PSS), in bytes. */
export async function memory(host: Balancer): Promise<number> {
    const text = await sh(host, `for p in $(${processes}); do cat /proc/$p/smaps_rollup 2>/dev/null; done`);
    return [...text.matchAll(/^Pss:\s+(\d+)/gm)].reduce((sum, [, kilobytes]) => sum + Number(kilobytes) * 1024, 0);
}
