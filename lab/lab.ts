import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "fs";
import { dirname, join } from "path";
import { endForgottenContainers } from "./forgotten";
import { labLabel, LabHost } from "./host";
import { hardwareAddress, HostName, hosts, hostsOfTheStack, LabName, networkOf, repository } from "./inventory";
import { progress, run } from "./process";
import { buildTools, installDebianPackages } from "./tools";

/** A disposable environment on this machine: hosts in a separate network, and their files. */
export class Lab {
    private static readonly all = new Map<LabName, Lab>();
    /** Folder of the lab's files, inside the repository's ignored folder. */
    readonly folder: string;
    /** File of the SSH key that every host accepts. */
    readonly privateKeyFile: string;
    readonly knownHostsFile: string;
    private readonly hosts = new Map<HostName, LabHost>();
    private prepared?: Promise<void>;

    private constructor(readonly name: LabName) {
        this.folder = join(repository, ".lab", name);
        this.privateKeyFile = join(this.folder, "ssh", "id_ed25519");
        this.knownHostsFile = join(this.folder, "ssh", "known_hosts");
    }

    static of(name: LabName): Lab {
        if (!Lab.all.has(name)) Lab.all.set(name, new Lab(name));
        return Lab.all.get(name)!;
    }

    host(name: HostName): LabHost {
        if (!this.hosts.has(name)) this.hosts.set(name, new LabHost(this, name));
        return this.hosts.get(name)!;
    }

    /** Returns the address with this last byte in the lab's network. */
    addressAt(last: number): string {
        return `${networkOf(this.name)}.${last}`;
    }

    /** Address of this machine in the lab's network. */
    get gateway(): string {
        return this.addressAt(1);
    }

    /** Returns the folder of the lab's tools, for PATH. Builds missing tools. */
    tools(): Promise<string> {
        return buildTools("tests");
    }

    /** Starts these hosts unless they are healthy. */
    async start(...names: HostName[]): Promise<void> {
        await installDebianPackages();
        await Promise.all(names.map(name => this.host(name).start()));
    }

    /**
     * Starts the hosts of the stack and keeps healthy ones. After a reboot or a killed run, a host can be dead or only files can remain.
     * Then the whole lab is replaced, with the stack's state, because the disks are lost.
     */
    async up(): Promise<void> {
        const state = await this.state();
        if (state !== "up" && state !== "absent") {
            progress("lab", `${state}: replaced as a whole`);
            await this.stop();
        }
        await this.start(...hostsOfTheStack);
    }

    /** Removes hosts and starts them again. */
    async startAnew(...names: HostName[]): Promise<void> {
        await installDebianPackages();
        await Promise.all(names.map(name => this.host(name).startAnew()));
    }

    /** Returns `up`, `absent`, or the fault of an incomplete lab. Refuses a lab that another checkout runs. */
    async state(): Promise<string> {
        const names = hostsOfTheStack;
        const states = await Promise.all(names.map(name => this.host(name).state()));
        const alive = names.find((_name, index) => states[index] === "healthy");
        const owner = alive && (await this.host(alive).checkout());
        if (owner && owner !== repository && existsSync(join(owner, ".lab", this.name)))
            throw new Error(
                `lab ${this.name}: expected no other checkout to have it up, found that of ${owner}. Run make down there first`,
            );
        if (states.every(state => state === "healthy")) return existsSync(this.privateKeyFile) ? "up" : "left by another checkout";
        if (states.every(state => state === "absent")) return existsSync(this.folder) ? "it has a state and no hosts" : "absent";
        return `half dead (${names.map((name, index) => `${name} ${states[index]}`).join(", ")})`;
    }

    /** Removes the lab: all its containers, volumes and files, and its network. */
    async stop(): Promise<void> {
        const list = async (...command: string[]) => (await run("podman", command)).stdout.split("\n").filter(Boolean);
        const containers = () => list("ps", "--all", "--quiet", "--filter", `label=${labLabel}=${this.name}`);
        const volumes = await list("volume", "ls", "--quiet", "--filter", `name=^rancher-ha-${this.name}-`);
        const found = await containers();
        if (found.length > 0) await run("podman", ["rm", "--force", "--time", "2", ...found], { tolerate: true, timeoutSeconds: 120 });
        const all = (Object.keys(hosts) as HostName[]).map(name => this.host(name));
        await endForgottenContainers(all.map(({ container }) => container));
        if (volumes.length > 0) await run("podman", ["volume", "rm", "--force", ...volumes], { tolerate: true });
        for (const { etcdFolder } of all) rmSync(etcdFolder, { recursive: true, force: true });
        const network = await this.network();
        if (network) await run("podman", ["network", "rm", "--force", network], { tolerate: true });
        this.prepared = undefined;
        rmSync(this.folder, { recursive: true, force: true });
        const left = await containers();
        if (left.length > 0) throw new Error(`containers of lab ${this.name} are still there: ${left.join(" ")}`);
        progress(`lab ${this.name}`, "removed");
    }

    /** Returns the memory of all processes in the lab, in bytes. */
    async memory(): Promise<number> {
        const { stdout } = await run("podman", ["stats", "--no-stream", "--format", "{{.MemUsageBytes}} {{.Name}}"], { tolerate: true });
        const units: Record<string, number> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, kB: 1e3, MB: 1e6, GB: 1e9 };
        return stdout
            .split("\n")
            .filter(line => line.includes(`rancher-ha-${this.name}-`))
            .map(line => /^([\d.]+)\s*([A-Za-z]+)/.exec(line))
            .reduce((sum, match) => sum + (match ? Number(match[1]) * units[match[2]] : 0), 0);
    }

    /** Makes the lab's network and SSH key if they are missing. */
    prepare(): Promise<void> {
        return (this.prepared ??= this.makeNetwork());
    }

    private async makeNetwork(): Promise<void> {
        await allowInotify();
        if (!existsSync(this.privateKeyFile)) {
            mkdirSync(dirname(this.privateKeyFile), { recursive: true, mode: 0o700 });
            await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", `lab ${this.name}`, "-f", this.privateKeyFile]);
        }
        if (await this.network()) return;
        // A run that is killed while podman removes the network leaves the bridge. Podman then refuses the subnet.
        const { stdout: orphan } = await run("ip", ["-4", "-brief", "address", "show", "to", `${this.gateway}/32`]);
        if (orphan) await run("ip", ["link", "delete", "dev", orphan.split(" ")[0], "type", "bridge"]);
        const subnet = `${this.addressAt(0)}/24`;
        // By the name of a network, podman keeps the addresses that a killed run has taken. So each network has a name of its own.
        const name = `rancher-ha-${this.name}-${Date.now().toString(36)}`;
        await run("podman", ["network", "create", "--label", `${labLabel}=${this.name}`, "--subnet", subnet, name]);
        progress("network", `created ${subnet}`);
    }

    /** Returns the name of the lab's network, or undefined before it is made. */
    async network(): Promise<string | undefined> {
        const ofTheLab = ["--filter", `label=${labLabel}=${this.name}`, "--format", "{{.Name}}"];
        return (await run("podman", ["network", "ls", ...ofTheLab])).stdout.split("\n").find(Boolean);
    }

    /** Fixes the bridge's hardware address. Otherwise it changes with the hosts on the bridge, and other hosts keep the old address. */
    async fixGatewayAddress(): Promise<void> {
        const { stdout } = await run("podman", ["network", "inspect", "--format", "{{.NetworkInterface}}", (await this.network())!]);
        await run("ip", ["link", "set", "dev", stdout.trim(), "address", hardwareAddress(this.gateway)]);
    }

    noteHostKey(address: string, key: string): void {
        const others = this.knownHosts().filter(line => !line.startsWith(`${address} `));
        writeFileSync(this.knownHostsFile, [...others, `${address} ${key}\n`].join(""));
        chmodSync(this.knownHostsFile, 0o644);
    }

    hostKeyOf(address: string): string {
        const line = this.knownHosts().find(known => known.startsWith(`${address} `));
        if (!line) throw new Error(`lab ${this.name}: expected a host at ${address} that was started, found none`);
        return line.slice(address.length + 1).trim();
    }

    private knownHosts(): string[] {
        return existsSync(this.knownHostsFile) ? readFileSync(this.knownHostsFile, "utf8").split(/(?<=\n)/) : [];
    }
}

/** Raises the limit of inotify instances. A host uses about ten of them, and by default all of root's containers share 128. */
async function allowInotify(): Promise<void> {
    const [setting, wanted] = ["fs.inotify.max_user_instances", 1024];
    if (Number((await run("sysctl", ["-n", setting])).stdout) >= wanted) return;
    await run("sysctl", ["-qw", `${setting}=${wanted}`]);
    progress("kernel", `${setting} raised to ${wanted}, until this machine starts again`);
}
