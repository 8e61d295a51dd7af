import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { ExistingClusterArgs } from "../cluster/existingCluster";
import { RkeClusterSettingsArgs } from "../cluster/rke/args";
import { insideCluster } from "../cluster/rke/network";
import { isHost } from "../remote/addresses";
import { maybeSecret } from "../secrecy";

/** Targets of the chart's own `noProxy`. Source: the chart's values.yaml, Rancher 2.9 to 2.15. */
const chartDefault = ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", ".svc", ".cluster.local"];

/** Reports whether a text is the URL of a proxy. The chart writes the URL into YAML without quotes. */
function isProxy(text: string): boolean {
    if (!/^https?:\/\/\S*[^\s:]$/.test(text) || !URL.canParse(text)) return false;
    const { pathname, search, hash } = new URL(text);
    return pathname === "/" && search === "" && hash === "";
}

// Source of the forms: golang.org/x/net/http/httpproxy, which Rancher reads NO_PROXY with.
const rangeSchema = z.union([z.cidrv4(), z.cidrv6()]);
const isTarget = (text: string) => rangeSchema.safeParse(text).success || isHost(text.replace(/^\*?\./, "any."));

export const proxyShape = {
    proxy: maybeSecret(
        z.string().refine(isProxy, "expected an http or https URL without a path, such as http://proxy.example.com:3128"),
    ).optional(),
    noProxy: z
        .array(z.string().refine(isTarget, "expected one address, range or DNS name, such as 192.0.2.0/24 or .example.com"))
        .optional(),
};

/** Reports exceptions without a proxy. */
export function reportNoProxyAlone({ proxy, noProxy }: { proxy?: unknown; noProxy?: unknown }, context: z.core.$RefinementCtx): void {
    if (noProxy === undefined || proxy !== undefined) return;
    context.addIssue({ code: "custom", path: ["proxy"], message: "expected a proxy beside noProxy. Set it, or remove noProxy." });
}

/** Schema of the proxy alone. In a common schema, a secret proxy would make all other values secret. */
export const proxySchema = z.strictObject(proxyShape).superRefine(reportNoProxyAlone);

/** Returns the chart's `noProxy`: its default, the stack's own name, and further targets. */
export const noProxyValue = (hostname: string, further: string[]): string =>
    [...new Set([...chartDefault, "localhost", hostname, ...further])].join(",");

/** Returns the targets that pods reach without a proxy: the cluster's own, and those of the configuration. */
export function directTargets(args: {
    cluster?: RkeClusterSettingsArgs;
    existingCluster?: ExistingClusterArgs;
    rancher: { noProxy?: pulumi.Input<pulumi.Input<string>[]> };
}): pulumi.Output<string[]> {
    const { nodes, network, services } = args.cluster ?? {};
    const { ingressAddresses = [], controlPlaneAddresses = [] } = args.existingCluster ?? {};
    // Of nodes, network and services, only SSH keys and environment variables are secret.
    const cluster = pulumi.unsecret(pulumi.all([nodes && { nodes, network, services }, ingressAddresses, controlPlaneAddresses]));
    return pulumi
        .all([cluster, args.rancher.noProxy])
        .apply(([[rke, ingress, controlPlane], further = []]) => [
            ...(rke ? insideCluster(rke) : []),
            ...ingress,
            ...controlPlane,
            ...further,
        ]);
}
