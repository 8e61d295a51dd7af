import * as pulumi from "@pulumi/pulumi";
import * as runtimeConfig from "@pulumi/pulumi/runtime/config";
import { readFileSync } from "fs";
import { z } from "zod";
import { RancherHaArgs } from "./components";
import { providedCertificateSchema } from "./components/certificates/providedCertificate";
import { privateCaSchema } from "./components/certificates/privateCa";
import { Distribution } from "./components/cluster/compatibility";
import { existingClusterSchema } from "./components/cluster/existingCluster";
import { rkeClusterSchema } from "./components/cluster/schema";
import { dnsNameSchema, privateKeySchema } from "./components/remote/connection";
import { DriftMode } from "./components/remote/drift";
import { certificateOnHostSchema, loadBalancerSettingsSchema } from "./components/loadBalancer/schema";
import { LiveCheck, rancherReleaseSchema } from "./components/rancher/schema";
import { rancherHaSchema } from "./components/rancherHa";
import { issueLines } from "./components/validation";

/** How hosts are reached over SSH. */
export interface SshConfig {
    /**
     * Private key for every host, in PEM or OpenSSH form without passphrase. Set it as a secret:
     * `pulumi config set --secret --path ssh.privateKey`.
     */
    privateKey?: string;
    /** Path of a file with the private key, instead of `ssh.privateKey`. */
    privateKeyFile?: string;
    /** Path of a known_hosts file (not hashed), for hosts without a `hostKey` of their own. */
    knownHostsFile?: string;
}

/** A host of the load balancer. */
export interface LoadBalancerHostConfig {
    /** IP address or DNS name that SSH dials. */
    address: string;
    /** TCP port of sshd. Default 22. */
    port?: number;
    /** User that logs in. Default `root`; another one needs sudo without a password. */
    user?: string;
    /** Host key as one line of /etc/ssh/ssh_host_*_key.pub. Default: from `ssh.knownHostsFile`. */
    hostKey?: string;
}

// What pulumi.Config itself asks; it is not among the SDK's public types.
const { isConfigSecret } = runtimeConfig as unknown as { isConfigSecret: (key: string) => boolean };

type Group = Record<string, any>;

/** The groups, and what no component has a schema for. */
export const topLevelSchema = z.strictObject({
    hostname: dnsNameSchema,
    drift: z.enum(DriftMode).optional(),
    liveCheck: z.enum(LiveCheck).optional(),
    ssh: z.strictObject({ privateKey: privateKeySchema, privateKeyFile: z.string(), knownHostsFile: z.string() }).partial().default({}),
    loadBalancer: z.looseObject({ hosts: z.array(z.looseObject({ address: z.string() })) }),
    cluster: z.looseObject({ nodes: z.array(z.looseObject({})) }).optional(),
    existingCluster: z.looseObject({}).optional(),
    certificate: z.looseObject({}).optional(),
    certificateOnHost: z.looseObject({}).optional(),
    privateCa: z.looseObject({}).optional(),
    rancher: z.looseObject({}),
});

/** Reads the stack's configuration; the only place that does. */
export function readConfig(): RancherHaArgs {
    const project = pulumi.getProject();
    const isEncrypted = (group: string) => isConfigSecret(`${project}:${group}`);
    return withSecrets(
        parseConfig(pulumi.runtime.allConfig(), project, path => readFileSync(path, "utf8"), isEncrypted),
        isEncrypted,
    );
}

/**
 * Keys below which anything may stand, a secret too. Pulumi tells of a group only that something in it is encrypted: then all of
 * these are.
 */
const freeForm = /^(values|additionalValues|repository|extraDirectives|ingressOptions|labels)$/;

/** The arguments of `RancherHa` from raw configuration; every wrong key is named in one error. */
export function parseConfig(
    raw: Record<string, string>,
    project: string,
    readFile: (path: string) => string,
    isEncrypted: (group: string) => boolean = () => false,
): RancherHaArgs {
    const problems: string[] = [];
    const prefix = `${project}:`;
    const top: Group = {};
    for (const [key, text] of Object.entries(raw)) {
        if (key.startsWith(prefix)) top[key.slice(prefix.length)] = decode(text);
    }
    const parsed = topLevelSchema.safeParse(top);
    if (!parsed.success) problems.push(...issueLines(parsed.error.issues, top, { prefix }));

    const group = (name: string): Group | undefined => (isGroup(top[name]) ? top[name] : undefined);
    const read = (key: string, path: unknown): string | undefined => {
        try {
            return typeof path === "string" ? readFile(path) : undefined;
        } catch (error) {
            problems.push(
                `${prefix}ssh.${key}: expected a readable file, found ${JSON.stringify(path)} (${(error as NodeJS.ErrnoException).code})`,
            );
            return undefined;
        }
    };
    const ssh = group("ssh") ?? {};
    const privateKey = ssh.privateKey ?? read("privateKeyFile", ssh.privateKeyFile);
    if (ssh.privateKey !== undefined && ssh.privateKeyFile !== undefined)
        problems.push(`${prefix}ssh.privateKeyFile: expected nothing beside ssh.privateKey, found both. Remove one`);
    if (privateKey === undefined && !ssh.privateKeyFile)
        problems.push(`${prefix}ssh.privateKey: expected a private key, or ssh.privateKeyFile, found nothing`);
    const hostKeys = knownHosts(read("knownHostsFile", ssh.knownHostsFile) ?? "");
    const withHostKey = (host: Group): Group => {
        const name = (host.port ?? 22) === 22 ? host.address : `[${host.address}]:${host.port}`;
        return { ...host, hostKey: host.hostKey ?? hostKeys.get(name) };
    };

    const hostname = top.hostname;
    const { hosts, ...tuning } = group("loadBalancer") ?? {};
    const args = {
        hostname,
        drift: top.drift,
        liveCheck: top.liveCheck,
        loadBalancer: {
            ...tuning,
            hosts: list(hosts).map(host => {
                const { address, ...rest } = withHostKey(host);
                return { ...rest, host: address, privateKey };
            }),
        },
        cluster: group("cluster") && {
            ...group("cluster"),
            nodes: list(group("cluster")!.nodes).map(withHostKey),
            sshPrivateKey: privateKey,
        },
        existingCluster: group("existingCluster"),
        certificate: group("certificate"),
        certificateOnHost: group("certificateOnHost"),
        privateCa: group("privateCa"),
        rancher: group("rancher"),
    };

    /**
     * Checks a group by its component's own schema, or all of them without a name; `elsewhere` are paths that come from another group
     * and are reported there.
     */
    const check = (name: string, schema: z.ZodType, value: Group, elsewhere?: RegExp) => {
        const issues = schema.safeParse(value).error?.issues ?? [];
        const own = issues.filter(issue => !elsewhere?.test(issue.path.join(".")));
        const secret = (path: PropertyKey[]) => isEncrypted(name) && path.some(part => freeForm.test(String(part)));
        problems.push(
            ...issueLines(own, value, { prefix: `${prefix}${name && `${name}.`}`, secret }).map(line =>
                line
                    .replace(/(hosts\[\d+\]\.)host:/, "$1address:")
                    .replace(
                        /hostKey: expected string, found nothing$/,
                        "hostKey: expected a host key, or a line for this host in ssh.knownHostsFile, found nothing",
                    ),
            ),
        );
    };
    /** Arguments that come from elsewhere are no keys here: a value would be lost silently. */
    const refuse = (path: string, value: Group | undefined, keys: string[]) =>
        keys
            .filter(key => value?.[key] !== undefined)
            .forEach(key => problems.push(`${prefix}${path}.${key}: no such key. Remove it or correct its spelling`));
    list(hosts).forEach((host, index) => refuse(`loadBalancer.hosts[${index}]`, host, ["host", "privateKey"]));
    refuse("cluster", group("cluster"), ["sshPrivateKey"]);
    refuse("certificate", group("certificate"), ["hostname"]);
    refuse("privateCa", group("privateCa"), ["hostname"]);
    refuse("rancher", group("rancher"), ["hostname", "kubernetesVersion", "distribution", "caChecksum"]);

    const kubernetesVersion = (group("cluster") ?? group("existingCluster"))?.kubernetesVersion;
    const distribution = args.cluster ? Distribution.Rke : Distribution.Other;
    if (group("loadBalancer")) check("loadBalancer", loadBalancerSettingsSchema, args.loadBalancer, /^hosts\.\d+\.privateKey$/);
    if (args.cluster) check("cluster", rkeClusterSchema, args.cluster, /^sshPrivateKey$/);
    if (args.existingCluster) check("existingCluster", existingClusterSchema, args.existingCluster);
    if (args.certificate) check("certificate", providedCertificateSchema, { ...args.certificate, hostname }, /^hostname$/);
    if (args.certificateOnHost) check("certificateOnHost", certificateOnHostSchema, args.certificateOnHost);
    if (args.privateCa) check("privateCa", privateCaSchema, { ...args.privateCa, hostname }, /^hostname$/);
    if (args.rancher) {
        const settings = { ...args.rancher, hostname, kubernetesVersion, distribution };
        check("rancher", rancherReleaseSchema, settings, /^(hostname|kubernetesVersion|distribution)$/);
    }
    check("", rancherHaSchema, args);
    if (privateKey !== undefined && !ssh.privateKey && !privateKeySchema.safeParse(privateKey).success) {
        problems.push(
            `${prefix}ssh.privateKeyFile: expected a file with a private key in PEM or OpenSSH form without passphrase, found something else`,
        );
    }
    const [first, ...others] = ["certificate", "certificateOnHost", "privateCa"].filter(name => group(name));
    others.forEach(name => problems.push(`${prefix}${name}: expected nothing beside ${first}, found both. Remove one`));
    if (!args.cluster === !args.existingCluster) {
        problems.push(`${prefix}cluster: expected exactly one of cluster and existingCluster, found ${args.cluster ? "both" : "neither"}`);
    }

    if (problems.length > 0) {
        const unique = [...new Set(problems)];
        throw new pulumi.RunError(
            `the configuration of the stack is wrong; nothing was changed:\n${unique.map(line => `  - ${line}`).join("\n")}`,
        );
    }
    return args as unknown as RancherHaArgs;
}

/** Marks what is secret, whether it is encrypted, came from a file, or from configuration that somebody forgot to encrypt. */
export function withSecrets(args: RancherHaArgs, isEncrypted: (group: string) => boolean): RancherHaArgs {
    const marked = (value: unknown, key: string, encrypted: boolean): unknown => {
        if (/^(privateKey|sshPrivateKey|bootstrapPassword|kubeconfig)$/.test(key) || (encrypted && freeForm.test(key)))
            return value === undefined ? undefined : pulumi.secret(value);
        if (Array.isArray(value)) return value.map(item => marked(item, "", encrypted));
        if (isGroup(value)) return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, marked(item, name, encrypted)]));
        return value;
    };
    // Of a certificate on the hosts, what is called a key is a path.
    const { certificateOnHost, ...others } = args;
    const entries = Object.entries(others).map(([name, value]) => [name, marked(value, name, isEncrypted(name))]);
    return { ...Object.fromEntries(entries), certificateOnHost } as unknown as RancherHaArgs;
}

function decode(text: string): unknown {
    if (!/^\s*[[{]/.test(text)) return text;
    try {
        return JSON.parse(text);
    } catch {
        return text;
    }
}

/** The host key of each name. Of several, not the RSA one: Pulumi's SSH client cannot use it with a host of today. */
function knownHosts(text: string): Map<string, string> {
    const lines = text
        .split("\n")
        .map(line => line.trim().split(/\s+/))
        .filter(parts => parts.length >= 3 && !parts[0].startsWith("#"))
        .sort(([, one], [, other]) => Number(other === "ssh-rsa") - Number(one === "ssh-rsa"));
    return new Map(lines.flatMap(([names, type, key]) => names.split(",").map(name => [name, `${type} ${key}`] as const)));
}

const isGroup = (value: unknown): value is Group =>
    value !== null && typeof value === "object" && !Array.isArray(value) && !pulumi.Output.isInstance(value);
const list = (value: unknown): Group[] => (Array.isArray(value) ? value.filter(isGroup) : []);
