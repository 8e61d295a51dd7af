import * as pulumi from "@pulumi/pulumi";
import { readFileSync } from "fs";
import { observe } from "../remote/commands";
import { settled } from "../validation";
import { repositoryProgram } from "./program";

interface ChartSource {
    chart: pulumi.Input<string>;
    version: pulumi.Input<string>;
    /** Without a URL, the chart is a file or comes from an OCI registry. */
    repositoryOpts: pulumi.Input<{ repo?: string; caFile?: string; username?: string; password?: string }>;
}

/**
 * Asks the repository of a chart in the preview that creates the release. Helm asks it only when the cluster is there: after RKE has
 * worked for many minutes.
 */
export function askRepository(what: string, component: pulumi.Resource, release: pulumi.CustomResource, source: ChartSource): void {
    if (!pulumi.runtime.isDryRun()) return;
    pulumi.unsecret(pulumi.all([settled(release.id), pulumi.output(source)])).apply(([isThere, { chart, version, repositoryOpts }]) => {
        const { repo, caFile, username, password } = repositoryOpts;
        if (isThere || repo === undefined) return undefined;
        const ca = caFile === undefined ? undefined : readFileSync(caFile, "utf8");
        return observe(repositoryProgram({ repo, chart, version, username, password, ca }), what, component);
    });
}
