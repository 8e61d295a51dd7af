import { join } from "path";
import type { z } from "zod";
import { ApiAccess } from "../cluster/kubeconfig";
import { nodeProgram } from "../remote/programs";
import { ownerAnnotation } from "../owner";
import { caVariable } from "./chartValuesSchema";
import type { verificationSchema } from "./schema";

/** Rancher looks itself up by this name in this namespace. */
export const identity = { name: "rancher", namespace: "cattle-system" };

/** What this stack wants of Helm's newest run, without the password. */
export interface WantedRelease {
    chartVersion: string;
    values: Record<string, any>;
    timeoutSeconds: number;
    /** `ORGANIZATION/PROJECT/STACK/RELEASE`. */
    owner: string;
}

/** What runner/freeRelease.js and runner/probeRelease.js are given. */
export interface ReleaseInput {
    access: ApiAccess;
    release: { name: string; namespace: string };
    wanted: WantedRelease;
    caVariable: string;
    ownerAnnotation: string;
    /** Rises when the release is to be repaired. */
    epoch?: number;
}

/** A program that asks the Kubernetes API for the release. */
export function apiProgram(file: string, access: ApiAccess, wanted: WantedRelease, epoch?: number): string {
    return nodeProgram<ReleaseInput>(join(__dirname, "runner", file), {
        access,
        release: identity,
        wanted,
        caVariable,
        ownerAnnotation,
        epoch,
    });
}

const verification = join(__dirname, "runner", "verification.js");
type VerificationSettings = Omit<z.output<typeof verificationSchema>, "liveCheck">;

/** How Rancher is reached at each address of the load balancer. */
export interface SiteInput {
    hostname: string;
    addresses: string[];
    /** PEM; empty with a publicly trusted CA. */
    caCertificate: string;
    bootstrapPassword?: string;
    httpsPort: number;
    httpPort: number;
}

/** What runner/verification.js is given as `apply`. */
export interface VerificationInput extends SiteInput {
    after: string[];
    timeoutSeconds: number;
    pauseSeconds: number;
}

/** What runner/verification.js is given as `probe`. */
export interface LiveCheckInput extends SiteInput {
    /** The word of remote/probe.ts by which a fault is said. */
    asWord: "warning" | "refused";
}

/** The program that verifies, once in each pause until all is well. */
export function verificationProgram(args: VerificationSettings, around = { httpsPort: 443, httpPort: 80, pauseSeconds: 3 }): string {
    return nodeProgram<VerificationInput>(verification, { ...args, ...around });
}

/** The program that looks once, without a login, as a probe. What is wrong is said with this word of remote/probe.ts. */
export function liveCheckProgram(
    { hostname, addresses, caCertificate }: VerificationSettings,
    asWord: LiveCheckInput["asWord"],
    around = { httpsPort: 443, httpPort: 80 },
): string {
    return nodeProgram<LiveCheckInput>(verification, { hostname, addresses, caCertificate, asWord, ...around });
}
