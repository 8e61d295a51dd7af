import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { AgentHostAliases } from "pulumi-rancher-ha";
import { createHash } from "crypto";

/** Tells the agents of a downstream cluster where the Rancher of another stack is, for a name that no DNS server knows. */

const config = new pulumi.Config();

// For example organization/pulumi-rancher-ha/production.
const rancher = new pulumi.StackReference("rancher", { name: config.require("rancherStack") });
const url = rancher.requireOutput("url") as pulumi.Output<string>;
const addresses = rancher.requireOutput("loadBalancerAddresses") as pulumi.Output<string[]>;
const caCertificate = rancher.requireOutput("caCertificate") as pulumi.Output<string>;

const downstream = new k8s.Provider("downstream", { kubeconfig: config.requireSecret("kubeconfig"), clusterIdentifier: "downstream" });
new AgentHostAliases("agents", { hostname: url.apply(text => new URL(text).hostname), addresses }, { provider: downstream });

/** What `--ca-checksum` of the registration command must be. */
export const caChecksum = caCertificate.apply(text => createHash("sha256").update(text).digest("hex"));
