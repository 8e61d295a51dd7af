import { stringify } from "yaml";
import { brotliDecompressSync } from "zlib";

/** The parts of RKE's state file that are read here. */
export interface RkeState {
    desiredState: { certificatesBundle: Record<string, { certificatePEM: string; keyPEM: string }> };
}

/** Undoes what the runner does to a state before it prints it: brotli, because the window of gzip misses repeated certificates. */
export function unpackState(packed: string): RkeState {
    return JSON.parse(brotliDecompressSync(Buffer.from(packed.trim(), "base64")).toString("utf8")) as RkeState;
}

/**
 * A kubeconfig from the cluster's PKI. Not the file that RKE writes: RKE issues a new administrator certificate at every run,
 * so that file is unknown in every preview that would run RKE.
 */
export function kubeconfig(state: RkeState, clusterName: string, apiEndpoint: string): string {
    const { "kube-ca": ca, "kube-admin": admin } = state.desiredState.certificatesBundle;
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    return stringify(
        {
            apiVersion: "v1",
            kind: "Config",
            clusters: [{ name: clusterName, cluster: { server: apiEndpoint, "certificate-authority-data": base64(ca.certificatePEM) } }],
            users: [
                {
                    name: "kube-admin",
                    user: { "client-certificate-data": base64(admin.certificatePEM), "client-key-data": base64(admin.keyPEM) },
                },
            ],
            contexts: [{ name: clusterName, context: { cluster: clusterName, user: "kube-admin" } }],
            "current-context": clusterName,
        },
        { lineWidth: 0 },
    );
}
