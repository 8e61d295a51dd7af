import { AsnConvert } from "@peculiar/asn1-schema";
import { BasicConstraints, Certificate, GeneralName, id_ce_basicConstraints, id_ce_keyUsage, KeyUsage } from "@peculiar/asn1-x509";
import { id_ce_nameConstraints, id_ce_subjectAltName, NameConstraints, SubjectAlternativeName } from "@peculiar/asn1-x509";
import { X509Certificate } from "crypto";

/** This file reads what Node's X509Certificate does not show of a certificate. */

/**
 * Critical extensions that both Go and OpenSSL obey: key usage, alternative names, basic and name constraints, CRL distribution points,
 * policies (four of them), extended key usage.
 */
const obeyed = ["15", "17", "19", "30", "31", "32", "33", "36", "54", "37"].map(last => `2.5.29.${last}`);

/** Certificates that were read already. The rules ask for each one about ten times. */
const read = new WeakMap<X509Certificate, Certificate>();

export function decoded(certificate: X509Certificate): Certificate {
    const known = read.get(certificate) ?? AsnConvert.parse(certificate.raw, Certificate);
    read.set(certificate, known);
    return known;
}

export function hasExtension(certificate: X509Certificate, id: string): boolean {
    return valueOf(certificate, id) !== undefined;
}

function valueOf(certificate: X509Certificate, id: string): ArrayBuffer | undefined {
    return decoded(certificate).tbsCertificate.extensions?.find(({ extnID }) => extnID === id)?.extnValue.buffer;
}

/** Returns the names of the key usages, or undefined when the certificate allows all. */
export function keyUsages(certificate: X509Certificate): string[] | undefined {
    const value = valueOf(certificate, id_ce_keyUsage);
    return value && AsnConvert.parse(value, KeyUsage).toJSON();
}

/** Reports whether a certificate has X.509 version 1, which has no extensions. Clients accept such a root. */
export function isVersion1(certificate: X509Certificate): boolean {
    return decoded(certificate).tbsCertificate.version === 0;
}

export function hasNegativeSerial(certificate: X509Certificate): boolean {
    return new Int8Array(decoded(certificate).tbsCertificate.serialNumber)[0] < 0;
}

/** Returns the identifier of a critical extension that clients do not know. Go knows only name constraints of four kinds. */
export function unknownCritical(certificate: X509Certificate): string | undefined {
    const critical = (decoded(certificate).tbsCertificate.extensions ?? []).filter(each => each.critical).map(each => each.extnID);
    const { permitted, excluded } = nameConstraints(certificate);
    const isOdd = (name: GeneralName) => [name.dNSName, name.iPAddress, name.rfc822Name, name.uniformResourceIdentifier].every(isMissing);
    const isOddConstraint = [...permitted, ...excluded].some(isOdd);
    return critical.find(id => !obeyed.includes(id) || (id === id_ce_nameConstraints && isOddConstraint));
}

const isMissing = (value: unknown) => value === undefined;

/** Returns whether a certificate is of a CA, and how many CAs may stand between this CA and the server's certificate. */
export function basicConstraints(certificate: X509Certificate): { cA: boolean; pathLength: number } {
    const value = valueOf(certificate, id_ce_basicConstraints);
    const { cA = false, pathLenConstraint = Infinity } = value ? AsnConvert.parse(value, BasicConstraints) : {};
    return { cA, pathLength: pathLenConstraint };
}

function nameConstraints(certificate: X509Certificate): { permitted: GeneralName[]; excluded: GeneralName[] } {
    const value = valueOf(certificate, id_ce_nameConstraints);
    const { permittedSubtrees = [], excludedSubtrees = [] } = value ? AsnConvert.parse(value, NameConstraints) : {};
    return { permitted: [...permittedSubtrees].map(({ base }) => base), excluded: [...excludedSubtrees].map(({ base }) => base) };
}

/** Returns the first DNS name or IP address of a certificate that the name constraints of a CA above forbid. */
export function forbiddenName(certificate: X509Certificate, ca: X509Certificate): string | undefined {
    const { permitted, excluded } = nameConstraints(ca);
    const value = valueOf(certificate, id_ce_subjectAltName);
    const names = value ? [...AsnConvert.parse(value, SubjectAlternativeName)] : [];
    const isForbidden = ({ dNSName, iPAddress }: GeneralName) => {
        const domains = (list: GeneralName[]) => list.flatMap(base => base.dNSName ?? []);
        const networks = (list: GeneralName[]) => list.flatMap(base => base.iPAddress ?? []);
        if (dNSName !== undefined) return isOutside(dNSName, domains(permitted), domains(excluded), isBelow, isBelowWildcard);
        if (iPAddress !== undefined) return isOutside(iPAddress, networks(permitted), networks(excluded), isWithin);
        return false;
    };
    const found = names.find(isForbidden);
    return found?.dNSName ?? found?.iPAddress;
}

type Matches = (name: string, constraint: string) => boolean;

function isOutside(name: string, permitted: string[], excluded: string[], matches: Matches, touches: Matches = matches): boolean {
    const isPermitted = permitted.length === 0 || permitted.some(each => matches(name, each));
    return !isPermitted || excluded.some(each => matches(name, each) || touches(name, each));
}

/** A constraint that begins with a dot covers only names below. The empty constraint covers all names. */
function isBelow(name: string, constraint: string): boolean {
    const [host, domain] = [name.toLowerCase(), constraint.toLowerCase()];
    return domain === "" || host === domain || host.endsWith(domain.startsWith(".") ? domain : `.${domain}`);
}

/** Go also refuses `*.example.com` where `a.example.com` is excluded, because the wildcard covers this name. */
function isBelowWildcard(name: string, constraint: string): boolean {
    return name.startsWith("*.") && name.slice(2).toLowerCase() === constraint.toLowerCase().replace(/^[^.]+\./, "");
}

function isWithin(address: string, network: string): boolean {
    const [bytes, range] = [bytesOf(address), bytesOf(network)];
    return range.length === 2 * bytes.length && bytes.every((byte, index) => ((byte ^ range[index]) & range[bytes.length + index]) === 0);
}

/** Returns the bytes of an address, or of a network and then its mask, without the two bytes of their header. */
function bytesOf(iPAddress: string): Uint8Array {
    return new Uint8Array(AsnConvert.serialize(new GeneralName({ iPAddress }))).slice(2);
}
