import { tenthAddress } from "../components/cluster/rke/clusterYml";
import { isFoundAnywhere, takenPath } from "../components/cluster/rke/extraConfig";
import { networkSchema } from "../components/cluster/rke/network";
import { systemImageKeys } from "../components/cluster/rke/registries";
import { rkeClusterSettingsSchema } from "../components/cluster/rke/schema";
import { schemaAt } from "../components/secrecy";
import { auditPolicy, firstKeys, fixed, kept, limits, named, pointers, secrets, textObjects, unset } from "./clusterKeys";
import { at, Key, keysOfKind, kindOf, pathText, put } from "./keys";
import { Note, Reading } from "./reading";
import { secretNote, secretPaths } from "./secrets";
import { Leaf, yamlLeaves } from "./yamlLeaves";

/** The configuration of the cluster and of SSH that a cluster.yml becomes. */
export interface ClusterConfig {
    cluster: Record<string, any>;
    ssh: { privateKeyFile?: string; agent?: true; bastion?: Record<string, unknown> };
}

/** The place of a leaf in the settings, a note about a leaf that has none, or undefined for a value that means nothing to RKE. */
type Fate = { argument: Key[]; value: unknown } | string | undefined;

/** Reads a cluster.yml of RKE 1. Every leaf is kept, is a value that RKE or the stack takes anyway, or is noted. */
export function readClusterYml(text: string): Reading<ClusterConfig> {
    const leaves = yamlLeaves(text);
    const settings: ClusterConfig = { cluster: {}, ssh: sshKey(leaves) };
    const secretLeaves = new Set(secretPaths(asObject(leaves)).map(pathText));
    const notes: Note[] = [];
    for (const leaf of leaves.filter(each => !isOwnDns(each, leaves))) {
        const fate = fateOf(leaf, settings);
        const note = typeof fate === "object" ? keep(fate, secretLeaves.has(leaf.path), settings) : fate;
        if (note) notes.push({ line: leaf.line, what: leaf.path, advice: note });
    }
    return { settings, notes: withoutRepetitions(notes) };
}

function asObject(leaves: Leaf[]): object {
    const object = {};
    for (const { keys, value } of leaves) put(object, keys, value);
    return object;
}

/** Puts a value into the settings. Returns a note for a secret, which is never written to a file, and for a second value of an argument. */
function keep({ argument, value }: Exclude<Fate, string | undefined>, isSecret: boolean, settings: ClusterConfig): string | undefined {
    if (isSecret) return secretNote(pathText(argument));
    const other = at(settings, argument);
    if (other !== undefined && other !== value)
        return `is not kept, because ${pathText(argument)} is ${JSON.stringify(other)} by another line`;
    return void put(settings, argument, value);
}

const ownImage = "is not kept, RKE takes its own images for kubernetes_version";
const unknownKey = "is not kept, because RKE reads no such key";

/** Leaves one note of a row of images that RKE brings, and of a row of keys that RKE does not read. */
const withoutRepetitions = (notes: Note[]): Note[] =>
    notes.filter(({ what, advice }, index) => {
        const before = notes[index - 1];
        const isRepeated = before?.advice === advice && before.what.split(/[.[]/)[0] === what.split(/[.[]/)[0];
        return !isRepeated || (advice !== ownImage && advice !== unknownKey);
    });

const keyOfBastion = "bastion_host.ssh_key_path";
const keysOfNodes = ["ssh_key_path", "nodes[].ssh_key_path"];

/** Returns the SSH key that RKE logs in with: the first in the file, those of the agent, or a default (defaults.go of RKE 1.8.14). */
function sshKey(leaves: Leaf[]): ClusterConfig["ssh"] {
    const first = leaves.find(({ kind, text }) => keysOfNodes.includes(kind) && text !== "");
    if (first) return { privateKeyFile: first.text };
    return leaves.some(({ path, value }) => path === "ssh_agent_auth" && value === true)
        ? { agent: true }
        : { privateKeyFile: "~/.ssh/id_rsa" };
}

const serviceRange = networkSchema.shape.serviceClusterIpRange.catch("");

/** Reports whether a value is the address of the cluster's DNS that this library sets, too. */
function isOwnDns({ path, value }: Leaf, leaves: Leaf[]): boolean {
    const range = leaves.find(leaf => leaf.path === "services.kube-api.service_cluster_ip_range")?.value;
    return path === "services.kubelet.cluster_dns_server" && value === tenthAddress(serviceRange.parse(range));
}

const numberOf = (text: string) => (/^\d+$/.test(text) ? Number(text) : text);

function fateOf(leaf: Leaf, { ssh }: ClusterConfig): Fate {
    const { path, kind, keys, value, text } = leaf;
    const object = named[kindOf(keys.slice(0, -1))];
    const name = keys[keys.length - 1];
    const [policy, policyArgument] = auditPolicy;
    if (limits.includes(path)) return "is not kept, maxBodySize, maxRequestHeaderSize and maxResponseHeaderSize of loadBalancer set it";
    // An empty string, false and 0 have a meaning in these objects.
    if (object) return { argument: ["cluster", ...keysOfKind(object, keys), name], value: text };
    if (path.startsWith(`${policy}.`)) return { argument: ["cluster", ...policyArgument.split("."), ...keys.slice(5)], value };
    if (fixed[kind] === value || unset[kind] === value) return undefined;
    if (kind in kept) return keptFate(leaf);
    if (!takenPath(kind.replace(/\[\]/g, ""))) return furtherFate(leaf);
    if (text === "") return undefined;
    if (kind === "nodes[].port") return text === "22" ? undefined : { argument: ["cluster", ...keys], value: numberOf(text) };
    if (kind === "bastion_host.port") return { argument: ["ssh", "bastion", "port"], value: numberOf(text) };
    if (["bastion_host.address", "bastion_host.user"].includes(kind)) return { argument: ["ssh", "bastion", name], value: text };
    if ([...keysOfNodes, keyOfBastion].includes(kind)) return noteOfKey(leaf, ssh);
    if (kind in secrets) return secretNote(pathText(keysOfKind(secrets[kind], keys)));
    if (path.startsWith("system_images.")) return imageFate(leaf);
    const expected = kind in fixed ? `this stack always sets ${JSON.stringify(fixed[kind])}` : "this stack has no such key";
    return `cannot be expressed, ${expected}. RKE drops line ${leaf.line} in its next run`;
}

/** Returns the argument that means the same. RKE takes the text of the file for a string, so `1.10` and `yes` stay as they are. */
function keptFate({ kind, keys, value, text }: Leaf): Fate {
    const argument = keysOfKind(kept[kind], keys);
    const schema = argument.reduce(schemaAt, rkeClusterSettingsSchema);
    const isText = ["string", "enum"].includes(schema?.def.type ?? "string");
    const isEntry = typeof keys[keys.length - 1] === "number";
    if (!isEntry && (value === null || (isText && text === ""))) return undefined;
    return { argument: ["cluster", ...argument], value: isText ? text : value };
}

/** Keeps an image of another registry or owner. RKE's own images stay with RKE, because they belong to one version of Kubernetes. */
function imageFate({ path, text }: Leaf): Fate {
    const [key] = Object.entries(systemImageKeys).find(([, name]) => path === `system_images.${name}`) ?? [];
    if (/^(rancher|noiro|weaveworks)\//.test(text)) return ownImage;
    return key ? { argument: ["cluster", "systemImages", key], value: text } : "is not kept, because this stack sets no such image";
}

/** Keeps a key that no argument sets. The stack refuses a value that RKE takes for a missing key. */
function furtherFate({ kind, keys, value, text }: Leaf): Fate {
    if (!firstKeys.includes(String(keys[0]))) return unknownKey;
    if (keys[0] === "addons_include" && text !== "" && !isFoundAnywhere(text)) {
        return `is not kept, because the stack runs RKE in a folder of its own. Put the whole path into cluster.extraConfig.addons_include`;
    }
    const argument = ["cluster", "extraConfig", ...keys];
    const isEntry = typeof keys[keys.length - 1] === "number";
    if (textObjects.test(kindOf(keys.slice(0, isEntry ? -2 : -1)))) return { argument, value: text };
    const isInList = keys.some(key => typeof key === "number") || keys.slice(0, -1).includes("update_strategy");
    const isMeant = isInList || (pointers.includes(kind) && value !== null);
    if (isMeant || value === true || (typeof value === "number" && value !== 0)) return { argument, value };
    if (text === "") return undefined;
    if (value === false || value === 0) return `is not kept, because RKE takes ${text} for a missing key`;
    return { argument, value };
}

/** Returns a note about an SSH key that is not the one of `ssh`. */
function noteOfKey({ kind, text }: Leaf, ssh: ClusterConfig["ssh"]): string | undefined {
    if (ssh.agent) return "is not kept, because RKE takes the keys of the SSH agent";
    const owner = kind === keyOfBastion ? "ssh.bastion" : "this node";
    return ssh.privateKeyFile === text
        ? undefined
        : `is another key than ${ssh.privateKeyFile}. Give ${owner} a privateKey of its own, as a secret`;
}
