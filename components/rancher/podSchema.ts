import { z } from "zod";
import { TaintEffect } from "../cluster/rke/nodes";
import { labelValueSchema, qualifiedNameSchema } from "../cluster/kubernetesNames";
import { check, orEmpty, whenKnown } from "../validation";

// Source of all rules: pkg/apis/core/validation of Kubernetes 1.30, and k8s.io/apimachinery/pkg/api/resource for quantities.

const quantity = /^(\+?(?:\d+\.?\d*|\.\d+))([numkMGTPE]|[KMGTPE]i|[eE][-+]?\d+)?$/;

/** Returns the value of a quantity, or undefined for another text. */
function valueOf(text: unknown): number | undefined {
    const [, digits, suffix = ""] = quantity.exec(typeof text === "string" ? text : "") ?? [];
    if (digits === undefined) return undefined;
    if (/^[eE][-+\d]/.test(suffix)) return Number(digits + suffix);
    const exponent = suffix.endsWith("i") ? 1024 ** " KMGTPE".indexOf(suffix[0]) : 1000 ** ("num kMGTPE".indexOf(suffix || " ") - 3);
    return Number(digits) * exponent;
}

/** Reports whether containers can ask for a resource of this name. */
const isResource = (name: string) =>
    /^(cpu|memory|ephemeral-storage|hugepages-.+)$/.test(name) || (name.includes("/") && qualifiedNameSchema.safeParse(name).success);

const quantitiesSchema = z.record(z.string(), z.string().regex(quantity, "expected a quantity such as 500m or 2Gi")).superRefine(
    (quantities, context) => {
        for (const name of Object.keys(quantities).filter(each => !isResource(each))) {
            const message = "expected cpu, memory, ephemeral-storage, or a name such as example.com/gpu. Rename it.";
            context.addIssue({ code: "custom", path: [name], message });
        }
    },
    whenKnown(z.looseObject({})),
);

const known = z.looseObject({}).optional().catch(undefined);

/** Schema of the resources of a container. */
export const resourcesSchema = z
    .strictObject({ limits: quantitiesSchema, requests: quantitiesSchema })
    .partial()
    .superRefine(
        ({ limits, requests }, context) => {
            for (const name of Object.keys(known.parse(requests) ?? {})) {
                const [request, limit] = [requests, limits].map(quantities => valueOf(quantities?.[name]));
                // A factor such as 0.001 makes rounding errors.
                if (request === undefined || limit === undefined || request <= limit * (1 + 1e-9)) continue;
                context.addIssue({ code: "custom", path: ["requests", name], message: `expected at most the limit ${limits![name]}` });
            }
        },
        whenKnown(z.looseObject({})),
    );

const knownToleration = z
    .strictObject({
        key: orEmpty(qualifiedNameSchema),
        operator: z.enum({ Equal: "Equal", Exists: "Exists" }),
        value: labelValueSchema,
        effect: z.enum({ ...TaintEffect, All: "" }),
        tolerationSeconds: z.number().int(),
    })
    .partial()
    .superRefine(({ key = "", operator, value = "", effect, tolerationSeconds }, context) => {
        const report = (path: string, message: string) => context.addIssue({ code: "custom", path: [path], message });
        if (key === "" && operator !== "Exists") report("key", "expected a key, or the operator Exists for all keys");
        if (value !== "" && operator === "Exists") report("value", "expected no value for the operator Exists");
        if (tolerationSeconds !== undefined && effect !== "NoExecute") report("effect", "expected NoExecute beside tolerationSeconds");
    });

/** Schema of a toleration of a pod. It names no keys, because the argument is an object of Kubernetes. */
export const tolerationSchema = z.record(z.string(), z.any()).superRefine((toleration, context) => {
    check(knownToleration, toleration).error?.issues.forEach(issue =>
        context.addIssue({ ...issue, input: toleration } as z.core.$ZodRawIssue),
    );
});
