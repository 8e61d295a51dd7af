import * as grpc from "@grpc/grpc-js";
import { ChildProcess, spawn } from "child_process";
import { dirname, join } from "path";
import { Provider } from "../provider";
import { Properties } from "../values";

/* eslint-disable @typescript-eslint/no-require-imports -- the SDK's protocol modules have no types for this use */
const struct = require("google-protobuf/google/protobuf/struct_pb.js");
const messages = require("@pulumi/pulumi/proto/provider_pb.js");
const services = require("@pulumi/pulumi/proto/provider_grpc_pb.js");

/** The SDK's own dynamic provider, in a process of its own that starts with the first dynamic resource. */
export function dynamicProvider(programFolder: string): Provider {
    let process_: ChildProcess | undefined;
    let client: Promise<any> | undefined;

    const start = () => {
        const sdk = dirname(require.resolve("@pulumi/pulumi/package.json", { paths: [programFolder] }));
        const child = spawn(process.execPath, [join(sdk, "cmd", "dynamic-provider"), "127.0.0.1:0"], {
            cwd: programFolder,
            stdio: ["ignore", "pipe", "inherit"],
        });
        process_ = child;
        return new Promise((resolve, reject) => {
            child.stdout.once("data", (port: Buffer) =>
                resolve(new services.ResourceProviderClient(`127.0.0.1:${port.toString().trim()}`, grpc.credentials.createInsecure())),
            );
            child.once("exit", code => reject(new Error(`the dynamic provider ended with ${code}`)));
        }).then(async (connected: any) => {
            const request = new messages.ConfigureRequest();
            request.setArgs(struct.Struct.fromJavaScript({}));
            await ask(connected, "configure", request);
            return connected;
        });
    };
    const ask = (connected: any, method: string, request: unknown): Promise<any> =>
        new Promise((resolve, reject) =>
            connected[method](request, (error: grpc.ServiceError | null, answer: unknown) => (error ? reject(error) : resolve(answer))),
        );
    const call = async (method: string, request: any): Promise<any> => ask(await (client ??= start()), method, request);
    const properties = (values: Properties) => struct.Struct.fromJavaScript(values);

    return {
        async check(_call, before, inputs) {
            const request = new messages.CheckRequest();
            request.setOlds(properties(before ?? {}));
            request.setNews(properties(inputs));
            return (await call("check", request)).getInputs().toJavaScript();
        },
        async diff(_call, id, before, inputs) {
            const request = new messages.DiffRequest();
            request.setId(id);
            request.setOlds(properties(before.outputs));
            request.setNews(properties(inputs));
            const answer = await call("diff", request);
            return { changed: answer.getChanges() !== messages.DiffResponse.DiffChanges.DIFF_NONE, replace: answer.getReplacesList() };
        },
        async create(_call, inputs) {
            const request = new messages.CreateRequest();
            request.setProperties(properties(inputs));
            const answer = await call("create", request);
            return { id: answer.getId(), outputs: answer.getProperties().toJavaScript() };
        },
        async update(_call, id, before, inputs) {
            const request = new messages.UpdateRequest();
            request.setId(id);
            request.setOlds(properties(before.outputs));
            request.setNews(properties(inputs));
            return (await call("update", request)).getProperties().toJavaScript();
        },
        async delete(_call, id, before) {
            const request = new messages.DeleteRequest();
            request.setId(id);
            request.setProperties(properties(before.outputs));
            await call("delete", request);
        },
        warm: () => void (client ??= start()).catch(() => undefined),
        close: () => void process_?.kill(),
    };
}
