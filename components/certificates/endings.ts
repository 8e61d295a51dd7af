import { X509Certificate } from "crypto";
import { iso, nameOf } from "./path";
import { splitPem } from "./pem";

/** Days before the end of a certificate from which a warning is given. */
export const warnDays = 30;

/** Days before the end of a CA from which a warning is given. A company needs months to give all downstream agents a new CA. */
export const warnDaysOfCa = 365;

/** Lists the certificates that end in less than `days` days from `now`, with an advice for each. */
export function endings(certificates: string, days: number, now = new Date()): string[] {
    return splitPem(certificates).flatMap(({ text }, index) => {
        const certificate = new X509Certificate(text);
        const left = Math.floor((Date.parse(certificate.validTo) - now.getTime()) / 86_400_000);
        // An ended certificate is refused, except a CA beside a valid one.
        const advice = left < 0 ? "Leave it out once no server needs it: clients use another" : "Give the stack a new one before";
        const end = `${left < 0 ? "ended" : `ends in ${left} days,`} on ${iso(certificate.validTo)}`;
        return left < days ? [`certificate ${index + 1} ${nameOf(certificate)} ${end}. ${advice}.`] : [];
    });
}
