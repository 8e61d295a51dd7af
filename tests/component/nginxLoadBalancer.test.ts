import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { createHash } from "crypto";
import { DriftMode } from "../../components/host/drift";
import { NginxLoadBalancer, NginxLoadBalancerArgs } from "../../components/loadBalancer/nginxLoadBalancer";
import { issue } from "../certificates";
import { record, RecordOptions, Recording, secret, unknown } from "./recorder";
import { hostKey, hostname, server, sshKey } from "./stackMocks";

const latchType = "pulumi-nodejs:dynamic/pulumi-rancher-ha:DriftLatch";
const commandType = "command:remote:Command";
const args: NginxLoadBalancerArgs = {
    hosts: [{ host: "192.0.2.21", hostKey, privateKey: sshKey }],
    hostname,
    upstreams: ["192.0.2.31", "192.0.2.32"],
    certificateChain: server.certificate,
    privateKey: pulumi.secret(server.privateKey),
};
interface Options extends RecordOptions {
    epoch?: number;
    /** What the probe prints. */
    found?: string;
}
const build = (changed: Partial<NginxLoadBalancerArgs> = {}, { epoch = 0, found = "in sync", ...options }: Options = {}) => {
    const probes: pulumi.runtime.MockCallArgs[] = [];
    const mock: RecordOptions["mock"] = ({ type }) =>
        type === commandType ? { stdout: "fingerprint" } : type === latchType ? { epoch } : {};
    const call = (request: pulumi.runtime.MockCallArgs) => (probes.push(request), { stdout: found });
    return record(() => new NginxLoadBalancer("lb", { ...args, ...changed }), { mock, call, ...options }).then(recording => ({
        ...recording,
        probes,
    }));
};
const stdinOf = (recording: Recording): string => recording.one(commandType).inputs.stdin.secret;
const keyLine = server.privateKey.split("\n")[1];
const certificateLine = server.certificate.split("\n")[1];

test("one command on the host, with certificate and key on standard input only", async () => {
    const recording = await build();
    const [component, ...children] = recording.resources;
    expect(component).toMatchObject({ type: "pulumi-rancher-ha:index:NginxLoadBalancer", name: "lb" });
    expect(children.map(child => child.name).sort()).toEqual(["lb-drift", "lb-host"]);
    expect(children.every(child => child.parent === component.urn)).toBe(true);

    const { stdin, ...visible } = recording.one(commandType).inputs;
    expect(visible).toEqual({
        connection: secret({
            host: "192.0.2.21",
            port: 22,
            user: "root",
            privateKey: sshKey,
            hostKey,
            dialErrorLimit: 3,
            perDialTimeout: 10,
        }),
        create: "timeout -k 10 600 sh -s apply",
        delete: "timeout -k 10 600 sh -s destroy",
        addPreviousOutputInEnv: false,
        logging: "stderr",
    });
    expect(stdin.secret).toContain(keyLine);
    expect(stdin.secret).toContain(certificateLine);
    expect(stdin.secret).toContain("server 192.0.2.31:80");
    expect(recording.outputs).toEqual({
        addresses: ["192.0.2.21"],
        fingerprint: "fingerprint",
        configuration: expect.stringContaining(`server_name ${hostname};`),
    });
});

test("a user other than root works through sudo", async () => {
    const recording = await build({ hosts: [{ host: "192.0.2.21", user: "admin", port: 2222, hostKey, privateKey: sshKey }] });
    expect(recording.one(commandType).inputs).toMatchObject({
        connection: { secret: { user: "admin", port: 2222 } },
        create: "sudo -n timeout -k 10 600 sh -s apply",
        delete: "sudo -n timeout -k 10 600 sh -s destroy",
    });
});

test("a preview shows configuration and certificate as text, and the key as its digest", async () => {
    const recording = await build();
    const { desired, observed } = recording.one(latchType).inputs;
    expect(observed).toBe("in sync");
    expect(desired).toEqual({
        "nginx.conf": recording.outputs.configuration,
        certificate: server.certificate,
        "private key, SHA-256": createHash("sha256").update(server.privateKey).digest("hex"),
    });
});

describe("drift", () => {
    test("the latch's epoch reaches the command: a higher one runs it again", async () => {
        const [first, again, second] = [await build(), await build(), await build({}, { epoch: 1 })];
        expect(stdinOf(first)).toContain("drift_epoch='0'\n");
        expect(stdinOf(again)).toBe(stdinOf(first));
        expect(stdinOf(second)).toBe(stdinOf(first).replace("drift_epoch='0'", "drift_epoch='1'"));
        expect(second.one(commandType).dependencies).toContain(second.one(latchType).urn);
    });

    test("enforce: what the probe finds is what the latch compares", async () => {
        const recording = await build({}, { found: "/etc/nginx/nginx.conf: content differs" });
        expect(recording.one(latchType).inputs.observed).toBe("/etc/nginx/nginx.conf: content differs");
        expect(recording.probes).toHaveLength(1);
        expect(recording.probes[0].token).toBe("command:local:run");
        expect(JSON.stringify(recording.probes[0].inputs.command)).not.toContain(sshKey.split("\n")[1]);
    });

    test("warn: says it and changes nothing", async () => {
        const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
        const recording = await build({ drift: DriftMode.Warn }, { found: "nginx: not running" });
        expect(recording.one(latchType).inputs.observed).toBe("in sync");
        expect(warn.mock.calls.map(([text]) => text)).toEqual(["lb-drift: not as configured:\nnginx: not running"]);
        warn.mockRestore();
    });

    test("off: neither probe nor latch", async () => {
        const recording = await build({ drift: DriftMode.Off }, { found: "nginx: not running" });
        expect(recording.probes).toEqual([]);
        expect(recording.resources.map(({ type }) => type)).not.toContain(latchType);
        expect(stdinOf(recording)).toContain("drift_epoch='0'\n");
    });

    test("a host that cannot be reached is not taken for a changed one", async () => {
        const info = jest.spyOn(pulumi.log, "info").mockResolvedValue();
        const recording = await build({}, { found: "unreachable: root@192.0.2.21:22: no SSH connection" });
        expect(recording.one(latchType).inputs.observed).toBe("in sync");
        expect(info.mock.calls.map(([text]) => text)).toEqual(["lb-drift: drift is not known. root@192.0.2.21:22: no SSH connection"]);
        info.mockRestore();
    });
});

const elsewhere = issue({ name: "other.example.com", names: ["DNS:other.example.com"] });
const host = { host: "192.0.2.21", hostKey, privateKey: sshKey };

test.each<[string, Record<string, unknown>, RegExp]>([
    [
        "two hosts",
        { hosts: [host, { ...host, host: "192.0.2.22" }] },
        /hosts: expected exactly one host: two need a virtual IP between them/,
    ],
    [
        "a host without a key of its own",
        { hosts: [{ host: "192.0.2.21", privateKey: sshKey }] },
        /hosts\[0\]\.hostKey: expected string, found nothing/,
    ],
    ["an upstream twice", { upstreams: ["192.0.2.31", "192.0.2.31"] }, /upstreams: expected each address once/],
    ["an upstream by name", { upstreams: ["node1"] }, /upstreams\[0\]: expected an IP address, found "node1"/],
    ["no upstream", { upstreams: [] }, /upstreams: expected at least one worker node/],
    [
        "a certificate for another name",
        { certificateChain: elsewhere.certificate, privateKey: elsewhere.privateKey },
        /certificateChain: expected a certificate for rancher\.example\.com/,
    ],
    ["another key", { privateKey: elsewhere.privateKey }, /privateKey: expected the key of "rancher\.example\.com"/],
    ["malformed PEM", { certificateChain: "MIIB", privateKey: server.privateKey }, /certificateChain: expected PEM text/],
    ["a timeout that cuts shells off", { readTimeoutSeconds: 60 }, /readTimeoutSeconds: expected at least 900/],
])("refuses %s", async (_, changed, message) => {
    const attempt = build(changed as never);
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.not.toThrow(new RegExp(elsewhere.privateKey.split("\n")[1].replace(/[+/]/g, "\\$&")));
});

test("in a first preview, nodes and certificate that are not known yet are no fault", async () => {
    const plan = (changed: Partial<NginxLoadBalancerArgs> = {}) =>
        record(
            () => {
                const other = new tls.PrivateKey("other", { algorithm: "ECDSA" });
                const later = {
                    upstreams: other.id.apply(id => [id]),
                    certificateChain: other.publicKeyPem,
                    privateKey: other.privateKeyPem,
                };
                return new NginxLoadBalancer("lb", { ...args, ...later, ...changed });
            },
            { preview: true },
        );
    const recording = await plan();
    expect(recording.one(latchType).inputs.desired).toEqual({
        "nginx.conf": unknown,
        certificate: unknown,
        "private key, SHA-256": unknown,
    });
    expect(JSON.stringify(recording.one(commandType).inputs.stdin)).toContain(unknown);
    expect(recording.outputs).toMatchObject({ addresses: unknown, configuration: unknown });
    // What is known is checked all the same.
    await expect(plan({ readTimeoutSeconds: 60 })).rejects.toThrow(/readTimeoutSeconds: expected at least 900/);
});
