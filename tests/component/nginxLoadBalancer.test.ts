import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { execFileSync, spawnSync } from "child_process";
import { createHash } from "crypto";
import { DriftMode } from "../../components/remote/drift";
import { parseProbe } from "../../components/remote/probe";
import { NginxLoadBalancerArgs } from "../../components/loadBalancer/args";
import { unreachableNewcomer, virtualIpInUse } from "../../components/loadBalancer/observation";
import { NginxLoadBalancer } from "../../components/loadBalancer/nginxLoadBalancer";
import { issue } from "../../lab/certificates";
import { said } from "../probes";
import { record, RecordOptions, Recording, secret, unknown } from "./recorder";
import { findingOf, hostKey, hostname, server, sshKey } from "./stackMocks";

const latchType = "command:local:Command";
const commandType = "command:remote:Command";
const args: NginxLoadBalancerArgs = {
    hosts: [{ address: "192.0.2.21", hostKey, privateKey: sshKey }],
    hostname,
    upstreams: ["192.0.2.31", "192.0.2.32"],
    certificateChain: server.certificate,
    privateKey: pulumi.secret(server.privateKey),
};
const elsewhere = issue({ name: "other.example.com", names: ["DNS:other.example.com"] });
const host = { address: "192.0.2.21", hostKey, privateKey: sshKey };
const pair = { hosts: [host, { ...host, address: "192.0.2.22" }], virtualIp: { address: "192.0.2.20" } };
const onHost = { certificateChain: "/etc/ssl/fullchain.pem", privateKey: "/etc/ssl/privkey.pem" };

interface Options extends RecordOptions {
    epoch?: number;
    /** Output of the probe. */
    found?: string;
}
const build = (changed: Partial<NginxLoadBalancerArgs> = {}, { epoch = 0, found = said("in sync"), ...options }: Options = {}) => {
    const probes: pulumi.runtime.MockCallArgs[] = [];
    const states: Record<string, object> = {
        [commandType]: { stdout: "fingerprint" },
        [latchType]: { stdout: String(epoch) },
        "random:index/randomInteger:RandomInteger": { result: 51 },
    };
    const mock: RecordOptions["mock"] = ({ type }) => states[type] ?? {};
    const call = (request: pulumi.runtime.MockCallArgs) => (probes.push(request), { stdout: found });
    return record(() => new NginxLoadBalancer("lb", { ...args, ...changed }), { mock, call, ...options }).then(recording => ({
        ...recording,
        probes,
    }));
};
const stdinOf = (recording: Recording): string => recording.one(commandType).inputs.stdin.secret;
const keyLine = server.privateKey.split("\n")[1];
const certificateLine = server.certificate.split("\n")[1];

test("one command runs on the host, with certificate and key on standard input only", async () => {
    const recording = await build();
    const [component, ...children] = recording.resources;
    expect(component).toMatchObject({ type: "pulumi-rancher-ha:index:NginxLoadBalancer", name: "lb" });
    expect(children.map(child => child.name).sort()).toEqual(["lb-drift-1", "lb-host-1"]);
    expect(children.every(child => child.parent === component.urn)).toBe(true);

    const { stdin, ...visible } = recording.one(commandType).inputs;
    expect(visible).toEqual({
        connection: secret({
            host: "192.0.2.21",
            port: 22,
            user: "root",
            privateKey: sshKey,
            hostKey,
            dialErrorLimit: 31,
            perDialTimeout: 5,
        }),
        create: "timeout -k 60 600 sh -s apply",
        delete: "timeout -k 60 600 sh -s destroy",
        triggers: ["192.0.2.21"],
        addPreviousOutputInEnv: false,
        logging: "stderr",
    });
    expect(stdin.secret).toContain(keyLine);
    expect(stdin.secret).toContain(certificateLine);
    expect(stdin.secret).toContain("server 192.0.2.31:80");
    expect(recording.outputs).toEqual({
        addresses: ["192.0.2.21"],
        servingAddresses: ["192.0.2.21"],
        fingerprint: "fingerprint",
    });
});

test("Pulumi dials through the bastion, with the agent's keys when no key is given", async () => {
    const bastion = { address: "192.0.2.9", hostKey };
    const ssh = { user: "admin", port: 2222, agent: true, bastion, waitSeconds: 5 };
    const { connection } = (await build({ hosts: [{ address: "192.0.2.21", hostKey }], ssh })).one(commandType).inputs;
    const dial = { user: "admin", hostKey, dialErrorLimit: 8, perDialTimeout: 5 };
    expect(connection).toEqual(secret({ host: "192.0.2.21", port: 2222, ...dial, proxy: { host: "192.0.2.9", port: 22, ...dial } }));
});

test("a user other than root works through sudo", async () => {
    const recording = await build({ hosts: [{ address: "192.0.2.21", user: "admin", port: 2222, hostKey, privateKey: sshKey }] });
    expect(recording.one(commandType).inputs).toMatchObject({
        connection: { secret: { user: "admin", port: 2222 } },
        create: "sudo -n timeout -k 60 600 sh -s apply",
        delete: "sudo -n timeout -k 60 600 sh -s destroy",
    });
});

test("a run is ended after timeoutSeconds, of which the program knows", async () => {
    const recording = await build({ timeoutSeconds: 1200 });
    expect(recording.one(commandType).inputs.create).toBe("timeout -k 60 1200 sh -s apply");
    expect(stdinOf(recording)).toContain("timeout_seconds='1200'\n");
});

test("a preview shows configuration and certificate as text, and the key as its digest", async () => {
    const recording = await build();
    const { environment, stdin } = recording.one(latchType).inputs;
    expect(stdin).toBe("in sync");
    expect(environment).toEqual({
        "nginx.conf": expect.stringContaining(`server_name ${hostname};`),
        "sysctl.conf": expect.stringContaining("net.ipv4.tcp_retries2"),
        "nginx.service.conf": expect.stringContaining("Restart=on-failure"),
        "nginx-service": expect.stringContaining("down_file=''"),
        "logs.timer": expect.stringContaining("OnCalendar=hourly"),
        "large-logs": expect.stringContaining("-size +1G"),
        "logs.service": expect.stringContaining("logrotate --force"),
        "fullchain.pem": server.certificate,
        "privkey.pem, SHA-256": createHash("sha256").update(server.privateKey).digest("hex"),
    });
});

test("what a user marked as a secret is hidden in a preview, and nothing else", async () => {
    const desired = async (server: pulumi.Input<string>) =>
        (await build({ extraDirectives: { server } })).one(latchType).inputs.environment;
    const directive = "add_header X-Token abc;";
    expect(await desired(pulumi.secret(directive))).toEqual(secret({ ...(await desired(directive)) }));
    expect((await desired(directive))["nginx.conf"]).toContain(directive);
});

describe("another address is another host", () => {
    const trigger = (recording: Recording, name = "lb-host-1") => {
        const { inputs, deleteBeforeReplace } = recording.resources.find(each => each.name === name)!;
        return { triggers: inputs.triggers, deleteBeforeReplace };
    };

    test("a host alone is replaced: the new one serves before the old one goes", async () => {
        const moved = await build({ hosts: [{ ...host, address: "192.0.2.29" }] });
        expect([trigger(await build()), trigger(moved)]).toEqual([
            { triggers: ["192.0.2.21"], deleteBeforeReplace: false },
            { triggers: ["192.0.2.29"], deleteBeforeReplace: false },
        ]);
    });

    test("one host of a pair leaves before the new one comes", async () => {
        const recording = await build(pair);
        expect(["lb-host-1", "lb-host-2"].map(name => trigger(recording, name))).toEqual([
            { triggers: ["192.0.2.21"], deleteBeforeReplace: true },
            { triggers: ["192.0.2.22"], deleteBeforeReplace: true },
        ]);
    });

    test("nothing else replaces a host", async () => {
        const other = await build({ hosts: [{ ...host, user: "admin", port: 2222 }], readTimeoutSeconds: 3600 }, { epoch: 7 });
        expect(trigger(other)).toEqual(trigger(await build()));
    });

    test("a host knows whose it is: the resource and the address", async () => {
        const recording = await build(pair);
        const owners = ["lb-host-1", "lb-host-2"].map(
            name => /owner='(.*)'/.exec(recording.one(commandType, name).inputs.stdin.secret)![1],
        );
        expect(owners).toEqual(["1@192.0.2.21", "2@192.0.2.22"].map(end => `organization/project/stack/lb/lb-host-${end}`));
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
        const recording = await build({}, { found: said("/etc/nginx/nginx.conf: content differs") });
        expect(findingOf(recording.one(latchType))).toBe("/etc/nginx/nginx.conf: content differs");
        expect(recording.probes).toHaveLength(1);
        expect(recording.probes[0].token).toBe("command:local:run");
        expect(JSON.stringify(recording.probes[0].inputs.command)).not.toContain(sshKey.split("\n")[1]);
    });

    test.each([
        // The program ends itself as its time limit does.
        ["that does not end is judged by what it said", "console.log('end'); process.exitCode = 124", 0, "end\n"],
        ["that fails fails the preview", "process.exitCode = 3", 1, ""],
    ])("a probe %s", async (_, program, status, said) => {
        const { command } = (await build()).probes[0].inputs;
        const ran = spawnSync("/bin/sh", ["-c", command], { input: program, encoding: "utf8" });
        expect([ran.status, ran.stdout]).toEqual([status, said]);
    });

    test("warn: says it and changes nothing", async () => {
        const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
        const recording = await build({ drift: DriftMode.Warn }, { found: said("nginx: not running") });
        expect(findingOf(recording.one(latchType))).toBe("in sync");
        expect(warn.mock.calls.map(([text]) => text)).toEqual(["needs attention: lb-drift-1: not as configured:\nnginx: not running"]);
        warn.mockRestore();
    });

    describe("a host that was set back", () => {
        const releaseIn = (recording: Recording) =>
            /return 200 "(\w+) \$pid/.exec(recording.one(latchType).inputs.environment["nginx.conf"])![1];
        const warningsOf = async (options: Options, drift: DriftMode = DriftMode.Enforce) => {
            const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
            await build({ drift }, options);
            const texts = warn.mock.calls.map(([text]) => text);
            warn.mockRestore();
            return texts;
        };
        const other = said("in sync", { release: "0123456789ab", applied: "fingerprint" });

        test("enforce: another release than that of the configuration is drift", async () => {
            const release = releaseIn(await build());
            const finding = `release 0123456789ab, expected ${release}, which this configuration makes`;
            expect(findingOf((await build({}, { found: other })).one(latchType))).toBe(finding);
            const same = said("in sync", { release, applied: "fingerprint" });
            expect(findingOf((await build({}, { found: same })).one(latchType))).toBe("in sync");
        });

        test("warn: another release is told in a preview without a change", async () =>
            expect(await warningsOf({ found: other, preview: true }, DriftMode.Warn)).toEqual([
                expect.stringMatching(/^needs attention: lb-host-1: not as last applied:\nrelease 0123456789ab, expected \w{12}/),
            ]));

        test.each([DriftMode.Enforce, DriftMode.Warn])("%s: the same release from another apply is told in a preview", async drift => {
            const facts = { release: releaseIn(await build()), applied: "of before" };
            const found = said("in sync", facts);
            const last = said("in sync", { ...facts, applied: "fingerprint" });
            expect(await warningsOf({ found, preview: true }, drift)).toEqual([
                expect.stringMatching(/^needs attention: lb-host-1: the host records another apply .*\(of before\) than .*\(fingerprint\)/),
            ]);
            expect(await warningsOf({ found }, drift)).toEqual([]);
            expect(await warningsOf({ found: last, preview: true }, drift)).toEqual([]);
        });
    });

    test("off makes neither probe nor latch", async () => {
        const recording = await build({ drift: DriftMode.Off }, { found: said("nginx: not running") });
        expect(recording.probes).toEqual([]);
        expect(recording.resources.map(({ type }) => type)).not.toContain(latchType);
        expect(stdinOf(recording)).toContain("drift_epoch='0'\n");
    });

    test("off, for a pair, makes no latch, but the probe that tells who is changed last", async () => {
        const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
        const recording = await build({ ...pair, drift: DriftMode.Off }, { found: said("in sync", { "virtual-ip": "free" }) });
        expect(recording.probes).toHaveLength(2);
        expect(recording.resources.map(({ type }) => type)).not.toContain(latchType);
        warn.mockRestore();
    });

    test("a host that cannot be reached is not taken for a changed one", async () => {
        const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
        const recording = await build({}, { found: said("unreachable: root@192.0.2.21:22: no SSH connection") });
        expect(findingOf(recording.one(latchType))).toBe("in sync");
        expect(warn.mock.calls.map(([text]) => text)).toEqual([
            "needs attention: lb-drift-1: drift is not known: root@192.0.2.21:22: no SSH connection [RHA drift-unknown]",
        ]);
        warn.mockRestore();
    });
});

describe("a pair", () => {
    /** Builds a pair. `found` holds the output of each probe, in the order of the hosts. */
    const built = (found: string[] = [], changed: Partial<NginxLoadBalancerArgs> = {}) => {
        const texts = [...found];
        const mock: RecordOptions["mock"] = ({ type, name }) =>
            type === commandType
                ? { stdout: name }
                : type === latchType
                  ? { stdout: "0" }
                  : type === "random:index/randomInteger:RandomInteger"
                    ? { result: 77 }
                    : {};
        const call = () => ({ stdout: texts.shift() ?? said("in sync") });
        return record(() => new NginxLoadBalancer("lb", { ...args, ...pair, ...changed }), { mock, call });
    };
    const command = (recording: Recording, name: string) => recording.resources.find(each => each.name === name)!;
    const held = said("in sync", { nginx: "1.30.0", "virtual-ip": "held" });
    const free = said("in sync", { nginx: "1.30.0", "virtual-ip": "free" });
    const knows = (virtualIp: string, peer: string) => said("in sync", { nginx: "1.30.0", "virtual-ip": virtualIp, peer });
    const absent = said("absent: not set up");
    const answered = said("absent: not set up", { "virtual-ip-answers": "02:00:00:00:00:01" });

    test("users connect to the virtual IP, and every address is known", async () => {
        const { outputs } = await built();
        expect(outputs).toEqual({
            addresses: ["192.0.2.20"],
            servingAddresses: ["192.0.2.20", "192.0.2.21", "192.0.2.22"],
            fingerprint: "lb-host-1 lb-host-2",
        });
    });

    test.each([
        [DriftMode.Off, "the first", [held, free], "lb-host-2", "lb-host-1"],
        [DriftMode.Off, "the second", [free, held], "lb-host-1", "lb-host-2"],
        [DriftMode.Enforce, "none", [], "lb-host-2", "lb-host-1"],
        [DriftMode.Enforce, "the first", [held, free], "lb-host-2", "lb-host-1"],
        [DriftMode.Enforce, "the second", [free, held], "lb-host-1", "lb-host-2"],
        [DriftMode.Enforce, "the second, the first cannot be reached", [said("unreachable: lb1"), held], "lb-host-1", "lb-host-2"],
        [DriftMode.Enforce, "the first, beside a new host", [knows("held", "192.0.2.29"), absent], "lb-host-1", "lb-host-2"],
        [DriftMode.Off, "none, beside a new host", [absent, knows("free", "192.0.2.29")], "lb-host-2", "lb-host-1"],
        [DriftMode.Enforce, "the first, beside a host that was rebuilt", [knows("held", "192.0.2.22"), absent], "lb-host-2", "lb-host-1"],
        [DriftMode.Enforce, "none, beside a second host of a single one", [said("in sync"), absent], "lb-host-2", "lb-host-1"],
        [DriftMode.Enforce, "none, the first cannot be reached", [said("unreachable: lb1"), free], "lb-host-1", "lb-host-2"],
    ])("the active host or a new one is last, drift %s: %s", async (drift, _what, found, first, last) => {
        jest.spyOn(pulumi.log, "info").mockResolvedValue();
        jest.spyOn(pulumi.log, "warn").mockResolvedValue();
        const recording = await built(found, { drift });
        expect(command(recording, last).dependencies).toContain(command(recording, first).urn);
        expect(command(recording, first).dependencies).not.toContain(command(recording, last).urn);
        jest.restoreAllMocks();
    });

    describe("one host of which cannot be reached", () => {
        const away = said("unreachable: root@192.0.2.22:22: no SSH connection");
        const warned = async (found: string[]) => {
            const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
            const recording = await built(found);
            const texts = warn.mock.calls.map(([text]) => text).filter(text => text.includes("leaves it as it is"));
            warn.mockRestore();
            return { recording, texts };
        };
        const inputs = ["connection", "create", "delete", "stdin", "triggers"];

        test("keeps that host as it is, says so, and changes the other one", async () => {
            const { recording, texts } = await warned([held, away]);
            expect(texts).toEqual([
                "needs attention: 192.0.2.22 is unreachable: this update leaves it as it is, and waits for it only if it is new. Run pulumi up again when the host answers",
            ]);
            expect(command(recording, "lb-host-2").ignoreChanges).toEqual(expect.arrayContaining(inputs));
            expect(command(recording, "lb-host-1").ignoreChanges).toEqual([]);
            expect(recording.outputs.servingAddresses).toEqual(["192.0.2.20", "192.0.2.21"]);
        });

        test.each([
            ["both can be reached", [held, free]],
            ["none can be reached", [away, away]],
        ])("changes both when %s", async (_what, found) => {
            const { recording, texts } = await warned(found);
            expect(texts).toEqual([]);
            expect(["lb-host-1", "lb-host-2"].map(name => command(recording, name).ignoreChanges)).toEqual([[], []]);
            expect(recording.outputs.servingAddresses).toHaveLength(3);
        });
    });

    describe("a new host that is unreachable", () => {
        const away = said("unreachable: no SSH connection");
        const of = (peer: string) => said("in sync", { "virtual-ip": "held", peer });
        const inner = [host, { ...pair.hosts[1], internalAddress: "10.0.0.22" }];
        const refusal = (hosts: typeof pair.hosts, found: string[]) => unreachableNewcomer(hosts, found.map(parseProbe));

        test.each([
            ["second", pair.hosts, [of("192.0.2.29"), away], "hosts[1].address", "192.0.2.22"],
            ["first", pair.hosts, [away, of("192.0.2.29")], "hosts[0].address", "192.0.2.21"],
            ["second, by its internalAddress", inner, [of("192.0.2.29"), away], "hosts[1].address", "192.0.2.22"],
        ])("is refused: the %s", (_what, hosts, found, key, address) =>
            expect(refusal(hosts, found)).toBe(
                `${key}: expected a host that answers, because it would replace 192.0.2.29, found ${address}: no SSH connection. ` +
                    "Bring the new host up first, or correct its address",
            ),
        );

        test.each([
            ["the peer knows it", pair.hosts, [of("192.0.2.22"), away]],
            ["the peer knows its internalAddress", inner, [of("10.0.0.22"), away]],
            ["the peer knows it beside the one that should replace it", pair.hosts, [of("192.0.2.23 192.0.2.22"), away]],
            ["the peer is of no pair yet", pair.hosts, [said("absent: not set up"), away]],
            ["it answers, and the earlier host is dead", pair.hosts, [of("192.0.2.29"), said("absent: not set up")]],
            ["the whole pair is unreachable", pair.hosts, [away, away]],
            ["there is one host", [host], [away]],
            ["nobody was asked", pair.hosts, []],
        ])("is no reason to refuse when %s", (_what, hosts, found) => expect(refusal(hosts, found)).toBeUndefined());
    });

    test.each([
        [
            "both hold it",
            [held, held],
            /both 192\.0\.2\.21 and 192\.0\.2\.22 hold the virtual IP 192\.0\.2\.20[^]*VRRP \(IP protocol 112\)/,
        ],
        ["none holds it", [free, free], /no host holds the virtual IP 192\.0\.2\.20: users get no answer/],
    ])("a warning says when %s", async (_what, found, words) => {
        const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
        await built(found);
        expect(warn.mock.calls.map(([text]) => text)).toEqual([expect.stringMatching(words)]);
        warn.mockRestore();
    });

    test.each([
        ["is refused when no host of the pair can be the one", [answered, answered], true],
        ["is accepted when the peer has it", [answered, held], false],
        ["is accepted when the peer has it by other means", [said("absent: not set up"), answered], false],
        ["is accepted when the peer cannot be reached", [answered, said("unreachable: lb2")], false],
        ["is accepted when nobody was asked", [], false],
    ])("a virtual IP with an answer %s", (_what, found, isRefused) => {
        const reason = expect.stringMatching(
            /^virtualIp\.address: expected .* uses, found 192\.0\.2\.20, where .* 02:00:00:00:00:01 answers/,
        );
        expect(virtualIpInUse("192.0.2.20", found.map(parseProbe))).toEqual(isRefused ? reason : undefined);
    });

    test("each host is told itself and its peer, and both the same router id", async () => {
        const recording = await built();
        const withoutComments = (text: string) => text.replace(/^ *#.*\n/gm, "");
        const files = ["lb-drift-1", "lb-drift-2"].map(name =>
            withoutComments(command(recording, name).inputs.environment["keepalived.conf"]),
        );
        expect(files[0]).toMatch(
            /virtual_router_id 77\s+priority 150\s[^]*unicast_src_ip 192\.0\.2\.21\s+unicast_peer \{\s+192\.0\.2\.22\s/,
        );
        expect(files[1]).toMatch(
            /virtual_router_id 77\s+priority 100\s[^]*unicast_src_ip 192\.0\.2\.22\s+unicast_peer \{\s+192\.0\.2\.21\s/,
        );
    });

    test("each host is told the internalAddress of both, when SSH uses another one", async () => {
        const hosts = [
            { ...host, address: "lb1.example.com", internalAddress: "10.0.0.1" },
            { ...host, address: "lb2.example.com", internalAddress: "10.0.0.2" },
        ];
        const recording = await built([], { hosts });
        expect(command(recording, "lb-host-2").inputs.connection.secret.host).toBe("lb2.example.com");
        const { "keepalived.conf": conf, "reaches-a-node": check } = command(recording, "lb-drift-2").inputs.environment;
        expect(conf).toMatch(/unicast_src_ip 10\.0\.0\.2\s+unicast_peer \{\s+10\.0\.0\.1\s/);
        expect(check).toContain("peer='10.0.0.1'");
        expect(command(recording, "lb-host-2").inputs.stdin.secret).toContain("own_address='10.0.0.2'");
    });

    test("a router id that is given is not drawn", async () => {
        const recording = await built([], { virtualIp: { address: "192.0.2.20", routerId: 5 } });
        expect(recording.resources.map(({ type }) => type)).not.toContain("random:index/randomInteger:RandomInteger");
        expect(command(recording, "lb-drift-1").inputs.environment["keepalived.conf"]).toContain("virtual_router_id 5\n");
    });
});

test("a preview says what a newer NGINX would bring", async () => {
    const info = jest.spyOn(pulumi.log, "info").mockResolvedValue();
    await build({}, { found: said("in sync", { nginx: "1.22.1" }) });
    expect(info.mock.calls.map(([text]) => text)).toEqual([
        expect.stringMatching(/^192\.0\.2\.21 has NGINX 1\.22\.1; a newer one would bring: .*a reload loses no request/),
    ]);
    info.mockRestore();
});

test("a certificate on the host is not carried, and its renewal reloads NGINX", async () => {
    const recording = await build({ certificateChain: undefined, privateKey: undefined, certificateOnHost: onHost });
    const { environment: desired } = recording.one(latchType).inputs;
    expect(Object.keys(desired).filter(name => name.includes("pem"))).toEqual([]);
    expect(desired["nginx.conf"]).toContain("ssl_certificate /etc/ssl/fullchain.pem;");
    expect(desired["certificate.path"]).toContain("PathChanged=/etc/ssl/privkey.pem");
});

test.each([
    ["certificateChain", "/etc/nginx/ssl/fullchain.pem"],
    ["privateKey", "/etc/nginx/ssl/privkey.pem"],
])("a preview warns of a file of another tool that destroy would remove: %s", async (key, path) => {
    const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
    await build({ certificateChain: undefined, privateKey: undefined, certificateOnHost: { ...onHost, [key]: path } });
    expect(warn.mock.calls.map(([text]) => text)).toEqual([
        expect.stringMatching(`^certificateOnHost.${key}: expected a file outside of /etc/nginx and /etc/keepalived, found ${path}\\. `),
    ]);
    warn.mockClear();
    await build({ certificateChain: undefined, privateKey: undefined, certificateOnHost: onHost });
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
});

test("a key and a chain with CRLF reach the host in canonical form", async () => {
    const parameters = execFileSync("openssl", ["ecparam", "-name", "prime256v1"], { encoding: "utf8" });
    const crlf = (text: string) => text.replace(/\n/g, "\r\n");
    const recording = await build({
        privateKey: pulumi.secret(crlf(`${parameters}${server.privateKey}`)),
        certificateChain: crlf(`subject=CN = ${hostname}\n${server.certificate}`),
    });
    expect(recording.one(latchType).inputs.environment).toEqual((await build()).one(latchType).inputs.environment);
});

test.each<[string, Record<string, unknown>, RegExp]>([
    ["two hosts alone", { hosts: [host, { ...host, address: "192.0.2.22" }] }, /virtualIp: expected a virtual IP for two hosts/],
    [
        "a virtual IP that is a node's address",
        { ...pair, virtualIp: { address: "192.0.2.31" } },
        /virtualIp\.address: expected an address that nothing else uses/,
    ],
    ["a virtual IP for one host", { virtualIp: { address: "192.0.2.20" } }, /virtualIp: expected no virtual IP for one host/],
    [
        "a host's own address as virtual IP",
        { ...pair, virtualIp: { address: "192.0.2.22" } },
        /virtualIp\.address: expected an address that no host has/,
    ],
    [
        "the bastion's address as virtual IP",
        { ...pair, ssh: { bastion: { address: "192.0.2.20", hostKey: host.hostKey, privateKey: host.privateKey } } },
        /virtualIp\.address: expected an address that nothing else uses, not that of ssh\.bastion/,
    ],
    ["one host twice", { ...pair, hosts: [host, host] }, /hosts\[1\]\.address: expected another host than the first/],
    [
        "a pair by names",
        { ...pair, hosts: [host, { ...host, address: "lb2" }] },
        /hosts\[1\]\.address: expected an IPv4 address, or an internalAddress/,
    ],
    [
        "a name as internal address",
        { ...pair, hosts: [host, { ...pair.hosts[1], internalAddress: "lb2" }] },
        /hosts\[1\]\.internalAddress: expected an IPv4 address, found "lb2"/,
    ],
    [
        "one internal address twice",
        { ...pair, hosts: [host, { ...pair.hosts[1], internalAddress: "192.0.2.21" }] },
        /hosts\[1\]\.internalAddress: expected another address than the first host's/,
    ],
    [
        "a host's internal address as virtual IP",
        { hosts: [host, { ...pair.hosts[1], internalAddress: "192.0.2.20" }], virtualIp: pair.virtualIp },
        /virtualIp\.address: expected an address that no host has/,
    ],
    [
        "a host that is an upstream by its internal address",
        { hosts: [{ ...host, internalAddress: "192.0.2.31" }] },
        /hosts\[0\]\.internalAddress: expected a host of its own, not a worker node, .*, found "192\.0\.2\.31" \[RHA configuration\]$/,
    ],
    [
        "no certificate",
        { certificateChain: undefined, privateKey: server.privateKey },
        /certificateChain: expected PEM text, or certificateOnHost/,
    ],
    [
        "two sources of a certificate",
        { privateKey: server.privateKey, certificateOnHost: onHost },
        /certificateChain: expected nothing beside certificateOnHost/,
    ],
    [
        "a path that is not absolute",
        { privateKey: server.privateKey, certificateOnHost: { ...onHost, privateKey: "a.key" } },
        /certificateOnHost\.privateKey: expected an absolute path/,
    ],
    [
        "a second certificate with a key of the same type",
        { privateKey: server.privateKey, secondCertificate: { certificateChain: server.certificate, privateKey: server.privateKey } },
        /secondCertificate\.privateKey: expected a key of another type than the first certificate's, found ec in both/,
    ],
    ["a trusted proxy by name", { trustedProxies: ["proxy"] }, /trustedProxies\[0\]: expected an IP address or a network/],
    [
        "a host without a key of its own",
        { hosts: [{ address: "192.0.2.21", privateKey: sshKey }] },
        /hosts\[0\]\.hostKey: expected a host key, or a line for this host in ssh\.knownHosts .*, found nothing/,
    ],
    [
        "a private key beside an agent",
        { ssh: { agent: true, bastion: { address: "192.0.2.9", hostKey, privateKey: sshKey } }, hosts: [host] },
        /hosts\[0\]\.privateKey: expected no private key beside ssh\.agent: [^]*ssh\.bastion\.privateKey: expected no private key beside/,
    ],
    ["an upstream twice", { upstreams: ["192.0.2.31", "192.0.2.31"] }, /upstreams: expected each address once/],
    ["an upstream by name", { upstreams: ["node1"] }, /upstreams\[0\]: expected an IP address, found "node1"/],
    [
        "a host that is an upstream",
        { ...pair, upstreams: ["192.0.2.31", "192.0.2.22"] },
        /hosts\[1\]\.address: expected a host of its own, not a worker node, .*, found "192\.0\.2\.22" \[RHA configuration\]$/,
    ],
    [
        "a host that is an upstream, beside a wrong type",
        { upstreams: ["192.0.2.21"], takeOver: "yes" },
        /takeOver: expected boolean.*\n.*hosts\[0\]\.address: expected a host of its own/,
    ],
    [
        "a certificate for another name, beside a wrong type",
        { certificateChain: elsewhere.certificate, privateKey: 1, takeOver: "yes" },
        /takeOver: expected boolean[^]*certificateChain: expected a certificate for rancher\.example\.com/,
    ],
    ["no upstream", { upstreams: [] }, /upstreams: expected at least one worker node/],
    [
        "a certificate for another name",
        { certificateChain: elsewhere.certificate, privateKey: elsewhere.privateKey },
        /certificateChain: expected a certificate for rancher\.example\.com/,
    ],
    ["another key", { privateKey: elsewhere.privateKey }, /privateKey: expected the key of "rancher\.example\.com"/],
    ["malformed PEM", { certificateChain: "MIIB", privateKey: server.privateKey }, /certificateChain: expected PEM text/],
    ["a run that ends before it can undo anything", { timeoutSeconds: 30 }, /timeoutSeconds: .*at least 120, found 30/],
    ["a timeout that cuts shells off", { readTimeoutSeconds: 60 }, /readTimeoutSeconds: expected at least 900/],
])("refuses %s", async (_, changed, message) => {
    const attempt = build(changed as never);
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.not.toThrow(new RegExp(elsewhere.privateKey.split("\n")[1].replace(/[+/]/g, "\\$&")));
});

test("refuses a host of another load balancer in the same run of the program", async () => {
    const both = (address: string) =>
        record(
            () => {
                new NginxLoadBalancer("lb", args);
                return new NginxLoadBalancer("other", { ...args, hosts: [{ ...host, address }] });
            },
            { mock: () => ({ stdout: "0" }) },
        );
    await both("192.0.2.22");
    await both("192.0.2.22");
    await expect(both("192.0.2.21")).rejects.toThrow(
        /NginxLoadBalancer other: hosts: .*192\.0\.2\.21, which is a host of NginxLoadBalancer lb too/,
    );
});

test("in a first preview, nodes and certificate that are not known yet are no fault", async () => {
    const plan = (changed: Partial<NginxLoadBalancerArgs> = {}, call?: RecordOptions["call"]) =>
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
            { preview: true, call },
        );
    const recording = await plan();
    expect(recording.one(latchType).inputs.environment).toEqual(unknown);
    expect(JSON.stringify(recording.one(commandType).inputs.stdin)).toContain(unknown);
    expect(recording.outputs).toMatchObject({ addresses: unknown, servingAddresses: unknown });
    // The host is probed even so. A user learns that port 443 is taken before the cluster is built.
    const probed = jest.fn(() => ({ stdout: said("absent: not set up") }));
    expect(findingOf((await plan({}, probed)).one(latchType))).toBe("absent: not set up");
    expect(probed).toHaveBeenCalledTimes(1);
    // Known values are checked even so.
    await expect(plan({ readTimeoutSeconds: 60 })).rejects.toThrow(/readTimeoutSeconds: expected at least 900/);
});
