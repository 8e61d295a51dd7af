import { spawn } from "child_process";
import { randomBytes } from "crypto";
import type { Client } from "ssh2";
import { Call, Provider } from "../provider";
import { changedKeys, Properties } from "../values";

interface Output {
    stdout: string;
    stderr: string;
}

/** `@pulumi/command` 1.2: local.Command, remote.Command and local.run, with the contract of the real provider. */
export const command: Provider = {
    async diff(_call, _id, before, inputs) {
        const changed = changedKeys(before.inputs, inputs);
        return { changed: changed.length > 0, replace: changed.filter(key => key === "triggers") };
    },

    async create(call, inputs) {
        const output = await execute(call, inputs, inputs.create);
        return { id: `${call.urn.split("::").pop()}${randomBytes(4).toString("hex")}`, outputs: { ...inputs, ...output } };
    },

    async update(call, _id, before, inputs) {
        return { ...inputs, ...(await execute(call, inputs, inputs.update ?? inputs.create, before.outputs)) };
    },

    // With the inputs of the last run: the program that deletes is the one that created.
    async delete(call, _id, before) {
        await execute(call, before.inputs, before.inputs.delete, before.outputs);
    },

    async invoke(call, token, args) {
        if (token !== "command:local:run") throw new Error(`the command provider of the lab does not know the function ${token}`);
        return { ...args, ...(await runLocal(call, args, args.command, {})) };
    },
};

async function execute(call: Call, inputs: Properties, text: string | undefined, previous?: Properties): Promise<Output> {
    if (text === undefined) return { stdout: previous?.stdout ?? "", stderr: previous?.stderr ?? "" };
    const passOn = previous && inputs.addPreviousOutputInEnv !== false;
    const env: Record<string, string> = passOn
        ? { PULUMI_COMMAND_STDOUT: previous.stdout ?? "", PULUMI_COMMAND_STDERR: previous.stderr ?? "" }
        : {};
    return call.type === "command:remote:Command" ? runRemote(call, inputs, text) : runLocal(call, inputs, text, env);
}

function runLocal(call: Call, inputs: Properties, text: string, env: Record<string, string>): Promise<Output> {
    return new Promise((resolve, reject) => {
        const [shell, ...flags] = (inputs.interpreter as string[] | undefined) ?? ["/bin/sh", "-c"];
        const child = spawn(shell, [...flags, text], {
            cwd: inputs.dir,
            env: { ...process.env, ...env, ...inputs.environment },
            stdio: ["pipe", "pipe", "pipe"],
            detached: true,
        });
        const end = () => process.kill(-child.pid!, "SIGTERM");
        call.stop.addEventListener("abort", end);
        child.on("exit", () => call.stop.removeEventListener("abort", end));
        const streams = collect(call, inputs);
        child.stdout.on("data", streams.stdout);
        child.stderr.on("data", streams.stderr);
        child.stdin.on("error", () => undefined);
        child.stdin.end(inputs.stdin ?? "");
        child.on("error", reject);
        child.on("close", (code, signal) =>
            streams.end(code === 0 ? undefined : `exit ${signal ?? `status ${code}`}`, text).then(resolve, reject),
        );
    });
}

async function runRemote(call: Call, inputs: Properties, text: string): Promise<Output> {
    const connection = inputs.connection as Properties;
    const client = await connect(connection);
    try {
        return await new Promise<Output>((resolve, reject) => {
            client.on("error", reject);
            client.exec(text, (error, channel) => {
                if (error) return reject(error);
                const streams = collect(call, inputs);
                let code: number | null = null;
                channel.on("data", streams.stdout);
                channel.stderr.on("data", streams.stderr);
                channel.on("exit", (status: number | null) => (code = status));
                channel.on("close", () =>
                    streams.end(code === 0 ? undefined : `Process exited with status ${code ?? "unknown"}`, text).then(resolve, reject),
                );
                channel.end(inputs.stdin ?? "");
            });
        });
    } finally {
        client.end();
    }
}

async function connect(connection: Properties): Promise<Client> {
    const attempts = (connection.dialErrorLimit ?? 10) + 1;
    for (let attempt = 1; ; attempt++) {
        try {
            return await dial(connection);
        } catch (error) {
            const fatal = /host key|authentication/i.test((error as Error).message);
            if (fatal || attempt >= attempts) {
                throw new Error(
                    `after ${attempt} failed attempts: ssh: ${connection.user}@${connection.host}:${connection.port}: ${(error as Error).message}`,
                );
            }
            await new Promise(resolve => setTimeout(resolve, Math.min(5000, 100 * 1.5 ** attempt)));
        }
    }
}

async function dial(connection: Properties): Promise<Client> {
    const { Client } = await import("ssh2");
    return new Promise((resolve, reject) => {
        const [type, key] = ((connection.hostKey as string | undefined) ?? "").split(" ");
        const client = new Client();
        let wrongKey = false;
        client.on("ready", () => resolve(client));
        client.on("error", error =>
            reject(wrongKey ? new Error("host key mismatch: the host shows another key than the one given") : error),
        );
        client.connect({
            host: connection.host,
            port: connection.port,
            username: connection.user,
            privateKey: connection.privateKey,
            readyTimeout: (connection.perDialTimeout ?? 15) * 1000,
            algorithms: type ? { serverHostKey: [type as "ssh-ed25519"] } : undefined,
            hostVerifier: (shown: Buffer) => {
                wrongKey = key !== undefined && shown.toString("base64") !== key;
                return !wrongKey;
            },
        });
    });
}

/** Keeps both streams, shows their lines as `logging` says, and ends with them or with the error text of the real provider. */
function collect(call: Call, inputs: Properties) {
    const texts = { stdout: "", stderr: "" };
    let both = "";
    const shown = (name: "stdout" | "stderr") => {
        const logging = inputs.logging ?? "stdoutAndStderr";
        return logging === name || logging === "stdoutAndStderr";
    };
    const reader = (name: "stdout" | "stderr") => {
        let rest = "";
        return (chunk: Buffer) => {
            const text = chunk.toString("utf8");
            texts[name] += text;
            both += text;
            const lines = (rest + text).split("\n");
            rest = lines.pop()!;
            if (shown(name)) lines.forEach(line => call.say(line));
        };
    };
    return {
        stdout: reader("stdout"),
        stderr: reader("stderr"),
        end: async (problem: string | undefined, text: string): Promise<Output> => {
            if (problem) throw new Error(`${problem}: running "${text}":\n${both}`);
            return { stdout: texts.stdout.replace(/\n$/, ""), stderr: texts.stderr.replace(/\n$/, "") };
        },
    };
}
