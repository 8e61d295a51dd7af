import * as pulumi from "@pulumi/pulumi";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks";
import * as state from "@pulumi/pulumi/runtime/state";
import { answerTransforms } from "./transforms";
import { secretSignature, signature, unknownValue } from "./wire";

/** A resource that the program asked the engine to register or read. */
export interface Recorded {
    type: string;
    name: string;
    urn: string;
    parent: string;
    custom: boolean;
    /** Inputs. A secret is `secret(value)`, and a value that a preview does not know is `unknown`. */
    inputs: any;
    /** URNs. */
    dependencies: string[];
    /** URNs by input. */
    propertyDependencies: Record<string, string[]>;
    additionalSecretOutputs: string[];
    ignoreChanges: string[];
    replaceOnChanges: string[];
    /** URN, or empty. */
    deletedWith: string;
    deleteBeforeReplace: boolean;
    retainOnDelete: boolean;
    protect: boolean;
    /** Provider reference `<urn>::<id>`, or empty for the default one. */
    provider: string;
    /** The id, for a resource that is only read. */
    read?: string;
}

export interface RecordOptions {
    /** Records a preview, in which outputs that `mock` does not give are unknown. */
    preview?: boolean;
    /** Reports whether a preview creates a resource, whose id is then unknown. */
    isNew?: (args: pulumi.runtime.MockResourceArgs) => boolean;
    /** State of a new resource beside its inputs. */
    mock?: (args: pulumi.runtime.MockResourceArgs) => Record<string, any>;
    /** Result of an invoke. */
    call?: (args: pulumi.runtime.MockCallArgs) => Record<string, any>;
}

export interface Recording {
    /** Resources in the order of registration, without the stack. */
    resources: Recorded[];
    /** Outputs of the built resource. A secret is `secret(value)`, and an unknown value is `unknown`. */
    outputs: Record<string, any>;
    /** Returns the only resource of a type whose name ends with `nameEnd`. */
    one: (type: string, nameEnd?: string) => Recorded;
}

export const secret = (value: unknown) => ({ secret: value });
export const unknown = "(unknown)";

/** Builds a resource against mocks, and returns the requests to the engine. */
export async function record(build: () => pulumi.Resource, options: RecordOptions = {}): Promise<Recording> {
    const requests: { request: any; read?: string; urn: () => string }[] = [];
    const prototype = MockMonitor.prototype as any;
    const { registerResource, readResource } = prototype;
    const runtime = pulumi.runtime as any;
    const { getEngine } = runtime;
    // The SDK takes a stack trace for each promise, and jest maps every frame of it. That took half of the time of these tests.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 1;
    prototype.registerResource = async function (request: any, callback: any) {
        let urn = "";
        requests.push({ request, urn: () => urn });
        try {
            await answerTransforms(request);
        } catch (error) {
            return callback(error);
        }
        return registerResource.call(
            this,
            request,
            (error: unknown, response: any) => ((urn = response?.getUrn() ?? ""), callback(error, response)),
        );
    };
    prototype.readResource = function (request: any, callback: any) {
        let urn = "";
        requests.push({ request, read: request.getId(), urn: () => urn });
        return readResource.call(
            this,
            request,
            (error: unknown, response: any) => ((urn = response?.getUrn() ?? ""), callback(error, response)),
        );
    };
    try {
        await pulumi.runtime.setMocks(
            {
                newResource: args => {
                    const id = options.isNew?.(args) ? "" : args.id || `${args.name}-id`;
                    return { id: args.custom ? id : undefined, state: { ...args.inputs, ...options.mock?.(args) } };
                },
                call: args => options.call?.(args) ?? {},
            },
            "project",
            "stack",
            options.preview ?? false,
            "organization",
        );
        // Mocks refuse transforms; the recorder answers them as the engine does.
        (state as any).getStore().supportsTransforms = true;
        runtime.getEngine = () => ({});
        let built: pulumi.Resource | undefined;
        let refusal: Error | undefined;
        await pulumi.runtime.runInPulumiStack(async () => {
            try {
                built = build();
            } catch (error) {
                // The original error holds the resource, and the stack would reject promises with it that nobody awaits.
                refusal = new Error((error as Error).message);
            }
            return {};
        });
        await pulumi.runtime.disconnect();
        if (refusal) throw refusal;
        const resources = requests.map(recorded).filter(({ type }) => type !== "pulumi:pulumi:Stack");
        return {
            resources,
            outputs: await outputsOf(built!),
            one: (type, nameEnd = "") => {
                const found = resources.filter(resource => resource.type === type && resource.name.endsWith(nameEnd));
                if (found.length !== 1) throw new Error(`expected one ${type} ${nameEnd}, found ${found.length}`);
                return found[0];
            },
        };
    } finally {
        Object.assign(prototype, { registerResource, readResource });
        Object.assign(runtime, { getEngine });
        Error.stackTraceLimit = stackTraceLimit;
    }
}

function recorded({ request, read, urn }: { request: any; read?: string; urn: () => string }): Recorded {
    const propertyDependencies: [string, string[]][] = [];
    request.getPropertydependenciesMap?.().forEach((value: any, key: string) => propertyDependencies.push([key, value.getUrnsList()]));
    return {
        type: request.getType(),
        name: request.getName(),
        urn: urn(),
        parent: request.getParent(),
        custom: read !== undefined || request.getCustom(),
        inputs: readable((read === undefined ? request.getObject() : request.getProperties())?.toJavaScript() ?? {}),
        dependencies: request.getDependenciesList(),
        propertyDependencies: Object.fromEntries(propertyDependencies),
        additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
        ignoreChanges: request.getIgnorechangesList?.() ?? [],
        replaceOnChanges: request.getReplaceonchangesList?.() ?? [],
        deletedWith: request.getDeletedwith?.() ?? "",
        deleteBeforeReplace: request.getDeletebeforereplace?.() ?? false,
        retainOnDelete: request.getRetainondelete?.() ?? false,
        protect: request.getProtect?.() ?? false,
        provider: request.getProvider(),
        ...(read === undefined ? {} : { read }),
    };
}

/** Replaces the engine's markers by a form that tests can write down. */
function readable(value: any): any {
    if (value === unknownValue) return unknown;
    if (Array.isArray(value)) return value.map(readable);
    if (value === null || typeof value !== "object") return value;
    if (value[signature] === secretSignature) return secret(readable(value.value));
    return Object.fromEntries(Object.entries(value).map(([key, below]) => [key, readable(below)]));
}

async function outputsOf(resource: pulumi.Resource): Promise<Record<string, any>> {
    const outputs = Object.entries(resource).filter(([name, value]) => pulumi.Output.isInstance(value) && !["urn", "id"].includes(name));
    const settled = outputs.map(async ([name, output]: [string, any]) => {
        const value = (await output.isKnown) ? await output.promise() : unknown;
        return [name, (await output.isSecret) ? secret(value) : value];
    });
    return Object.fromEntries(await Promise.all(settled));
}
