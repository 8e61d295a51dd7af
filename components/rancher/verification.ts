import * as pulumi from "@pulumi/pulumi";
import { observe, runnerProgram } from "../remote/commands";
import { refuseOutputs, validated } from "../validation";
import { liveCheckProgram, verificationProgram } from "./program";
import { LiveCheck, verificationSchema } from "./schema";

export interface VerificationArgs {
    /** DNS name of Rancher. It is pinned to each of `addresses`: DNS is not asked. */
    hostname: pulumi.Input<string>;
    /** Addresses of the load balancer, each of which is verified. */
    addresses: pulumi.Input<pulumi.Input<string>[]>;
    /** PEM: the private CA that must have issued the certificate and that Rancher must hand out. Empty or left out: any public CA. */
    caCertificate?: pulumi.Input<string>;
    /** Password of `admin`, for the WebSocket, which needs a login. Without it, or once it was changed, that check is left out. */
    bootstrapPassword?: pulumi.Input<string>;
    /** What must be done before, and makes the verification run again when it changes: fingerprints, versions, revisions. @default [] */
    after?: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * What to do when Rancher does not answer as it should in a preview or update that changes nothing: `off` does not ask, `warn` says so,
     * `fail` stops. Asks once, without a login, for at most 3 s for each answer.
     * @default warn
     */
    liveCheck?: LiveCheck;
    /** Seconds until a check that does not succeed counts as failed. At most 3000: Rancher answers late at first. @default 300 */
    timeoutSeconds?: pulumi.Input<number>;
}

/**
 * Asks Rancher through the load balancer what browsers and agents ask: certificate, `/ping`, redirect to HTTPS, the CA for agents,
 * HTTP/2, no redirect loop, and a WebSocket. A failed check fails the update and says what was expected and what came.
 */
export class Verification extends pulumi.ComponentResource {
    /** One line for each check: `ok …`, or `left out …` with the reason. */
    readonly checks: pulumi.Output<string[]>;

    constructor(name: string, args: VerificationArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:Verification", name, {}, opts);
        refuseOutputs(this, `Verification ${name}`, { liveCheck: args.liveCheck });
        const settings = validated(this, `Verification ${name}`, verificationSchema, args).apply(({ liveCheck: _, ...known }) => known);
        // The program itself keeps timeoutSeconds; this is the last resort.
        const command = runnerProgram(
            `${name}-checks`,
            { program: settings.apply(known => verificationProgram(known)), timeoutSeconds: 3600 },
            { parent: this },
        );
        const { liveCheck = LiveCheck.Warn } = args;
        const word = liveCheck === LiveCheck.Fail ? "refused" : "warning";
        // The result is known in a preview unless the command is going to run: then it verifies anyway.
        const look = () =>
            pulumi
                .all([settings, command.stdout])
                .apply(([known]) => observe(liveCheckProgram(known, word), `https://${known.hostname}`, this));
        // What is found is public, the password among the settings is not.
        const looked = liveCheck === LiveCheck.Off ? undefined : pulumi.unsecret(look());
        this.checks = pulumi.all([command.stdout, looked]).apply(([lines]) => lines.split("\n"));
        this.registerOutputs({ checks: this.checks });
    }
}
