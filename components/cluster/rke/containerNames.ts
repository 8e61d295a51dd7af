/** Names of the containers that RKE 1.8.14 makes on a node. tests/unit/containerNames.test.ts compares them with its source. */

const services = [
    "etcd",
    "etcd-rolling-snapshots",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubelet",
    "nginx-proxy",
    "service-sidekick",
];

/** Each of these does one step of a run. RKE leaves one behind when its step fails, and `rke remove` knows none of them. */
const steps = [
    "cert-deployer",
    "cert-fetcher",
    "cluster-state-deployer",
    "etcd-Serve-backup",
    "etcd-checksum-checker",
    "etcd-download-backup",
    "etcd-extract-statefile",
    "etcd-fix-perm",
    "etcd-remove-snapshot",
    "etcd-restore",
    "etcd-snapshot-once",
    "extract-statefile-configmap",
    "file-deployer",
    "kube-cleaner",
    "rke-bundle-cert",
    "rke-cp-port-listener",
    "rke-etcd-port-listener",
    "rke-log-cleaner",
    "rke-log-linker",
    "rke-port-checker",
    "rke-selinux-checker",
    "rke-worker-port-listener",
    // Of earlier versions of RKE, on a node of a cluster that the stack adopted.
    "share-mnt",
];

/** RKE renames a container that it replaces. */
const replaced = [...services, ...steps].map(name => `old-${name}`);

/** Containers that hold nothing up, and that nobody needs after the run that made them. */
export const endedContainers = [...steps, ...replaced];
export const rkeContainers = [...services, ...endedContainers];
