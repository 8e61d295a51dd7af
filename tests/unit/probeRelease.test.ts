import { spawn } from "child_process";
import { createHash } from "crypto";
import { once } from "events";
import { createServer, Server } from "https";
import { AddressInfo } from "net";
import { join } from "path";
import { text } from "stream/consumers";
import { gzipSync } from "zlib";
import { findingOf, parseProbe, Probe } from "../../components/remote/probe";
import { nodeProgram } from "../../components/remote/programs";
import { issue } from "../../lab/certificates";

// The stack test asks a real API server.
const ca = issue({ name: "kube-ca", ca: true });
const api = issue({ name: "kube-apiserver", by: ca, names: ["IP:127.0.0.1"] });
const manifest = `---
# Source: rancher/templates/deployment.yaml
kind: Deployment
apiVersion: apps/v1
metadata:
  labels:
    name: not-this-one
  name: "rancher"
spec:
  replicas: 3
---
# Source: rancher/templates/clusterRoleBinding.yaml
apiVersion: rbac.authorization.k8s.io/v1
# In another style.
"kind": ClusterRoleBinding
metadata: { name: rancher } # and with a remark
---
# Source: rancher/templates/empty.yaml
`;
const caCertificate = issue({ name: "Rancher CA", ca: true }).certificate;
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const wanted = {
    chartVersion: "2.11.3",
    values: { hostname: "rancher.example.com", replicas: 3, extraEnv: [{ name: "CA", value: sha256(caCertificate) }] },
    timeoutSeconds: 900,
    owner: "organization/project/production/rancher-release",
};
interface HelmRun {
    manifest?: string;
    status?: string;
    seconds?: number;
    chartVersion?: string;
    values?: object;
    description?: string;
}
/** Returns Helm's records, the first revision first. */
const releases = (...runs: HelmRun[]) => ({
    items: runs.map(({ status = "deployed", seconds = 3600, chartVersion = "2.11.3", values = {}, description, ...run }, index) => {
        const config = { bootstrapPassword: "s3cret", ...wanted.values, ...values };
        const chart = { metadata: { version: chartVersion } };
        const record = { manifest: run.manifest ?? manifest, chart, config, info: { description } };
        return {
            metadata: {
                name: `sh.helm.release.v1.rancher.v${index + 1}`,
                labels: { version: `${index + 1}`, status },
                creationTimestamp: new Date(Date.now() - seconds * 1000).toISOString(),
            },
            data: { release: Buffer.from(gzipSync(JSON.stringify(record)).toString("base64")).toString("base64") },
        };
    }),
});
const resources = {
    "/apis/apps/v1": {
        resources: [
            { name: "deployments/scale", kind: "Deployment", namespaced: true },
            { name: "deployments", kind: "Deployment", namespaced: true },
        ],
    },
    "/apis/rbac.authorization.k8s.io/v1": { resources: [{ name: "clusterrolebindings", kind: "ClusterRoleBinding", namespaced: false }] },
};
const deployment = "/apis/apps/v1/namespaces/cattle-system/deployments/rancher";
const binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/rancher";
const object = (spec: object, resourceVersion = "1") => ({ metadata: { name: "rancher", resourceVersion, managedFields: [] }, spec });
const well = { replicas: 3, containers: [{ name: "rancher", args: ["-v"], env: [{ name: "KEY", value: "s3cret" }] }] };

/** An error of the API. */
class Failure {
    constructor(
        readonly status: number,
        readonly message: string,
    ) {}
}

let server: Server;
let live: Record<string, unknown>;
let refused: string[];
let deleted: string[];
beforeAll(async () => {
    server = createServer({ cert: api.certificate, key: api.privateKey }, (asked, answer) => {
        const { pathname, searchParams } = new URL(asked.url!, "https://localhost");
        const isDryRun = asked.method === "PATCH" && searchParams.get("dryRun") === "All";
        if (asked.method === "DELETE") {
            deleted.push(pathname.split("/").pop()!);
            return void answer.end("{}");
        }
        if (asked.headers.authorization !== "Bearer token" || (asked.method !== "GET" && !isDryRun)) refused.push(asked.url!);
        const known: Record<string, unknown> = { ...resources, ...live };
        const found = isDryRun ? (known[`applied ${pathname}`] ?? known[pathname]) : known[pathname];
        const { status, ...body } = found instanceof Failure ? found : { ...(found ?? {}), status: found === undefined ? 404 : 200 };
        answer.writeHead(status).end(JSON.stringify(body));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
});
afterAll(() => void server.close());

async function runProgram(
    file: string,
    objects: Record<string, unknown>,
    lastResult = "",
    trust: object = { ca: ca.certificate },
    changed: object = {},
) {
    live = objects;
    refused = [];
    deleted = [];
    const entry = join(__dirname, "..", "..", "components", "rancher", "runner", file);
    const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const release = { name: "rancher", namespace: "cattle-system" };
    const access = { endpoint, token: "token", ...trust };
    const input = { access, release, wanted, caVariable: "CA", ownerAnnotation: "owner", checksum: sha256(caCertificate), ...changed };
    const finished = spawn("node", ["-", "apply"], { env: { ...process.env, PULUMI_COMMAND_STDOUT: lastResult } });
    finished.stdin.end(nodeProgram(entry, input));
    const [stdout, stderr, [code]] = await Promise.all([text(finished.stdout), text(finished.stderr), once(finished, "close")]);
    expect(refused).toEqual([]);
    return { code, stdout, stderr };
}

const secrets = "/api/v1/namespaces/cattle-system/secrets";

async function look(objects: Record<string, unknown>, stored: unknown = releases({ manifest: "kind: Old" }, {})): Promise<Probe> {
    const tlsCa = { data: { "cacerts.pem": Buffer.from(caCertificate).toString("base64") } };
    const { stdout, stderr } = await runProgram("probeRelease.js", { [secrets]: stored, [`${secrets}/tls-ca`]: tlsCa, ...objects });
    expect(stderr).toBe("");
    expect(stdout).not.toContain("s3cret");
    return parseProbe(stdout);
}
const probe = async (...args: Parameters<typeof look>) => findingOf(await look(...args));
/** The objects of the manifest, as they are applied. */
const inPlace = { [deployment]: object(well), [`applied ${deployment}`]: object(well, "2"), [binding]: object({}) };

test("objects that an apply would not change are in sync", async () => {
    const { state, outdated, warnings } = await look(inPlace);
    expect([state, outdated, warnings]).toEqual(["in sync", [], []]);
});

test("a manifest that cannot be read is not quoted", async () =>
    expect(await probe(inPlace, releases({ manifest: 'kind: "s3cret' }))).toBe(
        "unknown: the manifest of the newest Helm revision is not YAML [RHA helm]",
    ));

const duplicate = 'failed to convert new object to smd typed: .spec.containers[name="rancher"].env: duplicate entries for key [name="A"]';
const notCompared = /^Deployment rancher cannot be compared: https:\/\/127\.0\.0\.1:\d+ answers 500: failed to .* \[RHA drift-unknown\]$/;

test("an object that the API refuses to compare is named with the API's message", async () => {
    const { state, findings, warnings } = await look({ ...inPlace, [`applied ${deployment}`]: new Failure(500, duplicate) });
    expect([state, findings, warnings]).toEqual(["in sync", [], [expect.stringMatching(notCompared)]]);
    expect(warnings[0]).toContain("duplicate entries for key");
});

test("an object that cannot be compared hides no drift of the others", async () => {
    const refusing = { ...inPlace, [`applied ${deployment}`]: new Failure(500, duplicate), [binding]: undefined };
    const { state, findings, warnings } = await look(refusing, releases({ values: { replicas: 1 } }));
    expect([state, findings]).toEqual(["changed", ["ClusterRoleBinding rancher: missing"]]);
    expect(warnings).toEqual([expect.stringMatching(notCompared)]);
});

test.each([
    ["a group that the API no longer has", { "/apis/apps/v1": undefined }, "answers 404"],
    ["a kind that the API no longer has", { "/apis/apps/v1": { resources: [] } }, "the API has no Deployment in apps/v1"],
])("an object of %s is told alone", async (_what, api, words) => {
    const { state, warnings } = await look({ ...inPlace, ...api });
    expect([state, warnings]).toEqual(["in sync", [expect.stringContaining(words)]]);
});

test("when no object can be compared, the state is unknown", async () => {
    const forbidden = new Failure(403, "forbidden");
    const { state, reason } = await look({ ...inPlace, [deployment]: forbidden, [binding]: forbidden });
    expect([state, reason.split("\n")]).toEqual([
        "unknown",
        [expect.stringMatching(/^Deployment rancher cannot .* answers 403/), expect.stringMatching(/^ClusterRoleBinding rancher cannot/)],
    ]);
});

test.each(["probeRelease.js", "probeCa.js"])("%s passes on why the API does not show Helm's records", async file => {
    const { stdout } = await runProgram(file, { [secrets]: new Failure(403, "secrets is forbidden") });
    expect(findingOf(parseProbe(stdout))).toMatch(/^unknown: https:\S+ answers 403: secrets is forbidden$/);
});

test("each difference is one line, without the text of a value", async () => {
    const changed = { replicas: 1, containers: [{ name: "rancher", env: [{ name: "KEY", value: "other" }] }] };
    expect(await probe({ [deployment]: object(changed), [`applied ${deployment}`]: object(well) })).toBe(
        [
            "ClusterRoleBinding rancher: missing",
            "Deployment rancher: spec.containers[rancher].args is missing, expected set",
            "Deployment rancher: spec.containers[rancher].env[KEY].value was changed",
            "Deployment rancher: spec.replicas is 1, expected 3",
        ].join("\n"),
    );
});

test("a release that Helm does not hold is told, with the way to have it back", async () =>
    expect(await probe({}, { items: [] })).toBe(
        "absent: Helm has no deployed release rancher in cattle-system; one that was uninstalled comes back with pulumi up --refresh",
    ));

/** Returns a wanted release with these values, and Helm's record of it, which sorts the keys of objects. */
function sortedByHelm(extraTolerations: Record<string, string>[]) {
    const recorded = extraTolerations.map(each => Object.fromEntries(Object.entries(each).sort()));
    return { asked: { wanted: { ...wanted, values: { ...wanted.values, extraTolerations } } }, values: { extraTolerations: recorded } };
}
const toleration = { key: "dedicated", value: "rancher", operator: "Equal", effect: "NoSchedule" };

test("the order of keys in a list of values is no difference", async () => {
    const { asked, values } = sortedByHelm([toleration]);
    const probed = await runProgram("probeRelease.js", { ...inPlace, [secrets]: releases({ values }) }, "", undefined, asked);
    expect(parseProbe(probed.stdout).outdated).toEqual([]);
    const other = await runProgram(
        "probeRelease.js",
        { ...inPlace, [secrets]: releases({ values: { extraTolerations: [] } }) },
        "",
        undefined,
        asked,
    );
    expect(parseProbe(other.stdout).outdated).toEqual(["revision 1: the value extraTolerations was changed"]);
});

test.each<[string, HelmRun, string[]]>([
    ["helm upgrade --set replicas=1", { values: { replicas: 1 } }, ["revision 2: the value replicas is 1, expected 3"]],
    [
        "a value that was added",
        { values: { antiAffinity: "required" } },
        ["revision 2: the value antiAffinity is another, expected missing"],
    ],
    ["helm upgrade --set hostname", { values: { hostname: "other.example.com" } }, ["revision 2: the value hostname was changed"]],
    ["helm upgrade to an older chart", { chartVersion: "2.11.2" }, ["revision 2: chart 2.11.2, expected 2.11.3"]],
])("by hand, %s: told as what Helm last made", async (_what, byHand, lines) => {
    const own = { description: "Rancher 2.11.3 for https://rancher.example.com" };
    const found = await look(inPlace, releases(own, byHand));
    expect([found.state, found.outdated]).toEqual(["in sync", lines]);
});

test.each<[string, HelmRun, RegExp]>([
    [
        "a newer chart is installed",
        { chartVersion: "2.12.0" },
        /^refused: chartVersion: expected 2\.12\.0 or newer, which revision 1 installed, found 2\.11\.3\./,
    ],
    [
        "the installed chart is two minor versions older",
        { chartVersion: "2.9.3" },
        /^refused: chartVersion: .*Upgrade to the latest 2\.10 first \[RHA change-not-possible\]$/,
    ],
    [
        "another host name is installed",
        { values: { hostname: "old.example.com" } },
        /^refused: hostname: expected old\.example\.com, under which/,
    ],
    [
        "another host name was installed by this stack",
        { description: "Rancher 2.11.3 for https://old.example.com, run 2" },
        /^refused: hostname: expected old\.example\.com, under which/,
    ],
])("refused: %s", async (_what, installed, words) => {
    expect(await probe(inPlace, releases(installed))).toMatch(words);
    // A run that was ended in the middle would be removed, and Helm would go on with the change.
    expect(await probe(inPlace, releases(installed, { ...installed, status: "pending-upgrade" }))).toMatch(words);
});

const serverVersion = (value: string) => ({ ...inPlace, "/apis/management.cattle.io/v3/settings/server-version": { value } });

test.each([
    [
        "started pods, which recorded its version",
        "v2.12.1",
        /^refused: chartVersion: expected 2\.12\.1 or newer, which runs since revision 2/,
    ],
    ["started no pod", "v2.11.3", /^in sync$/],
])("an upgrade that failed and %s", async (_what, version, words) => {
    expect(await probe(serverVersion(version), releases({}, { chartVersion: "2.12.1", status: "failed" }))).toMatch(words);
});

test("a probe that only refuses looks for no drift", async () => {
    const stored = releases({}, { status: "pending-upgrade" });
    const { stdout } = await runProgram("probeRelease.js", { [secrets]: stored }, "", undefined, { onlyRefuses: true });
    expect(parseProbe(stdout)).toMatchObject({ state: "in sync", warnings: [] });
});

describe("the namespace", () => {
    const path = "/api/v1/namespaces/cattle-system";
    const owned = (owner: string) => ({ ...inPlace, [path]: { metadata: { annotations: { owner } } } });

    test("of this stack, or of nobody, is looked at", async () =>
        expect([await probe(owned(wanted.owner)), await probe({ ...inPlace, [path]: { metadata: {} } })]).toEqual(["in sync", "in sync"]));

    test("of another stack is refused", async () =>
        expect(await probe(owned("organization/project/staging/rancher-release"))).toMatch(
            /^refused: namespace cattle-system: expected one of this stack .*, found one of organization\/project\/staging\/rancher-release\./,
        ));
});

test.each([
    ["another CA", { data: { "cacerts.pem": "Zm9yZWlnbg==" } }, "Secret cattle-system/tls-ca holds another CA: every agent"],
    ["none", undefined, "Secret cattle-system/tls-ca is missing: every agent"],
])("of the CA secret with %s a person is told", async (_what, tlsCa, words) => {
    const found = await look({ ...inPlace, "/api/v1/namespaces/cattle-system/secrets/tls-ca": tlsCa });
    expect([found.state, ...found.warnings]).toEqual(["in sync", expect.stringContaining(words)]);
});

test("of the CA secret of an adopted release, which has no mark, a person is told", async () => {
    const tampered = { [`${secrets}/tls-ca`]: { data: { "cacerts.pem": "Zm9yZWlnbg==" } } };
    const stored = releases({ values: { extraEnv: [], privateCA: true } });
    const marks = {
        adoptedCaChecksum: sha256(caCertificate),
        wanted: { ...wanted, values: { ...wanted.values, extraEnv: [], privateCA: true } },
    };
    const probed = await runProgram("probeRelease.js", { ...inPlace, ...tampered, [secrets]: stored }, "", undefined, marks);
    expect(parseProbe(probed.stdout)).toMatchObject({
        state: "in sync",
        warnings: [expect.stringContaining("Secret cattle-system/tls-ca holds another CA: every agent")],
    });
    const asked = await runProgram("probeCa.js", { ...tampered, [secrets]: stored }, "", undefined, marks);
    expect(parseProbe(asked.stdout).state).toBe("in sync");
});

test("somebody's run of Helm that may be alive is left alone", async () => {
    const found = await look(inPlace, releases({}, { status: "pending-upgrade", seconds: 6, values: { replicas: 1 } }));
    expect([found.state, ...found.warnings]).toEqual([
        "in sync",
        expect.stringMatching(/^somebody's run of Helm is under way since \d s \(revision 2, pending-upgrade\)\. Wait until it ends/),
    ]);
});

test.each<[string, HelmRun, RegExp]>([
    [
        "older than its timeout",
        { seconds: 901, values: { replicas: 1 } },
        /^revision 2 of the release is pending-upgrade: .*`kubectl --namespace cattle-system delete secret sh\.helm\.release\.v1\.rancher\.v2`/,
    ],
    [
        "for what this stack wants, without advice to end it",
        { seconds: 6 },
        /^revision 2 of the release is pending-upgrade since \d s: a run of this stack was ended .* or somebody's is under way[^`]*$/,
    ],
])("a release left pending by a run %s is named", async (_what, left, words) =>
    expect(await probe({}, releases({}, { status: "pending-upgrade", ...left }))).toMatch(words),
);

describe("before Helm runs", () => {
    const free = (lastResult: string, ...runs: HelmRun[]) => runProgram("freeRelease.js", { [secrets]: releases(...runs) }, lastResult);
    const pending = { status: "pending-upgrade", seconds: 6 };

    test.each<[string, string, HelmRun]>([
        ["this stack's, for what it wants", "2", pending],
        ["somebody's that is older than its timeout", "9", { ...pending, seconds: 901, values: { replicas: 1 } }],
    ])("an ended run is out of the way: %s", async (_what, lastResult, run) => {
        expect(await free(lastResult, {}, run)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^2\n/) });
        expect(deleted).toEqual(["sh.helm.release.v1.rancher.v2"]);
    });

    test("the order of keys in a list of values makes no run somebody's", async () => {
        const { asked, values } = sortedByHelm([toleration]);
        const stored = { [secrets]: releases({}, { ...pending, values }) };
        expect((await runProgram("freeRelease.js", stored, "2", undefined, asked)).code).toBe(0);
        expect(deleted).toEqual(["sh.helm.release.v1.rancher.v2"]);
    });

    test.each<[string, string, HelmRun]>([
        ["with other values", "2", { ...pending, values: { replicas: 1 } }],
        ["without a change, after this stack's own run", "1", pending],
        ["of which it is not known whose it is", "", pending],
    ])("somebody's run is left alone: %s", async (_what, lastResult, run) => {
        const { code, stderr } = await free(lastResult, {}, run);
        expect([code, deleted]).toEqual([1, []]);
        expect(stderr).toMatch(/^somebody's run of Helm is under way since \d s .*Nothing was changed \[RHA helm\]\n$/);
    });

    test("the certificate of the API server is not verified when the kubeconfig says so", async () => {
        const { code, stdout } = await runProgram("freeRelease.js", { [secrets]: releases({}) }, "", { isInsecure: true });
        expect([code, stdout]).toEqual([0, expect.stringMatching(/^2\n/)]);
        expect((await runProgram("freeRelease.js", { [secrets]: releases({}) }, "", {})).code).toBe(1);
    });

    test("its revision is noted", async () => {
        expect((await free("")).stdout).toMatch(/^1\n/);
        expect((await free("1", {}, { status: "failed" }, {})).stdout).toMatch(/^4\n/);
    });
});

describe("settings of Rancher", () => {
    const path = "/apis/management.cattle.io/v3/settings";
    /** Runs the program against settings with these values. Somebody else is faster as often as `conflicts` says. */
    async function set(found: Record<string, string>, always: Record<string, string> = {}, conflicts = 0) {
        const values = { ...found };
        const patched: string[] = [];
        const settings = createServer({ cert: api.certificate, key: api.privateKey }, async (asked, answer) => {
            const { pathname } = new URL(asked.url!, "https://localhost");
            const name = pathname.slice(path.length + 1);
            const { value, metadata } = JSON.parse((await text(asked)) || "{}");
            if (values[name] === undefined) return void answer.writeHead(404).end("{}");
            if (asked.method === "PATCH") {
                expect([asked.headers["content-type"], metadata]).toEqual(["application/merge-patch+json", { resourceVersion: "7" }]);
                if (conflicts-- > 0) {
                    values[name] = "https://set-at-the-same-time.example.com";
                    return void answer.writeHead(409).end("{}");
                }
                patched.push(`${name} ${(values[name] = value)}`);
            }
            answer.end(JSON.stringify({ value: values[name], metadata: { resourceVersion: "7" } }));
        });
        await once(settings.listen(0, "127.0.0.1"), "listening");
        const endpoint = `https://127.0.0.1:${(settings.address() as AddressInfo).port}`;
        const input = {
            access: { endpoint, ca: ca.certificate, token: "token" },
            once: { "server-url": "https://rancher.example.com" },
            always,
        };
        const entry = join(__dirname, "..", "..", "components", "rancher", "runner", "applySettings.js");
        const finished = spawn("node", ["-", "apply"], { env: { ...process.env, PULUMI_COMMAND_STDOUT: "" } });
        finished.stdin.end(nodeProgram(entry, input));
        const [stderr, [code]] = await Promise.all([text(finished.stderr), once(finished, "close")]);
        settings.closeAllConnections();
        settings.close();
        return { code, stderr, patched };
    }

    test("server-url is set where there is none", async () =>
        expect(await set({ "server-url": "" })).toEqual({ code: 0, stderr: "", patched: ["server-url https://rancher.example.com"] }));

    test("another server-url stays, and is told", async () =>
        expect(await set({ "server-url": "https://other.example.com" })).toEqual({
            code: 0,
            stderr: "expected server-url https://rancher.example.com, found server-url https://other.example.com, which Rancher keeps\n",
            patched: [],
        }));

    test("a server-url that somebody sets at the same time stays", async () => {
        const { code, stderr, patched } = await set({ "server-url": "" }, {}, 1);
        expect([code, patched]).toEqual([0, []]);
        expect(stderr).toContain("found server-url https://set-at-the-same-time.example.com, which Rancher keeps");
    });

    test("what is given replaces another choice, and is not written twice", async () => {
        const found = { "server-url": "https://rancher.example.com", "telemetry-opt": "in", "eula-agreed": "2025-06-30T12:00:00Z" };
        const { code, stderr, patched } = await set(found, { "telemetry-opt": "out", "eula-agreed": "2025-06-30T12:00:00Z" });
        expect([code, stderr, patched]).toEqual([0, "", ["telemetry-opt out"]]);
    });
});

describe("a Rancher whose agents trust another CA is refused", () => {
    const another = sha256("another CA\n");
    const tlsCa = (text: string) => ({ [`${secrets}/tls-ca`]: { data: { "cacerts.pem": Buffer.from(text).toString("base64") } } });
    const marked = (value: string) => releases({ values: { extraEnv: [{ name: "CA", value }] } });
    const unmarked = releases({ values: { extraEnv: [] } });
    const adopted = releases({ values: { extraEnv: [], privateCA: "true" } });

    test.each<[string, unknown, Record<string, unknown>, RegExp, string?]>([
        ["by Helm's record", marked(another), tlsCa(caCertificate), new RegExp(`found another CA \\(${another}\\)`)],
        ["made by hand", unmarked, tlsCa("another CA"), new RegExp(`found another CA \\(${another}\\)`)],
        ["which a publicly trusted one would replace", marked(another), {}, /trust the CA of this stack \(a publicly trusted one\)/, ""],
        ["of an adopted one, which a publicly trusted one would replace", adopted, tlsCa("another CA\n"), /found another CA/, ""],
        ["which a CA that is new would replace", marked(another), {}, /trust the CA of this stack \(a new one\)/, undefined],
    ])("%s", async (_how, stored, objects, words, ...own) => {
        const checksum = own.length > 0 ? { checksum: own[0] } : {};
        const { state, reason } = parseProbe(
            (await runProgram("probeCa.js", { [secrets]: stored, ...objects }, "", undefined, checksum)).stdout,
        );
        expect([state, reason]).toEqual(["refused", expect.stringMatching(words)]);
    });

    test.each<[string, unknown, Record<string, unknown>, string?]>([
        ["this stack's own", marked(sha256(caCertificate)), {}],
        // A plain preview warns of this Secret, and `up --refresh` repairs it.
        ["this stack's own, with a Secret that somebody changed", marked(sha256(caCertificate)), tlsCa("another CA")],
        ["one with a publicly trusted CA", unmarked, {}],
        ["an adopted one, whose Secret ends without a newline", adopted, tlsCa(caCertificate.trim())],
        ["one with a Secret that holds no CA", unmarked, tlsCa("")],
        ["a publicly trusted one, beside a Secret that nothing uses", unmarked, tlsCa("another CA"), ""],
        ["none", releases(), {}],
    ])("not %s", async (_what, stored, objects, ...own) => {
        const checksum = own.length > 0 ? { checksum: own[0] } : {};
        expect(parseProbe((await runProgram("probeCa.js", { [secrets]: stored, ...objects }, "", undefined, checksum)).stdout).state).toBe(
            "in sync",
        );
    });
});
