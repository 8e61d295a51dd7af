import * as pulumi from "@pulumi/pulumi";
import { observe, runnerProgram } from "../remote/commands";
import { inState, refuseOutputs, validated } from "../validation";
import { liveCheckProgram, verificationProgram } from "./program";
import { LiveCheck, verificationSchema } from "./schema";

export interface VerificationArgs {
    /** DNS name of Rancher. The checks pin the name to each of `addresses` and never ask DNS. */
    hostname: pulumi.Input<string>;
    /** Addresses of the load balancer. Each address is verified. */
    addresses: pulumi.Input<pulumi.Input<string>[]>;
    /** PEM: the private CA that issued the certificate and that Rancher gives its agents. Omit it for any public CA. */
    caCertificate?: pulumi.Input<string>;
    /** Password of `admin` for the WebSocket check, which needs a login. Without the current password, that check is skipped. */
    bootstrapPassword?: pulumi.Input<string>;
    /** Fingerprints, versions or revisions. The verification waits for them, and runs again when one changes. @default [] */
    after?: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * Largest header field that the load balancer passes on, in NGINX's notation, from 8k to 256k. When the ingress controller takes less,
     * a warning says so. @default not checked
     */
    maxRequestHeaderSize?: pulumi.Input<string>;
    /**
     * Handling of a failed check in a preview or update that changes nothing: `off` makes no check, `warn` warns, `fail` stops. This check
     * runs once, without a login, and waits at most 3 s for each answer.
     * @default warn
     */
    liveCheck?: LiveCheck;
    /** Seconds until a check that does not succeed counts as failed, at most 3000. A new Rancher answers late. @default 300 */
    timeoutSeconds?: pulumi.Input<number>;
}

/** Settings of the verification in `RancherHa`. */
export interface VerificationSettingsArgs {
    /**
     * Checks Rancher through the load balancer at the end of an update. With false, `liveCheck` is off too: for a machine that cannot
     * reach the load balancer. `nextSteps` then says that nothing was checked.
     * @default true
     */
    enabled?: boolean;
    /** Seconds until a check that does not succeed counts as failed, at most 3000. A new Rancher answers late. @default 300 */
    timeoutSeconds?: pulumi.Input<number>;
}

/**
 * Checks Rancher through the load balancer, as browsers and agents use it. The checks are: certificate, `/ping`, redirect to HTTPS, the
 * CA for agents, HTTP/2, no redirect loop, large request headers, and a WebSocket.
 *
 * A failed check fails the update, and reports the expected and the received answer. Large headers that are refused are a warning.
 */
export class Verification extends pulumi.ComponentResource {
    /** One line for each check: `ok …`, `warning …`, or `left out …` with the reason. */
    readonly checks: pulumi.Output<string[]>;

    constructor(name: string, args: VerificationArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:Verification", name, {}, opts);
        refuseOutputs(this, `Verification ${name}`, { liveCheck: args.liveCheck });
        const settings = validated(this, `Verification ${name}`, verificationSchema, args).apply(({ liveCheck: _, ...known }) => known);
        // The program itself observes `timeoutSeconds`. This limit is the last resort.
        const command = runnerProgram(
            `${name}-checks`,
            { program: settings.apply(known => verificationProgram(known)), timeoutSeconds: 3600 },
            { parent: this },
        );
        const result = inState(command.stdout);
        const liveCheck = verificationSchema.shape.liveCheck.parse(args.liveCheck);
        const word = liveCheck === LiveCheck.Fail ? "refused" : "warning";
        // A preview knows the result unless the command is going to run. A command that runs verifies anyway.
        const look = () =>
            pulumi.all([settings, result]).apply(([known]) => observe(liveCheckProgram(known, word), `https://${known.hostname}`, this));
        // The findings are public. Among the settings, only the password is secret.
        const looked = liveCheck === LiveCheck.Off ? undefined : pulumi.unsecret(look());
        this.checks = pulumi.all([result, looked]).apply(([lines]) => lines.split("\n"));
        this.registerOutputs({ checks: this.checks });
    }
}
