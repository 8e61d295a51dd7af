import { ChildProcess } from "child_process";
import { randomUUID } from "crypto";
import { Monitor, Program, Registered, Registration, runProgram } from "./language";
import { Call, Diff, InitError, Provider } from "./provider";
import { dynamicProvider } from "./providers/dynamic";
import { ResourceState, Stack, StateFile } from "./state";
import { changedKeys, hasUnknown, markSecrets, plain, Properties } from "./values";

export type Operation = "create" | "update" | "replace" | "delete" | "same" | "read";

export interface Step {
    op: Operation;
    urn: string;
    type: string;
    name: string;
    /** Inputs that differ. */
    changed: string[];
    before?: Properties;
    after?: Properties;
}

export interface Result {
    steps: Step[];
    registrations: Registration[];
    diagnostics: string[];
    outputs: Properties;
    failed: boolean;
}

export interface Options {
    program: Program;
    stateFile: StateFile;
    onStep?: (step: Step, phase: "begin" | "end" | "failed", seconds: number) => void;
    onLog?: (line: string, urn: string) => void;
    /** Ends the deployment after the step for which it says so, as if the process had been killed there. */
    stopAfter?: (step: Step) => boolean;
}

/* eslint-disable @typescript-eslint/no-require-imports -- loaded when first used: some are slow to load, and most runs need few */
const providers: Record<string, () => Provider> = {
    command: () => (require("./providers/command") as typeof import("./providers/command")).command,
    kubernetes: () => (require("./providers/kubernetes") as typeof import("./providers/kubernetes")).kubernetes,
    random: () => (require("./providers/random") as typeof import("./providers/random")).random,
    tls: () => (require("./providers/tls") as typeof import("./providers/tls")).tls,
};
/* eslint-enable @typescript-eslint/no-require-imports */

/** Refuses what comes after a failure or a stop. */
class IsOver extends Error {}

const isProvider = (type: string) => type.startsWith("pulumi:providers:");

/** One preview, update or destruction of a stack. */
export class Deployment implements Monitor {
    private readonly stack: Stack;
    private readonly old = new Map<string, ResourceState>();
    private readonly seen = new Set<string>();
    private readonly result: Result = { steps: [], registrations: [], diagnostics: [], outputs: {}, failed: false };
    private readonly running = new Set<Promise<unknown>>();
    private readonly stopping = new AbortController();
    private readonly dynamic: Provider;
    private program?: ChildProcess;

    constructor(private readonly options: Options) {
        this.stack = options.stateFile.read();
        for (const state of this.stack.resources) if (!state.replaced) this.old.set(state.urn, state);
        this.dynamic = dynamicProvider(options.program.folder);
        if (this.stack.resources.some(state => state.type.startsWith("pulumi-nodejs:"))) this.dynamic.warm?.();
    }

    /** Runs the program, then deletes what it no longer registers. */
    async deploy(): Promise<Result> {
        for (const operation of this.stack.pending)
            this.log("warning", `the last run was ended in the middle of ${operation}; it is done again`, "");
        this.stack.pending = [];
        try {
            const code = await runProgram(this.options.program, this, child => (this.program = child));
            // A failure or Ctrl-C ends the program, but not the steps that it has begun: what they do is recorded too.
            await Promise.allSettled(this.running);
            if (code !== 0 && !this.result.failed) this.fail(`the program ended with exit code ${code}`);
            if (!this.result.failed) await this.deleteUnregistered();
        } finally {
            this.dynamic.close?.();
        }
        return this.result;
    }

    /** Deletes everything, without running the program. */
    async destroy(): Promise<Result> {
        try {
            await this.deleteUnregistered();
            if (!this.result.failed && !this.options.program.preview) {
                this.stack.outputs = {};
                this.save();
            }
        } finally {
            this.dynamic.close?.();
        }
        return this.result;
    }

    /** Ends what is running, as Ctrl-C does. */
    stop(): void {
        this.result.failed = true;
        this.program?.kill("SIGKILL");
        this.stopping.abort();
    }

    register(request: Registration): Promise<Registered> {
        const urn = this.urnOf(request);
        return this.attempt(request.name, urn, async () => {
            if (this.seen.has(urn)) throw new Error(`two resources have the URN ${urn}`);
            this.seen.add(urn);
            this.result.registrations.push(request);
            if (!request.custom) return this.registerComponent(urn, request);
            const { provider, call } = await this.providerFor(urn, request.type, request.provider);
            return this.registerCustom(urn, request, provider, call);
        });
    }

    async registerOutputs(urn: string, outputs: Properties): Promise<void> {
        if (urn.split("::")[2] === "pulumi:pulumi:Stack") this.result.outputs = outputs;
        const state = this.stack.resources.find(resource => resource.urn === urn && !resource.replaced);
        if (!state || this.preview) return;
        state.outputs = outputs;
        if (state.type === "pulumi:pulumi:Stack") this.stack.outputs = outputs;
        this.save();
    }

    read(type: string, name: string, id: string, parent: string, reference: string): Promise<{ urn: string; outputs: Properties }> {
        const urn = this.urnOf({ type, name, parent });
        return this.attempt(name, urn, async () => {
            const { provider, call } = await this.providerFor(urn, type, reference);
            if (hasUnknown(call.config)) return { urn, outputs: {} };
            if (!provider.read) throw new Error(`${type} cannot be read by this engine`);
            const outputs = await provider.read(call, id);
            this.result.steps.push({ op: "read", urn, type, name, changed: [] });
            return { urn, outputs };
        });
    }

    invoke(token: string, args: Properties, reference: string): Promise<Properties> {
        return this.attempt("", "", async () => {
            const { provider, call } = await this.providerFor("", token, reference);
            if (!provider.invoke) throw new Error(`the function ${token} is not known to this engine`);
            return provider.invoke(call, token, plain(args));
        });
    }

    log(severity: "debug" | "info" | "warning" | "error", message: string, urn: string): void {
        // After a failed step the program only repeats that a resource could not be registered.
        if (severity === "error" && this.result.failed) return;
        this.report(severity, message, urn);
    }

    /** Does what the program asks, and keeps account of it until it has ended. */
    private async attempt<T>(name: string, urn: string, work: () => Promise<T>): Promise<T> {
        this.refuseWhenOver();
        const running = work().catch((error: Error) => {
            if (!(error instanceof IsOver)) this.fail(name ? `${name}: ${error.message}` : error.message, urn);
            throw error;
        });
        this.running.add(running);
        try {
            return await running;
        } finally {
            this.running.delete(running);
        }
    }

    private report(severity: string, message: string, urn: string): void {
        if (severity === "error") this.result.failed = true;
        this.result.diagnostics.push(`${severity}: ${message}`);
        this.options.onLog?.(`${severity}: ${message}`, urn);
    }

    private async registerComponent(urn: string, request: Registration): Promise<Registered> {
        const before = this.old.get(urn);
        const step: Step = { op: before ? "same" : "create", urn, type: request.type, name: request.name, changed: [] };
        this.result.steps.push(step);
        this.options.onStep?.(step, "end", 0);
        this.keep({ ...this.stateOf(urn, request), id: "", outputs: before?.outputs ?? {} });
        return { urn, id: "", outputs: {} };
    }

    private async registerCustom(urn: string, request: Registration, provider: Provider, call: Call): Promise<Registered> {
        const before = this.old.get(urn);
        const ignored = before ? Object.fromEntries(request.ignoreChanges.map(key => [key, before.inputs[key]])) : {};
        const wanted = Object.fromEntries(Object.entries({ ...request.inputs, ...ignored }).filter(([, value]) => value !== undefined));
        const checked =
            (await provider.check?.(call, before && plain<Properties>(before.inputs), plain<Properties>(wanted))) ??
            plain<Properties>(wanted);
        const inputs = markSecrets(checked, wanted, []);
        const marked = (outputs: Properties) => markSecrets(outputs, inputs, request.additionalSecretOutputs);
        const state = { ...this.stateOf(urn, request), inputs };

        if (!before) return this.create(call, provider, "create", state, marked, []);
        const changed = changedKeys(before.inputs, inputs);
        const olds = { inputs: plain(before.inputs), outputs: plain(before.outputs) };
        const diff: Diff = provider.diff
            ? await provider.diff(call, before.id, olds, plain(inputs))
            : { changed: changed.length > 0, replace: [] };
        const replace = [
            ...diff.replace,
            ...changed.filter(key => request.replaceOnChanges.some(path => path.split(/[.[]/)[0] === key)),
            ...(this.replacing.has(request.deletedWith) ? ["deletedWith"] : []),
        ];
        if (replace.length > 0) {
            const deleteFirst = request.deleteBeforeReplace ?? diff.deleteBeforeReplace ?? false;
            return this.replace(call, provider, before, state, marked, [...new Set(replace)], deleteFirst);
        }
        if (!diff.changed && !before.initError) {
            this.note({ op: "same", urn, type: request.type, name: request.name, changed: [] });
            this.keep({ ...state, id: before.id, outputs: marked(before.outputs) });
            return { urn, id: before.id, outputs: marked(before.outputs) };
        }
        const step: Step = { op: "update", urn, type: request.type, name: request.name, changed, before: before.inputs, after: inputs };
        if (this.preview) {
            this.note(step);
            const known = provider.previewUpdate?.(olds, plain(inputs)) ?? plain<Properties>(inputs);
            return { urn, id: before.id, outputs: marked(known) };
        }
        const outputs = await this.run(step, async () => {
            try {
                return marked((await provider.update?.(call, before.id, olds, plain(inputs))) ?? plain<Properties>(inputs));
            } catch (error) {
                if (error instanceof InitError)
                    this.keep({ ...state, id: before.id, outputs: marked(error.outputs), initError: error.message });
                throw error;
            }
        });
        this.keep({ ...state, id: before.id, outputs });
        this.ended(step);
        return { urn, id: before.id, outputs };
    }

    private async create(
        call: Call,
        provider: Provider,
        op: Operation,
        state: ResourceState,
        marked: (outputs: Properties) => Properties,
        changed: string[],
        before?: Properties,
    ): Promise<Registered> {
        const { urn, inputs } = state;
        const step: Step = { op, urn, type: state.type, name: nameOf(urn), changed, before, after: inputs };
        if (this.preview) {
            this.note(step);
            return { urn, id: "", outputs: marked(plain(inputs)) };
        }
        const { id, outputs } = await this.run(step, async () => {
            try {
                return await provider.create(call, plain(inputs));
            } catch (error) {
                // What was made must not be forgotten although it does not work yet.
                if (error instanceof InitError)
                    this.keep({ ...state, id: error.id, outputs: marked(error.outputs), initError: error.message });
                throw error;
            }
        });
        this.keep({ ...state, id, outputs: marked(outputs) });
        this.ended(step);
        return { urn, id, outputs: marked(outputs) };
    }

    private async replace(
        call: Call,
        provider: Provider,
        before: ResourceState,
        state: ResourceState,
        marked: (outputs: Properties) => Properties,
        keys: string[],
        deleteFirst: boolean,
    ): Promise<Registered> {
        this.refuseWhenOver();
        if (before.protect) throw new Error("the resource is protected and would be replaced");
        this.replacing.add(before.urn);
        if (!this.preview) {
            if (deleteFirst) {
                await this.remove(before);
            } else {
                before.replaced = true;
                this.save();
            }
        }
        return this.create(call, provider, "replace", state, marked, keys, before.inputs);
    }

    private async deleteUnregistered(): Promise<void> {
        const doomed = this.stack.resources.filter(state => state.replaced || !this.seen.has(state.urn)).reverse();
        const urns = new Set(doomed.map(state => state.urn));
        for (const state of doomed) {
            await this.attempt(nameOf(state.urn), state.urn, async () => {
                if (state.protect && !state.replaced) throw new Error("the resource is protected and would be deleted");
                await this.remove(state, urns.has(state.deletedWith) || state.retainOnDelete);
            }).catch(() => undefined);
            if (this.result.failed) return;
        }
    }

    /** Deletes a resource; `forget` only drops it from the state, because it goes with another or is to be kept. */
    private async remove(state: ResourceState, forget = false): Promise<void> {
        const step: Step = { op: "delete", urn: state.urn, type: state.type, name: nameOf(state.urn), changed: [] };
        if (this.preview) return this.note(step);
        const { provider, call } =
            state.custom && !forget
                ? await this.providerFor(state.urn, state.type, state.provider)
                : { provider: undefined, call: undefined };
        await this.run(step, async () =>
            provider?.delete?.(call!, state.id, { inputs: plain(state.inputs), outputs: plain(state.outputs) }),
        );
        this.stack.resources = this.stack.resources.filter(other => other !== state);
        if (this.old.get(state.urn) === state) this.old.delete(state.urn);
        this.save();
        this.ended(step);
    }

    /** Runs one step with its begin and end noted, so that a killed process is recognised by the next run. */
    private async run<T>(step: Step, work: () => Promise<T>): Promise<T> {
        this.refuseWhenOver();
        const began = Date.now();
        const operation = `${step.op} ${step.name}`;
        this.stack.pending.push(operation);
        this.save();
        this.options.onStep?.(step, "begin", 0);
        const over = () => void (this.stack.pending = this.stack.pending.filter(other => other !== operation));
        try {
            const value = await work();
            over();
            this.result.steps.push(step);
            this.options.onStep?.(step, "end", (Date.now() - began) / 1000);
            return value;
        } catch (error) {
            this.options.onStep?.(step, "failed", (Date.now() - began) / 1000);
            over();
            // A step that failed has ended: only a kill leaves it pending in the file.
            this.save();
            throw error;
        }
    }

    private ended(step: Step): void {
        if (this.options.stopAfter?.(step)) this.stop();
        this.refuseWhenOver();
    }

    private note(step: Step): void {
        this.result.steps.push(step);
        this.options.onStep?.(step, "end", 0);
    }

    private keep(state: ResourceState): void {
        if (this.preview) return;
        const index = this.stack.resources.findIndex(other => other.urn === state.urn && !other.replaced);
        if (index >= 0) this.stack.resources.splice(index, 1);
        this.stack.resources.push(state);
        this.save();
    }

    private save(): void {
        if (!this.preview) this.options.stateFile.write(this.stack);
    }

    private get preview(): boolean {
        return this.options.program.preview;
    }

    private fail(message: string, urn = ""): void {
        const first = !this.result.failed;
        this.report("error", message, urn);
        // Nothing more can begin: a program that does not end by itself is ended when the steps in flight are over.
        if (first) void Promise.allSettled(this.running).then(() => setTimeout(() => this.program?.kill(), 500));
    }

    private refuseWhenOver(): void {
        if (this.result.failed) throw new IsOver("nothing more is begun: the deployment has failed or was stopped");
    }

    private urnOf({ type, name, parent }: { type: string; name: string; parent: string }): string {
        const parentTypes = parent && !parent.split("::")[2].endsWith("pulumi:pulumi:Stack") ? `${parent.split("::")[2]}$` : "";
        return `urn:pulumi:${this.options.program.stack}::${this.options.program.project}::${parentTypes}${type}::${name}`;
    }

    private stateOf(urn: string, request: Registration): ResourceState {
        return {
            urn,
            type: request.type,
            custom: request.custom,
            id: "",
            inputs: request.inputs,
            outputs: {},
            parent: request.parent,
            provider: request.provider,
            dependencies: request.dependencies,
            deletedWith: request.deletedWith,
            retainOnDelete: request.retainOnDelete,
            protect: request.protect,
        };
    }

    private async providerFor(urn: string, type: string, reference: string): Promise<{ provider: Provider; call: Call }> {
        const kind = type.split(":")[0];
        const provider = isProvider(type) ? providerResource : kind === "pulumi-nodejs" ? this.dynamic : providers[kind]?.();
        if (!provider) throw new Error(`resources of type ${type} are not known to the lab's engine: use the Pulumi CLI`);
        const providerUrn = reference.slice(0, reference.lastIndexOf("::"));
        const config: Properties = reference
            ? (this.providerInputs.get(providerUrn) ?? plain<Properties>(this.old.get(providerUrn)?.inputs ?? {}))
            : {};
        const call: Call = {
            urn,
            type,
            config,
            say: line => this.options.onLog?.(line, urn),
            stop: this.stopping.signal,
        };
        return {
            provider: isProvider(type)
                ? { ...providerResource, check: async (_call, _before, inputs) => (this.providerInputs.set(urn, inputs), inputs) }
                : provider,
            call,
        };
    }

    private readonly providerInputs = new Map<string, Properties>();
    private readonly replacing = new Set<string>();
}

/** An explicit provider is a resource of its own: its inputs are what its resources are called with. */
const providerResource: Provider = {
    create: async (_call, inputs) => ({ id: randomUUID(), outputs: inputs }),
    update: async (_call, _id, _before, inputs) => inputs,
};

function nameOf(urn: string): string {
    return urn.split("::")[3];
}
