import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";

/** What the rest of the stack needs of a certificate, whoever issued it. */
export interface ServerCertificate {
    /** PEM as a server sends it: its certificate, then intermediate certificates; never a root. */
    readonly certificateChain: pulumi.Output<string>;
    /** PEM: the private key of the certificate. Secret. */
    readonly privateKey: pulumi.Output<string>;
    /** PEM: the private CA that clients must be told to trust. Empty when the CA is publicly trusted. */
    readonly caCertificate: pulumi.Output<string>;
}

/** Reports problems of the form `field: sentence.` at their fields. */
export function reportProblems(problems: string[], context: z.core.$RefinementCtx): void {
    for (const problem of problems) {
        const [, field, message] = /^(\w+): ([\s\S]*)$/.exec(problem) ?? [];
        context.addIssue({ code: "custom", path: [field], message });
    }
}
