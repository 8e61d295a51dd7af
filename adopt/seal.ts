import { at, put } from "./keys";
import { secretPaths, secretSignature } from "./secrets";

/**
 * Returns an exported state in which the secrets in the values of imported Helm releases are secrets. `pulumi import` reads them as plain
 * values from Helm's record, and the next preview would show them.
 */
export function sealed(exported: string): string {
    const state = JSON.parse(exported);
    for (const { type, inputs, outputs } of state.deployment.resources ?? []) {
        if (type !== "kubernetes:helm.sh/v3:Release") continue;
        for (const { values } of [inputs ?? {}, outputs ?? {}])
            for (const keys of secretPaths(values ?? {}))
                put(values, keys, { ...secretSignature, plaintext: JSON.stringify(at(values, keys)) });
    }
    return JSON.stringify(state);
}
