import { createHash, randomBytes } from "crypto";
import { createReadStream, mkdirSync, readFileSync, statSync, writeFileSync } from "fs";
import { IncomingMessage } from "http";
import { request } from "https";
import { basename, join } from "path";
import { Readable } from "stream";
import { text } from "stream/consumers";
import { stringify } from "yaml";
import { issue } from "./certificates";
import { LabHost } from "./host";
import { nodeImageParts } from "./images";
import { run, until } from "./process";
import { ensureTools, toolFolder } from "./tools";

const port = 5000;
const etc = "/etc/lab-registry";
/** Media types of the image specification of the Open Container Initiative. */
const mediaType = (of: string) => `application/vnd.oci.image.${of}`;
const sha256 = (data: string | Buffer) => `sha256:${createHash("sha256").update(data).digest("hex")}`;

/** A part of an image: its descriptor in a manifest, and its content. */
interface Part {
    descriptor: { mediaType: string; digest: string; size: number };
    content: () => Readable;
}

interface Answer {
    status: number;
    location?: string;
    body: string;
}

/** The registry of the distribution project on a host of a lab. It has TLS by a private CA, and answers nobody without a login. */
export class Registry {
    readonly user = "puller";
    readonly password = randomBytes(12).toString("hex");
    /** Host and port, as a reference names them. */
    readonly url: string;
    private readonly ca = issue({ name: "CA of the registry", ca: true });
    /** Folder of files on this machine. */
    private readonly folder: string;
    private readonly helm = join(toolFolder("helm"), "helm");

    private constructor(private readonly host: LabHost) {
        this.url = `${host.address}:${port}`;
        this.folder = join(host.lab.folder, "registry");
    }

    static async start(host: LabHost): Promise<Registry> {
        await ensureTools("registry", "helm");
        const registry = new Registry(host);
        await registry.serve();
        return registry;
    }

    private async serve(): Promise<void> {
        const { host } = this;
        const { certificate, privateKey } = issue({
            name: host.name,
            by: this.ca,
            names: [`IP:${host.address}`],
            usage: "serverAuth",
        });
        const config = {
            version: 0.1,
            storage: { filesystem: { rootdirectory: "/var/lib/lab-registry" } },
            http: { addr: `:${port}`, tls: { certificate: `${etc}/tls.pem`, key: `${etc}/tls.key` } },
            auth: { htpasswd: { realm: "lab", path: `${etc}/htpasswd` } },
        };
        await host.sh(`mkdir -p ${etc}`);
        await host.write("/usr/local/bin/registry", readFileSync(join(toolFolder("registry"), "registry")), "755");
        await host.write(`${etc}/tls.pem`, certificate);
        await host.write(`${etc}/tls.key`, privateKey, "600");
        await host.write(`${etc}/config.yml`, stringify(config));
        // The registry accepts bcrypt alone. The four rounds are for speed: every request is checked.
        const hash = `print "${this.user}:", crypt(<STDIN>, '$2b$04$${randomBytes(11).toString("hex")}'), "\\n"`;
        await host.exec(["sh", "-c", `umask 077; perl -e "$0" >${etc}/htpasswd`, hash], { input: this.password });
        await host.sh(`systemd-run -q --unit=registry --setenv=OTEL_TRACES_EXPORTER=none registry serve ${etc}/config.yml`);
        await until("the registry to answer", 60, async () => (await this.ask("GET", "/v2/").catch(() => undefined))?.status === 200);
        mkdirSync(this.folder, { recursive: true, mode: 0o700 });
        writeFileSync(join(this.folder, "ca.pem"), this.ca.certificate);
    }

    /** Environment in which Go programs trust the registry's CA, and in which Helm keeps the login of `login` to itself. */
    get environment(): NodeJS.ProcessEnv {
        return { SSL_CERT_FILE: join(this.folder, "ca.pem"), HELM_CONFIG_HOME: join(this.folder, "helm") };
    }

    /** Logs in as docs/operations.md says. */
    async login(): Promise<void> {
        const flags = ["--username", this.user, "--password-stdin"];
        await this.runHelm(["registry", "login", this.url, ...flags], this.password);
    }

    /** Packs a chart and pushes it. Returns the reference of the chart. Needs `login`. */
    async pushChart(chart: string): Promise<string> {
        const packed = await this.runHelm(["package", chart, "--destination", this.folder]);
        const file = packed.trim().split(" ").pop()!;
        await this.runHelm(["push", file, `oci://${this.url}/charts`]);
        return `oci://${this.url}/charts/${basename(file).replace(/-[^-]*$/, "")}`;
    }

    private async runHelm(args: string[], input?: string): Promise<string> {
        return (await run(this.helm, args, { env: { ...process.env, ...this.environment }, input })).stdout;
    }

    /** Lets Docker of a node trust the registry's CA, as docs/operations.md says. */
    async trustedBy(node: LabHost): Promise<void> {
        await node.sh(`mkdir -p /etc/docker/certs.d/${this.url}`);
        await node.write(`/etc/docker/certs.d/${this.url}/ca.crt`, this.ca.certificate);
    }

    /** Copies images with these public names into the registry. No public registry can be reached, so each is the image of RKE's containers. */
    async mirror(images: string[]): Promise<void> {
        const { config, layer, diffId } = await nodeImageParts();
        const parts: Part[] = [
            {
                descriptor: { mediaType: mediaType("config.v1+json"), digest: sha256(config), size: config.length },
                content: () => Readable.from([config]),
            },
            {
                descriptor: { mediaType: mediaType("layer.v1.tar"), digest: diffId, size: statSync(layer).size },
                content: () => createReadStream(layer),
            },
        ];
        const [{ descriptor: configOf }, ...layers] = parts;
        const layersOf = layers.map(({ descriptor }) => descriptor);
        const type = mediaType("manifest.v1+json");
        const manifest = JSON.stringify({ schemaVersion: 2, mediaType: type, config: configOf, layers: layersOf });
        const nameOf = (image: string) => image.slice(0, image.lastIndexOf(":"));
        for (const image of images) {
            const name = nameOf(image);
            for (const part of parts) await this.store(name, part, nameOf(images[0]));
            const path = `/v2/${name}/manifests/${image.slice(name.length + 1)}`;
            this.expect(201, await this.ask("PUT", path, { type, content: Readable.from([manifest]), size: manifest.length }));
        }
    }

    /** Stores a part of an image in a repository. Takes the part from another repository that has it. */
    private async store(repository: string, { descriptor: { digest, size }, content }: Part, from: string): Promise<void> {
        const begun = await this.ask("POST", `/v2/${repository}/blobs/uploads/?mount=${digest}&from=${from}`);
        if (begun.status === 201) return;
        this.expect(202, begun);
        const place = new URL(begun.location!, `https://${this.url}`);
        place.searchParams.set("digest", digest);
        const body = { type: "application/octet-stream", content: content(), size };
        this.expect(201, await this.ask("PUT", place.pathname + place.search, body));
    }

    private expect(status: number, answer: Answer): void {
        if (answer.status !== status) throw new Error(`registry: expected ${status}, found ${answer.status}: ${answer.body}`);
    }

    private ask(method: string, path: string, body?: { type: string; content: Readable; size: number }): Promise<Answer> {
        const headers = body ? { "content-type": body.type, "content-length": body.size } : {};
        const options = { method, headers, ca: this.ca.certificate, auth: `${this.user}:${this.password}`, agent: false as const };
        return new Promise((resolve, reject) => {
            const asked = request(`https://${this.url}${path}`, options, (answer: IncomingMessage) =>
                text(answer).then(said => resolve({ status: answer.statusCode!, location: answer.headers.location, body: said }), reject),
            ).on("error", reject);
            if (body) body.content.on("error", reject).pipe(asked);
            else asked.end();
        });
    }
}
