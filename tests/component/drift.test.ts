import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { execFileSync } from "child_process";
import { createHash } from "crypto";
import { isDeepStrictEqual } from "util";
import { driftEpoch, DriftMode, warnOfSetBack } from "../../components/remote/drift";
import { parseProbe } from "../../components/remote/probe";
import { said } from "../probes";
import { record, RecordOptions, secret, unknown } from "./recorder";
import { findingOf } from "./stackMocks";

const latchType = "command:local:Command";
type Desired = Parameters<typeof driftEpoch>[1]["desired"];
interface Situation {
    mode?: DriftMode;
    desired?: Desired;
}

class Host extends pulumi.ComponentResource {
    declare readonly epoch: pulumi.Output<number>;

    constructor(finding: pulumi.Output<string>, { mode = DriftMode.Enforce, desired = { "a.conf": "a" } }: Situation) {
        super("test:index:Host", "host");
        Object.assign(this, {
            epoch: driftEpoch(
                "host-drift",
                { mode, found: finding.apply(text => parseProbe(text === "" ? "" : said(text))), desired },
                { parent: this },
            ),
        });
    }
}

const build = (found: string | (() => pulumi.Output<string>), situation: Situation = {}, options: RecordOptions = {}) =>
    record(() => new Host(typeof found === "string" ? pulumi.output(found) : found(), situation), {
        mock: () => ({ stdout: "0" }),
        ...options,
    });

/** A stack with one latch. It registers the latch like the engine, and runs the latch's command like the provider. */
class Stack {
    private state?: { inputs: any; stdout: string };

    /** Runs the program once. Returns the engine's action on the latch, and the epoch. */
    async up(found: string, situation: Situation = {}): Promise<[did: "create" | "update" | "same", epoch: number]> {
        const { inputs, ignoreChanges } = (await build(found, situation)).one(latchType);
        const old = this.state;
        for (const name of old ? ignoreChanges : []) inputs[name] = old!.inputs[name];
        if (old && isDeepStrictEqual(old.inputs, inputs)) return ["same", Number(old.stdout)];
        const env = { ...process.env, ...inputs.environment, ...(old && { PULUMI_COMMAND_STDOUT: old.stdout }) };
        const stdout = execFileSync("/bin/sh", ["-c", old ? inputs.update : inputs.create], { env, encoding: "utf8" });
        this.state = { inputs, stdout: stdout.trim() };
        return [old ? "update" : "create", Number(this.state.stdout)];
    }
}

beforeEach(() => {
    jest.spyOn(pulumi.log, "warn").mockResolvedValue();
    jest.spyOn(pulumi.log, "info").mockResolvedValue();
});
afterEach(() => jest.restoreAllMocks());

test("drift raises the epoch once, and once more when it comes back", async () => {
    const stack = new Stack();
    const runs = ["in sync", "in sync", "nginx: not running", "in sync", "in sync", "nginx: not running", "in sync"];
    const done: unknown[] = [];
    for (const found of runs) done.push(await stack.up(found));
    expect(done).toEqual([
        ["create", 0],
        ["same", 0],
        ["update", 1],
        ["same", 1],
        ["same", 1],
        ["update", 2],
        ["same", 2],
    ]);
});

test("a repair that failed is tried again", async () => {
    const stack = new Stack();
    await stack.up("in sync");
    expect([await stack.up("nginx: not running"), await stack.up("nginx: not running")]).toEqual([
        ["update", 1],
        ["update", 2],
    ]);
});

test("a changed file is an update, before drift and after a repair", async () => {
    const stack = new Stack();
    await stack.up("in sync");
    expect(await stack.up("in sync", { desired: { "a.conf": "b" } })).toEqual(["update", 1]);
    expect(await stack.up("in sync", { desired: { "a.conf": "b" } })).toEqual(["same", 1]);
    await stack.up("nginx: not running", { desired: { "a.conf": "b" } });
    expect(await stack.up("in sync", { desired: { "a.conf": "c" } })).toEqual(["update", 3]);
    expect(await stack.up("in sync", { desired: { "a.conf": "c" } })).toEqual(["same", 3]);
});

test.each<[DriftMode, string]>([
    [DriftMode.Enforce, "unreachable: no SSH connection"],
    [DriftMode.Enforce, "unknown: https://192.0.2.31:6443 answers 403"],
    [DriftMode.Enforce, ""],
    [DriftMode.Warn, "unreachable: no SSH connection"],
    [DriftMode.Warn, "nginx: not running"],
    [DriftMode.Warn, "absent: no API server runs"],
])("mode %s, finding %j: the earlier epoch stays", async (mode, found) => {
    const stack = new Stack();
    await stack.up("in sync");
    await stack.up("nginx: not running");
    expect(await stack.up(found, { mode })).toEqual(["same", 1]);
});

test("absent is drift when repairs are wanted", async () => {
    const stack = new Stack();
    await stack.up("in sync");
    expect(await stack.up("absent: no API server runs")).toEqual(["update", 1]);
});

test("off: the epoch is 0, without a resource", async () => {
    const recording = await build("nginx: not running", { mode: DriftMode.Off });
    expect(recording.resources.map(({ type }) => type)).toEqual(["test:index:Host"]);
    expect(recording.outputs.epoch).toBe(0);
});

test("a preview of a repair: the epoch is unknown, finding and files are shown", async () => {
    const recording = await build("nginx: not running", {}, { preview: true, mock: undefined });
    const { inputs, ignoreChanges } = recording.one(latchType);
    expect(inputs.stdin).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z\nnginx: not running$/);
    expect(inputs.environment).toEqual({ "a.conf": "a" });
    expect(ignoreChanges).toEqual([]);
    expect(recording.outputs.epoch).toBe(unknown);
});

test("a finding that is unknown in a preview is passed on as unknown", async () => {
    const later = () => new tls.PrivateKey("later", { algorithm: "ECDSA" }).publicKeyPem;
    const { inputs, ignoreChanges } = (await build(later, {}, { preview: true, mock: undefined })).one(latchType);
    expect([inputs.stdin, ignoreChanges]).toEqual([unknown, []]);
});

test("a finding that comes out of another resource is kept too", async () => {
    const later = () => new tls.PrivateKey("later", { algorithm: "ECDSA" }).publicKeyPem;
    const recording = await build(later, {}, { mock: ({ type }) => (type === latchType ? { stdout: "0" } : { publicKeyPem: "in sync" }) });
    const { inputs, ignoreChanges, dependencies } = recording.one(latchType);
    expect([inputs.stdin, ignoreChanges]).toEqual(["in sync", ["stdin"]]);
    expect(dependencies).toEqual([recording.one("tls:index/privateKey:PrivateKey").urn]);
});

test.each(["in sync", "nginx: not running"])("with the finding %j a secret file stays a secret", async found => {
    const latch = (await build(found, { desired: { "a.conf": pulumi.secret("token") } })).one(latchType);
    expect(latch.inputs.environment).toEqual(secret({ "a.conf": "token" }));
    expect(findingOf(latch)).toBe(found);
});

test("a file too long for an environment string is shown as its digest, and sh starts", async () => {
    // Linux limits an environment string to 128 KiB, with its name and the NUL at its end. An ä has two bytes.
    const longest = "ä".repeat(64 * 1024 - 4);
    const tooLong = `${longest}a`;
    const desired = { "a.conf": longest, "b.conf": tooLong };
    expect(await new Stack().up("in sync", { desired })).toEqual(["create", 0]);
    const { environment } = (await build("in sync", { desired })).one(latchType).inputs;
    expect(environment).toEqual({ "a.conf": longest, "b.conf, SHA-256": createHash("sha256").update(tooLong).digest("hex") });
});

test("mocks of a user's own test get no transform, which the SDK would refuse", async () => {
    await pulumi.runtime.setMocks({ newResource: ({ inputs }) => ({ id: "id", state: { ...inputs, stdout: "0" } }), call: () => ({}) });
    const host = new Host(pulumi.output("in sync"), {});
    expect(await new Promise(resolve => host.epoch.apply(resolve))).toBe(0);
});

test("a preview cuts a line at 150 characters, so long lines of a finding are broken", async () => {
    const words = Array.from({ length: 60 }, (_, index) => `word${index}`);
    const finding = findingOf((await build(words.join(" "))).one(latchType)) as string;
    expect(finding.split(/\s+/)).toEqual(words);
    for (const line of finding.split("\n")) expect(line.length).toBeLessThan(150);
});

describe("what the system was last made of is not what is wanted", () => {
    class SetBack extends pulumi.ComponentResource {
        constructor(mode: DriftMode, result: pulumi.Output<unknown>) {
            super("test:index:SetBack", "host");
            const outdated = ["release 1, expected 2"];
            const found = pulumi.output(parseProbe(said("nginx: not running")));
            driftEpoch("host-drift", { mode, found, outdated: () => outdated, desired: {} }, { parent: this });
            warnOfSetBack("host-drift", mode, outdated, result);
        }
    }
    const known = () => pulumi.output("done");
    const pending = () => new tls.PrivateKey("pending", { algorithm: "ECDSA" }).publicKeyPem;
    const plan = (mode: DriftMode, result: () => pulumi.Output<unknown>, preview = true) =>
        record(() => new SetBack(mode, result()), { preview, mock: preview ? undefined : () => ({ stdout: "0", publicKeyPem: "key" }) });
    const warnings = () => jest.mocked(pulumi.log.warn).mock.calls.map(([text]) => text);

    test("enforce: it is part of the finding", async () =>
        expect(findingOf((await plan(DriftMode.Enforce, known)).one(latchType))).toBe("nginx: not running\nrelease 1, expected 2"));

    test.each<[string, () => pulumi.Output<unknown>, boolean, boolean]>([
        ["a preview of no change: it was set back", known, true, true],
        ["a preview of a change: that is still to come", pending, true, false],
        ["an update: its change was made", known, false, false],
    ])("warn, %s", async (_what, result, preview, told) => {
        await plan(DriftMode.Warn, result, preview);
        const text = "needs attention: host-drift: not as last applied:\nrelease 1, expected 2";
        expect(warnings().includes(text)).toBe(told);
    });
});
