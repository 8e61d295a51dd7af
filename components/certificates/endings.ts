import * as pulumi from "@pulumi/pulumi";
import { needsAttention } from "../attention";
import { iso, nameOf } from "./path";
import { normalizePem, readCertificates } from "./pem";

/** Days before the end of a server's certificate from which a warning is given. */
export const warnDays = 30;

/** Returns these days for a lifetime in days. A shorter life has fewer: a quarter of it, but at least two. */
export const warnDaysOfServer = (lifetime: number): number => Math.min(warnDays, Math.max(2, Math.floor(lifetime / 4)));

/** Days before the end of a CA from which a warning is given. A company needs months to give all downstream agents a new CA. */
export const warnDaysOfCa = 365;

/** Lists the certificates whose days from `now` to their end are fewer than `limit` gives for their lifetime, with an advice for each. */
export function endings(certificates: string, limit: (lifetime: number) => number, now = new Date()): string[] {
    // The resource that gets a text with a fault refuses it.
    return readCertificates("certificateChain", certificates).certificates.flatMap((certificate, index) => {
        const [begin, end] = [certificate.validFrom, certificate.validTo].map(date => Date.parse(date) / 86_400_000);
        const left = Math.floor(end - now.getTime() / 86_400_000);
        // An ended certificate is refused, except a CA beside a valid one.
        const advice = left < 0 ? "Leave it out once no server needs it: clients use another" : "Give the stack a new one before";
        const what = `${left < 0 ? "ended" : `ends in ${left} days,`} on ${iso(certificate.validTo)}`;
        return left < limit(end - begin) ? [`certificate ${index + 1} ${nameOf(certificate)} ${what}. ${advice}.`] : [];
    });
}

/** Warns of certificates that `endings` lists. `path` is their key in the configuration. */
export function warnOfEnds(resource: pulumi.Resource, path: string, certificates: string, limit: (lifetime: number) => number): void {
    for (const end of endings(certificates, limit)) needsAttention(`${path}: ${end}`, resource);
}

/** Returns CAs as agents get them, and warns of their ends. The text is empty without CAs. */
export function watchedCas(resource: pulumi.Resource, path: string, cas: pulumi.Input<string | undefined>): pulumi.Output<string> {
    return pulumi.output(cas).apply((text = "") => {
        warnOfEnds(resource, path, text, () => warnDaysOfCa);
        return normalizePem(text);
    });
}
