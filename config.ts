import * as pulumi from "@pulumi/pulumi";
import * as runtimeConfig from "@pulumi/pulumi/runtime/config";
import { readFileSync } from "fs";
import { z } from "zod";
import { RancherHaArgs } from "./components";
import { withCode } from "./components/errorCodes";
import { rancherHaSchema } from "./components/schema";
import { mayBeSecret, schemaAt, withSecrets } from "./components/secrecy";
import { check, issueLines, valueAt, withoutEmptyGroups } from "./components/validation";
import { FilesRead, unread, withFiles } from "./configFiles";

// pulumi.Config itself calls this function, which is not among the SDK's public types.
const { isConfigSecret } = runtimeConfig as unknown as { isConfigSecret: (key: string) => boolean };

/** Arguments of `RancherHa` as a stack's file gives them, without outputs. */
type Settings = z.input<typeof rancherHaSchema>;

/** Reads the stack's configuration. Nothing else in this project reads it. */
export function readConfig(): RancherHaArgs {
    const project = pulumi.getProject();
    const isEncrypted = (group: string) => isConfigSecret(`${project}:${group}`);
    const settings = parseConfig(pulumi.runtime.allConfig(), project, path => readFileSync(path, "utf8"), isEncrypted);
    return withSecrets<RancherHaArgs>(settings, rancherHaSchema, isEncrypted);
}

/** Returns the arguments of `RancherHa` from raw configuration. One error names every wrong key. */
export function parseConfig(
    raw: Record<string, string>,
    project: string,
    readFile: (path: string) => string,
    isEncrypted: (group: string) => boolean = () => false,
): Settings {
    const prefix = `${project}:`;
    const own = Object.entries(raw).filter(([key]) => key.startsWith(prefix));
    const values = own.map(([key, text]) => [key.slice(prefix.length), decode(text)] as const);
    const written = values.map(([key, value]) => [key, withoutEmptyGroups(value, schemaAt(rancherHaSchema, key))]);
    const { args, ...files } = withFiles(Object.fromEntries(written), readFile);
    refuseWrong(args, files, prefix, isEncrypted);
    return args;
}

function decode(text: string): unknown {
    if (!/^\s*[[{]/.test(text)) return text;
    try {
        return JSON.parse(text);
    } catch {
        return text;
    }
}

/** Throws one error with a line for each wrong key. */
function refuseWrong(
    args: Record<string, unknown>,
    { writtenAs, problems }: Omit<FilesRead, "args">,
    prefix: string,
    isEncrypted: (group: string) => boolean,
): asserts args is Settings {
    const issues = (check(rancherHaSchema, args).error?.issues ?? []).filter(({ path }) => valueAt(args, path) !== unread);
    const secret = (path: PropertyKey[]) => isEncrypted(String(path[0])) && mayBeSecret(rancherHaSchema, path);
    const lines = [...problems.map(line => prefix + line), ...issueLines(issues, args, { prefix, secret, writtenAs })];
    if (lines.length === 0) return;
    const list = lines.map(line => `  - ${line}`).join("\n");
    const found = Object.keys(args).length > 0 ? "is wrong" : "is empty (is its Pulumi.<stack>.yaml in this folder?)";
    throw new pulumi.RunError(withCode("configuration", `the configuration of the stack ${found}; nothing was changed:\n${list}`));
}
