import { execFileSync } from "child_process";
import { X509Certificate } from "crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { readProgram } from "../../lab/engine/config";
import { Deployment, Options, Result } from "../../lab/engine/deployment";
import { Monitor, refuseUnknownOptions, Registration } from "../../lab/engine/language";
import { StateFile } from "../../lab/engine/state";
import { plain, Properties } from "../../lab/engine/values";

// The engine without a language host: the program of a test is a function that talks to the engine directly.
type TestProgram = (monitor: Monitor) => Promise<unknown>;
let mockProgram: TestProgram;
jest.mock("../../lab/engine/language", () => ({
    ...jest.requireActual("../../lab/engine/language"),
    runProgram: async (_program: unknown, monitor: Monitor) =>
        mockProgram(monitor).then(
            () => 0,
            () => 1,
        ),
}));

let folder: string;
let stateFile: StateFile;
beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "engine-"));
    stateFile = new StateFile(join(folder, "state.json"), "passphrase");
});
afterEach(() => rmSync(folder, { recursive: true }));

async function deploy(program: TestProgram, preview = false, options: Partial<Options> = {}): Promise<Result> {
    mockProgram = program;
    return deployment(preview, options).deploy();
}

function deployment(preview = false, options: Partial<Options> = {}): Deployment {
    const program = { folder: process.cwd(), project: "project", stack: "stack", main: ".", config: {}, preview };
    return new Deployment({ program, stateFile, ...options });
}

const registration = (type: string, name: string, inputs: Properties, options: Partial<Registration> = {}): Registration => ({
    type,
    name,
    inputs,
    custom: true,
    parent: "",
    provider: "",
    dependencies: [],
    ignoreChanges: [],
    replaceOnChanges: [],
    additionalSecretOutputs: [],
    deletedWith: "",
    retainOnDelete: false,
    protect: false,
    ...options,
});
const commandOf =
    (name: string, inputs: Properties, options: Partial<Registration> = {}) =>
    (monitor: Monitor) =>
        monitor.register(registration("command:local:Command", name, inputs, options));
const secret = (value: string) => ({ "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", value });
const steps = (result: Result) => result.steps.map(step => `${step.op} ${step.name}`);
const text = (name: string) => readFileSync(join(folder, name), "utf8");
const outputsOf = (name: string) => plain<Properties>(stateFile.read().resources.find(state => state.urn.endsWith(`::${name}`))!.outputs);

test("a preview changes nothing, an update does, and a second one finds nothing to do", async () => {
    const program = commandOf("a", { create: `echo made >> ${folder}/log` });
    expect(steps(await deploy(program, true))).toEqual(["create a"]);
    expect(existsSync(join(folder, "log"))).toBe(false);
    expect(stateFile.read().resources).toEqual([]);
    expect(steps(await deploy(program))).toEqual(["create a"]);
    expect(steps(await deploy(program, true))).toEqual(["same a"]);
    expect(steps(await deploy(program))).toEqual(["same a"]);
    expect(text("log")).toBe("made\n");
});

test("a changed input runs the command again, which is handed its last output; so is the deletion, with the last input", async () => {
    const inputs = (stdin: string) => ({
        create: "cat",
        update: `echo "$PULUMI_COMMAND_STDOUT" >> ${folder}/log; cat`,
        delete: `echo "delete $PULUMI_COMMAND_STDOUT $(cat)" >> ${folder}/log`,
        stdin,
    });
    await deploy(commandOf("a", inputs("one")));
    const changed = commandOf("a", inputs("two"));
    expect(steps(await deploy(changed, true))).toEqual(["update a"]);
    expect((await deploy(changed)).steps).toMatchObject([{ op: "update", changed: ["stdin"] }]);
    expect(outputsOf("a").stdout).toBe("two");
    expect(steps(await deploy(async () => undefined))).toEqual(["delete a"]);
    expect(text("log")).toBe("one\ndelete two two\n");
    expect(stateFile.read().resources).toEqual([]);
});

test("a changed trigger makes the new one first and deletes the old one at the end", async () => {
    const inputs = (trigger: string) => ({
        create: `echo create ${trigger} >> ${folder}/log`,
        delete: `echo delete ${trigger} >> ${folder}/log`,
        triggers: [trigger],
    });
    await deploy(commandOf("a", inputs("1")));
    expect(steps(await deploy(commandOf("a", inputs("2"))))).toEqual(["replace a", "delete a"]);
    expect(text("log")).toBe("create 1\ncreate 2\ndelete 1\n");
    expect(steps(await deploy(commandOf("a", inputs("2")), true))).toEqual(["same a"]);
});

test("ignored changes are no changes", async () => {
    await deploy(commandOf("a", { create: "echo 1" }));
    expect(steps(await deploy(commandOf("a", { create: "echo 2" }, { ignoreChanges: ["create"] })))).toEqual(["same a"]);
});

test("what goes with another is not deleted by its own command; the order of deletion is that of creation, backwards", async () => {
    await deploy(async monitor => {
        const host = await commandOf("host", { create: "true", delete: `echo host >> ${folder}/log` })(monitor);
        await commandOf("inside", { create: "true", delete: "exit 1" }, { deletedWith: host.urn })(monitor);
    });
    mockProgram = async () => undefined;
    expect(steps(await deployment().destroy())).toEqual(["delete inside", "delete host"]);
    expect(text("log")).toBe("host\n");
});

test("what goes with another is replaced with it, and not deleted by its own command then either", async () => {
    const program = (trigger: string) => async (monitor: Monitor) => {
        const host = await commandOf("host", { create: "true", triggers: [trigger] })(monitor);
        await commandOf("inside", { create: `echo made >> ${folder}/log`, delete: "exit 1" }, { deletedWith: host.urn })(monitor);
    };
    await deploy(program("1"));
    expect(steps(await deploy(program("2"), true))).toEqual(["replace host", "replace inside"]);
    expect(steps(await deploy(program("2")))).toEqual(["replace host", "replace inside", "delete inside", "delete host"]);
    expect(text("log")).toBe("made\nmade\n");
    expect(steps(await deploy(program("2")))).toEqual(["same host", "same inside"]);
});

test("a protected resource is not deleted, and the error says so", async () => {
    await deploy(commandOf("a", { create: "true" }, { protect: true }));
    const result = await deploy(async () => undefined);
    expect(result.failed).toBe(true);
    expect(result.diagnostics.join()).toContain("a: the resource is protected");
    expect(stateFile.read().resources).toHaveLength(1);
});

test("a failed creation says command and output, is not recorded, and the next update succeeds", async () => {
    const program = commandOf("a", { create: `echo to-stdout; echo to-stderr >&2; test -e ${folder}/ready` });
    const result = await deploy(program);
    expect(result.failed).toBe(true);
    expect(result.diagnostics.join()).toContain("to-stderr");
    expect(result.diagnostics.join()).toContain(`test -e ${folder}/ready`);
    expect(stateFile.read().resources).toEqual([]);
    expect(stateFile.read().pending).toEqual([]);
    writeFileSync(join(folder, "ready"), "");
    expect(steps(await deploy(program))).toEqual(["create a"]);
});

test("a failed update keeps the state of before, so that the next run tries again", async () => {
    const inputs = (stdin: string) => ({ create: "cat", update: `cat; test -e ${folder}/ready`, stdin });
    await deploy(commandOf("a", inputs("one")));
    expect((await deploy(commandOf("a", inputs("two")))).failed).toBe(true);
    expect(outputsOf("a").stdout).toBe("one");
    writeFileSync(join(folder, "ready"), "");
    expect(steps(await deploy(commandOf("a", inputs("two"))))).toEqual(["update a"]);
});

test("a step that runs when another fails is awaited and recorded, and both failures are said", async () => {
    const inputs = (name: string, seconds: number, code: number) => ({ create: `sleep ${seconds}; echo ${name} >&2; exit ${code}` });
    const result = await deploy(monitor =>
        Promise.all([
            commandOf("first", inputs("first", 0.2, 1))(monitor),
            commandOf("second", inputs("second", 0.6, 1))(monitor),
            commandOf("third", inputs("third", 1, 0))(monitor),
        ]),
    );
    expect(result.diagnostics).toEqual([expect.stringMatching(/first:[^]*first/), expect.stringMatching(/second:[^]*second/)]);
    const { resources, pending } = stateFile.read();
    expect(resources.map(({ urn }) => urn.split("::").pop())).toEqual(["third"]);
    expect(pending).toEqual([]);
});

test("after a failure nothing more is begun", async () => {
    const result = await deploy(async monitor => {
        await commandOf("a", { create: "exit 1" })(monitor).catch(() => undefined);
        await commandOf("b", { create: `touch ${folder}/b` })(monitor);
    });
    expect(result.diagnostics).toHaveLength(1);
    expect(existsSync(join(folder, "b"))).toBe(false);
});

test("a stop ends the step that runs, also after another has ended", async () => {
    const running = deployment();
    const began = Date.now();
    mockProgram = async monitor => {
        const long = commandOf("long", { create: "sleep 60" })(monitor);
        await commandOf("short", { create: "true" })(monitor);
        setTimeout(() => running.stop(), 200);
        await long;
    };
    const result = await running.deploy();
    expect(Date.now() - began).toBeLessThan(10_000);
    expect(result.failed).toBe(true);
    expect(result.diagnostics.join()).toContain("long: exit SIGTERM");
    expect(stateFile.read().pending).toEqual([]);
});

test("an update that was stopped after a step goes on with the next one", async () => {
    const program: TestProgram = async monitor => {
        await commandOf("a", { create: `echo a >> ${folder}/log` })(monitor);
        await commandOf("b", { create: `echo b >> ${folder}/log` })(monitor);
    };
    const stopped = await deploy(program, false, { stopAfter: step => step.name === "a" });
    expect(stopped.failed).toBe(true);
    expect(text("log")).toBe("a\n");
    expect(steps(await deploy(program))).toEqual(["same a", "create b"]);
});

test("a run that was killed in the middle of a step is resumed, and the step is named", async () => {
    let pending: string[] = [];
    const program = commandOf("a", { create: "true" });
    await deploy(program, false, { onStep: (_step, phase) => void (phase === "begin" && (pending = stateFile.read().pending)) });
    expect(pending).toEqual(["create a"]);
    // What a kill at that moment leaves behind.
    stateFile.write({ resources: [], outputs: {}, pending });
    const resumed = await deploy(program);
    expect(resumed.diagnostics).toEqual(["warning: the last run was ended in the middle of create a; it is done again"]);
    expect(steps(resumed)).toEqual(["create a"]);
    expect((await deploy(program)).diagnostics).toEqual([]);
});

test("secrets: marked through to the outputs, encrypted in the state, refused to a wrong passphrase", async () => {
    await deploy(commandOf("a", { create: "cat", stdin: secret("s3cret-value"), logging: "none" }));
    const state = text("state.json");
    expect(state).not.toContain("s3cret-value");
    expect(state).not.toContain(Buffer.from("s3cret-value").toString("base64").slice(0, 12));
    const [resource] = stateFile.read().resources;
    expect(resource.inputs.stdin).toEqual(secret("s3cret-value"));
    expect(() => new StateFile(join(folder, "state.json"), "other").read()).toThrow(/passphrase/i);
});

test("two runs at a time are refused; the lock of a process that is gone is taken over", () => {
    const unlock = stateFile.lock();
    expect(() => stateFile.lock()).toThrow(String(process.pid));
    unlock();
    stateFile.lock()();
    const dead = Number(execFileSync("sh", ["-c", "echo $$"]).toString());
    const unlockOwn = stateFile.lock();
    const lockFile = execFileSync("grep", ["-rlw", String(process.pid), folder])
        .toString()
        .trim();
    writeFileSync(lockFile, readFileSync(lockFile, "utf8").replace(String(process.pid), String(dead)));
    expect(() => stateFile.lock()()).not.toThrow();
    unlockOwn();
});

test("an unknown kind of resource is refused with advice", async () => {
    const result = await deploy(monitor => monitor.register(registration("aws:s3/bucket:Bucket", "b", {})));
    expect(result.diagnostics.join()).toContain(
        "resources of type aws:s3/bucket:Bucket are not known to the lab's engine: use the Pulumi CLI",
    );
});

test("a resource option that the engine does not know is refused by its name", () => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- the SDK's protocol modules have no types for this use
    const [{ RegisterResourceRequest }, { Alias }] = ["resource", "alias"].map(name => require(`@pulumi/pulumi/proto/${name}_pb.js`));
    const refusal = (change: (request: any) => void) => {
        const request = new RegisterResourceRequest();
        request.setType("kubernetes:core/v1:Secret");
        request.setName("a");
        change(request);
        return () => refuseUnknownOptions(request);
    };
    const alias = (type: string, name: string) => new Alias().setSpec(new Alias.Spec().setType(type).setName(name));
    const known = (request: any) => {
        request.setIgnorechangesList(["data"]);
        request.setReplaceonchangesList(["triggers[*]"]);
        request.setAliasesList([alias("kubernetes:core/v1beta1:Secret", "")]);
        request.setCustomtimeouts(new RegisterResourceRequest.CustomTimeouts().setCreate("5m"));
    };
    expect(refusal(known)).not.toThrow();
    const unknown: [string, (request: any) => void][] = [
        ["import", request => request.setImportid("x")],
        ["aliases", request => request.setAliasesList([alias("", "former")])],
        ["aliases", request => request.setAliasurnsList(["urn:pulumi:stack::project::a:b:C::former"])],
        ["path in ignoreChanges", request => request.setIgnorechangesList(["metadata.labels"])],
        ["path in replaceOnChanges", request => request.setReplaceonchangesList(["spec.selector"])],
        ["hooks", request => request.setHooks(new RegisterResourceRequest.ResourceHooksBinding())],
    ];
    for (const [option, change] of unknown)
        expect(refusal(change)).toThrow(`kubernetes:core/v1:Secret a: ${option} not known to the lab's engine: use the Pulumi CLI`);
});

test("configuration goes to the program as the CLI hands it over; what the CLI has encrypted is refused", () => {
    writeFileSync(join(folder, "Pulumi.yaml"), "name: project\nmain: index.ts\n");
    const read = (config: string) => {
        writeFileSync(join(folder, "Pulumi.stack.yaml"), `config:\n${config}`);
        return readProgram(folder, "stack", true);
    };
    expect(read("    project:ssh: { port: 22 }\n    hostname: a.example.com\n").config).toEqual({
        "project:ssh": '{"port":22}',
        "project:hostname": "a.example.com",
    });
    expect(() => read("    project:ssh: { privateKey: { secure: v1:text } }\n")).toThrow(/project:ssh is encrypted by the Pulumi CLI/);
});

test("the kubeconfig stands in no file while kubectl runs, which may read it more than once", () => {
    const [bin, temporary] = ["bin", "tmp"].map(name => join(folder, name));
    execFileSync("mkdir", [bin, temporary]);
    const answer = `printf '{"read":"%s","files":"%s"}' "$(cat "$file" "$file")" "$(grep -rl s3cret ${temporary})"`;
    writeFileSync(join(bin, "kubectl"), `#!/bin/sh\nfile=\${1#--kubeconfig=}\n${answer}\n`, { mode: 0o755 });
    const provider = JSON.stringify(require.resolve("../../lab/engine/providers/kubernetes"));
    const call = `{ type: "kubernetes:core/v1:Secret", config: { kubeconfig: process.env.KUBECONFIG_TEXT }, stop: AbortSignal.timeout(60_000) }`;
    const script = `require(${provider}).kubernetes.read(${call}, "default/a").then(found => console.log(JSON.stringify(found)))`;
    const env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, TMPDIR: temporary, KUBECONFIG_TEXT: "s3cret;" };
    const found = execFileSync(process.execPath, ["--require", require.resolve("tsx/cjs"), "--eval", script], { env });
    expect(JSON.parse(found.toString())).toEqual({ read: "s3cret;s3cret;", files: "" });
});

test("certificates verify with Node and openssl, and one that is due is replaced", async () => {
    const program =
        (earlyRenewalHours: number): TestProgram =>
        async monitor => {
            const make = async (kind: string, name: string, inputs: Properties) =>
                plain<Properties>(
                    (await monitor.register(registration(`tls:index/${kind[0].toLowerCase()}${kind.slice(1)}:${kind}`, name, inputs)))
                        .outputs,
                );
            const caKey = await make("PrivateKey", "caKey", { algorithm: "ECDSA", ecdsaCurve: "P256" });
            const ca = await make("SelfSignedCert", "ca", {
                privateKeyPem: caKey.privateKeyPem,
                isCaCertificate: true,
                subject: { commonName: "root" },
                validityPeriodHours: 48,
                allowedUses: ["cert_signing"],
            });
            const key = await make("PrivateKey", "key", { algorithm: "RSA", rsaBits: 2048 });
            const request = await make("CertRequest", "request", {
                privateKeyPem: key.privateKeyPem,
                subject: { commonName: "leaf" },
                dnsNames: ["a.example.com"],
            });
            await make("LocallySignedCert", "leaf", {
                caCertPem: ca.certPem,
                caPrivateKeyPem: caKey.privateKeyPem,
                certRequestPem: request.certRequestPem,
                validityPeriodHours: 24,
                earlyRenewalHours,
                allowedUses: ["digital_signature", "server_auth"],
            });
        };
    const made = await deploy(program(1));
    expect(made.diagnostics).toEqual([]);
    const [ca, leaf] = [outputsOf("ca").certPem, outputsOf("leaf").certPem];
    const certificate = new X509Certificate(leaf);
    expect(certificate.verify(new X509Certificate(ca).publicKey)).toBe(true);
    expect(certificate.checkHost("a.example.com")).toBe("a.example.com");
    writeFileSync(join(folder, "ca.pem"), ca);
    writeFileSync(join(folder, "leaf.pem"), leaf);
    const verified = execFileSync("openssl", [
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-CAfile",
        join(folder, "ca.pem"),
        join(folder, "leaf.pem"),
    ]);
    expect(verified.toString()).toContain("OK");
    const changes = async (earlyRenewalHours: number, preview: boolean) =>
        steps(await deploy(program(earlyRenewalHours), preview)).filter(step => !step.startsWith("same"));
    expect(await changes(1, true)).toEqual([]);
    const now = jest.spyOn(Date, "now");
    const hoursLater = (hours: number) => now.mockReturnValue(Date.parse(certificate.validFrom) + hours * 3_600_000);
    hoursLater(22.9);
    expect(await changes(1, true)).toEqual([]);
    hoursLater(23.1);
    expect(await changes(1, true)).toEqual(["replace leaf"]);
    now.mockRestore();

    // When to renew stands in no certificate: it changes in place, unless the certificate is due by it.
    const before = outputsOf("leaf");
    expect(await changes(2, true)).toEqual(["update leaf"]);
    expect(await changes(2, false)).toEqual(["update leaf"]);
    expect(outputsOf("leaf")).toEqual({ ...before, earlyRenewalHours: 2, readyForRenewal: false });
    expect(await changes(25, false)).toEqual(["replace leaf", "delete leaf"]);
    expect(outputsOf("leaf").readyForRenewal).toBe(true);
});
