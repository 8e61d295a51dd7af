import { spawn } from "child_process";
import { randomUUID } from "crypto";
import { closeSync, openSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { Call, InitError, Provider } from "../provider";
import { changedKeys, Properties } from "../values";

/** `@pulumi/kubernetes`: plain objects and patches through kubectl's server-side apply, releases through helm. */
export const kubernetes: Provider = {
    async diff(call, _id, before, inputs) {
        const changed = changedKeys(before.inputs, inputs);
        const identity = (values: Properties) => [values.metadata?.name, values.metadata?.namespace, values.name, values.namespace].join();
        const replace =
            !isRelease(call) && identity(before.inputs) !== identity(inputs)
                ? ["metadata"]
                : changed.filter(key => isRelease(call) && /^(name|namespace)$/.test(key));
        return { changed: changed.length > 0, replace, deleteBeforeReplace: true };
    },

    async create(call, inputs) {
        if (isRelease(call)) return { id: `${inputs.namespace}/${inputs.name}`, outputs: await runHelm(call, "install", inputs) };
        const object = objectOf(call, inputs);
        if (isPatch(call)) await mustExist(call, object);
        else if ((await kubectl(call, ["get", ...reference(object)], "", true)).code === 0) {
            throw new Error(`${reference(object).join(" ")} exists already: import it or remove it`);
        }
        return { id: idOf(object), outputs: { ...inputs, ...(await applyObject(call, object)) } };
    },

    async update(call, _id, _before, inputs) {
        if (isRelease(call)) return runHelm(call, "upgrade", inputs);
        const object = objectOf(call, inputs);
        if (isPatch(call)) await mustExist(call, object);
        return { ...inputs, ...(await applyObject(call, object)) };
    },

    async delete(call, _id, before) {
        if (isRelease(call)) {
            await helm(
                call,
                [
                    "uninstall",
                    before.inputs.name,
                    "--namespace",
                    before.inputs.namespace,
                    "--ignore-not-found",
                    "--wait",
                    "--timeout",
                    "300s",
                ],
                "",
            );
            return;
        }
        const object = objectOf(call, before.inputs);
        if (!isPatch(call)) await kubectl(call, ["delete", "--ignore-not-found", "--wait", "--timeout=300s", ...reference(object)], "");
        // Applying nothing under the same field manager gives its fields up.
        else if ((await kubectl(call, ["get", ...reference(object)], "", true)).code === 0) {
            await applyObject(call, {
                ...object,
                spec: undefined,
                metadata: { name: object.metadata.name, namespace: object.metadata.namespace, annotations: object.metadata.annotations },
            });
        }
    },

    async read(call, id) {
        const [namespace, name] = id.includes("/") ? id.split("/") : ["", id];
        const object = objectOf(call, { metadata: { name, ...(namespace && { namespace }) } });
        const found = await kubectl(call, ["get", ...reference(object), "-o", "json"], "", true);
        if (found.code !== 0) throw new Error(`resource '${id}' does not exist: ${found.stderr.trim()}`);
        return JSON.parse(found.stdout);
    },

    previewUpdate: (before, inputs) => ({ ...before.outputs, ...inputs }),
};

const isRelease = (call: Call) => call.type === "kubernetes:helm.sh/v3:Release";
const isPatch = (call: Call) => call.type.endsWith("Patch");

function objectOf(call: Call, inputs: Properties): Properties {
    const [, group, kind] = call.type.split(":");
    return { ...inputs, apiVersion: inputs.apiVersion ?? group.replace(/^core\//, ""), kind: inputs.kind ?? kind.replace(/Patch$/, "") };
}

function idOf(object: Properties): string {
    return object.metadata.namespace ? `${object.metadata.namespace}/${object.metadata.name}` : object.metadata.name;
}

function reference(object: Properties): string[] {
    return [
        object.kind.toLowerCase(),
        object.metadata.name,
        ...(object.metadata.namespace ? ["--namespace", object.metadata.namespace] : []),
    ];
}

async function mustExist(call: Call, object: Properties): Promise<void> {
    const { code, stderr } = await kubectl(call, ["get", ...reference(object)], "", true);
    if (code !== 0) throw new Error(`cannot patch ${reference(object).slice(0, 2).join(" ")}: ${stderr.trim()}`);
}

async function applyObject(call: Call, object: Properties): Promise<Properties> {
    const manager = object.metadata?.annotations?.["pulumi.com/patchFieldManager"] ?? "pulumi-kubernetes";
    const force = object.metadata?.annotations?.["pulumi.com/patchForce"] === "true" ? ["--force-conflicts"] : [];
    const applied = await kubectl(
        call,
        ["apply", "--server-side", `--field-manager=${manager}`, ...force, "-o", "json", "-f", "-"],
        JSON.stringify(object),
    );
    const live = JSON.parse(applied.stdout);
    if (isPatch(call) && object.spec) await kubectl(call, ["rollout", "status", "--timeout=300s", ...reference(object)], "");
    return { metadata: live.metadata, ...(live.status && { status: live.status }) };
}

async function runHelm(call: Call, verb: "install" | "upgrade", inputs: Properties): Promise<Properties> {
    const seconds = inputs.timeout ?? 300;
    const chart = inputs.repositoryOpts?.repo ? [inputs.chart, "--repo", inputs.repositoryOpts.repo] : [inputs.chart];
    const flags = [
        "--namespace",
        inputs.namespace,
        "--version",
        inputs.version,
        "--timeout",
        `${seconds}s`,
        "--values",
        "-",
        ...(inputs.skipAwait ? [] : ["--wait"]),
        ...(inputs.createNamespace && verb === "install" ? ["--create-namespace"] : []),
        ...(inputs.cleanupOnFail && verb === "upgrade" ? ["--cleanup-on-fail"] : []),
        ...(inputs.maxHistory && verb === "upgrade" ? ["--history-max", String(inputs.maxHistory)] : []),
        ...(inputs.atomic ? ["--atomic"] : []),
        ...(inputs.description ? ["--description", inputs.description] : []),
    ];
    const status = async () => {
        const { code, stdout } = await helm(call, ["status", inputs.name, "--namespace", inputs.namespace, "-o", "json"], "", true);
        return code === 0 ? JSON.parse(stdout) : undefined;
    };
    const outputs = (release: Properties | undefined): Properties => ({
        ...inputs,
        status: {
            name: inputs.name,
            namespace: inputs.namespace,
            revision: release?.version,
            status: release?.info?.status,
            version: inputs.version,
        },
    });
    try {
        await helm(call, [verb, inputs.name, ...chart, ...flags], JSON.stringify(inputs.values ?? {}));
    } catch (error) {
        // Helm's refusal of a release that is there already, or is being worked on, has made nothing.
        const refused = /cannot re-use a name|another operation .* is in progress/.test((error as Error).message);
        const release = refused ? undefined : await status();
        if (release)
            throw new InitError(
                `Helm release "${inputs.namespace}/${inputs.name}" was created, but failed to initialize completely: ${(error as Error).message}`,
                `${inputs.namespace}/${inputs.name}`,
                outputs(release),
            );
        throw error;
    }
    return outputs(await status());
}

interface Result {
    code: number | null;
    stdout: string;
    stderr: string;
}

const kubectl = (call: Call, args: string[], input: string, tolerate = false) => withKubeconfig(call, "kubectl", args, input, tolerate);
const helm = (call: Call, args: string[], input: string, tolerate = false) => withKubeconfig(call, "helm", args, input, tolerate);

async function withKubeconfig(call: Call, file: string, args: string[], input: string, tolerate: boolean): Promise<Result> {
    const kubeconfig = namelessFile(call.config.kubeconfig ?? "");
    try {
        const result = await new Promise<Result>((resolve, reject) => {
            const child = spawn(file, ["--kubeconfig=/dev/fd/3", ...args], {
                stdio: ["pipe", "pipe", "pipe", kubeconfig],
                signal: call.stop,
            });
            let stdout = "";
            let stderr = "";
            child.stdout!.setEncoding("utf8").on("data", chunk => (stdout += chunk));
            child.stderr!.setEncoding("utf8").on("data", chunk => (stderr += chunk));
            child.stdin!.on("error", () => undefined);
            child.stdin!.end(input);
            // One that is ended because of `signal` has ended with its last output.
            child.on("error", error => void (error.name === "AbortError" || reject(error)));
            child.on("close", code => resolve({ code, stdout, stderr }));
        });
        if (result.code !== 0 && !tolerate) throw new Error(`${file} ${args[0]}: ${result.stderr.trim()}`);
        return result;
    } finally {
        closeSync(kubeconfig);
    }
}

/** An open file without a name: it is gone with the last process that holds it, however that ends. */
function namelessFile(text: string): number {
    const path = join(tmpdir(), `lab-engine-${randomUUID()}`);
    const file = openSync(path, "wx+", 0o600);
    rmSync(path);
    writeFileSync(file, text);
    return file;
}
