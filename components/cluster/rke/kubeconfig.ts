import { stringify } from "yaml";
import { RkeState } from "./state";

/**
 * Returns a kubeconfig made from the cluster's PKI. RKE writes a file with a new administrator certificate in every run. That file
 * would be unknown in every preview that would run RKE.
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
