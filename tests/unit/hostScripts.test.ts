import { execFile } from "child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "fs";
import { createServer } from "net";
import { tmpdir } from "os";
import { join } from "path";
import { vrrpOf } from "../../components/loadBalancer/program";
import { mark } from "../../components/loadBalancer/mark";
import { places, releaseFor } from "../../components/loadBalancer/release";
import { nginxSettingsSchema } from "../../components/loadBalancer/schema";
import { Issued, issue, IssueOptions, KeyKind } from "../../lab/certificates";
import { hostKey, sshKey } from "../ssh";

const scripts = join(__dirname, "..", "..", "components", "loadBalancer", "host");
const hostname = "rancher.example.com";

let folder: string;
let chain: string;
let key: string;
beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "host-"));
    [chain, key] = ["chain.pem", "key.pem"].map(name => join(folder, name));
    mkdirSync(join(folder, "bin"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs a shell text, in which the commands of the test replace those of the system. */
const run = (shell: string, text: string): Promise<{ code: number; said: string }> =>
    new Promise(resolve => {
        const env = { ...process.env, PATH: `${join(folder, "bin")}:${process.env.PATH}` };
        const child = execFile(shell, ["-s"], { env }, (error, stdout, stderr) =>
            resolve({ code: error ? Number(error.code) : 0, said: stdout + stderr }),
        );
        child.stdin!.end(text);
    });

/** Replaces a command of the system by a script. */
function command(name: string, text: string): void {
    writeFileSync(join(folder, "bin", name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, "bin", name), 0o755);
}

/** Calls a function of the host program. */
const call = (file: string, text: string) =>
    run("sh", `hostname=${hostname}\n${readFileSync(join(scripts, `${file}.sh`), "utf8")}\n${text}`);

/** Returns the files for the first host of a pair with a certificate on the host. */
function pairRelease(statusPort = 280) {
    const hosts = ["192.0.2.21", "192.0.2.22"].map(address => ({
        address,
        hostKey,
        privateKey: sshKey,
    }));
    const settings = nginxSettingsSchema.parse({
        hosts,
        virtualIp: { address: "192.0.2.20" },
        hostname,
        upstreams: ["192.0.2.31"],
        certificateOnHost: { certificateChain: chain, privateKey: key },
        statusPort,
    });
    return releaseFor(settings, vrrpOf(settings, 0, 51)).files;
}

test("files outside of a release's folder hold the mark by which they are removed", () => {
    const files = new Map(Object.entries(pairRelease()));
    const placed = places.split("\n").map(line => line.split(" ")[0]);
    expect(placed.filter(name => !files.get(name)?.includes(mark))).toEqual([]);
});

describe("a file is written", () => {
    const file = () => join(folder, "file");

    test("with its mode, or stays as it was", async () => {
        writeFileSync(file(), "before\n");
        expect(await call("lib", `cat() { return 1; }; echo after | write ${file()} 755`)).toMatchObject({ code: 1 });
        expect(readFileSync(file(), "utf8")).toBe("before\n");
        expect(await call("lib", `echo after | write ${file()} 755`)).toEqual({ code: 0, said: "" });
        expect([readFileSync(file(), "utf8"), statSync(file()).mode & 0o777]).toEqual(["after\n", 0o755]);
        expect(readdirSync(folder).sort()).toEqual(["bin", "file"]);
    });

    test("line by line", async () => {
        await call("lib", `echo one | append ${file()}; echo two | append ${file()}`);
        expect(readFileSync(file(), "utf8")).toBe("one\ntwo\n");
    });
});

test("a refusal and an abort say what happened to the host", async () => {
    command("hostname", "echo lb1");
    expect(await call("lib", "refuse host-not-fit 'expected a, found b'")).toEqual({
        code: 1,
        said: "lb1: expected a, found b. Nothing was changed [RHA host-not-fit]\n",
    });
    expect(await call("lib", "abort packages 'no space'")).toEqual({
        code: 1,
        said: "lb1: no space. The host was left as it was [RHA packages]\n",
    });
});

describe("a certificate", () => {
    const ca = issue({ name: "CA", ca: true });
    const names = [`DNS:${hostname}`];
    const leaf = issue({ name: hostname, by: ca, names });
    const other = issue({ name: hostname, by: ca, names });
    const fault = async ({ certificate, privateKey }: Partial<Issued>) => {
        if (certificate) writeFileSync(chain, certificate);
        if (privateKey) writeFileSync(key, privateKey);
        return (await call("certificate", `certificate_fault ${chain} ${key}`)).said.trim();
    };

    test("without a fault", async () => {
        expect(await fault(leaf)).toBe("");
        expect(await fault({ ...leaf, certificate: leaf.certificate + ca.certificate })).toBe("");
    });

    const middle = issue({ name: "Intermediate", ca: true, by: ca });
    const below = issue({ name: hostname, by: middle, names });
    const stranger = issue({ name: "Stranger", ca: true });
    test.each<[string, Issued[]]>([
        ["with a stranger above", [below, middle, stranger]],
        ["with a stranger between", [below, stranger, middle]],
        ["with the root in the middle", [below, ca, middle]],
        ["twice", [below, below, middle]],
        ["twice and alone", [leaf, leaf]],
        ["after a CA of the same name", [below, issue({ name: "Intermediate", ca: true, by: stranger }), middle]],
    ])("%s is accepted, as by clients", async (_what, parts) =>
        expect(await fault({ ...parts[0], certificate: parts.map(part => part.certificate).join("") })).toBe(""),
    );

    test("that clients refuse is told with the reason of OpenSSL", async () => {
        const narrow = issue({ name: "Narrow", ca: true, by: ca, extensions: ["nameConstraints=critical,permitted;DNS:example.org"] });
        const outside = issue({ name: hostname, by: narrow, names });
        expect(await fault({ ...outside, certificate: outside.certificate + narrow.certificate })).toMatch(
            /^the chain \S+ does not hold, so no client accepts it: error 47 at 0 depth lookup: permitted subtree violation$/,
        );
        const critical = issue({ name: hostname, by: ca, names, extensions: ["1.2.3.4=critical,DER:0500"] });
        expect(await fault(critical)).toMatch(/so no client accepts it: error 34 at 0 depth lookup: unhandled critical extension$/);
        const ended = issue({ name: "Ended", ca: true, by: ca, days: -1 });
        const under = issue({ name: hostname, by: ended, names });
        expect(await fault({ ...under, certificate: under.certificate + ended.certificate })).toMatch(
            /holds an issuer that is not valid now, on .*: error 10 at 1 depth lookup: certificate has expired\. Renew the chain/,
        );
        const past = issue({ name: hostname, by: ended, names, days: -1 });
        expect(await fault({ ...past, certificate: past.certificate + ended.certificate })).toMatch(/^the certificate \S+ is valid from /);
    });

    test.each<[string, Partial<IssueOptions>, string]>([
        ["on P-521", { key: KeyKind.P521 }, "an ECDSA key on P-256 or P-384, found secp521r1"],
        ["on secp256k1", { key: KeyKind.Secp256k1 }, "an ECDSA key on P-256 or P-384, found secp256k1"],
        ["with Ed25519", { key: KeyKind.Ed25519 }, "an RSA or ECDSA key, found ED25519"],
        ["with 1024 bits", { key: KeyKind.Rsa1024 }, "an RSA key of 2048 to 8192 bits, found 1024"],
        ["signed with SHA-1", { digest: "sha1" }, "a signature with SHA-256, SHA-384 or SHA-512, found ecdsa-with-SHA1"],
        ["for clients", { usage: "clientAuth" }, "a certificate for servers, found TLS Web Client Authentication"],
        ["for key encipherment", { extensions: ["keyUsage=keyEncipherment"] }, "the key usage Digital Signature, found Key Encipherment"],
        ["with must-staple", { extensions: ["tlsfeature=status_request"] }, "a certificate without must-staple, found TLS Feature"],
        ["with a negative serial number", { serial: -5 }, "a positive serial number, found a negative one"],
    ])("%s, which browsers or Go refuse, is told", async (_what, options, words) =>
        expect(await fault(issue({ name: hostname, by: ca, names, ...options }))).toBe(
            `clients do not accept the certificate ${chain}: expected ${words}`,
        ),
    );

    const rsa = issue({ name: "RSA", ca: true, key: KeyKind.Rsa });
    const pss = (digest: string, salt: string) =>
        issue({ name: hostname, by: rsa, names, digest, signature: ["rsa_padding_mode:pss", `rsa_pss_saltlen:${salt}`] });
    test.each<[string, () => Issued]>([
        ["on P-384, with SHA-512", () => issue({ name: hostname, by: ca, names, key: KeyKind.P384, digest: "sha512" })],
        ["with RSA", () => issue({ name: hostname, by: rsa, names, key: KeyKind.Rsa, extensions: ["keyUsage=digitalSignature"] })],
        ["signed with RSA-PSS and SHA-256", () => pss("sha256", "digest")],
        ["that signed itself with SHA-1", () => issue({ name: hostname, names, digest: "sha1" })],
    ])("%s is accepted", async (_what, issued) => expect(await fault(issued())).toBe(""));

    test("signed with another RSA-PSS is told", async () => {
        expect(await fault(pss("sha1", "digest"))).toMatch(/expected a signature with .*, found rsassaPss-sha1-/);
        expect(await fault(pss("sha256", "20"))).toMatch(/found rsassaPss-sha256-0x14$/);
    });

    test("below a CA for clients alone is told", async () => {
        const narrow = issue({ name: "Narrow", ca: true, by: ca, usage: "clientAuth" });
        const below = issue({ name: hostname, by: narrow, names });
        expect(await fault({ ...below, certificate: below.certificate + narrow.certificate })).toMatch(
            /does not hold, so no client accepts it: error 26 at 1 depth lookup/,
        );
    });

    test.each<[string, Partial<Issued>, RegExp]>([
        ["that is missing", { privateKey: leaf.privateKey }, /^expected a PEM file \S+chain\.pem, found none$/],
        ["that is no PEM", { ...leaf, certificate: "x" }, /^the certificate \S+ is not readable: \S/],
        ["with a broken key", { ...leaf, privateKey: "x" }, /^the private key \S+key\.pem is not readable$/],
        ["with another key", { ...leaf, privateKey: other.privateKey }, /^the private key \S+ does not belong to the certificate \S+$/],
        ["without names", issue({ name: hostname }), /does not cover rancher\.example\.com: it has no subjectAltName$/],
        [
            "of another name",
            issue({ name: hostname, names: ["DNS:a.example.com"] }),
            /does not cover rancher\.example\.com: DNS:a\.example\.com$/,
        ],
        ["of the past", issue({ name: hostname, names, days: -1 }), /is valid from .* to .*, and the clock of this host says .*Renew/],
        [
            "before another leaf",
            { ...leaf, certificate: leaf.certificate + other.certificate },
            /is not in order: expected the certificate of CN ?= ?CA, found CN ?= ?rancher/,
        ],
        [
            "with a CA of the same name",
            { ...leaf, certificate: leaf.certificate + issue({ name: "CA", ca: true }).certificate },
            /does not hold: a certificate is not signed with the key of the next: error/,
        ],
    ])("%s is told", async (_what, files, words) => expect(await fault(files)).toMatch(words));
});

describe("keepalived's checks", () => {
    test.each([
        ["HTTP/1.1 200 OK\r\n\r\nok", 0],
        ["HTTP/1.1 503 Service Unavailable\r\n\r\n", 1],
        ["", 1],
    ])("nginx-answers, for the answer %j: %i", async (answer, code) => {
        const server = createServer(socket => socket.on("error", () => undefined).once("data", () => socket.end(answer)));
        const port = await new Promise<number>(resolve =>
            server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port)),
        );
        const check = pairRelease(port)["nginx-answers"]!;
        try {
            expect((await run("bash", check)).code).toBe(code);
        } finally {
            await new Promise(closed => server.close(closed));
        }
        expect((await run("bash", check)).code).toBe(1);
    });

    test.each([
        ["this host", "200", "200", 0],
        ["only this host", "200", "", 0],
        ["only the peer", "502", "200", 1],
        ["only the peer, with Rancher's own error", "", "503", 1],
        ["none of the two", "504", "502", 0],
    ])("reaches-a-node, when a node answers %s", async (_who, own, peer, code) => {
        command(
            "openssl",
            `case "$*" in *127.0.0.1:443*) status=${own} ;; *192.0.2.22:443*) status=${peer} ;; esac
            grep -q '^Host: ${hostname}' && [ -z "$status" ] || printf 'HTTP/1.1 %s x\\r\\n' "$status"`,
        );
        expect((await run("sh", pairRelease()["reaches-a-node"]!)).code).toBe(code);
    });
});

test.each([
    ["a log of 2 GB", "error.log", 2 ** 31, 0],
    ["a log of 1 MB", "error.log", 2 ** 20, 1],
    ["a rotated log of 2 GB", "error.log.1", 2 ** 31, 1],
])("large-logs, for %s", async (_what, name, bytes, code) => {
    writeFileSync(join(folder, name), "");
    truncateSync(join(folder, name), bytes);
    expect(await run("sh", pairRelease()["large-logs"]!.replace("/var/log/nginx", folder))).toEqual({ code, said: "" });
});

describe("reload-certificate", () => {
    const leaf = issue({ name: hostname, names: [`DNS:${hostname}`] });
    const reload = () =>
        run("sh", pairRelease()["reload-certificate"]!.replace(/^loaded_certificate=.*$/m, `loaded_certificate=${folder}/loaded`));
    beforeEach(() => {
        command("sleep", `echo "$1" >>${folder}/slept`);
        command("nginx", `test ! -e ${folder}/refused`);
        command("systemctl", 'echo "systemctl $*"');
        writeFileSync(chain, leaf.certificate);
        writeFileSync(key, leaf.privateKey);
    });

    test("reloads NGINX once for each renewed certificate", async () => {
        expect(await reload()).toEqual({ code: 0, said: "systemctl try-reload-or-restart nginx\n" });
        expect(readFileSync(join(folder, "slept"), "utf8")).toBe("1\n5\n");
        expect(await reload()).toEqual({ code: 0, said: "" });
    });

    test("waits for the second of two files", async () => {
        rmSync(key);
        writeFileSync(join(folder, "later"), leaf.privateKey);
        command("sleep", `[ "$1" = 1 ] || cp ${folder}/later ${key}`);
        const { code, said } = await reload();
        expect([code, said.split("\n")[0]]).toEqual([0, "systemctl try-reload-or-restart nginx"]);
        expect(said).toContain(`expected a PEM file ${key}, found none. NGINX goes on with the certificate it has`);
    });

    test("checks files anew that came during a check", async () => {
        const other = issue({ name: "other.example.com", names: ["DNS:other.example.com"] });
        writeFileSync(join(folder, "other"), other.certificate);
        writeFileSync(join(folder, "key"), other.privateKey);
        command("nginx", `cp ${folder}/other ${chain}; cp ${folder}/key ${key}`);
        const { code, said } = await reload();
        expect(code).toBe(1);
        expect(said).toMatch(/^the certificate \S+ does not cover \S+: DNS:other/);
        expect(said).not.toContain("systemctl");
    });

    test.each([
        ["a faulty certificate", () => writeFileSync(key, issue({ name: "other" }).privateKey), /^the private key \S+ does not belong/],
        ["one that NGINX refuses", () => writeFileSync(join(folder, "refused"), ""), /^NGINX refuses the certificate .*, see nginx -t/],
    ])("does not load %s, says so once, and fails", async (_what, prepare, words) => {
        prepare();
        const { code, said } = await reload();
        expect(code).toBe(1);
        expect(said).toMatch(words);
        expect(said.trimEnd().split("\n")).toHaveLength(1);
    });
});
