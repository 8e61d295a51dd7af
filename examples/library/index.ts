import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { DriftMode, NodeRole, RancherHa, RkeNodeArgs } from "pulumi-rancher-ha";

/** Rancher as a part of a larger stack: nodes come from a list, and its kubeconfig goes to further resources. */

const config = new pulumi.Config();

const hostKeys = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleKeyOfTheFirstNodeExampleExampleExam2",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleKeyOfTheSecondNodeExampleExampleExa3",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleKeyOfTheThirdNodeExampleExampleExam4",
];
const nodes: RkeNodeArgs[] = hostKeys.map((hostKey, index) => ({
    address: `192.0.2.${31 + index}`,
    hostname: `rancher-node${index + 1}`,
    user: "rke",
    hostKey,
    roles: [NodeRole.ControlPlane, NodeRole.Etcd, NodeRole.Worker],
}));

const rancher = new RancherHa("rancher", {
    hostname: "rancher.example.com",
    ssh: { privateKey: config.requireSecret("sshPrivateKey") },
    loadBalancer: {
        hosts: [
            {
                address: "192.0.2.21",
                hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleKeyOfTheLoadBalancerHostExampleExam1",
            },
        ],
        drift: DriftMode.Warn,
    },
    cluster: { kubernetesVersion: "v1.30.14-rancher1-1", nodes },
    rancher: { chartVersion: "2.11.3", values: { auditLog: { level: 1 } } },
});

const provider = new k8s.Provider("kubernetes", { kubeconfig: rancher.kubeconfig, clusterIdentifier: "rancher" });
new k8s.core.v1.Namespace("monitoring", { metadata: { name: "monitoring" } }, { provider });

export const url = rancher.url;
export const bootstrapPassword = rancher.bootstrapPassword;
