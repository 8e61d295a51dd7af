import { createPrivateKey, KeyObject, X509Certificate } from "crypto";
import { isReadByGo } from "../certificates/clientRules";
import { splitPem } from "../certificates/pem";

/** Returns the first certificate of a PEM text, the one that Go reads. Returns undefined if it cannot be read. */
export function firstCertificate(text: string): X509Certificate | undefined {
    const pem = splitPem(text).find(({ label }) => label === "CERTIFICATE");
    return pem && readCertificate(pem.text);
}

/** Reports whether a text holds a certificate that can be read. Others beside it are skipped, as Go does for a CA. */
export const holdsCertificate = (text: string): boolean =>
    splitPem(text).some(({ label, text: pem }) => label === "CERTIFICATE" && readCertificate(pem));

function readCertificate(pem: string): X509Certificate | undefined {
    try {
        return new X509Certificate(pem);
    } catch {
        return undefined;
    }
}

/** Returns why Go's TLS cannot use a private key with a certificate, or undefined. Source: `X509KeyPair` in Go's crypto/tls. */
export function clientKeyProblem(text: string, certificate: string): string | undefined {
    const block = splitPem(text).find(({ label }) => /^(.+ )?PRIVATE KEY$/.test(label));
    if (!block) return "expected a private key in PEM, in base64, found another text.";
    if (block.text.includes("ENCRYPTED")) return "expected a private key without a passphrase, found an encrypted key.";
    const key = readKey(block.text);
    if (!key) return "expected a private key that can be read, found a damaged one. Copy client-key-data again.";
    if (!isReadByGo(key)) return "expected an RSA, ECDSA or Ed25519 key, found one that kubectl cannot use.";
    if (firstCertificate(certificate)?.checkPrivateKey(key) === false)
        return "expected the key of client-certificate-data, found the key of another certificate.";
    return undefined;
}

/** Reads a key by its data. Go ignores the label of the block. */
function readKey(pem: string): KeyObject | undefined {
    const der = Buffer.from(pem.replace(/^-.*$/gm, ""), "base64");
    for (const type of ["pkcs8", "pkcs1", "sec1"] as const) {
        try {
            return createPrivateKey({ key: der, format: "der", type });
        } catch {
            // The data may have another form.
        }
    }
    return undefined;
}
