import { spawnSync } from "child_process";
import { once } from "events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { createServer } from "net";
import { tmpdir } from "os";
import { delimiter, join } from "path";
import { HostConnection } from "../../components/remote/connection";
import { parseProbe } from "../../components/remote/probe";
import { nodeProgram } from "../../components/remote/programs";
import { hostKey, newSshKey, sshKey } from "../ssh";

const components = join(__dirname, "..", "..", "components");
const connection = { address: "192.0.2.21", port: 22, user: "root", privateKey: sshKey, hostKey, waitSeconds: 0 };
const bastion = { address: "192.0.2.9", port: 2222, user: "jump", privateKey: newSshKey().privateKey, hostKey: newSshKey().publicKey };

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "ssh runner 5% "))));
afterEach(() => rmSync(folder, { recursive: true }));

/** Replaces ssh by a program. */
function insteadOfSsh(text: string): void {
    writeFileSync(join(folder, "ssh"), text);
    chmodSync(join(folder, "ssh"), 0o755);
}

/** Runs a module of the runner. Its folder for temporary files has blanks and a percent sign in its name. */
function ran(file: string, input: object, env: NodeJS.ProcessEnv = {}) {
    mkdirSync(join(folder, "tmp"), { recursive: true });
    const PATH = [folder, process.env.PATH].join(delimiter);
    return spawnSync("node", ["-", "probe"], {
        input: nodeProgram(file, input),
        env: { ...process.env, SSH_AUTH_SOCK: "", PATH, TMPDIR: join(folder, "tmp"), ...env },
        encoding: "utf8",
    });
}

/** Probes a host. */
const probed = (changes: Partial<HostConnection> = {}, env?: NodeJS.ProcessEnv) =>
    parseProbe(ran(join(components, "remote", "runner", "probeHost.js"), { host: { ...connection, ...changes }, program: "" }, env).stdout);

describe("what OpenSSH is told", () => {
    /** Logs how the real ssh reads its arguments, and with which known_hosts and keys of the agent it would connect. */
    beforeEach(() =>
        insteadOfSsh(`#!/bin/sh
log='${join(folder, "log")}'
/usr/bin/ssh -G "$@" >>"$log"
echo "keys $(ssh-add -L | sort | tr '\\n' ,)" >>"$log"
known=$(/usr/bin/ssh -G "$@" | sed -n 's/^userknownhostsfile //p')
echo "known $(cat "$known")" >>"$log"
proxy=$(/usr/bin/ssh -G "$@" | sed -n 's/^proxycommand //p' | sed 's/%h/192.0.2.21/; s/%p/22/; s/%%/%/g')
[ -z "$proxy" ] || sh -c "exec $proxy"
printf '=== pulumi-rancher-ha ===\\nend\\n'
`),
    );
    /** Returns the settings that each ssh read, those for the host first. */
    const read = () => {
        const lines = readFileSync(join(folder, "log"), "utf8").split("\n");
        const starts = lines.flatMap((line, index) => (/^host /.test(line) ? [index] : []));
        return starts.map((start, index) => {
            const own = lines.slice(start, starts[index + 1]).filter(line => line !== "");
            return Object.fromEntries(own.map(line => /^(\S+) ?(.*)$/.exec(line)!.slice(1))) as Record<string, string>;
        });
    };

    test("a folder for temporary files with blanks and % in its name does no harm", () => {
        expect(probed()).toMatchObject({ state: "in sync" });
        const [host, ...others] = read();
        expect(others).toEqual([]);
        expect(host).toMatchObject({ hostname: "192.0.2.21", port: "22", user: "root", stricthostkeychecking: "true" });
        expect(host.known).toBe(`rancher-ha ${hostKey}`);
    });

    test.each([
        ["2001:0db8::21", 22],
        ["2001:db8:0:0:0:0:0:21", 2222],
    ])("the host key is found for each form of an IPv6 address: %s, port %i", (address, port) => {
        expect(probed({ address, port })).toMatchObject({ state: "in sync" });
        const [host] = read();
        // ssh itself shortens the address before it looks for the key.
        expect(host).toMatchObject({ hostname: "2001:db8::21", port: String(port) });
        expect(host).toMatchObject({ hostkeyalias: "rancher-ha", known: `rancher-ha ${hostKey}` });
    });

    test("a bastion has its own user, port and verified key, and leads to the host", () => {
        expect(probed({ bastion })).toMatchObject({ state: "in sync" });
        const [host, hop] = read();
        expect(host).toMatchObject({ hostname: "192.0.2.21", known: `rancher-ha ${hostKey}` });
        const verified = { hostkeyalias: "rancher-ha", stricthostkeychecking: "true", globalknownhostsfile: "/dev/null", batchmode: "yes" };
        expect(hop).toMatchObject({ hostname: "192.0.2.9", port: "2222", user: "jump", ...verified });
        expect(hop.known).toBe(`rancher-ha ${bastion.hostKey}`);
        expect(hop.keys.split(",").filter(key => key !== "")).toHaveLength(2);
    });

    test("without a private key the user's agent is asked", () => {
        const none = probed({ privateKey: undefined }, { SSH_AUTH_SOCK: "" });
        expect(none).toMatchObject({
            state: "unreachable",
            reason: expect.stringMatching(/^ssh\.agent: expected an SSH agent at SSH_AUTH_SOCK/),
        });
        insteadOfSsh(`#!/bin/sh\nprintf '=== pulumi-rancher-ha ===\\nfact socket %s\\nend\\n' "$SSH_AUTH_SOCK"`);
        expect(probed({ privateKey: undefined }, { SSH_AUTH_SOCK: "/run/agent" }).facts).toEqual({ socket: "/run/agent" });
    });
});

describe("an agent of the user beside a private key", () => {
    const probedBeside = (socket: string) => {
        insteadOfSsh("#!/bin/sh\necho '=== pulumi-rancher-ha ==='\necho end\n");
        return probed({}, { SSH_AUTH_SOCK: socket });
    };
    const message = (socket: string, code: string) =>
        `SSH_AUTH_SOCK: expected nothing, or the socket of an SSH agent, found ${socket}, where no agent listens (${code}). ` +
        "Run `unset SSH_AUTH_SOCK` [RHA ssh]";

    test("that listens is no fault", async () => {
        const socket = join(folder, "listens");
        const server = createServer().listen(socket);
        await once(server, "listening");
        expect(probedBeside(socket)).toMatchObject({ state: "in sync" });
        server.close();
    });

    test("that has ended is refused, because every update would fail at its socket", () => {
        const socket = join(folder, "ended");
        expect(probedBeside(socket)).toMatchObject({ state: "refused", reason: message(socket, "ENOENT") });
        writeFileSync(socket, "");
        expect(probedBeside(socket)).toMatchObject({ state: "refused", reason: message(socket, "ECONNREFUSED") });
    });
});

test("agents at the same time, and one after another, hold their own keys", async () => {
    const { run, withSshAgent } = jest.requireActual(join(components, "remote", "runner", "ssh.js"));
    const held = ({ privateKey }: HostConnection) =>
        withSshAgent([{ ...connection, privateKey }], async (env: NodeJS.ProcessEnv) => (await run("ssh-add", ["-L"], { env })).stdout);
    const own = await Promise.all([connection, bastion, connection].map(login => held(login as HostConnection)));
    expect([new Set(own).size, own[2]]).toEqual([2, own[0]]);
    for (const key of own) expect(key).toMatch(/^ssh-ed25519 \S+ ?.*\n$/);
    for (let index = 0; index < 5; index++) expect(await held(connection)).toBe(own[0]);
});

test("a host key's file stays as it is while ssh may read it", async () => {
    const { sshProgram } = jest.requireActual(join(components, "remote", "runner", "ssh.js"));
    insteadOfSsh(`#!/bin/sh
known=$(/usr/bin/ssh -G "$@" | sed -n 's/^userknownhostsfile //p')
printf '=== pulumi-rancher-ha ===\\n%s' "$(stat -c '%n %i %z' "$known"; cat "$known")"
`);
    const PATH = [folder, process.env.PATH].join(delimiter);
    const read = async (login: HostConnection) => (await sshProgram({ PATH }, login, "", "probe", 10)).stdout;
    const first = await read(connection);
    const rebuilt = await read({ ...connection, hostKey: bastion.hostKey });
    expect(rebuilt).toContain(`rancher-ha ${bastion.hostKey}`);
    expect(await read(connection)).toBe(first);
});

describe("a probe that fails", () => {
    const fails = (code: number, ...lines: string[]) =>
        insteadOfSsh(`#!/bin/sh\ncat <<'END' >&2\n${lines.join("\n")}\nEND\nexit ${code}\n`);

    // These are messages of OpenSSH 9.2.
    test.each([
        [
            "the bastion's key",
            [
                "Host key verification failed.",
                "kex_exchange_identification: Connection closed by remote host",
                "Connection closed by UNKNOWN port 65535",
            ],
            /^jump@192\.0\.2\.9:2222 \(the bastion\): the host shows another host key/,
        ],
        [
            "the login at the bastion",
            ["jump@192.0.2.9: Permission denied (publickey).", "Connection closed by UNKNOWN port 65535"],
            /^jump@192\.0\.2\.9:2222 \(the bastion\): the host refuses the SSH key/,
        ],
        [
            "the bastion's port",
            [
                "ssh: connect to host 192.0.2.9 port 2222: Connection refused\r",
                "kex_exchange_identification: Connection closed by remote host",
                "Connection closed by UNKNOWN port 65535",
            ],
            /^jump@192\.0\.2\.9:2222 \(the bastion\): no SSH connection \(ssh: connect to host 192\.0\.2\.9 port 2222: Connection refused\)/,
        ],
        [
            "the way from the bastion",
            [
                "channel 0: open failed: connect failed: Connection refused",
                "stdio forwarding failed",
                "Connection closed by UNKNOWN port 65535",
            ],
            /^root@192\.0\.2\.21:22 through the bastion 192\.0\.2\.9: no SSH connection \(channel 0: open failed: connect failed: Connection refused\)/,
        ],
        [
            "the login behind the bastion",
            ["root@192.0.2.21: Permission denied (publickey)."],
            /^root@192\.0\.2\.21:22 through the bastion 192\.0\.2\.9: the host refuses/,
        ],
    ])("says which hop it was: %s", (_what, lines, reason) => {
        fails(255, ...lines);
        expect(probed({ bastion })).toMatchObject({ state: "unreachable", reason: expect.stringMatching(reason) });
    });

    // These are words of sudo 1.9, sh and sudo-rs, and of a host with another language.
    test.each([
        "sudo: a password is required",
        "sudo: sorry, you must have a tty to run sudo",
        "sh: 1: sudo: not found",
        "sudo: Ein Passwort ist notwendig",
        "sudo: interactive authentication is required",
        "deploy n'apparaît pas dans le fichier sudoers.",
    ])("refuses a user who may not become root: %s", line => {
        fails(1, "a greeting", line);
        const reason =
            `192.0.2.21: expected root, or a user with sudo without a password, found "${line}" for admin. ` +
            "Allow it in /etc/sudoers.d: admin ALL=(root) NOPASSWD: ALL [RHA host-not-fit]";
        expect(probed({ user: "admin" })).toMatchObject({ state: "refused", reason });
    });

    test("refuses a user whose program never begins and says nothing", () => {
        fails(1, "");
        const reason = expect.stringContaining("found exit code 1 for admin.");
        expect(probed({ user: "admin" })).toMatchObject({ state: "refused", reason });
    });

    test.each([124, 137, 143])("refuses no host where the program was ended, with exit code %i", code => {
        fails(code, "sudo: a password is required");
        const reason = `the probe ended with exit code ${code}: sudo: a password is required`;
        expect(probed({ user: "admin" })).toMatchObject({ state: "unreachable", reason });
    });

    test("refuses no host where root's program does not begin", () => {
        fails(1, "sudo: a password is required");
        expect(probed()).toMatchObject({ state: "unreachable", reason: expect.stringContaining("exit code 1") });
    });

    test("hands on the last line of a program that began", () => {
        insteadOfSsh(
            "#!/bin/sh\necho a greeting\necho '=== pulumi-rancher-ha ==='\nprintf 'a warning\\nsh: out of memory\\n' >&2\nexit 2\n",
        );
        expect(probed({ user: "admin" })).toMatchObject({
            state: "unreachable",
            reason: "the probe ended with exit code 2: sh: out of memory",
        });
    });
});

test.each([
    ["of a host with another host key", "Host key verification failed.", {}, { showsOtherKey: true, mayBeReached: true }],
    [
        "of a bastion with another host key",
        "Host key verification failed.\nConnection closed by UNKNOWN port 65535",
        {},
        { showsOtherKey: false, mayBeReached: true },
    ],
    ["of an unreachable host", "ssh: connect to host 192.0.2.21 port 22: No route to host", {}, { mayBeReached: false }],
    ["of a host that refuses the key", "root@192.0.2.21: Permission denied (publickey).", {}, { mayBeReached: false }],
    ["that was lost in a program", "Connection reset by 192.0.2.21 port 22", { hasBegun: true }, { mayBeReached: true }],
    ["that was ended by its timeout", "", { code: null }, { mayBeReached: true }],
])("an SSH connection %s tells whether a client that checks no key gets there", (_what, stderr, result, found) => {
    const { reachOf } = jest.requireActual(join(components, "remote", "runner", "sshFailure.js"));
    expect(reachOf({ ...connection, bastion }, { code: 255, hasBegun: false, stderr, ...result })).toMatchObject(found);
});

describe("a node", () => {
    /** Runs the checks before RKE on one node. */
    function preflight(waitSeconds: number, waits: boolean): { lines: string[]; failure?: string } {
        const source = join(folder, "check.js");
        writeFileSync(
            source,
            `const { preflight, withAgentFor } = require("${join(components, "cluster", "rke", "runner", "nodes")}");
            const main = ({ node, waits }) =>
                withAgentFor([node], env => preflight(env, [node], "", { waits })).then(found => console.log(JSON.stringify(found)));
            module.exports = { main };`,
        );
        const { stdout } = ran(source, { node: { name: "node1", connection: { ...connection, waitSeconds } }, waits });
        return JSON.parse(stdout)[0];
    }

    /** Forwards a connection like sshd, or closes it at once. The other sessions run a script. */
    function forwarding(isForwarded: boolean, script: string): void {
        const forward = join(folder, "forward.js");
        writeFileSync(
            forward,
            `const [socket, target] = process.argv[process.argv.indexOf("-L") + 1].replace(/%%/g, "%").split(":");
            if (target !== "/var/run/docker.sock") process.exit(1);
            require("net").createServer(connection => ${isForwarded} ? connection.end("HTTP/1.0 200 OK") : connection.destroy()).listen(socket);`,
        );
        insteadOfSsh(
            `#!/bin/sh\ncase "$*" in *" -N "*) exec node '${forward}' "$@" ;; esac\necho '=== pulumi-rancher-ha ==='\n${script}\n`,
        );
    }

    /** Checks a node whose first tries fail with a line. Returns the tries and the result. */
    function checked({ failures = 0, line = "", waits = true }, waitSeconds = 10) {
        const count = join(folder, "count");
        writeFileSync(count, "");
        forwarding(true, `echo >>'${count}'\n[ "$(wc -l <'${count}')" -gt ${failures} ] || { echo "${line}" >&2; exit 255; }`);
        const { failure } = preflight(waitSeconds, waits);
        return { tries: readFileSync(count, "utf8").length, failure };
    }

    test.each([
        ["forwards the Docker socket is taken", true, []],
        [
            "does not forward the Docker socket is refused before RKE runs",
            false,
            [
                expect.stringMatching(
                    /^node1 .*: sshd does not forward connections to \/var\/run\/docker\.sock, which RKE needs: expected Allow/,
                ),
            ],
        ],
    ])("whose sshd %s", (_what, isForwarded, lines) => {
        forwarding(isForwarded, "");
        expect(preflight(0, false).lines).toEqual(lines);
    });

    test("whose Docker does not work is told that alone", () => {
        forwarding(false, "echo 'Docker cannot be used by rke'");
        expect(preflight(0, false).lines).toEqual([expect.stringContaining("Docker cannot be used")]);
    });

    test("to which a second connection fails says why", () => {
        insteadOfSsh(`#!/bin/sh
case "$*" in *" -N "*) echo "Connection reset by 192.0.2.21 port 22" >&2; exit 255 ;; esac
printf '=== pulumi-rancher-ha ===\\n'
`);
        expect(preflight(0, false).failure).toMatch(/^node1: root@192\.0\.2\.21:22: no SSH connection \(Connection reset by/);
    });

    const booting = "ssh: connect to host 192.0.2.21 port 22: Connection refused";

    test(
        "that boots is waited for by an update",
        () => expect(checked({ failures: 2, line: booting })).toEqual({ tries: 3, failure: undefined }),
        60_000,
    );

    test("that boots is not waited for by a preview, nor longer than asked", () => {
        const once = { tries: 1, failure: expect.stringContaining("Connection refused") };
        expect(checked({ failures: 2, line: booting, waits: false })).toEqual(once);
        expect(checked({ failures: 2, line: booting }, 0)).toEqual(once);
    }, 60_000);

    test.each(["root@192.0.2.21: Permission denied (publickey).", "Host key verification failed."])(
        "that refuses for good is not waited for: %s",
        line => expect(checked({ failures: 9, line })).toEqual({ tries: 1, failure: expect.stringMatching(/^node1: root@192/) }),
        60_000,
    );
});
