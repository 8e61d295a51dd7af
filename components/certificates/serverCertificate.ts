import { X509Certificate } from "crypto";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { dnsNameSchema } from "../remote/connection";
import { checkServerCertificate, ServerCertificateFiles } from "./pem";

/** PEM files of one certificate. */
export interface CertificateArgs {
    /** Server certificate in PEM form, followed by its intermediates. */
    certificateChain: pulumi.Input<string>;
    /** Private key of the server certificate in PEM form. Kept as a secret, mode 0600 on the host. */
    privateKey: pulumi.Input<string>;
}

/** `CertificateArgs` with values that are known. */
export interface Certificate {
    certificateChain: string;
    privateKey: string;
}

/** What the rest of the stack needs of a certificate, whoever issued it. */
export interface ServerCertificate {
    /** PEM as a server sends it: its certificate, then intermediate certificates; never a root. */
    readonly certificateChain: pulumi.Output<string>;
    /** PEM: the private key of the certificate. Secret. */
    readonly privateKey: pulumi.Output<string>;
    /** A second one with a key of another type, for clients that know only that. Secret. */
    readonly secondCertificate?: pulumi.Output<Certificate>;
    /** PEM: the private CA that clients must be told to trust. Empty when the CA is publicly trusted. */
    readonly caCertificate: pulumi.Output<string>;
}

const knownText = z.string().optional().catch(undefined);

/** Of files that belong together those that are known: one that is missing, wrong or comes later is left out. */
export const knownFilesSchema = z.object({
    hostname: dnsNameSchema.optional().catch(undefined),
    certificateChain: knownText,
    privateKey: knownText,
    caCertificate: knownText,
});

/** Reports problems of the form `field: sentence.` at their fields. */
export function reportProblems(problems: string[], context: z.core.$RefinementCtx, at: PropertyKey[] = []): void {
    for (const problem of problems) {
        const [, field, message] = /^(\w+): ([\s\S]*)$/.exec(problem) ?? [];
        context.addIssue({ code: "custom", path: [...at, field], message });
    }
}

/** A second certificate is for the same name, with a key of another type: NGINX keeps one for each type. */
export function reportSecondCertificate(
    first: ServerCertificateFiles,
    second: ServerCertificateFiles,
    context: z.core.$RefinementCtx,
    at: PropertyKey[] = [],
): void {
    const { hostname, caCertificate } = first;
    const problems = checkServerCertificate({ ...second, hostname, caCertificate });
    reportProblems(problems, context, [...at, "secondCertificate"]);
    if (problems.length > 0) return;
    const [one, other] = [first, second].map(({ certificateChain }) => keyType(certificateChain));
    if (one && one === other) {
        const message = `expected a key of another type than the first certificate's, found ${other} in both.`;
        context.addIssue({ code: "custom", path: [...at, "secondCertificate", "privateKey"], message });
    }
}

function keyType(certificateChain = ""): string | undefined {
    try {
        return new X509Certificate(certificateChain).publicKey.asymmetricKeyType;
    } catch {
        return undefined; // Reported where the first certificate is checked.
    }
}
