import { readFileSync } from "fs";
import { join } from "path";
import { insideCluster } from "../../components/cluster/rke/network";
import { chartVariables } from "../../components/rancher/chartEnvironment";
import { rancherChartValuesSchema } from "../../components/rancher/chartValuesSchema";
import { AgentTlsMode, checkValues, helmValues, HelmValuesInput } from "../../components/rancher/helmValues";
import { issue } from "../../lab/certificates";

const checksum = "ab".repeat(32);
const input: HelmValuesInput = { hostname: "rancher.example.com", replicas: 3, caChecksum: checksum, values: {}, additionalValues: {} };

test("a private CA gives external TLS, a mounted CA and its checksum in the pods", () => {
    expect(helmValues(input)).toEqual({
        hostname: "rancher.example.com",
        replicas: 3,
        tls: "external",
        privateCA: true,
        extraEnv: [{ name: "PULUMI_RANCHER_HA_CA_SHA256", value: checksum }],
        ingress: { includeDefaultExtraAnnotations: true, tls: { source: "secret" } },
    });
});

test("a public CA: nothing mounted, agents trust their system", () => {
    expect(helmValues({ ...input, caChecksum: "" })).toEqual({
        hostname: "rancher.example.com",
        replicas: 3,
        tls: "external",
        privateCA: false,
        agentTLSMode: "system-store",
        ingress: { includeDefaultExtraAnnotations: true, tls: { source: "secret" } },
    });
});

test("another CA changes the pods", () => {
    expect(helmValues({ ...input, caChecksum: "cd".repeat(32) }).extraEnv).not.toEqual(helmValues(input).extraEnv);
});

test("the CA of an adopted release restarts no pod, and another CA restarts all", () => {
    const adopted = { ...input, adoptedCaChecksum: checksum };
    expect(helmValues(adopted).extraEnv).toBeUndefined();
    const replaced = "cd".repeat(32);
    expect(helmValues({ ...adopted, caChecksum: replaced }).extraEnv).toEqual([{ name: "PULUMI_RANCHER_HA_CA_SHA256", value: replaced }]);
});

test("additional CAs are mounted, and others change the pods", () => {
    const mounted = (name: string) => helmValues({ ...input, additionalTrustedCAs: issue({ name, ca: true }).certificate });
    expect(mounted("Proxy CA")).toMatchObject({
        additionalTrustedCAs: true,
        extraEnv: [
            { name: "PULUMI_RANCHER_HA_CA_SHA256", value: checksum },
            { name: "PULUMI_RANCHER_HA_ADDITIONAL_CAS_SHA256", value: expect.stringMatching(/^[0-9a-f]{64}$/) },
        ],
    });
    expect(mounted("Other CA").extraEnv).not.toEqual(mounted("Proxy CA").extraEnv);
});

test("further values are passed through, beside those of the stack", () => {
    const values = rancherChartValuesSchema.parse({
        extraEnv: [{ name: "A", value: "1" }],
        ingress: { ingressClassName: "nginx", includeDefaultExtraAnnotations: false },
        resources: { requests: { memory: "2Gi" } },
    });
    const additionalValues = { ingress: { brandNew: { deep: 1 } }, alsoNew: true };
    expect(helmValues({ ...input, values, additionalValues, agentTlsMode: AgentTlsMode.Strict })).toMatchObject({
        agentTLSMode: "strict",
        extraEnv: [{ name: "A", value: "1" }, { name: "PULUMI_RANCHER_HA_CA_SHA256" }],
        ingress: { ingressClassName: "nginx", includeDefaultExtraAnnotations: false, tls: { source: "secret" }, brandNew: { deep: 1 } },
        resources: { requests: { memory: "2Gi" } },
        alsoNew: true,
    });
});

test("every variable that the lab's chart sets is known", () => {
    const template = readFileSync(join(__dirname, "..", "..", "lab", "rancher", "chart", "templates", "_helpers.tpl"), "utf8");
    const set = [...template.matchAll(/\(list "([A-Z_]+)"|- name: ([A-Z_]+)$/gm)].map(([, listed, written]) => listed ?? written);
    expect(set).toHaveLength(17);
    expect(chartVariables.flatMap(({ names }) => names)).toEqual(expect.arrayContaining(set));
});

describe("refused", () => {
    const problems = (changed: Partial<HelmValuesInput>, chartVersion = "2.11.3") =>
        checkValues({ ...input, ...changed, chartVersion }).map(({ path, message }) => `${path.join(".")}: ${message}`);

    test("nothing in what is right", () => expect(problems({ additionalValues: { alsoNew: { a: [1] } } })).toEqual([]));

    test("strict agents without a CA that they could trust", () => {
        expect(problems({ caChecksum: "", agentTlsMode: AgentTlsMode.Strict })).toEqual([
            expect.stringMatching(/^agentTlsMode: expected system-store for a publicly trusted CA: .*rancher#45909\)\. Leave it out/),
        ]);
        expect(problems({ caChecksum: "", agentTlsMode: AgentTlsMode.SystemStore })).toEqual([]);
        expect(problems({ agentTlsMode: AgentTlsMode.Strict })).toEqual([]);
    });

    test("values that the chart would ignore silently", () => {
        const values = { auditLog: { enabled: true, level: 1 }, extraObjects: [] };
        expect(problems({ values })).toEqual([
            "values.auditLog.enabled: expected a chart of Rancher 2.12 or later for this value, chartVersion is 2.11.3, which would ignore it. " +
                "Remove it or use a newer chart.",
        ]);
        expect(problems({ values }, "2.12.0")).toEqual([]);
        expect(problems({ values }, "2.10.9")).toHaveLength(2);
    });

    test.each<[string, Partial<HelmValuesInput>, string, string]>([
        ["AUDIT_LOG_ENABLED", { values: { auditLog: { enabled: true } } }, "Use rancher.values.auditLog", "2.12.1"],
        [
            "AGGREGATION_REGISTRATION_TIMEOUT",
            { values: { aggregationRegistrationTimeout: "5m" } },
            "Use rancher.values.aggregation",
            "2.12.1",
        ],
        ["RANCHER_NAMESPACES_OPTIONS", { values: { rancherNamespaces: { enabled: true } } }, "Use rancher.values.rancherNamesp", "2.13.1"],
        [
            "CATTLE_BASE_REGISTRY_PULL_SECRETS",
            { values: { systemRegistryInheritsPullSecrets: true, imagePullSecrets: [{ name: "a" }] } },
            "Use rancher.values.imagePullSecrets",
            "2.15.0",
        ],
        ["CATTLE_RESTRICTED_DEFAULT_ADMIN", { additionalValues: { restrictedAdmin: true } }, "Use rancher.additionalValues.", "2.10.3"],
        ["CATTLE_AGENT_TLS_MODE", { caChecksum: "" }, "Use rancher.agentTlsMode", "2.11.3"],
        ["HTTPS_PROXY", { noProxy: [] }, "Use rancher.proxy", "2.11.3"],
        ["NO_PROXY", { values: { proxy: "http://proxy.example.com" } }, "Use rancher.noProxy", "2.11.3"],
    ])("a variable that the chart sets: %s", (name, given, instead, chartVersion) => {
        const values = { ...given.values, extraEnv: [{ name }] };
        expect(problems({ ...given, values }, chartVersion)).toEqual([
            expect.stringContaining(`values.extraEnv.0.name: expected another name than ${name}, which the chart itself sets. ${instead}`),
        ]);
        expect(problems({ values: { extraEnv: [{ name }] } }, chartVersion)).toEqual([]);
    });

    test.each<[object, string]>([
        [{ tls: "ingress" }, "additionalValues.tls: expected a value that nothing else sets. The load balancer ends TLS."],
        [
            { additionalTrustedCAs: true },
            "additionalValues.additionalTrustedCAs: expected a value that nothing else sets. Use additionalTrustedCAs.",
        ],
        [{ hostname: "x" }, "additionalValues.hostname: expected a value that nothing else sets. Use hostname."],
        [{ privateCA: false }, "additionalValues.privateCA: expected a value that nothing else sets. It follows from caChecksum."],
        [{ bootstrapPassword: "x" }, "additionalValues.bootstrapPassword: expected a value that nothing else sets. Use bootstrapPassword."],
        [{ agentTLSMode: "strict" }, "additionalValues.agentTLSMode: expected a value that nothing else sets. Use agentTlsMode."],
        [{ extraEnv: [] }, "additionalValues.extraEnv: expected a value that nothing else sets. Use values.extraEnv."],
        [
            { ingress: { tls: { source: "rancher" } } },
            "additionalValues.ingress.tls.source: expected a value that nothing else sets. " +
                "The load balancer ends TLS, the Ingress has none.",
        ],
        [
            { ingress: null },
            "additionalValues.ingress: expected a value that nothing else sets. " + "The load balancer ends TLS and talks HTTP to port 80.",
        ],
    ])("additional values that the stack decides: %j", (additionalValues, message) => {
        expect(problems({ additionalValues })).toEqual([message]);
    });

    test("a value given twice", () => {
        expect(
            problems({ values: { debug: true, ingress: { path: "/" } }, additionalValues: { debug: false, ingress: { path: "/r" } } }),
        ).toEqual([
            "additionalValues.debug: expected a value that nothing else sets. Use values.debug.",
            "additionalValues.ingress.path: expected a value that nothing else sets. Use values.ingress.path.",
        ]);
    });

    test("unknown keys and the variable of the stack", () => {
        const wrong = {
            antiAffinty: "preferred",
            extraEnv: [{ name: "PULUMI_RANCHER_HA_CA_SHA256", value: "x" }],
            auditLog: { destination: "hostpath" },
        };
        const issues = rancherChartValuesSchema.safeParse(wrong).error?.issues.map(issue => `${issue.path.join(".")} ${issue.code}`);
        expect(issues).toEqual(["auditLog.destination invalid_value", "extraEnv.0.name custom", " unrecognized_keys"]);
    });
});

describe("with a proxy, its exceptions are", () => {
    const chartDefault = "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,.svc,.cluster.local";

    test("the chart's own, the host name and further ones, each once", () =>
        expect(helmValues({ ...input, noProxy: ["192.0.2.31", "10.0.0.0/8", ".corp.example.com"] }).noProxy).toBe(
            `${chartDefault},localhost,rancher.example.com,192.0.2.31,.corp.example.com`,
        ));

    test("none without a proxy", () => expect(helmValues(input)).not.toHaveProperty("noProxy"));

    test.each([
        ["the default ranges", {}, ["10.42.0.0/16", "10.43.0.0/16"], []],
        ["other ranges", { network: { clusterCidr: "172.31.0.0/16" } }, ["172.31.0.0/16", "10.43.0.0/16"], []],
        [
            "a domain of the cluster",
            { services: { kubelet: { clusterDomain: "c.example" } } },
            ["10.42.0.0/16", "10.43.0.0/16"],
            [".c.example"],
        ],
    ])("the nodes of a cluster, and %s", (_, changes, ranges, domains) => {
        const nodes = [{ address: "node1.example.com", internalAddress: "10.0.0.31" }, { address: "192.0.2.32" }];
        expect(insideCluster({ nodes, ...changes })).toEqual([...ranges, "node1.example.com", "10.0.0.31", "192.0.2.32", ...domains]);
    });
});
