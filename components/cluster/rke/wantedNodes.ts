import { innerAddress } from "../../remote/addresses";
import { ingressNodes } from "./ingressNodes";
import { nodeName, RkeClusterSettings, RkeNodeSettings } from "./schema";

/** A node as the configuration wants it in Kubernetes. */
export interface WantedNode extends Pick<RkeNodeSettings, "address" | "roles" | "labels" | "taints"> {
    name: string;
    /** Address that other nodes use. */
    innerAddress: string;
    /** The ingress controller runs on the node. */
    servesIngress: boolean;
}

/** Returns the nodes of a cluster as programs compare them with those that RKE built. */
export function wantedNodes(cluster: RkeClusterSettings): WantedNode[] {
    const serving = ingressNodes(cluster);
    return cluster.nodes.map(node => ({
        address: node.address,
        innerAddress: innerAddress(node),
        name: nodeName(node),
        roles: node.roles,
        labels: node.labels,
        taints: node.taints,
        servesIngress: serving.includes(node),
    }));
}
