import { join } from "path";
import type { z } from "zod";
import { ApiAccess } from "../cluster/kubeconfig";
import { nodeProgram } from "../remote/programs";
import { ownerAnnotation } from "../owner";
import { caVariable } from "./chartValues";
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

/** A program that asks the Kubernetes API for the release. */
export function apiProgram(file: string, access: ApiAccess, wanted: WantedRelease, epoch?: number): string {
    return nodeProgram(join(__dirname, "runner", file), { access, release: identity, wanted, caVariable, ownerAnnotation, epoch });
}

const verification = join(__dirname, "runner", "verification.js");
type VerificationSettings = Omit<z.output<typeof verificationSchema>, "liveCheck">;

/** The program that verifies, once in each pause until all is well. */
export function verificationProgram(args: VerificationSettings, around = { httpsPort: 443, httpPort: 80, pauseSeconds: 3 }): string {
    return nodeProgram(verification, { ...args, ...around });
}

/** The program that looks once, without a login, as a probe. What is wrong is said with this word of remote/probe.ts. */
export function liveCheckProgram(
    { hostname, addresses, caCertificate }: VerificationSettings,
    asWord: "warning" | "refused",
    around = { httpsPort: 443, httpPort: 80 },
): string {
    return nodeProgram(verification, { hostname, addresses, caCertificate, asWord, ...around });
}
