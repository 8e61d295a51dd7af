import * as pulumi from "@pulumi/pulumi";
import { readFileSync } from "fs";
import { z } from "zod";
import { isRepositoryPath } from "../imageNames";
import { maybeSecret, secret } from "../secrecy";
import { whenKnown } from "../validation";

export interface ChartRepositoryOptsArgs {
    /** User of the repository. Refused without `password`. @default no login */
    username?: pulumi.Input<string>;
    /** Password of the user. It is kept as a secret. @default no login */
    password?: pulumi.Input<string>;
    /**
     * Path of a file with the PEM of the CA that issued the repository's certificate, on the machine that runs Pulumi. Refused unless it
     * holds a certificate, and for an OCI registry without a login.
     * @default the CAs that this machine trusts
     */
    caFile?: pulumi.Input<string>;
}

/** Repository of the charts that Rancher calls stable. */
export const stableRepository = "https://releases.rancher.com/server-charts/stable";

/** Repository of the charts that Rancher's pages offer. */
export const rancherCharts = "https://charts.rancher.io";

/** Reports whether the chart comes from an OCI registry. Helm takes its whole reference as the chart, and no repository. */
export const isOci = (repository?: string): repository is string => repository?.startsWith("oci://") ?? false;

/** Returns the path of an OCI reference in its registry, or undefined. Helm takes no other path than container engines do. */
const ociPath = (url: string): string | undefined => {
    const path = /^oci:\/\/[^/@?#\s]+\/(.+)$/.exec(url)?.[1];
    return path !== undefined && isRepositoryPath(path) ? path : undefined;
};

/** Reports whether a URL is the whole reference of Rancher's chart. */
const isReference = (url: string) => /^(.+\/)?rancher$/.test(ociPath(url) ?? "");

const urlSchema = z.url({ protocol: /^(https?|oci)$/, error: "expected the URL of a chart repository" });

/** Schema of a repository that holds charts below it. */
export const chartsRepositorySchema = urlSchema.refine(
    url => !isOci(url) || ociPath(`${url}/chart`) !== undefined,
    "expected the folder of the charts, such as oci://registry.example.com/charts, in lower case, without a slash at its end and a login",
);

export const repositoryShape = {
    repository: maybeSecret(
        urlSchema.refine(
            url => !isOci(url) || isReference(url),
            "expected the whole reference of the chart, such as oci://registry.example.com/charts/rancher, in lower case, without a version and a login",
        ),
    ).optional(),
    repositoryOpts: z
        .strictObject({ username: z.string().min(1), password: secret(z.string().min(1)), caFile: z.string().min(1) })
        .partial()
        .optional(),
    chartPath: z.string().min(1).optional(),
};

// An invalid or unknown text still counts as given.
const text = z.string().optional().catch("");
const knownRepositorySchema = z.looseObject({
    repository: text,
    repositoryOpts: z.looseObject({}).optional().catch(undefined),
    chartPath: text,
});

/** Returns the problem of a chart that comes from two places, or undefined. */
export const givenTwice = ({ repository, chartPath }: { repository?: unknown; chartPath?: unknown }): string | undefined =>
    repository === undefined || chartPath === undefined ? undefined : "expected either repository or chartPath, found both. Remove one.";

/** Lists settings of the repository that contradict each other. */
export function repositoryFaults(settings: unknown): { path: string[]; message: string }[] {
    const { repository, repositoryOpts, chartPath } = knownRepositorySchema.parse(settings);
    const faults: { path: string[]; message: string }[] = [];
    const twice = givenTwice({ repository, chartPath });
    if (twice) faults.push({ path: ["chartPath"], message: twice });
    if (repositoryOpts === undefined) return faults;
    const path = ["repositoryOpts"];
    if (repository === undefined || repository.startsWith("http:")) {
        const message = "expected an https URL or an OCI registry as repository beside them. Set one, or remove repositoryOpts.";
        faults.push({ path, message });
    }
    const { username, password, caFile } = repositoryOpts;
    if (isOci(repository) && caFile !== undefined && (username ?? password) === undefined) {
        // Source: pulumi-kubernetes 4.27 to 4.32, getChart in provider/pkg/provider/helm_release.go.
        const message =
            "expected a login beside the CA of an OCI registry, because Pulumi's Kubernetes provider ignores it alone. Add username and " +
            "password, or let the machine that runs Pulumi trust the CA.";
        faults.push({ path: [...path, "caFile"], message });
    }
    if ((username === undefined) !== (password === undefined))
        faults.push({ path: [...path, username === undefined ? "username" : "password"], message: "expected both username and password" });
    return faults;
}

/**
 * Schema of the repository alone. In a common schema, its password would make all other values secret. A CA file without a certificate
 * is refused here, because Helm reads the file in no first preview.
 */
export const repositorySchema = z.strictObject(repositoryShape).superRefine(
    (settings, context) => {
        repositoryFaults(settings).forEach(fault => context.addIssue({ code: "custom", ...fault }));
        const caFile: unknown = knownRepositorySchema.parse(settings).repositoryOpts?.caFile;
        const fault = typeof caFile === "string" ? caFileFault(caFile) : undefined;
        if (fault) context.addIssue({ code: "custom", path: ["repositoryOpts", "caFile"], message: `${fault}.` });
    },
    whenKnown(z.looseObject({})),
);

function caFileFault(path: string): string | undefined {
    let found = "no certificate";
    try {
        if (readFileSync(path, "utf8").includes("-----BEGIN CERTIFICATE-----")) return undefined;
    } catch (error) {
        found = (error as NodeJS.ErrnoException).code ?? "no readable file";
    }
    return `expected a file with a CA certificate as PEM in ${path}, found ${found}`;
}
