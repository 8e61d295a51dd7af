import { readFileSync, statSync } from "fs";
import { join } from "path";
import { parse } from "yaml";
import { gunzipSync } from "zlib";

/** What is wrong with the chart in a folder or archive, when it is not this version of it. Helm itself does not compare the two. */
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

/** `<chart>/Chart.yaml` of a tar archive: blocks of 512 bytes, of which each file has one for its name and size before its contents. */
function chartYamlIn(archive: Buffer): string {
    const text = (from: number, length: number) => archive.toString("latin1", from, from + length).replace(/\0[^]*$/, "");
    for (let at = 0; at + 512 <= archive.length && text(at, 100) !== "";) {
        const size = parseInt(text(at + 124, 12), 8) || 0;
        if (/^(\.\/)?[^/]+\/Chart\.yaml$/.test(text(at, 100))) return archive.toString("utf8", at + 512, at + 512 + size);
        at += 512 * (1 + Math.ceil(size / 512));
    }
    throw new Error("it holds no Chart.yaml");
}
