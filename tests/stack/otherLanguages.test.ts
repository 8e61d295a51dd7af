import * as grpc from "@grpc/grpc-js";
import { EngineService } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import { ConstructRequest, GetSchemaRequest, InvokeResponse } from "@pulumi/pulumi/proto/provider_pb";
import { ResourceMonitorService } from "@pulumi/pulumi/proto/resource_grpc_pb";
import * as messages from "@pulumi/pulumi/proto/resource_pb";
import { ChildProcess, execFileSync, spawn } from "child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "fs";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { tmpdir } from "os";
import { join } from "path";
import { parse } from "yaml";
import { rancherHaArgs, sshKey } from "../component/stackMocks";
import { answerTransforms } from "../component/transforms";
import { wireOutput, wireSecret } from "../component/wire";
import { Stack } from "../../lab/pulumi";
import { disposable, testLab } from "./fixtures";

/** These tests use the package as a program in Python, Go or YAML does: from a clone that the language host starts as a provider. */

jest.setTimeout(5 * 60_000);

const lab = disposable(testLab());

const repository = join(__dirname, "..", "..");
const inClone = ["components", "scripts", "config.ts", "index.ts", "package.json", "package-lock.json", "PulumiPlugin.yaml", "README.md"];
const configs = ["tsconfig.json", "tsconfig.build.json", "tsconfig.strict.json"];
/** Returns arguments of `RancherHa` with the given value as SSH key of each load balancer host. */
const withKey = (privateKey: unknown) => {
    const { hosts } = rancherHaArgs.loadBalancer;
    return { ...rancherHaArgs, loadBalancer: { hosts: hosts.map(host => ({ ...host, privateKey })) } };
};

interface Registered {
    type: string;
    name: string;
    ignoreChanges: string[];
    /** Inputs as JSON, with the markers of secrets. */
    inputs: string;
}

class Engine {
    registered: Registered[] = [];
    logged: string[] = [];
    readonly server = new grpc.Server();

    /** Serves monitor and engine on one port and returns the address. */
    async start(): Promise<string> {
        const answer = (reply: (request: any) => any) => (call: any, callback: any) =>
            void Promise.resolve(reply(call.request)).then(response => callback(null, response), callback);
        const { SupportsFeatureResponse, RegisterResourceResponse, RegisterPackageResponse } = messages as any;
        const set = <M>(message: M, values: Partial<Record<string, unknown>>): M => {
            for (const [setter, value] of Object.entries(values)) (message as any)[setter](value);
            return message;
        };
        this.server.addService(ResourceMonitorService as any, {
            supportsFeature: answer(() => set(new SupportsFeatureResponse(), { setHassupport: true })),
            registerPackage: answer(() => set(new RegisterPackageResponse(), { setRef: "package" })),
            invoke: answer(() => set(new InvokeResponse(), { setReturn: Struct.fromJavaScript({ stdout: "end" }) })),
            registerResource: answer(async request => {
                await answerTransforms(request);
                const [type, name] = [request.getType(), request.getName()];
                const inputs = JSON.stringify(request.getObject().toJavaScript());
                this.registered.push({ type, name, inputs, ignoreChanges: request.getIgnorechangesList() });
                const urn = `urn:pulumi:stack::project::${type}::${name}`;
                return set(new RegisterResourceResponse(), { setUrn: urn, setObject: request.getObject() });
            }),
            registerResourceOutputs: answer(() => new Empty()),
        });
        this.server.addService(EngineService as any, {
            log: answer(request => (this.logged.push(request.getMessage()), new Empty())),
        });
        const port = await new Promise<number>((resolve, reject) =>
            this.server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
                error ? reject(error) : resolve(bound),
            ),
        );
        return `127.0.0.1:${port}`;
    }
}

let folder: string;
let engine: Engine;
let address: string;
let plugin: ChildProcess;
let provider: ResourceProviderClient;

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "other-languages-"));
    const [clone, empty] = [join(folder, "clone"), join(folder, "empty")];
    for (const name of [...inClone, ...configs]) cpSync(join(repository, name), join(clone, name), { recursive: true });
    symlinkSync(join(repository, "node_modules"), join(clone, "node_modules"));
    mkdirSync(empty);
    // npm runs this script after it has installed the dependencies of a clone.
    execFileSync("npm", ["run", "prepare"], { cwd: clone });

    engine = new Engine();
    address = await engine.start();
    plugin = spawn(process.execPath, [join(clone, "node_modules/@pulumi/pulumi/cmd/run-plugin"), clone, address], {
        cwd: empty,
        stdio: ["ignore", "pipe", "inherit"],
        env: { ...process.env, PULUMI_NODEJS_TYPESCRIPT: "true" },
    });
    const port = await new Promise<string>((resolve, reject) => {
        plugin.stdout!.once("data", data => resolve(String(data).trim()));
        plugin.once("exit", code => reject(new Error(`the provider ended with ${code}`)));
    });
    provider = new ResourceProviderClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
});

afterAll(() => {
    provider?.close();
    plugin?.kill();
    engine?.server.forceShutdown();
    rmSync(folder, { recursive: true, force: true });
});

/** Constructs a component in a preview, and returns the resources registered below it. */
async function construct(component: string, inputs: Record<string, unknown>): Promise<Registered[]> {
    engine.registered = [];
    const request = new ConstructRequest() as any;
    request.setProject("project");
    request.setStack("stack");
    request.setOrganization("organization");
    request.setDryrun(true);
    request.setMonitorendpoint(address);
    request.setType(`pulumi-rancher-ha:index:${component}`);
    request.setName("rancher");
    request.setInputs(Struct.fromJavaScript(JSON.parse(JSON.stringify(inputs))));
    await new Promise<unknown>((resolve, reject) =>
        provider.construct(request, (error, response) => (error ? reject(error) : resolve(response))),
    );
    return engine.registered;
}

test("the schema holds every component", async () => {
    const schema = await new Promise<string>((resolve, reject) =>
        provider.getSchema(new GetSchemaRequest(), (error, response) => (error ? reject(error) : resolve(response.getSchema()))),
    );
    const index = readFileSync(join(repository, "components/index.ts"), "utf8");
    const resources = Object.keys(JSON.parse(schema).resources).map(type => type.split(":")[2]);
    expect(resources).toEqual(expect.arrayContaining(["RancherHa", "RkeCluster", "NginxLoadBalancer", "PrivateCa", "AgentHostAliases"]));
    for (const name of resources) expect(index).toContain(name);
});

test("plain values: the whole stack is planned, without a dynamic provider", async () => {
    const registered = await construct("RancherHa", withKey(sshKey));
    expect(registered.length).toBeGreaterThan(20);
    expect(registered.filter(({ type }) => type.startsWith("pulumi-nodejs:"))).toEqual([]);
    // The callback of the latch works in the process of the provider, too.
    expect(registered.find(({ name }) => name === "rancher-lb-drift-1")!.ignoreChanges).toEqual(["stdin"]);
});

test("a secret that SDKs send as an output value inside a group stays a secret", async () => {
    const { hosts } = withKey(wireOutput(sshKey, { secret: true })).loadBalancer;
    const paths = { certificateChain: "/etc/ssl/chain.pem", privateKey: "/etc/ssl/key.pem" };
    const inputs = { hosts, hostname: "rancher.example.com", upstreams: ["192.0.2.31"], certificateOnHost: paths };
    const command = (await construct("NginxLoadBalancer", inputs)).find(({ name }) => name === "rancher-host-1")!;
    expect(JSON.parse(command.inputs).connection).toEqual(wireSecret(expect.objectContaining({ privateKey: sshKey })));
    expect((await construct("RancherHa", withKey(wireOutput(sshKey, { secret: true })))).length).toBeGreaterThan(20);
});

test("an output that is unknown in a preview inside a group", async () => {
    const inputs = withKey(sshKey);
    const registered = await construct("RancherHa", { ...inputs, rancher: { ...inputs.rancher, replicas: wireOutput(undefined) } });
    expect(registered.map(({ name }) => name)).toContain("rancher-release-release");
});

test("a secret that makes a whole group an output is refused, with the group's name", async () => {
    await expect(construct("RancherHa", withKey(wireSecret(sshKey)))).rejects.toThrow(
        /RancherHa rancher: loadBalancer: expected a plain value, found an output as a whole/,
    );
    expect(engine.registered.map(({ name }) => name)).toEqual(["rancher"]);
});

test("the example in Pulumi YAML gives its component what the schema asks for", async () => {
    const { resources } = parse(readFileSync(join(repository, "tests/fixtures/yaml/Pulumi.yaml"), "utf8"));
    const registered = await construct(resources.ca.type.split(":")[1], resources.ca.properties);
    expect(registered.map(({ name }) => name)).toContain("rancher-server");
});

test("after `pulumi package add`, the YAML example comes up, and its preview is empty", async () => {
    const program = join(folder, "program");
    mkdirSync(program);
    const text = readFileSync(join(repository, "tests/fixtures/yaml/Pulumi.yaml"), "utf8");
    writeFileSync(join(program, "Pulumi.yaml"), text.replace(/packages:\n.*\n/, ""));
    const stack = new Stack(lab, { program, config: {} });
    // The command runs npm in the clone, where everything is installed and built already. Without these settings, npm would try the network
    // for minutes.
    const env = { npm_config_offline: "true", npm_config_audit: "false", npm_config_ignore_scripts: "true" };
    const added = await stack.cli(["package", "add", join(folder, "clone")], { env }, program);
    expect({ code: added.code, output: added.code === 0 ? "" : added.output }).toEqual({ code: 0, output: "" });
    const up = await stack.up();
    expect({ code: up.code, output: up.code === 0 ? "" : up.output }).toEqual({ code: 0, output: "" });
    expect((await stack.outputs()).caCertificate).toContain("BEGIN CERTIFICATE");
    expect((await stack.preview(["--expect-no-changes"])).code).toBe(0);
    expect((await stack.destroy()).code).toBe(0);
});
