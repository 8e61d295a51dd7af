import { isSince } from "../versions";
import { merge } from "./helmValues";
import { RancherBackupInputs } from "./backupSchema";

/** Namespace of the operator. Rancher's pages look for the operator only here. */
export const backupNamespace = "cattle-resources-system";
export const encryptionName = "rancher-backup-encryption";
export const credentialsName = "rancher-backup-s3-credentials";

/** Returns the values of the chart `rancher-backup`. They name the Secret with the S3 keys, and hold no key. */
export function backupValues({ s3, volume, values, systemDefaultRegistry }: RancherBackupInputs): Record<string, any> {
    const below = systemDefaultRegistry ? { global: { cattle: { systemDefaultRegistry } } } : {};
    const credentials = { credentialSecretName: credentialsName, credentialSecretNamespace: backupNamespace };
    return {
        ...merge(below, values),
        ...(s3 && {
            s3: {
                enabled: true,
                endpoint: s3.endpoint,
                bucketName: s3.bucket,
                ...(s3.folder && { folder: s3.folder }),
                ...(s3.region && { region: s3.region }),
                ...(s3.caCertificate && { endpointCA: Buffer.from(s3.caCertificate).toString("base64") }),
                ...(s3.accessKey && credentials),
            },
        }),
        ...(volume && {
            // The chart reads "-" as no storage class. Without a value, the cluster's default class would make a new volume.
            persistence: { enabled: true, volumeName: volume.name, size: volume.size, storageClass: volume.storageClass ?? "-" },
        }),
    };
}

/** Returns the configuration of the key that encrypts Secrets. Source: kubernetes.io, Encrypting Confidential Data at Rest. */
export const encryptionConfiguration = (key: string) => ({
    apiVersion: "apiserver.config.k8s.io/v1",
    kind: "EncryptionConfiguration",
    resources: [{ resources: ["secrets"], providers: [{ aesgcm: { keys: [{ name: "key1", secret: key }] } }] }],
});

/**
 * Returns the spec of the Backup object. From Rancher 2.11 on, the operator has a full set of resources and a basic one, which has no
 * Secrets. The earlier set ends with 2.11.
 */
export const backupSpec = ({ rancherVersion, schedule, retentionCount }: RancherBackupInputs) => ({
    resourceSetName: isSince(rancherVersion, "2.11") ? "rancher-resource-set-full" : "rancher-resource-set",
    encryptionConfigSecretName: encryptionName,
    schedule,
    retentionCount,
});
