import * as grpc from "@grpc/grpc-js";
import { ChildProcess, spawn } from "child_process";
import { dirname, join } from "path";
import { Properties } from "./values";

/* eslint-disable @typescript-eslint/no-require-imports -- the SDK's protocol modules have no types for this use */
const struct = require("google-protobuf/google/protobuf/struct_pb.js");
const empty = require("google-protobuf/google/protobuf/empty_pb.js");
const resource = require("@pulumi/pulumi/proto/resource_pb.js");
const resourceServices = require("@pulumi/pulumi/proto/resource_grpc_pb.js");
const engine = require("@pulumi/pulumi/proto/engine_pb.js");
const engineServices = require("@pulumi/pulumi/proto/engine_grpc_pb.js");
const provider = require("@pulumi/pulumi/proto/provider_pb.js");

/** A resource as the program registers it. */
export interface Registration {
    type: string;
    name: string;
    custom: boolean;
    parent: string;
    provider: string;
    inputs: Properties;
    dependencies: string[];
    ignoreChanges: string[];
    replaceOnChanges: string[];
    additionalSecretOutputs: string[];
    deletedWith: string;
    /** Undefined: as the provider says. */
    deleteBeforeReplace?: boolean;
    retainOnDelete: boolean;
    protect: boolean;
}

export interface Registered {
    urn: string;
    /** Empty while unknown. */
    id: string;
    outputs: Properties;
}

/** What the program asks of the engine. */
export interface Monitor {
    register(request: Registration): Promise<Registered>;
    registerOutputs(urn: string, outputs: Properties): Promise<void>;
    read(type: string, name: string, id: string, parent: string, provider: string): Promise<{ urn: string; outputs: Properties }>;
    invoke(token: string, args: Properties, provider: string): Promise<Properties>;
    log(severity: "debug" | "info" | "warning" | "error", message: string, urn: string): void;
}

export interface Program {
    folder: string;
    project: string;
    stack: string;
    main: string;
    config: Record<string, string>;
    preview: boolean;
}

/** Features of the real engine that this one has too; it says no to every other. */
const features = ["secrets", "deletedWith", "aliasSpecs"];

/** Runs a program in the SDK's own language host against `monitor`; resolves to its exit code. */
export async function runProgram(program: Program, monitor: Monitor, onStart: (child: ChildProcess) => void): Promise<number> {
    const server = new grpc.Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
    server.addService(resourceServices.ResourceMonitorService, monitorService(monitor));
    server.addService(engineServices.EngineService, engineService(monitor));
    const port = await new Promise<number>((resolve, reject) =>
        server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
            error ? reject(error) : resolve(bound),
        ),
    );
    const sdk = dirname(require.resolve("@pulumi/pulumi/package.json", { paths: [program.folder] }));
    const address = `127.0.0.1:${port}`;
    const child = spawn(
        process.execPath,
        [
            join(sdk, "cmd", "run"),
            "--monitor",
            address,
            "--engine",
            address,
            "--project",
            program.project,
            "--stack",
            program.stack,
            "--organization",
            "organization",
            "--pwd",
            program.folder,
            "--parallel",
            "16",
            ...(program.preview ? ["--dry-run"] : []),
            program.main,
        ],
        {
            cwd: program.folder,
            stdio: ["ignore", "inherit", "inherit"],
            env: {
                ...process.env,
                PULUMI_CONFIG: JSON.stringify(program.config),
                PULUMI_NODEJS_TYPESCRIPT: "true",
            },
        },
    );
    onStart(child);
    const code = await new Promise<number>(resolve => child.on("close", exit => resolve(exit ?? -1)));
    server.forceShutdown();
    return code;
}

/**
 * Fails for a resource option that changes what the real engine does and that this one does not know. Not among them, because only how
 * long it takes or where a provider comes from depends on it: `customTimeouts`, `version`, `pluginDownloadURL`, `parallel`.
 */
export function refuseUnknownOptions(request: any): void {
    const nested = (paths: string[]) => paths.some(path => /[.[*]/.test(path.replace(/\[\*\]$/, "")));
    // What @pulumi/kubernetes gives every object: its former types. A state that this engine made holds none of them.
    const isFormerType = (alias: any) => alias.getSpec()?.getType().startsWith("kubernetes:") && !alias.getSpec().getName();
    const options: Record<string, boolean> = {
        "remote component": request.getRemote(),
        import: request.getImportid() !== "",
        aliases: request.getAliasurnsList().length > 0 || !request.getAliasesList().every(isFormerType),
        "path in ignoreChanges": nested(request.getIgnorechangesList()),
        "path in replaceOnChanges": nested(request.getReplaceonchangesList()),
        replaceWith: request.getReplaceWithList().length > 0,
        replacementTrigger: request.hasReplacementTrigger(),
        hooks: request.hasHooks(),
        transforms: request.getTransformsList().length > 0,
        hideDiffs: request.getHidediffsList().length > 0,
        envVarMappings: request.getEnvvarmappingsMap().getLength() > 0,
    };
    const found = Object.keys(options).filter(name => options[name]);
    if (found.length > 0)
        throw new Error(`${request.getType()} ${request.getName()}: ${found.join(", ")} not known to the lab's engine: use the Pulumi CLI`);
}

type Handler = grpc.handleUnaryCall<any, any>;

/** An RPC whose failure ends the program: after one, Pulumi's own engine answers in the same way. */
const handler =
    (work: (request: any) => Promise<unknown>): Handler =>
    (call, answer) =>
        void work(call.request).then(
            response => answer(null, response),
            (error: Error) => answer({ code: grpc.status.UNAVAILABLE, details: error.message, name: error.name, message: error.message }),
        );

const object = (message: any): Properties => message?.toJavaScript() ?? {};

function monitorService(monitor: Monitor): Record<string, Handler> {
    return {
        supportsFeature: handler(async request => {
            const response = new resource.SupportsFeatureResponse();
            response.setHassupport(features.includes(request.getId()));
            return response;
        }),
        registerResource: handler(async request => {
            refuseUnknownOptions(request);
            const registered = await monitor.register({
                type: request.getType(),
                name: request.getName(),
                custom: request.getCustom(),
                parent: request.getParent(),
                provider: request.getProvider(),
                inputs: object(request.getObject()),
                dependencies: request.getDependenciesList(),
                ignoreChanges: request.getIgnorechangesList(),
                replaceOnChanges: request.getReplaceonchangesList(),
                additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
                deletedWith: request.getDeletedwith(),
                deleteBeforeReplace: request.getDeletebeforereplacedefined() ? request.getDeletebeforereplace() : undefined,
                retainOnDelete: request.getRetainondelete(),
                protect: request.getProtect(),
            });
            const response = new resource.RegisterResourceResponse();
            response.setUrn(registered.urn);
            response.setId(registered.id);
            response.setObject(struct.Struct.fromJavaScript(registered.outputs));
            return response;
        }),
        registerResourceOutputs: handler(async request => {
            await monitor.registerOutputs(request.getUrn(), object(request.getOutputs()));
            return new empty.Empty();
        }),
        readResource: handler(async request => {
            if (request.getAdditionalsecretoutputsList().length > 0)
                throw new Error(
                    `${request.getType()} ${request.getName()}: secrets of what is only read are not known to the lab's engine`,
                );
            const found = await monitor.read(
                request.getType(),
                request.getName(),
                request.getId(),
                request.getParent(),
                request.getProvider(),
            );
            const response = new resource.ReadResourceResponse();
            response.setUrn(found.urn);
            response.setProperties(struct.Struct.fromJavaScript(found.outputs));
            return response;
        }),
        invoke: handler(async request => {
            const response = new provider.InvokeResponse();
            response.setReturn(
                struct.Struct.fromJavaScript(await monitor.invoke(request.getTok(), object(request.getArgs()), request.getProvider())),
            );
            return response;
        }),
        signalAndWaitForShutdown: handler(async () => new empty.Empty()),
    };
}

function engineService(monitor: Monitor): Record<string, Handler> {
    let root = "";
    return {
        log: handler(async request => {
            const severity = (["debug", "info", "warning", "error"] as const)[request.getSeverity()];
            if (!request.getEphemeral() && severity !== "debug") monitor.log(severity, request.getMessage(), request.getUrn());
            return new empty.Empty();
        }),
        getRootResource: handler(async () => {
            const response = new engine.GetRootResourceResponse();
            response.setUrn(root);
            return response;
        }),
        setRootResource: handler(async request => {
            root = request.getUrn();
            return new engine.SetRootResourceResponse();
        }),
    };
}
