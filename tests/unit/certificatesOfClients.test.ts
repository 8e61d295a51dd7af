import { spawnSync } from "child_process";
import { mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { checkServerCertificate } from "../../components/certificates/pem";
import { issue, Issued, IssueOptions, KeyKind } from "../../lab/certificates";

/**
 * Compares the verdict of the preview with that of `openssl verify`. Where another client differs from OpenSSL, the row names it. Go's
 * verdicts were taken with crypto/x509 of Go 1.26. Go accepts five chains that are refused here because OpenSSL or browsers refuse them: a
 * self-signed leaf for a CA, CAs for any usage, RSA keys of 1024 bits, roots on P-224 and with Ed25519 keys.
 */

const hostname = "rancher.example.com";
const names = [`DNS:${hostname}`];
const text = (...parts: Issued[]) => parts.map(part => part.certificate).join("");
const caOf = (options: Partial<IssueOptions> = {}) => issue({ name: "Root", ca: true, ...options });
const leafOf = (by: Issued, options: Partial<IssueOptions> = {}) => issue({ name: hostname, by, names, ...options });
const selfSigned = (options: Partial<IssueOptions>) => issue({ name: hostname, names, ca: true, ...options });
const root = caOf();
const middle = issue({ name: "Intermediate", ca: true, by: root });
const leaf = leafOf(middle);
const stranger = issue({ name: "Stranger", ca: true });
const strange = issue({ name: "Strange intermediate", ca: true, by: stranger });
const expired = caOf({ of: root.privateKey, days: -1 });
const retired = issue({ name: "Retired", ca: true, days: -1 });

interface Case {
    chain: Issued[];
    ca: Issued[];
    /** What the preview says. */
    refusal?: RegExp;
    /** The client that refuses a chain that OpenSSL accepts. */
    refusedBy?: "Go" | "browsers";
}
type Row = [string, () => Case];

/** Returns the case of a leaf below a CA with these options. */
const below = (options: Partial<IssueOptions>, refusal?: RegExp, refusedBy?: Case["refusedBy"]) => {
    const ca = caOf(options);
    return { chain: [leafOf(ca)], ca: [ca], refusal, refusedBy };
};
/** Returns the case of a leaf below an intermediate with these options. */
const belowMiddle = (options: Partial<IssueOptions>, refusal?: RegExp) => {
    const odd = issue({ name: "Odd", ca: true, by: root, ...options });
    return { chain: [leafOf(odd), odd], ca: [root], refusal };
};
const alone = (self: Issued, refusal?: RegExp) => ({ chain: [self], ca: [self], refusal });
const constraint = (value: string) => ({ extensions: [`nameConstraints=critical,${value}`] });
const forbidden = /expected name constraints that permit rancher\.example\.com/;

const rows: Row[] = [
    ["a plain chain", () => ({ chain: [leaf, middle], ca: [root] })],
    ["a root that permits another domain", () => below(constraint("permitted;DNS:example.org"), /^caCertificate: "Root": expected name/)],
    ["a root that permits this domain", () => below(constraint("permitted;DNS:example.com"))],
    ["a root that permits names below this domain", () => below(constraint("permitted;DNS:.example.com"))],
    ["a root that permits networks only", () => below(constraint("permitted;IP:192.0.2.0/255.255.255.0"))],
    ["a root that excludes this domain", () => below(constraint("excluded;DNS:example.com"), forbidden)],
    ["a root that excludes another domain", () => below(constraint("excluded;DNS:example.org"))],
    ["an intermediate that permits another domain", () => belowMiddle(constraint("permitted;DNS:example.org"), forbidden)],
    ["an intermediate that excludes this domain", () => belowMiddle(constraint("excluded;DNS:rancher.example.com"), forbidden)],
    [
        "an address outside of the permitted networks",
        () => {
            const ca = caOf(constraint("permitted;IP:192.0.2.0/255.255.255.0"));
            const chain = [leafOf(ca, { names: [...names, "IP:198.51.100.1"] })];
            return { chain, ca: [ca], refusal: /constraints that permit 198\.51\.100\.1/ };
        },
    ],
    [
        "an address within an excluded network",
        () => {
            const ca = caOf(constraint("excluded;IP:198.51.100.128/255.255.255.128"));
            const chain = [leafOf(ca, { names: [...names, "IP:198.51.100.1", "IP:198.51.100.129"] })];
            return { chain, ca: [ca], refusal: /constraints that permit 198\.51\.100\.129/ };
        },
    ],
    [
        "an address within the permitted networks",
        () => {
            const ca = caOf(constraint("permitted;IP:2001:db8::/ffff:ffff::"));
            return { chain: [leafOf(ca, { names: [...names, "IP:2001:db8::1"] })], ca: [ca] };
        },
    ],
    [
        "a wildcard over an excluded name",
        () => {
            const ca = caOf(constraint("excluded;DNS:other.example.com"));
            const chain = [leafOf(ca, { names: ["DNS:*.example.com"] })];
            return { chain, ca: [ca], refusal: /constraints that permit \*\.example\.com/, refusedBy: "Go" };
        },
    ],
    [
        "a root that permits a directory name",
        () => {
            const options = { extensions: ["nameConstraints=critical,permitted;dirName:names", "[names]", "CN=rancher.example.com"] };
            return below(options, /^caCertificate: "Root": expected critical extensions that clients know, found 2\.5\.29\.30/, "Go");
        },
    ],
    [
        "a path length of 0 above an intermediate",
        () => {
            const ca = caOf({ pathLength: 0 });
            const int = issue({ name: "Intermediate", ca: true, by: ca });
            return {
                chain: [leafOf(int), int],
                ca: [ca],
                refusal: /^caCertificate: "Root": expected at most 0 CAs below \(pathlen:0\), found 1/,
            };
        },
    ],
    ["a path length of 0 above the leaf", () => below({ pathLength: 0 })],
    [
        "an unknown critical extension on the leaf",
        () => ({
            chain: [leafOf(root, { extensions: ["1.2.3.4=critical,DER:0500"] })],
            ca: [root],
            refusal: /clients know, found 1\.2\.3\.4/,
        }),
    ],
    [
        "an unknown critical extension on the root",
        () => below({ extensions: ["1.2.3.4=critical,DER:0500"] }, /clients know, found 1\.2\.3\.4/),
    ],
    ["an unknown extension that is not critical", () => below({ extensions: ["1.2.3.4=DER:0500"] })],
    ["a self-signed leaf", () => alone(selfSigned({}))],
    ["a self-signed leaf for clients", () => alone(selfSigned({ usage: "clientAuth" }), /extended key usage without serverAuth/)],
    [
        "a self-signed leaf for a CA",
        () => alone(selfSigned({ extensions: ["keyUsage=keyCertSign"] }), /digitalSignature, found keyCertSign/),
    ],
    ["a self-signed leaf for handshakes", () => alone(selfSigned({ extensions: ["keyUsage=digitalSignature"] }))],
    ["a root for clients", () => below({ usage: "clientAuth" }, /^caCertificate: "Root": .*extended key usage without serverAuth/)],
    ["a root for any usage", () => below({ usage: "anyExtendedKeyUsage" }, /^caCertificate: .*extended key usage without serverAuth/)],
    ["an intermediate for any usage", () => belowMiddle({ usage: "anyExtendedKeyUsage" }, /extended key usage without serverAuth/)],
    [
        "an unknown critical extension on an intermediate",
        () => belowMiddle({ extensions: ["1.2.3.4=critical,DER:0500"] }, /found 1\.2\.3\.4/),
    ],
    ["name constraints that are not critical", () => below({ extensions: ["nameConstraints=permitted;DNS:example.org"] }, forbidden)],
    ["an intermediate of X.509 version 1", () => belowMiddle({ version1: true }, /certificate 2 "Odd": expected the certificate of a CA/)],
    ["a root for servers", () => below({ usage: "serverAuth" })],
    ["a root that may not sign", () => below({ extensions: ["keyUsage=digitalSignature"] }, /usage keyCertSign, found digitalSignature/)],
    ["a root that may sign", () => below({ extensions: ["keyUsage=keyCertSign"] })],
    [
        "a negative serial number of the leaf",
        () => ({ chain: [leafOf(root, { serial: -5 })], ca: [root], refusal: /expected a positive serial number/, refusedBy: "Go" }),
    ],
    ["a negative serial number of the root", () => below({ serial: -5 }, /^caCertificate: "Root": expected a positive serial/, "Go")],
    [
        "a root on secp256k1",
        () => below({ key: KeyKind.Secp256k1 }, /^caCertificate: "Root": .*ECDSA secp256k1, which Rancher cannot read/, "Go"),
    ],
    ["a root on brainpoolP256r1", () => below({ key: KeyKind.Brainpool }, /^caCertificate: .*brainpoolP256r1, which Rancher cannot/, "Go")],
    ["a root on P-224", () => below({ key: KeyKind.P224 }, /^caCertificate: .*found secp224r1, which browsers do not/, "browsers")],
    ["a root on P-384", () => below({ key: KeyKind.P384 })],
    ["a root on P-521", () => below({ key: KeyKind.P521 })],
    [
        "a root with an Ed25519 key",
        () => below({ key: KeyKind.Ed25519 }, /^caCertificate: .*found ED25519, which browsers do not/, "browsers"),
    ],
    ["a root with an RSA key of 1024 bits", () => below({ key: KeyKind.Rsa1024 }, /^caCertificate: .*at least 2048 bits, found 1024/)],
    [
        "a leaf with an RSA key of 9216 bits",
        () => ({
            chain: [leafOf(root, { key: KeyKind.Rsa9216 })],
            ca: [root],
            refusal: /^privateKey: .*at most 8192 bits/,
            refusedBy: "Go",
        }),
    ],
    ["a root of X.509 version 1", () => below({ version1: true })],
    ["a certificate above the anchor", () => ({ chain: [leaf, middle, strange], ca: [root] })],
    ["a certificate beside the chain", () => ({ chain: [leaf, strange, middle], ca: [root] })],
    ["the leaf twice", () => ({ chain: [leaf, leaf, middle], ca: [root] })],
    ["the root before the intermediate", () => ({ chain: [leaf, root, middle], ca: [root] })],
    ["a retired root beside the live one", () => ({ chain: [leaf, middle], ca: [retired, root] })],
    ["an expired root of the same key beside the live one", () => ({ chain: [leaf, middle], ca: [expired, root] })],
    [
        "a leaf below an expired root, beside a live one",
        () => ({ chain: [leafOf(retired)], ca: [retired, root], refusal: /^caCertificate: "Retired" has expired/ }),
    ],
    ["an expired root alone", () => ({ chain: [leaf, middle], ca: [expired], refusal: /^caCertificate: "Root" has expired/ })],
];

const verdictOf = ({ chain, ca }: Case) =>
    checkServerCertificate({
        certificateChain: text(...chain),
        privateKey: chain[0].privateKey,
        hostname,
        caCertificate: text(...ca),
    }).map(({ field, message }) => `${field}: ${message}`);

/** Returns whether OpenSSL accepts a chain as a client on Debian does. */
function opensslAccepts({ chain, ca }: Case): boolean {
    const folder = mkdtempSync(join(tmpdir(), "verify-"));
    const file = (name: string, content: string) => (writeFileSync(join(folder, name), content), join(folder, name));
    try {
        const [trusted, untrusted] = [file("ca.pem", text(...ca)), file("chain.pem", text(...chain))];
        const client = ["-purpose", "sslserver", "-verify_hostname", hostname, "-auth_level", "2"];
        return spawnSync("openssl", ["verify", ...client, "-CAfile", trusted, "-untrusted", untrusted, untrusted]).status === 0;
    } finally {
        rmSync(folder, { recursive: true });
    }
}

test.each(rows)("the preview and OpenSSL judge alike: %s", (_what, made) => {
    const files = made();
    const { refusal, refusedBy } = files;
    expect(verdictOf(files)).toEqual(refusal ? [expect.stringMatching(refusal)] : []);
    expect(opensslAccepts(files)).toBe(refusal === undefined || refusedBy !== undefined);
});
