import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import type { S3BucketArgs, s3Schema } from "../../s3";

/**
 * An S3 bucket to which each snapshot of etcd is uploaded, and from which a restore reads first. With keys, the bucket is asked through every
 * etcd node before RKE runs. An answer with an error is refused.
 */
export interface RkeS3Args extends S3BucketArgs {
    /** Access key, a secret. One key without the other is refused. @default the IAM role of the etcd nodes */
    accessKey?: pulumi.Input<string>;
    /** Secret key, a secret. RKE keeps both keys in its state, which is a Secret in the cluster. @default the IAM role of the etcd nodes */
    secretKey?: pulumi.Input<string>;
    /** PEM certificate of the CA that signed the S3 server's certificate. Other text is refused. @default the CAs that rke-tools trusts */
    caCertificate?: pulumi.Input<string>;
}

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
