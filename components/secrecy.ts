import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";

/**
 * Returns `value` as a secret only when something in `sources` is a secret. A value that is made of several arguments would otherwise be
 * secret because of one, an SSH key for example, that it does not contain. A preview should show every value that nobody marked.
 */
export function secretAs<T>(sources: unknown, value: pulumi.Output<T>): pulumi.Output<T> {
    const marked = pulumi.isSecret(pulumi.output(sources));
    return pulumi.unsecret(value).apply(async known => ((await marked) ? pulumi.secret(known) : known)) as pulumi.Output<T>;
}

type Secrecy = "always" | "where a user encrypts";

/**
 * Schemas of secrets. Pulumi reports only that something in a group of the configuration is encrypted. Then everything in the group that a
 * user may have encrypted is a secret, too.
 */
const secrets = z.registry<{ secret: Secrecy }>();

const marked =
    (secrecy: Secrecy) =>
    <S extends z.ZodType>(schema: S): S => {
        secrets.add(schema as z.ZodType, { secret: secrecy });
        return schema;
    };

/** Marks the schema of a value that is always a secret. */
export const secret = marked("always");

/** Marks the schema of a value that holds a secret where a user encrypts it, such as values of a chart. */
export const maybeSecret = marked("where a user encrypts");

/** Returns the schema behind `optional`, `default`, `prefault` and `transform`. */
function unwrapped(schema: z.ZodType | undefined): z.ZodType | undefined {
    const { innerType, in: source } = (schema?.def ?? {}) as { innerType?: z.ZodType; in?: z.ZodType };
    const inner = innerType ?? source;
    return inner ? unwrapped(inner) : schema;
}

/** Returns the schema of a key or of an entry, or undefined for one that a schema does not name. */
export function schemaAt(schema: z.ZodType | undefined, key: PropertyKey): z.ZodType | undefined {
    const outer = unwrapped(schema);
    if (outer instanceof z.ZodObject) return unwrapped((outer.shape as Record<PropertyKey, z.ZodType>)[key]);
    return outer instanceof z.ZodArray ? unwrapped(outer.element as z.ZodType) : undefined;
}

/** Reports whether a user may have encrypted the value at a path, or one around it. */
export function mayBeSecret(schema: z.ZodType, path: PropertyKey[]): boolean {
    let at: z.ZodType | undefined = schema;
    return path.some(key => {
        at = schemaAt(at, key);
        return at !== undefined && secrets.get(at) !== undefined;
    });
}

/** Exact names of secrets in values that no schema describes. A preview shows all other values. */
const secretName = /^(privateKey|password|accessKey|secretKey|encryptionKey|kubeconfig)$/;

/** Reports whether a text holds a URL with a user or a password. */
export const holdsLogin = (value: unknown): boolean => typeof value === "string" && /:\/\/[^\s/]*@/.test(value);

/**
 * Marks the secrets in arguments, whether they are encrypted, come from a file, or were not encrypted by mistake. Pulumi reports only of a
 * whole group that something in it is encrypted.
 */
export function withSecrets<Args>(args: pulumi.Unwrap<Args> & object, schema: z.ZodType, isEncrypted: (group: string) => boolean): Args {
    const groups = Object.entries(args).map(([key, value]) => [key, markedSecrets(value, schemaAt(schema, key), isEncrypted(key))]);
    return Object.fromEntries(groups) as Args;
}

function markedSecrets(value: unknown, schema: z.ZodType | undefined, isEncrypted: boolean): unknown {
    const mark = schema && secrets.get(schema)?.secret;
    if (value === undefined) return value;
    if (mark === "always" || (mark && isEncrypted) || holdsLogin(value)) return pulumi.secret(value);
    if (Array.isArray(value)) return value.map((entry, index) => markedSecrets(entry, schemaAt(schema, index), isEncrypted));
    if (!isGroup(value)) return value;
    const entries = Object.entries(value).map(([key, below]) => {
        const its = schemaAt(schema, key);
        return [key, !its && secretName.test(key) ? pulumi.secret(below) : markedSecrets(below, its, isEncrypted)];
    });
    return Object.fromEntries(entries);
}

/** Reports whether a value is an object with keys, and no list and no output. */
export const isGroup = (value: unknown): value is Record<string, unknown> =>
    value !== null && typeof value === "object" && !Array.isArray(value) && !pulumi.Output.isInstance(value);
