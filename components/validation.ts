import * as pulumi from "@pulumi/pulumi";
import { inspect } from "util";
import { z } from "zod";
import { ErrorCode, withCode } from "./errorCodes";
import { holdsLogin, isGroup, schemaAt } from "./secrecy";

/** A component's refusal of its arguments, reported without a stack trace. */
export class Refusal extends pulumi.ResourceError {
    constructor(code: ErrorCode, message: string, component: pulumi.Resource) {
        super(withCode(code, message), component, true);
        // Where a refusal ends an argument of a resource, Pulumi would begin the message with `error serializing property "…"`.
        const text = this.message;
        Object.defineProperty(this, "message", { get: () => text, set: () => undefined });
    }

    /**
     * Returns only the message. Pulumi inspects the errors that it reports, and would walk through all resources of the component for
     * minutes.
     */
    [inspect.custom](): string {
        return this.message;
    }
}

/** A value each part of which may come from another resource. */
type Inputs<T> = pulumi.Input<T extends object ? { [K in keyof T]: Inputs<T[K]> } : T>;

/**
 * Checks arguments against a schema and returns them with defaults applied. A value that is known now is checked now, so a wrong literal
 * stops the program before anything is registered. A value from another resource is checked when it is known. A preview that does not know
 * one argument yet shows the others.
 */
export function validated<S extends z.ZodType>(
    component: pulumi.Resource,
    what: string,
    schema: S,
    args: Inputs<z.input<S>>,
): pulumi.Output<z.output<S>> {
    refuseLiterals(component, what, schema, args);
    return applyWithUnknowns(pulumi.output(args), async value => {
        if (pulumi.containsUnknowns(value)) return knownArgs(schema, value);
        const { success, data, error } = check(schema, value);
        if (success) return data;
        const secrets: PropertyKey[][] = [];
        for (const { path } of error.issues) {
            const output = outputOn(args, path);
            if (output && (await pulumi.isSecret(output))) secrets.push(path);
        }
        throw new Refusal("configuration", `${what}: ${describeIssues(error.issues, value, path => secrets.includes(path))}`, component);
    });
}

/** Calls back as `apply` does, and in a preview, too, with `pulumi.unknown` in the place of each unknown value. */
function applyWithUnknowns<T>(output: pulumi.Output<unknown>, callback: (value: unknown) => Promise<T>): pulumi.Output<T> {
    // The types of the SDK omit the second parameter.
    type Apply = (callback: (value: unknown) => Promise<T>, withUnknowns: boolean) => pulumi.Output<T>;
    return (output as unknown as { apply: Apply }).apply(callback, true);
}

/**
 * Returns the arguments that are known and right, with defaults applied. All others are unknown, and so is everything that a schema makes
 * of all its keys together.
 */
function knownArgs<S extends z.ZodType>(schema: S, args: unknown): z.output<S> {
    if (pulumi.isUnknown(args) || !(schema instanceof z.ZodObject)) return pulumi.unknown as unknown as z.output<S>;
    const known = Object.entries(schema.shape as Record<string, z.ZodType>).map(([key, argument]) => {
        const value = valueAt(args, [key]);
        const parsed = pulumi.containsUnknowns(value) ? undefined : argument.safeParse(value);
        return [key, parsed?.success ? parsed.data : pulumi.unknown];
    });
    return Object.fromEntries(known) as z.output<S>;
}

/** Refuses arguments with a wrong value that is known at once. Values from other resources are skipped here. */
export function refuseLiterals<S extends z.ZodType>(component: pulumi.Resource, what: string, schema: S, args: Inputs<z.input<S>>): void {
    const issues = check(schema, args).error?.issues.filter(({ path }) => outputOn(args, path) === undefined) ?? [];
    if (issues.length > 0) throw new Refusal("configuration", `${what}: ${describeIssues(issues, args)}`, component);
}

/**
 * Refuses an output where a component needs the value itself, because the number of resources depends on it. TypeScript refuses such an
 * output at compile time. A program in another language can pass one: a secret around a whole group, for example.
 */
export function refuseOutputs(component: pulumi.Resource, what: string, plainArgs: object): void {
    const message =
        "expected a plain value, found an output as a whole: the number of resources depends on it. " +
        "Give it as it is, and mark as secret only the values inside that are secret.";
    const issues = Object.entries(plainArgs)
        .filter(([, value]) => pulumi.Output.isInstance(value) || value instanceof Promise)
        .map(([key]) => ({ code: "custom" as const, path: [key], message, input: undefined }));
    if (issues.length > 0) throw new Refusal("program", `${what}: ${describeIssues(issues, plainArgs)}`, component);
}

/** Reports whether no value occurs twice. */
export const isUnique = (values: unknown[]): boolean => new Set(values).size === values.length;

/** Reports whether a text is not empty. The report is no secret. */
export const isNotEmpty = (text: pulumi.Output<string>) => pulumi.unsecret(text).apply(found => found !== "");

/** Returns the value, or undefined in a preview that does not know it yet. */
export function ifKnown<T>(output: pulumi.Output<T>): pulumi.Output<T | undefined> {
    return settled(output).apply(known => (known ? output : undefined)) as pulumi.Output<T | undefined>;
}

/** Waits for an output, and tells whether its value is known. The result does not depend on the resources of the output. */
export function settled(output: pulumi.Output<unknown>): pulumi.Output<boolean> {
    // Every output has this field, but the types of the SDK omit it.
    return pulumi.output((output as unknown as { isKnown: Promise<boolean> }).isKnown);
}

/** Returns a value that waits for another output, in time only: it does not depend on the resources of that output. */
export const heldUntil = <T>(waited: pulumi.Output<unknown>, value: pulumi.Output<T>): pulumi.Output<T> =>
    pulumi.all([value, settled(waited)]).apply(([known]) => known) as pulumi.Output<T>;

/**
 * Returns an output of a resource. It is unknown while the state lacks the resource: in `pulumi refresh --run-program`, and in a first
 * `pulumi up --target` without the resource. The SDK gives undefined there. A callback that reads undefined fails, and the SDK then inspects
 * the error for minutes.
 */
export function inState<T>(output: pulumi.Output<T>): pulumi.Output<T> {
    return output.apply(value => value ?? pulumi.unknown) as pulumi.Output<T>;
}

/** Returns options that check a rule as soon as the values that it reads match this schema, even when other values are wrong or unknown. */
export function whenKnown(schema: z.ZodType): z.core.$ZodSuperRefineParams {
    return { when: ({ value }) => schema.safeParse(value).success };
}

/** Returns a schema that also accepts an empty string, which stands for a value that nobody knows. */
export const orEmpty = (schema: z.ZodType<string>) =>
    z.string().superRefine((text, context) => {
        const [issue] = text === "" ? [] : (check(schema, text).error?.issues ?? []);
        if (issue) context.addIssue({ code: "custom", message: `${issue.message}, or an empty string` });
    });

/** Returns all issues as one text. */
export function describeIssues(issues: z.core.$ZodIssue[], root: unknown, secret?: (path: PropertyKey[]) => boolean): string {
    const lines = issueLines(issues, root, { secret });
    return lines.length === 1 ? lines[0] : `${lines.length} values are wrong\n${lines.map(line => `  - ${line}`).join("\n")}`;
}

interface LineOptions {
    /** Text before each path. */
    prefix?: string;
    /** Reports whether a value must not be shown. */
    secret?: (path: PropertyKey[]) => boolean;
    /** Maps a path to the key that the user wrote in its place. */
    writtenAs?: Map<string, string>;
}

/**
 * Returns one line for each wrong value: its path, the allowed value, and the value that was found unless it is a secret. A line carries
 * the code that its issue has in `params.errorCode`. The other lines have the code of the whole error.
 */
export function issueLines(
    issues: z.core.$ZodIssue[],
    root: unknown,
    { prefix = "", secret = () => false, writtenAs = new Map() }: LineOptions = {},
): string[] {
    const pathOf = (path: PropertyKey[]) => {
        const text = pathText(path);
        return `${prefix}${writtenAs.get(text) ?? text}` || "(all)";
    };
    const lines = issues.flatMap(issue => {
        if (issue.code === "unrecognized_keys")
            return issue.keys.map(key => `${pathOf([...issue.path, key])}: no such key. Remove it or correct its spelling`);
        const line = `${pathOf(issue.path)}: ${issueText(issue, root, secret(issue.path))}`;
        const code = issue.code === "custom" && (issue.params?.errorCode as ErrorCode | undefined);
        return [code ? withCode(code, line) : line];
    });
    // Two groups can lack the same value.
    return [...new Set(lines)];
}

/** Returns the allowed value and the value that was found, unless it is a secret. */
function issueText(issue: z.core.$ZodIssue, root: unknown, isSecret = false): string {
    if (saysAll(issue)) return issue.message;
    return `${issue.message}, found ${isSecret ? "a value that is not shown" : found(valueAt(root, issue.path), issue)}`;
}

/** Returns the text of an issue as a whole sentence, which another schema can report as a complete message. */
export function issueSentence(issue: z.core.$ZodIssue, root: unknown): string {
    return saysAll(issue) ? issue.message : `${issueText(issue, root)}.`;
}

/** Checks a value against a schema. An issue whose rule has no words of its own says what was expected. */
export function check<S extends z.ZodType>(schema: S, value: unknown): z.ZodSafeParseResult<z.output<S>> {
    return schema.safeParse(value, { error: expectation });
}

/** Names of zod's types that differ from those of YAML. */
const typeNames: Partial<Record<string, string>> = { array: "list", record: "object", int: "whole number" };

/** What the limits of a string or a list count. Limits of numbers have no unit. */
const units: Partial<Record<string, string>> = { string: " character", array: " value" };

/** Returns what a rule of zod expects, or undefined for a rule whose words from zod are kept. */
function expectation(issue: z.core.$ZodRawIssue): string | undefined {
    const counted = (limit: unknown) => {
        const unit = units[String(issue.origin)];
        return unit ? `${String(limit)}${unit}${limit === 1 ? "" : "s"}` : String(limit);
    };
    switch (issue.code) {
        case "invalid_type":
            return `expected ${typeNames[issue.expected] ?? issue.expected}`;
        case "invalid_value":
            return `expected ${issue.values.length > 1 ? "one of " : ""}${issue.values.map(value => JSON.stringify(value)).join(", ")}`;
        case "too_small":
            return `expected ${issue.inclusive ? "at least" : "more than"} ${counted(issue.minimum)}`;
        case "too_big":
            return `expected ${issue.inclusive ? "at most" : "less than"} ${counted(issue.maximum)}`;
        default:
            return undefined;
    }
}

/**
 * Reports whether a custom message is complete, so that the value that was found is not appended. Such a message ends with a full stop.
 * The value may be long, or hold a secret in the wrong place.
 */
function saysAll(issue: z.core.$ZodIssue): boolean {
    return issue.code === "custom" && issue.message.endsWith(".");
}

/**
 * Describes the value that was found. Only single values that cannot be or hold a secret are quoted, because a secret may be in a wrong
 * place.
 */
function found(value: unknown, issue: z.core.$ZodIssue): string {
    if (value === undefined) return "nothing";
    if (Array.isArray(value)) return `a list of ${value.length}`;
    if (value !== null && typeof value === "object") return "an object";
    if (typeof value === "string" && issue.code === "invalid_type") return "a string";
    // A password of digits is a number in YAML.
    if (typeof value === "number" && issue.code === "invalid_type" && issue.expected === "string") return "a number";
    const name = String(issue.path[issue.path.length - 1]);
    const text = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? String(value));
    // A wrong value may be a secret in a wrong place, so a similar name is enough here.
    const soundsSecret = /key|password|token|secret|kubeconfig/i.test(name) && name !== "hostKey";
    if (soundsSecret || text.includes("PRIVATE KEY") || holdsLogin(text)) return "a value that is not shown";
    return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}

function pathText(path: PropertyKey[]): string {
    const text = path.map(part => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
    return text.replace(/^\./, "");
}

/** Returns the value at a path, or undefined. */
export function valueAt(root: unknown, path: PropertyKey[]): unknown {
    return path.reduce<unknown>((value, part) => (value as Record<PropertyKey, unknown> | undefined)?.[part], root);
}

/**
 * Leaves out each empty group that the schema names, because `pulumi config rm --path` leaves one where it removed the last key. Keys that
 * a user chooses, such as values of a chart, keep theirs.
 */
export function withoutEmptyGroups(value: unknown, schema?: z.ZodType): unknown {
    if (!isGroup(value) || !(schema instanceof z.ZodObject)) return value;
    const isEmpty = (key: string) =>
        schemaAt(schema, key) instanceof z.ZodObject && isGroup(value[key]) && Object.keys(value[key]).length === 0;
    const kept = Object.keys(value).filter(key => !isEmpty(key));
    return Object.fromEntries(kept.map(key => [key, withoutEmptyGroups(value[key], schemaAt(schema, key))]));
}

/** Returns the output that a value comes from, or undefined. */
function outputOn(root: unknown, path: PropertyKey[]): pulumi.Output<unknown> | undefined {
    let value = root;
    for (const part of path) {
        if (pulumi.Output.isInstance(value)) return value;
        value = (value as Record<PropertyKey, unknown> | undefined)?.[part];
    }
    if (pulumi.Output.isInstance(value)) return value;
    return value instanceof Promise ? pulumi.output(value) : undefined;
}
