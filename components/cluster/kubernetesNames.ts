import { z } from "zod";
import { whenKnown } from "../validation";

// Source of all rules: k8s.io/apimachinery/pkg/util/validation.

const label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const subdomain = new RegExp(`^(?=.{1,253}$)${label}(\\.${label})*$`);
const name = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** Name of an object in Kubernetes. */
export const objectNameSchema = z.string().max(253).regex(subdomain, "expected a lower-case DNS name");

/** Name of a node. Kubernetes puts the name into the label kubernetes.io/hostname, which holds at most 63 characters. */
export const nodeNameSchema = z
    .string()
    .max(63, "expected at most 63 characters, because Kubernetes puts the name of a node into a label")
    .regex(subdomain, "expected a lower-case DNS name");

/** Value of a label or of a taint. */
export const labelValueSchema = z
    .string()
    .regex(
        new RegExp(`^$|${name.source}`),
        "expected at most 63 letters, digits, -, _ and ., with a letter or digit at both ends, or an empty string",
    );

/** Key of a label or of a taint. */
export const qualifiedNameSchema = z
    .string()
    .refine(isQualifiedName, "expected a key that Kubernetes accepts, such as zone or example.com/zone");

/** Labels of a node. */
export const labelsSchema = withKeys(labelValueSchema, isQualifiedName);

/** Annotations of an object. Kubernetes takes upper case in the prefix of their keys, too. */
export const annotationsSchema = withKeys(z.string(), key => isQualifiedName(key.toLowerCase()));

/** Returns the schema of a record with keys that Kubernetes accepts. */
function withKeys(values: z.ZodString, isKey: (text: string) => boolean) {
    return z.record(z.string(), values).superRefine(
        (record, context) => {
            for (const key of Object.keys(record).filter(each => !isKey(each))) {
                const message = "expected a key that Kubernetes accepts, such as zone or example.com/zone. Rename it.";
                context.addIssue({ code: "custom", path: [key], message });
            }
        },
        whenKnown(z.looseObject({})),
    );
}

/** Reports whether a text is a name of at most 63 characters, with or without a DNS name and a slash before it. */
function isQualifiedName(text: string): boolean {
    const [last, prefix, ...more] = text.split("/").reverse();
    return more.length === 0 && name.test(last) && (prefix === undefined || subdomain.test(prefix));
}
