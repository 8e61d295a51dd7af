import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { runnerProgram } from "../host/commands";
import { addressSchema, dnsNameSchema } from "../host/connection";
import { validated } from "../validation";
import { verificationProgram } from "./verificationProgram";

export interface VerificationArgs {
    /** DNS name of Rancher. It is pinned to each of `addresses`: DNS is not asked. */
    hostname: pulumi.Input<string>;
    /** Addresses of the load balancer, each of which is verified. */
    addresses: pulumi.Input<pulumi.Input<string>[]>;
    /** PEM: the private CA that must have issued the certificate and that Rancher must hand out. Empty or left out: any public CA. */
    caCertificate?: pulumi.Input<string>;
    /** Password of `admin`, for the WebSocket, which needs a login. Without it, or once it was changed, that check is left out. */
    bootstrapPassword?: pulumi.Input<string>;
    /** What must be done before, and makes the verification run again when it changes: fingerprints, versions, revisions. Default none. */
    after?: pulumi.Input<pulumi.Input<string>[]>;
    /** Seconds until a check that does not succeed counts as failed. Default 300, at most 3000: Rancher answers late at first. */
    timeoutSeconds?: pulumi.Input<number>;
}

export const verificationSchema = z.strictObject({
    hostname: dnsNameSchema,
    addresses: z.array(addressSchema).min(1, "expected at least one address"),
    caCertificate: z.string().default(""),
    bootstrapPassword: z.string().optional(),
    after: z.array(z.string()).default([]),
    timeoutSeconds: z.number().int().min(0).max(3000).default(300),
});

/**
 * Asks Rancher through the load balancer what browsers and agents ask: certificate, `/ping`, redirect to HTTPS, the CA for agents,
 * HTTP/2, no redirect loop, and a WebSocket. A failed check fails the update and says what was expected and what came.
 */
export class Verification extends pulumi.ComponentResource {
    /** One line for each check: `ok …`, or `left out …` with the reason. */
    readonly checks: pulumi.Output<string[]>;

    constructor(name: string, args: VerificationArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:Verification", name, {}, opts);
        const settings = validated(this, `Verification ${name}`, verificationSchema, args);
        // The program itself keeps timeoutSeconds; this is the last resort.
        const command = runnerProgram(
            `${name}-checks`,
            { program: settings.apply(known => verificationProgram(known)), timeoutSeconds: 3600 },
            { parent: this },
        );
        this.checks = command.stdout.apply(lines => lines.split("\n"));
        this.registerOutputs({ checks: this.checks });
    }
}
