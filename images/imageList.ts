import { parseAllDocuments, stringify } from "yaml";
import { z } from "zod";
import { upstreamVersion } from "../components/cluster/compatibility";
import { registriesYml, systemImagesSchema } from "../components/cluster/rke/registries";
import { networkSchema } from "../components/cluster/rke/network";
import { helmValues } from "../components/rancher/helmValues";
import { isOci, stableRepository } from "../components/rancher/chartRepository";
import { rancherSettingsSchema } from "../components/rancher/schema";

const clusterSchema = z.looseObject({
    kubernetesVersion: z.string(),
    network: z.looseObject({ plugin: networkSchema.shape.plugin }).prefault({}),
    systemImages: systemImagesSchema,
    privateRegistries: z.array(z.looseObject({ url: z.string() })).default([]),
});
const settingsSchema = z.looseObject({
    hostname: z.string(),
    cluster: clusterSchema.optional(),
    existingCluster: z.looseObject({ kubernetesVersion: z.string().optional() }).optional(),
    rancher: rancherSettingsSchema,
});

/** The part of a stack's configuration on which its images depend. */
export type ImageSettings = z.output<typeof settingsSchema>;
type ClusterImageSettings = z.output<typeof clusterSchema>;

/** Reads the configuration of a stack, as it stands in `Pulumi.<stack>.yaml`. Encrypted values stay out. */
export function readSettings(config: Record<string, unknown>, project: string): ReturnType<typeof settingsSchema.safeParse> {
    const own = Object.entries(config).filter(([key]) => key.startsWith(`${project}:`));
    return settingsSchema.safeParse(Object.fromEntries(own.map(([key, value]) => [key.slice(project.length + 1), withoutSecrets(value)])));
}

function withoutSecrets(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(withoutSecrets);
    if (typeof value !== "object" || value === null) return value;
    if ("secure" in value) return undefined;
    return Object.fromEntries(Object.entries(value).map(([key, below]) => [key, withoutSecrets(below)]));
}

/** Returns a cluster.yml of one node, by which RKE tells its images in the state. It names no registry, which would prefix them. */
export const imagesYml = ({ kubernetesVersion, network, systemImages }: ClusterImageSettings): string =>
    stringify({
        kubernetes_version: kubernetesVersion,
        nodes: [{ address: "192.0.2.1", user: "nobody", role: ["controlplane", "etcd", "worker"] }],
        network: { plugin: network.plugin },
        ...registriesYml([], systemImages),
    });

const plugins = /^(calico|canal|flannel|weave|aci)/;
/** The image of calicoctl, which RKE also hands to canal. */
const shared = "calicoCtl";

/** Returns RKE's images in its state, without those of other network plugins and those that are in a private registry already. */
export function rkeImages(state: string, { network, privateRegistries }: ClusterImageSettings): string[] {
    const images: Record<string, string> = JSON.parse(state).desiredState.rkeConfig.systemImages;
    const isNeeded = (key: string) =>
        (plugins.exec(key)?.[1] ?? network.plugin) === network.plugin || (key === shared && network.plugin === "canal");
    const needed = Object.entries(images).flatMap(([key, image]) => (isNeeded(key) && !key.startsWith("windows") ? [image] : []));
    return unique(needed.filter(image => !privateRegistries.some(({ url }) => image.startsWith(`${url}/`))));
}

/** Returns the values with which the chart names its images by their public names. In JSON, helm reads no string as another type. */
export function imageValues({ hostname, rancher: { values, ...settings } }: ImageSettings): string {
    const { systemDefaultRegistry, rancherImage, ...others } = values;
    const publicName = systemDefaultRegistry ? rancherImage?.replace(`${systemDefaultRegistry}/`, "") : rancherImage;
    return JSON.stringify(helmValues({ ...settings, values: { ...others, rancherImage: publicName }, hostname, caChecksum: "" }));
}

/** Returns the settings with the chart in a folder or an archive, in place of the one that the configuration names. */
export function withChart({ rancher, ...settings }: ImageSettings, chartPath: string): ImageSettings {
    return { ...settings, rancher: { ...rancher, repository: undefined, repositoryOpts: undefined, chartPath } };
}

/** Returns the arguments of `helm template`, which reads the values from standard input. */
export function helmArguments({ rancher, cluster, existingCluster }: ImageSettings): string[] {
    const { chartPath, chartVersion, repository = stableRepository, repositoryOpts } = rancher;
    const chart = chartPath ? [chartPath] : [isOci(repository) ? repository : "rancher", "--version", chartVersion];
    const version = upstreamVersion((cluster ?? existingCluster)?.kubernetesVersion ?? "");
    return [
        "template",
        "rancher",
        ...chart,
        ...(chartPath || isOci(repository) ? [] : ["--repo", repository]),
        ...(repositoryOpts?.caFile ? ["--ca-file", repositoryOpts.caFile] : []),
        ...(version ? ["--kube-version", version] : []),
        "--namespace=cattle-system",
        "--values=-",
    ];
}

/** Returns every image that the objects of a manifest name. */
export function manifestImages(manifest: string): string[] {
    const imagesIn = (value: unknown): string[] =>
        typeof value !== "object" || value === null
            ? []
            : Object.entries(value).flatMap(([key, below]) => (key === "image" && typeof below === "string" ? [below] : imagesIn(below)));
    return unique(parseAllDocuments(manifest, { uniqueKeys: false }).flatMap(document => imagesIn(document.toJS())));
}

/** Returns the whole list: an image a line, the chart, and the place of the images that Rancher pulls later. */
export function listText(images: string[], { rancher: { chartPath, chartVersion, repository = stableRepository } }: ImageSettings): string {
    const asset = `https://github.com/rancher/rancher/releases/download/v${chartVersion}/rancher-images.txt`;
    return [
        ...unique(images),
        `# chart: rancher ${chartVersion} from ${chartPath ?? repository}`,
        `# Rancher pulls further images later, for the charts that it installs: ${asset}`,
        "",
    ].join("\n");
}

const unique = (list: string[]): string[] => [...new Set(list)].sort();
