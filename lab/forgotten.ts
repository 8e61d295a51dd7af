import { readdirSync, readFileSync } from "fs";
import { basename } from "path";
import { run } from "./process";

/**
 * Ends containers of these names that podman does not list. A killed run can leave such a container: its processes run on, and `podman rm`
 * does not know it.
 */
export async function endForgottenContainers(names: string[]): Promise<void> {
    const found = monitors().filter(({ container }) => names.includes(container));
    if (found.length === 0) return;
    // Podman lists a container before its monitor starts. So the list is read after the processes.
    const listed = (await run("podman", ["ps", "--all", "--no-trunc", "--format", "{{.ID}}"])).stdout.split("\n");
    for (const { pid } of found.filter(({ id }) => !listed.includes(id))) {
        const children = readOrEmpty(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean);
        // The monitor ends first, because at its container's end it would start podman. The container's first process takes all others with it.
        for (const process of [pid, ...children]) await run("kill", ["-KILL", process], { tolerate: true });
    }
}

/** Lists the processes that watch a container, a conmon each, with the container's ID and name. */
function monitors(): { pid: string; id: string; container: string }[] {
    return readdirSync("/proc")
        .filter(name => /^\d+$/.test(name))
        .flatMap(pid => {
            const argv = readOrEmpty(`/proc/${pid}/cmdline`).split("\0");
            const after = (flag: string) => argv[argv.indexOf(flag) + 1] ?? "";
            return basename(argv[0]) === "conmon" ? [{ pid, id: after("-c"), container: after("-n") }] : [];
        });
}

/** Returns the text of a file, or nothing when its process has ended. */
function readOrEmpty(file: string): string {
    try {
        return readFileSync(file, "utf8");
    } catch {
        return "";
    }
}
