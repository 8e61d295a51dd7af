import { createHash } from "crypto";
import { readdirSync, readFileSync } from "fs";
import { join } from "path";
import * as ts from "typescript";
import { clusterProgram } from "../../components/cluster/rke/program";
import { rkeClusterSchema } from "../../components/cluster/rke/schema";
import { RkeState } from "../../components/cluster/rke/state";
import { apiProgram, settingsProgram } from "../../components/rancher/program";
import { expectCommitted } from "../committed";
import { hostKey, sshKey } from "../ssh";

const components = join(__dirname, "..", "..", "components");
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

const pem = { certificatePEM: "certificate", keyPEM: "key" };
const certificatesBundle = { "kube-ca": pem, "kube-admin": pem };
const cluster = rkeClusterSchema.parse({
    kubernetesVersion: "v1.30.14-rancher1-1",
    ssh: { privateKey: sshKey },
    nodes: [
        {
            address: "192.0.2.31",
            user: "rke",
            hostKey,
            roles: ["controlplane", "etcd", "worker"],
        },
    ],
});
const wanted = { chartVersion: "2.11.3", values: { replicas: 3 }, timeoutSeconds: 900, owner: "organization/project/stack/rancher" };
const state = { desiredState: { certificatesBundle } } as unknown as RkeState;
/** Each program with a version, rendered with example data. */
const programs: Record<string, string> = {
    "cluster/rke/runner/rke.js": clusterProgram("cluster", cluster, [{ packed: "pki", state }], 0),
    "rancher/runner/applySettings.js": settingsProgram({ endpoint: "https://192.0.2.31:6443" }, { hostname: "rancher.example.com" }),
    "rancher/runner/freeRelease.js": apiProgram("freeRelease.js", { endpoint: "https://192.0.2.31:6443" }, wanted, { epoch: 0 }),
};
/** Scripts that run on nodes. They count as text of the program, not as its data. */
const scripts = join(components, "cluster", "rke", "host");
const forNodes = readdirSync(scripts)
    .map(name => readFileSync(join(scripts, name), "utf8").replace(/^\s*#.*\n/gm, ""))
    .join("");

test("a program that changes has another version when what it does changes", () => {
    const { markOf } = jest.requireActual("../../components/remote/runner/result.js");
    const versions = Object.entries(programs).map(([name, program]) => {
        const [, text, data] = /^([^]*\n)main\((.*)\);\n$/.exec(program)!;
        const options = { removeComments: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.None };
        const code = ts.transpileModule(text, { compilerOptions: options }).outputText;
        const module = jest.requireActual(join(components, name));
        return [
            name,
            {
                version: module.version,
                // The text is compared without comments.
                text: sha256(name.startsWith("cluster/") ? code + forNodes : code),
                data: /data (\w+)$/.exec(markOf(module, JSON.parse(data)))![1],
            },
        ];
    });
    expectCommitted(
        join(__dirname, "golden", "programVersions.json"),
        `${JSON.stringify(Object.fromEntries(versions), undefined, 4)}\n`,
        "where a text changed, raise `version` in the program if what it does changed; where only the data of the example changed, " +
            "every user's next update runs the program. Then run this test again, and commit the file",
    );
});

test("every program with a version is in that file", () => {
    const files = readdirSync(components, { recursive: true, encoding: "utf8" }).filter(file => /\/runner\/[^/]+\.js$/.test(file));
    const versioned = files.filter(file => /^module\.exports = \{.*\bversion\b/m.test(readFileSync(join(components, file), "utf8")));
    expect(versioned.sort()).toEqual(Object.keys(programs));
});
