import { existsSync, rmSync } from "fs";
import { join } from "path";
import type { HostKind } from "./inventory";
import { nodeImage } from "./nodeImage/nodeImage";
import { progress, run } from "./process";
import { cacheFolder, digestOfFolder, keep, newFolder } from "./tools";

const sources = join(__dirname, "hosts");
const built = new Map<HostKind, Promise<string>>();

/** The image of a kind of host, which is built when it is not there. Returns its name. */
export function hostImage(kind: HostKind): Promise<string> {
    if (!built.has(kind)) built.set(kind, build(kind));
    return built.get(kind)!;
}

/** Builds every image that is not there, so that labs that start side by side find them. */
export async function prepareImages(): Promise<void> {
    await Promise.all([hostImage("lb"), hostImage("node"), hostImage("lb-newer"), nodeImage()]);
}

async function build(kind: HostKind): Promise<string> {
    const name = `localhost/rancher-ha-lab/${kind}:${digestOfFolder(sources)}`;
    if ((await run("podman", ["image", "exists", name], { tolerate: true })).code === 0) return name;
    progress(`${kind} image`, "building (half a minute)");
    const archive = join(cacheFolder, "images", `${kind}-${digestOfFolder(sources)}.tar`);
    if (!existsSync(archive)) {
        const draft = newFolder("image");
        await run("sh", [join(sources, "buildImage.sh"), kind, sources, join(draft, "root.tar")]);
        keep(join(draft, "root.tar"), archive);
        rmSync(draft, { recursive: true });
    }
    await run("podman", ["import", "--quiet", archive, name]);
    progress(`${kind} image`, "built");
    return name;
}
