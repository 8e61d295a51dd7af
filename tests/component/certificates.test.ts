import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { once } from "events";
import { AddressInfo } from "net";
import { connect, createServer } from "tls";
import { ProvidedCertificate } from "../../components/certificates/providedCertificate";
import { PrivateCa } from "../../components/certificates/privateCa";
import { KeyAlgorithm } from "../../components/certificates/schema";
import { daysFromNow, issue, KeyKind } from "../../lab/certificates";
import { record, RecordOptions, secret, unknown } from "./recorder";

/** Public roots of a test. They replace those of Node. */
let mockPublicRoots: string[] = [];
jest.mock("tls", () => ({
    ...jest.requireActual("tls"),
    get rootCertificates() {
        return mockPublicRoots;
    },
}));

const hostname = "rancher.example.com";
const mock: RecordOptions["mock"] = args => {
    if (args.type === "tls:index/privateKey:PrivateKey") return { privateKeyPem: pulumi.secret(`KEY OF ${args.name}`) };
    if (args.type === "tls:index/certRequest:CertRequest") return { certRequestPem: `REQUEST OF ${args.name}` };
    const body = Buffer.from(args.name).toString("base64");
    return { certPem: `-----BEGIN CERTIFICATE-----\r\n${body}\r\n-----END CERTIFICATE-----` };
};
const pem = (name: string) => `-----BEGIN CERTIFICATE-----\n${Buffer.from(name).toString("base64")}\n-----END CERTIFICATE-----\n`;

describe("PrivateCa", () => {
    test("signs a server certificate for the host name with a root of its own", async () => {
        const recording = await record(() => new PrivateCa("ca", { hostname }), { mock });
        const [component, ...children] = recording.resources;
        expect(component).toMatchObject({ type: "pulumi-rancher-ha:index:PrivateCa", name: "ca" });
        expect(children.map(child => child.name).sort()).toEqual([
            "ca-root",
            "ca-root-key",
            "ca-server",
            "ca-server-key",
            "ca-server-request",
        ]);
        expect(children.every(child => child.parent === component.urn)).toBe(true);

        expect(recording.one("tls:index/privateKey:PrivateKey", "root-key").inputs).toMatchObject({
            algorithm: "ECDSA",
            ecdsaCurve: "P256",
        });
        expect(recording.one("tls:index/selfSignedCert:SelfSignedCert").inputs).toMatchObject({
            privateKeyPem: secret("KEY OF ca-root-key"),
            isCaCertificate: true,
            subject: { commonName: "Rancher CA", organization: "Rancher" },
            validityPeriodHours: 87600,
            earlyRenewalHours: 0,
        });
        expect(recording.one("tls:index/certRequest:CertRequest").inputs).toEqual({
            privateKeyPem: secret("KEY OF ca-server-key"),
            subject: { commonName: hostname, organization: "Rancher" },
            dnsNames: [hostname],
            ipAddresses: [],
        });
        expect(recording.one("tls:index/locallySignedCert:LocallySignedCert").inputs).toMatchObject({
            certRequestPem: "REQUEST OF ca-server-request",
            caPrivateKeyPem: secret("KEY OF ca-root-key"),
            validityPeriodHours: 8760,
            earlyRenewalHours: 720,
            allowedUses: ["digital_signature", "server_auth"],
        });
        expect(recording.outputs).toEqual({
            certificateChain: pem("ca-server"),
            privateKey: secret("KEY OF ca-server-key"),
            caCertificate: pem("ca-root"),
        });
    });

    test.each([
        ["more than a year", 366.5, 0],
        ["less than a year", 364.5, 1],
    ])("%s before its root ends, a person is told and no root is planned", async (_what, days, warnings) => {
        const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
        const validityEndTime = new Date(Date.now() + days * 86_400_000).toISOString();
        await record(() => new PrivateCa("ca", { hostname }), { mock: resource => ({ ...mock(resource), validityEndTime }) });
        const words = /^needs attention: The root of the stack's own CA ends in 364 days.*is not replaced by itself/;
        expect(warn.mock.calls.map(([text]) => text)).toEqual(Array(warnings).fill(expect.stringMatching(words)));
        warn.mockRestore();
    });

    test("root and key are protected until that is switched off", async () => {
        const isProtected = async (args: object) => {
            const recording = await record(() => new PrivateCa("ca", { hostname, ...args }), { mock });
            return recording.resources.filter(({ protect }) => protect).map(({ name }) => name);
        };
        expect((await isProtected({})).sort()).toEqual(["ca-root", "ca-root-key"]);
        expect(await isProtected({ deletionProtection: false })).toEqual([]);
    });

    test("makes RSA keys when asked, and covers further names", async () => {
        const args = { hostname, algorithm: KeyAlgorithm.Rsa, dnsNames: ["r.example.com", hostname], ipAddresses: ["192.0.2.21"] };
        const recording = await record(() => new PrivateCa("ca", args), { mock });
        expect(recording.one("tls:index/privateKey:PrivateKey", "server-key").inputs).toMatchObject({ algorithm: "RSA", rsaBits: 2048 });
        expect(recording.one("tls:index/locallySignedCert:LocallySignedCert").inputs.allowedUses).toContain("key_encipherment");
        expect(recording.one("tls:index/certRequest:CertRequest").inputs).toMatchObject({
            dnsNames: [hostname, "r.example.com"],
            ipAddresses: ["192.0.2.21"],
        });
    });

    test("a long host name is no common name", async () => {
        const long = `${"a".repeat(60)}.example.com`;
        const recording = await record(() => new PrivateCa("ca", { hostname: long }), { mock });
        expect(recording.one("tls:index/certRequest:CertRequest").inputs).toMatchObject({
            subject: { organization: "Rancher" },
            dnsNames: [long],
        });
    });

    test("keeps its shape in a first preview, when nothing is known", async () => {
        const recording = await record(() => new PrivateCa("ca", { hostname }), { preview: true });
        expect(recording.resources).toHaveLength(6);
        expect(recording.one("tls:index/locallySignedCert:LocallySignedCert").inputs.caPrivateKeyPem).toEqual(unknown);
        expect(recording.outputs.certificateChain).toBe(unknown);
    });

    test.each<[object, RegExp]>([
        [{ hostname: "192.0.2.1" }, /hostname: expected a lower-case DNS name/],
        [{ hostname, ipAddresses: ["rancher"] }, /ipAddresses\[0\]: expected an IP address/],
        [{ hostname, certificateValidityHours: 20000 }, /certificateValidityHours: expected at most 9504 hours/],
        [
            { hostname, certificateValidityHours: 100, renewBeforeHours: 100 },
            /renewBeforeHours: expected less than certificateValidityHours \(100\)/,
        ],
        [{ hostname, caValidityHours: 8760 }, /caValidityHours: expected at least twice certificateValidityHours \(8760\)/],
    ])("refuses %j", async (args, message) => {
        await expect(record(() => new PrivateCa("ca", args as never))).rejects.toThrow(message);
    });
});

const accepted = (): never => {
    throw new Error("expected a refusal");
};

describe("ProvidedCertificate", () => {
    const ca = issue({ name: "CA", ca: true });
    const leaf = issue({ name: hostname, by: ca, names: [`DNS:${hostname}`] });
    const certificateChain = leaf.certificate + ca.certificate;
    const args = { hostname, certificateChain, privateKey: leaf.privateKey, caCertificate: ca.certificate };

    test("hands on what a server sends: canonical, without the root, the key a secret", async () => {
        const windows = (text: string) => text.replace(/\n/g, "\r\n");
        const given = { ...args, certificateChain: windows(args.certificateChain), caCertificate: windows(args.caCertificate) };
        const { outputs } = await record(() => new ProvidedCertificate("it", given));
        expect(outputs).toEqual({ certificateChain: leaf.certificate, privateKey: secret(leaf.privateKey), caCertificate: ca.certificate });
    });

    describe("with a cross-signed root at its end", () => {
        const [old, root] = ["Old root", "New root"].map(name => issue({ name, ca: true }));
        const below = issue({ name: "Intermediate", ca: true, by: root });
        const server = issue({ name: hostname, by: below, names: [`DNS:${hostname}`] });
        const crossSigned = (days: number) => issue({ name: "New root", ca: true, by: old, of: root.privateKey, days }).certificate;
        /** Returns the outputs and the warnings of a chain that ends with this certificate. */
        async function given(cross: string, caCertificate?: string) {
            const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
            const chain = [server.certificate, below.certificate, cross].join("");
            const { outputs } = await record(
                () => new ProvidedCertificate("it", { hostname, certificateChain: chain, privateKey: server.privateKey, caCertificate }),
            );
            const warnings = warn.mock.calls.map(([text]) => text);
            warn.mockRestore();
            return { caCertificate: outputs.caCertificate, warnings, isWhole: outputs.certificateChain === chain };
        }

        /** Returns the errors of clients that trust one of these roots, in a handshake with a server that sends this chain. */
        async function errorsOf(cross: string, ...roots: string[]): Promise<string[]> {
            const chain = [server.certificate, below.certificate, cross].join("");
            const listening = createServer({ cert: chain, key: server.privateKey }).listen(0, "127.0.0.1");
            await once(listening, "listening");
            const { port } = listening.address() as AddressInfo;
            const errors = [];
            for (const ca of roots) {
                const client = connect({ host: "127.0.0.1", port, servername: hostname, ca, rejectUnauthorized: false });
                await once(client, "secureConnect");
                errors.push(String(client.authorizationError ?? "none"));
                client.destroy();
            }
            listening.close();
            return errors;
        }

        test.each([
            ["the root that signs itself", () => root],
            ["the older root alone", () => old],
        ])("a public chain is sent whole: clients have %s", async (_what, known) => {
            mockPublicRoots = [known().certificate];
            expect(await given(crossSigned(100))).toEqual({ caCertificate: "", warnings: [], isWhole: true });
            expect(await errorsOf(crossSigned(100), root.certificate, old.certificate)).toEqual(["none", "none"]);
        });

        test("an expired certificate that clients ignore is not sent", async () => {
            mockPublicRoots = [root.certificate];
            expect(await given(crossSigned(-1))).toEqual({
                caCertificate: "",
                warnings: ['certificateChain: certificate 3 "New root" is not sent, because no client needs it. Remove it.'],
                isWhole: false,
            });
            expect(await errorsOf(crossSigned(-1), root.certificate)).toEqual(["none"]);
        });

        test("the agents of a private CA get the root that signs itself", async () => {
            mockPublicRoots = [];
            expect(await given(crossSigned(100), root.certificate)).toEqual({
                caCertificate: root.certificate,
                warnings: [],
                isWhole: true,
            });
        });
    });

    test("certificates stay readable when they come as secrets", async () => {
        const secrets = { certificateChain: pulumi.secret(args.certificateChain), privateKey: pulumi.secret(args.privateKey) };
        const given = { ...args, ...secrets };
        const { outputs } = await record(() => new ProvidedCertificate("it", given));
        expect(outputs).toMatchObject({ certificateChain: leaf.certificate, privateKey: secret(leaf.privateKey) });
    });

    test("refuses, in one error, all that does not fit, and shows no key", async () => {
        const other = issue({ name: "other", by: ca, names: ["DNS:other.example.com"] });
        const given = { ...args, certificateChain: other.certificate, caCertificate: leaf.certificate };
        const attempt = record(() => new ProvidedCertificate("it", given));
        const error: Error = await attempt.then(accepted, reason => reason);
        expect(error.message).toMatch(/^ProvidedCertificate it: 3 values are wrong/);
        expect(error.message).toMatch(
            /- privateKey: expected the key of "other", found another ECDSA prime256v1 key\. Give .* made for\. \[RHA certificate-refused\]$/m,
        );
        expect(error.message).toMatch(/- certificateChain: expected a certificate for rancher\.example\.com/);
        expect(error.message).toMatch(/- caCertificate: expected CA certificates, "rancher\.example\.com" is not one/);
        expect(error.message).not.toContain(leaf.privateKey.split("\n")[1]);
    });

    test("refuses a private key in the place of the CA without showing it", async () => {
        const attempt = record(() => new ProvidedCertificate("it", { ...args, caCertificate: ca.privateKey }));
        const error: Error = await attempt.then(accepted, reason => reason);
        expect(error.message).toMatch(/caCertificate: expected certificates only, block 1 is a private key\. Move it/);
        expect(error.message).not.toContain(ca.privateKey.split("\n")[1]);
    });

    test("refuses a private CA that is not given", async () => {
        await expect(record(() => new ProvidedCertificate("it", { ...args, caCertificate: undefined }))).rejects.toThrow(
            /certificateChain: expected a chain that ends below a publicly trusted CA, .*For a private CA give caCertificate/,
        );
    });

    test("a first preview checks the known files only", async () => {
        const plan = (changed: object = {}) =>
            record(
                () => {
                    const later = new tls.PrivateKey("other", { algorithm: "ECDSA" }).publicKeyPem;
                    const secondCertificate = { certificateChain: later, privateKey: later };
                    return new ProvidedCertificate("it", {
                        ...args,
                        privateKey: later,
                        caCertificate: later,
                        secondCertificate,
                        ...changed,
                    });
                },
                { preview: true },
            );
        expect((await plan()).outputs.certificateChain).toEqual(unknown);
        await expect(plan({ hostname: "other.example.com" })).rejects.toThrow(
            /certificateChain: expected a certificate for other\.example\.com/,
        );
    });

    test("a certificate that ends soon is named: 30 days before, a CA a year before", async () => {
        const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
        const years = 4 * 365;
        const ending = issue({ name: "CA", ca: true, days: years + 364 });
        const intermediate = issue({ name: "Intermediate", ca: true, by: ending, days: years + 5 });
        const first = issue({ name: hostname, by: intermediate, names: [`DNS:${hostname}`], days: years + 200 });
        const second = issue({ name: hostname, by: ending, names: [`DNS:${hostname}`], days: years + 3, key: KeyKind.Rsa });
        const given = {
            ...args,
            caCertificate: ending.certificate,
            certificateChain: first.certificate + intermediate.certificate,
            privateKey: first.privateKey,
            secondCertificate: { certificateChain: second.certificate, privateKey: second.privateKey },
        };
        jest.useFakeTimers({ now: daysFromNow(years), advanceTimers: true });
        await record(() => new ProvidedCertificate("it", given)).finally(() => jest.useRealTimers());
        const texts = warn.mock.calls.map(([text]) => text).filter(text => !text.includes("days of validity"));
        warn.mockRestore();
        expect(texts).toEqual([
            expect.stringContaining('needs attention: certificateChain: certificate 2 "Intermediate" ends in 4 days'),
            expect.stringContaining(`needs attention: secondCertificate.certificateChain: certificate 1 "${hostname}" ends in 2 days`),
            expect.stringContaining('needs attention: caCertificate: certificate 1 "CA" ends in 363 days'),
        ]);
    });

    test.each([
        [825, []],
        [826, [/^certificateChain: expected at most 825 days of validity from a private CA, found 826\. Clients of Apple refuse/]],
    ])("a certificate of a private CA that is valid for %d days", async (days, warnings) => {
        const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
        const long = issue({ name: hostname, by: ca, names: [`DNS:${hostname}`], days });
        await record(() => new ProvidedCertificate("it", { ...args, certificateChain: long.certificate, privateKey: long.privateKey }));
        const texts = warn.mock.calls.map(([text]) => text);
        warn.mockRestore();
        expect(texts).toEqual(warnings.map(each => expect.stringMatching(each)));
    });

    test("refuses an expired certificate", async () => {
        const expired = issue({ name: hostname, by: ca, names: [`DNS:${hostname}`], days: -1 });
        const given = { ...args, certificateChain: expired.certificate, privateKey: expired.privateKey };
        await expect(record(() => new ProvidedCertificate("it", given))).rejects.toThrow(
            /certificate 1 "rancher.example.com" has expired on/,
        );
    });
});
