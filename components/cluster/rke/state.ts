import { X509Certificate } from "crypto";
import { brotliDecompressSync } from "zlib";
import { kubeconfigOf } from "../kubeconfig";

/** The parts of `rkeConfig` in RKE's state file that this library reads. */
export interface RkeConfig {
    kubernetesVersion: string;
    nodes: RkeNode[];
    network: { plugin: string };
    services: {
        kubeController: { clusterCidr: string; serviceClusterIpRange: string };
        kubeApi?: { secretsEncryptionConfig?: { enabled?: boolean } };
    };
    bastionHost?: { address?: string };
    ingress?: { options?: Record<string, string>; nodeSelector?: Record<string, string> };
}

export interface RkeNode {
    address: string;
    /** Address that other nodes use. */
    internalAddress?: string;
    hostnameOverride?: string;
    port?: string;
    user?: string;
    role: string[];
    labels?: Record<string, string>;
    taints?: Taint[];
}

/** What a node in RKE's state is compared by. The state can hold the SSH key of a node, too. */
export type BuiltNode = Pick<RkeNode, "address" | "internalAddress" | "hostnameOverride" | "role">;

export interface Taint {
    key: string;
    value?: string;
    effect: string;
}

/** The parts of RKE's state file that this library reads. */
export interface RkeState {
    desiredState: {
        rkeConfig: RkeConfig;
        certificatesBundle: Record<string, { certificatePEM: string; keyPEM: string }>;
        /** The file with the key that encrypts Secrets in etcd, as the API servers read it. */
        encryptionConfig?: string;
    };
    /** Missing until RKE has built the cluster. */
    currentState?: { rkeConfig?: RkeConfig; certificatesBundle?: Record<string, { certificatePEM?: string }>; encryptionConfig?: string };
}

/** A PKI of the cluster: RKE's state with nothing built, as the runner packed it and unpacked. */
export interface Pki {
    packed: string;
    state: RkeState;
}

/** Unpacks a state that the runner packed. The runner uses brotli, because the window of gzip is too small for repeated certificates. */
export function unpackState(packed: string): RkeState {
    return JSON.parse(brotliDecompressSync(Buffer.from(packed.trim(), "base64")).toString("utf8")) as RkeState;
}

/** Certificates without which RKE cannot go on with a cluster. RKE makes the others anew. */
const neededCertificates = ["kube-ca", "kube-admin", "kube-service-account-token"];

/** Returns the state in the text of `cluster.rkestate`, or undefined when the text is cut off or holds no certificates. */
export function completeState(text: string): RkeState | undefined {
    try {
        const state = JSON.parse(text) as RkeState;
        const { certificatesBundle, rkeConfig } = state.desiredState;
        const isComplete =
            rkeConfig.nodes.length > 0 && neededCertificates.every(name => certificatesBundle[name].keyPEM.includes("PRIVATE KEY"));
        return isComplete ? state : undefined;
    } catch {
        // The parser's message would quote the keys.
        return undefined;
    }
}

/** Returns the certificate of the CA in a state. */
export const caOf = ({ desiredState }: RkeState): string => desiredState.certificatesBundle["kube-ca"].certificatePEM;

/** The certificates with which a client and a cluster know each other. */
export interface ClusterKeys {
    ca: string;
    certificate: string;
    key: string;
}

/** Returns the keys of the cluster's administrator. */
export const keysOf = ({ desiredState: { certificatesBundle } }: RkeState): ClusterKeys => {
    const { "kube-ca": ca, "kube-admin": admin } = certificatesBundle;
    return { ca: ca.certificatePEM, certificate: admin.certificatePEM, key: admin.keyPEM };
};

/**
 * Returns a kubeconfig made from the cluster's PKI. RKE writes a file with a new administrator certificate in every run. That file
 * would be unknown in every preview that would run RKE.
 */
export const adminKubeconfig = (state: RkeState, clusterName: string, endpoint: string): string =>
    kubeconfigOf(clusterName, "kube-admin", { endpoint, ...keysOf(state) });

/** Returns the nodes that RKE built, or was about to build. */
export const builtNodes = ({ currentState, desiredState }: RkeState): BuiltNode[] =>
    (currentState?.rkeConfig ?? desiredState.rkeConfig).nodes.map(({ address, internalAddress, hostnameOverride, role }) => ({
        address,
        internalAddress,
        hostnameOverride,
        role,
    }));

const programStart = Date.now();

/** Reports whether the PKI was created after this program started. Nothing is built with such a PKI yet. */
export function isNew(state: RkeState, since = programStart): boolean {
    const { validFrom } = new X509Certificate(caOf(state));
    // The dates in a certificate have no fraction of a second.
    return Date.parse(validFrom) >= Math.floor(since / 1000) * 1000;
}
