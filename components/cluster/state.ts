import { brotliDecompressSync } from "zlib";

/** The parts of RKE's state file that are read here. */
export interface RkeState {
    desiredState: { certificatesBundle: Record<string, { certificatePEM: string; keyPEM: string }> };
}

/** Undoes what the runner does to a state before it prints it: brotli, because the window of gzip misses repeated certificates. */
export function unpackState(packed: string): RkeState {
    return JSON.parse(brotliDecompressSync(Buffer.from(packed.trim(), "base64")).toString("utf8")) as RkeState;
}
