import { readdirSync, readFileSync } from "fs";
import { join } from "path";
import { parse } from "yaml";
import { repository } from "../lab/inventory";

/** The configurations in examples/, by path in the repository. */
export const exampleFiles = readdirSync(join(repository, "examples"))
    .filter(file => file.endsWith(".yaml"))
    .map(file => `examples/${file}`);

/**
 * Returns the configuration in a stack's file, without the name of the project. `secretOf` gives the secrets that the commands in the
 * file's head set.
 */
export function exampleConfig(file: string, secretOf: (path: string) => unknown): Record<string, any> {
    const text = readFileSync(join(repository, file), "utf8");
    const entries = Object.entries<any>(parse(text).config);
    const config = Object.fromEntries(entries.map(([key, value]) => [key.replace("pulumi-rancher-ha:", ""), value]));
    const [head] = text.split("\nconfig:\n");
    for (const [, path] of head.matchAll(/^# {3}pulumi config set --secret --path (\S+) </gm)) {
        const groups = path.split(".");
        const key = groups.pop()!;
        groups.reduce((group, name) => (group[name] ??= {}), config)[key] = secretOf(path);
    }
    return config;
}
