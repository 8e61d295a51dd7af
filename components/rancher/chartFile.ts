import { readFileSync, statSync } from "fs";
import { join } from "path";
import { parse } from "yaml";
import { gunzipSync } from "zlib";

/** Returns the fault when a folder or archive does not hold this version of the chart. Helm does not compare the versions. */
export function chartFault(path: string, version: string): string | undefined {
    let found: string;
    try {
        found = versionOf(path);
    } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        found = `no chart that can be read (${code ?? message})`;
    }
    return found === version ? undefined : `expected the chart of version ${version} in ${path}, found ${found}`;
}

function versionOf(path: string): string {
    const text = statSync(path).isDirectory()
        ? readFileSync(join(path, "Chart.yaml"), "utf8")
        : chartYamlIn(gunzipSync(readFileSync(path)));
    return String(parse(text).version);
}

/** Returns `<chart>/Chart.yaml` of a tar archive. Each file there has a header of 512 bytes and contents padded to blocks of 512 bytes. */
function chartYamlIn(archive: Buffer): string {
    const text = (from: number, length: number) => archive.toString("latin1", from, from + length).replace(/\0[^]*$/, "");
    for (let at = 0; at + 512 <= archive.length && text(at, 100) !== "";) {
        const size = parseInt(text(at + 124, 12), 8) || 0;
        if (/^(\.\/)?[^/]+\/Chart\.yaml$/.test(text(at, 100))) return archive.toString("utf8", at + 512, at + 512 + size);
        at += 512 * (1 + Math.ceil(size / 512));
    }
    throw new Error("it holds no Chart.yaml");
}
