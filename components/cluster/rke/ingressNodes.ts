import { z } from "zod";
import { labelsSchema } from "../kubernetesNames";
import { hasRole, NodeRole } from "./nodes";

/** Labels of the nodes on which the ingress controller runs. */
export const ingressNodeSelectorSchema = labelsSchema.default({});

const labels = z.record(z.string(), z.unknown());

/** The values that decide where the ingress controller runs. */
export const knownIngressNodes = z.looseObject({
    nodes: z.array(z.looseObject({ roles: z.array(z.enum(NodeRole)), labels: labels.optional() })),
    ingressNodeSelector: labels.optional(),
});
type IngressNodes = z.output<typeof knownIngressNodes>;

/** Returns the nodes on which the ingress controller runs: workers with every label of the selector. */
export function ingressNodes<N extends IngressNodes["nodes"][number]>(cluster: { nodes: N[]; ingressNodeSelector?: object }): N[] {
    const wanted = Object.entries(cluster.ingressNodeSelector ?? {});
    return cluster.nodes.filter(hasRole(NodeRole.Worker)).filter(node => wanted.every(([key, value]) => node.labels?.[key] === value));
}

/** Reports a selector without a node. The load balancer would have no upstream. */
export function reportNoIngressNode(cluster: IngressNodes, context: z.core.$RefinementCtx): void {
    if (ingressNodes(cluster).length > 0 || !cluster.nodes.some(hasRole(NodeRole.Worker))) return;
    const message = "expected labels that at least one worker has in its labels, because the load balancer reaches Rancher there";
    context.addIssue({ code: "custom", path: ["ingressNodeSelector"], message });
}
