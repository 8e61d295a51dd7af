import * as pulumi from "@pulumi/pulumi";
import { X509Certificate } from "crypto";
import { z } from "zod";
import { isAddressOrName, isPort } from "./remote/addresses";
import { secret } from "./secrecy";

/** Where backups go in S3. */
export interface S3BucketArgs {
    /** Host of the S3 server, with a port if it is not 443. A URL is refused, because the upload always uses HTTPS. @default s3.amazonaws.com */
    endpoint?: pulumi.Input<string>;
    /** Name of the bucket, which must exist. A name that S3 does not allow is refused. */
    bucket: pulumi.Input<string>;
    /** Folder in the bucket. @default the top of the bucket */
    folder?: pulumi.Input<string>;
    /** Region of the bucket. @default the server's own */
    region?: pulumi.Input<string>;
}

/** Reports whether OpenSSL reads a certificate in the text, and nothing else stands there: a private key would be stored in clear. */
function isCertificate(text: string): boolean {
    try {
        new X509Certificate(text);
        return [...text.matchAll(/-----BEGIN (.*?)-----/g)].every(([, label]) => label === "CERTIFICATE");
    } catch {
        return false;
    }
}

const hostFault = "expected a host such as s3.example.com or s3.example.com:9000, without https://";

/** Schema of an S3 bucket that gets backups. */
export const s3Schema = z
    .strictObject({
        endpoint: z
            .string()
            // An IPv6 address in brackets is refused, because the runner's check of the bucket cannot read one.
            .regex(/^[A-Za-z0-9][-A-Za-z0-9.]*(:\d{1,5})?$/, hostFault)
            .refine(endpoint => isAddressOrName(endpoint.replace(/:\d+$/, "")), hostFault)
            .refine(endpoint => isPort(/:(\d+)$/.exec(endpoint)?.[1] ?? "443"), "expected a port from 1 to 65535")
            .default("s3.amazonaws.com"),
        bucket: z
            .string()
            // Source: CheckValidBucketNameStrict of minio-go 7, which RKE and the backup operator upload with.
            .regex(
                /^(?!(\d+\.){3}\d+$)(?!.*(\.[-.]|-\.))[a-z0-9][-a-z0-9.]{1,61}[a-z0-9]$/,
                "expected the name of a bucket: 3 to 63 lower-case letters, digits, - and ., without an IP address and .., .- or -.",
            ),
        folder: z
            .string()
            .regex(/^[-\w.]+(\/[-\w.]+)*$/, "expected a folder such as rancher/etcd, without a slash at its ends")
            .optional(),
        region: z
            .string()
            .regex(/^[-a-z0-9]+$/, "expected a region such as eu-central-1")
            .optional(),
        accessKey: secret(z.string().min(1)).optional(),
        secretKey: secret(z.string().min(1)).optional(),
        caCertificate: z.string().refine(isCertificate, "expected certificates as PEM text, and nothing else.").optional(),
    })
    .superRefine(({ accessKey, secretKey }, context) => {
        if ((accessKey === undefined) === (secretKey === undefined)) return;
        const [path, other] = accessKey === undefined ? ["accessKey", "secretKey"] : ["secretKey", "accessKey"];
        context.addIssue({ code: "custom", path: [path], message: `expected a value beside ${other}, or neither for an IAM role.` });
    });
