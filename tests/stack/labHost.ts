import { ChildProcess, spawn } from "child_process";
import { once } from "events";
import { readFileSync } from "fs";
import { createServer, RequestListener, Server } from "http";
import { request } from "https";
import { AddressInfo, Socket } from "net";
import { join } from "path";
import { TLSSocket } from "tls";
import { nodeProgram } from "../../components/host/programs";
import { hostScript, probeScript } from "../../components/loadBalancer/nginxLoadBalancer";
import { parseObservation } from "../../components/loadBalancer/observation";
import { NginxSettings, nginxSettingsSchema } from "../../components/loadBalancer/schema";
import { addressOf, hostExec, Instance, labFiles, removeHost, startHost } from "../../lab/lab";
import { run, until } from "../../lab/process";
import { issue, Issued } from "../certificates";
import { hostDigest, hostKeyOf } from "./testStack";

/** One load balancer host of the lab, worked on as the command provider and the probe do it. */

export const instance: Instance = "test";
export const host = "lb2";
export const address = addressOf(instance, host);
export const hostname = "rancher.lab.internal";
export const ca = issue({ name: "CA of a test", ca: true });
export const newCertificate = () => issue({ name: hostname, by: ca, names: [`DNS:${hostname}`], usage: "serverAuth" });
export const certificate = newCertificate();

let upstream: Server;
const connections = new Set<Socket>();
let epoch = 0;
/** Everything that was said, to be searched for keys at the end. */
export const heard: string[] = [];
export const keys = [certificate.privateKey];

/** Starts the host anew, and an upstream beside it. Returns what the host is like before anybody touched it. */
export async function startLabHost(
    answer: RequestListener = (asked, response) => response.end(`${asked.headers.host} ${asked.headers["x-forwarded-proto"]}`),
): Promise<string> {
    await removeHost(instance, host);
    await startHost(instance, host);
    upstream = createServer({ maxHeaderSize: 262_144 }, answer);
    upstream.on("connection", socket => void connections.add(socket));
    await once(upstream.listen(0, address.replace(/\d+$/, "1")), "listening");
    return hostState();
}

export async function stopLabHost(): Promise<void> {
    upstream?.close();
    // A host that is gone closes nothing, and an open connection would keep the test process.
    for (const socket of connections) socket.destroy();
    await removeHost(instance, host);
}

export const upstreamServer = () => upstream;

export interface Applied {
    code: number | null;
    stdout: string;
    said: string;
}

export const onHost = async (script: string) => (await hostExec(instance, host, ["sh", "-c", script])).stdout;
export const connection = () => ({
    host: address,
    port: 22,
    user: "root",
    privateKey: readFileSync(labFiles(instance).privateKey, "utf8"),
    hostKey: hostKeyOf(instance, host),
});

export function settings(changes: Partial<NginxSettings> = {}, served: Issued = certificate): NginxSettings {
    const { address: gateway, port } = upstream.address() as AddressInfo;
    return {
        ...nginxSettingsSchema.parse({
            hosts: [connection()],
            hostname,
            upstreams: [gateway],
            upstreamPort: port,
            certificateChain: served.certificate,
            privateKey: served.privateKey,
        }),
        ...changes,
    };
}

/** The owner of the host in every program. */
export const owner = `lb-host-1@${address}`;
export const program = (changes: Partial<NginxSettings> = {}, served?: Issued) => hostScript(owner, settings(changes, served), ++epoch);

interface SshOptions {
    /** Sees every line of progress, and may end the client. */
    onLine?: (line: string, client: ChildProcess) => void;
    /** Shell text to run on the host first. */
    before?: string;
}

/** Runs a verb of a program over SSH, as the command provider does. */
export function ssh(verb: string, text: string, options: SshOptions = {}): Promise<Applied> {
    const { privateKey, knownHosts } = labFiles(instance);
    const client = spawn("ssh", [
        "-F",
        "none",
        "-T",
        "-i",
        privateKey,
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "BatchMode=yes",
        "-o",
        "LogLevel=ERROR",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        `UserKnownHostsFile=${knownHosts}`,
        "-o",
        "GlobalKnownHostsFile=/dev/null",
        `root@${address}`,
        `${options.before ?? ""} exec timeout -k 60 600 sh -s ${verb}`,
    ]);
    return new Promise((resolve, reject) => {
        const result = { stdout: "", said: "" };
        client.stdout.on("data", chunk => (result.stdout += chunk));
        client.stderr.on("data", chunk => {
            result.said += chunk;
            String(chunk)
                .split("\n")
                .filter(Boolean)
                .forEach(line => options.onLine?.(line, client));
        });
        client.stdin.on("error", () => undefined);
        client.stdin.end(text);
        client.on("error", reject);
        client.on("close", code => {
            heard.push(result.stdout, result.said);
            resolve({ code, ...result });
        });
    });
}

export async function apply(text: string): Promise<Applied> {
    const applied = await ssh("apply", text);
    if (applied.code !== 0) throw new Error(`apply ended with ${applied.code}: ${applied.said}`);
    expect(applied).toMatchObject({ stdout: expect.stringMatching(/^[0-9a-f]{16}\n$/) });
    return applied;
}

/** The probe as `observeHost` runs it. */
export async function probe(changes: Partial<ReturnType<typeof connection>> = {}): Promise<string> {
    const sources = ["ssh.js", "probeHost.js"].map(file => join(__dirname, "..", "..", "components", "host", "runner", file));
    const input = nodeProgram(sources, {
        host: { ...connection(), ...changes },
        program: probeScript({ hosts: [connection()], takeOver: false }, 0),
    });
    const { stdout, stderr } = await run("node", ["-", "probe"], { input, timeoutSeconds: 40 });
    heard.push(stdout, stderr);
    return parseObservation(stdout).findings;
}

/** What a run could change: contents, modes, owners, links, packages, kernel settings, the service. */
export async function hostState(): Promise<string> {
    const rest =
        await onHost(`find /etc /var/lib/pulumi-rancher-ha /var/lib/nginx /var/log/nginx /var/tmp/rancher-ha.* -printf '%p %m %u:%g %l\\n' 2>/dev/null | sort
        dpkg-query -W
        sysctl net.ipv4.tcp_keepalive_time net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_retries2 net.ipv4.tcp_thin_linear_timeouts
        systemctl is-enabled nginx 2>&1
        systemctl is-active nginx
        true`);
    return (await hostDigest(host, instance)) + rest;
}

/** Asks over HTTPS for our name. */
export function ask(path = "/"): Promise<{ status: number; body: string; fingerprint: string }> {
    return new Promise((resolve, reject) => {
        const options = { host: address, path, servername: hostname, ca: ca.certificate, agent: false, headers: { host: hostname } };
        const asked = request(options, answer => {
            const { fingerprint256 } = (answer.socket as TLSSocket).getPeerCertificate();
            let body = "";
            answer
                .on("data", chunk => (body += chunk))
                .on("end", () => resolve({ status: answer.statusCode!, body, fingerprint: fingerprint256 }));
        });
        asked.on("error", reject).end();
    });
}

export const fingerprint = async (of: Issued) =>
    (await run("openssl", ["x509", "-noout", "-fingerprint", "-sha256"], { input: of.certificate })).stdout.trim().split("=")[1];
export const served = async (of: Issued) =>
    expect(await ask()).toEqual({ status: 200, body: `${hostname} https`, fingerprint: await fingerprint(of) });
export const workers = () => onHost("pgrep -P $(cat /run/nginx.pid) | sort");

/** Runs a verb that is killed on the host, with all that it started, once it has said `line` and `moment`, a shell condition, is true. */
export async function killed(verb: string, text: string, line: string, moment: string): Promise<void> {
    let end: Promise<unknown> | undefined;
    await ssh(verb, text, {
        before: "echo $$ >/run/killed.pid;",
        onLine: said => {
            if (said.includes(line)) end ??= onHost(`until ${moment}; do sleep 0.02; done; kill -9 -$(cat /run/killed.pid)`);
        },
    });
    expect(end).toBeDefined();
    await end;
    await runOnHostIsOver();
}

/** The program is refused with these words, and the host is as it was, byte by byte, and still serves. */
export async function refused(text: string, words: RegExp): Promise<void> {
    const serves = (await hostExec(instance, host, ["test", "-e", "/var/lib/pulumi-rancher-ha"], { tolerate: true })).code === 0;
    const before = await hostState();
    const answer = serves ? await ask() : undefined;
    const applied = await ssh("apply", text);
    expect(applied).toMatchObject({ stdout: "", said: expect.stringMatching(words) });
    expect(applied.code).not.toBe(0);
    expect(await hostState()).toBe(before);
    if (serves) expect(await ask()).toEqual(answer);
}

/** Breaks something on the host for as long as `work` takes. */
export async function broken(breakIt: string, mendIt: string, work: () => Promise<void>): Promise<void> {
    await onHost(`set -e; ${breakIt}`);
    try {
        await work();
    } finally {
        await onHost(mendIt);
    }
}

/** Lines of the access log, once there is one for each of these: NGINX writes them within a second. */
export async function logged(...expected: object[]): Promise<any[]> {
    let lines: any[] = [];
    const isThere = (each: object) => lines.some(line => Object.entries(each).every(([key, value]) => line[key] === value));
    await until(`${JSON.stringify(expected)} in the access log`, 10, async () => {
        lines = (await onHost("cat /var/log/nginx/access.log"))
            .split("\n")
            .filter(Boolean)
            .map(line => JSON.parse(line));
        return expected.every(isThere);
    });
    return lines;
}

/** Waits until no run works on the host any more. */
export const runOnHostIsOver = () => onHost("flock -w 120 /run/pulumi-rancher-ha.lock true");
