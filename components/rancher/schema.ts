import { z } from "zod";
import { caCertificatesSchema } from "../certificates/schema";
import { checkRancherOnKubernetes, Distribution } from "../cluster/compatibility";
import { ErrorCode } from "../errorCodes";
import { kubernetesVersionSchema } from "../kubernetesApi";
import { limitsSchema } from "../loadBalancer/limits";
import { addressSchema, dnsNameSchema, hostIpAddressesSchema } from "../remote/addresses";
import { DriftMode } from "../remote/drift";
import { maybeSecret, secret } from "../secrecy";
import { orEmpty, whenKnown } from "../validation";
import { isSince } from "../versions";
import { rancherBackupSettingsSchema, reportBackup } from "./backupSchema";
import { RancherChartValues, rancherChartValuesSchema } from "./chartValuesSchema";
import { AgentTlsMode, checkValues } from "./helmValues";
import { repositoryFaults, repositoryShape } from "./chartRepository";
import { proxyShape, reportNoProxyAlone } from "./proxy";

/** Choices whether Rancher sends anonymous usage statistics. */
export const Telemetry = {
    /** Sends them. */
    In: "in",
    /** Sends none. */
    Out: "out",
    /** Lets the first administrator choose. */
    Prompt: "prompt",
} as const;
export type Telemetry = (typeof Telemetry)[keyof typeof Telemetry];

const isForBcrypt = (password: string) => Buffer.byteLength(password) <= 72;
const passwordSchema = secret(
    z
        .string()
        .regex(/^([\s\S]{12,})?$/, "expected at least 12 characters, as Rancher wants, or an empty string for none")
        .refine(isForBcrypt, "expected at most 72 bytes, as bcrypt in Rancher takes"),
);

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, "expected a SHA-256 checksum in hex, of 64 digits and lower-case letters");

/** Settings of Rancher that do not come from other resources of the stack. */
const settingsShape = {
    chartVersion: z
        .string()
        .regex(
            /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/,
            "expected one exact version such as 2.11.3, without v: a range would upgrade Rancher unasked",
        ),
    ...repositoryShape,
    agentTlsMode: z.enum(AgentTlsMode).optional(),
    adoptedCaChecksum: sha256Schema.optional(),
    additionalTrustedCAs: caCertificatesSchema.optional(),
    telemetry: z.enum(Telemetry).optional(),
    eulaAgreed: z.iso.datetime("expected a time in UTC such as 2025-06-30T12:00:00Z").optional(),
    replicas: z
        .number()
        .int()
        .min(-100)
        .max(100)
        .refine(replicas => replicas !== 0, "expected at least 1, or a negative number to let Rancher choose")
        .default(3),
    noProxy: proxyShape.noProxy,
    values: maybeSecret(rancherChartValuesSchema).default({}),
    additionalValues: maybeSecret(z.record(z.string(), z.any())).default({}),
    timeoutSeconds: z.number().int().min(60).max(86_400).default(900),
    deletionProtection: z.boolean().default(true),
    drift: z.enum(DriftMode).default(DriftMode.Enforce),
};

const shape = {
    ...settingsShape,
    hostname: dnsNameSchema,
    kubernetesVersion: orEmpty(kubernetesVersionSchema).optional(),
    distribution: z.enum(Distribution).default(Distribution.Other),
    caChecksum: orEmpty(sha256Schema).default(""),
    // Any other password has a schema of its own.
    bootstrapPassword: z.literal("").optional(),
    ingressAnnotations: z.record(z.string(), z.string()).optional(),
};

const knownText = z.string().optional().catch(undefined);
const knownValues = Object.entries<z.ZodType>(rancherChartValuesSchema.shape).map(([key, schema]) => [key, schema.catch(undefined)]);

/** The fields that cross-field rules read. Neutral values replace missing, invalid or unknown ones, so that no rule fires on them. */
const knownSchema = z.object({
    hostname: z.string().catch(""),
    chartVersion: z.string().catch(""),
    kubernetesVersion: knownText,
    distribution: shape.distribution.catch(Distribution.Other),
    caChecksum: z.string().catch("not known"),
    bootstrapPassword: z.string().optional().catch(""),
    agentTlsMode: shape.agentTlsMode.catch(undefined),
    adoptedCaChecksum: shape.adoptedCaChecksum.catch(undefined),
    // An invalid or unknown text still counts as given.
    additionalTrustedCAs: z.string().optional().catch(""),
    telemetry: shape.telemetry.catch(undefined),
    replicas: shape.replicas.catch(1),
    proxy: z.unknown().optional(),
    noProxy: shape.noProxy.catch(undefined),
    values: (z.object(Object.fromEntries(knownValues)) as unknown as z.ZodType<RancherChartValues>).catch({}),
    additionalValues: shape.additionalValues.catch({}),
    ingressAnnotations: shape.ingressAnnotations.catch(undefined),
});

/** Reports settings that contradict each other. `at` is the path of the settings. */
export function reportRelease(settings: unknown, context: z.core.$RefinementCtx, at: PropertyKey[] = []): void {
    const release = knownSchema.parse(settings);
    const problem = (path: PropertyKey[], message: string, params?: { errorCode: ErrorCode }) =>
        context.addIssue({ code: "custom", path: [...at, ...path], message, params });
    repositoryFaults(settings).forEach(({ path, message }) => problem(path, message));
    if (release.chartVersion !== "" && release.kubernetesVersion) {
        const found = checkRancherOnKubernetes(release.chartVersion, release.kubernetesVersion, release.distribution);
        if (found) problem(["chartVersion"], found, { errorCode: "versions" });
    }
    if (release.telemetry !== undefined && isSince(release.chartVersion, "2.11")) {
        const found = `expected no choice for Rancher ${release.chartVersion}: since 2.11 Rancher has no setting telemetry-opt, and would remove it`;
        problem(["telemetry"], `${found}. Leave it out.`);
    }
    const noProxy = release.noProxy ?? (release.proxy === undefined ? undefined : []);
    checkValues({ ...release, noProxy, hasPassword: release.bootstrapPassword !== "" }).forEach(({ path, message }) =>
        problem(path, message),
    );
}

// The password has a schema of its own. In a common schema, all other values would become secret too.
export const givenPasswordSchema = z.strictObject({ bootstrapPassword: passwordSchema });
export const additionalCasSchema = z.strictObject({ additionalTrustedCAs: caCertificatesSchema });
/** The arguments of `RancherRelease` that the component needs as plain values. */
export const releasePlainSchema = z.object({ drift: shape.drift, deletionProtection: shape.deletionProtection });

/** Schema of `RancherReleaseArgs`, without password and proxy. */
export const releaseSchema = z
    .strictObject(shape)
    .superRefine((settings, context) => reportRelease(settings, context), whenKnown(knownSchema));

/** Schema of `RancherSettingsArgs`. */
export const rancherSettingsSchema = z
    .strictObject({
        ...settingsShape,
        proxy: proxyShape.proxy,
        bootstrapPassword: passwordSchema.optional(),
        backup: rancherBackupSettingsSchema.optional(),
    })
    .superRefine(reportNoProxyAlone, whenKnown(z.looseObject({})))
    .superRefine(
        ({ backup, chartVersion }, context) => {
            reportBackup({ ...backup, rancherVersion: chartVersion }, context, ["backup"]);
        },
        whenKnown(z.looseObject({ backup: z.looseObject({}) })),
    );

/** Modes of the live check, which asks Rancher through the load balancer when nothing was changed. */
export const LiveCheck = {
    /** Makes no check. */
    Off: "off",
    /** Checks in every preview and update, and warns. */
    Warn: "warn",
    /** Checks in every preview and update, and stops. */
    Fail: "fail",
} as const;
export type LiveCheck = (typeof LiveCheck)[keyof typeof LiveCheck];

const timeoutSeconds = z.number().int().min(0).max(3000).default(300);

/** Schema of `VerificationSettingsArgs`. */
export const verificationSettingsSchema = z.strictObject({ enabled: z.boolean().default(true), timeoutSeconds });

export const verificationSchema = z.strictObject({
    hostname: dnsNameSchema,
    addresses: z.array(addressSchema).min(1, "expected at least one address"),
    caCertificate: z.string().default(""),
    bootstrapPassword: z.string().optional(),
    after: z.array(z.string()).default([]),
    maxRequestHeaderSize: limitsSchema.shape.maxRequestHeaderSize.removeDefault().optional(),
    liveCheck: z.enum(LiveCheck).default(LiveCheck.Warn),
    timeoutSeconds,
});

/** Schema of `AgentHostAliasesArgs`. */
export const agentHostAliasesSchema = z.strictObject({
    hostname: dnsNameSchema,
    addresses: hostIpAddressesSchema("the load balancer").min(1, "expected at least one address"),
    nodeAgent: z.boolean().default(false),
});
