/** Facts on which the file for `pulumi import` depends. */
export interface Imported {
    project: string;
    stack: string;
    /** True when the installation has the Secret tls-ca. */
    hasCaSecret: boolean;
    /** True when the installation has the Secret tls-ca-additional. */
    hasAdditionalCas: boolean;
}

const library = "pulumi-rancher-ha:index";

/** Renders the file for `pulumi import --file`: namespace, Secrets and Helm release, with the parents that they have in the stack. */
export function importFile({ project, stack, hasCaSecret, hasAdditionalCas }: Imported): string {
    const urn = (types: string, name: string) => `urn:pulumi:${stack}::${project}::${library}:RancherHa${types}::${name}`;
    const resource = (type: string, name: string, id: string, parent: string) => ({ type, name, id, parent, provider: "provider" });
    const secret = (name: string, id: string, parent: string) => resource("kubernetes:core/v1:Secret", name, `cattle-system/${id}`, parent);
    const nameTable = {
        root: urn("", "rancher"),
        provider: urn("$pulumi:providers:kubernetes", "rancher-kubernetes"),
        ...(hasCaSecret && { ca: urn(`$${library}:CaSecret`, "rancher-ca-secret") }),
    };
    const resources = [
        resource("kubernetes:core/v1:Namespace", "rancher-namespace", "cattle-system", "root"),
        ...(hasCaSecret ? [secret("rancher-ca-secret-secret", "tls-ca", "ca")] : []),
        { type: `${library}:RancherRelease`, name: "rancher-release", component: true, parent: "root" },
        ...(hasAdditionalCas ? [secret("rancher-release-additional-cas", "tls-ca-additional", "rancher-release")] : []),
        resource("kubernetes:helm.sh/v3:Release", "rancher-release-release", "cattle-system/rancher", "rancher-release"),
    ];
    return `${JSON.stringify({ nameTable, resources }, undefined, 2)}\n`;
}

/** Returns the patterns for `pulumi up --target`. They select the cluster's part of the stack, without the objects of the import file. */
export const clusterTargets = ({ hasCaSecret }: Pick<Imported, "hasCaSecret">): string[] =>
    ["rancher", "rancher-cluster", "rancher-cluster-*", "rancher-kubernetes", ...(hasCaSecret ? ["rancher-ca-secret"] : [])].map(
        name => `**::${name}`,
    );
