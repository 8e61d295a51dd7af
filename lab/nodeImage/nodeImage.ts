import { existsSync, mkdirSync, readFileSync, writeFileSync } from "fs";
import { join } from "path";
import { parseAllDocuments, stringify } from "yaml";
import { longStep, progress, run } from "../process";
import {
    cacheFolder,
    digest,
    digestOfFolder,
    ensureTools,
    keep,
    moduleFolder,
    newFolder,
    toolFolder,
    unpackedDebianPackages,
} from "../tools";

/**
 * Names of the images that RKE 1.8.14 requests for Kubernetes v1.30.14-rancher1-1 and v1.30.5-rancher1-1. All names belong to one image,
 * so an upgrade between these versions tests only RKE's work.
 */
export const nodeImageNames = [
    "rancher/rke-tools:v0.1.114",
    "rancher/rke-tools:v0.1.103",
    "rancher/hyperkube:v1.30.14-rancher1",
    "rancher/hyperkube:v1.30.5-rancher1",
    "rancher/mirrored-coreos-etcd:v3.5.12",
    "rancher/mirrored-pause:3.7",
];

let built: Promise<string> | undefined;

/** Returns the tar file with the image of RKE's containers. Builds the file if it is missing. */
export function nodeImage(): Promise<string> {
    return (built ??= build());
}

async function build(): Promise<string> {
    const etcd = await unpackedDebianPackages(["etcd-server", "etcd-client"]);
    const names = ["kubernetes", "kwok", "node-workloads"] as const;
    const file = join(cacheFolder, "images", `node-${digest(digestOfFolder(__dirname) + names.map(toolFolder).join())}.tar`);
    if (existsSync(file)) return file;
    await ensureTools(...names);
    const draft = newFolder("image");
    const kwokConfig = join(draft, "kwok.yaml");
    writeFileSync(kwokConfig, await kwokStages());
    mkdirSync(join(cacheFolder, "images"), { recursive: true });
    const binaries = names.map(name => join(toolFolder(name), name));
    await longStep("images of RKE", "building", 10, () =>
        run("sh", [join(__dirname, "build.sh"), etcd, kwokConfig, join(draft, "image.tar"), ...binaries]),
    );
    keep(join(draft, "image.tar"), file);
    progress("images of RKE", "built");
    return file;
}

/**
 * Returns kwok's own stages without the pods that kwok must not manage. The kubelet stand-in runs RKE's add-on jobs. node-workloads
 * writes the status of the pods that really serve requests (ingress controller, Rancher). A stage of the lab's own makes pods Ready again:
 * the node controller calls them not ready while their node is silent, and a kubelet corrects that.
 */
async function kwokStages(): Promise<string> {
    const stages = join(await moduleFolder("kwok", "sigs.k8s.io/kwok"), "kustomize", "stage");
    const files = [
        "pod/fast/pod-ready",
        "pod/fast/pod-complete",
        "pod/fast/pod-delete",
        "node/fast/node-initialize",
        "node/heartbeat/node-heartbeat",
    ];
    return files
        .flatMap(file => parseAllDocuments(readFileSync(join(stages, `${file}.yaml`), "utf8")).map(document => document.toJS()))
        .flatMap(stage => {
            if (stage.metadata.name !== "pod-ready") return [stage];
            const narrowed = (name: string, ...more: object[]) => {
                const notRkeJob = { key: ".spec.serviceAccountName", operator: "NotIn", values: ["rke-job-deployer"] };
                const matchExpressions = [...stage.spec.selector.matchExpressions, notRkeJob, ...more];
                return { ...stage, metadata: { name }, spec: { ...stage.spec, selector: { matchExpressions } } };
            };
            const serving = { key: ".metadata.labels.app", values: ["ingress-nginx", "rancher"] };
            const kept = narrowed("pod-ready", { ...serving, operator: "NotIn" });
            return [
                kept,
                readyAgain(kept),
                narrowed(
                    "job-pod-ready",
                    { ...serving, operator: "In" },
                    { key: ".metadata.ownerReferences.[].kind", operator: "In", values: ["Job"] },
                ),
            ];
        })
        .map(stage => stringify(stage))
        .join("---\n");
}

/** Returns the stage for pods that run and are not ready, made of the stage for pods that start. */
function readyAgain({ spec, ...stage }: { spec: { selector: { matchExpressions: { key: string }[] } } }) {
    const others = spec.selector.matchExpressions.filter(({ key }) => key !== ".status.podIP");
    const runs = { key: ".status.phase", operator: "In", values: ["Running"] };
    const notReady = { key: '.status.conditions.[] | select( .type == "Ready" ) | .status', operator: "In", values: ["False"] };
    const selector = { matchExpressions: [...others, runs, notReady] };
    return { ...stage, metadata: { name: "pod-ready-again" }, spec: { ...spec, selector } };
}
