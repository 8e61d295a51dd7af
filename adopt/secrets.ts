import { holdsLogin, isGroup } from "../components/secrecy";
import { Key } from "./keys";

/** Marks a secret in an exported state. */
export const secretSignature = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };

/** Names of values that are secrets. */
const secretName =
    /passw|secret|token|credential|(access|account|api|client|encryption|licen[cs]e|private|shared|signing|storage|user)[-_]?key$/i;

/** Names that look like secrets, and hold the name of an object, a file, a time or a switch. */
const harmlessName = /(audiences?|auth|class|dir|expiration|file|lifetime|name|path|pull_?secrets?|ref|syncs|ttl|webhook)$/i;

/** Objects whose values everybody may read, whatever their names are. */
const publicObject = /^(annotations|labels|matchLabels|node_?selector)$/i;

const isSecretName = (name: string) => secretName.test(name) && !harmlessName.test(name);

/** Reports whether a text is a secret by its content: a URL with a login, a private key, a manifest of a Secret, or a setting in a file. */
function holdsSecret(text: string): boolean {
    if (holdsLogin(text) || /PRIVATE KEY-----|^[ \t-]*["']?kind["']?:\s*["']?Secret\b/m.test(text)) return true;
    return [...text.matchAll(/^\s*["']?([\w-]+)["']?\s*[=:]\s*(?!(?:true|false)\b)\S/gm)].some(([, name]) => isSecretName(name));
}

/** Reports whether a value with this name is a secret. */
function isSecret(name: string, value: unknown): boolean {
    if (typeof value === "number") return /passw/i.test(name);
    if (typeof value !== "string" || value === "" || value === "true" || value === "false") return false;
    return holdsSecret(value) || isSecretName(name);
}

/** Facts about the objects around a value. */
interface Around {
    name: string;
    /** True inside the data of a Secret. */
    isSecretData?: boolean;
    isPublic?: boolean;
}

/**
 * Returns the paths of the secrets in a value: by their names, by their content, and by the name beside them, as in a list of environment
 * variables. No file that this program writes may hold a secret.
 */
export function secretPaths(value: unknown, keys: Key[] = [], around: Around = { name: "" }): Key[][] {
    if (Array.isArray(value)) return value.flatMap((entry, index) => secretPaths(entry, [...keys, index], around));
    if (isGroup(value) && Object.keys(secretSignature)[0] in value) return [];
    if (isGroup(value))
        return Object.entries(value).flatMap(([key, below]) =>
            secretPaths(below, [...keys, key], {
                name: key === "value" && typeof value.name === "string" ? value.name : key,
                isSecretData: around.isSecretData || (value.kind === "Secret" && /^(stringData|data)$/.test(key)),
                isPublic: around.isPublic || publicObject.test(key),
            }),
        );
    return around.isSecretData || isSecret(around.isPublic ? "" : around.name, value) ? [keys] : [];
}

/** Returns the command that sets a secret. */
export const secretNote = (path: string): string =>
    `is a secret, and is not kept: pulumi config set --secret --path '${`pulumi-rancher-ha:${path}`.replace(/'/g, "'\\''")}'`;
