/** Property values as they travel over gRPC: plain JSON in which a secret is an envelope and an unknown a marked string. */

export type Value = any;
export type Properties = Record<string, Value>;

const signature = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";

/** What the SDK sends for a value that only an update will tell. */
export const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export const isSecret = (value: Value): boolean => value !== null && typeof value === "object" && value[signature] === secretSignature;
export const secret = (value: Value): Value => (isSecret(value) ? value : { [signature]: secretSignature, value });

/** The value without any envelope. */
export function plain<T = Value>(value: Value): T {
    if (isSecret(value)) return plain(value.value);
    if (Array.isArray(value)) return value.map(item => plain(item)) as T;
    if (value !== null && typeof value === "object")
        return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)])) as T;
    return value;
}

export function contains(value: Value, test: (value: Value) => boolean): boolean {
    if (test(value)) return true;
    if (value !== null && typeof value === "object") return Object.values(value).some(item => contains(item, test));
    return false;
}

export const hasUnknown = (value: Value): boolean => contains(value, item => item === unknown);

/** Envelopes for every output that carries the name of a secret input, at any depth, or is named as secret. */
export function markSecrets(outputs: Properties, inputs: Properties, additional: string[]): Properties {
    return Object.fromEntries(
        Object.entries(outputs).map(([key, value]) => [key, additional.includes(key) ? secret(plain(value)) : markAs(value, inputs[key])]),
    );
}

function markAs(value: Value, input: Value): Value {
    if (value === undefined || isSecret(value) || !contains(input, isSecret)) return value;
    const alike = (one: Value, other: Value) => typeof one === "object" && one !== null && Array.isArray(one) === Array.isArray(other);
    if (isSecret(input) || !alike(value, input)) return secret(plain(value));
    if (Array.isArray(value)) return value.map((item, index) => markAs(item, input[index]));
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, markAs(item, input[key])]));
}

/** Names of the top-level properties that differ. */
export function changedKeys(before: Properties, after: Properties): string[] {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.filter(key => stable(plain(before[key])) !== stable(plain(after[key])));
}

function stable(value: Value): string {
    return (
        JSON.stringify(value, (_key, item) =>
            item !== null && typeof item === "object" && !Array.isArray(item)
                ? Object.fromEntries(
                      Object.entries(item)
                          .filter(([, inner]) => inner !== undefined && inner !== null)
                          .sort(([a], [b]) => a.localeCompare(b)),
                  )
                : item,
        ) ?? "null"
    );
}
