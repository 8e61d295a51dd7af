/**
 * Stable codes of the errors that users meet. A message carries its code at the end of its first line, for example `[RHA host-not-fit]`.
 * docs/errors.md has a heading for each code. Never rename a code: users search for it.
 */
export const errorCodes = {
    configuration: {
        title: "The configuration is wrong",
        changed: "nothing",
        remedy: "Correct the keys that the message names.",
    },
    versions: {
        title: "Versions do not fit together",
        changed: "nothing",
        remedy: "Take the nearest version that the message names.",
    },
    "change-not-possible": {
        title: "The change is not possible on what runs",
        changed: "nothing, unless a row of the page says something else",
        remedy: "Return to the previous value, or take the steps that the message names.",
    },
    "other-owner": {
        title: "Something belongs to another stack",
        changed: "nothing",
        remedy: "Correct the address or the kubeconfig. Adopt only what you know to be yours.",
    },
    "host-not-fit": {
        title: "A load balancer host is not fit",
        changed: "nothing on this host",
        remedy: "Prepare the host as the message says, or choose another host.",
    },
    "host-busy": {
        title: "Another run works on a host or node",
        changed: "nothing on this host or node",
        remedy: "Wait until the other run ends, then run `pulumi up` again.",
    },
    packages: {
        title: "Packages cannot be installed or removed",
        changed: "in an update nothing; a destroy may be half done",
        remedy: "Look at the package sources and the network of the host.",
    },
    "host-storage": {
        title: "A host cannot write its files",
        changed: "in an update nothing: the host keeps its previous state; a destroy may be half done",
        remedy: "Make space on the disks of `/var/lib` and `/etc`, and keep `/var/lib/pulumi-rancher-ha`.",
    },
    "release-not-served": {
        title: "A release cannot be served",
        changed: "nothing: the host returned to its previous state",
        remedy: "Correct the configuration, or what the message names on the host.",
    },
    "rollback-failed": {
        title: "A host could not return to its previous state",
        changed: "the host is between two releases",
        remedy: "Do what the message says, and run `pulumi up` at once.",
    },
    "certificate-refused": {
        title: "A certificate is refused",
        changed: "nothing: the old certificate is served on",
        remedy: "Give the stack a certificate and a key that clients accept.",
    },
    ssh: {
        title: "SSH does not work",
        changed: "nothing on this host",
        remedy: "Look at the address, the port, the firewall, the host key and the private key.",
    },
    "missing-program": {
        title: "The machine that runs Pulumi lacks a program",
        changed: "nothing",
        remedy: "Install the program that the message names.",
    },
    "nodes-not-fit": {
        title: "Nodes are not fit for RKE",
        changed: "nothing: RKE was not started",
        remedy: "Prepare each node that the message names.",
    },
    "rke-failed": {
        title: "RKE did not finish",
        changed: "see the message",
        remedy: "Correct the cause in RKE's own lines, and run `pulumi up` again.",
    },
    "cluster-state": {
        title: "The state of the cluster is not at hand",
        changed: "see the message",
        remedy: "Bring an API server back, or do what the message says.",
    },
    "etcd-quorum": {
        title: "etcd has no quorum, or would lose it",
        changed: "nothing: RKE was not started",
        remedy: "Bring the machines back with their disks. Only when the disks are lost, restore a snapshot.",
    },
    "snapshot-missing": {
        title: "A snapshot of etcd is missing",
        changed: "nothing: etcd runs on",
        remedy: "Name a snapshot that exists, or copy its file to an etcd node.",
    },
    "bucket-not-usable": {
        title: "The bucket of snapshots cannot be used",
        changed: "nothing: RKE was not started",
        remedy: "Correct the key of `cluster.etcdBackup.s3` that the message names.",
    },
    "cluster-not-removed": {
        title: "The cluster is not fully removed",
        changed: "the cluster is partly removed",
        remedy: "Remove on the hosts what the message lists, and destroy again.",
    },
    helm: {
        title: "Helm or Rancher does not come up",
        changed: "nothing; when a setting could not be set, everything before it",
        remedy: "Wait until the other run of Helm ends, then run `pulumi up` again.",
    },
    "rancher-answers": {
        title: "Rancher does not answer as it should",
        changed: "in an update, everything before the verification",
        remedy: "Follow the advice of the failed check.",
    },
    "drift-unknown": {
        title: "Drift is not known",
        changed: "nothing",
        remedy: "Make the host or the API server reachable, or correct what its answer names.",
    },
    "cluster-not-asked": {
        title: "A cluster is not asked",
        changed: "everything but what the message lists",
        remedy: "Give a kubeconfig with a token or a client certificate in it.",
    },
    program: {
        title: "A program gives an output where a value is needed, or no provider",
        changed: "nothing",
        remedy: "Pass the plain value or the provider that the message names.",
    },
    unexpected: {
        title: "An error that this library did not foresee",
        changed: "see the message",
        remedy: "Correct the cause if the message names one. Otherwise report the error.",
    },
};
export type ErrorCode = keyof typeof errorCodes;

/** Returns a message with its code at the end of the first line. A message that has a code keeps it, because the first one is exact. */
export function withCode(code: ErrorCode, message: string): string {
    return /^.*\[RHA [a-z-]+\]/.test(message) ? message : message.replace(/$/m, ` [RHA ${code}]`);
}
