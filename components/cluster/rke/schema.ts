import { z } from "zod";
import { apiEndpointSchema, apiPort } from "../../kubernetesApi";
import { addressSchema, size } from "../../remote/addresses";
import { connectionOf } from "../../remote/connection";
import { DriftMode } from "../../remote/drift";
import { reachedSchema, sshSchema } from "../../remote/schema";
import { s3Schema } from "../../s3";
import { maybeSecret, secret } from "../../secrecy";
import { whenKnown } from "../../validation";
import { checkKubernetesVersion } from "../compatibility";
import { isLoopback } from "../kubeconfig";
import { objectNameSchema } from "../kubernetesNames";
import { extraConfigSchema } from "./extraConfig";
import { ingressNodeSelectorSchema, knownIngressNodes, reportNoIngressNode } from "./ingressNodes";
import { networkSchema, rangesAround } from "./network";
import { anyNodes, hasRole, NodeRole, nodesSchema, reportUnreachedNodes } from "./nodes";
import { privateRegistriesSchema, reportKubernetesImage, systemImagesSchema } from "./registries";
import { nodeMask, servicesSchema } from "./services";
import { completeState } from "./state";
import { tokenSchemas } from "./tokens";
import { upgradeStrategySchema } from "./upgradeStrategy";

/** Seconds after which a run of RKE is killed, unless the arguments say otherwise. */
export const defaultTimeoutSeconds = 3600;

const forwardedHeaders = "use-forwarded-headers";

const settingsSchema = z.strictObject({
    clusterName: objectNameSchema.default("rancher"),
    kubernetesVersion: z.string().superRefine((version, context) => {
        const problem = checkKubernetesVersion(version);
        if (problem) context.addIssue({ code: "custom", message: problem, params: { errorCode: "versions" } });
    }),
    nodes: nodesSchema,
    network: networkSchema.prefault({}),
    rkeState: secret(z.string())
        .refine(text => completeState(text) !== undefined, {
            message:
                "expected the whole text of a cluster.rkestate, with the cluster's certificates and nodes; found one that is cut off or holds none. " +
                "Other copies of the state: docs/coming-from-the-manual.md.",
        })
        .optional(),
    etcdBackup: z
        .strictObject({
            enabled: z.boolean().default(true),
            intervalHours: z.number().int().min(1).max(168).default(6),
            retention: z.number().int().min(1).max(10_000).default(28),
            s3: s3Schema.optional(),
        })
        .prefault({}),
    ...tokenSchemas,
    ingressOptions: maybeSecret(z.record(z.string(), z.string()))
        .default({})
        .refine(options => Object.keys(options).every(key => /^[-.\w]{1,253}$/.test(key)), {
            message: "expected names of options with letters, digits, -, _ and . only, as keys of a ConfigMap",
        })
        .refine(options => (options[forwardedHeaders] ?? "true") === "true", {
            message: `expected ${forwardedHeaders} to be "true" or left out: without it Rancher redirects for ever behind a load balancer that ends TLS`,
        }),
    ingressNodeSelector: ingressNodeSelectorSchema,
    services: servicesSchema,
    upgradeStrategy: upgradeStrategySchema,
    privateRegistries: privateRegistriesSchema,
    systemImages: systemImagesSchema,
    ignoreDockerVersion: z.boolean().default(false),
    extraConfig: extraConfigSchema,
    apiEndpoint: apiEndpointSchema
        .refine(url => !isLoopback(url), "expected an address of the API server that other machines reach, not a loopback address")
        .optional(),
    apiServerSans: z.array(addressSchema).default([]),
    addonJobTimeoutSeconds: z.number().int().min(30).max(86_400).default(180),
    timeoutSeconds: z.number().int().min(60).max(86_400).default(defaultTimeoutSeconds),
    deletionProtection: z.boolean().default(true),
    caRotations: z.number().int().min(0).max(20).default(0),
    drift: z.enum(DriftMode).default(DriftMode.Warn),
});

/** Adds the rules between nodes and other settings. */
function withNodeRules<S extends typeof settingsSchema>(schema: S): S {
    const image = z.looseObject({ kubernetesVersion: z.string(), systemImages: z.looseObject({}).optional() });
    return withNetworkRules(schema)
        .superRefine(reportNoIngressNode, whenKnown(knownIngressNodes))
        .superRefine(reportKubernetesImage, whenKnown(image));
}

/** Adds the rules between nodes and networks. */
function withNetworkRules<S extends typeof settingsSchema>(schema: S): S {
    return schema.superRefine(
        ({ nodes, network, services }, context) => {
            nodes.forEach((node, index) =>
                (["address", "internalAddress"] as const).forEach(key =>
                    rangesAround(node[key], network).forEach(range =>
                        context.addIssue({
                            code: "custom",
                            path: ["nodes", index, key],
                            message: `expected an address outside network.${range}`,
                        }),
                    ),
                ),
            );
            const mask = nodeMask(services);
            if (mask === undefined || !z.cidrv4().safeParse(network.clusterCidr).success) return;
            if (size(network.clusterCidr) / size(`0.0.0.0/${mask}`) >= nodes.length) return;
            const message = `expected room for a /${mask} for each of the ${nodes.length} nodes`;
            context.addIssue({ code: "custom", path: ["network", "clusterCidr"], message });
        },
        whenKnown(z.looseObject({ nodes: anyNodes, network: z.looseObject({}) })),
    );
}

/** The settings of the cluster, without `ssh`, which the stack shares with other components. */
export const rkeClusterSettingsSchema = withNodeRules(settingsSchema);

const { drift, deletionProtection, caRotations } = settingsSchema.shape;
/** The arguments that the component needs as plain values. */
export const rkeClusterPlainSchema = z.object({ drift, deletionProtection, caRotations });

/** Schema of the arguments of `RkeCluster`. */
export const rkeClusterSchema = withNodeRules(settingsSchema.extend({ ssh: sshSchema.prefault({}) }))
    .superRefine(
        ({ ssh, nodes }, context) => reportUnreachedNodes({ ssh, nodes }, context),
        whenKnown(z.looseObject({ ssh: reachedSchema.shape.ssh, nodes: reachedSchema.shape.hosts })),
    )
    .transform(({ ssh, ...cluster }) => ({
        ...cluster,
        nodes: cluster.nodes.map(node => ({ ...node, ...connectionOf(node, ssh) })),
    }));

export type RkeClusterSettings = z.output<typeof rkeClusterSchema>;
export type RkeNodeSettings = RkeClusterSettings["nodes"][number];

/** Returns the name of the node in Kubernetes. */
export const nodeName = (node: RkeNodeSettings) => (node.hostname ?? node.address).toLowerCase();

/** Returns the URL of the Kubernetes API in the kubeconfig. */
export function endpoint(cluster: RkeClusterSettings): string {
    return cluster.apiEndpoint ?? nodeEndpoints(cluster)[0];
}

/** Returns the URL of the API server on each control plane node. */
export function nodeEndpoints(cluster: RkeClusterSettings): string[] {
    return cluster.nodes.filter(hasRole(NodeRole.ControlPlane)).map(({ address }) => `https://${address}:${apiPort}`);
}
