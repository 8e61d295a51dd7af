import { homedir } from "os";
import { RkeClusterSettingsArgs, SshArgs } from "./components";
import { isGroup } from "./components/secrecy";

/** SSH settings for hosts and nodes: the arguments of the library, and files that hold their values. */
export interface SshConfig extends SshArgs {
    /**
     * Path of a file with the private key, instead of `ssh.privateKey`. `~/` is the home folder of the user who runs Pulumi.
     * @default none
     */
    privateKeyFile?: string;
    /** Path of a known_hosts file, for example `~/.ssh/known_hosts`, instead of `ssh.knownHosts`. @default none */
    knownHostsFile?: string;
}

/** The cluster's settings, and a file that holds one of them. */
export interface RkeClusterConfig extends RkeClusterSettingsArgs {
    /** Path of the `cluster.rkestate` of a cluster that exists, instead of `cluster.rkeState`. @default a new cluster */
    rkeStateFile?: string;
}

/** Files that a configuration names, each with the argument that gets the file's text. */
const files = [
    { group: "ssh", file: "privateKeyFile", argument: "privateKey" },
    { group: "ssh", file: "knownHostsFile", argument: "knownHosts" },
    { group: "cluster", file: "rkeStateFile", argument: "rkeState" },
];

/** Replaces the text of a file that cannot be read. */
export const unread = {};

export interface FilesRead {
    args: Record<string, unknown>;
    /** Maps an argument to the key that the user wrote. */
    writtenAs: Map<string, string>;
    /** What is wrong with files, a line each. */
    problems: string[];
}

/** Replaces paths of files by their text. */
export function withFiles(written: Record<string, unknown>, readFile: (path: string) => string): FilesRead {
    const read: FilesRead = { args: { ...written }, writtenAs: new Map(), problems: [] };
    for (const { group, file, argument } of files) {
        const given = read.args[group];
        if (!isGroup(given) || given[file] === undefined) continue;
        const { [file]: path, ...settings } = given;
        read.args[group] = settings;
        if (settings[argument] !== undefined) {
            read.problems.push(`${group}.${file}: expected nothing beside ${group}.${argument}, found both. Remove one`);
            continue;
        }
        read.writtenAs.set(`${group}.${argument}`, `${group}.${file}`);
        try {
            settings[argument] = readFile(String(path).replace(/^~(?=\/)/, homedir()));
        } catch (error) {
            settings[argument] = unread;
            const found = typeof path === "string" ? JSON.stringify(path) : "something else";
            read.problems.push(`${group}.${file}: expected a readable file, found ${found} (${(error as Error).message.split(",")[0]})`);
        }
    }
    return read;
}
