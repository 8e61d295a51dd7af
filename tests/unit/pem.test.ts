import { execFileSync } from "child_process";
import { createHash } from "crypto";
import { rootCertificates } from "tls";
import {
    caChecksum,
    checkCaCertificate as caProblems,
    checkPublicTrust as trustProblems,
    checkServerCertificate as serverProblems,
    FileProblem,
    leftOut,
    normalizePem,
    sentChain,
    splitPem,
} from "../../components/certificates/pem";
import { endings, warnDaysOfServer } from "../../components/certificates/endings";
import { daysFromNow, issue, Issued, KeyKind } from "../../lab/certificates";
import { hostFunction } from "../nginx";

/** Returns problems as lines, each with the field that has the problem. */
const said = (problems: FileProblem[]) => problems.map(({ field, message }) => `${field}: ${message}`);
const checkCaCertificate = (...args: Parameters<typeof caProblems>) => said(caProblems(...args));
const checkPublicTrust = (...args: Parameters<typeof trustProblems>) => said(trustProblems(...args));
const checkServerCertificate = (...args: Parameters<typeof serverProblems>) => said(serverProblems(...args));

const hostname = "rancher.example.com";
let root: Issued, otherRoot: Issued, intermediate: Issued, leaf: Issued, below: Issued;
const chain = (...parts: Issued[]) => parts.map(part => part.certificate).join("");

beforeAll(() => {
    root = issue({ name: "Root", ca: true, days: 365 });
    otherRoot = issue({ name: "Other root", ca: true });
    intermediate = issue({ name: "Intermediate", ca: true, by: root });
    leaf = issue({ name: hostname, by: root, names: [`DNS:${hostname}`] });
    below = issue({ name: hostname, by: intermediate, names: [`DNS:${hostname}`, "DNS:*.apps.example.com"] });
});

test("a certificate, its key and its CA that belong together have no problem", () => {
    const files = { certificateChain: leaf.certificate, privateKey: leaf.privateKey, hostname, caCertificate: root.certificate };
    expect(checkServerCertificate(files)).toEqual([]);
    const longer = { certificateChain: chain(below, intermediate), privateKey: below.privateKey, hostname };
    expect(checkServerCertificate({ ...longer, caCertificate: root.certificate })).toEqual([]);
    const withRoot = chain(below, intermediate, root);
    expect(checkServerCertificate({ ...longer, certificateChain: withRoot, caCertificate: root.certificate })).toEqual([]);
    expect(checkServerCertificate({ ...longer, caCertificate: chain(otherRoot, root) })).toEqual([]);
    expect(checkServerCertificate(longer)).toEqual([]);
});

test.each([[KeyKind.Rsa], [KeyKind.Ecdsa]])("a self-signed certificate (%s) is its own CA", key => {
    const self = issue({ name: hostname, ca: true, names: [`DNS:${hostname}`], key });
    const files = { certificateChain: self.certificate, privateKey: self.privateKey, hostname, caCertificate: self.certificate };
    expect(checkServerCertificate(files)).toEqual([]);
});

test("keys in every PEM form that openssl writes are read", () => {
    const commands = [["pkey", "-traditional"], ["pkey"], ["ec"]];
    const forms = commands.map(args => execFileSync("openssl", args, { input: leaf.privateKey, stdio: "pipe" }).toString());
    const withParameters = `${execFileSync("openssl", ["ecparam", "-name", "prime256v1"])}${forms[0]}`;
    for (const privateKey of [...forms, withParameters]) {
        expect(checkServerCertificate({ certificateChain: leaf.certificate, privateKey })).toEqual([]);
    }
});

describe("each problem is named, with what was found and what to do", () => {
    const problem = (files: Partial<Parameters<typeof checkServerCertificate>[0]>) => {
        const right = { certificateChain: leaf.certificate, privateKey: leaf.privateKey, hostname, caCertificate: root.certificate };
        return checkServerCertificate({ ...right, ...files });
    };

    test("an intermediate instead of the root", () => {
        const files = { certificateChain: below.certificate, privateKey: below.privateKey };
        expect(problem({ ...files, caCertificate: intermediate.certificate })).toEqual([
            expect.stringMatching(/^caCertificate: expected the root, which signs itself, "Intermediate" was issued by "Root"\./),
        ]);
        expect(problem({ ...files, caCertificate: chain(intermediate, root) })).toEqual([]);
    });

    test("no PEM", () =>
        expect(problem({ certificateChain: "hello" })).toEqual([
            expect.stringMatching(/^certificateChain: expected PEM text .* found no PEM block\. Give/),
        ]));
    test("cut off", () =>
        expect(problem({ certificateChain: leaf.certificate.slice(0, 300) })[0]).toMatch(/found a block that does not end/));
    test("damaged", () =>
        expect(problem({ certificateChain: leaf.certificate.replace(/\n.{20}/, "\nAAAAAAAAAAAAAAAAAAAA") })[0]).toMatch(
            /its content cannot be read/,
        ));
    test("private key among the certificates", () => {
        expect(problem({ certificateChain: leaf.certificate + leaf.privateKey })).toEqual([
            expect.stringMatching(/block 2 is a private key\. Move it to privateKey/),
        ]);
    });
    test("something else among the certificates", () => {
        const request = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
        expect(problem({ certificateChain: leaf.certificate + request })[0]).toMatch(/block 2 is a CERTIFICATE REQUEST\. Remove it/);
    });
    test.each(["X509 CERTIFICATE", "TRUSTED CERTIFICATE"])("a label that Rancher ignores: %s", label => {
        const odd = leaf.certificate.replace(/CERTIFICATE/g, label);
        expect(problem({ certificateChain: odd })).toEqual([
            expect.stringMatching(
                `^certificateChain: expected CERTIFICATE as the label of block 1, found ${label}, .*Convert each with openssl`,
            ),
        ]);
    });
    test("chain in the wrong order", () => {
        const found = checkServerCertificate({ certificateChain: chain(intermediate, below), hostname: undefined });
        expect(found).toEqual([
            expect.stringMatching(
                /certificate 1 "Intermediate" was issued by "Root", certificate 2 is "rancher.example.com"\. Put the server's/,
            ),
        ]);
    });
    test("a stranger in a chain that no CA is given for", () =>
        expect(problem({ certificateChain: chain(leaf, otherRoot), caCertificate: undefined })).toEqual([
            expect.stringMatching(/expected each certificate to be signed by the next/),
        ]));
    test("issuer of the same name with another key", () => {
        const impostor = issue({ name: "Root", ca: true });
        expect(problem({ caCertificate: impostor.certificate })).toEqual([
            expect.stringMatching(/expected a chain that ends below caCertificate \("Root"\)/),
        ]);
    });
    test("key of another certificate", () =>
        expect(problem({ privateKey: below.privateKey })).toEqual([expect.stringMatching(/found another ECDSA prime256v1 key/)]));
    test("key of another kind", () => {
        const rsa = issue({ name: "rsa", key: KeyKind.Rsa });
        expect(problem({ privateKey: rsa.privateKey })).toEqual([
            expect.stringMatching(/expected the ECDSA prime256v1 key of "rancher.example.com", found a RSA key/),
        ]);
    });
    test("weak RSA key", () => {
        const weak = issue({ name: hostname, by: root, names: [`DNS:${hostname}`], key: KeyKind.Rsa1024 });
        expect(problem({ certificateChain: weak.certificate, privateKey: weak.privateKey })).toEqual([
            expect.stringMatching(/at least 2048 bits, found 1024/),
        ]);
    });
    test("key that browsers do not accept", () => {
        const ed = issue({ name: hostname, by: root, names: [`DNS:${hostname}`], key: KeyKind.Ed25519 });
        expect(problem({ certificateChain: ed.certificate, privateKey: ed.privateKey })).toEqual([
            expect.stringMatching(/expected an RSA or ECDSA key, found ED25519/),
        ]);
    });
    test("no key, two keys, encrypted key, damaged key", () => {
        expect(problem({ privateKey: "secret-text" })).toEqual([expect.stringMatching(/found none\. Give/)]);
        expect(problem({ privateKey: leaf.privateKey + below.privateKey })).toEqual([expect.stringMatching(/found 2\./)]);
        const encrypted = execFileSync("openssl", ["pkey", "-aes128", "-passout", "pass:test"], { input: leaf.privateKey }).toString();
        expect(problem({ privateKey: encrypted })).toEqual([expect.stringMatching(/it is encrypted\. Decrypt it with openssl pkey/)]);
        expect(problem({ privateKey: leaf.privateKey.replace(/\n.{20}/, "\nAAAAAAAAAAAAAAAAAAAA") })).toEqual([
            expect.stringMatching(/its content cannot be read/),
        ]);
    });
    test("expired and not yet valid, in chain and CA", () => {
        expect(problem({ now: daysFromNow(400) })).toEqual([
            expect.stringMatching(/^certificateChain: certificate 1 "rancher.example.com" has expired on /),
            expect.stringMatching(/^caCertificate: "Root" has expired on /),
        ]);
        expect(problem({ now: daysFromNow(-3) })[0]).toMatch(/is not valid before/);
    });
    test("name not covered", async () => {
        expect(problem({ hostname: "other.example.com" })).toEqual([
            expect.stringMatching(
                /^certificateChain: expected a certificate for other\.example\.com, "rancher\.example\.com" is for rancher\.example\.com\./,
            ),
        ]);
        const commonNameOnly = issue({ name: hostname, by: root });
        expect(checkServerCertificate({ certificateChain: commonNameOnly.certificate, hostname })).toEqual([
            expect.stringMatching(/no subject alternative name/),
        ]);
    });
    test("not a server certificate", () => {
        const client = issue({ name: hostname, by: root, names: [`DNS:${hostname}`], usage: "clientAuth" });
        expect(problem({ certificateChain: client.certificate, privateKey: client.privateKey })).toEqual([
            expect.stringMatching(/expected a certificate for servers/),
        ]);
    });
    const named = { name: hostname, names: [`DNS:${hostname}`] };
    const { P521, Secp256k1, P224, P192, Brainpool } = KeyKind;
    test.each([P521, Secp256k1, P224, P192, Brainpool].map(kind => [kind]))("a key that browsers do not accept (%s)", key => {
        const odd = issue({ ...named, by: root, key });
        expect(problem({ certificateChain: odd.certificate, privateKey: odd.privateKey })).toEqual([
            expect.stringMatching(
                /^privateKey: expected an ECDSA key on P-256 or P-384, found (sec|prime|brain)\w+, which browsers do not accept/,
            ),
        ]);
    });
    test.each<[string, Partial<Parameters<typeof issue>[0]>, RegExp]>([
        ["a signature with SHA-1", { digest: "sha1" }, /expected a signature with SHA-256, SHA-384 or SHA-512, found SHA-1,/],
        [
            "a key usage without signatures",
            { extensions: ["keyUsage=keyEncipherment"] },
            /key usage digitalSignature, found keyEncipherment/,
        ],
        ["a signature with SHA-224", { digest: "sha224" }, /found SHA-224,/],
        ["must-staple", { extensions: ["tlsfeature=status_request"] }, /expected a certificate without must-staple/],
    ])("%s", (_what, options, words) => {
        const odd = issue({ ...named, by: root, ...options });
        expect(problem({ certificateChain: odd.certificate, privateKey: odd.privateKey })).toEqual([expect.stringMatching(words)]);
    });
    test.each<[string, Partial<Parameters<typeof issue>[0]>, RegExp]>([
        ["of a P-521 key", { key: KeyKind.P521 }, /certificate 2 "Odd": expected an ECDSA key on P-256 or P-384/],
        ["signed with SHA-1", { digest: "sha1" }, /certificate 2 "Odd": expected a signature with SHA-256/],
        ["signed with SHA3-256", { digest: "sha3-256" }, /found the signature 2\.16\.840\.1\.101\.3\.4\.3\.10,/],
        ["for clients only", { usage: "clientAuth" }, /certificate 2 "Odd": expected a certificate for servers/],
    ])("an intermediate %s", (_what, options, words) => {
        const odd = issue({ name: "Odd", ca: true, by: root, ...options });
        const under = issue({ ...named, by: odd });
        expect(problem({ certificateChain: chain(under, odd), privateKey: under.privateKey })).toContainEqual(expect.stringMatching(words));
    });
    describe("a signature with RSA-PSS", () => {
        const ca = issue({ name: "RSA", ca: true, key: KeyKind.Rsa });
        const signed = (digest: string, salt: string) => {
            const signature = ["rsa_padding_mode:pss", `rsa_pss_saltlen:${salt}`];
            const { certificate, privateKey } = issue({ ...named, by: ca, digest, signature });
            return problem({ certificateChain: certificate, privateKey, caCertificate: ca.certificate });
        };
        test.each(["sha256", "sha384", "sha512"])("of %s is accepted", digest => expect(signed(digest, "digest")).toEqual([]));
        test("of another digest or salt is refused", () => {
            expect(signed("sha1", "digest")).toEqual([expect.stringMatching(/found RSA-PSS with SHA-1,/)]);
            expect(signed("sha256", "20")).toEqual([expect.stringMatching(/found RSA-PSS with a salt of 20 bytes,/)]);
        });
    });
    test("another CA, missing intermediate", () => {
        expect(problem({ caCertificate: otherRoot.certificate })).toEqual([
            expect.stringMatching(/ends below caCertificate \("Other root"\), .* was issued by "Root"/),
        ]);
        expect(problem({ certificateChain: below.certificate, privateKey: below.privateKey })).toEqual([
            expect.stringMatching(/issued by "Intermediate"\. Append the missing/),
        ]);
    });
    test("CA that is none, CA with a key", () => {
        expect(checkCaCertificate(leaf.certificate)).toEqual([expect.stringMatching(/CA:TRUE is missing/)]);
        expect(checkCaCertificate(root.certificate + root.privateKey)).toEqual([
            expect.stringMatching(/^caCertificate: .* is a private key/),
        ]);
    });
    test("several at once, and no text of a private key in any", () => {
        const found = problem({
            certificateChain: leaf.certificate,
            privateKey: below.privateKey,
            hostname: "x.example.com",
            now: daysFromNow(400),
        });
        expect(found).toHaveLength(4);
        const body = below.privateKey.split("\n")[1].slice(0, 20);
        expect(found.join()).not.toContain(body);
    });
});

test("a wildcard covers one label", () => {
    const covers = (name: string) => checkServerCertificate({ certificateChain: chain(below, intermediate), hostname: name }).length === 0;
    expect(["rancher.example.com", "a.apps.example.com", "a.b.apps.example.com", "apps.example.com"].map(covers)).toEqual([
        true,
        true,
        false,
        false,
    ]);
});

test("one certificate in any form gives the same text and the agents' checksum", () => {
    const canonical = root.certificate.trim() + "\n";
    const forms = [
        root.certificate,
        canonical.replace(/\n/g, "\r\n"),
        `subject=CN = Root\n\n${canonical}\n\n`,
        canonical.replace(/^/gm, "    "),
    ];
    for (const form of forms) {
        expect(normalizePem(form)).toBe(canonical);
        expect(caChecksum(form)).toBe(createHash("sha256").update(`${canonical.trim()}\n`).digest("hex"));
    }
    expect(splitPem(root.certificate + root.privateKey).map(block => block.label)).toEqual(["CERTIFICATE", "PRIVATE KEY"]);
});

test("a public CA is one that Node trusts", () => {
    expect(checkPublicTrust(leaf.certificate)).toEqual([
        expect.stringMatching(/issued by "Root", which is not one\. For a private CA give caCertificate/),
    ]);
    expect(checkPublicTrust(rootCertificates[0])).toEqual([]);
});

test("a chain may go on above what clients trust, as with a cross-signed root", () => {
    const old = issue({ name: "Old root", ca: true });
    const cross = issue({ name: "Root", ca: true, by: old, of: root.privateKey, days: -1 }).certificate;
    const files = { certificateChain: `${chain(below, intermediate)}${cross}`, privateKey: below.privateKey, hostname };
    expect(checkServerCertificate({ ...files, caCertificate: root.certificate })).toEqual([]);
    expect(checkServerCertificate({ ...files, caCertificate: old.certificate })).toEqual([
        expect.stringMatching(/^certificateChain: certificate 3 "Root" has expired/),
    ]);
});

test("for agents, a cross-signed root is refused, and the older root is accepted", () => {
    const old = issue({ name: "Old root", ca: true });
    const cross = issue({ name: "Root", ca: true, by: old, of: root.privateKey });
    expect(checkCaCertificate(cross.certificate)).toEqual([
        expect.stringMatching(/expected the root, which signs itself, "Root" was issued by "Old root"\. .*: give it instead, or after/),
    ]);
    expect(checkCaCertificate(chain(cross, old))).toEqual([]);
});

test("the root is not sent", () => {
    expect(sentChain(chain(below, intermediate, root))).toBe(normalizePem(chain(below, intermediate)));
    expect(sentChain(root.certificate)).toBe(normalizePem(root.certificate));
});

test("certificates that no client needs are not sent, and named", () => {
    const needless = (...parts: Issued[]) => leftOut(chain(...parts), root.certificate).map(each => /^certificate \d/.exec(each)?.[0]);
    for (const parts of [
        [below, intermediate, otherRoot],
        [below, otherRoot, intermediate],
        [below, below, intermediate],
        [below, intermediate, root],
        [below, root, intermediate],
    ]) {
        expect(sentChain(chain(...parts), root.certificate)).toBe(chain(below, intermediate));
    }
    expect(needless(below, intermediate, otherRoot)).toEqual(["certificate 3"]);
    expect(needless(below, below, intermediate)).toEqual(["certificate 2"]);
    expect(needless(below, root, intermediate)).toEqual([]);
    expect(leftOut(chain(below, otherRoot, intermediate), root.certificate)).toEqual([
        'certificate 2 "Other root" is not sent, because no client needs it. Remove it.',
    ]);
});

test("of two intermediates with one name, the one below a trusted root is sent", () => {
    const other = issue({ name: "Intermediate", ca: true, by: otherRoot, of: intermediate.privateKey });
    const both = chain(below, other, intermediate);
    expect(checkServerCertificate({ certificateChain: both, hostname, caCertificate: root.certificate })).toEqual([]);
    expect(sentChain(both, root.certificate)).toBe(chain(below, intermediate));
    expect(sentChain(both, otherRoot.certificate)).toBe(chain(below, other));
});

test("each certificate that ends soon is named, wherever it stands", () => {
    const short = issue({ name: "short", by: root, days: 130 });
    const later = daysFromNow(120);
    const advice = expect.stringMatching(
        /^certificate 2 "short" ends in 9 days, on \d{4}-\d\d-\d\d.*\. Give the stack a new one before\.$/,
    );
    expect(endings(chain(root, short), () => 30, later)).toEqual([advice]);
    expect(endings(chain(root, short), () => 9, later)).toEqual([]);
});

test.each([
    [365, 30],
    [47, 11],
    [6, 2],
])("a certificate of %i days is said to end soon in its last %i days", (lifetime, days) => {
    const { certificate } = issue({ name: "short", by: root, days: lifetime });
    const found = [days + 0.5, days - 0.5].map(left => endings(certificate, warnDaysOfServer, daysFromNow(lifetime - left)).length);
    expect(found).toEqual([0, 1]);
    expect(hostFunction("warn_days=30; file=$(mktemp); cat >$file; days_of_warning $file; rm $file", certificate)).toBe(`${days}\n`);
});
