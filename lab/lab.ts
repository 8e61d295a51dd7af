import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "fs";
import { connect } from "net";
import { join } from "path";
import { buildNodeImage, nodeImageNames } from "./nodeImage/nodeImage";
import { progress, run, RunResult, until } from "./process";
import { buildTools, cacheFolder, digestOfFolder, installDebianPackages, keep, newFolder } from "./tools";

export const repository = join(__dirname, "..");

/** Labs that can stand side by side on one machine, and their /24 networks. */
const networks = { dev: "10.89.77", test: "10.89.78", bench: "10.89.79" };
export type Instance = keyof typeof networks;

/** Hosts of a lab: those of `started` come up with it, the others when a test asks for them. */
const hosts = {
    lb1: { kind: "lb", octet: 21 },
    lb2: { kind: "lb", octet: 22 },
    lb4: { kind: "lb", octet: 24 },
    node1: { kind: "node", octet: 31 },
    node2: { kind: "node", octet: 32 },
    node3: { kind: "node", octet: 33 },
    node4: { kind: "node", octet: 34 },
    // With the NGINX of a newer Debian.
    lb3: { kind: "lb-newer", octet: 23 },
    // For load on a load balancer: a client, and upstreams without a cluster.
    client: { kind: "lb", octet: 41 },
    upstream1: { kind: "lb", octet: 51 },
    upstream2: { kind: "lb", octet: 52 },
    upstream3: { kind: "lb", octet: 53 },
} as const;
export type Host = keyof typeof hosts;
const started: Host[] = ["lb1", "node1", "node2", "node3"];

const label = "io.pulumi-rancher-ha.lab";
const checkoutLabel = "io.pulumi-rancher-ha.checkout";
/** The name of the container that is a host. */
export const container = (instance: Instance, host: Host) => `rancher-ha-${instance}-${host}`;
const network = (instance: Instance) => `rancher-ha-${instance}`;
const dockerVolume = (instance: Instance, host: Host) => `${container(instance, host)}-docker`;
const loginUser = (host: Host) => (hosts[host].kind === "node" ? "rke" : "root");

export function addressOf(instance: Instance, host: Host): string {
    return `${networks[instance]}.${hosts[host].octet}`;
}

/** Files of a lab, inside the repository's ignored folder. */
export function labFiles(instance: Instance) {
    const folder = join(repository, ".lab", instance);
    return { folder, privateKey: join(folder, "ssh", "id_ed25519"), knownHosts: join(folder, "ssh", "known_hosts") };
}

/**
 * Brings the lab up whatever is there. Healthy hosts are kept. When one is dead (a reboot, a killed run) or all are gone but their
 * files, the lab is replaced and the stack's state with it: what stood on their disks is gone. Returns the folder of the lab's tools,
 * for PATH.
 */
export async function startLab(instance: Instance): Promise<string> {
    await installDebianPackages();
    const tools = await buildTools();
    const state = await labState(instance);
    if (state !== "up" && state !== "absent") {
        progress("lab", `${state}: replaced as a whole`);
        await stopLab(instance);
    }
    await once(`network ${instance}`, () => prepare(instance));
    await Promise.all(started.map(host => startHost(instance, host, tools)));
    return tools;
}

/** `up`, `absent`, or what is wrong with a lab of which only a part is there. Refuses one that another checkout has up. */
export async function labState(instance: Instance): Promise<string> {
    const { folder, privateKey } = labFiles(instance);
    const states = await Promise.all(started.map(host => hostState(instance, host)));
    const alive = started.find((_host, index) => states[index] === "healthy");
    const owner = alive && (await checkoutOf(instance, alive));
    if (owner && owner !== repository && existsSync(join(owner, ".lab", instance)))
        throw new Error(`lab ${instance}: expected no other checkout to have it up, found that of ${owner}. Run make down there first`);
    if (states.every(state => state === "healthy")) return existsSync(privateKey) ? "up" : "left by another checkout";
    if (states.every(state => state === "absent")) return existsSync(folder) ? "its hosts are gone, its state is not" : "absent";
    return `half dead (${started.map((host, index) => `${host} ${states[index]}`).join(", ")})`;
}

/** Starts one host unless it is healthy; what is left of it is replaced. */
export async function startHost(instance: Instance, host: Host, tools?: string): Promise<void> {
    const state = await hostState(instance, host);
    if (state === "healthy") return progress(host, "reused");
    await once(`network ${instance}`, () => prepare(instance));
    const kind = hosts[host].kind;
    const image = await once(kind, () => buildHostImage(kind));
    const nodeImage = kind === "node" ? await once("images of RKE", async () => buildNodeImage(tools ?? (await buildTools()))) : undefined;
    await removeHost(instance, host);
    await create(instance, host, image);
    await until(`${host}: services`, 180, async () => {
        const services = kind === "node" ? ["ssh", "docker"] : ["ssh"];
        return (await hostExec(instance, host, ["systemctl", "is-active", ...services], { tolerate: true })).code === 0;
    });
    if (nodeImage) await loadNodeImage(instance, host, nodeImage);
    await authorize(instance, host);
    await until(`${host}: SSH from this machine`, 120, () => reachable(addressOf(instance, host), 22));
    // Last, so that a host that is only half prepared is not taken for a healthy one.
    await hostExec(instance, host, ["touch", "/run/lab-host-ready"]);
    progress(host, state === "absent" ? "started" : `replaced (it was ${state})`);
}

/** Removes a host and its disk. */
export async function removeHost(instance: Instance, host: Host): Promise<void> {
    await run("podman", ["rm", "--force", "--time", "2", "--ignore", container(instance, host)], { tolerate: true, timeoutSeconds: 60 });
    await run("podman", ["volume", "rm", "--force", dockerVolume(instance, host)], { tolerate: true });
}

/** Ends the lab: no container, volume, network or file of it stays. */
export async function stopLab(instance: Instance): Promise<void> {
    await Promise.all((Object.keys(hosts) as Host[]).map(host => removeHost(instance, host)));
    await run("podman", ["network", "rm", "--force", network(instance)], { tolerate: true });
    building.delete(`network ${instance}`);
    rmSync(labFiles(instance).folder, { recursive: true, force: true });
    const left = await run("podman", ["ps", "--all", "--quiet", "--filter", `label=${label}=${instance}`]);
    if (left.stdout.trim()) throw new Error(`containers of lab ${instance} are still there: ${left.stdout.trim()}`);
    progress(`lab ${instance}`, "removed");
}

/** Runs a command inside a host, past SSH: for tests that tamper, look and break. */
export function hostExec(
    instance: Instance,
    host: Host,
    argv: string[],
    options: { input?: string | Buffer; tolerate?: boolean; onLine?: (line: string) => void } = {},
): Promise<RunResult> {
    return run("podman", ["exec", "--interactive", container(instance, host), ...argv], { ...options, timeoutSeconds: 300 });
}

/** Stops a host as if its power failed. */
export async function killHost(instance: Instance, host: Host): Promise<void> {
    await run("podman", ["kill", container(instance, host)]);
}

/** Starts a host that was killed, with its disk. */
export async function reviveHost(instance: Instance, host: Host): Promise<void> {
    await run("podman", ["start", container(instance, host)]);
    await fixGatewayAddress(instance);
}

/** Memory of all processes of the lab, in bytes. */
export async function labMemory(instance: Instance): Promise<number> {
    const { stdout } = await run("podman", ["stats", "--no-stream", "--format", "{{.MemUsageBytes}} {{.Name}}"], { tolerate: true });
    const units: Record<string, number> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, kB: 1e3, MB: 1e6, GB: 1e9 };
    return stdout
        .split("\n")
        .filter(line => line.includes(`rancher-ha-${instance}-`))
        .map(line => /^([\d.]+)\s*([A-Za-z]+)/.exec(line))
        .reduce((sum, match) => sum + (match ? Number(match[1]) * units[match[2]] : 0), 0);
}

/** The lab's network and its SSH key. */
async function prepare(instance: Instance): Promise<string> {
    const { privateKey } = labFiles(instance);
    if (!existsSync(privateKey)) {
        mkdirSync(join(privateKey, ".."), { recursive: true, mode: 0o700 });
        await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", `lab ${instance}`, "-f", privateKey]);
    }
    const exists = (await run("podman", ["network", "exists", network(instance)], { tolerate: true })).code === 0;
    if (!exists) {
        const subnet = `${networks[instance]}.0/24`;
        await run("podman", ["network", "create", "--label", `${label}=${instance}`, "--subnet", subnet, network(instance)]);
        progress("network", `created ${subnet}`);
    }
    return network(instance);
}

/** The folder of the repository that started a host. */
async function checkoutOf(instance: Instance, host: Host): Promise<string> {
    const { stdout } = await run("podman", [
        "inspect",
        "--format",
        `{{index .Config.Labels "${checkoutLabel}"}}`,
        container(instance, host),
    ]);
    return stdout.trim();
}

async function hostState(instance: Instance, host: Host): Promise<string> {
    const inspected = await run("podman", ["inspect", "--format", "{{.State.Status}}", container(instance, host)], { tolerate: true });
    if (inspected.code !== 0) return "absent";
    const status = inspected.stdout.trim();
    if (status !== "running") return status;
    const healthy =
        "test -e /run/lab-host-ready && systemctl is-active ssh >/dev/null && { ! grep -q node /etc/lab-host-kind || docker version >/dev/null; }";
    const probe = await run("podman", ["exec", container(instance, host), "sh", "-c", healthy], { tolerate: true, timeoutSeconds: 15 });
    return probe.code === 0 ? "healthy" : "dead";
}

function reachable(address: string, port: number): Promise<boolean> {
    return new Promise(resolve => {
        const socket = connect({ host: address, port, timeout: 1000 });
        const end = (answer: boolean) => {
            socket.destroy();
            resolve(answer);
        };
        socket
            .on("connect", () => end(true))
            .on("error", () => end(false))
            .on("timeout", () => end(false));
    });
}

async function create(instance: Instance, host: Host, image: string): Promise<void> {
    const isNode = hosts[host].kind === "node";
    await run("podman", [
        "--runtime",
        "runc",
        "run",
        "--detach",
        "--name",
        container(instance, host),
        "--hostname",
        host,
        "--label",
        `${label}=${instance}`,
        "--label",
        `${checkoutLabel}=${repository}`,
        // podman's own --systemd=always binds the machine's systemd hierarchy into every container of a cgroup v1 machine, and
        // then their systemds clean each other's groups up.
        "--systemd=false",
        "--privileged",
        "--cgroupns",
        "private",
        "--env",
        "container=oci",
        // Newer versions of systemd want to be told that a machine with cgroup v1 is meant.
        "--env",
        "SYSTEMD_PROC_CMDLINE=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
        "--stop-signal",
        "SIGRTMIN+3",
        "--tmpfs",
        "/run:rw,mode=755",
        "--tmpfs",
        "/run/lock:rw",
        "--tmpfs",
        "/tmp:rw,exec,mode=1777",
        "--ulimit",
        "nofile=19000:19000",
        "--ulimit",
        "nproc=20000:20000",
        // A hardware address of its own, always the same, so that nobody keeps an old one when a host is replaced.
        "--network",
        network(instance),
        "--ip",
        addressOf(instance, host),
        "--mac-address",
        hardwareAddress(addressOf(instance, host)),
        ...(isNode ? ["--volume", `${dockerVolume(instance, host)}:/var/lib/docker`] : []),
        image,
        "/sbin/init",
    ]);
    await fixGatewayAddress(instance);
}

/** The bridge would take the address of one of its ports, another one whenever a host comes or goes, and the hosts keep the old. */
async function fixGatewayAddress(instance: Instance): Promise<void> {
    const { stdout } = await run("podman", ["network", "inspect", "--format", "{{.NetworkInterface}}", network(instance)]);
    await run("ip", ["link", "set", "dev", stdout.trim(), "address", hardwareAddress(`${networks[instance]}.1`)]);
}

function hardwareAddress(address: string): string {
    return [2, 0, ...address.split(".").map(Number)].map(byte => byte.toString(16).padStart(2, "0")).join(":");
}

async function loadNodeImage(instance: Instance, host: Host, file: string): Promise<void> {
    const [first, ...others] = nodeImageNames;
    await run(
        "podman",
        [
            "exec",
            "--interactive",
            container(instance, host),
            "docker",
            "import",
            "-c",
            "ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "-c",
            "VOLUME /opt/rke-tools",
            "-c",
            'CMD ["/bin/sh"]',
            "-",
            first,
        ],
        { inputFile: file },
    );
    for (const name of others) await hostExec(instance, host, ["docker", "tag", first, name]);
}

/** Lets the lab's key in and notes the host's own key, read inside the host and not over the network. */
async function authorize(instance: Instance, host: Host): Promise<void> {
    const { privateKey, knownHosts } = labFiles(instance);
    const home = loginUser(host) === "root" ? "/root" : `/home/${loginUser(host)}`;
    const script = `set -e; umask 077; mkdir -p ${home}/.ssh; cat >${home}/.ssh/authorized_keys; chown -R ${loginUser(host)}: ${home}/.ssh; cat /etc/ssh/ssh_host_ed25519_key.pub`;
    const { stdout } = await hostExec(instance, host, ["sh", "-c", script], { input: readFileSync(`${privateKey}.pub`, "utf8") });
    const line = `${addressOf(instance, host)} ${stdout.trim().split(" ").slice(0, 2).join(" ")}\n`;
    const others = existsSync(knownHosts)
        ? readFileSync(knownHosts, "utf8")
              .split(/(?<=\n)/)
              .filter(known => !known.startsWith(`${addressOf(instance, host)} `))
        : [];
    writeFileSync(knownHosts, [...others, line].join(""));
    chmodSync(knownHosts, 0o644);
}

const building = new Map<string, Promise<string>>();

/** Hosts start side by side: what they share is built once. */
function once(what: string, build: () => Promise<string>): Promise<string> {
    if (!building.has(what)) building.set(what, build());
    return building.get(what)!;
}

async function buildHostImage(kind: (typeof hosts)[Host]["kind"]): Promise<string> {
    const sources = join(__dirname, "hosts");
    const name = `localhost/rancher-ha-lab/${kind}:${digestOfFolder(sources)}`;
    if ((await run("podman", ["image", "exists", name], { tolerate: true })).code === 0) {
        progress(`${kind} image`, "reused");
        return name;
    }
    progress(`${kind} image`, "building (half a minute)");
    const archive = join(cacheFolder, "images", `${kind}-${digestOfFolder(sources)}.tar`);
    if (!existsSync(archive)) {
        const draft = newFolder("image");
        await run("sh", [join(sources, "buildImage.sh"), kind, sources, join(draft, "root.tar")]);
        keep(join(draft, "root.tar"), archive);
        rmSync(draft, { recursive: true });
    }
    await run("podman", ["import", "--quiet", archive, name]);
    progress(`${kind} image`, "built");
    return name;
}
