import { posix } from "path";
import { z } from "zod";
import { checkCaCertificate, checkServerCertificate } from "../certificates/pem";
import { certificateSchema, knownFilesSchema, reportProblems, reportSecondCertificate } from "../certificates/schema";
import { apiPort } from "../kubernetesApi";
import { dnsNameSchema, nodeAddressesSchema, portSchema } from "../remote/addresses";
import { connectionOf } from "../remote/connection";
import { DriftMode } from "../remote/drift";
import { notForPulumi, reachedSchema, reportUnreached, sshSchema, SshSettings } from "../remote/schema";
import { maybeSecret } from "../secrecy";
import { whenKnown } from "../validation";
import { extraDirectivesSchema } from "./directives";
import {
    LoadBalancerHost,
    loadBalancerHostSchema,
    pairSchema,
    reportBastionAddress,
    reportNodeAddresses,
    virtualIpSchema,
    withPairRules,
} from "./hosts";
import { limitsSchema } from "./limits";
import { proxySchema } from "./trustedProxies";

/** Versions of TLS. */
export const TlsVersion = { Tls12: "1.2", Tls13: "1.3" } as const;
export type TlsVersion = (typeof TlsVersion)[keyof typeof TlsVersion];

interface ApiSettings {
    kubernetesApi?: boolean;
    hosts: unknown[];
}

/** Reports whether the load balancer passes the Kubernetes API on when it has the addresses of a control plane. */
export const passesApi = ({ kubernetesApi, hosts }: ApiSettings): boolean => kubernetesApi ?? hosts.length > 1;

/** Returns the nodes to which the Kubernetes API is passed on, if it is. */
export const apiServers = <T>(settings: ApiSettings & { controlPlane?: T }): T | undefined =>
    passesApi(settings) ? settings.controlPlane : undefined;

/** Returns the ports that the load balancer opens to its clients, as text. */
export const openPorts = (settings: ApiSettings & { controlPlane?: unknown }): string =>
    apiServers(settings) === undefined ? "80 and 443" : `80, 443 and ${apiPort}`;

/** Seconds up to a year, which NGINX and the kernel take. */
const seconds = (lowest: number) => z.number().int().min(lowest).max(31_536_000);

/** An absolute path that NGINX, systemd and a shell read alike. */
export const hostPathSchema = z
    .string()
    .regex(/^(\/[\w.@+-]+)+$/, "expected an absolute path on the host, such as /etc/ssl/fullchain.pem")
    .refine(path => posix.normalize(path) === path, "expected an absolute path without . and .., because systemd watches no other");

const nginxTuningSchema = z.strictObject({
    upstreamPort: portSchema.default(80),
    upstreamKeepalive: z.number().int().min(1).max(10_000).default(128),
    connectTimeoutSeconds: seconds(1).max(75).default(3),
    readTimeoutSeconds: seconds(0).min(900, "expected at least 900: a shell in the browser would be cut off after less").default(1800),
    maxFails: z.number().int().min(0).max(1000).default(3),
    failTimeoutSeconds: seconds(1).max(3600).default(10),
    deadPeerTimeoutSeconds: seconds(5).max(7200).default(15),
    workerConnections: z.number().int().min(512).max(1_000_000).optional(),
    workerShutdownTimeoutSeconds: seconds(1).default(3600),
    ...limitsSchema.shape,
    minTlsVersion: z.enum(TlsVersion).default(TlsVersion.Tls12),
    hstsMaxAgeSeconds: z.number().int().min(0).max(315_360_000, "expected at most ten years").default(0),
    trustedProxies: z.array(proxySchema).default([]),
    statusPort: z
        .number()
        .int()
        .min(1)
        .max(65535)
        .refine(port => ![80, 443, apiPort].includes(port), `expected another port than 80, 443 and ${apiPort}, which are for clients`)
        .default(280),
    extraDirectives: maybeSecret(extraDirectivesSchema).prefault({}),
});

/** Reports that the Kubernetes API is to be passed on, and no control plane node is given at `path`. */
export function reportNoControlPlane(
    { kubernetesApi, controlPlane }: { kubernetesApi?: unknown; controlPlane?: unknown },
    context: z.core.$RefinementCtx,
    path: PropertyKey[],
): void {
    if (kubernetesApi !== true || controlPlane !== undefined) return;
    const message = "expected the addresses of the control plane nodes, to which kubernetesApi passes the Kubernetes API on";
    context.addIssue({ code: "custom", path, message });
}

const hostsShape = {
    hosts: z.array(loadBalancerHostSchema).min(1, "expected one host, or two with a virtual IP").max(2, "expected one host, or two"),
    virtualIp: virtualIpSchema.optional(),
    kubernetesApi: z.boolean().optional(),
    takeOver: z.boolean().default(false),
};

/** Adds the rule that each host has SSH settings, and replaces each host by its connection. */
function reached<T extends { hosts: z.output<typeof loadBalancerHostSchema>[]; ssh: SshSettings }>(schema: z.ZodType<T>) {
    return schema
        .superRefine((known, context) => reportUnreached(known, context, ["hosts"], notForPulumi), whenKnown(reachedSchema))
        .transform(({ ssh, hosts, ...settings }): Omit<T, "ssh" | "hosts"> & { hosts: LoadBalancerHost[] } => ({
            ...settings,
            hosts: hosts.map(host => ({ ...connectionOf(host, ssh), internalAddress: host.internalAddress })),
        }));
}

/** The settings that a probe of the hosts needs. */
export const hostsSchema = reached(z.strictObject({ ...hostsShape, ssh: sshSchema.prefault({}), controlPlane: z.unknown().optional() }));
export type HostsSettings = z.output<typeof hostsSchema>;

/** The settings that a user decides. The others come from other resources. */
export const loadBalancerSettingsSchema = withPairRules(
    z.strictObject({
        ...nginxTuningSchema.shape,
        ...hostsShape,
        timeoutSeconds: z.number().int().min(120).max(86_400).default(600),
        drift: z.enum(DriftMode).default(DriftMode.Enforce),
    }),
);

const certificatePathsSchema = z.strictObject({ certificateChain: hostPathSchema, privateKey: hostPathSchema });

/** Returns why the files of another tool are in danger on the hosts: `pulumi destroy` removes these folders, or restores them. */
export function certificateInDanger(paths: z.output<typeof certificatePathsSchema>): string | undefined {
    const isInDanger = (path: string) => ["/etc/nginx/", "/etc/keepalived/"].some(folder => posix.normalize(path).startsWith(folder));
    const [key, path] = Object.entries(paths).find(([, each]) => isInDanger(each)) ?? [];
    if (!path) return undefined;
    return (
        `certificateOnHost.${key}: expected a file outside of /etc/nginx and /etc/keepalived, found ${path}. \`pulumi destroy\` removes ` +
        "or restores these folders, and keeps only a copy of the file. Let the other tool write to /etc/ssl, for example"
    );
}

/** The stack's settings of a certificate that another tool keeps on the hosts. */
export const certificateOnHostSchema = certificatePathsSchema
    .extend({ caCertificate: z.string().optional() })
    .superRefine(
        ({ caCertificate }, context) => reportProblems(checkCaCertificate(caCertificate!), context),
        whenKnown(z.looseObject({ caCertificate: z.string() })),
    );

const knownAddress = z.looseObject({ address: z.string() });

const settingsSchema = withPairRules(
    z.strictObject({
        ...loadBalancerSettingsSchema.shape,
        ssh: sshSchema.prefault({}),
        hostname: dnsNameSchema,
        upstreams: nodeAddressesSchema.min(1, "expected at least one worker node"),
        controlPlane: nodeAddressesSchema.min(1, "expected at least one control plane node").optional(),
        certificateChain: certificateSchema.shape.certificateChain.optional(),
        privateKey: certificateSchema.shape.privateKey.optional(),
        secondCertificate: certificateSchema.optional(),
        certificateOnHost: certificatePathsSchema.optional(),
    }),
)
    .superRefine(
        ({ upstreams, ...loadBalancer }, context) => reportNodeAddresses(loadBalancer, { all: upstreams, ingress: upstreams }, context),
        whenKnown(pairSchema.extend({ upstreams: z.array(z.string()) })),
    )
    .superRefine(
        (loadBalancer, context) => reportBastionAddress(loadBalancer, context),
        whenKnown(z.looseObject({ virtualIp: knownAddress, ssh: z.looseObject({ bastion: knownAddress }) })),
    )
    .superRefine(
        ({ kubernetesApi, controlPlane }, context) => reportNoControlPlane({ kubernetesApi, controlPlane }, context, ["controlPlane"]),
        whenKnown(z.looseObject({})),
    );

/** The settings that are rendered, with or without a certificate. */
export const nginxSettingsSchema = reached(settingsSchema);
export type NginxSettings = z.output<typeof nginxSettingsSchema>;

/** The arguments of `NginxLoadBalancer`. */
export const nginxLoadBalancerSchema = reached(
    settingsSchema.superRefine(
        (settings, context) => {
            const problem = (field: string, message: string) => context.addIssue({ code: "custom", path: [field], message });
            if (settings.certificateOnHost) {
                for (const field of ["certificateChain", "privateKey", "secondCertificate"] as const) {
                    if (settings[field] !== undefined) problem(field, "expected nothing beside certificateOnHost.");
                }
                return;
            }
            const missing = (["certificateChain", "privateKey"] as const).find(field => settings[field] === undefined);
            if (missing) problem(missing, "expected PEM text, or certificateOnHost");
            const first = knownFilesSchema.parse(settings);
            const second = knownFilesSchema.safeParse(settings.secondCertificate).data;
            reportProblems(checkServerCertificate(first), context);
            if (second) reportSecondCertificate(first, second, context);
        },
        whenKnown(z.looseObject({ certificateOnHost: z.record(z.string(), z.unknown()).optional() })),
    ),
);
