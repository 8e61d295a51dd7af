import { stringify } from "yaml";

/** Returns a kubeconfig as RKE2 writes it, with changes of its cluster and of its whole. */
export const kubeconfigOf = (cluster: object = {}, user: object = { token: "made-up" }, changed: object = {}): string =>
    stringify({
        apiVersion: "v1",
        kind: "Config",
        clusters: [{ name: "default", cluster: { server: "https://192.0.2.41:6443", ...cluster } }],
        users: [{ name: "default", user }],
        contexts: [{ name: "default", context: { cluster: "default", user: "default" } }],
        "current-context": "default",
        ...changed,
    });
