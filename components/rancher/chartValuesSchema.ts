import { z } from "zod";
import { annotationsSchema, objectNameSchema, qualifiedNameSchema } from "../cluster/kubernetesNames";
import { registrySchema, repositorySchema, tagSchema } from "../imageNames";
import { portSchema } from "../remote/addresses";
import { orEmpty } from "../validation";
import { resourcesSchema as resources, tolerationSchema } from "./podSchema";
import { additionalCasVariable, AntiAffinity, AuditLogDestination, caVariable, PullPolicy } from "./chartValues";

const object = z.record(z.string(), z.any());
/** An empty string leaves a name to the chart. */
const optionalName = orEmpty(objectNameSchema);
const optionalKey = orEmpty(qualifiedNameSchema);
const nodePath = z
    .string()
    .regex(/^\/(?!.*(^|\/)\.\.(\/|$))\P{Cc}*$/u, "expected an absolute path on the node without .., such as /var/log/rancher/audit/");
const count = z.number().int().min(0);
const duration = z.string().regex(/^(\d+(h|m|s))+$/, "expected a duration such as 5m or 90s");
const pullPolicy = z.enum(PullPolicy);
const image = z.strictObject({ registry: registrySchema, repository: repositorySchema, tag: tagSchema, pullPolicy }).partial();
const probe = z.strictObject({ timeoutSeconds: count, periodSeconds: count, failureThreshold: count }).partial();

const environmentVariable = z
    .strictObject({
        name: z
            .string()
            // Source: IsEnvVarName in k8s.io/apimachinery/pkg/util/validation.
            .regex(/^[-._a-zA-Z][-._a-zA-Z0-9]*$/, "expected a name of letters, digits, -, _ and ., which does not begin with a digit")
            .refine(
                name => name !== caVariable && name !== additionalCasVariable,
                "expected another name, this one is used to restart the pods when a CA changes",
            ),
        value: z.string().optional(),
        valueFrom: object.optional(),
    })
    .refine(({ value, valueFrom }) => !value || valueFrom === undefined, "expected either value or valueFrom.");

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
                hostPath: nodePath,
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
        extraEnv: z.array(environmentVariable).superRefine((variables, context) =>
            variables.forEach(({ name }, index) => {
                if (variables.findIndex(other => other.name === name) === index) return;
                // The API server answers 500 to the dry run of a list with a repeated name, so the probe would never see drift.
                context.addIssue({
                    code: "custom",
                    path: [index, "name"],
                    message: "expected a name of its own, another variable has the same",
                });
            }),
        ),
        extraNodeSelectorTerms: z.array(object),
        extraObjects: z.array(object),
        extraTolerations: z.array(tolerationSchema),
        features: z
            .string()
            .regex(/^([\w-]+=(true|false)(,[\w-]+=(true|false))*)?$/, "expected features such as fleet=false,harvester=true"),
        fleet: object,
        hostNetwork: z.boolean(),
        hostPort: portSchema,
        image,
        imagePullSecrets: z.array(z.strictObject({ name: objectNameSchema })),
        ingress: z
            .strictObject({
                enabled: z.boolean(),
                ingressClassName: optionalName,
                includeDefaultExtraAnnotations: z.boolean(),
                extraAnnotations: annotationsSchema,
                configurationSnippet: z.string(),
                pathType: z.string().regex(/^(Exact|Prefix|ImplementationSpecific)$/, "expected Exact, Prefix or ImplementationSpecific"),
                path: z.string().regex(/^\//, "expected a path that begins with /"),
            })
            .partial(),
        livenessProbe: probe,
        noDefaultAdmin: z.boolean(),
        noProxy: z.string(),
        postDelete: z
            .strictObject({
                enabled: z.boolean(),
                image,
                namespaceList: z.array(objectNameSchema),
                timeout: count,
                ignoreTimeoutError: z.boolean(),
            })
            .partial(),
        preUpgrade: z.strictObject({ image }).partial(),
        priorityClassName: objectNameSchema,
        proxy: z.string(),
        rancherImage: repositorySchema,
        rancherImagePullPolicy: pullPolicy,
        rancherImageTag: tagSchema,
        rancherNamespaces: object,
        readinessProbe: probe,
        resources,
        service: z
            .strictObject({
                type: z.string().regex(/^(ClusterIP|NodePort|LoadBalancer)$/, "expected ClusterIP, NodePort or LoadBalancer"),
                annotations: annotationsSchema,
            })
            .partial(),
        startupProbe: probe,
        systemDefaultRegistry: registrySchema,
        systemRegistryInheritsPullSecrets: z.boolean(),
        topologyKey: optionalKey,
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
