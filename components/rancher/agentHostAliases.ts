import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { refuseOutputs, Refusal, validated } from "../validation";
import { agentHostAliasesSchema } from "./schema";

export interface AgentHostAliasesArgs {
    /** DNS name of Rancher, which the agents cannot look up. */
    hostname: pulumi.Input<string>;
    /** Addresses of the load balancer for this name, at least one. The nodes must reach them. */
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
        if (!opts?.provider && !opts?.providers) {
            throw new Refusal(
                "program",
                `AgentHostAliases ${name}: expected the Kubernetes provider of the downstream cluster in the options, found none. ` +
                    "Pass { provider: new k8s.Provider(…) }: the default one would patch whatever cluster kubectl points to",
                this,
            );
        }
        refuseOutputs(this, `AgentHostAliases ${name}`, { nodeAgent: args.nodeAgent });
        const settings = validated(this, `AgentHostAliases ${name}`, agentHostAliasesSchema, args);
        const hostAliases = settings.apply(({ hostname, addresses }) => addresses.map(ip => ({ ip, hostnames: [hostname] })));
        const patch = {
            metadata: (agent: string) => ({
                name: agent,
                namespace,
                annotations: {
                    "pulumi.com/patchFieldManager": "pulumi-rancher-ha",
                    // Adopts an entry for the same address that somebody made with kubectl, as the manual says.
                    "pulumi.com/patchForce": "true",
                },
            }),
            spec: { template: { spec: { hostAliases } } },
        };
        const options = (agent: pulumi.CustomResource) => ({
            parent: this,
            deletedWith: opts.deletedWith,
            retainOnDelete: opts.retainOnDelete,
            // The agent is read first. If it is missing, the read fails with "resource 'cattle-system/…' does not exist". A patch would
            // create half an agent instead.
            dependsOn: [agent],
        });

        const clusterAgent = "cattle-cluster-agent";
        const deployment = k8s.apps.v1.Deployment.get(`${name}-${clusterAgent}`, `${namespace}/${clusterAgent}`, { parent: this });
        new k8s.apps.v1.DeploymentPatch(
            `${name}-${clusterAgent}-patch`,
            { metadata: patch.metadata(clusterAgent), spec: patch.spec },
            options(deployment),
        );

        if (args.nodeAgent) {
            const nodeAgent = "cattle-node-agent";
            const daemonSet = k8s.apps.v1.DaemonSet.get(`${name}-${nodeAgent}`, `${namespace}/${nodeAgent}`, { parent: this });
            new k8s.apps.v1.DaemonSetPatch(
                `${name}-${nodeAgent}-patch`,
                { metadata: patch.metadata(nodeAgent), spec: patch.spec },
                options(daemonSet),
            );
        }
        this.registerOutputs({});
    }
}
