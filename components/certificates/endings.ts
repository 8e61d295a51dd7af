import * as pulumi from "@pulumi/pulumi";
import { needsAttention } from "../attention";
import { iso, nameOf } from "./path";
import { normalizePem, readCertificates } from "./pem";

/** Days before the end of a certificate from which a warning is given. */
export const warnDays = 30;

/** Days before the end of a CA from which a warning is given. A company needs months to give all downstream agents a new CA. */
export const warnDaysOfCa = 365;

/** Lists the certificates that end in less than `days` days from `now`, with an advice for each. */
export function endings(certificates: string, days: number, now = new Date()): string[] {
    // The resource that gets a text with a fault refuses it.
    return readCertificates("certificateChain", certificates).certificates.flatMap((certificate, index) => {
        const left = Math.floor((Date.parse(certificate.validTo) - now.getTime()) / 86_400_000);
        // An ended certificate is refused, except a CA beside a valid one.
        const advice = left < 0 ? "Leave it out once no server needs it: clients use another" : "Give the stack a new one before";
        const end = `${left < 0 ? "ended" : `ends in ${left} days,`} on ${iso(certificate.validTo)}`;
        return left < days ? [`certificate ${index + 1} ${nameOf(certificate)} ${end}. ${advice}.`] : [];
    });
}

/** Warns of certificates that end in less than `days` days. `path` is their key in the configuration. */
export function warnOfEnds(resource: pulumi.Resource, path: string, certificates: string, days: number): void {
    for (const end of endings(certificates, days)) needsAttention(`${path}: ${end}`, resource);
}

/** Returns CAs as agents get them, and warns of their ends. The text is empty without CAs. */
export function watchedCas(resource: pulumi.Resource, path: string, cas: pulumi.Input<string | undefined>): pulumi.Output<string> {
    return pulumi.output(cas).apply((text = "") => {
        warnOfEnds(resource, path, text, warnDaysOfCa);
        return normalizePem(text);
    });
}
