import { z } from "zod";
import { checkServerCertificate } from "../certificates/pem";
import { reportProblems } from "../certificates/serverCertificate";
import { dnsNameSchema, hostConnectionSchema, portSchema, privateKeySchema } from "../host/connection";
import { DriftMode } from "../host/drift";

const nginxTuningSchema = z.strictObject({
    upstreamPort: portSchema.default(80),
    workerConnections: z.number().int().min(512).max(1_000_000).default(16384),
    readTimeoutSeconds: z
        .number()
        .int()
        .min(900, "expected at least 900: a shell in the browser would be cut off after less")
        .default(1800),
    maxBodySize: z
        .string()
        .regex(/^\d+[kmg]$/, "expected a size such as 64m")
        .default("64m"),
});

/** The part that a user decides; the rest comes from other resources. */
export const loadBalancerSettingsSchema = nginxTuningSchema.extend({
    hosts: z
        .array(hostConnectionSchema)
        .length(1, "expected exactly one host: two need a virtual IP between them, which is not supported yet"),
});

export const nginxSettingsSchema = loadBalancerSettingsSchema.extend({
    hostname: dnsNameSchema,
    upstreams: z
        // A name that does not resolve would make NGINX refuse its whole configuration.
        .array(z.union([z.ipv4(), z.ipv6()], "expected an IP address"))
        .min(1, "expected at least one worker node")
        .refine(addresses => new Set(addresses).size === addresses.length, "expected each address once"),
    certificateChain: z.string(),
    privateKey: privateKeySchema,
    drift: z.enum(DriftMode).default(DriftMode.Enforce),
});

export const nginxLoadBalancerSchema = nginxSettingsSchema.superRefine((settings, context) =>
    reportProblems(checkServerCertificate(settings), context),
);

export type NginxSettings = z.output<typeof nginxSettingsSchema>;
