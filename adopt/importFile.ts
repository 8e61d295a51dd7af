/** Parts of an installation that `pulumi import` takes into the state. */
export interface Imported {
    project: string;
    stack: string;
    /** Reports whether the installation has the Secret tls-ca. */
    hasCaSecret: boolean;
}

const library = "pulumi-rancher-ha:index";

/** Renders the file for `pulumi import --file`: namespace, Secret and Helm release in the places that index.ts gives them. */
export function importFile({ project, stack, hasCaSecret }: Imported): string {
    const urn = (types: string, name: string) => `urn:pulumi:${stack}::${project}::${library}:RancherHa${types}::${name}`;
    const resource = (type: string, name: string, id: string, parent: string) => ({ type, name, id, parent, provider: "provider" });
    const nameTable = {
        root: urn("", "rancher"),
        provider: urn("$pulumi:providers:kubernetes", "rancher-kubernetes"),
        ...(hasCaSecret && { ca: urn(`$${library}:CaSecret`, "rancher-ca-secret") }),
    };
    const resources = [
        resource("kubernetes:core/v1:Namespace", "rancher-namespace", "cattle-system", "root"),
        ...(hasCaSecret ? [resource("kubernetes:core/v1:Secret", "rancher-ca-secret-secret", "cattle-system/tls-ca", "ca")] : []),
        { type: `${library}:RancherRelease`, name: "rancher-release", component: true, parent: "root" },
        resource("kubernetes:helm.sh/v3:Release", "rancher-release-release", "cattle-system/rancher", "rancher-release"),
    ];
    return `${JSON.stringify({ nameTable, resources }, undefined, 2)}\n`;
}

/** Patterns for `pulumi up --target` that build the cluster's part of the stack, and nothing that the import file takes. */
export const clusterTargets = ({ hasCaSecret }: Pick<Imported, "hasCaSecret">): string[] =>
    ["rancher", "rancher-cluster", "rancher-cluster-*", "rancher-kubernetes", ...(hasCaSecret ? ["rancher-ca-secret"] : [])].map(
        name => `**::${name}`,
    );
