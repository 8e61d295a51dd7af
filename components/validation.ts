import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";

/**
 * Checks arguments against a schema and returns them with defaults applied. What is known now is checked now, so that a
 * program with a wrong literal stops before anything is registered; what comes from other resources is checked when known.
 */
export function validated<S extends z.ZodType>(
    component: pulumi.Resource,
    what: string,
    schema: S,
    args: unknown,
): pulumi.Output<z.output<S>> {
    const check = (value: unknown, ignore: (path: PropertyKey[]) => boolean) => {
        const result = schema.safeParse(value);
        if (result.success) return result.data;
        const issues = result.error.issues.filter(issue => !ignore(issue.path));
        if (issues.length === 0) return undefined;
        throw new pulumi.ResourceError(`${what}: ${describeIssues(issues, value)}`, component, true);
    };
    check(args, path => passesThroughOutput(args, path));
    return (pulumi.output(args) as pulumi.Output<unknown>).apply(value => check(value, () => false) as z.output<S>);
}

/** One line for each wrong value: its path, what is allowed, what was found. */
export function describeIssues(issues: z.core.$ZodIssue[], root: unknown, prefix = ""): string {
    const lines = issues.flatMap(issue =>
        issue.code === "unrecognized_keys"
            ? issue.keys.map(key => `${pathText([...issue.path, key], prefix)}: no such key. Remove it or correct its spelling`)
            : [
                  `${pathText(issue.path, prefix)}: ${allowed(issue)}${saysAll(issue) ? "" : `, found ${found(valueAt(root, issue.path), issue)}`}`,
              ],
    );
    return lines.length === 1 ? lines[0] : `${lines.length} values are wrong\n${lines.map(line => `  - ${line}`).join("\n")}`;
}

function allowed(issue: z.core.$ZodIssue): string {
    return issue.message.replace(/^Invalid (input|option): /, "").replace(/, received .*$/, "");
}

/** A message that ends as a sentence tells itself what was found: the value may be long, or hold a secret in the wrong place. */
function saysAll(issue: z.core.$ZodIssue): boolean {
    return issue.code === "custom" && issue.message.endsWith(".");
}

/** What was found. Only single values that cannot be or hold a secret are quoted: a secret may also stand in a wrong place. */
function found(value: unknown, issue: z.core.$ZodIssue): string {
    if (value === undefined) return "nothing";
    if (Array.isArray(value)) return `a list of ${value.length}`;
    if (value !== null && typeof value === "object") return "a group of keys";
    if (typeof value === "string" && issue.code === "invalid_type") return "a text";
    const name = String(issue.path[issue.path.length - 1]);
    const text = JSON.stringify(value) ?? String(value);
    if ((/key|password|token|secret|kubeconfig/i.test(name) && name !== "hostKey") || /PRIVATE KEY/.test(text))
        return "a value that is not shown";
    return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}

function pathText(path: PropertyKey[], prefix: string): string {
    const text = path.map(part => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
    return prefix + (prefix === "" || /[.:]$/.test(prefix) ? text.replace(/^\./, "") : text) || "(all)";
}

function valueAt(root: unknown, path: PropertyKey[]): unknown {
    return path.reduce<unknown>((value, part) => (value as Record<PropertyKey, unknown> | undefined)?.[part], root);
}

function passesThroughOutput(root: unknown, path: PropertyKey[]): boolean {
    let value = root;
    for (const part of path) {
        if (pulumi.Output.isInstance(value)) return true;
        value = (value as Record<PropertyKey, unknown> | undefined)?.[part];
    }
    return pulumi.Output.isInstance(value) || value instanceof Promise;
}
