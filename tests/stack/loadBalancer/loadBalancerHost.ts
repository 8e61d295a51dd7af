import { ChildProcess, spawn } from "child_process";
import { X509Certificate } from "crypto";
import { RequestListener } from "http";
import { join } from "path";
import { HostConnection } from "../../../components/remote/connection";
import { findingOf, parseProbe, Probe } from "../../../components/remote/probe";
import { nodeProgram } from "../../../components/remote/programs";
import { Vrrp } from "../../../components/loadBalancer/keepalivedConf";
import { hostScript, probeScript } from "../../../components/loadBalancer/program";
import { releaseFor } from "../../../components/loadBalancer/release";
import { NginxSettings, nginxSettingsSchema, HostsSettings } from "../../../components/loadBalancer/schema";
import { LabHost } from "../../../lab/host";
import { hostArgs } from "../../../lab/loadBalancer/runLoadBalancer";
import { HostName } from "../../../lab/inventory";
import { Lab } from "../../../lab/lab";
import { run, until } from "../../../lab/process";
import { issue, Issued, IssueOptions } from "../../../lab/certificates";
import { digestOf } from "../fixtures";
import { Answer, Client } from "./client";
import { Upstream } from "./upstream";

export const hostname = "rancher.lab.internal";

/** Folder in which a load balancer host keeps its releases and its original state. */
export const stateFolder = "/var/lib/pulumi-rancher-ha/load-balancer";

/** Settings that differ from those of `LoadBalancerHost.settings`. */
export type Changes = Partial<NginxSettings>;

/** Output and exit code of a verb of a host's program. */
export interface Ran {
    code: number | null;
    stdout: string;
    said: string;
}

export const fingerprintOf = ({ certificate }: Issued) => new X509Certificate(certificate).fingerprint256;

/** Settings that make a host serve this certificate. */
export const serving = ({ certificate, privateKey }: Issued): Changes => ({ certificateChain: certificate, privateKey });

/** One load balancer host of a lab. Tests change and probe the host as the command provider and the probe do. */
export class LoadBalancerHost {
    /** Signs the certificates of this host. */
    readonly ca = issue({ name: "CA of a test", ca: true });
    readonly client: Client;
    /** The owner of the host in every program. */
    readonly owner: string;
    private readonly keys: string[] = [];
    private readonly heard: string[] = [];
    /** The certificate of every program without another one. */
    readonly provided = this.certificate();
    /** State of the host before the first change. */
    pristine = "";
    private epoch = 0;

    private constructor(
        readonly host: LabHost,
        readonly upstream: Upstream,
    ) {
        this.client = new Client(host.address, hostname, this.ca.certificate);
        this.owner = `organization/rancher/production/lb/lb-host-1@${host.address}`;
    }

    /** Starts the host anew, and an upstream beside it. */
    static async start(lab: Lab, name: HostName = "lb2", answer?: RequestListener): Promise<LoadBalancerHost> {
        await lab.startAnew(name);
        const started = new LoadBalancerHost(lab.host(name), await Upstream.start(lab, answer));
        started.pristine = await started.state();
        return started;
    }

    /** Stops the client and the upstream, which run outside the lab. Does nothing when `start` failed. */
    static stop(host?: LoadBalancerHost): void {
        host?.client.stop();
        host?.upstream.stop();
    }

    sh(script: string): Promise<string> {
        return this.host.sh(script);
    }

    /** Issues a certificate for the host's name. From then on, every output is checked for its key. */
    certificate(changes: Partial<IssueOptions> = {}): Issued {
        const issued = issue({ name: hostname, by: this.ca, names: [`DNS:${hostname}`], usage: "serverAuth", ...changes });
        this.keys.push(issued.privateKey);
        return issued;
    }

    get connection(): HostConnection {
        return { ...hostArgs(this.host), port: 22, user: "root", waitSeconds: 0 };
    }

    settings(changes: Changes = {}): NginxSettings {
        const settings = nginxSettingsSchema.parse({
            hosts: [hostArgs(this.host)],
            hostname,
            upstreams: [this.upstream.address],
            upstreamPort: this.upstream.port,
            ...serving(this.provided),
        });
        return { ...settings, ...changes };
    }

    /** Returns the host program of these settings, with an epoch of its own. */
    program(changes: Changes = {}, vrrp?: Vrrp): string {
        const settings = this.settings(changes);
        return hostScript({ owner: this.owner, settings, release: releaseFor(settings, vrrp), epoch: ++this.epoch, vrrp });
    }

    /** Runs a verb of a program over SSH, as the command provider does. `onLine` gets every line of progress, and may end the client. */
    run(verb: string, text: string, onLine?: (line: string, client: ChildProcess) => void): Promise<Ran> {
        const { privateKeyFile, knownHostsFile } = this.host.lab;
        const options = {
            BatchMode: "yes",
            GlobalKnownHostsFile: "/dev/null",
            IdentitiesOnly: "yes",
            LogLevel: "ERROR",
            StrictHostKeyChecking: "yes",
            UserKnownHostsFile: knownHostsFile,
        };
        const flags = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
        const command = `echo $$ >/run/verb.pid; exec timeout -k 60 600 sh -s ${verb}`;
        const client = spawn("ssh", ["-F", "none", "-T", "-i", privateKeyFile, ...flags, `root@${this.host.address}`, command]);
        return new Promise((resolve, reject) => {
            const ran = { stdout: "", said: "" };
            client.stdout.on("data", chunk => (ran.stdout += chunk));
            client.stderr.on("data", chunk => {
                ran.said += chunk;
                String(chunk)
                    .split("\n")
                    .filter(Boolean)
                    .forEach(line => onLine?.(line, client));
            });
            client.stdin.on("error", () => undefined);
            client.stdin.end(text);
            client.on("error", reject);
            client.on("close", code => {
                this.heard.push(ran.stdout, ran.said);
                resolve({ code, ...ran });
            });
        }).then(ran => (this.saidNoKey(), ran as Ran));
    }

    /** Applies these settings, or the text of a program, and expects that to succeed. */
    async apply(changes: Changes | string = {}): Promise<Ran> {
        const ran = await this.run("apply", typeof changes === "string" ? changes : this.program(changes));
        if (ran.code !== 0) throw new Error(`apply ended with ${ran.code}: ${ran.said}`);
        expect(ran.stdout).toMatch(/^\n[0-9a-f]{16}\n$/);
        return ran;
    }

    /** Destroys, and expects that to succeed. */
    async destroy(): Promise<Ran> {
        const ran = await this.run("destroy", this.program());
        expect(ran).toMatchObject({ code: 0, stdout: "" });
        return ran;
    }

    /** Serves these settings while `work` runs, and the host's own settings afterwards. */
    async changed(changes: Changes, work: () => Promise<unknown>): Promise<void> {
        await this.apply(changes);
        try {
            await work();
        } finally {
            await this.apply();
        }
    }

    /** Runs the probe as `observeHost` does and returns its findings. */
    async probe(owner = this.owner): Promise<string> {
        return findingOf(await this.probed({}, owner));
    }

    /** Runs the probe with these changes of the hosts' settings. The probe gives SSH 5 s, so a busy machine may need a second run. */
    async probed(place: Partial<HostsSettings> = {}, owner = this.owner): Promise<Probe> {
        let found: Probe | undefined;
        await until("a probe that reaches the host", 240, async () => {
            found = await this.probeOnce({}, owner, place);
            return found.state !== "unreachable";
        });
        return found!;
    }

    /** Runs the probe once, with these changes of the connection. */
    async probeOnce(changes: Partial<HostConnection> = {}, owner = this.owner, place: Partial<HostsSettings> = {}): Promise<Probe> {
        const entry = join(__dirname, "..", "..", "..", "components", "remote", "runner", "probeHost.js");
        const input = nodeProgram(entry, {
            host: { ...this.connection, ...changes },
            program: probeScript({ hosts: [this.connection], takeOver: false, ...place }, 0, owner),
        });
        const { stdout, stderr } = await run("node", ["-", "probe"], { input, timeoutSeconds: 120 });
        this.heard.push(stdout, stderr);
        this.saidNoKey();
        return parseProbe(stdout);
    }

    /** Returns everything that a run could change: contents, modes, owners, links, packages, kernel settings, the service. */
    async state(): Promise<string> {
        const rest = this
            .sh(`find /etc /var/lib/pulumi-rancher-ha /var/lib/nginx /var/log/nginx /var/tmp/rancher-ha.* -printf '%p %m %u:%g %l\\n' 2>/dev/null | sort
            dpkg-query -W
            sysctl net.ipv4.tcp_keepalive_time net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_retries2 net.ipv4.tcp_thin_linear_timeouts
            systemctl is-enabled nginx 2>&1
            systemctl is-active nginx
            true`);
        return (await digestOf(this.host)) + (await rest);
    }

    /** Expects an apply to be refused with these words. The host stays as it was, byte by byte, and continues to serve. */
    async refuses(changes: Changes | string, words: RegExp): Promise<void> {
        const serves = await this.host.succeeds("test -e /var/lib/pulumi-rancher-ha");
        const before = await this.state();
        const answer = serves ? await this.ask() : undefined;
        const ran = await this.run("apply", typeof changes === "string" ? changes : this.program(changes));
        expect(ran).toMatchObject({ stdout: "", said: expect.stringMatching(words) });
        expect(ran.code).not.toBe(0);
        expect(await this.state()).toBe(before);
        if (serves) expect(await this.ask()).toEqual(answer);
    }

    /** Breaks something on the host while `work` runs. */
    async broken(breakIt: string, mendIt: string, work: () => Promise<unknown>): Promise<void> {
        await this.sh(`set -e; ${breakIt}`);
        try {
            await work();
        } finally {
            await this.sh(mendIt);
        }
    }

    /** Runs a verb, and calls `end` once the verb has printed `words`. Returns when no process of the run is left on the host. */
    async interrupted(verb: string, text: string, words: string, end: (client: ChildProcess) => Promise<unknown>): Promise<Ran> {
        let ended: Promise<unknown> | undefined;
        const ran = await this.run(verb, text, (line, client) => {
            if (line.includes(words)) ended ??= end(client);
        });
        expect(ended).toBeDefined();
        await ended;
        await this.sh("flock -w 240 /run/pulumi-rancher-ha.lock true");
        return ran;
    }

    /** Kills the run on the host with all of its processes, once the shell condition `moment` is true. */
    kill(moment = "true"): Promise<string> {
        return this.sh(`until ${moment}; do sleep 0.02; done; kill -9 -$(cat /run/verb.pid)`);
    }

    /** Runs a verb, and kills it once it has printed `words` and `moment` is true. */
    killed(verb: string, text: string, words: string, moment?: string): Promise<Ran> {
        return this.interrupted(verb, text, words, () => this.kill(moment));
    }

    async ask(path?: string): Promise<Pick<Answer, "status" | "body" | "fingerprint">> {
        const { status, body, fingerprint } = await this.client.ask(path);
        return { status, body, fingerprint };
    }

    /** Expects the upstream's answer through HTTPS, with this certificate. */
    async served(certificate: Issued = this.provided): Promise<void> {
        expect(await this.ask()).toEqual({ status: 200, body: `${hostname} https`, fingerprint: fingerprintOf(certificate) });
    }

    /** Waits until the host serves this certificate. */
    servedSoon(certificate: Issued): Promise<void> {
        return until("the certificate", 240, async () => (await this.ask()).fingerprint === fingerprintOf(certificate));
    }

    workers(): Promise<string> {
        return this.sh("pgrep -P $(cat /run/nginx.pid) | sort");
    }

    /** Installs packages of the distribution. They are foreign to the load balancer. */
    install(...packages: string[]): Promise<string> {
        const install = `apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install ${packages.join(" ")}`;
        return this.sh(`{ ${install}; } >/run/apt.log 2>&1 || { tail /run/apt.log; false; }`);
    }

    /** Returns the lines of the access log, once there is one line for each of these objects. NGINX writes a line within a second. */
    async logged(...expected: object[]): Promise<any[]> {
        let lines: any[] = [];
        const isThere = (each: object) => lines.some(line => Object.entries(each).every(([key, value]) => line[key] === value));
        await until(`${JSON.stringify(expected)} in the access log`, 60, async () => {
            lines = (await this.sh("cat /var/log/nginx/access.log"))
                .split("\n")
                .filter(Boolean)
                .map(line => JSON.parse(line));
            return expected.every(isThere);
        });
        return lines;
    }

    /** Expects no private key in the output so far, as every run and probe does. Returns the number of key lines that it looked for. */
    saidNoKey(): number {
        const lines = this.keys.flatMap(key => key.trim().split("\n").slice(1, -1));
        expect(lines.filter(line => this.heard.some(text => text.includes(line)))).toHaveLength(0);
        return lines.length;
    }
}
