import { join } from "path";
import { nodeProgram } from "../remote/programs";
import { ApiAccess } from "./kubeconfig";

/** Returns the program that asks a cluster for its version. */
export function versionProgram(access: ApiAccess): string {
    return nodeProgram(join(__dirname, "runner", "apiVersion.js"), { access });
}
