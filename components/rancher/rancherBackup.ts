import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { stringify } from "yaml";
import { S3BucketArgs } from "../s3";
import { secretAs } from "../secrecy";
import { inState, refuseOutputs, validated } from "../validation";
import { backupNamespace, backupSpec, backupValues, credentialsName, encryptionConfiguration, encryptionName } from "./backupObjects";
import { RancherBackupInputs, rancherBackupSchema } from "./backupSchema";
import { RancherSettingsArgs } from "./args";
import { askRepository } from "./askRepository";
import { isOci, rancherCharts } from "./chartRepository";

/** The S3 bucket that gets the backups. */
export interface RancherBackupS3Args extends S3BucketArgs {
    /** Access key, a secret. One key without the other is refused. @default the IAM role of the nodes */
    accessKey?: pulumi.Input<string>;
    /** Secret key, a secret. Both keys become a Secret beside the operator. @default the IAM role of the nodes */
    secretKey?: pulumi.Input<string>;
    /** PEM certificate of the CA that signed the S3 server's certificate. Other text is refused. @default the CAs of the operator's image */
    caCertificate?: pulumi.Input<string>;
}

/** A volume of the cluster that gets the backups. */
export interface RancherBackupVolumeArgs {
    /**
     * Name of a PersistentVolume that exists, and that the operator's claim gets as its name, too. Its reclaim policy should be `Retain`.
     * Without a name, the chart would claim a new, empty volume at each upgrade. Source: the chart's `backupRestore.pvcName`. The volume
     * must allow `ReadWriteOnce`. From Rancher 2.12 on, the operator is user 1000, who must be able to write there.
     */
    name: pulumi.Input<string>;
    /** Size that is claimed, at most the volume's own, for example `10Gi`. */
    size: pulumi.Input<string>;
    /** Storage class of the volume. @default no class */
    storageClass?: pulumi.Input<string>;
}

/** Settings of backups that do not come from other resources of the stack. */
export interface RancherBackupSettingsArgs {
    /**
     * Exact version of the charts `rancher-backup-crd` and `rancher-backup`, for example `106.0.2+up7.0.2`. A version for another minor
     * version of Rancher is refused. Source: annotation `catalog.cattle.io/rancher-version` of the charts.
     */
    chartVersion: pulumi.Input<string>;
    /** URL of the chart repository, or `oci://` with the folder of both charts. @default `https://charts.rancher.io` */
    repository?: pulumi.Input<string>;
    /** Folder or archive of the chart `rancher-backup`, instead of `repository`. Refused without `crdChartPath`. @default none */
    chartPath?: pulumi.Input<string>;
    /** Folder or archive of the chart `rancher-backup-crd`, instead of `repository`. Refused without `chartPath`. @default none */
    crdChartPath?: pulumi.Input<string>;
    /**
     * Schedule in UTC: five fields of cron, or a word of cron such as `@daily`. The first backup is made at once. A time zone, and a
     * day that never occurs, is refused.
     * @default "0 2 * * *"
     */
    schedule?: pulumi.Input<string>;
    /**
     * Number of backups that are kept. The operator deletes older ones: all files below a path that begins with `folder`, if they are
     * of this schedule or of another `Backup` whose name ends in `rancher`.
     * @default 10
     */
    retentionCount?: pulumi.Input<number>;
    /**
     * Key that encrypts the Secrets in each backup: 32 random bytes in base64, as `openssl rand -base64 32` prints them. Secret. Keep a copy
     * outside of the cluster: a backup cannot be restored without its key. A new key is for new backups alone. Other objects, users and tokens
     * for example, are readable in the files.
     */
    encryptionKey: pulumi.Input<string>;
    /** S3 bucket that gets the backups. Give either this or `volume`. */
    s3?: RancherBackupS3Args;
    /** Volume that gets the backups. Give either this or `s3`. */
    volume?: RancherBackupVolumeArgs;
    /**
     * Further values of the chart `rancher-backup`, for example `nodeSelector`. `s3` and `persistence` are refused. In a `RancherHa`,
     * `proxy` and `noProxy` are those of Rancher unless they stand here. @default {}
     */
    values?: pulumi.Input<{ [key: string]: any }>;
    /** Seconds to wait until the operator is ready, at most a day. @default 600 */
    timeoutSeconds?: pulumi.Input<number>;
}

/** Settings of Rancher and of its backups. */
export interface RancherWithBackupArgs extends RancherSettingsArgs {
    /** Backups of Rancher by its backup operator. @default no backups */
    backup?: RancherBackupSettingsArgs;
}

export interface RancherBackupArgs extends RancherBackupSettingsArgs {
    /** Version of Rancher, for example `2.11.3`. */
    rancherVersion: pulumi.Input<string>;
    /** Registry host that the operator's images come from. @default that of each image */
    systemDefaultRegistry?: pulumi.Input<string>;
}

/**
 * Rancher's backup operator, and a schedule of backups. The option `dependsOn` delays the schedule alone: the operator can restore a
 * backup before Rancher is there.
 */
export class RancherBackup extends pulumi.ComponentResource {
    /** Name of the `Backup` object, with which the names of the backup files begin. */
    readonly backupName: pulumi.Output<string>;

    constructor(name: string, args: RancherBackupArgs, opts: pulumi.ComponentResourceOptions = {}) {
        // A component that waits would make all of its children wait, too.
        super("pulumi-rancher-ha:index:RancherBackup", name, {}, { ...opts, dependsOn: [] });
        const { s3, volume } = args;
        refuseOutputs(this, `RancherBackup ${name}`, { s3, volume });
        const checked = validated(this, `RancherBackup ${name}`, rancherBackupSchema, args);
        // Without the keys, so that a preview shows changes of the rest.
        const shown = { ...args, encryptionKey: undefined, s3: s3 && { ...s3, accessKey: undefined, secretKey: undefined } };
        const settings = secretAs(shown, checked);
        const child = { parent: this, deletedWith: opts.deletedWith };
        // The claim belongs to the operator's release, and its deletion can delete the backups on the volume.
        const kept = { ...child, retainOnDelete: volume !== undefined };
        // Helm makes the namespace and never deletes it: only Rancher removes its finalizers, and the claim of a volume is in it. A resource of
        // its own could not be created again after a removal of the backups.
        const crdChart = { ...this.chart("rancher-backup-crd", args.crdChartPath, args, settings), createNamespace: true };
        const crds = new k8s.helm.v3.Release(`${name}-crd`, crdChart, kept);
        const chart = this.chart("rancher-backup", args.chartPath, args, settings);
        const operator = new k8s.helm.v3.Release(
            `${name}-operator`,
            { ...chart, values: settings.apply(backupValues) },
            { ...kept, dependsOn: [crds, ...this.secrets(name, args, checked, { ...child, dependsOn: crds })] },
        );
        askRepository(`RancherBackup ${name}`, this, operator, chart);
        const before = pulumi.output(opts.dependsOn as pulumi.Input<pulumi.Resource[]> | undefined);
        const backup = new k8s.apiextensions.CustomResource(
            `${name}-backup`,
            { apiVersion: "resources.cattle.io/v1", kind: "Backup", metadata: { name: "rancher" }, spec: settings.apply(backupSpec) },
            {
                ...child,
                dependsOn: before.apply(resources => [operator, ...(resources ?? [])]),
                // The operator keeps the time of the next backup, and would ignore another schedule until then. The files stay.
                replaceOnChanges: ["spec.schedule"],
                deleteBeforeReplace: true,
            },
        );
        this.backupName = inState(backup.metadata).name;
        this.registerOutputs({ backupName: this.backupName });
    }

    /** Makes the Secrets that the operator reads at each backup: the encryption key, and the S3 keys if there are any. */
    private secrets(
        name: string,
        { s3 }: RancherBackupArgs,
        checked: pulumi.Output<RancherBackupInputs>,
        opts: pulumi.CustomResourceOptions,
    ): pulumi.Resource[] {
        const secret = (suffix: string, objectName: string, data: (known: RancherBackupInputs) => Record<string, string>) =>
            new k8s.core.v1.Secret(
                `${name}-${suffix}`,
                {
                    // The annotation reclaims a field that kubectl changed.
                    metadata: { name: objectName, namespace: backupNamespace, annotations: { "pulumi.com/patchForce": "true" } },
                    type: "Opaque",
                    stringData: pulumi.secret(checked.apply(data)),
                },
                opts,
            );
        const encryption = secret("encryption", encryptionName, ({ encryptionKey }) => ({
            "encryption-provider-config.yaml": stringify(encryptionConfiguration(encryptionKey)),
        }));
        if (s3?.accessKey === undefined) return [encryption];
        const keys = secret("s3", credentialsName, known => ({ accessKey: known.s3!.accessKey!, secretKey: known.s3!.secretKey! }));
        return [encryption, keys];
    }

    /** Returns the arguments that the releases of both charts have in common. */
    private chart(
        chartName: string,
        path: pulumi.Input<string> | undefined,
        { chartVersion, repository }: RancherBackupArgs,
        settings: pulumi.Output<RancherBackupInputs>,
    ) {
        const chart = pulumi.all([path, repository]).apply(([file, from]) => file ?? (isOci(from) ? `${from}/${chartName}` : chartName));
        return {
            name: chartName,
            namespace: backupNamespace,
            chart,
            version: secretAs(chartVersion, settings.chartVersion),
            repositoryOpts: settings.apply(({ chartPath, repository: repo = rancherCharts }) => (chartPath || isOci(repo) ? {} : { repo })),
            timeout: settings.timeoutSeconds,
            cleanupOnFail: true,
            maxHistory: 10,
        };
    }
}
