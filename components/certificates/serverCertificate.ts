import { X509Certificate } from "crypto";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { ErrorCode } from "../errorCodes";
import { dnsNameSchema } from "../remote/connection";
import { checkCaCertificate, checkServerCertificate, ServerCertificateFiles } from "./pem";

/** PEM files of one certificate. */
export interface CertificateArgs {
    /** PEM: the server's certificate, followed by its intermediate certificates. */
    certificateChain: pulumi.Input<string>;
    /** PEM: the private key of the server's certificate. It is kept as a secret, and with mode 0600 on the host. */
    privateKey: pulumi.Input<string>;
}

/** `CertificateArgs` with known values. */
export interface Certificate {
    certificateChain: string;
    privateKey: string;
}

/** A server certificate as the rest of the stack uses it, whoever issued it. */
export interface ServerCertificate {
    /** PEM: the chain as a server sends it, its certificate and then intermediate certificates, never a root. */
    readonly certificateChain: pulumi.Output<string>;
    /** PEM: the private key of the certificate. Secret. */
    readonly privateKey: pulumi.Output<string>;
    /** A second certificate with a key of another type, for clients that do not support the first. Secret. */
    readonly secondCertificate?: pulumi.Output<Certificate>;
    /** PEM: the private CA that clients must trust. Empty when the CA is publicly trusted. */
    readonly caCertificate: pulumi.Output<string>;
}

const knownText = z.string().optional().catch(undefined);

/** The certificate files as far as they are usable: a missing, invalid or unknown field is dropped. */
export const knownFilesSchema = z.object({
    hostname: dnsNameSchema.optional().catch(undefined),
    certificateChain: knownText,
    privateKey: knownText,
    caCertificate: knownText,
});

const params: { errorCode: ErrorCode } = { errorCode: "certificate-refused" };

/** Reports problems of the form `field: sentence.` at their fields. */
export function reportProblems(problems: string[], context: z.core.$RefinementCtx, at: PropertyKey[] = []): void {
    for (const problem of problems) {
        const [, field, message] = /^(\w+): ([\s\S]*)$/.exec(problem) ?? [];
        context.addIssue({ code: "custom", path: [...at, field], message, params });
    }
}

/** PEM text of one or more CAs, each of them valid today. */
export const caCertificatesSchema = z.string().superRefine((text, context) => {
    for (const problem of checkCaCertificate(text))
        context.addIssue({ code: "custom", message: problem.replace(/^caCertificate: /, ""), params });
});

/** Reports a second certificate for another name or with the same type of key. NGINX keeps one certificate for each type. */
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
        context.addIssue({ code: "custom", path: [...at, "secondCertificate", "privateKey"], message, params });
    }
}

function keyType(certificateChain = ""): string | undefined {
    try {
        return new X509Certificate(certificateChain).publicKey.asymmetricKeyType;
    } catch {
        return undefined; // The check of the certificate itself reports an invalid one.
    }
}
