import { X509Certificate } from "crypto";
import { isCa, keyFault, linkFault, nameFault, pathLengthFault, Role, sentFault } from "./clientRules";

/** This file finds the path from a server's certificate to a root, as clients do: they try all, and one without a fault is enough. */

/** A path from the server's certificate up to a root. */
export interface Path {
    certificates: X509Certificate[];
    /** Reports whether the path ends at a certificate that clients trust. */
    isTrusted: boolean;
}

/** Why clients refuse a certificate of a path. The text begins with the name of the certificate. */
export interface Fault {
    certificate: X509Certificate;
    text: string;
    /** Reports whether the time is the fault. */
    ofTime: boolean;
}

/** Returns a trusted path without a fault, or else any trusted path, or else the longest. */
export function bestPath(chain: X509Certificate[], trusted: X509Certificate[], now = new Date()): Path {
    const [leaf, ...others] = chain;
    const known = [...trusted, ...others].filter((each, index, all) => indexIn(all, each) === index && indexIn([leaf], each) < 0);
    const paths = pathsAbove([leaf], known);
    const ends = paths.filter(path => indexIn(trusted, path[path.length - 1]) >= 0);
    const longest = paths.reduce((one, other) => (other.length > one.length ? other : one));
    const certificates = ends.find(path => faultsOf(path, now).length === 0) ?? ends[0] ?? longest;
    return { certificates, isTrusted: ends.length > 0 };
}

function pathsAbove(path: X509Certificate[], known: X509Certificate[]): X509Certificate[][] {
    const top = path[path.length - 1];
    const issuers = issuedBySelf(top) ? [] : known.filter(each => !path.includes(each) && issued(each, top));
    return issuers.length === 0 ? [path] : issuers.flatMap(issuer => pathsAbove([...path, issuer], known));
}

/** Returns why clients refuse a path. With `hasKey`, the check of the private key reports a fault of the server's key. */
export function faultsOf(path: X509Certificate[], now: Date, hasKey = false): Fault[] {
    return path.flatMap((certificate, index) => {
        const role: Role = index === 0 ? "server" : issuedBySelf(certificate) ? "root" : "issuer";
        const rules = [
            index === 0 && hasKey ? undefined : keyFault(certificate.publicKey, role),
            sentFault(certificate, role, issuedBySelf(certificate)),
            index === 0 ? undefined : linkFault(path[index - 1], certificate),
            pathLengthFault(certificate, index - 1),
            nameFault(path.slice(0, index), certificate),
        ].flatMap(fault => (fault === undefined ? [] : [{ certificate, text: `${nameOf(certificate)}: ${fault}`, ofTime: false }]));
        return [...dateFaults(certificate, now).map(text => ({ certificate, text, ofTime: true })), ...rules];
    });
}

export function dateFaults(certificate: X509Certificate, now: Date): string[] {
    const moment = now.toISOString();
    if (Date.parse(certificate.validFrom) > now.getTime()) {
        return [`${nameOf(certificate)} is not valid before ${iso(certificate.validFrom)}, now is ${moment}. Wait, or check the clock.`];
    }
    if (Date.parse(certificate.validTo) <= now.getTime()) {
        return [`${nameOf(certificate)} has expired on ${iso(certificate.validTo)}, now is ${moment}. Renew it.`];
    }
    return [];
}

/**
 * Returns what a server sends: the path without a root, because clients must have the root already. Valid issuers above a trusted
 * certificate stay for older clients, which trust another root.
 */
export function sentOf(chain: X509Certificate[], trusted: X509Certificate[], now = new Date()): X509Certificate[] {
    const { certificates } = bestPath(chain, trusted, now);
    const sent = certificates.filter((each, index) => index === 0 || (indexIn(chain, each) >= 0 && !issuedBySelf(each)));
    for (;;) {
        const top = sent[sent.length - 1];
        const isNext = (each: X509Certificate) => indexIn(sent, each) < 0 && !issuedBySelf(each) && issued(each, top);
        const next = issuedBySelf(top) ? undefined : chain.find(each => isNext(each) && dateFaults(each, now).length === 0);
        if (!next) return sent;
        sent.push(next);
    }
}

/** Returns the index of a certificate with the same content, or -1. */
export function indexIn(certificates: X509Certificate[], certificate: X509Certificate): number {
    return certificates.findIndex(({ fingerprint256 }) => fingerprint256 === certificate.fingerprint256);
}

/** Reports whether a key signed a certificate under the issuer's name. Whether it was allowed to is a rule of clients. */
export function issued(issuer: X509Certificate, certificate: X509Certificate): boolean {
    return certificate.issuer === issuer.subject && certificate.verify(issuer.publicKey);
}

export function issuedBySelf(certificate: X509Certificate): boolean {
    return issued(certificate, certificate);
}

/** Reports whether clients accept a certificate as a CA's. */
export function mayBeCa(certificate: X509Certificate): boolean {
    return isCa(certificate, issuedBySelf(certificate));
}

/** Returns the common name of a certificate, or the whole subject when there is none. */
export function nameOf(certificate: X509Certificate): string {
    return quoted(certificate.subject);
}

export function issuerOf(certificate: X509Certificate): string {
    return quoted(certificate.issuer);
}

function quoted(distinguishedName: string | undefined): string {
    const name = distinguishedName ?? "";
    return JSON.stringify(/^CN=(.*)$/m.exec(name)?.[1] ?? name.replace(/\n/g, ", "));
}

export function iso(date: string): string {
    return new Date(date).toISOString();
}
