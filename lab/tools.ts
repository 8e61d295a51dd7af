import { createHash } from "crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "fs";
import { homedir } from "os";
import { join } from "path";
import { progress, run } from "./process";

/** Where everything that is built once is kept, outside the repository. */
export const cacheFolder = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "pulumi-rancher-ha");

interface Tool {
    /** Folder with go.mod, under lab/. */
    module: string;
    package: string;
    ldflags?: string;
    /** Other names under which the binary is called. */
    links?: string[];
}

const kubernetesVersion = "v1.30.14";
const tools: Record<string, Tool> = {
    kubernetes: {
        module: "tools/kubernetes",
        package: ".",
        ldflags: ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"]
            .map(p => `-X ${p}.gitVersion=${kubernetesVersion}`)
            .join(" "),
        links: ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"],
    },
    rke: { module: "tools/rke", package: "github.com/rancher/rke", ldflags: "-X main.VERSION=v1.8.14" },
    kwok: { module: "tools/kwok", package: "sigs.k8s.io/kwok/cmd/kwok" },
    helm: { module: "tools/helm", package: "helm.sh/helm/v3/cmd/helm" },
    "node-workloads": { module: "rancher", package: "." },
    traffic: { module: "traffic", package: "." },
};

/** Debian packages the lab uses on this machine. None of them starts a service. */
const debianPackages = [
    "busybox-static",
    "ca-certificates",
    "iptables",
    "iproute2",
    "mmdebstrap",
    "netavark",
    "aardvark-dns",
    "openssh-client",
    "openssl",
    "podman",
    "procps",
    "runc",
    "shellcheck",
    "zip",
];

/** Builds every tool that is not in the cache; returns the folder that holds them all, for PATH. */
export async function buildTools(quietWhenReused = false): Promise<string> {
    const versions = Object.keys(tools).map(name => [name, toolFolder(name)] as const);
    for (const [name, folder] of versions) {
        if (!existsSync(folder)) await build(name, folder);
        else if (!quietWhenReused) progress(name, "reused");
    }
    const path = join(cacheFolder, "path", digest(versions.map(([, folder]) => folder).join("\n")));
    if (!existsSync(path)) {
        const draft = newFolder("path");
        for (const [name, folder] of versions) {
            for (const link of [name, ...(tools[name].links ?? [])]) symlinkSync(join(folder, name), join(draft, link));
        }
        keep(draft, path);
    }
    return path;
}

export async function installDebianPackages(): Promise<void> {
    const { stdout } = await run("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\n", ...debianPackages], { tolerate: true });
    const missing = debianPackages.filter(name => !stdout.includes(`${name} installed`));
    if (missing.length === 0) return progress("packages", "reused");
    if (process.getuid?.() !== 0) throw new Error(`the lab needs root to install Debian packages (${missing.join(" ")}): run make as root`);
    progress("packages", `installing ${missing.join(" ")}`);
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    await run("apt-get", ["update", "-qq"], { env });
    await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing], { env });
    progress("packages", "installed");
}

/** The files of a Debian package without installing it, so that no service of it starts on this machine. */
export async function unpackedDebianPackages(names: string[]): Promise<string> {
    const folder = join(cacheFolder, "debian", names.join("_"));
    if (existsSync(folder)) return folder;
    const draft = newFolder("debian");
    const archives = newFolder("archives");
    await run("apt-get", ["update", "-qq"]);
    await run("apt-get", ["download", "-qq", ...names], { cwd: archives });
    for (const archive of readdirSync(archives)) await run("dpkg-deb", ["-x", join(archives, archive), draft]);
    rmSync(archives, { recursive: true });
    keep(draft, folder);
    return folder;
}

/** A digest of the files under a folder, for names of things built from them. */
export function digestOfFolder(folder: string): string {
    const files = readdirSync(folder, { withFileTypes: true }).sort((a, b) => a.name.localeCompare(b.name));
    return digest(
        files
            .map(
                file =>
                    `${file.name} ${file.isDirectory() ? digestOfFolder(join(folder, file.name)) : digest(readFileSync(join(folder, file.name)))}`,
            )
            .join("\n"),
    );
}

export function digest(data: string | Buffer): string {
    return createHash("sha256").update(data).digest("hex").slice(0, 16);
}

/** A new folder inside the cache, to be filled and then kept under its final name. */
export function newFolder(purpose: string): string {
    mkdirSync(cacheFolder, { recursive: true });
    return mkdtempSync(join(cacheFolder, `.${purpose}-`));
}

/** Gives a filled folder or file its final name at once, so that a killed run never leaves half of it there. */
export function keep(draft: string, final: string): void {
    mkdirSync(join(final, ".."), { recursive: true });
    try {
        renameSync(draft, final);
    } catch (error) {
        if (!existsSync(final)) throw error;
        rmSync(draft, { recursive: true, force: true });
    }
}

/** The Go module folder of a dependency of a tool. */
export async function moduleFolder(tool: string, module: string): Promise<string> {
    return (await run("go", ["list", "-m", "-f", "{{.Dir}}", module], { cwd: join(__dirname, tools[tool].module) })).stdout.trim();
}

function toolFolder(name: string): string {
    return join(cacheFolder, "tools", `${name}-${digest(JSON.stringify(tools[name]) + goSources(join(__dirname, tools[name].module)))}`);
}

function goSources(folder: string): string {
    return readdirSync(folder)
        .filter(file => /^go\.(mod|sum)$|\.go$/.test(file))
        .map(file => readFileSync(join(folder, file), "utf8"))
        .join("\0");
}

async function build(name: string, folder: string): Promise<void> {
    const tool = tools[name];
    progress(name, `building${name === "kubernetes" ? " (minutes, once)" : ""}`);
    const draft = newFolder("tool");
    // Without cgo the binaries run in any image and need no C compiler.
    const env = { ...process.env, CGO_ENABLED: "0" };
    const ldflags = `-s -w ${tool.ldflags ?? ""}`.trim();
    await run("go", ["build", "-trimpath", "-ldflags", ldflags, "-o", join(draft, name), tool.package], {
        cwd: join(__dirname, tool.module),
        env,
    });
    keep(draft, folder);
    progress(name, "built");
}
