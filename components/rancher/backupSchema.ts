import { z } from "zod";
import { checkBackupChart } from "../cluster/compatibility";
import { objectNameSchema } from "../cluster/kubernetesNames";
import { s3Schema } from "../s3";
import { maybeSecret, secret } from "../secrecy";
import { whenKnown } from "../validation";
import { chartFault } from "./chartFile";
import { chartsRepositorySchema, givenTwice } from "./chartRepository";
import { scheduleFault } from "./cron";

/** Schema of a claim of a volume. */
const volumeSchema = z.strictObject({
    name: objectNameSchema,
    size: z.string().regex(/^[1-9]\d*(Mi|Gi|Ti)$/, "expected a size such as 10Gi"),
    storageClass: objectNameSchema.optional(),
});

const owned = ["s3", "persistence"];

const shape = {
    chartVersion: z
        .string()
        .regex(/^\d+\.\d+\.\d+\+up\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/, "expected one exact version such as 106.0.2+up7.0.2, without v"),
    repository: maybeSecret(chartsRepositorySchema).optional(),
    chartPath: z.string().min(1).optional(),
    crdChartPath: z.string().min(1).optional(),
    schedule: z
        .string()
        .superRefine((schedule, context) => {
            const message = scheduleFault(schedule);
            if (message) context.addIssue({ code: "custom", message });
        })
        .default("0 2 * * *"),
    retentionCount: z.number().int().min(1).max(10_000).default(10),
    encryptionKey: secret(
        z.string().regex(/^[A-Za-z0-9+/]{43}=$/, "expected 32 random bytes in base64, as openssl rand -base64 32 prints them."),
    ),
    s3: s3Schema.optional(),
    volume: volumeSchema.optional(),
    values: maybeSecret(z.record(z.string(), z.any())).default({}),
    timeoutSeconds: z.number().int().min(60).max(86_400).default(600),
};

const text = z.string().optional().catch(undefined);
/** The fields that cross-field rules read. An invalid or unknown value counts as given. */
const knownSchema = z.looseObject({
    chartVersion: text,
    rancherVersion: text,
    repository: z.unknown().optional(),
    chartPath: z.unknown().optional(),
    crdChartPath: z.unknown().optional(),
    s3: z.unknown().optional(),
    volume: z.unknown().optional(),
    values: z.record(z.string(), z.unknown()).catch({}),
});

/** Reports settings that contradict each other, or that do not fit Rancher's version. `at` is the path of the settings. */
export function reportBackup(settings: unknown, context: z.core.$RefinementCtx, at: PropertyKey[] = []): void {
    const backup = knownSchema.parse(settings);
    const problem = (path: string[], message: string, params?: { errorCode: "versions" }) =>
        context.addIssue({ code: "custom", path: [...at, ...path], message, params });
    const { chartVersion, rancherVersion, repository, chartPath, crdChartPath, s3, volume } = backup;
    if ((s3 === undefined) === (volume === undefined)) {
        problem(["s3"], `expected exactly one of s3 and volume, found ${s3 === undefined ? "neither" : "both. Remove one"}.`);
    }
    if ((chartPath === undefined) !== (crdChartPath === undefined)) {
        problem([chartPath === undefined ? "chartPath" : "crdChartPath"], "expected both chartPath and crdChartPath, or neither.");
    }
    const twice = givenTwice({ repository, chartPath });
    if (twice) problem(["chartPath"], twice);
    for (const key of owned.filter(each => each in backup.values)) {
        problem(["values", key], "expected nothing here, because s3 and volume set it. Remove it.");
    }
    const fault = chartVersion && rancherVersion && checkBackupChart(chartVersion, rancherVersion);
    if (fault) problem(["chartVersion"], fault, { errorCode: "versions" });
}

/** Schema of `RancherBackupSettingsArgs`. `rancherSettingsSchema` checks it with Rancher's version. */
export const rancherBackupSettingsSchema = z.strictObject(shape);

/** Reports charts on disk that are not of the wanted version. */
function reportCharts({ chartVersion, ...paths }: z.output<typeof chartsSchema>, context: z.core.$RefinementCtx): void {
    for (const key of ["chartPath", "crdChartPath"] as const) {
        const message = paths[key] && chartFault(paths[key], chartVersion);
        if (message) context.addIssue({ code: "custom", path: [key], message: `${message}.`, params: { errorCode: "versions" } });
    }
}
const chartsSchema = z.looseObject({ chartVersion: z.string(), chartPath: z.string().optional(), crdChartPath: z.string().optional() });

/** Schema of `RancherBackupArgs`. */
export const rancherBackupSchema = z
    .strictObject({ ...shape, rancherVersion: z.string(), systemDefaultRegistry: z.string().optional() })
    .superRefine((settings, context) => reportBackup(settings, context), whenKnown(z.looseObject({})))
    .superRefine((settings, context) => reportCharts(settings, context), whenKnown(chartsSchema));
export type RancherBackupInputs = z.output<typeof rancherBackupSchema>;
