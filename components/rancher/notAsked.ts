import * as pulumi from "@pulumi/pulumi";
import { needsAttention } from "../attention";
import { obstacle } from "../cluster/kubeconfig";
import { withCode } from "../errorCodes";
import { DriftMode } from "../remote/drift";
import { parseProbe } from "../remote/probe";
import type { RancherReleaseArgs } from "./args";

/** The answer of a probe that did not ask: without a finding, Helm does not run again. */
export const notAsked = parseProbe("end");

/**
 * Warns of everything that is left out with a kubeconfig that Helm can use, and this library cannot. The warning asks for no attention when
 * the arguments say the version and turn drift off. A pipeline would otherwise report it every night.
 */
export function warnOfNotAsked(name: string, args: RancherReleaseArgs, drift: DriftMode, component: pulumi.Resource): void {
    if (args.kubeconfig === undefined) return;
    pulumi.all([args.kubeconfig, args.kubernetesVersion]).apply(([kubeconfig, version]) => {
        const reason = obstacle(kubeconfig);
        if (reason === undefined) return;
        const isVersionUnknown = version === "";
        const leftOut = [
            ...(isVersionUnknown ? ["the check that Rancher supports the Kubernetes version. Set existingCluster.kubernetesVersion"] : []),
            "the refusal of an older chart and of another host name",
            ...(drift === DriftMode.Off ? [] : ["the search for drift of the release"]),
            ...(drift === DriftMode.Enforce ? ["the repair of a release that an interrupted run of Helm left pending"] : []),
            `Rancher's settings: ${settingsOf(args).join(", ")}. Set them in Rancher`,
            "the comparison of the CA with the one that Rancher's agents trust",
        ];
        const lines = leftOut.map(each => `  - ${each}\n`).join("");
        const text = withCode(
            "cluster-not-asked",
            `RancherRelease ${name}: ${reason}. This library does not ask the cluster, and leaves out:\n${lines}` +
                "Give a kubeconfig that holds its credentials and leads straight to the API server.",
        );
        if (isVersionUnknown || drift !== DriftMode.Off) needsAttention(text, component);
        else void pulumi.log.warn(text, component);
    });
}

/** Returns the names of Rancher's settings that the stack sets. */
function settingsOf({ telemetry, eulaAgreed }: RancherReleaseArgs): string[] {
    return ["server-url", ...(telemetry === undefined ? [] : ["telemetry-opt"]), ...(eulaAgreed === undefined ? [] : ["eula-agreed"])];
}
