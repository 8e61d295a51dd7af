/** A key of an object, or an index of a list. A key can hold a dot. */
export type Key = string | number;

/** Returns keys as the property path that `pulumi config set --path` reads, for example `nodes[0].labels["example.com/zone"]`. */
export const pathText = (keys: Key[]): string => keys.map(step).join("").replace(/^\./, "");

function step(key: Key): string {
    if (typeof key === "number") return `[${key}]`;
    return /^[\w-]+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

/** Returns keys as text with `[]` in place of every index, for example `nodes[].labels.zone`. */
export const kindOf = (keys: Key[]): string =>
    keys
        .map(key => (typeof key === "number" ? "[]" : `.${key}`))
        .join("")
        .replace(/^\./, "");

/** Returns the keys of a kind, with the indexes of other keys: `nodes[].roles[]` with those of `nodes[1].role[0]`. */
export function keysOfKind(kind: string, others: Key[]): Key[] {
    const indexes = others.filter(key => typeof key === "number");
    const parts = kind.replace(/\[\]/g, ".[]").split(".");
    return parts.map(part => (part === "[]" ? indexes.shift()! : part));
}

/** Returns the value at a path, or undefined. */
export const at = (target: any, keys: Key[]): unknown => keys.reduce((below, key) => below?.[key], target);

/** Sets the value at a path, and creates missing objects and lists on the way. */
export function put(target: any, [key, ...rest]: Key[], value: unknown): void {
    if (rest.length === 0) target[key] = value;
    else put((target[key] ??= typeof rest[0] === "number" ? [] : {}), rest, value);
}
