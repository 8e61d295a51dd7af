import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { refuseOutputs, Refusal, validated } from "../validation";
import { agentHostAliasesSchema } from "./schema";

export interface AgentHostAliasesArgs {
    /** DNS name of Rancher, which the agents cannot look up. */
    hostname: pulumi.Input<string>;
    /** Addresses of the load balancer for this name, at least one, each once. The nodes must reach them. */
    addresses: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * Also patches the DaemonSet `cattle-node-agent`. It exists only in clusters that Rancher 2.11 or earlier built with RKE.
     * @default false
     */
    nodeAgent?: boolean;
}

const namespace = "cattle-system";

/**
 * Entries in /etc/hosts of Rancher's agents in a downstream cluster, for a Rancher whose name is not in DNS. Rancher owns the agents, so
 * this component patches only their host aliases, and keeps foreign entries. A DNS entry is better, because it serves the whole cluster.
 *
 * The downstream cluster must be registered in Rancher already: a run that does not find an agent stops and names the missing one.
 * The component needs the provider of the downstream cluster. The cluster that Rancher runs in has no agents. Removing this component
 * removes the entries, unless the component has `retainOnDelete`.
 */
export class AgentHostAliases extends pulumi.ComponentResource {
    constructor(name: string, args: AgentHostAliasesArgs, opts: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:AgentHostAliases", name, {}, opts);
        this.refuseDefaultProvider(name, opts);
        refuseOutputs(this, `AgentHostAliases ${name}`, { nodeAgent: args.nodeAgent });
        const settings = validated(this, `AgentHostAliases ${name}`, agentHostAliasesSchema, args);
        const hostAliases = settings.apply(({ hostname, addresses }) => addresses.map(ip => ({ ip, hostnames: [hostname] })));
        const spec = { template: { spec: { hostAliases } } };

        const { Deployment, DeploymentPatch, DaemonSet, DaemonSetPatch } = k8s.apps.v1;
        this.patchAgent(name, "cattle-cluster-agent", { Workload: Deployment, Patch: DeploymentPatch, spec }, opts);
        if (args.nodeAgent) this.patchAgent(name, "cattle-node-agent", { Workload: DaemonSet, Patch: DaemonSetPatch, spec }, opts);
        this.registerOutputs({});
    }

    /** Refuses the default provider, which would patch whatever cluster kubectl points to. */
    private refuseDefaultProvider(name: string, opts?: pulumi.ComponentResourceOptions): void {
        if (opts?.provider || opts?.providers) return;
        throw new Refusal(
            "program",
            `AgentHostAliases ${name}: expected the Kubernetes provider of the downstream cluster in the options, found none. ` +
                "Pass { provider: new k8s.Provider(…) }: the default one would patch whatever cluster kubectl points to",
            this,
        );
    }

    /** Patches an agent. If the agent is missing, its read fails with "resource 'cattle-system/…' does not exist". */
    private patchAgent(
        name: string,
        agent: string,
        { Workload, Patch, spec }: AgentPatch,
        { deletedWith, retainOnDelete }: pulumi.ComponentResourceOptions,
    ): void {
        // A patch of a missing agent would create half an agent, so the agent is read first.
        const found = Workload.get(`${name}-${agent}`, `${namespace}/${agent}`, { parent: this });
        const annotations = {
            "pulumi.com/patchFieldManager": "pulumi-rancher-ha",
            // Adopts an entry for the same address that somebody made with kubectl, as the manual says.
            "pulumi.com/patchForce": "true",
        };
        new Patch(
            `${name}-${agent}-patch`,
            { metadata: { name: agent, namespace, annotations }, spec },
            { parent: this, deletedWith, retainOnDelete, dependsOn: [found] },
        );
    }
}

/** The kind of an agent, with the fields that this component sets. */
interface AgentPatch {
    Workload: typeof k8s.apps.v1.Deployment | typeof k8s.apps.v1.DaemonSet;
    Patch: typeof k8s.apps.v1.DeploymentPatch | typeof k8s.apps.v1.DaemonSetPatch;
    spec: { template: { spec: { hostAliases: pulumi.Output<{ ip: string; hostnames: string[] }[]> } } };
}
