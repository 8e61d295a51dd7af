import { execFileSync } from "child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "fs";
import { isIP } from "net";
import { tmpdir } from "os";
import { join } from "path";
import { adminKubeconfig, unpackState } from "../../../components/cluster/rke/state";
import { HostName, repository } from "../../../lab/inventory";
import { Lab } from "../../../lab/lab";
import { run, until } from "../../../lab/process";
import { configOf, Finished, RunOptions, Stack } from "../../../lab/pulumi";
import { signature } from "../../component/wire";
import { commandsAt, Place } from "../../pages";

/** A change of the configuration of Pulumi.dev.yaml, below `pulumi-rancher-ha:`, for one run. */
export type Edit = (config: Config) => void;
interface Config {
    hostname: string;
    ssh: any;
    cluster: any;
    rancher: any;
    loadBalancer: any;
}

export interface MainRunOptions extends RunOptions {
    flags?: string[];
    edit?: Edit;
}

export const nodes = ["node1", "node2", "node3"] as const satisfies HostName[];
export const hosts = ["lb1", ...nodes] as const satisfies HostName[];

/** The stack of Pulumi.dev.yaml in the lab of a test. */
export class MainStack {
    /** The whole output of the runs. It is searched for secrets. */
    readonly printed: string[] = [];
    readonly stack: Stack;
    private readonly kubeconfigFile: string;
    private tools = "";

    private constructor(
        readonly lab: Lab,
        private readonly base: Edit,
    ) {
        this.stack = new Stack(lab);
        this.kubeconfigFile = join(lab.folder, "kubeconfig");
    }

    /** Starts the stack's hosts anew, or only those that a test needs. `base` changes the configuration of every run. */
    static async start(lab: Lab, names: HostName[] = [...hosts], base: Edit = () => undefined): Promise<MainStack> {
        const started = new MainStack(lab, base);
        started.tools = await lab.tools();
        await lab.start(...names);
        return started;
    }

    preview(options: MainRunOptions = {}): Promise<Finished> {
        return this.kept(options, this.stack.preview);
    }

    /** Runs an update as a pipeline does, without a preview before it. */
    up(options: MainRunOptions = {}): Promise<Finished> {
        return this.kept(options, this.stack.up);
    }

    /** Runs an update as a person does, with its preview. */
    upWithPreview(options: MainRunOptions = {}): Promise<Finished> {
        return this.kept(options, (flags = [], more) => this.stack.run("up", ["--yes", ...flags], more));
    }

    destroy(options: MainRunOptions = {}): Promise<Finished> {
        this.forgetKubeconfig();
        return this.kept(options, this.stack.destroy);
    }

    /** Runs `destroy` as a person does, with its preview. A protected resource ends the run in that preview. */
    destroyWithPreview(options: MainRunOptions = {}): Promise<Finished> {
        return this.kept(options, (flags = [], more) => this.stack.run("destroy", ["--yes", ...flags], more));
    }

    /** Runs an update, and ends it by SIGKILL after a matching line and `moment`. */
    async killedAfter(line: RegExp, moment: () => Promise<unknown>, options: MainRunOptions): Promise<Finished> {
        let killing: Promise<unknown> | undefined;
        const finished = await this.up({
            ...options,
            onLine: (said, { kill }) => {
                if (line.test(said)) killing ??= moment().then(kill);
            },
        });
        if (!killing) throw new Error(`expected a line like ${line}, found:\n${finished.output.slice(-3000)}`);
        await killing;
        return finished;
    }

    /** Runs an update, and ends it by SIGKILL 3 s after a line of RKE. Waits until RKE has ended, and what it left in `temporary` is gone. */
    async killedInsideRke(line: RegExp, temporary: string, edit?: Edit): Promise<Finished> {
        const moment = () => new Promise(resolve => setTimeout(resolve, 3000));
        const finished = await this.killedAfter(line, moment, { edit, env: { TMPDIR: temporary } });
        const left = () => readdirSync(temporary).filter(name => name.startsWith("rancher-ha-"));
        await until("the runner to end with RKE, because nobody listens any more", 60, async () => left().length === 0);
        return finished;
    }

    /** Runs a verb, and expects success. */
    async succeeds(verb: "up" | "destroy" | "preview", options: MainRunOptions = {}): Promise<Finished> {
        const finished = await this[verb](options);
        if (finished.code !== 0) throw new Error(`${verb} ended with ${finished.code}:\n${finished.output.slice(-6000)}`);
        return finished;
    }

    /** Expects a preview to find nothing to do. */
    async isInSync(edit?: Edit): Promise<void> {
        await this.succeeds("preview", { edit, flags: ["--expect-no-changes"] });
    }

    /** Runs a verb with the configuration of this run, and keeps the output. */
    private async kept(options: MainRunOptions, verb: Stack["up"]): Promise<Finished> {
        this.configure(options.edit);
        const finished = await verb.call(this.stack, options.flags ?? [], options);
        this.printed.push(finished.output);
        return finished;
    }

    /** Writes the configuration of a run with this change. */
    configure(edit?: Edit): void {
        const config = configOf(this.lab);
        const short = Object.fromEntries(Object.entries(config).map(([key, value]) => [key.split(":")[1], value])) as unknown as Config;
        this.base(short);
        edit?.(short);
        this.stack.configure(Object.fromEntries(Object.entries(short).map(([key, value]) => [`pulumi-rancher-ha:${key}`, value])));
    }

    /** Returns a resource of the state, with its secrets decrypted. */
    async resource(name: string): Promise<any> {
        const found = (await this.stack.resources()).find(({ urn }) => urn.endsWith(`::${name}`));
        if (!found) throw new Error(`expected ${name} in the state, found nothing of that name`);
        return decrypted(found);
    }

    async names(): Promise<string[]> {
        return (await this.stack.resources()).map(({ urn }) => urn.split("::").pop());
    }

    /** Returns RKE's state with the newest PKI, as the stack keeps it. */
    async rkeState(): Promise<ReturnType<typeof unpackState>> {
        const rotations = (await this.names()).filter(name => name.startsWith("rancher-cluster-rotation-"));
        return unpackState((await this.resource(rotations.sort().pop() ?? "rancher-cluster-pki")).outputs.stdout);
    }

    /** Makes the next call of kubectl use the newest PKI. */
    forgetKubeconfig(): void {
        rmSync(this.kubeconfigFile, { force: true });
    }

    /** Returns the CA of the cluster and the CA of Rancher. */
    async authorities(): Promise<string[]> {
        const { desiredState } = await this.rkeState();
        return [desiredState.certificatesBundle["kube-ca"].certificatePEM, (await this.resource("rancher-ca-root")).outputs.certPem];
    }

    /** Runs kubectl in Rancher's namespace. */
    async kubectl(args: string[], input = ""): Promise<string> {
        // The kubeconfig is kept until a test forgets it or the cluster is destroyed. An export of the state takes a second of CPU.
        if (!existsSync(this.kubeconfigFile)) {
            const api = `https://${this.lab.host("node1").address}:6443`;
            writeFileSync(this.kubeconfigFile, adminKubeconfig(await this.rkeState(), "rancher", api), { mode: 0o600 });
        }
        const flags = [`--kubeconfig=${this.kubeconfigFile}`, "--namespace=cattle-system"];
        return execFileSync(join(this.tools, "kubectl"), [...flags, ...args], { input, encoding: "utf8" });
    }

    /** Runs shell commands of a page in the clone, as an operator does. `examples` of the page become values of the lab. */
    async asWritten(place: Place, examples: Record<string, string> = {}): Promise<string> {
        const { env } = await this.stack.environment();
        const script = Object.entries(examples)
            .reduce((text, [example, value]) => text.replaceAll(example, value), commandsAt(place))
            // An operator reads the preview, and answers yes.
            .replace(/\bpulumi (up|refresh)\b/g, "pulumi $1 --skip-preview --yes")
            .replace(/\bpulumi (cancel|destroy|state delete)\b/g, "pulumi $1 --yes");
        const temporary = mkdtempSync(join(tmpdir(), "operator-"));
        try {
            const { code, stdout, stderr } = await run("bash", ["-ec", script], {
                cwd: repository,
                env: { ...env, TMPDIR: temporary, KUBECONFIG: this.kubeconfigFile },
                tolerate: true,
            });
            this.printed.push(stdout + stderr);
            if (code !== 0) throw new Error(`${place.join(", ")} ended with ${code}:\n${script}\n${(stdout + stderr).slice(-6000)}`);
            return stdout;
        } finally {
            rmSync(temporary, { recursive: true, force: true });
        }
    }

    /** Copies the state into another backend, and returns the environment of runs there. They do not see the locks of this one. */
    otherBackend(): NodeJS.ProcessEnv {
        const folder = mkdtempSync(join(this.lab.folder, "backend-"));
        cpSync(join(this.lab.folder, "pulumi", ".pulumi"), join(folder, ".pulumi"), { recursive: true });
        return { PULUMI_BACKEND_URL: `file://${folder}?metadata=skip` };
    }

    /** Returns the path of a tool of the lab. */
    tool(name: string): string {
        return join(this.tools, name);
    }

    /** Returns the stack's texts that must never be printed: keys, passwords, kubeconfig. */
    async secrets(): Promise<string[]> {
        const { certificatesBundle } = (await this.rkeState()).desiredState;
        const keys = await Promise.all(
            ["rancher-ca-server-key", "rancher-ca-root-key"].map(async name => (await this.resource(name)).outputs.privateKeyPem),
        );
        const pems = [
            readFileSync(this.lab.privateKeyFile, "utf8"),
            ...["kube-admin", "kube-ca"].map(name => certificatesBundle[name].keyPEM),
            ...keys,
        ];
        const outputs = (await this.stack.resources()).find(({ type }) => type === "pulumi:pulumi:Stack")!.outputs;
        return [...new Set([...pems.map(pem => pem.split("\n")[2]), ...secretTexts(outputs)])];
    }

    /** Returns the versions of Kubernetes in the names of the images that run on a node, a line each. */
    imageVersions(node: HostName): Promise<string> {
        return this.lab.host(node).sh("docker inspect --format '{{.Config.Image}}' kube-apiserver kubelet | grep -o 'v1[^-]*' | sort -u");
    }

    /** Expects neither a container nor a file of a cluster on a node. */
    async isClean(node: HostName): Promise<void> {
        const files = "docker ps --all --quiet; find /etc/kubernetes /var/lib/etcd /opt/cni /etc/cni -type f 2>/dev/null";
        expect([node, await this.lab.host(node).sh(files, { tolerate: true })]).toEqual([node, ""]);
    }
}

/** Reports whether a value of an exported state is the envelope of a secret. */
const isSecret = (value: any): value is { plaintext: string } => value?.[signature] !== undefined;

/** Returns the value without the envelopes of its secrets. */
function decrypted(value: any): any {
    if (isSecret(value)) return JSON.parse(value.plaintext);
    if (Array.isArray(value)) return value.map(decrypted);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, decrypted(inner)]));
}

/**
 * Returns the texts of a secret that must never be printed. For a short secret, this is the whole text. For a long one, these are the words
 * that look like keys. Long ones are programs, kubeconfigs and PEM files. Their other words are not secret, and neither is the address in a
 * secret connection.
 */
export function secretTexts(value: any, inside = false): string[] {
    if (isSecret(value)) return secretTexts(JSON.parse(value.plaintext), true);
    if (typeof value === "string") {
        if (!inside) return [];
        if (value.includes("\n")) return (value.match(/[A-Za-z0-9+/=_-]{24,}/g) ?? []).filter(word => /\d/.test(word));
        return value.length >= 8 && !isIP(value) ? [value] : [];
    }
    if (value !== null && typeof value === "object") return Object.values(value).flatMap(item => secretTexts(item, inside));
    return [];
}

/** Returns the names of the resources that a run changes. */
export const changed = ({ steps }: Finished): string[] => steps.filter(({ op }) => !["same", "read"].includes(op)).map(({ name }) => name);
