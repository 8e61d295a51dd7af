import { diffLines } from "diff";
import { Result, Step } from "./deployment";
import { changedKeys, contains, isSecret, plain, unknown, Value } from "./values";

const signs = { create: "+", update: "~", replace: "+-", delete: "-", same: " ", read: ">" };
const plural = { create: "to create", update: "to update", replace: "to replace", delete: "to delete", same: "unchanged", read: "read" };
const done = { ...plural, create: "created", update: "updated", replace: "replaced", delete: "deleted" };

/** One line for a step, as the Pulumi CLI words it. */
export function stepLine(step: Step, phase: "begin" | "end" | "failed", seconds: number): string {
    const [, kind] = /([^:$]+)$/.exec(step.type) ?? ["", step.type];
    const detail = step.changed.length > 0 ? `  [diff: ${step.changed.map(key => `~${key}`).join(",")}]` : "";
    const state = phase === "begin" ? " …" : phase === "failed" ? "  failed" : seconds >= 0.1 ? `  (${seconds.toFixed(1)} s)` : "";
    return ` ${signs[step.op].padStart(2)} ${step.op.padEnd(8)}${kind.padEnd(22)} ${step.name}${detail}${state}`;
}

/** What changes in the inputs, line by line for texts; secrets are only named. */
export function diffText(step: Step): string[] {
    if (!step.before || !step.after) return [];
    return changes("", step.before, step.after).map(line => `        ${line}`);
}

function changes(path: string, before: Value, after: Value): string[] {
    if (contains(before, isSecret) || contains(after, isSecret)) {
        const inner = !isSecret(before) && !isSecret(after) && isObject(before) && isObject(after);
        if (!inner) return [`~ ${path}: [secret]`];
    }
    if (path.startsWith("__provider")) return [];
    if (isObject(before) && isObject(after)) {
        return changedKeys(before, after).flatMap(key => changes(path ? `${path}.${key}` : key, before[key], after[key]));
    }
    if (typeof before === "string" && typeof after === "string" && `${before}${after}`.includes("\n")) {
        const lines = diffLines(before, after).flatMap(part => {
            const text = part.value.replace(/\n$/, "").split("\n");
            if (!part.added && !part.removed) return [];
            return text.map(line => `  ${part.added ? "+" : "-"} ${line}`);
        });
        return [`~ ${path}:`, ...lines];
    }
    const shown = (value: Value) => (contains(value, each => each === unknown) ? "[unknown]" : JSON.stringify(plain(value)));
    return [`~ ${path}: ${shown(before)} => ${shown(after)}`];
}

const isObject = (value: Value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** How many resources were or would be changed. */
export function summary(result: Result, preview: boolean): string {
    const words = preview ? plural : done;
    const counts = (["create", "update", "replace", "delete", "same"] as const)
        .map(op => [op, result.steps.filter(step => step.op === op).length] as const)
        .filter(([, count]) => count > 0)
        .map(([op, count]) => `${signs[op].trim()}${signs[op].trim() ? " " : ""}${count} ${words[op]}`);
    return `Resources: ${counts.join(", ") || "none"}`;
}
