import * as pulumi from "@pulumi/pulumi";
import { SshArgs } from "../../remote/args";
import { DriftMode } from "../../remote/drift";
import { RkeNetworkArgs } from "./network";
import { RkeNodeArgs } from "./nodes";
import { RkePrivateRegistryArgs } from "./registries";
import { RkeS3Args } from "./s3";
import { RkeServicesArgs } from "./services";
import { RkeRestoreArgs, RkeSnapshotArgs } from "./tokens";
import { RkeUpgradeStrategyArgs } from "./upgradeStrategy";

/** Recurring etcd snapshots, kept on every etcd node in /opt/rke/etcd-snapshots. */
export interface RkeEtcdBackupArgs {
    /** Makes snapshots. @default true */
    enabled?: pulumi.Input<boolean>;
    /** Hours between two snapshots, at most 168. @default 6 */
    intervalHours?: pulumi.Input<number>;
    /** Number of snapshots that are kept, at most 10000. @default 28 */
    retention?: pulumi.Input<number>;
    /** S3 bucket that gets each snapshot, too. @default none: snapshots are only on the etcd nodes */
    s3?: pulumi.Input<RkeS3Args>;
}

/** Settings of the cluster, without the SSH access to its nodes. */
export interface RkeClusterSettingsArgs {
    /** Name of the cluster in the kubeconfig. @default rancher */
    clusterName?: pulumi.Input<string>;
    /**
     * Kubernetes version as RKE names it, for example `v1.30.14-rancher1-1`. A version that RKE 1.8.14 cannot install from public images is
     * refused. So is a version that skips a minor version, or one older than the cluster's. Only the restore of the snapshot that the upgrade
     * saved leads back to an older one. Each upgrade first saves a snapshot of etcd, named after both versions, in /opt/rke/etcd-snapshots
     * of each etcd node.
     */
    kubernetesVersion: pulumi.Input<string>;
    /** Nodes: an odd number of etcd nodes, at least one control plane and one worker. High availability needs three with all roles. */
    nodes: pulumi.Input<pulumi.Input<RkeNodeArgs>[]>;
    /** Pod and service network. */
    network?: pulumi.Input<RkeNetworkArgs>;
    /**
     * Text of the `cluster.rkestate` of a cluster that RKE built before the stack. The cluster is adopted: it keeps its CA, its nodes and
     * its data. Only the first `up` reads the text. It is kept as a secret. A text that is cut off is refused. So is a state with other
     * nodes than `nodes`, or a node that belongs to another cluster. See docs/coming-from-the-manual.md. @default a new cluster
     */
    rkeState?: pulumi.Input<string>;
    /** Recurring etcd snapshots. */
    etcdBackup?: pulumi.Input<RkeEtcdBackupArgs>;
    /**
     * Saves a snapshot of etcd now. Beside an upgrade, it is saved after the upgrade. Beside a renewal of certificates, it is saved before.
     * Refused in the update that rotates the CA.
     */
    snapshot?: pulumi.Input<RkeSnapshotArgs>;
    /** Restores a snapshot of etcd. Nothing else of the cluster is changed before. */
    restore?: pulumi.Input<RkeRestoreArgs>;
    /**
     * Renews the certificates of the cluster, once for each new value, for example `2026-11`. The CA and the kubeconfig stay. Each component
     * of the control plane restarts. Letters, digits, `.`, `_`, `:` and `-` are allowed, at most 100 characters.
     * @default no renewal
     */
    rotateCertificates?: pulumi.Input<string>;
    /** Options of the ingress controller's ConfigMap. `use-forwarded-headers` is always "true": another value is refused. @default {} */
    ingressOptions?: pulumi.Input<Record<string, pulumi.Input<string>>>;
    /**
     * Labels of the workers on which the ingress controller runs, {} for all workers. Only these workers are upstreams of the load
     * balancer. Labels that no worker has in its `labels` are refused.
     * @default {}
     */
    ingressNodeSelector?: pulumi.Input<Record<string, pulumi.Input<string>>>;
    /** Flags, mounts and settings of the Kubernetes services. */
    services?: pulumi.Input<RkeServicesArgs>;
    /** The order in which RKE upgrades nodes. @default one control plane node and 10% of the workers at a time, without drain */
    upgradeStrategy?: pulumi.Input<RkeUpgradeStrategyArgs>;
    /** Registries with a login, or in place of Docker Hub. @default [] */
    privateRegistries?: pulumi.Input<pulumi.Input<RkePrivateRegistryArgs>[]>;
    /**
     * Images in place of those of RKE, for example `coredns: registry.example.com/rancher/mirrored-coredns-coredns:1.9.4`. They stay when
     * `kubernetesVersion` changes. An unknown name, or an image without a tag or digest, is refused. So is another Kubernetes version in
     * `kubernetes`. `npm run images` lists the images.
     * @default {}
     */
    systemImages?: pulumi.Input<Record<string, pulumi.Input<string>>>;
    /** Accepts Docker versions that RKE 1.8.14 does not know. @default false */
    ignoreDockerVersion?: pulumi.Input<boolean>;
    /**
     * Further keys of `cluster.yml`, as RKE names them. A key that an argument sets is refused. So is a key that RKE does not read: the
     * real `rke up --init` is asked before any host is changed. Encrypt a value with `pulumi config set --secret`.
     * @default {}
     */
    extraConfig?: pulumi.Input<Record<string, any>>;
    /**
     * URL of the Kubernetes API for the kubeconfig, for example of a virtual IP or of a load balancer in front of the control plane. The
     * API server's certificate also covers its host name. A URL with a user, a path or a query is refused.
     * @default port 6443 of the virtual IP with `loadBalancer.kubernetesApi`, otherwise of the first control plane node
     */
    apiEndpoint?: pulumi.Input<string>;
    /** Further DNS names and addresses in the API server's certificate. @default [] */
    apiServerSans?: pulumi.Input<pulumi.Input<string>[]>;
    /** Seconds that RKE waits for each of its add-on jobs. RKE's own 45 s are too short for slow image pulls. At most a day. @default 180 */
    addonJobTimeoutSeconds?: pulumi.Input<number>;
    /** Seconds after which a run of RKE is killed, at most a day. Another time runs nothing, and holds from the next run on. @default 3600 */
    timeoutSeconds?: pulumi.Input<number>;
    /**
     * Refuses to delete the cluster, whose etcd holds all of Rancher's data: in `destroy`, and when `cluster` is removed from the
     * configuration. To delete the cluster on purpose, set false, run `pulumi up`, and then delete.
     * @default true
     */
    deletionProtection?: boolean;
    /** Handling of drift on the nodes. A repair runs RKE on the whole cluster. @default warn */
    drift?: DriftMode;
    /**
     * Number of rotations of the cluster's CA since the stack built or adopted the cluster, from 0 to 20. One more rotates the CA: etcd and
     * the control plane restart at once, then the pods of all workloads one after another. The kubeconfig changes, and nothing is replaced.
     * A lower number is refused, because the cluster's PKI would be deleted. So is a new node in the same update. The CA of RKE 1 is valid
     * for 10 years. docs/operations.md names what does not go on meanwhile.
     * @default 0
     */
    caRotations?: number;
}

export interface RkeClusterArgs extends RkeClusterSettingsArgs {
    /** SSH access to the nodes. A node's own settings take precedence. */
    ssh?: pulumi.Input<SshArgs>;
}
