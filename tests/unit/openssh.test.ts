import { execFileSync } from "child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { connectionOf } from "../../components/remote/connection";
import { hostSchema, reportUnreached, sshSchema } from "../../components/remote/schema";
import { z } from "zod";
import { hostKey, newSshKey, sshKey } from "../ssh";

const openssl = (...args: string[]) => execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
const messages = ({ error }: z.ZodSafeParseResult<unknown>) => (error?.issues ?? []).map(({ message }) => message);

describe("a private key", () => {
    const parsed = (privateKey: string) => sshSchema.parse({ privateKey }).privateKey;
    const refused = (privateKey: string) => messages(sshSchema.safeParse({ privateKey }));

    test.each([
        ["CRLF", sshKey.replace(/\n/g, "\r\n")],
        ["no line end", sshKey.trimEnd()],
        ["a byte order mark and text around it", `\uFEFFThe key:\n${sshKey}(end)\n`],
        ["indentation", sshKey.replace(/^/gm, "    ")],
        ["its usual form", sshKey],
    ])("with %s becomes what OpenSSH reads", (_what, written) => expect(parsed(written)).toBe(sshKey));

    test("behind a block of parameters stands alone, because Go reads the first block", () =>
        expect(parsed(openssl("ecparam", "-name", "prime256v1", "-genkey"))).toMatch(/^-----BEGIN EC PRIVATE KEY-----\n/));

    test.each([
        ["RSA in PKCS #1", () => openssl("genrsa", "-traditional", "2048")],
        ["RSA in PKCS #8", () => openssl("genrsa", "2048")],
        ["ECDSA P-521 in OpenSSH form", () => newSshKey(["-t", "ecdsa", "-b", "521"]).privateKey],
        ["ECDSA in PEM", () => newSshKey(["-t", "ecdsa", "-m", "PEM"]).privateKey],
    ])("of the kind %s is accepted", (_what, make) => expect(refused(make())).toEqual([]));

    test.each([
        ["a public key", () => `${hostKey} deploy@laptop\n`, /^expected the private key, not the public key of the \.pub file$/],
        ["a key of PuTTY", () => "PuTTY-User-Key-File-3: ssh-ed25519\n", /^expected a private key in PEM or OpenSSH form$/],
        ["a passphrase", () => newSshKey(["-t", "ed25519", "-N", "secret"]).privateKey, /^expected a key without a passphrase/],
        ["a passphrase in PKCS #8", () => openssl("genrsa", "-aes256", "-passout", "pass:secret", "2048"), /without a passphrase/],
        ["a curve that SSH has not", () => openssl("ecparam", "-name", "secp256k1", "-genkey"), /that OpenSSH reads \(ssh-keygen: .+\)/],
        ["RSA of 768 bits", () => openssl("genrsa", "768"), /that OpenSSH reads \(ssh-keygen: Invalid key length\)/],
        ["DSA", () => newSshKey(["-t", "dsa"]).privateKey, /^expected an Ed25519, ECDSA or RSA key: .* cannot use ssh-dss\./],
        ["a lost line", () => sshKey.replace(/\n.*\n-----END/, "\n-----END"), /that OpenSSH reads/],
    ])("is refused with its reason: %s", (_what, make, reason) => expect(refused(make())).toEqual([expect.stringMatching(reason)]));
});

describe("a host key", () => {
    const refused = (key: string) => messages(hostSchema.shape.hostKey.safeParse(key));

    test.each(["\n", "\r\n", " \n\n"])("with %j at its end is trimmed", end =>
        expect(hostSchema.parse({ address: "192.0.2.1", hostKey: hostKey + end }).hostKey).toBe(hostKey),
    );

    test.each([
        ["data that is cut off", hostKey.slice(0, -1)],
        ["data of another type", hostKey.replace("ssh-ed25519", "ecdsa-sha2-nistp256")],
        ["more data than a key has", `${hostKey}xam`],
    ])("is refused: %s", (_what, key) => expect(refused(key)).toEqual([expect.stringMatching(/^expected a whole host key/)]));
});

describe("known_hosts", () => {
    const rsa = newSshKey(["-t", "rsa", "-b", "2048"]).publicKey;
    const other = newSshKey().publicKey;
    const found = (address: string, port: number, ...lines: string[]) =>
        connectionOf({ address, port, privateKey: "" }, sshSchema.parse({ knownHosts: lines.join("\n") })).hostKey;
    const problem = (...lines: string[]) => {
        const args = { ssh: sshSchema.parse({ privateKey: sshKey, knownHosts: lines.join("\n") }), hosts: [{ address: "lb.example.com" }] };
        const schema = z.unknown().superRefine((_, context) => reportUnreached(args, context, ["hosts"]));
        return messages(schema.safeParse({}));
    };

    /** Hashes the host names of a known_hosts file, as Debian's ssh does. */
    function hashed(text: string): string {
        const folder = mkdtempSync(join(tmpdir(), "known-hosts-"));
        writeFileSync(join(folder, "hosts"), text);
        execFileSync("ssh-keygen", ["-q", "-H", "-f", join(folder, "hosts")], { stdio: "ignore" });
        const result = readFileSync(join(folder, "hosts"), "utf8");
        rmSync(folder, { recursive: true });
        return result;
    }

    test("a host on another port has a line of its own, and the RSA key comes last", () => {
        const lines = [
            "# a comment",
            `192.0.2.21,lb ${other}`,
            `[192.0.2.31]:2222 ${rsa}`,
            `[192.0.2.31]:2222 ${hostKey} comment`,
            `lb,192.0.2.31 ${rsa}`,
        ];
        expect(found("192.0.2.31", 2222, ...lines)).toBe(hostKey);
        expect(found("192.0.2.31", 22, ...lines)).toBe(rsa);
        expect(found("192.0.2.31", 23, ...lines)).toBe(rsa);
        expect(found("192.0.2.41", 23, ...lines)).toBeUndefined();
    });

    test("the plain name gives the key of a port without a line of its own", () => {
        const line = `192.0.2.31 ${hostKey}`;
        expect(found("192.0.2.31", 2222, line)).toBe(hostKey);
        expect(found("192.0.2.31", 2222, line, `[192.0.2.31]:2222 ${other}`)).toBe(other);
        expect(found("192.0.2.31", 2222, line, `@revoked * ${other}`)).toBe(hostKey);
        expect(found("192.0.2.31", 2222, line, `@revoked [192.0.2.31]:2222 ${hostKey}`)).toBeUndefined();
        expect(found("192.0.2.31", 22, `[192.0.2.31]:2222 ${hostKey}`)).toBeUndefined();
    });

    test.each(["2001:0db8::21", "2001:db8:0:0:0:0:0:21", "2001:DB8::21"])("the short form of an IPv6 address is found for %s", address => {
        const lines = [`2001:db8::21 ${hostKey}`, `[2001:db8::21]:2222 ${other}`];
        expect([22, 2222, 2223].map(port => found(address, port, ...lines))).toEqual([hostKey, other, hostKey]);
        expect([22, 2222].map(port => found(address, port, hashed(`${lines.join("\n")}\n`)))).toEqual([hostKey, other]);
    });

    test("an IPv4 address in IPv6 form is found as it is written", () =>
        expect(found("::FFFF:192.0.2.21", 22, `::ffff:192.0.2.21 ${hostKey}`)).toBe(hostKey));

    test("hashed names are found, with and without a port", () => {
        const text = hashed(`192.0.2.31 ${hostKey}\n[lb.example.com]:2222 ${other}\n`);
        expect(text).not.toContain("192.0.2.31");
        expect([found("192.0.2.31", 22, text), found("lb.example.com", 2222, text)]).toEqual([hostKey, other]);
        expect(found("LB.example.com", 2222, text)).toBe(other);
    });

    test("patterns and their exceptions count, whatever the case of the name", () => {
        const line = `*.example.com,!old.example.com ${hostKey}`;
        expect(["LB.example.com", "old.example.com"].map(name => found(name, 22, line))).toEqual([hostKey, undefined]);
    });

    test("a revoked key is not used, and said so", () => {
        const lines = [`lb.example.com ${hostKey}`, `@revoked * ${hostKey}`];
        expect(found("lb.example.com", 22, ...lines, `lb.example.com ${other}`)).toBe(other);
        expect(problem(...lines)).toEqual([expect.stringMatching(/^expected a host key: all .* are marked @revoked$/)]);
    });

    test("an authority alone is refused", () =>
        expect(problem(`@cert-authority *.example.com ${hostKey}`)).toEqual([
            expect.stringMatching(/only a @cert-authority for this host/),
        ]));

    test("a line without a whole key of a usable type does not hide the line with one", () => {
        const dsa = newSshKey(["-t", "dsa"]).publicKey;
        const bad = [dsa, hostKey.slice(0, 50), "ssh-ed25519 AAAA", hostKey.replace("ssh-ed25519", "ecdsa-sha2-nistp256")];
        const lines = bad.map(key => `lb.example.com ${key}`);
        expect(found("lb.example.com", 22, ...lines, `lb.example.com ${hostKey}`)).toBe(hostKey);
        expect(lines.map(line => problem("# a comment", line))).toEqual([
            [expect.stringMatching(/^expected a whole host key: line 2 of ssh\.knownHosts holds a key of the type ssh-dss, which .+\.$/)],
            [expect.stringMatching(/line 2 of ssh\.knownHosts holds data that is no key of the type ssh-ed25519\./)],
            [expect.stringMatching(/line 2 of ssh\.knownHosts holds data that is no key of the type ssh-ed25519\./)],
            [expect.stringMatching(/line 2 of ssh\.knownHosts holds data that is no key of the type ecdsa-sha2-nistp256\./)],
        ]);
    });

    test("two keys of one type are refused with their lines, and the same key twice is not", () => {
        const lines = [`lb.example.com ${rsa}`, `lb.example.com ${hostKey}`, `*.example.com ${hostKey} again`];
        expect(found("lb.example.com", 22, ...lines)).toBe(hostKey);
        expect(problem(...lines, `lb.example.com ${other}`)).toEqual([
            "expected one key of the host: lines 2 and 4 of ssh.knownHosts hold two of the type ssh-ed25519. " +
                "Remove the line with the old key, or give hostKey.",
        ]);
    });

    test("Windows line ends and lines that are none do no harm", () =>
        expect(found("192.0.2.31", 22, "nonsense\r", "192.0.2.31 ssh-ed25519\r", `192.0.2.31 ${hostKey}\r`)).toBe(hostKey));
});
