import { X509Certificate } from "crypto";
import { brotliDecompressSync } from "zlib";

/** The parts of RKE's own note of a cluster that are read here. */
export interface RkeConfig {
    kubernetesVersion: string;
    nodes: RkeNode[];
    network: { plugin: string };
    services: { kubeController: { clusterCidr: string; serviceClusterIpRange: string } };
    ingress?: { options?: Record<string, string> };
}

export interface RkeNode {
    address: string;
    hostnameOverride?: string;
    role: string[];
    labels?: Record<string, string>;
    taints?: Taint[];
}

export interface Taint {
    key: string;
    value?: string;
    effect: string;
}

/** The parts of RKE's state file that are read here. */
export interface RkeState {
    desiredState: { rkeConfig: RkeConfig; certificatesBundle: Record<string, { certificatePEM: string; keyPEM: string }> };
    /** Missing before RKE built anything. */
    currentState?: { rkeConfig?: RkeConfig };
}

/** Undoes what the runner does to a state before it prints it: brotli, because the window of gzip misses repeated certificates. */
export function unpackState(packed: string): RkeState {
    return JSON.parse(brotliDecompressSync(Buffer.from(packed.trim(), "base64")).toString("utf8")) as RkeState;
}

const programStart = Date.now();

/** Whether the PKI was made since this program began: then nothing is built with it yet. */
export function isNew(state: RkeState, since = programStart): boolean {
    const { validFrom } = new X509Certificate(state.desiredState.certificatesBundle["kube-ca"].certificatePEM);
    // A certificate tells whole seconds.
    return Date.parse(validFrom) >= Math.floor(since / 1000) * 1000;
}
