import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { caChecksum, checkCaCertificate, normalizePem } from "../certificates/pem";
import { reportProblems } from "../certificates/schema";
import { validated } from "../validation";

export interface CaSecretArgs {
    /** PEM: the private CA that issued the load balancer's certificate. Refused unless every block is a CA certificate valid today. */
    caCertificate: pulumi.Input<string>;
    /** Namespace of Rancher, which must exist. Rancher works only in `cattle-system`. @default cattle-system */
    namespace?: pulumi.Input<string>;
}

export const caSecretSchema = z
    .strictObject({ caCertificate: z.string(), namespace: z.string().min(1).default("cattle-system") })
    .superRefine(({ caCertificate }, context) => reportProblems(checkCaCertificate(caCertificate), context));

/** Returns a Secret with one PEM text, under the names that the Rancher chart fixes. */
export function pemSecret(
    resourceName: string,
    { name, namespace, key, pem }: { name: string; namespace: pulumi.Input<string>; key: string; pem: pulumi.Output<string> },
    opts: pulumi.CustomResourceOptions,
): k8s.core.v1.Secret {
    // The annotation reclaims a field that kubectl changed. Without it, the preview of `up --refresh` fails with a field conflict.
    const metadata = { name, namespace, annotations: { "pulumi.com/patchForce": "true" } };
    return new k8s.core.v1.Secret(resourceName, { metadata, type: "Opaque", stringData: { [key]: pem.apply(normalizePem) } }, opts);
}

/**
 * The Secret with the CA that Rancher gives its agents to trust. The Rancher chart fixes the name and the key of the Secret. Agents
 * compare a checksum of its content: CRLF or a missing newline would make them refuse the server.
 */
export class CaSecret extends pulumi.ComponentResource {
    /** Name of the Secret. */
    readonly secretName: pulumi.Output<string>;
    /** Checksum by which agents recognise the CA (`CATTLE_CA_CHECKSUM`). A resource that uses the checksum waits for the Secret. */
    readonly checksum: pulumi.Output<string>;

    constructor(name: string, args: CaSecretArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:CaSecret", name, {}, opts);
        const ca = validated(this, `CaSecret ${name}`, caSecretSchema, args);
        const secret = pemSecret(
            `${name}-secret`,
            { name: "tls-ca", namespace: ca.namespace, key: "cacerts.pem", pem: ca.caCertificate },
            { parent: this, deletedWith: opts?.deletedWith },
        );
        this.secretName = secret.metadata.name;
        this.checksum = pulumi.all([ca.caCertificate, secret.metadata.name]).apply(([certificate]) => caChecksum(certificate));
        this.registerOutputs({ secretName: this.secretName, checksum: this.checksum });
    }
}
