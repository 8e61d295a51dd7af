import { imageSchema, registrySchema, repositorySchema, tagSchema } from "../../components/imageNames";
import { rancherSettingsSchema } from "../../components/rancher/schema";

const digest = `sha256:${"0a".repeat(32)}`;

describe("a name of an image that container engines take is accepted", () => {
    test.each([
        [
            "an image",
            imageSchema,
            [
                "rke-tools:v0.1.114",
                "123/rke-tools:1",
                "my_org/rke-tools:1",
                "registry.example.com:5000/a/b__c/d-e.f:v1_2",
                `rancher/coredns@${digest}`,
                `localhost:5000/coredns:1.9.4@${digest}`,
                "[2001:db8::1]:5000/rancher/coredns:1",
                "192.0.2.1/coredns:1",
            ],
        ],
        [
            "an image without its version",
            repositorySchema,
            ["rancher", "rancher/rancher", "registry.example.com:5000/rancher/rancher", "[2001:db8::1]/rancher", "rancher/rancher@sha256"],
        ],
        ["a tag", tagSchema, ["", "v2.11.3", "2.11-head_1", `v2.11.3@${digest}`, "0a".repeat(32)]],
        [
            "a registry",
            registrySchema,
            ["", "docker.io", "registry", "Registry.example.com:5000", "registry.example.com/mirror/a", "[2001:db8::1]:5000", "my_org"],
        ],
    ])("%s", (_what, schema, texts) => expect(texts.filter(text => !schema.safeParse(text).success)).toEqual([]));
});

describe("a value that Helm and Kubernetes take is accepted", () => {
    test.each<[string, object]>([
        ["a chart in a registry with a port", { repository: "oci://registry.example.com:5000/rancher" }],
        ["a chart in a registry of Docker Compose", { repository: "oci://my_registry:5000/mirror/a__b/rancher" }],
        ["a chart in a registry by its IPv6 address", { repository: "oci://[2001:db8::1]:5000/charts/rancher" }],
        ["upper case in an https URL", { repository: "https://charts.example.com/Charts/ä" }],
        ["a folder with a slash at its end", { values: { auditLog: { hostPath: "/var/log/rancher/audit/" } } }],
        ["no class of the Ingress", { values: { ingress: { ingressClassName: "" } } }],
        ["upper case in an annotation", { values: { ingress: { extraAnnotations: { "Example.com/a.B": "" } } } }],
        ["another topology", { values: { topologyKey: "topology.kubernetes.io/zone" } }],
    ])("%s", (_what, settings) =>
        expect(rancherSettingsSchema.safeParse({ chartVersion: "2.11.3", ...settings }).error?.issues).toBeUndefined(),
    );
});
