import * as pulumi from "@pulumi/pulumi";
import { readFileSync } from "fs";
import { join } from "path";
import * as tls from "tls";
import { parse } from "yaml";
import * as library from "../../components";
import { RancherHa, RancherHaArgs } from "../../components/rancherHa";
import { issue } from "../../lab/certificates";
import { record, Recorded, RecordOptions, Recording, secret, unknown } from "./recorder";
import { kubeconfigOf } from "../kubeconfig";
import { said } from "../probes";
import { bootstrapPassword, call, hostKey, hostname, mock, rancherHaArgs as args, root, secretTexts, server } from "./stackMocks";

// A test adds its own CA to this list, which makes the CA publicly trusted.
jest.mock("tls", () => ({ ...jest.requireActual("tls"), rootCertificates: [] }));

const build = (changed: Partial<RancherHaArgs> = {}, options: RecordOptions = {}) =>
    record(() => new RancherHa("rancher", { ...args, ...changed }), { mock, call, ...options });
const existingCluster = {
    kubeconfig: kubeconfigOf(),
    ingressAddresses: ["192.0.2.41", "192.0.2.42"],
    apiEndpoint: "https://192.0.2.41:6443",
    kubernetesVersion: "v1.31.4",
};
const identities = (recording: Recording) => recording.resources.map(({ urn }) => urn.replace("urn:pulumi:stack::project::", "")).sort();
const inCluster = ({ type }: Recorded) => type.startsWith("kubernetes:");

let whole: Recording;
beforeAll(async () => {
    whole = await build();
});

// A rename would replace this resource for every user, so it needs an alias.
test("the identities of all resources stay", () => {
    expect(identities(whole)).toEqual([
        "pulumi-rancher-ha:index:CaSecret$kubernetes:core/v1:Secret::rancher-ca-secret-secret",
        "pulumi-rancher-ha:index:NginxLoadBalancer$command:local:Command::rancher-lb-drift-1",
        "pulumi-rancher-ha:index:NginxLoadBalancer$command:remote:Command::rancher-lb-host-1",
        "pulumi-rancher-ha:index:PrivateCa$tls:index/certRequest:CertRequest::rancher-ca-server-request",
        "pulumi-rancher-ha:index:PrivateCa$tls:index/locallySignedCert:LocallySignedCert::rancher-ca-server",
        "pulumi-rancher-ha:index:PrivateCa$tls:index/privateKey:PrivateKey::rancher-ca-root-key",
        "pulumi-rancher-ha:index:PrivateCa$tls:index/privateKey:PrivateKey::rancher-ca-server-key",
        "pulumi-rancher-ha:index:PrivateCa$tls:index/selfSignedCert:SelfSignedCert::rancher-ca-root",
        "pulumi-rancher-ha:index:RancherHa$kubernetes:core/v1:Namespace::rancher-namespace",
        "pulumi-rancher-ha:index:RancherHa$pulumi-rancher-ha:index:CaSecret::rancher-ca-secret",
        "pulumi-rancher-ha:index:RancherHa$pulumi-rancher-ha:index:NginxLoadBalancer::rancher-lb",
        "pulumi-rancher-ha:index:RancherHa$pulumi-rancher-ha:index:PrivateCa::rancher-ca",
        "pulumi-rancher-ha:index:RancherHa$pulumi-rancher-ha:index:RancherRelease::rancher-release",
        "pulumi-rancher-ha:index:RancherHa$pulumi-rancher-ha:index:RkeCluster::rancher-cluster",
        "pulumi-rancher-ha:index:RancherHa$pulumi-rancher-ha:index:Verification::rancher-verification",
        "pulumi-rancher-ha:index:RancherHa$pulumi:providers:kubernetes::rancher-kubernetes",
        "pulumi-rancher-ha:index:RancherRelease$command:local:Command::rancher-release-drift",
        "pulumi-rancher-ha:index:RancherRelease$command:local:Command::rancher-release-free",
        "pulumi-rancher-ha:index:RancherRelease$command:local:Command::rancher-release-settings",
        "pulumi-rancher-ha:index:RancherRelease$kubernetes:helm.sh/v3:Release::rancher-release-release",
        "pulumi-rancher-ha:index:RancherRelease$random:index/randomPassword:RandomPassword::rancher-release-bootstrap-password",
        "pulumi-rancher-ha:index:RkeCluster$command:local:Command::rancher-cluster-certificates",
        "pulumi-rancher-ha:index:RkeCluster$command:local:Command::rancher-cluster-drift",
        "pulumi-rancher-ha:index:RkeCluster$command:local:Command::rancher-cluster-nodes",
        "pulumi-rancher-ha:index:RkeCluster$command:local:Command::rancher-cluster-pki",
        "pulumi-rancher-ha:index:RkeCluster$command:local:Command::rancher-cluster-restore",
        "pulumi-rancher-ha:index:RkeCluster$command:local:Command::rancher-cluster-rke",
        "pulumi-rancher-ha:index:RkeCluster$command:local:Command::rancher-cluster-snapshot",
        "pulumi-rancher-ha:index:Verification$command:local:Command::rancher-verification-checks",
        "pulumi:pulumi:Stack$pulumi-rancher-ha:index:RancherHa::rancher",
    ]);
});

test("everything hangs below the component", () => {
    const [component, ...others] = whole.resources;
    expect(component.type).toBe("pulumi-rancher-ha:index:RancherHa");
    const urns = new Set(whole.resources.map(({ urn }) => urn));
    expect(others.filter(({ parent }) => !urns.has(parent))).toEqual([]);
});

test("the outputs, and which of them are secret", () => {
    expect(whole.outputs).toEqual({
        url: `https://${hostname}`,
        kubeconfig: secret(expect.stringContaining("server: https://192.0.2.31:6443")),
        caCertificate: root.certificate,
        bootstrapPassword: secret(bootstrapPassword),
        loadBalancerAddresses: ["192.0.2.21"],
        rancherVersion: "2.11.3",
        kubernetesVersion: "v1.30.14",
        nextSteps: expect.stringMatching(/^Rancher 2\.11\.3 .* v1\.30\.14: .*\n[^]*A {2}192\.0\.2\.21\n[^]*--cacert/),
    });
});

test("every output is explained in docs/library.md", () => {
    const page = readFileSync(join(__dirname, "..", "..", "docs", "library.md"), "utf8");
    for (const name of Object.keys(whole.outputs)) expect(page).toMatch(new RegExp(`^\\| \`${name}\` \\| \\S`, "m"));
});

test("every value of an enum is explained in docs/library.md", () => {
    const page = readFileSync(join(__dirname, "..", "..", "docs", "library.md"), "utf8").replace(/^\|.*$/gm, row =>
        row.replace(/, in quotes/, ""),
    );
    const enums = Object.entries(library).filter(([, value]) => typeof value === "object");
    expect(enums.length).toBeGreaterThan(8);
    for (const [name, values] of enums) {
        const [rows] = new RegExp(`^\\| \`${name}\` \\|.*\\n(\\| \\| \`.*\\n)*`, "m").exec(page) ?? [`no row of ${name}`];
        for (const [member, value] of Object.entries(values))
            expect(rows).toMatch(new RegExp(`\\| \`${member}\` \\| \`"?${value}"?\` \\| \\S`));
    }
});

test("what is in the cluster uses the cluster's provider, and goes with the cluster", () => {
    const provider = whole.one("pulumi:providers:kubernetes");
    // The identifier is a digest of the cluster's CA: another CA means another cluster.
    const clusterIdentifier = expect.stringMatching(/^[0-9a-f]{64}$/);
    expect(provider.inputs).toEqual({ kubeconfig: whole.outputs.kubeconfig, clusterIdentifier, enableSecretMutable: "true" });
    const children = whole.resources.filter(inCluster);
    expect(children.map(({ name }) => name).sort()).toEqual(["rancher-ca-secret-secret", "rancher-namespace", "rancher-release-release"]);
    for (const child of children) {
        expect(child).toMatchObject({
            provider: `${provider.urn}::rancher-kubernetes-id`,
            deletedWith: whole.one("command:local:Command", "-certificates").urn,
        });
    }
});

describe("each part gets from the others what it needs, and waits for it", () => {
    const waits = (from: Recorded, ...to: Recorded[]) =>
        expect(from.dependencies).toEqual(expect.arrayContaining(to.map(({ urn }) => urn)));

    test("RKE waits for the load balancer, which waits for the checks of the nodes", () => {
        const host = whole.one("command:remote:Command");
        waits(
            host,
            whole.one("tls:index/locallySignedCert:LocallySignedCert"),
            whole.one("tls:index/privateKey:PrivateKey", "-server-key"),
        );
        const order = whole.resources.map(({ name }) => name);
        expect(order.indexOf("rancher-cluster-rke")).toBeGreaterThan(order.indexOf("rancher-lb-host-1"));
        expect(order.indexOf("rancher-lb-host-1")).toBeGreaterThan(order.indexOf("rancher-cluster-nodes"));
        // A lost host can be taken out of the state without the cluster.
        expect(whole.one("command:local:Command", "-rke").dependencies).not.toContain(host.urn);
        expect(host.dependencies.filter(urn => urn.includes("RkeCluster"))).toEqual([]);
        const program: string = host.inputs.stdin.secret;
        const texts = [server.certificate.trim(), server.privateKey.trim(), "192.0.2.31:80", "192.0.2.32:80", "192.0.2.33:80"];
        for (const text of texts) expect(program).toContain(text);
    });

    test("a pair has the Kubernetes API at its virtual IP, which the certificate covers", async () => {
        const pair = {
            hosts: ["192.0.2.21", "192.0.2.22"].map(address => ({ address, hostKey })),
            virtualIp: { address: "192.0.2.20", routerId: 51 },
        };
        const program = (recording: Recording, name: string) =>
            recording.one(name === "-rke" ? "command:local:Command" : "command:remote:Command", name).inputs.stdin.secret;
        const shared = await build({ loadBalancer: pair });
        expect(shared.outputs.kubeconfig.secret).toContain("server: https://192.0.2.20:6443");
        expect(program(shared, "-host-2")).toMatch(/listen 6443[^]*ports='80, 443 and 6443'|ports='80, 443 and 6443'[^]*listen 6443/);
        expect(program(shared, "-rke")).toContain("sans:\\n    - 192.0.2.20\\n");
        const own = await build({ loadBalancer: { ...pair, kubernetesApi: false } });
        expect(own.outputs.kubeconfig.secret).toContain("server: https://192.0.2.31:6443");
        expect(program(own, "-host-2")).not.toContain("listen 6443");
    });

    test("the release: the namespace and the CA", () => {
        const release = whole.one("kubernetes:helm.sh/v3:Release");
        const caSecret = whole.one("kubernetes:core/v1:Secret");
        const namespace = whole.one("kubernetes:core/v1:Namespace");
        waits(caSecret, namespace);
        waits(release, caSecret, namespace);
        const owner = namespace.inputs.metadata.annotations["pulumi-rancher-ha/owner"];
        expect(owner).toMatch(/^organization\/[\w-]+\/[\w-]+\/rancher-release$/);
        // The probe compares the annotation with the same owner.
        expect(whole.one("command:local:Command", "-free").inputs.stdin.secret).toContain(`"owner":"${owner}"`);
        expect(caSecret.inputs.stringData).toEqual(secret({ "cacerts.pem": root.certificate }));
        expect(release.inputs).toMatchObject({
            namespace: "cattle-system",
            version: "2.11.3",
            values: { hostname, tls: "external", privateCA: true },
        });
        expect(release.inputs.values.bootstrapPassword).toEqual(secret(bootstrapPassword));
    });

    describe("the limits of the load balancer", () => {
        const loadBalancer = { ...args.loadBalancer, maxBodySize: "1g", maxResponseHeaderSize: pulumi.output("32k") };
        const annotation = (name: string) => `nginx.ingress.kubernetes.io/${name}`;

        test("the ingress controller of RKE, by its ConfigMap", async () => {
            const cluster = { ...args.cluster!, ingressOptions: { "hide-headers": "x" } };
            const recording = await build({ cluster, loadBalancer });
            const text = recording.one("command:local:Command", "cluster-drift").inputs.environment["cluster.yml"];
            expect(parse(text).ingress.options).toEqual({
                "hide-headers": "x",
                "large-client-header-buffers": "4 64k",
                "proxy-body-size": "1g",
                "proxy-buffer-size": "32k",
                "proxy-request-buffering": "off",
                "use-forwarded-headers": "true",
            });
            expect(recording.one("kubernetes:helm.sh/v3:Release").inputs.values.ingress).not.toHaveProperty("extraAnnotations");
        });

        test("that of an existing cluster, by annotations of Rancher's Ingress", async () => {
            const own = { [annotation("proxy-body-size")]: "2g" };
            const rancher = { ...args.rancher, values: { ingress: { extraAnnotations: own } } };
            const recording = await build({ cluster: undefined, existingCluster, loadBalancer, rancher });
            expect(recording.one("kubernetes:helm.sh/v3:Release").inputs.values.ingress.extraAnnotations).toEqual({
                ...own,
                [annotation("proxy-buffer-size")]: "32k",
                [annotation("proxy-request-buffering")]: "off",
            });
        });

        test.each(["proxy-body-size", "large-client-header-buffers", "proxy-buffer-size"])("not a second time, by %s", option =>
            expect(build({ cluster: { ...args.cluster!, ingressOptions: { [option]: "1m" } } })).rejects.toThrow(
                `cluster.ingressOptions.${option}: expected no limit here: maxBodySize, maxRequestHeaderSize`,
            ),
        );

        test.each([
            [{ maxRequestHeaderSize: "4k" }, "loadBalancer.maxRequestHeaderSize: expected a size from 8k to 256k"],
            [{ maxResponseHeaderSize: "1m" }, "loadBalancer.maxResponseHeaderSize: expected a size from 4k to 64k"],
        ])("none that NGINX or nodes cannot have: %j", (changed, words) =>
            expect(build({ loadBalancer: { ...args.loadBalancer, ...changed } })).rejects.toThrow(words),
        );
    });

    describe("a proxy of Rancher leaves out", () => {
        const proxy = "http://proxy.example.com:3128";
        const given = { ...args.rancher, proxy, noProxy: [".corp.example.com"] };
        const values = (recording: Recording, name: string) => recording.one("kubernetes:helm.sh/v3:Release", name).inputs.values;
        const noProxy = (recording: Recording) => values(recording, "rancher-release-release").noProxy.split(",").slice(6);

        test("the ranges and the nodes of the cluster", async () => {
            const addresses = args.cluster!.nodes as { address: string }[];
            expect(noProxy(await build({ rancher: given }))).toEqual([
                "localhost",
                args.hostname,
                "10.42.0.0/16",
                "10.43.0.0/16",
                ...addresses.map(({ address }) => address),
                ".corp.example.com",
            ]);
        });

        test("the nodes that an existing cluster names", async () => {
            const recording = await build({ cluster: undefined, existingCluster, rancher: given });
            expect(noProxy(recording)).toEqual(["localhost", args.hostname, ...existingCluster.ingressAddresses, ".corp.example.com"]);
        });

        test("the same for the operator of the backups, whose own values come first", async () => {
            const backup = {
                chartVersion: "106.0.2+up7.0.2",
                encryptionKey: Buffer.alloc(32, 7).toString("base64"),
                s3: { bucket: "backups" },
            };
            const same = await build({ rancher: { ...given, backup } });
            const { noProxy: targets } = values(same, "rancher-release-release");
            expect(values(same, "rancher-backup-operator")).toMatchObject({ proxy, noProxy: targets });
            const other = { ...backup, values: { proxy: "http://other.example.com:3128" } };
            expect(values(await build({ rancher: { ...given, backup: other } }), "rancher-backup-operator")).toMatchObject(other.values);
        });
    });

    test("the schedule of backups waits for Rancher, and the operator does not", async () => {
        const encryptionKey = pulumi.secret(Buffer.alloc(32, 7).toString("base64"));
        const backup = { chartVersion: "106.0.2+up7.0.2", encryptionKey, s3: { bucket: "backups" } };
        const values = { systemDefaultRegistry: "registry.example.com" };
        const recording = await build({ rancher: { ...args.rancher, values, backup } });
        const rancher = recording.one("kubernetes:helm.sh/v3:Release", "rancher-release-release");
        const operator = recording.one("kubernetes:helm.sh/v3:Release", "rancher-backup-operator");
        waits(recording.one("kubernetes:resources.cattle.io/v1:Backup"), rancher, operator);
        expect(operator.dependencies).not.toContain(rancher.urn);
        expect(operator.inputs.values.global).toEqual({ cattle: values });
        for (const object of recording.resources.filter(({ name }) => name.startsWith("rancher-backup-")).filter(inCluster))
            expect(object.deletedWith).toBe(recording.one("command:local:Command", "-certificates").urn);
    });

    test("the verification: the load balancer and the release", async () => {
        const checks = whole.one("command:local:Command", "-checks");
        waits(checks, whole.one("command:remote:Command"), whole.one("kubernetes:helm.sh/v3:Release"));
        const changes = {
            "command:remote:Command": { stdout: "another" },
            "kubernetes:helm.sh/v3:Release": { status: { version: "2.11.3", revision: 2, status: "deployed" } },
        };
        for (const [type, state] of Object.entries(changes)) {
            const later = await build({}, { mock: request => (request.type === type ? state : mock(request)) });
            expect(later.one("command:local:Command", "-checks").inputs.stdin).not.toEqual(checks.inputs.stdin);
        }
    });
});

test("no secret is seen, neither in a command nor in any other input", () => {
    const visible = (value: unknown): unknown => {
        if (Array.isArray(value)) return value.map(visible);
        if (value === null || typeof value !== "object") return value;
        if ("secret" in value) return "";
        return Object.fromEntries(Object.entries(value).map(([key, below]) => [key, visible(below)]));
    };
    const hidden = JSON.stringify(whole.resources.map(({ inputs }) => inputs));
    // The inputs hold every secret, so the search below can find one.
    for (const text of secretTexts) expect(hidden).toContain(text);
    const seen = JSON.stringify(visible(whole.resources.map(({ inputs }) => inputs)));
    for (const text of secretTexts) expect(seen).not.toContain(text);
    const results = whole.resources.filter(({ type }) => type === "command:local:Command").filter(({ name }) => /-(pki|rke)$/.test(name));
    expect(results.map(result => result.additionalSecretOutputs)).toEqual([["stdout"], ["stdout"]]);
});

test("only another address of a load balancer host replaces a command", () => {
    const replaced = whole.resources.filter(({ inputs }) => "triggers" in inputs).map(({ name, inputs }) => [name, inputs.triggers]);
    expect(replaced).toEqual([["rancher-lb-host-1", ["192.0.2.21"]]]);
});

/** Counts the questions which CA the agents of a cluster trust. */
const questions = (asked: jest.Mock) => asked.mock.calls.filter(question => JSON.stringify(question).includes("probeCa.js")).length;
const files = { certificateChain: server.certificate, privateKey: server.privateKey };
const paths = { certificateChain: "/etc/ssl/rancher.pem", privateKey: "/etc/ssl/rancher.key" };

describe("other ways", () => {
    test("a cluster that is there already", async () => {
        const recording = await build({ cluster: undefined, existingCluster });
        expect(identities(recording).filter(urn => /RkeCluster/.test(urn))).toEqual([]);
        // The cluster outlives the stack, so the stack must delete its own objects there.
        expect(recording.resources.filter(inCluster).map(({ deletedWith }) => deletedWith || undefined)).toEqual(Array(3).fill(undefined));
        // Only Rancher removes the finalizers of its namespace, so a deletion would wait for ever.
        expect(recording.one("kubernetes:core/v1:Namespace").retainOnDelete).toBe(true);
        expect(recording.one("command:remote:Command").inputs.stdin.secret).toContain("192.0.2.42:80");
        expect(recording.outputs).toMatchObject({ kubeconfig: secret(existingCluster.kubeconfig), kubernetesVersion: "v1.31.4" });
    });

    test("the kubeconfig of an existing cluster leads to apiEndpoint, current context", async () => {
        const clusters = [
            { name: "default", cluster: { server: "https://192.0.2.41:6443", "tls-server-name": "rke2.example.com" } },
            { name: "other", cluster: { server: "https://192.0.2.50:6443" } },
        ];
        const apiEndpoint = "https://192.0.2.10:6443";
        const kubeconfig = kubeconfigOf({}, undefined, { clusters });
        const recording = await build({ cluster: undefined, existingCluster: { ...existingCluster, kubeconfig, apiEndpoint } });
        const [current, other] = parse(recording.outputs.kubeconfig.secret).clusters;
        expect(current.cluster).toEqual({ server: apiEndpoint, "tls-server-name": "rke2.example.com" });
        expect(other).toEqual(clusters[1]);
        const provider = recording.one("pulumi:providers:kubernetes").inputs.kubeconfig;
        expect(parse(provider.secret ?? provider).clusters[0].cluster.server).toBe(apiEndpoint);
    });

    test("the API server of an existing cluster is asked for its version", async () => {
        const kubeconfig = whole.outputs.kubeconfig.secret;
        const { ingressAddresses } = existingCluster;
        const answer = said("in sync", { kubernetes: "v1.31.4+rke2r1" });
        const rancher = { chartVersion: "2.12.1" };
        const found = { call: () => ({ stdout: answer }) };
        const recording = await build({ cluster: undefined, existingCluster: { kubeconfig, ingressAddresses }, rancher }, found);
        expect(recording.outputs).toMatchObject({ kubernetesVersion: "v1.31.4+rke2r1" });
    });

    describe("with a kubeconfig that only Helm can use", () => {
        const { ingressAddresses } = existingCluster;
        const kubeconfig = kubeconfigOf({}, { exec: { command: "get-token", apiVersion: "client.authentication.k8s.io/v1beta1" } });

        /** Builds a stack, and returns its warnings and the number of questions to the cluster. */
        async function warnings(existing: object, rancher: object = {}) {
            const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
            const asked = jest.fn(call);
            const cluster = { cluster: undefined, existingCluster: { ingressAddresses, ...existing } as typeof existingCluster };
            const recording = await build({ ...cluster, rancher: { chartVersion: "2.12.1", ...rancher } }, { call: asked });
            const texts = warn.mock.calls.map(([text]) => text);
            warn.mockRestore();
            return {
                texts,
                recording,
                ofCluster: asked.mock.calls.filter(question => JSON.stringify(question).includes("kubernetesApi")).length,
            };
        }

        test("one warning lists all that is left out", async () => {
            const { texts, recording, ofCluster } = await warnings({ kubeconfig });
            expect(texts).toEqual([
                [
                    "needs attention: RancherRelease rancher-release: the kubeconfig names a command (exec). " +
                        "This library does not ask the cluster, and leaves out: [RHA cluster-not-asked]",
                    "  - the check that Rancher supports the Kubernetes version. Set existingCluster.kubernetesVersion",
                    "  - the refusal of an older chart and of another host name",
                    "  - the search for drift of the release",
                    "  - the repair of a release that an interrupted run of Helm left pending",
                    "  - Rancher's settings: server-url. Set them in Rancher",
                    "  - the comparison of the CA with the one that Rancher's agents trust",
                    "Give a kubeconfig that holds its credentials and leads straight to the API server.",
                ].join("\n"),
            ]);
            expect(ofCluster).toBe(0);
            expect(recording.outputs.kubernetesVersion).toBe("");
        });

        test("the warning asks for no attention when the user has settled the rest", async () => {
            const { texts } = await warnings(
                { kubeconfig, kubernetesVersion: "v1.31.4" },
                { drift: "off", eulaAgreed: "2025-06-30T12:00:00Z" },
            );
            expect(texts).toEqual([
                expect.stringMatching(/^RancherRelease rancher-release: [^]*\n {2}- Rancher's settings: server-url, eula-agreed/),
            ]);
            expect(texts[0]).not.toMatch(/drift|Kubernetes version|interrupted/);
        });

        test("there is no such warning with a token", async () => {
            const { texts, ofCluster } = await warnings({ kubeconfig: kubeconfigOf(), kubernetesVersion: "v1.31.4" });
            expect(texts).toEqual([]);
            expect(ofCluster).toBeGreaterThan(0);
        });
    });

    test("an existing cluster is asked for the CA of its agents before the stack's is used", async () => {
        const { ingressAddresses } = existingCluster;
        const kubeconfig = whole.outputs.kubeconfig.secret;
        const asks = async (changed: Partial<RancherHaArgs>) => {
            const asked = jest.fn((_question: unknown) => ({ stdout: said("in sync", { kubernetes: "v1.31.4" }) }));
            await build({ cluster: undefined, existingCluster: { kubeconfig, ingressAddresses }, ...changed }, { call: asked });
            return questions(asked);
        };
        expect(await asks({ certificate: { ...files, caCertificate: root.certificate } })).toBe(1);
        expect(await asks({ certificateOnHost: { ...paths, caCertificate: root.certificate } })).toBe(1);
        expect(await asks({ privateCa: { deletionProtection: false } })).toBe(0);
    });

    test("a cluster that RKE builds is asked, too, once it exists", async () => {
        const asks = async (changed: Partial<RancherHaArgs>, options: RecordOptions = {}) => {
            const asked = jest.fn(call);
            await build(changed, { call: asked, ...options });
            return questions(asked);
        };
        // The load balancer changes before RKE runs, and the Secret after that.
        expect(await asks({})).toBe(2);
        expect(await asks({}, { preview: true, mock: undefined })).toBe(0);
        expect(await asks({ certificateOnHost: paths })).toBe(1);
        expect(await asks({ rancher: { ...args.rancher, deletionProtection: false } })).toBe(0);
    });

    test("a cluster that RKE builds is asked before an update changes the load balancer", async () => {
        const order: string[] = [];
        await build(
            {},
            {
                call: question => (JSON.stringify(question).includes("probeCa.js") && order.push("question"), call()),
                mock: request => (order.push(request.name), mock(request)),
            },
        );
        const moments = ["rancher-cluster-pki", "question", "rancher-lb-host-1", "rancher-cluster-rke"].map(name => order.indexOf(name));
        expect(moments).not.toContain(-1);
        expect(moments).toEqual([...moments].sort((a, b) => a - b));
    });

    test("a preview without the renewed certificate knows its CA, and refuses nothing", async () => {
        const certificateChain = pulumi.output(pulumi.unknown as unknown as string);
        const certificate = { certificateChain, privateKey: server.privateKey, caCertificate: root.certificate };
        const recording = await build({ certificate }, { preview: true });
        expect(recording.outputs).toMatchObject({ caCertificate: root.certificate });
    });

    test("a certificate of a private CA", async () => {
        const privateKey = pulumi.secret(server.privateKey);
        const certificate = { certificateChain: server.certificate, privateKey, caCertificate: root.certificate };
        const recording = await build({ certificate });
        expect(recording.resources.filter(({ type }) => type.startsWith("tls:"))).toEqual([]);
        expect(recording.one("kubernetes:core/v1:Secret").inputs.stringData).toEqual(secret({ "cacerts.pem": root.certificate }));
    });

    test("without verification nothing is checked, and nextSteps says so", async () => {
        const asked = jest.fn((_inputs: unknown) => call());
        const recording = await build({ verification: { enabled: false } }, { call: asked });
        expect(identities(recording).filter(urn => urn.includes("verification"))).toEqual([]);
        expect(JSON.stringify(asked.mock.calls)).not.toContain("asWord");
        expect(recording.outputs.nextSteps).toContain("Nothing was checked through the load balancer");
    });

    test("a slow Rancher: the verification has the given time", async () => {
        const checks = (await build({ verification: { timeoutSeconds: 1800 } })).one("command:local:Command", "-verification-checks");
        expect(checks.inputs.stdin.secret).toContain('"timeoutSeconds":1800');
    });

    test("an output as a choice of the verification is refused", async () => {
        const verification = { enabled: pulumi.output(true) as never };
        await expect(build({ verification })).rejects.toThrow(/verification\.enabled: expected a plain value, found an output as a whole/);
    });

    test("additional CAs of Rancher: their Secret waits for the namespace", async () => {
        const recording = await build({ rancher: { ...args.rancher, additionalTrustedCAs: root.certificate } });
        const object = recording.one("kubernetes:core/v1:Secret", "-additional-cas");
        expect(object.dependencies).toContain(recording.one("kubernetes:core/v1:Namespace").urn);
    });

    test("CAs that end within a year are named, also beside a certificate on the hosts", async () => {
        const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
        const ca = issue({ name: "Ending CA", ca: true, days: 300 }).certificate;
        const files = { certificateChain: "/etc/acme/fullchain.pem", privateKey: "/etc/acme/key.pem" };
        await build({
            certificateOnHost: { ...files, caCertificate: ca },
            rancher: { ...args.rancher, additionalTrustedCAs: root.certificate + ca },
        });
        const texts = warn.mock.calls.map(([text]) => text);
        warn.mockRestore();
        expect(texts).toEqual(
            expect.arrayContaining([
                expect.stringContaining('needs attention: certificateOnHost.caCertificate: certificate 1 "Ending CA" ends in 299 days'),
                expect.stringContaining('needs attention: additionalTrustedCAs: certificate 2 "Ending CA" ends in 299 days'),
            ]),
        );
    });

    test("a CA that a user marked as a secret: the text of nextSteps is none", async () => {
        const files = { certificateChain: "/etc/acme/fullchain.pem", privateKey: "/etc/acme/key.pem" };
        const { outputs } = await build({ certificateOnHost: { ...files, caCertificate: pulumi.secret(root.certificate) } });
        expect(outputs).toMatchObject({ caCertificate: secret(root.certificate), nextSteps: expect.stringContaining("--cacert") });
    });

    test("a publicly trusted certificate: agents are told no CA", async () => {
        const publicRoot = issue({ name: "Public CA", ca: true });
        (tls.rootCertificates as string[]).push(publicRoot.certificate);
        const leaf = issue({ name: hostname, names: [`DNS:${hostname}`], by: publicRoot });
        const recording = await build({ certificate: { certificateChain: leaf.certificate, privateKey: leaf.privateKey } });
        expect(recording.resources.map(({ type }) => type)).not.toContain("kubernetes:core/v1:Secret");
        const { values } = recording.one("kubernetes:helm.sh/v3:Release").inputs;
        expect(values.privateCA ?? false).toBe(false);
        expect(JSON.stringify(values)).not.toContain("PULUMI_RANCHER_HA_CA_SHA256");
        expect(recording.outputs.caCertificate).toBe("");
        expect(recording.outputs.nextSteps).not.toContain("--cacert");
    });

    test.each<[string, Partial<RancherHaArgs>, string]>([
        ["both", { existingCluster }, "both"],
        ["neither", { cluster: undefined }, "neither"],
    ])("%s kinds of cluster are refused", async (_, changed, found) => {
        await expect(build(changed)).rejects.toThrow(
            `RancherHa rancher: cluster: expected exactly one of cluster and existingCluster, found ${found}`,
        );
    });
});

test("a load balancer on a worker is refused before anything is made", async () => {
    const made: string[] = [];
    const hosts = args.loadBalancer.hosts.map(host => ({ ...host, address: "192.0.2.31" }));
    const building = build({ loadBalancer: { hosts } }, { mock: resource => (made.push(resource.type), mock(resource)) });
    await expect(building).rejects.toThrow(
        /^RancherHa rancher: loadBalancer\.hosts\[0\]\.address: expected a host of its own, not a worker node, .*, found "192\.0\.2\.31"/,
    );
    expect(made.filter(type => !/:(Stack|RancherHa)$/.test(type))).toEqual([]);
});

test("an output as a whole group is refused", async () => {
    await expect(build({ loadBalancer: pulumi.secret(args.loadBalancer) as never })).rejects.toThrow(
        /^RancherHa rancher: loadBalancer: expected a plain value, found an output as a whole: .* mark as secret only the values inside/,
    );
});

test("in a first preview everything is planned, and a literal that is wrong is refused", async () => {
    const first = { preview: true, mock: undefined };
    const preview = await build({}, first);
    expect(identities(preview)).toEqual(identities(whole));
    expect(preview.one("kubernetes:helm.sh/v3:Release").inputs).toMatchObject({ namespace: "cattle-system", values: unknown });
    expect(preview.one("command:local:Command", "-pki").inputs).toEqual(whole.one("command:local:Command", "-pki").inputs);
    expect(preview.outputs).toMatchObject({ kubeconfig: secret(unknown), caCertificate: unknown, rancherVersion: unknown });
    await expect(build({ rancher: { chartVersion: "2.11" } }, first)).rejects.toThrow(/chartVersion: expected one exact version/);
});

// `pulumi refresh --run-program` runs the program as an update, and returns no outputs for a resource that the state lacks.
test.each([
    "kubernetes:helm.sh/v3:Release",
    "command:local:Command",
    "command:remote:Command",
    "random:index/randomPassword:RandomPassword",
    "tls:index/privateKey:PrivateKey",
    "tls:index/selfSignedCert:SelfSignedCert",
    "tls:index/locallySignedCert:LocallySignedCert",
])("no callback of a refresh fails without %s in the state", async lacking => {
    const recording = await build({}, { mock: resource => (resource.type === lacking ? {} : mock(resource)) });
    expect(identities(recording)).toEqual(identities(whole));
});
