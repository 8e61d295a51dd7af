import * as k8s from "@pulumi/kubernetes";
import { AgentHostAliases, AgentHostAliasesArgs } from "../../components/rancher/agentHostAliases";
import { record } from "./recorder";

const args: AgentHostAliasesArgs = { hostname: "rancher.example.com", addresses: ["192.0.2.21", "192.0.2.22"] };
const build =
    (changed: Partial<AgentHostAliasesArgs> = {}) =>
    () => {
        const provider = new k8s.Provider("downstream", { kubeconfig: "text" });
        return new AgentHostAliases("aliases", { ...args, ...changed }, { provider, deletedWith: provider, retainOnDelete: true });
    };

test("patches the host aliases of the cluster agent and nothing else", async () => {
    const recording = await record(build());
    const patch = recording.one("kubernetes:apps/v1:DeploymentPatch");
    const provider = recording.one("pulumi:providers:kubernetes");
    expect(patch.inputs).toEqual({
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: {
            name: "cattle-cluster-agent",
            namespace: "cattle-system",
            annotations: { "pulumi.com/patchFieldManager": "pulumi-rancher-ha", "pulumi.com/patchForce": "true" },
        },
        spec: {
            template: {
                spec: {
                    hostAliases: [
                        { ip: "192.0.2.21", hostnames: ["rancher.example.com"] },
                        { ip: "192.0.2.22", hostnames: ["rancher.example.com"] },
                    ],
                },
            },
        },
    });
    expect(patch).toMatchObject({ provider: `${provider.urn}::downstream-id`, deletedWith: provider.urn, retainOnDelete: true });
    expect(recording.resources.map(resource => resource.type)).not.toContain("kubernetes:apps/v1:DaemonSetPatch");
});

test("an agent is looked up in the downstream cluster before it is patched", async () => {
    const recording = await record(build());
    const agent = recording.one("kubernetes:apps/v1:Deployment");
    expect(agent).toMatchObject({ read: "cattle-system/cattle-cluster-agent", name: "aliases-cattle-cluster-agent" });
    expect(agent.provider).toBe(recording.one("kubernetes:apps/v1:DeploymentPatch").provider);
    expect(recording.one("kubernetes:apps/v1:DeploymentPatch").dependencies).toContain(agent.urn);
});

test("the node agent is patched when asked for", async () => {
    const recording = await record(build({ nodeAgent: true }));
    const patch = recording.one("kubernetes:apps/v1:DaemonSetPatch");
    const agent = recording.one("kubernetes:apps/v1:DaemonSet");
    expect(agent.read).toBe("cattle-system/cattle-node-agent");
    expect(patch.inputs.metadata.name).toBe("cattle-node-agent");
    expect(patch.inputs.spec).toEqual(recording.one("kubernetes:apps/v1:DeploymentPatch").inputs.spec);
    expect(patch.dependencies).toContain(agent.urn);
});

test("refuses to patch whatever cluster kubectl points to", async () => {
    await expect(record(() => new AgentHostAliases("aliases", args, {}))).rejects.toThrow(
        /AgentHostAliases aliases: expected the Kubernetes provider of the downstream cluster in the options, found none\. Pass/,
    );
});

test.each<[Partial<Record<keyof AgentHostAliasesArgs, unknown>>, RegExp]>([
    [{ hostname: "Rancher" }, /hostname: expected a lower-case DNS name/],
    [{ addresses: ["lb.example.com"] }, /addresses\[0\]: expected an IP address, found "lb\.example\.com"/],
    [{ addresses: [] }, /addresses: expected at least one address/],
    [{ addresses: ["127.0.0.1"] }, /addresses\[0\]: expected the address of the load balancer, not a loopback/],
    // The API server refuses a second entry for an address.
    [{ addresses: ["2001:db8::21", "2001:DB8:0::21"] }, /addresses: expected each address once/],
])("refuses %j", async (changed, message) => {
    await expect(record(build(changed as never))).rejects.toThrow(message);
});
