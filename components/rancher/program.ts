import { join } from "path";
import type { z } from "zod";
import { ApiAccess } from "../cluster/kubeconfig";
import { requestHeaderBuffers } from "../loadBalancer/limits";
import { nodeProgram } from "../remote/programs";
import { caVariable } from "./chartValues";
import type { releaseSchema, verificationSchema } from "./schema";

/** Name and namespace of the release. Rancher looks up its own release by them. */
export const identity = { name: "rancher", namespace: "cattle-system" };

/** Annotation of a namespace. Its value is the release whose stack made the namespace: `ORGANIZATION/PROJECT/STACK/RELEASE`. */
export const ownerAnnotation = "pulumi-rancher-ha/owner";

/** The settings that Helm's newest run should have, without the password. */
export interface WantedRelease {
    chartVersion: string;
    values: Record<string, any>;
    timeoutSeconds: number;
    /** `ORGANIZATION/PROJECT/STACK/RELEASE`. */
    owner: string;
}

/** The marks by which a program finds the CA that Rancher gave to its agents. */
export interface CaMarks {
    /** Variable of the pods that holds the checksum of the CA. */
    caVariable: string;
    /** Checksum of the CA of an adopted release, whose pods have no such variable. */
    adoptedCaChecksum?: string;
}

/** Input of runner/freeRelease.js and runner/probeRelease.js. */
export interface ReleaseInput extends CaMarks {
    access: ApiAccess;
    release: { name: string; namespace: string };
    wanted: WantedRelease;
    ownerAnnotation: string;
    /** A higher number makes Helm repair the release. */
    epoch?: number;
    /** True when the probe looks for nothing but a refusal. */
    onlyRefuses?: boolean;
}

/** Returns a program that asks the Kubernetes API for the release. */
export function apiProgram(
    file: string,
    access: ApiAccess,
    wanted: WantedRelease,
    more: Pick<ReleaseInput, "epoch" | "adoptedCaChecksum" | "onlyRefuses">,
): string {
    return nodeProgram<ReleaseInput>(join(__dirname, "runner", file), {
        access,
        release: identity,
        wanted,
        caVariable,
        ownerAnnotation,
        ...more,
    });
}

/** Input of runner/applySettings.js. The keys of `once` and `always` are names of Rancher's settings. */
export interface SettingsInput {
    access: ApiAccess;
    /** Values for settings without a value. A setting that has one keeps it. */
    once: Record<string, string>;
    /** Values that replace others. */
    always: Record<string, string>;
}

/** Returns the program that sets Rancher's settings. */
export function settingsProgram(access: ApiAccess, { hostname, telemetry, eulaAgreed }: RancherSettings): string {
    return nodeProgram<SettingsInput>(join(__dirname, "runner", "applySettings.js"), {
        access,
        once: { "server-url": `https://${hostname}` },
        always: { ...(telemetry && { "telemetry-opt": telemetry }), ...(eulaAgreed && { "eula-agreed": eulaAgreed }) },
    });
}
type RancherSettings = Pick<z.output<typeof releaseSchema>, "hostname" | "telemetry" | "eulaAgreed">;

/** Input of runner/probeCa.js. */
export interface CaInput extends CaMarks {
    access: ApiAccess;
    release: { name: string; namespace: string };
    /** SHA-256 of the stack's CA. Empty for a publicly trusted one. Undefined in a preview of an update that makes a new one. */
    checksum?: string;
}

/** Returns the program that refuses a cluster whose Rancher gave another CA to its agents. */
export function caProgram(access: ApiAccess, checksum: string | undefined, adoptedCaChecksum: string | undefined): string {
    const input = { access, release: identity, caVariable, adoptedCaChecksum, checksum };
    return nodeProgram<CaInput>(join(__dirname, "runner", "probeCa.js"), input);
}

/** Input of runner/probeRepository.js. */
export interface RepositoryInput {
    /** URL of the repository. */
    repo: string;
    chart: string;
    version: string;
    username?: string;
    password?: string;
    /** PEM: the CAs of the repository. Without them, those of Node. */
    ca?: string;
}

/** Returns the program that refuses a chart repository without this version of the chart. */
export function repositoryProgram(input: RepositoryInput): string {
    return nodeProgram<RepositoryInput>(join(__dirname, "runner", "probeRepository.js"), input);
}

const verification = join(__dirname, "runner", "verification.js");
type VerificationSettings = Omit<z.output<typeof verificationSchema>, "liveCheck">;

/** The settings with which Rancher is reached at each address of the load balancer. */
export interface SiteInput {
    hostname: string;
    addresses: string[];
    /** PEM: the private CA. Empty when the CA is publicly trusted. */
    caCertificate: string;
    /** The load balancer's `large_client_header_buffers`, for example `4 64k`. Undefined when it is not known. */
    headerBuffers?: string;
    bootstrapPassword?: string;
    httpsPort: number;
    httpPort: number;
}

/** Input of runner/verification.js as `apply`. */
export interface VerificationInput extends SiteInput {
    after: string[];
    timeoutSeconds: number;
    pauseSeconds: number;
}

/** Input of runner/verification.js as `probe`. */
export interface LiveCheckInput extends SiteInput {
    /** The word of remote/probe.ts with which a fault is reported. */
    asWord: "warning" | "refused";
}

/** Returns the program that repeats the checks, with a pause between, until all succeed or the time is over. */
export function verificationProgram(
    { maxRequestHeaderSize, ...settings }: VerificationSettings,
    around = { httpsPort: 443, httpPort: 80, pauseSeconds: 3 },
): string {
    return nodeProgram<VerificationInput>(verification, { ...settings, ...around, headerBuffers: buffersOf(maxRequestHeaderSize) });
}

const buffersOf = (maxRequestHeaderSize: string | undefined) => maxRequestHeaderSize && requestHeaderBuffers({ maxRequestHeaderSize });

/** Returns the program that checks once, without a login, as a probe. It reports faults with the word `asWord` of remote/probe.ts. */
export function liveCheckProgram(
    { hostname, addresses, caCertificate, maxRequestHeaderSize }: VerificationSettings,
    asWord: LiveCheckInput["asWord"],
    around = { httpsPort: 443, httpPort: 80 },
): string {
    const headerBuffers = buffersOf(maxRequestHeaderSize);
    return nodeProgram<LiveCheckInput>(verification, { hostname, addresses, caCertificate, headerBuffers, asWord, ...around });
}
