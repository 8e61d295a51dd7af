import { z } from "zod";
import { privateCaSettingsSchema, providedCertificateSettingsSchema, reportFiles } from "./certificates/schema";
import { Distribution } from "./cluster/compatibility";
import { existingClusterSchema } from "./cluster/schema";
import { rangesAround } from "./cluster/rke/network";
import { NodeRole, reportUnreachedNodes } from "./cluster/rke/nodes";
import { rkeClusterSettingsSchema } from "./cluster/rke/schema";
import { apiPort } from "./kubernetesApi";
import { reportBastionAddress, reportNodeAddresses } from "./loadBalancer/hosts";
import { ingressOptions, limitsSchema } from "./loadBalancer/limits";
import { withoutOwnDirectives } from "./loadBalancer/ownDirectives";
import { certificateOnHostSchema, loadBalancerSettingsSchema, passesApi, reportNoControlPlane } from "./loadBalancer/schema";
import { LiveCheck, rancherSettingsSchema, reportRelease, verificationSettingsSchema } from "./rancher/schema";
import { dnsNameSchema, ipAddressSchema, isSameHost } from "./remote/addresses";
import { notForPulumi, reachedSchema, reportUnreached, sshSchema } from "./remote/schema";
import { whenKnown } from "./validation";

/** The arguments of `RancherHa`, which are the configuration of a stack. Every rule is here, or in the schema of its group. */
export const rancherHaSchema = z
    .strictObject({
        hostname: dnsNameSchema,
        ssh: sshSchema.prefault({}),
        loadBalancer: withoutOwnDirectives(loadBalancerSettingsSchema),
        cluster: rkeClusterSettingsSchema.optional(),
        existingCluster: existingClusterSchema.optional(),
        certificate: providedCertificateSettingsSchema.optional(),
        certificateOnHost: certificateOnHostSchema.optional(),
        privateCa: privateCaSettingsSchema.optional(),
        rancher: rancherSettingsSchema,
        verification: verificationSettingsSchema.optional(),
        // Without a default, so that the rule below sees only what a user wrote. `Verification` has the default.
        liveCheck: z.enum(LiveCheck).optional(),
    })
    .superRefine(reportBetweenGroups, whenKnown(z.looseObject({})));

// Values of a wrong type, and unknown ones, are skipped: the schema of their group reports them.
const text = z.string().optional().catch(undefined);
const group = <S extends z.ZodRawShape>(shape: S) => z.looseObject(shape).optional().catch(undefined);
const list = <S extends z.ZodType>(schema: S) => z.array(schema).catch([]);
const groupsSchema = z.looseObject({
    hostname: text,
    ssh: reachedSchema.shape.ssh.catch(undefined),
    loadBalancer: group({
        hosts: list(group({ address: z.unknown(), internalAddress: text })),
        virtualIp: group({ address: text }),
        kubernetesApi: z.boolean().optional().catch(undefined),
    }),
    cluster: group({
        nodes: list(group({ address: z.unknown(), internalAddress: text, roles: list(text) })),
        kubernetesVersion: text,
        ingressOptions: z.record(z.string(), z.unknown()).catch({}),
    }),
    existingCluster: group({ ingressAddresses: list(text), controlPlaneAddresses: list(text).optional(), kubernetesVersion: text }),
    certificate: group({}),
    certificateOnHost: group({}),
    privateCa: group({}),
    verification: group({ enabled: z.unknown().optional() }),
    liveCheck: z.unknown().optional(),
    rancher: group({ values: group({ ingress: group({ configurationSnippet: text, extraAnnotations: group({}) }) }) }),
});
type Groups = z.output<typeof groupsSchema>;

/** Reports values that contradict each other in different groups. */
function reportBetweenGroups(args: unknown, context: z.core.$RefinementCtx): void {
    const groups = groupsSchema.parse(args);
    reportAlternatives(groups, context);
    reportAddresses(groups, context);
    reportControlPlane(groups, context);
    reportSnippets(groups, context);
    reportAddressesInRanges(groups, context);
    const { hostname, ssh, loadBalancer, cluster, existingCluster, certificate, rancher } = groups;
    const known = <T>(some: (T | undefined)[] = []) => some.filter(each => each !== undefined);
    if (loadBalancer) reportUnreached({ ssh, hosts: known(loadBalancer.hosts) }, context, ["loadBalancer", "hosts"], notForPulumi);
    reportIngressLimits(cluster?.ingressOptions ?? {}, context);
    if (cluster) reportUnreachedNodes({ ssh, nodes: known(cluster.nodes) }, context, ["cluster"]);
    if (certificate) reportFiles({ ...certificate, hostname }, context, ["certificate"]);
    const { kubernetesVersion } = cluster ?? existingCluster ?? {};
    const distribution = cluster ? Distribution.Rke : Distribution.Other;
    if (rancher) reportRelease({ ...rancher, hostname, kubernetesVersion, distribution }, context, ["rancher"]);
}

/** Reports arguments that exclude each other. */
function reportAlternatives(groups: Groups, context: z.core.$RefinementCtx): void {
    const report = (path: string, message: string) => context.addIssue({ code: "custom", path: [path], message });
    if (!groups.cluster === !groups.existingCluster) {
        const found = groups.cluster ? "both. Remove one" : "neither";
        report("cluster", `expected exactly one of cluster and existingCluster, found ${found}.`);
    }
    const kinds = ["certificate", "certificateOnHost", "privateCa"] as const;
    const [first, ...others] = kinds.filter(kind => groups[kind]);
    others.forEach(kind => report(kind, `expected nothing beside ${first}, found both. Remove one.`));
    if (groups.verification?.enabled === false && (groups.liveCheck === LiveCheck.Warn || groups.liveCheck === LiveCheck.Fail))
        report("liveCheck", "expected off beside verification.enabled: false, which makes no check. Remove one.");
}

/** Reports options of the ingress controller that arguments of the load balancer set. */
function reportIngressLimits(options: Record<string, unknown>, context: z.core.$RefinementCtx): void {
    for (const option of Object.keys(ingressOptions(limitsSchema.parse({})))) {
        if (!(option in options)) continue;
        const message =
            "expected no limit here: maxBodySize, maxRequestHeaderSize and maxResponseHeaderSize of loadBalancer set it. Remove it.";
        context.addIssue({ code: "custom", path: ["cluster", "ingressOptions", option], message });
    }
}

/** Reports addresses of the load balancer that belong to nodes or to the bastion. */
function reportAddresses({ ssh, loadBalancer, cluster, existingCluster }: Groups, context: z.core.$RefinementCtx): void {
    if (!loadBalancer) return;
    const addressesOf = (nodes: NonNullable<typeof cluster>["nodes"]) => [
        ...nodes.flatMap(node => [node?.address, node?.internalAddress]),
        ...(existingCluster?.ingressAddresses ?? []),
    ];
    const nodes = cluster?.nodes ?? [];
    const workers = nodes.filter(node => node?.roles.includes(NodeRole.Worker));
    const all = [...addressesOf(nodes), ...(existingCluster?.controlPlaneAddresses ?? [])];
    reportNodeAddresses(loadBalancer, { all, ingress: addressesOf(workers) }, context, ["loadBalancer"]);
    reportBastionAddress({ ...loadBalancer, ssh }, context, ["loadBalancer"]);
}

/** Reports control plane nodes to which NGINX cannot pass the Kubernetes API on, and load balancer hosts whose port 6443 a node holds. */
function reportControlPlane({ loadBalancer, cluster, existingCluster }: Groups, context: z.core.$RefinementCtx): void {
    if (!loadBalancer || !passesApi(loadBalancer)) return;
    const ofHosts: unknown[] = loadBalancer.hosts
        .flatMap(host => [host?.address, host?.internalAddress])
        .filter(each => each !== undefined);
    const report = (path: PropertyKey[], message: string) => context.addIssue({ code: "custom", path, message });
    if (existingCluster) {
        const { kubernetesApi } = loadBalancer;
        const settings = { kubernetesApi, controlPlane: existingCluster.controlPlaneAddresses };
        reportNoControlPlane(settings, context, ["existingCluster", "controlPlaneAddresses"]);
    }
    cluster?.nodes.forEach((node, index) => {
        if (!node?.roles.includes(NodeRole.ControlPlane)) return;
        const [key, address] = node.internalAddress ? ["internalAddress", node.internalAddress] : ["address", node.address];
        const at = ["cluster", "nodes", index, key];
        if (typeof address === "string" && !ipAddressSchema.safeParse(address).success)
            report(
                at,
                "expected an IP address here or as internalAddress, because NGINX passes the Kubernetes API on, or kubernetesApi: false",
            );
        const shared = (["internalAddress", "address"] as const).find(each => ofHosts.some(own => isSameHost(own, node[each])));
        if (shared)
            report(
                ["cluster", "nodes", index, shared],
                `expected no load balancer host: port ${apiPort} there is that of loadBalancer.kubernetesApi`,
            );
    });
}

/**
 * Reports snippets that the admission webhook of RKE's ingress controller refuses. Without this check, Helm would fail after the cluster is
 * built. Source: kubernetes.github.io/ingress-nginx, ConfigMap, allow-snippet-annotations.
 */
function reportSnippets({ cluster, rancher }: Groups, context: z.core.$RefinementCtx): void {
    if (!cluster || cluster.ingressOptions?.["allow-snippet-annotations"] === "true") return;
    const { configurationSnippet, extraAnnotations } = rancher?.values?.ingress ?? {};
    const snippets = Object.keys(extraAnnotations ?? {}).filter(name => /^nginx\.ingress\.kubernetes\.io\/.*-snippet$/.test(name));
    const paths = [...(configurationSnippet ? [["configurationSnippet"]] : []), ...snippets.map(name => ["extraAnnotations", name])];
    const message =
        "expected no snippet, because the ingress controller refuses snippets by default. Remove it, or set " +
        'cluster.ingressOptions.allow-snippet-annotations to "true", and annotations-risk-level to "Critical" from Kubernetes 1.31 on.';
    paths.forEach(path => context.addIssue({ code: "custom", path: ["rancher", "values", "ingress", ...path], message }));
}

/** Reports addresses of the load balancer in the ranges of pods and services: packets from nodes to such an address stay on the node. */
function reportAddressesInRanges({ loadBalancer, cluster }: Groups, context: z.core.$RefinementCtx): void {
    if (!cluster) return;
    const check = (address: unknown, path: PropertyKey[]) =>
        rangesAround(address, cluster.network).forEach(range =>
            context.addIssue({
                code: "custom",
                path: ["loadBalancer", ...path],
                message: `expected an address outside cluster.network.${range}`,
            }),
        );
    loadBalancer?.hosts.forEach((host, index) => {
        check(host?.address, ["hosts", index, "address"]);
        check(host?.internalAddress, ["hosts", index, "internalAddress"]);
    });
    check(loadBalancer?.virtualIp?.address, ["virtualIp", "address"]);
}
