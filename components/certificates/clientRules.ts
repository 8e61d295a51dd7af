import * as rsa from "@peculiar/asn1-rsa";
import { AsnConvert } from "@peculiar/asn1-schema";
import { AlgorithmIdentifier } from "@peculiar/asn1-x509";
import { KeyObject, X509Certificate } from "crypto";
import {
    basicConstraints,
    decoded,
    forbiddenName,
    hasExtension,
    hasNegativeSerial,
    isVersion1,
    keyUsages,
    unknownCritical,
} from "./extensions";

/**
 * This file holds the rules by which browsers and Go clients refuse a certificate that NGINX would serve. Each function returns the rest of
 * a message, or undefined.
 */

/** What a certificate is for: a server, a CA below the root, or the root that clients trust. */
export type Role = "server" | "issuer" | "root";

const curves: Record<string, string> = { prime256v1: "P-256", secp384r1: "P-384" };
/** Browsers verify signatures of P-521, and offer none in handshakes. */
const curvesOfRoots: Record<string, string> = { ...curves, secp521r1: "P-521" };
/** Curves that Go can read. Source: crypto/x509, namedCurveFromOID. */
const curvesOfGo = [...Object.keys(curvesOfRoots), "secp224r1"];
const smallestRsaBits = 2048;
/** Go and Chrome refuse longer keys. Source: crypto/tls maxRSAKeySize, BoringSSL OPENSSL_RSA_MAX_MODULUS_BITS. */
const largestRsaBits = 8192;
const serverAuthentication = "1.3.6.1.5.5.7.3.1";
const tlsFeature = "1.3.6.1.5.5.7.1.24";
/**
 * Signatures that Go and browsers accept, beside RSA-PSS. Ed25519 is that of a CA whose key is refused anyway. Source: crypto/x509
 * signatureAlgorithmDetails, BoringSSL ParseSignatureAlgorithm.
 */
const acceptedSignatures = [
    rsa.id_sha256WithRSAEncryption,
    rsa.id_sha384WithRSAEncryption,
    rsa.id_sha512WithRSAEncryption,
    ...["2", "3", "4"].map(last => `1.2.840.10045.4.3.${last}`),
    "1.3.101.112",
];
/** Digests of RSA-PSS that Go and browsers accept, and the only salt that they accept with each, in bytes. */
const saltsOfPss: Record<string, number> = { [rsa.id_sha256]: 32, [rsa.id_sha384]: 48, [rsa.id_sha512]: 64 };
/** Names of digests, and of signatures that clients refuse. */
const signatureNames: Record<string, string> = {
    "1.2.840.113549.1.1.2": "MD2",
    "1.2.840.113549.1.1.4": "MD5",
    "1.2.840.113549.1.1.5": "SHA-1",
    "1.2.840.10045.4.1": "SHA-1",
    "1.2.840.113549.1.1.14": "SHA-224",
    "1.2.840.10045.4.3.1": "SHA-224",
    [rsa.id_sha1]: "SHA-1",
    [rsa.id_sha224]: "SHA-224",
};

/** Returns the name of a key's type, with the curve of an ECDSA key. */
export function keyType(key: KeyObject): string {
    const type = key.asymmetricKeyType?.toUpperCase() ?? "unknown";
    return type === "EC" ? `ECDSA ${key.asymmetricKeyDetails?.namedCurve ?? ""}`.trim() : type;
}

export function keyFault(key: KeyObject, role: Role = "server"): string | undefined {
    const { modulusLength = 0, namedCurve = "" } = key.asymmetricKeyDetails ?? {};
    const accepted = role === "root" ? curvesOfRoots : curves;
    const advice = role === "root" ? "Give the stack a CA with an ECDSA P-256 key." : "Use an ECDSA P-256 key.";
    if (key.asymmetricKeyType === "rsa") {
        if (modulusLength < smallestRsaBits)
            return `expected an RSA key of at least ${smallestRsaBits} bits, found ${modulusLength}: TLS libraries refuse it. ${advice}`;
        if (modulusLength <= largestRsaBits) return undefined;
        return `expected an RSA key of at most ${largestRsaBits} bits, found ${modulusLength}: Go and Chrome refuse it. ${advice}`;
    }
    if (key.asymmetricKeyType !== "ec")
        return `expected an RSA or ECDSA key, found ${keyType(key)}, which browsers do not accept. ${advice}`;
    if (namedCurve in accepted) return undefined;
    const names = Object.values(accepted).join(" or ");
    return `expected an ECDSA key on ${names}, found ${namedCurve}, which browsers do not accept. ${advice}`;
}

/** Reports whether Go can read a key. */
export function isReadByGo({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): boolean {
    return type === "ec" ? curvesOfGo.includes(details?.namedCurve ?? "") : ["rsa", "ed25519"].includes(type ?? "");
}

/** Returns why Go, in which Rancher and its agents are written, cannot read a certificate. */
export function goFault(certificate: X509Certificate): string | undefined {
    if (isReadByGo(certificate.publicKey)) return serialFault(certificate);
    const found = `${keyType(certificate.publicKey)}, which Rancher cannot read`;
    return `expected an RSA or ECDSA key, found ${found}. Use a CA with an ECDSA P-256 key.`;
}

function serialFault(certificate: X509Certificate): string | undefined {
    if (!hasNegativeSerial(certificate)) return undefined;
    return "expected a positive serial number, found a negative one, which Go refuses since 1.23. Ask the CA for a new certificate.";
}

/** Reports whether clients accept a certificate as a CA's. A root of X.509 version 1 has no constraints. */
export function isCa(certificate: X509Certificate, signsItself: boolean): boolean {
    return basicConstraints(certificate).cA || (signsItself && isVersion1(certificate));
}

/** Returns the fault of a certificate in its role. Clients do not check the signature of one that signs itself. */
export function sentFault(certificate: X509Certificate, role: Role, signsItself: boolean): string | undefined {
    const signature = signsItself ? undefined : refusedSignature(decoded(certificate).signatureAlgorithm);
    if (signature)
        return `expected a signature with SHA-256, SHA-384 or SHA-512, found ${signature}, which clients refuse. Ask the CA for a new certificate.`;
    const critical = unknownCritical(certificate);
    if (critical)
        return `expected critical extensions that clients know, found ${critical}. Ask the CA for a certificate without this extension.`;
    const fault = serialFault(certificate) ?? usageFault(certificate, role);
    if (fault || role === "server") return fault ?? stapleFault(certificate);
    return isCa(certificate, signsItself) ? undefined : "expected the certificate of a CA, found one without CA:TRUE. Leave it out.";
}

/** Returns the name of a signature that clients refuse. */
function refusedSignature({ algorithm, parameters }: AlgorithmIdentifier): string | undefined {
    if (algorithm !== rsa.id_RSASSA_PSS)
        return acceptedSignatures.includes(algorithm) ? undefined : (signatureNames[algorithm] ?? `the signature ${algorithm}`);
    const { hashAlgorithm, saltLength } = parameters ? AsnConvert.parse(parameters, rsa.RsaSaPssParams) : new rsa.RsaSaPssParams();
    const digest = hashAlgorithm.algorithm;
    if (saltsOfPss[digest] === saltLength) return undefined;
    return digest in saltsOfPss ? `RSA-PSS with a salt of ${saltLength} bytes` : `RSA-PSS with ${signatureNames[digest] ?? digest}`;
}

function usageFault(certificate: X509Certificate, role: Role): string | undefined {
    const allowed = keyUsages(certificate);
    const needed = role === "server" ? "digitalSignature" : "keyCertSign";
    if (allowed && !allowed.includes(needed))
        return `expected the key usage ${needed}, found ${allowed.join(", ") || "none"}. Ask the CA for a certificate with this key usage.`;
    // OpenSSL refuses a CA whose extended key usage is anyExtendedKeyUsage alone. Go accepts it.
    if (certificate.keyUsage?.includes(serverAuthentication) ?? true) return undefined;
    return "expected a certificate for servers, found an extended key usage without serverAuth. Ask the CA for a server certificate.";
}

function stapleFault(certificate: X509Certificate): string | undefined {
    if (!hasExtension(certificate, tlsFeature)) return undefined;
    const reason = "this NGINX staples no OCSP answer, and Firefox refuses it then";
    return `expected a certificate without must-staple (TLS feature): ${reason}. Ask the CA for one without.`;
}

/** Returns the fault of an issuer that OpenSSL does not take for the issuer of `below`, although it signed it. */
export function linkFault(below: X509Certificate, issuer: X509Certificate): string | undefined {
    if (below.checkIssued(issuer) || keyUsages(issuer)?.includes("keyCertSign") === false) return undefined;
    const advice = "Ask the CA for a new certificate.";
    return `expected the authority key identifier of the certificate below to name this CA, found another. ${advice}`;
}

/** Returns the fault of a CA with more CAs below than its basic constraints allow. */
export function pathLengthFault(certificate: X509Certificate, below: number): string | undefined {
    const limit = basicConstraints(certificate).pathLength;
    if (below <= limit) return undefined;
    const advice = "Ask for a certificate of a CA that may have CAs below.";
    return `expected at most ${limit} CAs below (pathlen:${limit}), found ${below}. ${advice}`;
}

/** Returns the fault of a CA whose name constraints forbid a name of a certificate below. */
export function nameFault(below: X509Certificate[], ca: X509Certificate): string | undefined {
    const name = below.map(each => forbiddenName(each, ca)).find(found => found !== undefined);
    if (name === undefined) return undefined;
    return `expected name constraints that permit ${name}, found others, so clients refuse the chain. Use a CA for this name.`;
}

/**
 * Returns the end of a warning about a server's certificate that lives longer than Apple's clients accept. They accept 398 days from a
 * public CA and 825 days from a private one. Other clients accept any lifetime from a private CA. Source: https://support.apple.com/103769
 * and 102028.
 */
export function lifetimeWarning(certificate: X509Certificate, ca: "public" | "private"): string | undefined {
    const days = Math.ceil((Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / 86_400_000);
    const limit = ca === "public" ? 398 : 825;
    if (days <= limit) return undefined;
    const reason = "Clients of Apple refuse the certificate, others accept it.";
    return `expected at most ${limit} days of validity from a ${ca} CA, found ${days}. ${reason}`;
}
