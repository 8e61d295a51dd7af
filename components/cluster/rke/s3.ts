import * as pulumi from "@pulumi/pulumi";
import { X509Certificate } from "crypto";
import { z } from "zod";

/** An S3 bucket to which each snapshot of etcd is uploaded, and from which a restore reads first. */
export interface RkeS3Args {
    /** Host of the S3 server, with a port if it is not 443. A URL is refused, because the upload always uses HTTPS. @default s3.amazonaws.com */
    endpoint?: pulumi.Input<string>;
    /** Name of the bucket, which must exist. A name that S3 does not allow is refused. */
    bucket: pulumi.Input<string>;
    /** Folder in the bucket. @default the top of the bucket */
    folder?: pulumi.Input<string>;
    /** Region of the bucket. @default the server's own */
    region?: pulumi.Input<string>;
    /** Access key, a secret. One key without the other is refused. @default the IAM role of the etcd nodes */
    accessKey?: pulumi.Input<string>;
    /** Secret key, a secret. RKE keeps both keys in its state, which is a Secret in the cluster. @default the IAM role of the etcd nodes */
    secretKey?: pulumi.Input<string>;
    /** PEM certificate of the CA that signed the S3 server's certificate. Other text is refused. @default the CAs that rke-tools trusts */
    caCertificate?: pulumi.Input<string>;
}

/** Reports whether OpenSSL reads a certificate in the text. */
function isCertificate(text: string): boolean {
    try {
        new X509Certificate(text);
        return true;
    } catch {
        return false;
    }
}

export const s3Schema = z
    .strictObject({
        endpoint: z
            .string()
            .regex(
                /^[A-Za-z0-9][-A-Za-z0-9.]*(:\d{1,5})?$/,
                "expected a host such as s3.example.com or s3.example.com:9000, without https://",
            )
            .default("s3.amazonaws.com"),
        bucket: z
            .string()
            .regex(/^[a-z0-9][-a-z0-9.]{1,61}[a-z0-9]$/, "expected the name of a bucket: 3 to 63 lower-case letters, digits, - and ."),
        folder: z
            .string()
            .regex(/^[-\w.]+(\/[-\w.]+)*$/, "expected a folder such as rancher/etcd, without a slash at its ends")
            .optional(),
        region: z
            .string()
            .regex(/^[-a-z0-9]+$/, "expected a region such as eu-central-1")
            .optional(),
        accessKey: z.string().min(1).optional(),
        secretKey: z.string().min(1).optional(),
        caCertificate: z.string().refine(isCertificate, "expected a certificate as PEM text.").optional(),
    })
    .superRefine(({ accessKey, secretKey }, context) => {
        if ((accessKey === undefined) === (secretKey === undefined)) return;
        const [path, other] = accessKey === undefined ? ["accessKey", "secretKey"] : ["secretKey", "accessKey"];
        context.addIssue({ code: "custom", path: [path], message: `expected a value beside ${other}, or neither for an IAM role.` });
    });

/** Returns the S3 settings for `cluster.yml`, in RKE's words. */
export const s3BackupConfig = ({ endpoint, bucket, folder, region, accessKey, secretKey, caCertificate }: z.output<typeof s3Schema>) => ({
    endpoint,
    bucket_name: bucket,
    ...(folder && { folder }),
    ...(region && { region }),
    ...(accessKey && { access_key: accessKey, secret_key: secretKey }),
    ...(caCertificate && { custom_ca: caCertificate }),
});

/** Returns the settings as a preview shows them: without the S3 keys. */
export function withoutS3Keys<Settings extends { etcdBackup: { s3?: z.output<typeof s3Schema> } }>(settings: Settings): Settings {
    const { s3 } = settings.etcdBackup;
    return s3?.accessKey
        ? { ...settings, etcdBackup: { ...settings.etcdBackup, s3: { ...s3, accessKey: "(not shown)", secretKey: "(not shown)" } } }
        : settings;
}

/** Returns the arguments of snapshots without the S3 keys. Arguments that are an output stay whole. */
export function shownBackup(backup: pulumi.Input<{ s3?: pulumi.Input<RkeS3Args> }> | undefined): unknown {
    if (!backup || pulumi.Output.isInstance(backup) || backup instanceof Promise) return backup;
    const { s3 } = backup;
    if (!s3 || pulumi.Output.isInstance(s3) || s3 instanceof Promise) return backup;
    return { ...backup, s3: { ...s3, accessKey: undefined, secretKey: undefined } };
}
