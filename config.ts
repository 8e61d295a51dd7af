import * as pulumi from "@pulumi/pulumi";
import { readFileSync } from "fs";
import { z } from "zod";
import { broughtCertificateSchema, DriftMode, existingClusterSchema, nginxLoadBalancerSchema, privateCaSchema, RancherHaArgs, rancherReleaseSchema,
    rkeClusterSchema, rkeNodeSchema } from "./components";
import { addressSchema, hostKeySchema, portSchema, privateKeySchema } from "./components/host/connection";
import { describeIssues } from "./components/validation";

/** The stack's configuration: every key, its meaning and what is refused. The table in the README is made from this. */
export const configSchema = z.strictObject({
    hostname: z.string().describe("DNS name of Rancher; it must lead to the load balancer and cannot be changed later"),
    drift: z.enum(DriftMode).default(DriftMode.Enforce).describe("what to do about changes made behind Pulumi's back"),
});
