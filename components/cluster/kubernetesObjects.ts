// The fields of objects of the Kubernetes API that programs read. Source: https://kubernetes.io/docs/reference/kubernetes-api/

export interface Metadata {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    ownerReferences?: { kind: string }[];
    generation?: number;
    deletionTimestamp?: string;
    managedFields?: { manager?: string; fieldsV1?: Record<string, Record<string, object> | undefined> }[];
}

export interface Condition {
    type: string;
    status: string;
}

export interface KubernetesNode {
    metadata: Metadata;
    spec: { unschedulable?: boolean; taints?: { key: string; value?: string; effect: string }[] };
    status: { conditions?: Condition[]; nodeInfo: { kubeletVersion: string } };
}

export interface Pod {
    metadata: Metadata;
    status: { phase: string };
}

/** A Deployment, a StatefulSet or a DaemonSet. */
export interface Workload {
    metadata: Metadata & { namespace: string; generation: number };
    spec: {
        paused?: boolean;
        replicas?: number;
        updateStrategy?: { type?: string };
        template: { metadata?: Partial<Metadata> };
    };
    status?: {
        observedGeneration?: number;
        replicas?: number;
        updatedReplicas?: number;
        availableReplicas?: number;
        desiredNumberScheduled?: number;
        updatedNumberScheduled?: number;
        numberAvailable?: number;
    };
}

/** What an API server reports of a component beside it. */
export interface ComponentStatus {
    metadata: Metadata;
    conditions?: Condition[];
}
