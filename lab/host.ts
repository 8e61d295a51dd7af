import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync } from "fs";
import { connect } from "net";
import { join } from "path";
import { endForgottenContainers } from "./forgotten";
import { hardwareAddress, hosts, HostKind, HostName, repository } from "./inventory";
import { dockerFolder, hostImage, limits } from "./images";
import { longStep, progress, run, RunOptions, RunResult, timed, until } from "./process";

export const labLabel = "io.pulumi-rancher-ha.lab";
const checkoutLabel = "io.pulumi-rancher-ha.checkout";

type ExecOptions = Pick<RunOptions, "input" | "inputFile" | "tolerate" | "onLine" | "timeoutSeconds">;

/** Environment of a host's processes. Newer versions of systemd run on cgroup v1 only with the second variable. */
const environment = { container: "oci", SYSTEMD_PROC_CMDLINE: "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1" };

/** What a host needs of its lab: the network, and the files that all hosts share. */
interface Surroundings {
    readonly name: string;
    readonly gateway: string;
    readonly folder: string;
    readonly privateKeyFile: string;
    readonly knownHostsFile: string;
    addressAt(last: number): string;
    prepare(): Promise<void>;
    network(): Promise<string | undefined>;
    fixGatewayAddress(): Promise<void>;
    hostKeyOf(address: string): string;
    noteHostKey(address: string, key: string): void;
}

/** One host of a lab: a container with systemd and sshd. */
export class LabHost {
    readonly address: string;
    readonly kind: HostKind;
    /** Name of the container. */
    readonly container: string;
    private readonly dockerVolume: string;
    /** Folder for the data of a node's etcd, in memory: etcd waits for the disk at each write, and several clusters share one disk. */
    readonly etcdFolder: string;
    private readonly pidFile: string;

    constructor(
        readonly lab: Surroundings,
        readonly name: HostName,
    ) {
        this.kind = hosts[name].kind;
        this.address = lab.addressAt(hosts[name].octet);
        this.container = `rancher-ha-${lab.name}-${name}`;
        this.dockerVolume = `${this.container}-docker`;
        this.etcdFolder = `/dev/shm/${this.container}-etcd`;
        this.pidFile = `/run/${this.container}.pid`;
    }

    /** Public host key of this host, as one line without the name. */
    get hostKey(): string {
        return this.lab.hostKeyOf(this.address);
    }

    /** Starts the host unless it is healthy. Its remains are replaced. */
    start(): Promise<void> {
        return timed("hosts that start", () => this.startUnlessHealthy());
    }

    private async startUnlessHealthy(): Promise<void> {
        const state = await this.state();
        if (state === "healthy") return progress(this.name, "reused");
        await this.lab.prepare();
        const image = await hostImage(this.kind);
        await this.remove();
        if (this.kind === "node") {
            await this.makeDockerVolume();
            mkdirSync(this.etcdFolder, { mode: 0o755 });
        }
        await longStep(this.name, "starting", 10, () => this.boot(image));
        progress(this.name, state === "absent" ? "started" : `replaced (it was ${state})`);
    }

    private async boot(image: string): Promise<void> {
        await this.create(image);
        const services = this.kind === "node" ? ["ssh", "docker"] : ["ssh"];
        await until(`${this.name}: services`, 180, () => this.isActive(...services));
        await this.authorize();
        await until(`${this.name}: SSH from this machine`, 120, () => reachable(this.address, 22));
        // This file comes last, so that a half prepared host does not count as healthy.
        await this.sh("touch /run/lab-host-ready");
    }

    async startAnew(): Promise<void> {
        await this.remove();
        await this.start();
    }

    /** Removes the host with its disk. */
    async remove(): Promise<void> {
        await run("podman", ["rm", "--force", "--time", "2", "--ignore", this.container], { tolerate: true, timeoutSeconds: 60 });
        await endForgottenContainers([this.container]);
        await run("podman", ["volume", "rm", "--force", this.dockerVolume], { tolerate: true });
        rmSync(this.etcdFolder, { recursive: true, force: true });
    }

    /** Stops the host like a power failure. */
    async kill(): Promise<void> {
        await run("podman", ["kill", this.container]);
        // podman first reports `stopped`, while its cleanup still runs.
        await run("podman", ["wait", "--condition=exited", this.container], { timeoutSeconds: 60 });
    }

    /** Starts the host after `kill`, with its disk. */
    async revive(): Promise<void> {
        await run("podman", ["start", this.container]);
        await this.lab.fixGatewayAddress();
    }

    /** Returns `healthy`, `absent`, `dead`, or podman's status of a container that does not run. */
    async state(): Promise<string> {
        const inspected = await run("podman", ["inspect", "--format", "{{.State.Status}}", this.container], { tolerate: true });
        if (inspected.code !== 0) return "absent";
        const status = inspected.stdout.trim();
        if (status !== "running") return status;
        const docker = this.kind === "node" ? " && docker version >/dev/null" : "";
        const healthy = `test -e /run/lab-host-ready && systemctl is-active ssh >/dev/null${docker}`;
        const probe = await this.exec(["sh", "-c", healthy], { tolerate: true, timeoutSeconds: 15 });
        return probe.code === 0 ? "healthy" : "dead";
    }

    /** Returns the folder of the repository that started the host. */
    async checkout(): Promise<string> {
        const format = `{{index .Config.Labels "${checkoutLabel}"}}`;
        return (await run("podman", ["inspect", "--format", format, this.container])).stdout.trim();
    }

    /**
     * Runs a command inside the host, without SSH. It enters the host's namespaces itself, because `podman exec` takes 25 times the CPU
     * time, and tests do this thousands of times.
     */
    exec(argv: string[], options: ExecOptions = {}): Promise<RunResult> {
        const namespaces = ["mount", "uts", "ipc", "net", "pid", "cgroup"].map(name => `--${name}`);
        const entry = ["nsenter", `--target=${this.process()}`, ...namespaces];
        return run("prlimit", [...limits.map(limit => `--${limit}`), ...entry, ...argv], {
            timeoutSeconds: 300,
            ...options,
            env: { ...environment, PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root" },
        });
    }

    /** Returns the number of the host's first process, or 0 if the host does not run. */
    private process(): string {
        const pid = existsSync(this.pidFile) ? readFileSync(this.pidFile, "utf8").trim() : "0";
        // The number of an ended host can belong to a process of the machine, which is nobody's host.
        const namespace = (process: string) => `/proc/${process}/ns/pid`;
        const isHost = existsSync(namespace(pid)) && readlinkSync(namespace(pid)) !== readlinkSync(namespace("self"));
        return isHost ? pid : "0";
    }

    /** Runs a shell script inside the host and returns its standard output. */
    async sh(script: string, options: ExecOptions = {}): Promise<string> {
        return (await this.exec(["sh", "-c", script], options)).stdout;
    }

    /** Adds a program of this machine to an image in the Docker of this node, as `file`. The new image gets the names. */
    async addProgram(program: string, { image, file, names }: { image: string; file: string; names: string[] }): Promise<void> {
        await this.script(join(__dirname, "nodeImage", "addProgram.sh"), [image, file, ...names], { inputFile: program });
    }

    /** Runs a script of this repository inside the host and returns its standard output. Standard input is free for data. */
    async script(file: string, args: string[], options: ExecOptions = {}): Promise<string> {
        return (await this.exec(["sh", "-c", readFileSync(file, "utf8"), file, ...args], options)).stdout;
    }

    /** Reports whether a shell script succeeds. */
    async succeeds(script: string): Promise<boolean> {
        return (await this.exec(["sh", "-c", script], { tolerate: true })).code === 0;
    }

    /** Reports whether every unit is active. `systemctl is-active` with several units succeeds if one of them is. */
    isActive(...units: string[]): Promise<boolean> {
        return this.succeeds(units.map(unit => `systemctl -q is-active ${unit}`).join(" && "));
    }

    async write(path: string, content: string | Buffer, mode = "644"): Promise<void> {
        await this.exec(["sh", "-c", 'cat >"$0" && chmod "$1" "$0"', path, mode], { input: content });
    }

    /** Returns the network interface at this machine's end of the host's cable. */
    async cable(): Promise<string> {
        const index = (await this.sh("cat /sys/class/net/eth0/iflink")).trim();
        return new RegExp(`^${index}: ([^@:]+)`, "m").exec((await run("ip", ["-o", "link"])).stdout)![1];
    }

    /** Pulls the host's cable, or plugs it in again. */
    async setLink(state: "up" | "down"): Promise<void> {
        await run("ip", ["link", "set", await this.cable(), state]);
    }

    private async create(image: string): Promise<void> {
        const options = {
            name: this.container,
            hostname: this.name,
            // On a machine with cgroup v1, podman's own --systemd=always mounts the machine's systemd hierarchy into every container.
            // Then the systemds of the containers remove each other's groups.
            systemd: "false",
            cgroupns: "private",
            "stop-signal": "SIGRTMIN+3",
            network: (await this.lab.network())!,
            ip: this.address,
            "mac-address": hardwareAddress(this.address),
            pidfile: this.pidFile,
        };
        const volumes = this.kind === "node" ? [`${this.dockerVolume}:/var/lib/docker`, `${this.etcdFolder}:/var/lib/etcd`] : [];
        const repeated = [
            ["label", `${labLabel}=${this.lab.name}`],
            ["label", `${checkoutLabel}=${repository}`],
            ...limits.map(limit => ["ulimit", limit]),
            ...Object.entries(environment).map(([name, value]) => ["env", `${name}=${value}`]),
            ["tmpfs", "/run:rw,mode=755"],
            ["tmpfs", "/run/lock:rw"],
            ["tmpfs", "/tmp:rw,exec,mode=1777"],
            ...volumes.map(volume => ["volume", volume]),
        ];
        const flags = [...Object.entries(options), ...repeated].map(([name, value]) => `--${name}=${value}`);
        await run("podman", ["--runtime=runc", "run", "--detach", "--privileged", ...flags, image, "/sbin/init"]);
        await this.lab.fixGatewayAddress();
    }

    /** Makes the volume of the host's Docker, with RKE's images. Docker never writes to image layers, so files are links if possible. */
    private async makeDockerVolume(): Promise<void> {
        const folder = await dockerFolder();
        await run("podman", ["volume", "create", this.dockerVolume]);
        const { stdout } = await run("podman", ["volume", "inspect", "--format", "{{.Mountpoint}}", this.dockerVolume]);
        const copy = (name: string, flag: string, tolerate = false) => run("cp", [flag, join(folder, name), stdout.trim()], { tolerate });
        await copy("image", "-a");
        if ((await copy("overlay2", "-al", true)).code !== 0) await copy("overlay2", "-a");
    }

    /** Authorizes the lab's key, and records the host's own key. The host key is read inside the host and not over the network. */
    private async authorize(): Promise<void> {
        const user = this.kind === "node" ? "rke" : "root";
        const home = user === "root" ? "/root" : `/home/${user}`;
        const script = join(__dirname, "hosts", "authorize.sh");
        const key = await this.script(script, [user, home], { inputFile: `${this.lab.privateKeyFile}.pub` });
        this.lab.noteHostKey(this.address, key.trim().split(" ").slice(0, 2).join(" "));
    }
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
