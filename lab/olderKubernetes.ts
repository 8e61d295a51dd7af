import { join } from "path";
import { LabHost } from "./host";
import { ensureTools, toolFolder } from "./tools";

/** Kubernetes of the minor version before that of the lab, from which a test can upgrade a cluster. */
export const olderKubernetes = "v1.29.15";

/** Names of the images that RKE 1.8.14 requests for Kubernetes v1.29.15-rancher1-1, if v1.30.14-rancher1-1 has others. */
const imageNames = ["rancher/hyperkube:v1.29.15-rancher1", "rancher/rke-tools:v0.1.111"];

/** Gives Docker of these nodes the images of the older Kubernetes. They differ from those of the lab in the programs of Kubernetes. */
export async function addOlderKubernetes(nodes: LabHost[]): Promise<void> {
    await ensureTools("kubernetes-1.29");
    const program = join(toolFolder("kubernetes-1.29"), "kubernetes-1.29");
    const added = { image: "rancher/hyperkube:v1.30.14-rancher1", file: "/usr/local/bin/kubernetes", names: imageNames };
    for (const node of nodes) await node.addProgram(program, added);
}
