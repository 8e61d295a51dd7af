import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, KeyObject, randomBytes, webcrypto } from "crypto";
import { Provider } from "../provider";
import { changedKeys, Properties } from "../values";

x509.cryptoProvider.set(webcrypto as never);

/** `@pulumi/tls`: PrivateKey, SelfSignedCert, CertRequest, LocallySignedCert. */
export const tls: Provider = {
    async check(call, _before, inputs) {
        const kind = kindOf(call.type);
        if (kind === "PrivateKey") return { ecdsaCurve: "P224", rsaBits: 2048, ...inputs };
        if (kind === "CertRequest") return inputs;
        return { isCaCertificate: false, earlyRenewalHours: 0, setSubjectKeyId: false, setAuthorityKeyId: false, ...inputs };
    },

    // A changed input, and a certificate that is due, mean a new one; `earlyRenewalHours` stands in no certificate.
    async diff(_call, _id, before, inputs) {
        const changed = changedKeys(before.inputs, inputs);
        const replace = changed.filter(key => key !== "earlyRenewalHours");
        if (before.outputs.validityEndTime && due(before.outputs.validityEndTime, inputs.earlyRenewalHours))
            replace.push("readyForRenewal");
        return { changed: changed.length + replace.length > 0, replace };
    },

    async create(call, inputs) {
        return { id: randomBytes(16).toString("hex"), outputs: { ...inputs, ...(await makers[kindOf(call.type)](inputs)) } };
    },

    update: async (_call, _id, before, inputs) => updated(before.outputs, inputs),
    previewUpdate: (before, inputs) => updated(before.outputs, inputs),
};

/** The same certificate: one that is due would have been replaced. */
const updated = (outputs: Properties, inputs: Properties): Properties => ({ ...outputs, ...inputs, readyForRenewal: false });

type Kind = "PrivateKey" | "SelfSignedCert" | "CertRequest" | "LocallySignedCert";

function kindOf(type: string): Kind {
    const kind = type.split(":").pop()!;
    if (!(kind in makers)) throw new Error(`the tls provider of the lab does not know ${type}`);
    return kind as Kind;
}

const makers: Record<Kind, (inputs: Properties) => Promise<Properties>> = {
    async PrivateKey(inputs) {
        const curves: Record<string, string> = { P224: "P-224", P256: "P-256", P384: "P-384", P521: "P-521" };
        const { privateKey, publicKey } =
            inputs.algorithm === "RSA"
                ? generateKeyPairSync("rsa", { modulusLength: inputs.rsaBits })
                : inputs.algorithm === "ED25519"
                  ? generateKeyPairSync("ed25519")
                  : generateKeyPairSync("ec", { namedCurve: curves[inputs.ecdsaCurve] });
        const classic = inputs.algorithm === "RSA" ? "pkcs1" : inputs.algorithm === "ED25519" ? "pkcs8" : "sec1";
        const publicDer = publicKey.export({ type: "spki", format: "der" });
        return {
            privateKeyPem: (privateKey as KeyObject).export({ type: classic as "pkcs8", format: "pem" }),
            privateKeyPemPkcs8: privateKey.export({ type: "pkcs8", format: "pem" }),
            publicKeyPem: publicKey.export({ type: "spki", format: "pem" }),
            publicKeyFingerprintSha256: `SHA256:${createHash("sha256").update(publicDer).digest("base64")}`,
        };
    },

    async SelfSignedCert(inputs) {
        const keys = await keyPair(inputs.privateKeyPem);
        return issue(inputs, {
            subject: nameOf(inputs.subject),
            issuer: nameOf(inputs.subject),
            publicKey: keys.publicKey,
            signer: keys,
            dnsNames: inputs.dnsNames,
            ipAddresses: inputs.ipAddresses,
            authority: keys.publicKey,
        });
    },

    async CertRequest(inputs) {
        const keys = await keyPair(inputs.privateKeyPem);
        const request = await x509.Pkcs10CertificateRequestGenerator.create({
            name: nameOf(inputs.subject),
            keys: { privateKey: keys.privateKey, publicKey: keys.publicKey },
            signingAlgorithm: keys.algorithm,
            extensions: alternativeNames(inputs.dnsNames, inputs.ipAddresses),
        });
        return { certRequestPem: `${request.toString("pem")}\n`, keyAlgorithm: keys.name };
    },

    async LocallySignedCert(inputs) {
        const ca = new x509.X509Certificate(inputs.caCertPem);
        const signer = await keyPair(inputs.caPrivateKeyPem);
        const request = new x509.Pkcs10CertificateRequest(inputs.certRequestPem);
        const names = (request.getExtension("2.5.29.17") as x509.SubjectAlternativeNameExtension | null)?.names.items ?? [];
        const ofType = (type: string) => names.filter(name => name.type === type).map(name => name.value);
        return issue(inputs, {
            subject: request.subject,
            issuer: ca.subject,
            publicKey: await request.publicKey.export(),
            signer,
            dnsNames: ofType("dns"),
            ipAddresses: ofType("ip"),
            authority: await ca.publicKey.export(),
        });
    },
};

type CryptoKey = webcrypto.CryptoKey;

interface Keys {
    privateKey: CryptoKey;
    publicKey: CryptoKey;
    algorithm: webcrypto.EcdsaParams | webcrypto.Algorithm;
    name: string;
}

async function keyPair(pem: string): Promise<Keys> {
    const key = createPrivateKey(pem);
    const hash = "SHA-256";
    const [algorithm, signing, name] =
        key.asymmetricKeyType === "rsa"
            ? [{ name: "RSASSA-PKCS1-v1_5", hash }, { name: "RSASSA-PKCS1-v1_5", hash }, "RSA"]
            : key.asymmetricKeyType === "ed25519"
              ? [{ name: "Ed25519" }, { name: "Ed25519" }, "ED25519"]
              : [{ name: "ECDSA", namedCurve: curveOf(key) }, { name: "ECDSA", hash }, "ECDSA"];
    const subtle = webcrypto.subtle;
    const privateKey = await subtle.importKey("pkcs8", key.export({ type: "pkcs8", format: "der" }), algorithm, true, ["sign"]);
    const publicKey = await subtle.importKey("spki", createPublicKey(key).export({ type: "spki", format: "der" }), algorithm, true, [
        "verify",
    ]);
    return { privateKey, publicKey, algorithm: signing as webcrypto.EcdsaParams, name };
}

function curveOf(key: KeyObject): string {
    const curves: Record<string, string> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };
    return curves[key.asymmetricKeyDetails!.namedCurve!];
}

function nameOf(subject: Properties | undefined): string {
    const fields: [string, string][] = [
        ["organization", "O"],
        ["organizationalUnit", "OU"],
        ["country", "C"],
        ["commonName", "CN"],
    ];
    return fields
        .filter(([key]) => subject?.[key])
        .map(([key, short]) => `${short}=${String(subject![key]).replace(/([,+"\\<>;=])/g, "\\$1")}`)
        .join(", ");
}

function alternativeNames(dnsNames: string[] = [], ipAddresses: string[] = []): x509.Extension[] {
    const names = [
        ...dnsNames.map(value => ({ type: "dns" as const, value })),
        ...ipAddresses.map(value => ({ type: "ip" as const, value })),
    ];
    return names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : [];
}

const usages: Record<string, number> = {
    digital_signature: x509.KeyUsageFlags.digitalSignature,
    content_commitment: x509.KeyUsageFlags.nonRepudiation,
    key_encipherment: x509.KeyUsageFlags.keyEncipherment,
    data_encipherment: x509.KeyUsageFlags.dataEncipherment,
    key_agreement: x509.KeyUsageFlags.keyAgreement,
    cert_signing: x509.KeyUsageFlags.keyCertSign,
    crl_signing: x509.KeyUsageFlags.cRLSign,
};
const extendedUsages: Record<string, string> = {
    server_auth: x509.ExtendedKeyUsage.serverAuth,
    client_auth: x509.ExtendedKeyUsage.clientAuth,
};

async function issue(
    inputs: Properties,
    to: {
        subject: string;
        issuer: string;
        publicKey: CryptoKey;
        signer: Keys;
        dnsNames?: string[];
        ipAddresses?: string[];
        authority: CryptoKey;
    },
): Promise<Properties> {
    const notBefore = new Date();
    const notAfter = new Date(notBefore.getTime() + inputs.validityPeriodHours * 3_600_000);
    const wanted: string[] = inputs.allowedUses ?? [];
    const flags = wanted.reduce((sum, usage) => sum | (usages[usage] ?? 0), 0);
    const extended = wanted.flatMap(usage => extendedUsages[usage] ?? []);
    const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: `00${randomBytes(15).toString("hex")}`,
        subject: to.subject,
        issuer: to.issuer,
        notBefore,
        notAfter,
        publicKey: to.publicKey,
        signingKey: to.signer.privateKey,
        signingAlgorithm: to.signer.algorithm,
        extensions: [
            ...(flags ? [new x509.KeyUsagesExtension(flags, true)] : []),
            ...(extended.length ? [new x509.ExtendedKeyUsageExtension(extended)] : []),
            new x509.BasicConstraintsExtension(inputs.isCaCertificate, inputs.maxPathLength >= 0 ? inputs.maxPathLength : undefined, true),
            ...(inputs.setSubjectKeyId || inputs.isCaCertificate ? [await x509.SubjectKeyIdentifierExtension.create(to.publicKey)] : []),
            ...(inputs.isCaCertificate && to.subject === to.issuer
                ? []
                : [await x509.AuthorityKeyIdentifierExtension.create(to.authority)]),
            ...alternativeNames(to.dnsNames, to.ipAddresses),
        ],
    });
    return {
        certPem: `${certificate.toString("pem")}\n`,
        keyAlgorithm: to.signer.name,
        validityStartTime: notBefore.toISOString(),
        validityEndTime: notAfter.toISOString(),
        readyForRenewal: due(notAfter.toISOString(), inputs.earlyRenewalHours),
    };
}

function due(end: string, earlyRenewalHours: number): boolean {
    return Date.parse(end) - (earlyRenewalHours ?? 0) * 3_600_000 <= Date.now();
}
