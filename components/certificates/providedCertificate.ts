import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { dnsNameSchema } from "../remote/connection";
import { needsAttention } from "../attention";
import { validated, whenKnown } from "../validation";
import { checkPublicTrust, checkServerCertificate, endings, normalizePem, splitPem, warnDays, warnDaysOfCa, withoutRoot } from "./pem";
import {
    Certificate,
    CertificateArgs,
    knownFilesSchema,
    reportProblems,
    reportSecondCertificate,
    ServerCertificate,
} from "./serverCertificate";

/** The files of a certificate that somebody else issued. */
export interface ProvidedCertificateSettingsArgs {
    /**
     * PEM: the server's certificate, then its intermediate certificates, each signed by the next. A root at the end is left out of
     * what is sent. Refused when it does not cover `hostname`, is not valid today, or is in another order.
     */
    certificateChain: pulumi.Input<string>;
    /** PEM: the private key of the server's certificate, RSA of at least 2048 bits or ECDSA, not encrypted. Kept as a secret. */
    privateKey: pulumi.Input<string>;
    /**
     * PEM: the private CA, which Rancher and its agents are given. Leave it out for a publicly trusted CA. Refused when it is not
     * a CA certificate or did not issue the chain.
     */
    caCertificate?: pulumi.Input<string>;
    /** A second certificate with a key of another type, RSA beside ECDSA, for clients that know only that. */
    secondCertificate?: pulumi.Input<CertificateArgs>;
}

export interface ProvidedCertificateArgs extends ProvidedCertificateSettingsArgs {
    /** DNS name of Rancher; the certificate must cover it. */
    hostname: pulumi.Input<string>;
}

/** The part that a user decides; the rule below needs the name of Rancher. */
export const providedCertificateSettingsSchema = z.strictObject({
    certificateChain: z.string(),
    privateKey: z.string(),
    caCertificate: z.string().optional(),
    secondCertificate: z.strictObject({ certificateChain: z.string(), privateKey: z.string() }).optional(),
});

/** Reports files that do not fit together or do not cover `hostname`. `at` is the path of the certificate. */
export function reportFiles(files: Record<string, unknown>, context: z.core.$RefinementCtx, at: PropertyKey[] = []): void {
    const known = knownFilesSchema.parse(files);
    const second = knownFilesSchema.safeParse(files.secondCertificate).data;
    if (second) reportSecondCertificate(known, second, context, at);
    const problems = checkServerCertificate(known);
    if (problems.length === 0 && known.certificateChain !== undefined && files.caCertificate === undefined)
        problems.push(...checkPublicTrust(known.certificateChain));
    reportProblems(problems, context, at);
}

export const providedCertificateSchema = z
    .strictObject({ ...providedCertificateSettingsSchema.shape, hostname: dnsNameSchema })
    .superRefine((files, context) => reportFiles(files, context), whenKnown(knownFilesSchema));

/**
 * A certificate that somebody else issued, checked in every preview. Warns 30 days before a certificate of a chain ends, and a year before
 * the CA ends.
 */
export class ProvidedCertificate extends pulumi.ComponentResource implements ServerCertificate {
    /** PEM as a server sends it. */
    readonly certificateChain: pulumi.Output<string>;
    /** PEM: the private key. Secret. */
    readonly privateKey: pulumi.Output<string>;
    /** The second certificate, when there is one. Secret. */
    readonly secondCertificate?: pulumi.Output<Certificate>;
    /** PEM: the private CA. Empty when the CA is publicly trusted. */
    readonly caCertificate: pulumi.Output<string>;

    constructor(name: string, args: ProvidedCertificateArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:ProvidedCertificate", name, {}, opts);
        const files = validated(this, `ProvidedCertificate ${name}`, providedCertificateSchema, args);
        // Certificates are public, even when they come in one secret together with the key: a reader of a preview wants to see them.
        this.certificateChain = pulumi.unsecret(files).apply(({ certificateChain, secondCertificate, caCertificate = "" }) => {
            this.warnOfEnds("certificateChain", endings(withoutRoot(certificateChain), warnDays));
            const second = secondCertificate ? withoutRoot(secondCertificate.certificateChain) : "";
            this.warnOfEnds("secondCertificate.certificateChain", endings(second, warnDays));
            this.warnOfEnds("caCertificate", endings(caCertificate, warnDaysOfCa));
            return withoutRoot(certificateChain);
        });
        this.privateKey = pulumi.secret(files.privateKey).apply(keyAlone);
        if (args.secondCertificate) {
            this.secondCertificate = pulumi.secret(files).apply(({ secondCertificate }) => ({
                certificateChain: withoutRoot(secondCertificate!.certificateChain),
                privateKey: keyAlone(secondCertificate!.privateKey),
            }));
        }
        this.caCertificate = pulumi.unsecret(files).apply(({ caCertificate }) => normalizePem(caCertificate ?? ""));
        this.registerOutputs({ certificateChain: this.certificateChain, privateKey: this.privateKey, caCertificate: this.caCertificate });
    }

    private warnOfEnds(path: string, ends: string[]): void {
        for (const end of ends) needsAttention(`${path}: ${end}. Give the stack a new one before.`, this);
    }
}

/** Without the curve parameters that openssl puts before an EC key. */
function keyAlone(text: string): string {
    return splitPem(text)
        .filter(block => block.label.includes("PRIVATE KEY"))
        .map(block => `${block.text}\n`)
        .join("");
}
