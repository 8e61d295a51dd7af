import * as pulumi from "@pulumi/pulumi";
import * as runtimeConfig from "@pulumi/pulumi/runtime/config";
import { readFileSync } from "fs";
import { homedir } from "os";
import { z } from "zod";
import { RancherHaArgs, RkeClusterSettingsArgs, SshArgs } from "./components";
import { withCode } from "./components/errorCodes";
import { rancherHaSchema } from "./components/schema";
import { isGroup, mayBeSecret, schemaAt, withSecrets } from "./components/secrecy";
import { check, issueLines, valueAt } from "./components/validation";

/** SSH settings for hosts and nodes: the arguments of the library, and files that hold their values. */
export interface SshConfig extends SshArgs {
    /** Path of a file with the private key, instead of `ssh.privateKey`. `~/` is the home folder of the user who runs Pulumi. */
    privateKeyFile?: string;
    /** Path of a known_hosts file, for example `~/.ssh/known_hosts`, instead of `ssh.knownHosts`. */
    knownHostsFile?: string;
}

/** The cluster's settings, and a file that holds one of them. */
export interface RkeClusterConfig extends RkeClusterSettingsArgs {
    /** Path of the `cluster.rkestate` of a cluster that exists, instead of `cluster.rkeState`. */
    rkeStateFile?: string;
}

// pulumi.Config itself calls this function, which is not among the SDK's public types.
const { isConfigSecret } = runtimeConfig as unknown as { isConfigSecret: (key: string) => boolean };

type Group = Record<string, unknown>;

/** Reads the stack's configuration. Nothing else in this project reads it. */
export function readConfig(): RancherHaArgs {
    const project = pulumi.getProject();
    const isEncrypted = (group: string) => isConfigSecret(`${project}:${group}`);
    return withSecretGroups(
        parseConfig(pulumi.runtime.allConfig(), project, path => readFileSync(path, "utf8"), isEncrypted),
        isEncrypted,
    );
}

/** Marks the secrets of every group. */
export function withSecretGroups(args: RancherHaArgs, isEncrypted: (group: string) => boolean): RancherHaArgs {
    const groups = Object.entries(args).map(([key, value]) => [key, withSecrets(value, schemaAt(rancherHaSchema, key), isEncrypted(key))]);
    return Object.fromEntries(groups) as RancherHaArgs;
}

/** Returns the arguments of `RancherHa` from raw configuration. One error names every wrong key. */
export function parseConfig(
    raw: Record<string, string>,
    project: string,
    readFile: (path: string) => string,
    isEncrypted: (group: string) => boolean = () => false,
): RancherHaArgs {
    const prefix = `${project}:`;
    const own = Object.entries(raw).filter(([key]) => key.startsWith(prefix));
    const values = own.map(([key, text]) => [key.slice(prefix.length), decode(text)] as const);
    const written: Group = Object.fromEntries(
        values.map(([key, value]) => [key, withoutEmptyGroups(value, schemaAt(rancherHaSchema, key))]),
    );
    const { args, writtenAs, problems } = withFiles(written, readFile);
    const issues = (check(rancherHaSchema, args).error?.issues ?? []).filter(({ path }) => valueAt(args, path) !== unread);
    const secret = (path: PropertyKey[]) => isEncrypted(String(path[0])) && mayBeSecret(rancherHaSchema, path);
    const lines = [...problems.map(line => prefix + line), ...issueLines(issues, args, { prefix, secret, writtenAs })];
    if (lines.length > 0) {
        const list = lines.map(line => `  - ${line}`).join("\n");
        const found = own.length > 0 ? "is wrong" : "is empty (is its Pulumi.<stack>.yaml in this folder?)";
        throw new pulumi.RunError(withCode("configuration", `the configuration of the stack ${found}; nothing was changed:\n${list}`));
    }
    return args as unknown as RancherHaArgs;
}

/** Keys of a group that name a file, with the argument that gets the file's text. */
const files: Record<string, Record<string, string>> = {
    ssh: { privateKeyFile: "privateKey", knownHostsFile: "knownHosts" },
    cluster: { rkeStateFile: "rkeState" },
};

/** Replaces the text of a file that cannot be read. */
const unread = {};

/** Replaces paths of files by their text. `writtenAs` maps an argument to the key that the user wrote. */
function withFiles(written: Group, readFile: (path: string) => string) {
    const problems: string[] = [];
    const writtenAs = new Map<string, string>();
    const args = { ...written };
    for (const [name, keys] of Object.entries(files)) {
        if (!isGroup(written[name])) continue;
        const group: Group = (args[name] = { ...written[name] });
        for (const [fileKey, key] of Object.entries(keys)) {
            const { [fileKey]: path, [key]: text } = group;
            delete group[fileKey];
            if (path === undefined) continue;
            if (text !== undefined) {
                problems.push(`${name}.${fileKey}: expected nothing beside ${name}.${key}, found both. Remove one`);
                continue;
            }
            writtenAs.set(`${name}.${key}`, `${name}.${fileKey}`);
            try {
                group[key] = readFile(String(path).replace(/^~(?=\/)/, homedir()));
            } catch (error) {
                group[key] = unread;
                const found = typeof path === "string" ? JSON.stringify(path) : "something else";
                problems.push(`${name}.${fileKey}: expected a readable file, found ${found} (${(error as Error).message.split(",")[0]})`);
            }
        }
    }
    return { args, writtenAs, problems };
}

function decode(text: string): unknown {
    if (!/^\s*[[{]/.test(text)) return text;
    try {
        return JSON.parse(text);
    } catch {
        return text;
    }
}

/**
 * Leaves out each empty group that the schema names, because `pulumi config rm --path` leaves one where it removed the last key. Keys that
 * a user chooses, such as values of a chart, keep theirs.
 */
function withoutEmptyGroups(value: unknown, schema?: z.ZodType): unknown {
    if (!isGroup(value) || !(schema instanceof z.ZodObject)) return value;
    const isEmpty = (below: unknown, its?: z.ZodType) => its instanceof z.ZodObject && isGroup(below) && Object.keys(below).length === 0;
    const entries = Object.entries(value).map(([key, below]) => [key, below, schemaAt(schema, key)] as const);
    return Object.fromEntries(
        entries.filter(([, ...rest]) => !isEmpty(...rest)).map(([key, ...rest]) => [key, withoutEmptyGroups(...rest)]),
    );
}
