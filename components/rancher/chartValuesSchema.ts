import { z } from "zod";
import { AntiAffinity, AuditLogDestination, PullPolicy } from "./chartValues";

const object = z.record(z.string(), z.any());
const texts = z.record(z.string(), z.string());
const count = z.number().int().min(0);
const duration = z.string().regex(/^(\d+(h|m|s))+$/, "expected a duration such as 5m or 90s");
const pullPolicy = z.enum(PullPolicy);
const image = z.strictObject({ registry: z.string(), repository: z.string(), tag: z.string(), pullPolicy }).partial();
const resources = z.strictObject({ limits: texts, requests: texts }).partial();
const probe = z.strictObject({ timeoutSeconds: count, periodSeconds: count, failureThreshold: count }).partial();

/** Name of the environment variable that restarts the pods when the CA changes. */
export const caVariable = "PULUMI_RANCHER_HA_CA_SHA256";

const environmentVariable = z.strictObject({
    name: z
        .string()
        .min(1)
        .refine(name => name !== caVariable, "expected another name, this one is used to restart the pods when the CA changes"),
    value: z.string().optional(),
    valueFrom: object.optional(),
});

export const rancherChartValuesSchema = z
    .strictObject({
        additionalTrustedCAs: z.boolean(),
        aggregationRegistrationTimeout: duration,
        antiAffinity: z.enum(AntiAffinity),
        auditLog: z
            .strictObject({
                enabled: z.boolean(),
                level: z.number().int().min(0).max(3),
                destination: z.enum(AuditLogDestination),
                hostPath: z.string(),
                maxAge: count,
                maxBackup: count,
                maxSize: count,
                image,
                resources,
            })
            .partial(),
        cacheSyncTimeout: duration,
        customLogos: object,
        debug: z.boolean(),
        extraEnv: z.array(environmentVariable),
        extraNodeSelectorTerms: z.array(object),
        extraObjects: z.array(object),
        extraTolerations: z.array(object),
        features: z.string(),
        fleet: object,
        hostNetwork: z.boolean(),
        hostPort: z.number().int().min(1).max(65535),
        image,
        imagePullSecrets: z.array(z.strictObject({ name: z.string().min(1) })),
        ingress: z
            .strictObject({
                enabled: z.boolean(),
                ingressClassName: z.string(),
                includeDefaultExtraAnnotations: z.boolean(),
                extraAnnotations: texts,
                configurationSnippet: z.string(),
                pathType: z.string(),
                path: z.string(),
            })
            .partial(),
        livenessProbe: probe,
        noDefaultAdmin: z.boolean(),
        noProxy: z.string(),
        postDelete: z
            .strictObject({
                enabled: z.boolean(),
                image,
                namespaceList: z.array(z.string()),
                timeout: count,
                ignoreTimeoutError: z.boolean(),
            })
            .partial(),
        preUpgrade: z.strictObject({ image }).partial(),
        priorityClassName: z.string(),
        proxy: z.string(),
        rancherImage: z.string(),
        rancherImagePullPolicy: pullPolicy,
        rancherImageTag: z.string(),
        rancherNamespaces: object,
        readinessProbe: probe,
        resources,
        service: z.strictObject({ type: z.string(), annotations: texts }).partial(),
        startupProbe: probe,
        systemDefaultRegistry: z.string(),
        systemRegistryInheritsPullSecrets: z.boolean(),
        topologyKey: z.string(),
        useBundledSystemChart: z.boolean(),
        webhook: object,
    })
    .partial();

export type RancherChartValues = z.output<typeof rancherChartValuesSchema>;

/** The first Rancher minor whose chart knows a value. Earlier charts ignore the value silently. */
export const valueSince: Record<string, string> = {
    aggregationRegistrationTimeout: "2.12",
    "auditLog.enabled": "2.12",
    cacheSyncTimeout: "2.11",
    extraNodeSelectorTerms: "2.10",
    extraObjects: "2.11",
    hostNetwork: "2.12",
    image: "2.12",
    preUpgrade: "2.12",
    rancherNamespaces: "2.13",
    systemRegistryInheritsPullSecrets: "2.15",
};
