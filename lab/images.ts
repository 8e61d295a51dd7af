import { existsSync, readdirSync, readFileSync, rmSync } from "fs";
import { join } from "path";
import type { HostKind } from "./inventory";
import { nodeImage, nodeImageNames } from "./nodeImage/nodeImage";
import { longStep, progress, run } from "./process";
import { cacheFolder, digest, digestOfFolder, keep, newFolder } from "./tools";

/** Podman's default limits exceed the hard limits of some machines, where no container would start. */
export const limits = ["nofile=19000:19000", "nproc=20000:20000"];

const sources = join(__dirname, "hosts");
const built = new Map<HostKind, Promise<string>>();

/** Returns the name of the image for a kind of host, and builds the image if it is missing. */
export function hostImage(kind: HostKind): Promise<string> {
    if (!built.has(kind)) built.set(kind, build(kind));
    return built.get(kind)!;
}

let docker: Promise<string> | undefined;

/** Returns a folder /var/lib/docker that holds only RKE's images, and makes the folder if it is missing. */
export function dockerFolder(): Promise<string> {
    return (docker ??= importImages());
}

/** Returns the configuration and the only layer of the image of RKE's containers: the layer's file and digest. */
export async function nodeImageParts(): Promise<{ config: Buffer; layer: string; diffId: string }> {
    const [folder, layer] = await Promise.all([dockerFolder(), nodeImage()]);
    const configs = join(folder, "image", "overlay2", "imagedb", "content", "sha256");
    const config = readFileSync(join(configs, readdirSync(configs)[0]));
    return { config, layer, diffId: JSON.parse(config.toString()).rootfs.diff_ids[0] };
}

/** Builds every missing image, so that labs that start in parallel find them. */
export async function prepareImages(): Promise<void> {
    await Promise.all([hostImage("lb"), hostImage("lb-newer"), dockerFolder()]);
}

async function build(kind: HostKind): Promise<string> {
    const name = `localhost/rancher-ha-lab/${kind}:${digestOfFolder(sources)}`;
    if ((await run("podman", ["image", "exists", name], { tolerate: true })).code === 0) return name;
    await longStep(`${kind} image`, "building", 30, async () => {
        const archive = join(cacheFolder, "images", `${kind}-${digestOfFolder(sources)}.tar`);
        if (!existsSync(archive)) {
            const draft = newFolder("image");
            await run("sh", [join(sources, "buildImage.sh"), kind, sources, join(draft, "root.tar")]);
            keep(join(draft, "root.tar"), archive);
            rmSync(draft, { recursive: true });
        }
        await run("podman", ["import", "--quiet", archive, name]);
    });
    progress(`${kind} image`, "built");
    return name;
}

/** Imports the images once in a Docker daemon, because an import takes ten seconds of CPU. Nodes get links to the files. */
async function importImages(): Promise<string> {
    const [archive, image] = await Promise.all([nodeImage(), hostImage("node")]);
    const folder = join(cacheFolder, "images", `docker-${digest(archive + image)}`);
    if (existsSync(folder)) return folder;
    const draft = newFolder("docker");
    const script = readFileSync(join(__dirname, "nodeImage", "importImage.sh"), "utf8");
    const flags = [
        "--rm",
        "--interactive",
        "--privileged",
        "--cgroupns=private",
        "--network=none",
        ...limits.map(limit => `--ulimit=${limit}`),
        `--volume=${draft}:/var/lib/docker`,
    ];
    await longStep("images of RKE", "importing", 15, () =>
        run("podman", ["--runtime=runc", "run", ...flags, image, "sh", "-c", script, "importImage.sh", ...nodeImageNames], {
            inputFile: archive,
            timeoutSeconds: 300,
        }),
    );
    // The daemon's own files are removed, because each node's daemon makes them.
    for (const name of readdirSync(draft).filter(found => !["image", "overlay2"].includes(found)))
        rmSync(join(draft, name), { recursive: true });
    keep(draft, folder);
    progress("images of RKE", "imported");
    return folder;
}
