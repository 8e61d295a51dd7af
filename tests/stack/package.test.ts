import { execFile } from "child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { builtinModules } from "module";
import { join } from "path";
import { promisify } from "util";
import { blocksOf, pageText } from "../pages";
import { hostKey, hostname, packedState, root, server, sshKey } from "../component/stackMocks";

/** These tests use the library as its users do: packed, installed into an empty project, type-checked and run there. */

jest.setTimeout(600_000);

const repository = join(__dirname, "..", "..");
const manifest = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
const locked: Record<string, { dependencies?: object }> = JSON.parse(readFileSync(join(repository, "package-lock.json"), "utf8")).packages;
const installed = (name: string) => join(repository, "node_modules", name);
let folder: string;
let consumer: string;
let packed: string[];

/** Runs a program to its end. The error of a failed program holds its output. */
async function run(file: string, args: string[], cwd: string): Promise<string> {
    try {
        return (await promisify(execFile)(file, args, { cwd, maxBuffer: 1e8 })).stdout;
    } catch (error) {
        const { stdout, stderr } = error as { stdout: string; stderr: string };
        throw new Error(`${file} ${args.join(" ")}:\n${stdout}\n${stderr}`);
    }
}

/** Returns these packages and all that they depend on. */
function withDependencies(names: string[]): Set<string> {
    const all = new Set(names);
    for (const name of all) Object.keys(locked[`node_modules/${name}`].dependencies ?? {}).forEach(needed => all.add(needed));
    return all;
}

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "package-"));
    consumer = join(folder, "consumer");
    mkdirSync(consumer);
    // `npm pack` first builds the library with the script `prepare`, which prints too.
    const output = await run("npm", ["pack", "--json", "--pack-destination", folder], repository);
    const [{ filename, files }] = JSON.parse(output.slice(output.lastIndexOf("\n[\n") + 1));
    packed = files.map(({ path }: { path: string }) => path);

    writeFileSync(join(consumer, "package.json"), JSON.stringify({ name: "consumer", version: "1.0.0", private: true }));
    // No registry is used: installed dependencies are copied, and installed peers are linked.
    const dependencies = [...withDependencies(Object.keys(manifest.dependencies))].map(installed);
    const offline = ["--offline", "--install-links", "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund"];
    await run("npm", ["install", ...offline, join(folder, filename), ...dependencies], consumer);
    for (const scope of ["@pulumi", "@types"]) symlinkSync(installed(scope), join(consumer, "node_modules", scope));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the package holds the compiled library with its programs, and nothing else", () => {
    const sources = readdirSync(join(repository, "components"), { recursive: true, encoding: "utf8" });
    const programs = sources.filter(file => /\.(sh|js)$/.test(file));
    const compiled = sources.filter(file => file.endsWith(".ts") && !file.endsWith(".d.ts")).map(file => file.replace(/\.ts$/, ""));
    const library = [...programs, ...compiled.flatMap(file => [`${file}.js`, `${file}.d.ts`])].map(file => `dist/components/${file}`);
    expect(programs.length).toBeGreaterThan(5);
    expect(packed.filter(file => !/^(package\.json|README\.md|LICENSE)$/.test(file)).sort()).toEqual(library.sort());
});

test("it brings all it imports: dependencies, and peers for the caller to choose", () => {
    const imported = packed
        .filter(file => file.endsWith(".js") && !file.includes("/runner/"))
        .flatMap(file => {
            const text = readFileSync(join(consumer, "node_modules", manifest.name, file), "utf8");
            return [...text.matchAll(/require\("([^."][^"]*)"\)/g)].map(([, name]) => name);
        });
    const foreign = [...new Set(imported)].filter(name => !builtinModules.includes(name)).sort();
    expect(foreign).toEqual([...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)].sort());
});

test("the example of docs/library.md is accepted by the compiler and prints the URL", async () => {
    const example = blocksOf(pageText("docs/library.md"), "ts")[0].replace(/ssh-ed25519 AAAA…/g, hostKey);
    const nodes = [31, 32, 33].map(last => ({
        address: `192.0.2.${last}`,
        user: "rke",
        hostKey,
        roles: ["controlplane", "etcd", "worker"],
    }));
    writeFileSync(join(consumer, "index.ts"), example);
    const options = [
        "--strict",
        "--target",
        "ES2022",
        "--module",
        "node16",
        "--moduleResolution",
        "node16",
        "--skipLibCheck",
        "--types",
        "node",
    ];
    await run(process.execPath, [installed("typescript/bin/tsc"), ...options, "index.ts"], consumer);

    writeFileSync(
        join(consumer, "mocks.json"),
        JSON.stringify({
            config: { "project:sshPrivateKey": sshKey, "project:nodes": JSON.stringify(nodes) },
            states: [
                ["command:local:Command", "-pki", { stdout: packedState }],
                ["command:local:Command", "-drift", { stdout: "0" }],
                ["command:local:Command", "-drift-1", { stdout: "0" }],
                ["command:local:Command", "", { stdout: "ok" }],
                ["command:remote:Command", "", { stdout: "fingerprint" }],
                ["tls:index/privateKey:PrivateKey", "-root-key", { privateKeyPem: root.privateKey }],
                ["tls:index/privateKey:PrivateKey", "", { privateKeyPem: server.privateKey }],
                ["tls:index/selfSignedCert:SelfSignedCert", "", { certPem: root.certificate }],
                ["tls:index/certRequest:CertRequest", "", { certRequestPem: "request" }],
                ["tls:index/locallySignedCert:LocallySignedCert", "", { certPem: server.certificate }],
                ["random:index/randomPassword:RandomPassword", "", { result: "generated-password" }],
                ["kubernetes:helm.sh/v3:Release", "", { status: { version: "2.11.3", revision: 1, status: "deployed" } }],
            ],
        }),
    );
    writeFileSync(
        join(consumer, "run.js"),
        `
        const pulumi = require("@pulumi/pulumi");
        const { config, states } = require("./mocks.json");
        const state = ({ type, name }) => states.find(([of, end]) => of === type && name.endsWith(end))?.[2];
        const mocks = {
            newResource: args => ({ id: args.name + "-id", state: { ...args.inputs, ...state(args) } }),
            call: () => ({ stdout: "end" }),
        };
        (async () => {
            pulumi.runtime.setAllConfig(config, ["project:sshPrivateKey"]);
            await pulumi.runtime.setMocks(mocks, "project", "stack", false);
            require("./index.js").url.apply(url => console.log(url));
            await pulumi.runtime.disconnect();
        })();
    `,
    );
    expect(await run(process.execPath, ["run.js"], consumer)).toBe(`https://${hostname}\n`);
});
