import { AsnConvert } from "@peculiar/asn1-schema";
import { Certificate, id_ce_keyUsage, KeyUsage } from "@peculiar/asn1-x509";
import { KeyObject, X509Certificate } from "crypto";

/**
 * This file holds the rules by which browsers and Go clients refuse a certificate that NGINX would serve. Each function returns the rest of
 * a message, or undefined.
 */

const curves: Record<string, string> = { prime256v1: "P-256", secp384r1: "P-384" };
const smallestRsaBits = 2048;
const serverAuthentication = "1.3.6.1.5.5.7.3.1";
const anyUsage = "2.5.29.37.0";
const tlsFeature = "1.3.6.1.5.5.7.1.24";
/** Signature algorithms with broken digests. Go refuses MD5 and, since 1.18, SHA-1. Browsers refuse both. */
const brokenSignatures: Record<string, string> = {
    "1.2.840.113549.1.1.2": "MD2",
    "1.2.840.113549.1.1.4": "MD5",
    "1.2.840.113549.1.1.5": "SHA-1",
    "1.2.840.10045.4.1": "SHA-1",
};

/** Returns the name of a key's type, with the curve of an ECDSA key. */
export function keyType(key: KeyObject): string {
    const type = key.asymmetricKeyType?.toUpperCase() ?? "unknown";
    return type === "EC" ? `ECDSA ${key.asymmetricKeyDetails?.namedCurve ?? ""}`.trim() : type;
}

export function keyFault(key: KeyObject): string | undefined {
    const { modulusLength = 0, namedCurve = "" } = key.asymmetricKeyDetails ?? {};
    if (key.asymmetricKeyType === "rsa") {
        if (modulusLength >= smallestRsaBits) return undefined;
        return `expected an RSA key of at least ${smallestRsaBits} bits, found ${modulusLength}: TLS libraries refuse it. Use an ECDSA P-256 key.`;
    }
    if (key.asymmetricKeyType !== "ec")
        return `expected an RSA or ECDSA key, found ${keyType(key)}, which browsers do not accept. Use an ECDSA P-256 key.`;
    if (namedCurve in curves) return undefined;
    return `expected an ECDSA key on P-256 or P-384, found ${namedCurve}, which browsers do not accept. Use an ECDSA P-256 key.`;
}

/** Returns the fault of a certificate that a server sends: its own, or one of its issuers. */
export function sentFault(certificate: X509Certificate, role: "server" | "issuer"): string | undefined {
    const { signatureAlgorithm, tbsCertificate } = AsnConvert.parse(certificate.raw, Certificate);
    const digest = brokenSignatures[signatureAlgorithm.algorithm];
    if (digest)
        return `expected a signature with SHA-256 or better, found ${digest}, which clients refuse. Ask the CA for a new certificate.`;
    const extension = (id: string) => tbsCertificate.extensions?.find(({ extnID }) => extnID === id);
    const usage = extension(id_ce_keyUsage);
    const allowed: string[] | undefined = usage && AsnConvert.parse(usage.extnValue.buffer, KeyUsage).toJSON();
    if (role === "server" && allowed && !allowed.includes("digitalSignature"))
        return `expected the key usage digitalSignature, found ${allowed.join(", ") || "none"}. Ask the CA for a certificate with this key usage.`;
    if (
        certificate.keyUsage &&
        ![serverAuthentication, ...(role === "issuer" ? [anyUsage] : [])].some(id => certificate.keyUsage.includes(id))
    )
        return "expected a certificate for servers, found an extended key usage without serverAuth. Ask the CA for a server certificate.";
    if (role === "issuer") return certificate.ca ? undefined : "expected the certificate of a CA, found one without CA:TRUE. Leave it out.";
    if (!extension(tlsFeature)) return undefined;
    return "expected a certificate without must-staple (TLS feature): this NGINX staples no OCSP answer, and Firefox refuses it then. Ask the CA for one without.";
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
    return `expected at most ${limit} days of validity from a ${ca} CA, found ${days}. Clients of Apple refuse the certificate, others accept it.`;
}
