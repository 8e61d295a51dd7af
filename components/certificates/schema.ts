import { X509Certificate } from "crypto";
import { z } from "zod";
import { ErrorCode } from "../errorCodes";
import { dnsNameSchema, ipAddressSchema } from "../remote/addresses";
import { secret } from "../secrecy";
import { whenKnown } from "../validation";
import { checkCaCertificate, checkPublicTrust, checkServerCertificate, FileProblem, ServerCertificateFiles } from "./pem";

/** Kinds of private keys. */
export const KeyAlgorithm = {
    /** P-256: every client since 2014 accepts this key, and it costs the server a fraction of RSA's CPU time. */
    Ecdsa: "ecdsa",
    /** 2048 bits, for clients that support only RSA. */
    Rsa: "rsa",
} as const;
export type KeyAlgorithm = (typeof KeyAlgorithm)[keyof typeof KeyAlgorithm];

/** PEM files of one certificate. */
export const certificateSchema = z.strictObject({ certificateChain: z.string(), privateKey: secret(z.string()) });

const knownText = z.string().optional().catch(undefined);

/** The certificate files as far as they are usable: a missing, invalid or unknown field is dropped. */
export const knownFilesSchema = z.object({
    hostname: dnsNameSchema.optional().catch(undefined),
    certificateChain: knownText,
    privateKey: knownText,
    caCertificate: knownText,
});

const params: { errorCode: ErrorCode } = { errorCode: "certificate-refused" };

/** Reports problems at their fields. `at` is the path of the certificate. */
export function reportProblems(problems: FileProblem[], context: z.core.$RefinementCtx, at: PropertyKey[] = []): void {
    for (const { field, message } of problems) context.addIssue({ code: "custom", path: [...at, field], message, params });
}

/** PEM text of one or more CAs, each of them valid today. */
export const caCertificatesSchema = z.string().superRefine((text, context) => {
    for (const { message } of checkCaCertificate(text)) context.addIssue({ code: "custom", message, params });
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

/** Schema of `ProvidedCertificateSettingsArgs`, without the rules that need the name of Rancher. */
export const providedCertificateSettingsSchema = z.strictObject({
    ...certificateSchema.shape,
    caCertificate: z.string().optional(),
    secondCertificate: certificateSchema.optional(),
});

/** Reports files that do not belong together or do not cover `hostname`. `at` is the path of the certificate. */
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

const label = z
    .string()
    .min(1)
    .max(64, "expected at most 64 characters")
    .regex(/^\P{Cc}*$/u, "expected one line, without control characters");
/** Hours up to a hundred years. Go, in which the tls provider is written, counts time to 292 years. */
const hours = z.number().int().min(1).max(876_000);

/** Missing, invalid or unknown hours become NaN, so that no rule fires on them. */
const knownHours = z.number().catch(NaN);
const lifetimesSchema = z.object({ caValidityHours: knownHours, certificateValidityHours: knownHours, renewBeforeHours: knownHours });

const privateCaShape = z.strictObject({
    dnsNames: z.array(dnsNameSchema).default([]),
    ipAddresses: z.array(ipAddressSchema).default([]),
    algorithm: z.enum(KeyAlgorithm).default(KeyAlgorithm.Ecdsa),
    commonName: label.default("Rancher CA"),
    organization: label.default("Rancher"),
    caValidityHours: hours.default(87600),
    certificateValidityHours: hours
        .max(9504, "expected at most 9504 hours (396 days): some clients refuse certificates that live longer")
        .default(8760),
    renewBeforeHours: hours.default(720),
    deletionProtection: z.boolean().default(true),
});

/** Adds the rules between the lifetimes. */
function withLifetimeRules<S extends z.ZodType>(schema: S): S {
    return schema.superRefine((ca, context) => {
        const { caValidityHours, certificateValidityHours, renewBeforeHours } = lifetimesSchema.parse(ca);
        const problem = (key: string, message: string) => context.addIssue({ code: "custom", path: [key], message });
        if (renewBeforeHours >= certificateValidityHours) {
            problem(
                "renewBeforeHours",
                `expected less than certificateValidityHours (${certificateValidityHours}): every update would renew the certificate`,
            );
        }
        if (caValidityHours < 2 * certificateValidityHours) {
            problem(
                "caValidityHours",
                `expected at least twice certificateValidityHours (${certificateValidityHours}): the root must outlive what it signs`,
            );
        }
    }, whenKnown(lifetimesSchema));
}

/** Schema of `PrivateCaSettingsArgs`. */
export const privateCaSettingsSchema = withLifetimeRules(privateCaShape);

/** Schema of `PrivateCaArgs`. */
export const privateCaSchema = withLifetimeRules(privateCaShape.extend({ hostname: dnsNameSchema }));
export type PrivateCaSettings = z.output<typeof privateCaSchema>;

/** The arguments that the component needs as plain values. */
export const privateCaPlainSchema = z.object({ deletionProtection: privateCaShape.shape.deletionProtection });
