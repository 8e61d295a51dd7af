import { createHash } from "crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "fs";
import { homedir } from "os";
import { join } from "path";
import { repository } from "./inventory";
import { duration, longStep, progress, run } from "./process";

/** Folder of everything that is built only once, outside the repository. */
export const cacheFolder = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "pulumi-rancher-ha");

interface Tool {
    /** Folder with go.mod, under lab/. */
    module: string;
    package: string;
    /** File of the folder that takes the place of its go.mod. A .sum file of the same name stands beside it. */
    modFile?: string;
    ldflags?: string;
    /** Further names under which the binary is called. */
    links?: string[];
    /** Files of a Go module that the binary reads from its own folder. */
    beside?: Record<string, { module: string; file: string }>;
    /** Seconds that the first build takes on two cores. */
    seconds: number;
    /** `make up` needs the tools for `stack`. Only tests and measurements need those for `tests`. A soak test builds those for `soak` itself. */
    for: "stack" | "tests" | "soak";
}

/** Returns the flags with which Kubernetes tells its version. */
const kubernetesFlags = (version: string) =>
    ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"].map(p => `-X ${p}.gitVersion=${version}`).join(" ");
/** The version that package.json pins, because the Pulumi CLI warns about a provider that reports another version. */
const kubernetesProviderVersion = installedVersion("@pulumi/kubernetes");
const pulumiVersion = /pulumi\/pkg\/v3 v(\S+)/.exec(readFileSync(join(__dirname, "tools/pulumi/go.mod"), "utf8"))![1];
const kubernetesProvider = "github.com/pulumi/pulumi-kubernetes/provider/v4";

// The tools are built in this order. Tools for nodes come first, so that nodes boot while the others are built.
const tools = {
    kubernetes: {
        module: "tools/kubernetes",
        package: ".",
        ldflags: kubernetesFlags("v1.30.14"),
        links: ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"],
        seconds: 360,
        for: "stack",
    },
    kwok: { module: "tools/kwok", package: "sigs.k8s.io/kwok/cmd/kwok", seconds: 60, for: "stack" },
    "node-workloads": { module: "rancher", package: ".", seconds: 30, for: "stack" },
    pulumi: {
        module: "tools/pulumi",
        package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        ldflags: `-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=${pulumiVersion}`,
        seconds: 240,
        for: "stack",
    },
    "pulumi-resource-kubernetes": {
        module: "tools/pulumi-kubernetes",
        package: ".",
        ldflags: `-X main.version=${kubernetesProviderVersion}`,
        beside: { "schema.json": { module: kubernetesProvider, file: "cmd/pulumi-resource-kubernetes/schema.json" } },
        seconds: 180,
        for: "stack",
    },
    rke: { module: "tools/rke", package: "github.com/rancher/rke", ldflags: "-X main.VERSION=v1.8.14", seconds: 120, for: "stack" },
    "pulumi-plugins": { module: "plugins", package: ".", seconds: 30, for: "stack" },
    helm: { module: "tools/helm", package: "helm.sh/helm/v3/cmd/helm", seconds: 60, for: "tests" },
    "pulumi-language-yaml": {
        module: "tools/pulumi-yaml",
        package: "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml",
        seconds: 60,
        for: "tests",
    },
    versitygw: { module: "tools/versitygw", package: "github.com/versity/versitygw/cmd/versitygw", seconds: 100, for: "tests" },
    "s3-object": { module: "tools/s3-object", package: ".", seconds: 20, for: "tests" },
    registry: { module: "tools/registry", package: ".", seconds: 40, for: "tests" },
    traffic: { module: "traffic", package: ".", seconds: 10, for: "tests" },
    "kubernetes-1.29": {
        module: "tools/kubernetes",
        package: ".",
        modFile: "v1.29.mod",
        ldflags: kubernetesFlags("v1.29.15"),
        seconds: 360,
        for: "soak",
    },
} as const satisfies Record<string, Tool>;
export type ToolName = keyof typeof tools;
const toolNames = Object.keys(tools) as ToolName[];
const toolOf = (name: ToolName): Tool => tools[name];

/** Debian packages that the lab uses on this machine. None of them starts a service. */
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

/** Returns the folder with the tools for a purpose, for PATH. Builds tools that are not in the cache. */
export async function buildTools(purpose: "stack" | "tests"): Promise<string> {
    const wanted = toolNames.filter(name => ["stack", purpose].includes(toolOf(name).for));
    await ensureTools(...wanted);
    // The CLI has its own folder (lab/pulumi.ts), and warns about plugins on the PATH.
    const onPath = wanted.filter(name => !name.startsWith("pulumi"));
    const path = join(cacheFolder, "path", digest(onPath.map(toolFolder).join("\n")));
    if (!existsSync(path)) {
        const draft = newFolder("path");
        for (const name of onPath)
            for (const link of [name, ...(toolOf(name).links ?? [])]) symlinkSync(join(toolFolder(name), name), join(draft, link));
        keep(draft, path);
    }
    return path;
}

const builds = new Map<ToolName, Promise<void>>();

/** Builds tools that are not in the cache. A tool that is requested twice is built once. */
export async function ensureTools(...names: ToolName[]): Promise<void> {
    const missing = names.filter(name => !builds.has(name) && !existsSync(toolFolder(name)));
    asked += missing.length;
    if (missing.length > 1) {
        const seconds = missing.reduce((sum, name) => sum + toolOf(name).seconds, 0);
        progress("tools", `${missing.length} to build, once: about ${duration(seconds)}`);
    }
    missing.forEach(name =>
        builds.set(
            name,
            inTurn(() => build(name)),
        ),
    );
    await Promise.all(names.map(name => builds.get(name)));
}

let asked = 0;
let begun = 0;
let freeTurns = 2;
const waiting: (() => void)[] = [];

/** Runs two builds at a time: while one links or downloads, the other compiles. */
async function inTurn(work: () => Promise<void>): Promise<void> {
    if (freeTurns > 0) freeTurns--;
    else await new Promise<void>(resolve => waiting.push(resolve));
    try {
        await work();
    } finally {
        const next = waiting.shift();
        if (next) next();
        else freeTurns++;
    }
}

let packages: Promise<void> | undefined;

export function installDebianPackages(): Promise<void> {
    return (packages ??= installMissing());
}

async function installMissing(): Promise<void> {
    const { stdout } = await run("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\n", ...debianPackages], { tolerate: true });
    const missing = debianPackages.filter(name => !stdout.includes(`${name} installed`));
    if (missing.length === 0) return progress("packages", "reused");
    if (process.getuid?.() !== 0) throw new Error(`the lab needs root to install Debian packages (${missing.join(" ")}): run make as root`);
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    await longStep("packages", `installing ${missing.join(" ")}`, 15, async () => {
        await run("apt-get", ["update", "-qq"], { env });
        await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing], { env });
    });
    progress("packages", "installed");
}

/** Returns a folder with the files of Debian packages. Nothing is installed, so that no service of theirs starts on this machine. */
export async function unpackedDebianPackages(names: string[]): Promise<string> {
    const folder = join(cacheFolder, "debian", names.join("_"));
    if (existsSync(folder)) return folder;
    const draft = newFolder("debian");
    const archives = newFolder("archives");
    await longStep("packages", `unpacking ${names.join(" ")}`, 10, async () => {
        await run("apt-get", ["update", "-qq"]);
        await run("apt-get", ["download", "-qq", ...names], { cwd: archives });
        for (const archive of readdirSync(archives)) await run("dpkg-deb", ["-x", join(archives, archive), draft]);
    });
    rmSync(archives, { recursive: true });
    keep(draft, folder);
    return folder;
}

/** Returns a digest of the files in a folder, for the names of artifacts built from them. */
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

/** Makes a new folder in the cache. The caller fills it, and then `keep` gives it the final name. */
export function newFolder(purpose: string): string {
    mkdirSync(cacheFolder, { recursive: true });
    return mkdtempSync(join(cacheFolder, `.${purpose}-`));
}

/** Gives a complete folder or file its final name at once, so that a killed run never leaves half of it under that name. */
export function keep(draft: string, final: string): void {
    mkdirSync(join(final, ".."), { recursive: true });
    try {
        renameSync(draft, final);
    } catch (error) {
        if (!existsSync(final)) throw error;
        rmSync(draft, { recursive: true, force: true });
    }
}

/** Returns the Go module folder of a tool's dependency. */
export async function moduleFolder(tool: ToolName, module: string): Promise<string> {
    return (await run("go", ["list", "-m", "-f", "{{.Dir}}", module], { cwd: join(__dirname, tools[tool].module) })).stdout.trim();
}

/** Returns the version of a package in node_modules. */
export function installedVersion(name: string): string {
    return JSON.parse(readFileSync(join(repository, "node_modules", name, "package.json"), "utf8")).version;
}

const toolFolders = new Map<ToolName, string>();

/** Returns the folder of a tool. Its name holds a digest of the sources, which are read once because every run of the CLI needs it. */
export function toolFolder(name: ToolName): string {
    if (!toolFolders.has(name)) {
        const tool = toolOf(name);
        const folder = join(__dirname, tool.module);
        const modFile = tool.modFile ? readFileSync(join(folder, tool.modFile), "utf8") : "";
        const made = JSON.stringify([tool.package, tool.ldflags, tool.beside]) + goSources(folder) + modFile;
        toolFolders.set(name, join(cacheFolder, "tools", `${name}-${digest(made)}`));
    }
    return toolFolders.get(name)!;
}

function goSources(folder: string): string {
    return readdirSync(folder, { recursive: true, encoding: "utf8" })
        .filter(file => /(^|\/)go\.(mod|sum)$|\.go$/.test(file) && !file.endsWith("_test.go"))
        .sort()
        .map(file => `${file}\0${readFileSync(join(folder, file), "utf8")}`)
        .join("\0");
}

async function build(name: ToolName): Promise<void> {
    const tool = toolOf(name);
    await longStep(name, `building (${++begun} of ${asked})`, tool.seconds, () => compile(name, tool));
    progress(name, "built");
}

async function compile(name: ToolName, tool: Tool): Promise<void> {
    const draft = newFolder("tool");
    // Without cgo, the binaries run in any image and need no C compiler.
    const env = { ...process.env, CGO_ENABLED: "0" };
    const ldflags = `-s -w ${tool.ldflags ?? ""}`.trim();
    // Booting hosts and people's own commands get the CPU first.
    const modFile = tool.modFile ? [`-modfile=${tool.modFile}`] : [];
    await run("nice", ["-n", "5", "go", "build", ...modFile, "-trimpath", "-ldflags", ldflags, "-o", join(draft, name), tool.package], {
        cwd: join(__dirname, tool.module),
        env,
    });
    for (const [target, { module, file }] of Object.entries(tool.beside ?? {}))
        copyFileSync(join(await moduleFolder(name, module), file), join(draft, target));
    keep(draft, toolFolder(name));
}
