/** Marks a secret in an exported state. */
const secretSignature = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };

/**
 * Returns an exported state in which the passwords of imported Helm releases are secrets. `pulumi import` reads them as plain values from
 * Helm's record, and the next preview would show them.
 */
export function sealed(exported: string): string {
    const state = JSON.parse(exported);
    for (const { type, inputs, outputs } of state.deployment.resources ?? []) {
        if (type !== "kubernetes:helm.sh/v3:Release") continue;
        for (const { values } of [inputs, outputs]) {
            if (typeof values?.bootstrapPassword !== "string") continue;
            values.bootstrapPassword = { ...secretSignature, plaintext: JSON.stringify(values.bootstrapPassword) };
        }
    }
    return JSON.stringify(state);
}
