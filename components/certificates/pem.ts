import { createHash, createPrivateKey, KeyObject, X509Certificate } from "crypto";
import { rootCertificates } from "tls";
import { keyFault, keyType, sentFault } from "./clientRules";

/** One block of a PEM text. */
export interface PemBlock {
    /** Label of the block, for example `CERTIFICATE` or `EC PRIVATE KEY`. */
    label: string;
    /** The block in canonical form: no indentation, LF, no trailing newline. */
    text: string;
}

/** Returns the blocks of a PEM text. Text between the blocks is ignored, as in every reader of PEM. */
export function splitPem(text: string): PemBlock[] {
    return [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g)].map(([block, label]) => ({
        label,
        text: block
            .split(/\r\n|\r|\n/)
            .map(line => line.trim())
            .filter(line => line !== "")
            .join("\n"),
    }));
}

/** Returns only the blocks, with LF and one newline at the end, so that the same certificates always give the same bytes. */
export function normalizePem(text: string): string {
    return splitPem(text)
        .map(block => `${block.text}\n`)
        .join("");
}

/** Returns the private keys of a PEM text alone, without the curve parameters that openssl puts in front of an EC key. */
export function keyAlone(text: string): string {
    return splitPem(text)
        .filter(block => block.label.includes("PRIVATE KEY"))
        .map(block => `${block.text}\n`)
        .join("");
}

/**
 * Returns the checksum by which cluster agents recognise the CA (`CATTLE_CA_CHECKSUM`): SHA-256, in hex, of the trimmed PEM text and
 * one newline. Source: rancher/rancher pkg/tls, pkg/systemtemplate.
 */
export function caChecksum(caCertificate: string): string {
    return createHash("sha256").update(normalizePem(caCertificate)).digest("hex");
}

/** Files of one server certificate. Missing files are not checked. */
export interface ServerCertificateFiles {
    /** PEM: the server's certificate, then the intermediate certificates, each signed by the next. */
    certificateChain?: string;
    /** PEM: the private key of the first certificate. */
    privateKey?: string;
    /** A DNS name that the first certificate must cover. */
    hostname?: string;
    /** PEM: the CA that clients must trust. Without a CA, the trust of the chain is not checked. */
    caCertificate?: string;
    /** Time at which the certificates must be valid. Default: now. */
    now?: Date;
}

/** Returns the problems of a server certificate, its chain and its key as full sentences. None of them quotes a private key. */
export function checkServerCertificate(files: ServerCertificateFiles): string[] {
    const now = files.now ?? new Date();
    const { certificates: chain, problems } = readCertificates("certificateChain", files.certificateChain);
    const key = files.privateKey === undefined ? undefined : readPrivateKey(files.privateKey);
    if (typeof key === "string") problems.push(key);
    const [leaf] = chain;
    const ca = files.caCertificate === undefined ? [] : checkCaCertificate(files.caCertificate, now);
    if (!leaf || problems.length > 0) return [...problems, ...ca];

    const order = checkOrder(chain);
    const trusted = trustedFor(files.caCertificate);
    checkedOf(chain, trusted).forEach((certificate, index) => {
        const where = `certificateChain: certificate ${index + 1}`;
        problems.push(...checkDates(where, certificate, now));
        if (order.length === 0 && !issuedBySelf(certificate))
            problems.push(...checkSent(where, certificate, index === 0, key !== undefined));
    });
    problems.push(...order);
    if (typeof key === "object") problems.push(...checkKey(leaf, key));
    if (files.hostname !== undefined) problems.push(...checkName(leaf, files.hostname));
    problems.push(...ca);
    if (files.caCertificate !== undefined && ca.length === 0) problems.push(...checkTrust(chain, files.caCertificate));
    return problems;
}

/** Returns the problems of a private CA's certificate as clients get it. The text must hold one or more CA certificates only. */
export function checkCaCertificate(caCertificate: string, now = new Date()): string[] {
    const { certificates, problems } = readCertificates("caCertificate", caCertificate);
    for (const certificate of certificates) {
        if (!certificate.ca) {
            problems.push(
                `caCertificate: expected CA certificates, ${nameOf(certificate)} is not one (basic constraint CA:TRUE is missing). ` +
                    "Give the certificate of the CA that issued the server's certificate.",
            );
        }
        problems.push(...checkDates("caCertificate:", certificate, now));
        if (certificate.ca && !certificates.some(issuer => issued(issuer, certificate))) {
            problems.push(
                `caCertificate: expected the root, which signs itself, ${nameOf(certificate)} was issued by ${issuerOf(certificate)}. ` +
                    "Clients trust a chain only up to a root: give it instead, or after the others.",
            );
        }
    }
    return problems;
}

/** Returns the problems of a chain whose CA must be publicly trusted. */
export function checkPublicTrust(certificateChain: string): string[] {
    const { certificates: chain, problems } = readCertificates("certificateChain", certificateChain);
    if (problems.length > 0) return [];
    if (anchorOf(chain, trustedFor()) >= 0) return [];
    const last = chain[chain.length - 1];
    return [
        `certificateChain: expected a chain that ends below a publicly trusted CA, ${nameOf(last)} was issued by ${issuerOf(last)}, which is not one. ` +
            "For a private CA give caCertificate; for a public one append the missing intermediate certificate.",
    ];
}

/** Returns the chain as a server sends it: without a root, because clients must have the root already. */
export function withoutRoot(certificateChain: string): string {
    const blocks = splitPem(certificateChain);
    const sent = blocks.filter((block, index) => index === 0 || !issuedBySelf(new X509Certificate(block.text)));
    return sent.map(block => `${block.text}\n`).join("");
}

/** Public roots as they were read. To read all of them takes 26 ms, and a program asks six times. */
const rootsRead = new Map<string, X509Certificate>();

function publicRoot(text: string): X509Certificate {
    const root = rootsRead.get(text) ?? new X509Certificate(text);
    rootsRead.set(text, root);
    return root;
}

/** Returns the certificates that clients trust: those of the private CA, or the public roots. */
function trustedFor(caCertificate?: string): X509Certificate[] {
    if (caCertificate === undefined) return rootCertificates.map(publicRoot);
    return readCertificates("caCertificate", caCertificate).certificates;
}

/** Returns the index of the first certificate that clients trust or that a trusted root issued. They ignore the certificates above it. */
function anchorOf(chain: X509Certificate[], trusted: X509Certificate[]): number {
    return chain.findIndex(certificate => trusted.some(ca => ca.fingerprint256 === certificate.fingerprint256 || issued(ca, certificate)));
}

function checkedOf(chain: X509Certificate[], trusted: X509Certificate[]): X509Certificate[] {
    const anchor = anchorOf(chain, trusted);
    return anchor < 0 ? chain : chain.slice(0, anchor + 1);
}

/** Reports a certificate that clients refuse. With `hasKey`, the check of the private key reports a fault of the server's key. */
function checkSent(where: string, certificate: X509Certificate, isServer: boolean, hasKey: boolean): string[] {
    const key = isServer && hasKey ? undefined : keyFault(certificate.publicKey);
    const faults = [key, sentFault(certificate, isServer ? "server" : "issuer")];
    return faults.flatMap(fault => (fault === undefined ? [] : [`${where} ${nameOf(certificate)}: ${fault}`]));
}

function readCertificates(field: string, text: string | undefined): { certificates: X509Certificate[]; problems: string[] } {
    const certificates: X509Certificate[] = [];
    const problems: string[] = [];
    if (text === undefined) return { certificates, problems };
    const blocks = splitPem(text);
    const begins = text.match(/-----BEGIN /g)?.length ?? 0;
    if (blocks.length === 0 || begins !== blocks.length) {
        problems.push(
            `${field}: expected PEM text (-----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----), found ` +
                `${begins === 0 ? "no PEM block" : "a block that does not end"}. Give the whole file, line breaks included.`,
        );
    }
    blocks.forEach((block, index) => {
        if (block.label.includes("PRIVATE KEY")) {
            problems.push(
                `${field}: expected certificates only, block ${index + 1} is a private key. Move it to privateKey; if it went to other ` +
                    "people with this file, make a new key.",
            );
        } else if (block.label !== "CERTIFICATE") {
            problems.push(`${field}: expected certificates only, block ${index + 1} is a ${block.label}. Remove it.`);
        } else {
            try {
                certificates.push(new X509Certificate(block.text));
            } catch {
                problems.push(
                    `${field}: expected a certificate in block ${index + 1}, its content cannot be read. Copy the file again, complete.`,
                );
            }
        }
    });
    return { certificates, problems };
}

/** Returns the key, or the problem with the text as a sentence. */
function readPrivateKey(text: string): KeyObject | string {
    const expected = "privateKey: expected one private key in PEM form without a passphrase";
    const keys = splitPem(text).filter(block => block.label.includes("PRIVATE KEY"));
    if (keys.length !== 1)
        return `${expected}, found ${keys.length === 0 ? "none" : keys.length}. Give the key of the server's certificate.`;
    if (/ENCRYPTED/.test(keys[0].text)) return `${expected}, it is encrypted. Decrypt it with openssl pkey and store it as a secret.`;
    try {
        return createPrivateKey(keys[0].text);
    } catch {
        return `${expected}, its content cannot be read. Copy the file again, complete.`;
    }
}

function checkDates(where: string, certificate: X509Certificate, now: Date): string[] {
    const moment = now.toISOString();
    if (Date.parse(certificate.validFrom) > now.getTime()) {
        return [
            `${where} ${nameOf(certificate)} is not valid before ${iso(certificate.validFrom)}, now is ${moment}. Wait, or check the clock.`,
        ];
    }
    if (Date.parse(certificate.validTo) <= now.getTime()) {
        return [`${where} ${nameOf(certificate)} has expired on ${iso(certificate.validTo)}, now is ${moment}. Renew it.`];
    }
    return [];
}

function checkOrder(chain: X509Certificate[]): string[] {
    const at = chain.findIndex((certificate, index) => index + 1 < chain.length && !issued(chain[index + 1], certificate));
    if (at < 0) return [];
    const certificate = chain[at];
    return [
        `certificateChain: expected each certificate to be signed by the next, certificate ${at + 1} ${nameOf(certificate)} was issued by ` +
            `${issuerOf(certificate)}, certificate ${at + 2} is ${nameOf(chain[at + 1])}. ` +
            "Put the server's certificate first, then its issuer, and leave out what does not belong to it.",
    ];
}

function checkKey(leaf: X509Certificate, key: KeyObject): string[] {
    const types = { certificate: keyType(leaf.publicKey), key: keyType(key) };
    const fault = keyFault(key);
    if (fault) return [`privateKey: ${fault}`];
    if (types.certificate !== types.key) {
        return [
            `privateKey: expected the ${types.certificate} key of ${nameOf(leaf)}, found a ${types.key} key. Give the key the certificate was made for.`,
        ];
    }
    if (!leaf.checkPrivateKey(key)) {
        return [
            `privateKey: expected the key of ${nameOf(leaf)}, found another ${types.key} key. Give the key the certificate was made for.`,
        ];
    }
    return [];
}

function checkName(leaf: X509Certificate, hostname: string): string[] {
    if (leaf.checkHost(hostname, { subject: "never", partialWildcards: false })) return [];
    const names = leaf.subjectAltName?.replace(/DNS:|IP Address:/g, "") ?? "no subject alternative name";
    return [
        `certificateChain: expected a certificate for ${hostname}, ${nameOf(leaf)} is for ${names}. ` +
            "Ask the CA for one with the host name as subject alternative name; a wildcard covers one label.",
    ];
}

function checkTrust(chain: X509Certificate[], caCertificate: string): string[] {
    const cas = readCertificates("caCertificate", caCertificate).certificates;
    if (anchorOf(chain, cas) >= 0) return [];
    const last = chain[chain.length - 1];
    return [
        `certificateChain: expected a chain that ends below caCertificate (${cas.map(nameOf).join(", ")}), ${nameOf(last)} was issued by ${issuerOf(last)}. ` +
            "Append the missing intermediate certificates to the chain, or give the CA that issued it.",
    ];
}

function issued(issuer: X509Certificate, certificate: X509Certificate): boolean {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function issuedBySelf(certificate: X509Certificate): boolean {
    return issued(certificate, certificate);
}

/** Returns the common name of a certificate, or the whole subject when there is none. */
export function nameOf(certificate: X509Certificate): string {
    return quoted(certificate.subject);
}

function issuerOf(certificate: X509Certificate): string {
    return quoted(certificate.issuer);
}

function quoted(distinguishedName: string | undefined): string {
    const name = distinguishedName ?? "";
    return JSON.stringify(/^CN=(.*)$/m.exec(name)?.[1] ?? name.replace(/\n/g, ", "));
}

export function iso(date: string): string {
    return new Date(date).toISOString();
}
