import * as pulumi from "@pulumi/pulumi";
import { needsAttention } from "../attention";
import { iso, nameOf } from "./path";
import { normalizePem, readCertificates } from "./pem";

/** Days before the end of a certificate from which a warning is given. */
export const warnDays = 30;

/** Days before the end of a CA from which a warning is given. A company needs months to give all downstream agents a new CA. */
export const warnDaysOfCa = 365;

/**
 * Lists the certificates that end in less than `days` days from `now`, with an advice for each. A shorter time counts for a certificate
 * that lives less than four times as long: a quarter of its lifetime, but at least two days.
 */
export function endings(certificates: string, days: number, now = new Date()): string[] {
    // The resource that gets a text with a fault refuses it.
    return readCertificates("certificateChain", certificates).certificates.flatMap((certificate, index) => {
        const [begin, end] = [certificate.validFrom, certificate.validTo].map(date => Date.parse(date) / 86_400_000);
        const left = Math.floor(end - now.getTime() / 86_400_000);
        // An ended certificate is refused, except a CA beside a valid one.
        const advice = left < 0 ? "Leave it out once no server needs it: clients use another" : "Give the stack a new one before";
        const what = `${left < 0 ? "ended" : `ends in ${left} days,`} on ${iso(certificate.validTo)}`;
        return left < Math.min(days, Math.max(2, Math.floor((end - begin) / 4)))
            ? [`certificate ${index + 1} ${nameOf(certificate)} ${what}. ${advice}.`]
            : [];
    });
}

/** Warns of certificates that `endings` lists. `path` is their key in the configuration. */
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
