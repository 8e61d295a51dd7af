import { writeFileSync } from "fs";
import { join } from "path";
import { z } from "zod";
import { sshSchema } from "../components/remote/schema";
import { rkeClusterSettingsSchema } from "../components/cluster/rke/schema";
import { rancherHaSchema } from "../components/schema";
import { configKeys } from "./configurationPage";

/** Writes docs/pulumi-config.schema.json, with which editors check and complete `Pulumi.<stack>.yaml`. */

type Schema = z.core.JSONSchema.BaseSchema;
type Properties = Record<string, Schema>;

export const configurationSchema = join(__dirname, "..", "docs", "pulumi-config.schema.json");

const prefix = "pulumi-rancher-ha:";
const path = z.string().optional();
/** The schema of the arguments, with the paths of files that `SshConfig` and `RkeClusterConfig` add. */
export const configSchema = z.strictObject({
    ...rancherHaSchema.shape,
    ssh: sshSchema.extend({ privateKeyFile: path, knownHostsFile: path }).optional(),
    cluster: rkeClusterSettingsSchema.safeExtend({ rkeStateFile: path }).optional(),
});

/** The form that `pulumi config set --secret` writes. Pulumi decrypts it to a string, which is JSON for a group. */
const encrypted: Schema = {
    type: "object",
    properties: { secure: { type: "string" } },
    required: ["secure"],
    additionalProperties: false,
};

/** Renders the JSON Schema of a whole file, which accepts other programs' configuration and Pulumi's own keys. */
export function renderedSchema(): string {
    const { $schema, properties = {}, required = [] } = z.toJSONSchema(configSchema, { io: "input", target: "draft-7", override: shorten });
    const meanings = new Map(configKeys().map(({ path, meaning }) => [path, meaning]));
    const groups = Object.entries(properties as Properties).map(([key, schema]) => [prefix + key, finished(schema, key, meanings)]);
    const config: Schema = {
        type: "object",
        properties: Object.fromEntries(groups),
        patternProperties: { [`^${prefix}(?!(${Object.keys(properties).join("|")})$)`]: false as unknown as Schema },
        required: required.map(key => prefix + key),
    };
    const title = "Configuration of a stack of pulumi-rancher-ha";
    const whole: Schema = { $schema, title, type: "object", properties: { config }, required: ["config"], definitions: { encrypted } };
    return `${JSON.stringify(whole, undefined, 4)}\n`;
}

/** Removes redundant limits: the pattern of a standard format, and the largest integer of JavaScript. */
function shorten({ jsonSchema }: { jsonSchema: Schema }): void {
    if (["ipv4", "ipv6"].includes(jsonSchema.format ?? "")) delete jsonSchema.pattern;
    if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
}

/** Adds the docstring of every key, and accepts an encrypted value in place of every string and of a whole group. */
function finished(schema: Schema, path: string, meanings: Map<string, string>): Schema {
    const { properties, items, additionalProperties, ...others } = schema;
    const below = Object.entries((properties ?? {}) as Properties).map(([key, child]) => [
        key,
        finished(child, `${path}.${key}`, meanings),
    ]);
    const description = meanings.get(path);
    const whole: Schema = {
        ...(description && { description }),
        ...others,
        ...(properties && { properties: Object.fromEntries(below) }),
        ...(items && { items: finished(items as Schema, `${path}[]`, meanings) }),
        ...(additionalProperties !== undefined && {
            additionalProperties: additionalProperties && finished(additionalProperties as Schema, `${path}.*`, meanings),
        }),
    };
    const isString = [schema, ...(schema.anyOf ?? [])].some(({ type }) => type === "string");
    const isGroup = !path.includes(".");
    return isString || isGroup ? orEncrypted(whole) : whole;
}

function orEncrypted({ description, default: fallback, anyOf, ...schema }: Schema): Schema {
    return {
        ...(description && { description }),
        ...(fallback !== undefined && { default: fallback }),
        anyOf: [...(anyOf ?? [schema]), { $ref: "#/definitions/encrypted" }],
    };
}

if (require.main === module) writeFileSync(configurationSchema, renderedSchema());
