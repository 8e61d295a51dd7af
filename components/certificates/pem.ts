import { createHash, createPrivateKey, KeyObject, X509Certificate } from "crypto";
import { rootCertificates } from "tls";
import { goFault, keyFault, keyType } from "./clientRules";
import { decoded } from "./extensions";
import { bestPath, dateFaults, faultsOf, indexIn, issued, issuedBySelf, issuerOf, mayBeCa, nameOf, Path, sentOf } from "./path";

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

/** A problem of one file. The message is made of full sentences and quotes no private key. */
export interface FileProblem {
    field: "certificateChain" | "privateKey" | "caCertificate";
    message: string;
}

const problemOf =
    (field: FileProblem["field"]) =>
    (message: string): FileProblem => ({ field, message });
const ofChain = problemOf("certificateChain");
const ofKey = problemOf("privateKey");
const ofCa = problemOf("caCertificate");

/** Returns the problems of a server certificate, its chain and its key. */
export function checkServerCertificate(files: ServerCertificateFiles): FileProblem[] {
    const now = files.now ?? new Date();
    const { certificates: chain, problems } = readCertificates("certificateChain", files.certificateChain);
    const key = files.privateKey === undefined ? undefined : readPrivateKey(files.privateKey);
    if (typeof key === "string") problems.push(ofKey(key));
    const [leaf] = chain;
    const ca = files.caCertificate === undefined ? [] : checkCaCertificate(files.caCertificate, now);
    if (!leaf || problems.length > 0) return [...problems, ...ca];

    const trusted = trustedFor(files.caCertificate);
    const path = bestPath(chain, trusted, now);
    const order = checkOrder(chain, path);
    const faults = faultsOf(path.certificates, now, key !== undefined).filter(({ ofTime }) => ofTime || order.length === 0);
    for (const { certificate, text } of faults) {
        const isOfCa = files.caCertificate !== undefined && certificate !== leaf && indexIn(trusted, certificate) >= 0;
        const index = indexIn(chain, certificate);
        if (!isOfCa) problems.push(ofChain(index < 0 ? text : `certificate ${index + 1} ${text}`));
        else if (ca.length === 0) problems.push(ofCa(text));
    }
    problems.push(...order);
    if (typeof key === "object") problems.push(...checkKey(leaf, key));
    if (files.hostname !== undefined) problems.push(...checkName(leaf, files.hostname));
    problems.push(...ca);
    if (files.caCertificate !== undefined && ca.length === 0) problems.push(...checkTrust(path, trusted));
    return problems;
}

/**
 * Returns the problems of a private CA's certificate as clients get it. The text must hold one or more CA certificates only. Clients
 * ignore those that they cannot use, so one that is valid and readable is enough.
 */
export function checkCaCertificate(caCertificate: string, now = new Date()): FileProblem[] {
    const { certificates, problems } = readCertificates("caCertificate", caCertificate);
    const faults = certificates.map(certificate => {
        const fault = goFault(certificate);
        return [...dateFaults(certificate, now), ...(fault === undefined ? [] : [`${nameOf(certificate)}: ${fault}`])];
    });
    const isUsable = faults.some(each => each.length === 0);
    certificates.forEach((certificate, index) => {
        if (!mayBeCa(certificate)) {
            const fault = `expected CA certificates, ${nameOf(certificate)} is not one (basic constraint CA:TRUE is missing)`;
            problems.push(ofCa(`${fault}. Give the certificate of the CA that issued the server's certificate.`));
        }
        if (!isUsable) problems.push(...faults[index].map(ofCa));
        if (mayBeCa(certificate) && !certificates.some(issuer => issued(issuer, certificate))) {
            const fault = `expected the root, which signs itself, ${nameOf(certificate)} was issued by ${issuerOf(certificate)}`;
            problems.push(ofCa(`${fault}. Clients trust a chain only up to a root: give it instead, or after the others.`));
        }
    });
    return problems;
}

/** Returns the problems of a chain whose CA must be publicly trusted. */
export function checkPublicTrust(certificateChain: string): FileProblem[] {
    const { certificates: chain, problems } = readCertificates("certificateChain", certificateChain);
    if (problems.length > 0) return [];
    const { certificates, isTrusted } = bestPath(chain, trustedFor());
    if (isTrusted) return [];
    const last = certificates[certificates.length - 1];
    const found = `${nameOf(last)} was issued by ${issuerOf(last)}, which is not one`;
    const advice = "For a private CA give caCertificate; for a public one append the missing intermediate certificate.";
    return [ofChain(`expected a chain that ends below a publicly trusted CA, ${found}. ${advice}`)];
}

/** Returns the chain as a server sends it: without a root, and without certificates that no client needs. */
export function sentChain(certificateChain: string, caCertificate?: string): string {
    const { certificates } = readCertificates("certificateChain", certificateChain);
    const blocks = splitPem(certificateChain);
    return sentOf(certificates, trustedFor(caCertificate))
        .map(certificate => `${blocks[indexIn(certificates, certificate)].text}\n`)
        .join("");
}

/** Lists the certificates that a server does not send and that are no root of the chain. */
export function leftOut(certificateChain: string, caCertificate?: string): string[] {
    const { certificates } = readCertificates("certificateChain", certificateChain);
    const sent = sentOf(certificates, trustedFor(caCertificate));
    return certificates.flatMap((certificate, index) => {
        const isRoot = issuedBySelf(certificate) && sent.some(each => issued(certificate, each));
        if (indexIn(sent, certificate) >= 0 ? indexIn(certificates, certificate) === index : isRoot) return [];
        return [`certificate ${index + 1} ${nameOf(certificate)} is not sent, because no client needs it. Remove it.`];
    });
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

/** Returns the certificates of a text that can be read, and the problems of the others. */
export function readCertificates(field: FileProblem["field"], text: string | undefined) {
    const certificates: X509Certificate[] = [];
    const problems: FileProblem[] = [];
    const report = (message: string) => problems.push({ field, message });
    if (text === undefined) return { certificates, problems };
    const blocks = splitPem(text);
    const begins = text.match(/-----BEGIN /g)?.length ?? 0;
    if (blocks.length === 0 || begins !== blocks.length) {
        report(
            "expected PEM text (-----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----), found " +
                `${begins === 0 ? "no PEM block" : "a block that does not end"}. Give the whole file, line breaks included.`,
        );
    }
    blocks.forEach((block, index) => {
        if (block.label.includes("PRIVATE KEY")) {
            report(
                `expected certificates only, block ${index + 1} is a private key. Move it to privateKey; if it went to other ` +
                    "people with this file, make a new key.",
            );
        } else if (["X509 CERTIFICATE", "TRUSTED CERTIFICATE"].includes(block.label)) {
            const advice = "Convert each with openssl x509 -in FILE -out FILE.pem, and give the result.";
            report(`expected CERTIFICATE as the label of block ${index + 1}, found ${block.label}, which Rancher ignores. ${advice}`);
        } else if (block.label !== "CERTIFICATE") {
            report(`expected certificates only, block ${index + 1} is a ${block.label}. Remove it.`);
        } else {
            try {
                certificates.push(readable(block.text));
            } catch {
                report(`expected a certificate in block ${index + 1}, its content cannot be read. Copy the file again, complete.`);
            }
        }
    });
    return { certificates, problems };
}

/** Throws for a certificate with content or a key that cannot be read. */
function readable(text: string): X509Certificate {
    const certificate = new X509Certificate(text);
    return certificate.publicKey && decoded(certificate) && certificate;
}

/** Returns the key, or the problem with the text as a sentence. */
function readPrivateKey(text: string): KeyObject | string {
    const expected = "expected one private key in PEM form without a passphrase";
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

/** Returns a problem when the first certificate is not the server's. Below an unknown root, each certificate must be on the path. */
function checkOrder(chain: X509Certificate[], { certificates, isTrusted }: Path): FileProblem[] {
    const [leaf, ...others] = chain;
    const isIssuer = others.some(each => indexIn([leaf], each) < 0 && issued(leaf, each));
    if (!isIssuer && (isTrusted || chain.every(each => indexIn(certificates, each) >= 0))) return [];
    const at = chain.findIndex((certificate, index) => index + 1 < chain.length && !issued(chain[index + 1], certificate));
    if (at < 0) return [];
    const certificate = chain[at];
    const found =
        `certificate ${at + 1} ${nameOf(certificate)} was issued by ${issuerOf(certificate)}, ` +
        `certificate ${at + 2} is ${nameOf(chain[at + 1])}`;
    const advice = "Put the server's certificate first, then its issuer, and leave out what does not belong to it.";
    return [ofChain(`expected each certificate to be signed by the next, ${found}. ${advice}`)];
}

function checkKey(leaf: X509Certificate, key: KeyObject): FileProblem[] {
    const types = { certificate: keyType(leaf.publicKey), key: keyType(key) };
    const fault = keyFault(key);
    if (fault) return [ofKey(fault)];
    const advice = "Give the key the certificate was made for.";
    if (types.certificate !== types.key) {
        return [ofKey(`expected the ${types.certificate} key of ${nameOf(leaf)}, found a ${types.key} key. ${advice}`)];
    }
    if (!leaf.checkPrivateKey(key)) {
        return [ofKey(`expected the key of ${nameOf(leaf)}, found another ${types.key} key. ${advice}`)];
    }
    return [];
}

function checkName(leaf: X509Certificate, hostname: string): FileProblem[] {
    if (leaf.checkHost(hostname, { subject: "never", partialWildcards: false })) return [];
    const names = leaf.subjectAltName?.replace(/DNS:|IP Address:/g, "") ?? "no subject alternative name";
    const advice = "Ask the CA for one with the host name as subject alternative name; a wildcard covers one label.";
    return [ofChain(`expected a certificate for ${hostname}, ${nameOf(leaf)} is for ${names}. ${advice}`)];
}

function checkTrust({ certificates, isTrusted }: Path, cas: X509Certificate[]): FileProblem[] {
    if (isTrusted) return [];
    const last = certificates[certificates.length - 1];
    const found = `${nameOf(last)} was issued by ${issuerOf(last)}`;
    const advice = "Append the missing intermediate certificates to the chain, or give the CA that issued it.";
    return [ofChain(`expected a chain that ends below caCertificate (${cas.map(nameOf).join(", ")}), ${found}. ${advice}`)];
}
