import { execFileSync } from "child_process";
import { X509Certificate } from "crypto";
import { brotliCompressSync } from "zlib";
import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { DriftMode } from "../../components/remote/drift";
import { RkeClusterArgs } from "../../components/cluster/rke/args";
import { RkeCluster } from "../../components/cluster/rke/rkeCluster";
import { issue } from "../../lab/certificates";
import { said } from "../probes";
import { record, RecordOptions, Recording, secret, unknown } from "./recorder";
import { call, findingOf, hostKey, isLatch, mock, packedState, rancherHaArgs, secretTexts, sshKey } from "./stackMocks";

const commandType = "command:local:Command";
const args = { ...rancherHaArgs.cluster!, ssh: rancherHaArgs.ssh };
const build = (changes: Partial<RkeClusterArgs> = {}, options: RecordOptions = {}) =>
    record(() => new RkeCluster("rke", { ...args, ...changes }), { mock, call, ...options });
const latch = (recording: Recording) => recording.one(commandType, "-drift");
/** Returns the data of a program, which is the argument of its last line. */
const input = (recording: Recording, name: string) =>
    JSON.parse(/\nmain\(([^\n]*)\);\n$/.exec(recording.one(commandType, name).inputs.stdin.secret)![1]);

test("the PKI is made once, before all else, and what it prints is secret", async () => {
    const recording = await build();
    const [pki, rke] = [recording.one(commandType, "-pki"), recording.one(commandType, "-rke")];
    expect(rke.dependencies).toContain(pki.urn);
    expect(pki.ignoreChanges).toEqual(expect.arrayContaining(["create", "update", "delete", "stdin", "environment"]));
    expect([pki.additionalSecretOutputs, rke.additionalSecretOutputs]).toEqual([["stdout"], ["stdout"]]);
    expect(pki.inputs.delete).toBeUndefined();
    // An update, as after `pulumi state taint` or by a newer provider, keeps the result.
    const env = { ...process.env, PULUMI_COMMAND_STDOUT: "the first PKI" };
    expect(execFileSync("sh", ["-c", pki.inputs.update], { env, encoding: "utf8" })).toBe("the first PKI");
    expect(rke.inputs.delete).toMatch(/ node - destroy$/);
});

test("RKE gets the PKI, the nodes and the checks of every node on standard input only", async () => {
    const recording = await build();
    const given = input(recording, "-rke");
    expect(given).toMatchObject({
        task: "cluster",
        pki: packedState,
        apiEndpoints: ["31", "32", "33"].map(last => `https://192.0.2.${last}:6443`),
    });
    expect(given.nodes[0]).toEqual({
        name: "192.0.2.31",
        connection: { address: "192.0.2.31", port: 22, user: "rke", hostKey, privateKey: sshKey, waitSeconds: 120 },
    });
    expect(given.preflightProgram).toContain("docker_versions=");
    expect(given.leftoverProgram).toContain("container $container");
    for (const { inputs } of recording.resources) {
        const visible = { ...inputs, stdin: undefined };
        for (const text of secretTexts) expect(JSON.stringify(visible)).not.toContain(text);
    }
});

test("what cleans up after a failed run is made before RKE, and after the checks", async () => {
    const recording = await build();
    const [nodes, rke] = [recording.one(commandType, "-nodes"), recording.one(commandType, "-rke")];
    expect(rke.dependencies).toContain(nodes.urn);
    expect(nodes.inputs.delete).toMatch(/ node - destroy$/);
    expect(input(recording, "-nodes")).toMatchObject({ task: "nodes", nodes: input(recording, "-rke").nodes });
});

test.each([
    [undefined, 14_400],
    [60, 14_400],
    [86_400, 345_600],
])("with timeoutSeconds %s, the process around RKE may run for %i s", async (timeoutSeconds, limit) => {
    const recording = await build({ timeoutSeconds: timeoutSeconds && pulumi.secret(timeoutSeconds) });
    const commands = (name: string) => {
        const { create, delete: remove } = recording.one(commandType, name).inputs;
        return [create, remove];
    };
    const [apply, destroy] = ["apply", "destroy"].map(verb => `exec timeout -k 30 ${limit} node - ${verb}`);
    for (const name of ["-nodes", "-rke"]) expect(commands(name)).toEqual([apply, destroy]);
    for (const name of ["-restore", "-snapshot", "-certificates"]) expect(commands(name)).toEqual([apply, undefined]);
});

test("the API server's certificate covers the endpoint in the kubeconfig", async () => {
    const recording = await build({ apiEndpoint: "https://kubernetes.example.com:6443" });
    expect(recording.outputs.apiEndpoint).toBe("https://kubernetes.example.com:6443");
    expect(recording.outputs.kubeconfig.secret).toContain("server: https://kubernetes.example.com:6443");
    expect(input(recording, "-rke").clusterYml).toMatch(/sans:\n *- kubernetes\.example\.com\n/);
});

test("a preview asks a node while the endpoint does not answer, and an update does not", async () => {
    const apiEndpoint = "https://192.0.2.20:6443";
    const answering = () => ({ stdout: said("in sync", { "answering-api": "https://192.0.2.32:6443" }) });
    const server = async (preview: boolean) =>
        /server: (\S+)/.exec((await build({ apiEndpoint }, { preview, call: answering })).outputs.kubeconfig.secret)![1];
    expect([await server(true), await server(false)]).toEqual(["https://192.0.2.32:6443", apiEndpoint]);
});

test("the keys of the S3 bucket reach RKE and no preview", async () => {
    const s3 = { bucket: "etcd", accessKey: pulumi.secret("the-access-key"), secretKey: pulumi.secret("the-secret-key") };
    const recording = await build({ etcdBackup: { s3 } });
    expect(input(recording, "-rke").clusterYml).toMatch(/access_key: the-access-key\n *secret_key: the-secret-key\n/);
    expect(latch(recording).inputs.environment["cluster.yml"]).toContain("bucket_name: etcd");
    for (const { inputs } of recording.resources)
        expect(JSON.stringify({ ...inputs, stdin: undefined })).not.toMatch(/the-(access|secret)-key/);
});

test("what a user marked as a secret is none of what a preview shows", async () => {
    const ingressOptions = pulumi.secret({ "hide-headers": "marked" });
    const [shown, hidden] = [await build(), await build({ ingressOptions })].map(each => latch(each).inputs.environment);
    expect(shown["cluster.yml"]).toContain("cluster_name: rancher");
    expect(hidden).toEqual(secret({ "cluster.yml": expect.stringContaining("hide-headers: marked") }));
});

test("a change of the nodes is a change of RKE's run alone", async () => {
    const [before, after] = [await build(), await build({ addonJobTimeoutSeconds: 300 })];
    expect(after.one(commandType, "-rke").inputs.stdin).not.toEqual(before.one(commandType, "-rke").inputs.stdin);
    expect(after.outputs).toEqual(before.outputs);
});

test("workers are the upstreams, and the kubeconfig comes from the PKI as a secret", async () => {
    const [first, ...others] = args.nodes as any[];
    const { outputs } = await build({
        nodes: [
            { ...first, roles: ["controlplane", "etcd"] },
            ...others.map(node => ({ ...node, internalAddress: node.address.replace("192.0.2", "10.0.0"), roles: ["worker"] })),
        ],
    });
    expect(outputs).toMatchObject({
        ingressAddresses: ["10.0.0.32", "10.0.0.33"],
        apiEndpoint: "https://192.0.2.31:6443",
        kubernetesVersion: "v1.30.14",
        kubeconfig: secret(expect.stringContaining("server: https://192.0.2.31:6443")),
    });
});

test("a preview of a change knows the kubeconfig, and a first preview does not", async () => {
    const first = await build({}, { preview: true, mock: () => ({}) });
    expect(first.outputs.kubeconfig).toEqual(secret(unknown));
    // The result of a pending run is unknown, but its ID is known.
    const pending: RecordOptions["mock"] = request => (request.name.endsWith("-rke") ? {} : mock(request));
    const later = await build({ addonJobTimeoutSeconds: 300 }, { mock: pending });
    expect(later.outputs.kubeconfig.secret).toContain("client-key-data");
});

test("a preview looks at the nodes, and an update leaves that to its own step", async () => {
    const probed = async (options: RecordOptions) => {
        const asked = jest.fn<{ stdout: string }, [any]>(() => ({ stdout: said("in sync") }));
        await build({}, { call: asked, ...options });
        return JSON.parse(/^main\((.*)\);$/m.exec(asked.mock.calls[0][0].inputs.stdin)![1]);
    };
    const fitness = { nodes: [{ name: "192.0.2.31" }, {}, {}], preflightProgram: expect.stringContaining("ca_certificates=''") };
    const first = await probed({ preview: true, mock: () => ({}) });
    expect(first).toMatchObject({ fitness });
    expect(first).not.toHaveProperty("ca");
    expect(await probed({ preview: true })).toMatchObject({
        ca: expect.stringContaining("BEGIN"),
        fitness: { preflightProgram: expect.stringContaining("BEGIN") },
    });
    const update = await probed({});
    expect(update).not.toHaveProperty("fitness");
    // The mock's PKI looks as if this update had made it, so the probe gets no CA.
    expect(update).not.toHaveProperty("ca");
});

describe("a cluster that exists already", () => {
    const { privateKey: keyPEM, certificate: certificatePEM } = issue({ name: "kube-ca", ca: true });
    const names = ["kube-ca", "kube-admin", "kube-service-account-token"];
    const certificatesBundle = Object.fromEntries(names.map(name => [name, { certificatePEM, keyPEM }]));
    const nodes = ["192.0.2.31", "192.0.2.32", "192.0.2.33"].map(address => ({ address, role: ["controlplane", "etcd", "worker"] }));
    const rkeState = JSON.stringify({ desiredState: { certificatesBundle, rkeConfig: { nodes } }, currentState: { rkeConfig: { nodes } } });

    test("keeps its state: no certificates are made, and the nodes are checked first", async () => {
        const recording = await build({ rkeState: pulumi.secret(rkeState) });
        const { adopted } = input(recording, "-pki");
        expect(adopted).toMatchObject({
            state: rkeState,
            builtNodes: nodes,
            wantedNodes: nodes.map(({ address }) => ({ address })),
            nodes: [{}, {}, {}],
        });
        expect(adopted.preflightProgram).toContain(certificatePEM.split("\n")[1]);
        for (const { inputs } of recording.resources)
            expect(JSON.stringify({ ...inputs, stdin: undefined })).not.toContain(keyPEM.split("\n")[1]);
    });

    test("is compared in the preview with its own state first, and with the stack's later", async () => {
        const probed = async (options: RecordOptions) => {
            const asked = jest.fn<{ stdout: string }, [any]>(() => ({ stdout: said("in sync") }));
            await build({ rkeState }, { call: asked, preview: true, ...options });
            return JSON.parse(/^main\((.*)\);$/m.exec(asked.mock.calls[0][0].inputs.stdin)![1]);
        };
        expect(await probed({ mock: () => ({}) })).toMatchObject({ ca: certificatePEM, adoptedNodes: nodes });
        const later = await probed({});
        expect(later).not.toHaveProperty("adoptedNodes");
        expect(later.ca).not.toBe(certificatePEM);
    });

    test.each<[string, string]>([
        ["cut off", rkeState.slice(0, -20)],
        ["without certificates", "{}"],
        ["without nodes", JSON.stringify({ desiredState: { certificatesBundle, rkeConfig: { nodes: [] } } })],
    ])("is refused with a state that is %s, without a word of it", async (_what, state) => {
        const refused = build({ rkeState: state });
        await expect(refused).rejects.toThrow(
            /RkeCluster rke: rkeState: expected the whole text of a cluster\.rkestate.*manual\.md\. \[RHA configuration\]$/,
        );
    });
});

test("what is not known yet of a node is no fault, what is known is checked", async () => {
    const [first, ...others] = args.nodes as any[];
    const plan = (changes: object = {}) =>
        record(
            () => {
                const later = new tls.PrivateKey("other", { algorithm: "ECDSA" }).publicKeyPem;
                const roles = [later.apply(() => "worker" as const)];
                const nodes = [{ ...first, address: "node1.example.com", internalAddress: later, roles: ["worker"] }];
                return new RkeCluster("rke", { ...args, nodes: [...nodes, ...others.map(node => ({ ...node, roles, ...changes }))] });
            },
            { preview: true },
        );
    expect((await plan()).outputs.ingressAddresses).toEqual(unknown);
    await expect(plan({ internalAddress: "10.0.0.1" })).rejects.toThrow(/nodes\[2\]\.internalAddress: expected a value of its own/);
});

describe("drift", () => {
    test("warns by default: a repair would run RKE on the whole cluster", async () => {
        const recording = await build({}, { call: () => ({ stdout: said("in sync") }) });
        expect(findingOf(latch(recording))).toBe("in sync");
        expect(Object.keys(latch(recording).inputs.environment)).toEqual(["cluster.yml"]);
    });

    test("enforce: what was found makes RKE run again", async () => {
        const found = {
            call: () => ({ stdout: said("node node2: not Ready") }),
            mock: ((r: any) => (isLatch(r.name) ? { stdout: "3" } : mock(r))) as typeof mock,
        };
        const recording = await build({ drift: DriftMode.Enforce }, found);
        expect(findingOf(latch(recording))).toBe("node node2: not Ready");
        expect(input(recording, "-rke").epoch).toBe(3);
    });

    test("a missing API is repaired in mode enforce, and no warning in any mode", async () => {
        const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
        const absent = { call: () => ({ stdout: said("absent: no API server runs") }) };
        const observed = async (drift: DriftMode) => findingOf(latch(await build({ drift }, absent)));
        expect([await observed(DriftMode.Enforce), await observed(DriftMode.Warn)]).toEqual(["absent: no API server runs", "in sync"]);
        expect(warn).not.toHaveBeenCalled();
        warn.mockRestore();
    });

    test.each<[string, typeof mock | undefined, number]>([
        ["that RKE has built needs attention", mock, 1],
        ["that RKE has not built yet needs none", undefined, 0],
    ])("in a preview, the missing API of a cluster %s", async (_what, known, warnings) => {
        const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
        await build({}, { preview: true, mock: known, call: () => ({ stdout: said("absent: no cluster runs") }) });
        expect(warn.mock.calls.map(([text]) => text)).toEqual(
            Array(warnings).fill(expect.stringMatching(/^needs attention: .*none of its API servers runs/s)),
        );
        warn.mockRestore();
    });

    test("off makes neither probe nor latch", async () => {
        const asked = jest.fn(call);
        const recording = await build({ drift: DriftMode.Off }, { call: asked });
        expect(asked).not.toHaveBeenCalled();
        expect(recording.resources.filter(({ name }) => isLatch(name))).toEqual([]);
    });
});

test.each<[string, Partial<RkeClusterArgs>, RegExp]>([
    ["a version that RKE cannot install", { kubernetesVersion: "v1.29.1" }, /kubernetesVersion: /],
    ["an even number of etcd nodes", { nodes: (args.nodes as any[]).slice(0, 2) }, /nodes: .*odd/],
    [
        "an encrypted SSH key",
        { ssh: { privateKey: "-----BEGIN ENCRYPTED PRIVATE KEY-----\n" } },
        /ssh\.privateKey: expected a key without a passphrase/,
    ],
    ["forwarded headers switched off", { ingressOptions: { "use-forwarded-headers": "false" } }, /ingressOptions/],
])("refuses %s before anything is registered below it", async (_what, changes, words) => {
    await expect(build(changes)).rejects.toThrow(words);
});

describe("a rotation of the CA", () => {
    const [rotatedCa, rotatedAdmin] = [issue({ name: "kube-ca", ca: true }), issue({ name: "kube-admin" })];
    const keys = ({ certificate, privateKey }: typeof rotatedCa) => ({ certificatePEM: certificate, keyPEM: privateKey });
    const rotatedState = brotliCompressSync(
        JSON.stringify({ desiredState: { certificatesBundle: { "kube-ca": keys(rotatedCa), "kube-admin": keys(rotatedAdmin) } } }),
    ).toString("base64");
    const rotated = (caRotations: number, known: object, options: RecordOptions = {}, changes: Partial<RkeClusterArgs> = {}) =>
        build({ ...changes, caRotations }, { mock: request => (request.name.endsWith("-rotation-1") ? known : mock(request)), ...options });
    const made = { stdout: pulumi.secret(rotatedState) };
    const trusts = ({ outputs }: Recording, ca: string) => outputs.kubeconfig.secret.includes(Buffer.from(ca).toString("base64"));

    test("makes a second PKI once, which RKE and the kubeconfig get", async () => {
        const [recording, without] = [await rotated(1, made, {}, { snapshot: { name: "before" } }), await build()];
        const next = recording.one(commandType, "-rotation-1");
        expect(input(recording, "-rotation-1")).toMatchObject({ earlierPki: packedState, nodeCount: 3 });
        expect([next.protect, next.ignoreChanges, next.additionalSecretOutputs]).toEqual([
            true,
            expect.arrayContaining(["stdin"]),
            ["stdout"],
        ]);
        for (const name of ["-nodes", "-rke", "-snapshot"])
            expect(input(recording, name)).toMatchObject({ pki: rotatedState, earlierPkis: [packedState] });
        expect(trusts(recording, rotatedCa.certificate)).toBe(true);
        expect(input(without, "-rke")).not.toHaveProperty("earlierPkis");
    });

    test("is told to the probe of a preview while its PKI is not made", async () => {
        const rotates = async (known: object) => {
            const asked = jest.fn(() => ({ stdout: said("in sync") }));
            await rotated(1, known, { preview: true, call: asked });
            const [[{ inputs }]] = asked.mock.calls as unknown as [[{ inputs: { stdin: string } }]];
            return JSON.parse(/^main\((.*)\);$/m.exec(inputs.stdin)![1]).rotates;
        };
        expect([await rotates({}), await rotates(made)]).toEqual([true, undefined]);
    });

    test("is refused beside a snapshot or a restore, by the program that makes its PKI", async () => {
        const refusal = async (changes: object) => input(await rotated(1, made, {}, changes), "-rotation-1").refusal;
        const snapshot = { name: "before-the-rotation" };
        const validFrom = jest.spyOn(X509Certificate.prototype, "validFrom", "get").mockReturnValue("Jan  1 00:00:00 2026 GMT");
        expect([await refusal({ snapshot }), await refusal({ restore: { snapshot: "earlier" } }), await refusal({})]).toEqual([
            expect.stringMatching(/^snapshot\.name: expected none in the update that rotates the CA, found before-the-rotation: /),
            expect.stringMatching(/^restore\.snapshot: expected none in the update that .*rotates its CA, found earlier\./),
            undefined,
        ]);
        // In the update that also creates the cluster, nothing is rotated.
        validFrom.mockRestore();
        expect(await refusal({ snapshot })).toBeUndefined();
    });

    test("is announced in a preview, which opens the cluster by the PKI in use", async () => {
        const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
        const preview = (known: object, facts: Record<string, string> = {}) =>
            rotated(1, known, { preview: true, call: () => ({ stdout: said("in sync", facts) }) });
        const announced = () =>
            warn.mock.calls.splice(0).filter(([text]) => /rotates the CA .* the control plane restart/.test(String(text))).length;
        // The PKI is not made yet. Then a run was killed before RKE rotated the CA. Then the rotation is done.
        const found = [
            await preview({}),
            announced(),
            await preview(made, { "earlier-pki": "1" }),
            announced(),
            await preview(made),
            announced(),
        ];
        expect(found.map(each => (typeof each === "number" ? each : trusts(each, rotatedCa.certificate)))).toEqual([
            false,
            1,
            false,
            1,
            true,
            0,
        ]);
        warn.mockRestore();
    });
});

describe("the verbs that run once", () => {
    const verbs = ["-restore", "-snapshot", "-certificates"];
    const tokens = { snapshot: { name: "2026-11-28T09:56:57Z_etcd" }, rotateCertificates: "2026-11" };

    test("hold no data without a token, so that no other change makes them run", async () => {
        const [one, other] = [await build(), await build({ timeoutSeconds: 900, etcdBackup: { retention: 3 } })];
        for (const verb of verbs) {
            const program = one.one(commandType, verb).inputs.stdin.secret;
            expect(program).toBe("// No token is set.\n");
            expect(other.one(commandType, verb).inputs.stdin.secret).toBe(program);
        }
    });

    test("get their token and the PKI on standard input only, and their results are secret", async () => {
        const recording = await build(tokens);
        expect(verbs.slice(1).map(verb => input(recording, verb))).toMatchObject([
            { task: "snapshot", token: tokens.snapshot.name, pki: packedState, hasBucket: false },
            { task: "certificates", token: "2026-11", pki: packedState },
        ]);
        for (const { inputs, additionalSecretOutputs } of verbs.map(verb => recording.one(commandType, verb))) {
            expect([additionalSecretOutputs, inputs.delete]).toEqual([["stdout"], undefined]);
            for (const text of secretTexts) expect(JSON.stringify({ ...inputs, stdin: undefined })).not.toContain(text);
        }
    });

    test("get the bucket and its keys; without keys only the nodes can ask it", async () => {
        const keys = { accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI" };
        const bucketOf = async (s3: object) => {
            const recording = await build({ ...tokens, etcdBackup: { s3: { bucket: "etcd", ...s3 } } });
            for (const { inputs } of ["-nodes", "-snapshot"].map(name => recording.one(commandType, name)))
                for (const key of Object.values(keys)) expect(JSON.stringify({ ...inputs, stdin: undefined })).not.toContain(key);
            return ["-nodes", "-rke", "-snapshot"].map(name => input(recording, name).bucket);
        };
        const asked = { access: { endpoint: "s3.amazonaws.com", bucket: "etcd", ...keys }, nodes: [{}, {}, {}] };
        expect(await bucketOf(keys)).toMatchObject([asked, undefined, asked]);
        expect(await bucketOf({})).toEqual([undefined, undefined, undefined]);
    });

    test("are ordered: restore, RKE, snapshot, certificates", async () => {
        const [recording, without] = [await build(tokens), await build()];
        const chain = ["-nodes", "-restore", "-rke", "-snapshot", "-certificates"].map(name => recording.one(commandType, name));
        chain.slice(1).forEach((resource, index) => expect(resource.dependencies).toContain(chain[index].urn));
        expect(input(recording, "-rke")).toEqual(input(without, "-rke"));
        expect(latch(recording).inputs).toEqual(latch(without).inputs);
    });

    test("a preview warns of a restore that will run, and of none that was done", async () => {
        const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
        // The PKI of the mocks is as new as this test.
        const validFrom = jest.spyOn(X509Certificate.prototype, "validFrom", "get").mockReturnValue("Jan  1 00:00:00 2026 GMT");
        const probed: string[] = [];
        const plan = (result: object) =>
            build(
                { restore: { snapshot: "before-upgrade" } },
                {
                    preview: true,
                    mock: request => (request.name.endsWith("-restore") ? result : mock(request)),
                    call: ({ inputs }) => (probed.push(inputs.stdin), { stdout: said("in sync") }),
                },
            );
        await plan({ stdout: "before-upgrade" });
        expect(warn).not.toHaveBeenCalled();
        const pending = await plan({});
        expect(warn.mock.calls.map(([text]) => text)).toEqual([expect.stringContaining("All objects made after the snapshot are lost")]);
        expect(input(pending, "-restore")).toMatchObject({ task: "restore", token: "before-upgrade", etcdNodes: [{}, {}, {}] });
        // The probe looks at the cluster before the restore, and RKE runs after it.
        expect(probed).toEqual([1, 2].map(() => expect.stringContaining('"restores":"before-upgrade"')));
        for (const name of ["-nodes", "-rke"]) expect(input(pending, name)).not.toHaveProperty("restores");
        validFrom.mockRestore();
        warn.mockRestore();
    });
});
