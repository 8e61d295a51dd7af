import { join } from "path";
import { LabHost } from "./host";
import { ensureTools, toolFolder } from "./tools";

/** Kubernetes of the next minor version, to which a test can upgrade a cluster of the lab. */
export const newerKubernetes = "v1.31.9";

/** Names of the images that RKE 1.8.14 requests for Kubernetes v1.31.9-rancher1-1, if v1.30.14-rancher1-1 has others. */
const imageNames = ["rancher/hyperkube:v1.31.9-rancher1", "rancher/rke-tools:v0.1.113", "rancher/mirrored-coreos-etcd:v3.5.15"];

/** Gives Docker of these nodes the images of the newer Kubernetes. They differ from those of the lab in the programs of Kubernetes. */
export async function addNewerKubernetes(nodes: LabHost[]): Promise<void> {
    await ensureTools("kubernetes-1.31");
    const program = join(toolFolder("kubernetes-1.31"), "kubernetes-1.31");
    const [first, ...others] = imageNames;
    const script = `set -e; trap 'rm /root/kubernetes' EXIT; cat >/root/kubernetes; chmod 755 /root/kubernetes
        made=$(docker create rancher/hyperkube:v1.30.14-rancher1)
        docker cp /root/kubernetes "$made:/usr/local/bin/kubernetes"
        docker commit "$made" ${first}; docker rm "$made"
        for name in ${others.join(" ")}; do docker tag ${first} $name; done`;
    for (const node of nodes) await node.sh(script, { inputFile: program });
}
