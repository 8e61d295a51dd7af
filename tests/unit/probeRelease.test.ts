import { once } from "events";
import { createServer, Server } from "https";
import { AddressInfo } from "net";
import { join } from "path";
import { gzipSync } from "zlib";
import { findingOf, parseProbe } from "../../components/host/probe";
import { nodeProgram } from "../../components/host/programs";
import { run } from "../../lab/process";
import { issue } from "../certificates";

// What a real API server answers is asked in the stack test.
const ca = issue({ name: "kube-ca", ca: true });
const api = issue({ name: "kube-apiserver", by: ca, names: ["IP:127.0.0.1"] });
const manifest = `---
# Source: rancher/templates/deployment.yaml
kind: Deployment
apiVersion: apps/v1
metadata:
  labels:
    name: not-this-one
  name: "rancher"
spec:
  replicas: 3
---
# Source: rancher/templates/clusterRoleBinding.yaml
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: rancher
`;
const packed = (text: string) => Buffer.from(gzipSync(JSON.stringify({ manifest: text })).toString("base64")).toString("base64");
const releases = (...versions: [version: string, manifest: string, status?: string][]) => ({
    items: versions.map(([version, text, status = "deployed"]) => ({
        metadata: { name: `sh.helm.release.v1.rancher.v${version}`, labels: { version, status } },
        data: { release: packed(text) },
    })),
});
const resources = {
    "/apis/apps/v1": {
        resources: [
            { name: "deployments/scale", kind: "Deployment", namespaced: true },
            { name: "deployments", kind: "Deployment", namespaced: true },
        ],
    },
    "/apis/rbac.authorization.k8s.io/v1": { resources: [{ name: "clusterrolebindings", kind: "ClusterRoleBinding", namespaced: false }] },
};
const deployment = "/apis/apps/v1/namespaces/cattle-system/deployments/rancher";
const binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/rancher";
const object = (spec: object, resourceVersion = "1") => ({ metadata: { name: "rancher", resourceVersion, managedFields: [] }, spec });
const well = { replicas: 3, containers: [{ name: "rancher", args: ["-v"], env: [{ name: "KEY", value: "s3cret" }] }] };

let server: Server;
let live: Record<string, unknown>;
let refused: string[];
beforeAll(async () => {
    server = createServer({ cert: api.certificate, key: api.privateKey }, (asked, answer) => {
        const { pathname, searchParams } = new URL(asked.url!, "https://localhost");
        const isDryRun = asked.method === "PATCH" && searchParams.get("dryRun") === "All";
        if (asked.headers.authorization !== "Bearer token" || (asked.method !== "GET" && !isDryRun)) refused.push(asked.url!);
        const known: Record<string, unknown> = { ...resources, ...live };
        const found = isDryRun ? (known[`applied ${pathname}`] ?? known[pathname]) : known[pathname];
        answer.writeHead(found === undefined ? 404 : 200).end(JSON.stringify(found ?? {}));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
});
afterAll(() => void server.close());

async function probe(objects: Record<string, unknown>, stored: unknown = releases(["9", "kind: Old"], ["10", manifest])): Promise<string> {
    live = { "/api/v1/namespaces/cattle-system/secrets": stored, ...objects };
    refused = [];
    const components = join(__dirname, "..", "..", "components");
    const sources = ["host/runner/probe.js", "cluster/runner/kubernetesApi.js", "rancher/runner/probeRelease.js"].map(file =>
        join(components, file),
    );
    const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const input = { access: { endpoint, ca: ca.certificate, token: "token" }, release: { name: "rancher", namespace: "cattle-system" } };
    const { stdout, stderr } = await run("node", ["-", "probe"], { input: nodeProgram(sources, input) });
    expect([stderr, refused]).toEqual(["", []]);
    return findingOf(parseProbe(stdout));
}

test("objects that an apply would not change are in sync", async () => {
    const applied = { [`applied ${deployment}`]: object(well, "2") };
    expect(await probe({ [deployment]: object(well), ...applied, [binding]: object({}) })).toBe("in sync");
});

test("each difference is one line, without the text of a value", async () => {
    const changed = { replicas: 1, containers: [{ name: "rancher", env: [{ name: "KEY", value: "other" }] }] };
    expect(await probe({ [deployment]: object(changed), [`applied ${deployment}`]: object(well) })).toBe(
        [
            "ClusterRoleBinding rancher: missing",
            "Deployment rancher: spec.containers[rancher].args is missing, expected set",
            "Deployment rancher: spec.containers[rancher].env[KEY].value was changed",
            "Deployment rancher: spec.replicas is 1, expected 3",
        ].join("\n"),
    );
});

test("a release that Helm does not hold is told, with the way to have it back", async () =>
    expect(await probe({}, { items: [] })).toBe(
        "absent: Helm has no deployed release rancher in cattle-system; one that was uninstalled comes back with pulumi up --refresh",
    ));

test("a release that was left pending is named, with the way out", async () =>
    expect(await probe({}, releases(["1", manifest], ["2", manifest, "pending-upgrade"]))).toMatch(
        /^revision 2 of the release is pending-upgrade: .*`kubectl --namespace cattle-system delete secret sh\.helm\.release\.v1\.rancher\.v2`/,
    ));
