import { existsSync, readFileSync } from "fs";
import { join } from "path";
import { StateFile } from "../../lab/engine/state";
import { killHost, labFiles, repository, startHost, stopLab } from "../../lab/lab";
import { run, RunResult } from "../../lab/process";
import { passphrase, stateFile } from "../../lab/stack";
import { instance, readState, secretTexts } from "./testStack";

// What `make up`, `drift` and `down` do, in the lab of the tests.
jest.setTimeout(15 * 60_000);

const said: string[] = [];

async function make(...verb: string[]): Promise<RunResult> {
    const program = ["--require", "tsx/cjs", join(repository, "lab", "dev.ts")];
    // The lab's own engine runs, whatever is on the PATH: what it holds is looked into.
    const env = { ...process.env, PATH: `${join(__dirname, "..", "fixtures", "noPulumi")}:${process.env.PATH}` };
    const result = await run(process.execPath, [...program, ...verb, "--instance", instance], { cwd: repository, env, tolerate: true });
    if (result.code !== 0)
        throw new Error(`${verb.join(" ")}: exit code ${result.code}\n${result.stdout.slice(-3000)}\n${result.stderr.slice(-3000)}`);
    said.push(result.stdout, result.stderr);
    return result;
}

/** What there is of the lab on this machine. */
async function traces(): Promise<string[]> {
    const lists = [
        ["podman", "ps", "--all", "--format", "{{.Names}}"],
        ["podman", "network", "ls", "--format", "{{.Name}}"],
        ["podman", "volume", "ls", "--format", "{{.Name}}"],
        ["ps", "-eo", "args"],
    ];
    const texts = await Promise.all(lists.map(async ([file, ...args]) => (await run(file, args)).stdout));
    const found = texts.flatMap(text => text.split("\n")).filter(line => line.includes(`rancher-ha-${instance}`));
    const { folder } = labFiles(instance);
    return existsSync(folder) ? [...found, folder] : found;
}

beforeAll(() => stopLab(instance));
afterAll(() => stopLab(instance));

/** A state whose resources are nowhere any more. */
const leaveState = () =>
    new StateFile(stateFile(instance), passphrase(instance)).write({ resources: [], outputs: {}, pending: ["create something"] });

test("down when the hosts of the lab are gone: the state that is left is dropped", async () => {
    leaveState();
    expect((await make("down")).stderr).toContain("not destroyed but dropped with the lab: its hosts are gone, its state is not");
    expect(await traces()).toEqual([]);
});

test("up when a host of the lab has died: a new lab comes up, without the old state, and is checked; how to use it is said", async () => {
    await startHost(instance, "lb1");
    leaveState();
    await killHost(instance, "lb1");
    const { stdout, stderr } = await make("up");
    expect(stderr).toMatch(/half dead \(lb1 exited, .*\): replaced as a whole/);
    expect(stdout).not.toContain("create something");
    expect(stdout).toContain("https://rancher.lab.internal");
    expect(stdout).toMatch(/^ {2}ok .*ping/m);
    expect(stdout).toContain("The stack is up.");
    expect(stdout).toContain("update-ca-certificates");
    expect(stdout).toMatch(/^ {2}login +admin, with the password that `make output NAME=bootstrapPassword` prints$/m);
    expect(stdout).toMatch(/^ {2}made of +1 load balancer host, 3 nodes/m);
    expect(stderr).toMatch(/^\[ +[\d.]+ s\] rke +(reused|built)$/m);
    expect(stderr).toMatch(/^\[ +[\d.]+ s\] node1 +started$/m);
    expect(stderr).toMatch(/^\[ +[\d.]+ s\] engine +engine of the lab \(/m);
    expect(await traces()).toEqual(
        expect.arrayContaining([`rancher-ha-${instance}-lb1`, `rancher-ha-${instance}`, labFiles(instance).folder]),
    );
});

test("up again: nothing had to be changed", async () => {
    expect((await make("up")).stdout).toContain("Nothing had to be changed: the stack is as it should be.");
});

test("preview: nothing to do; output: one value, as a program reads it", async () => {
    expect((await make("preview")).stdout).toMatch(/\d+ unchanged/);
    expect((await make("output", "rancherVersion")).stdout).toMatch(/^2\.11\.\d+\n$/);
});

test("help names every command of the README", async () => {
    const { stdout } = await run("make", ["help"], { cwd: repository });
    for (const verb of ["up", "preview", "drift", "down", "output", "check", "test", "bench", "bench-stack"])
        expect(stdout).toMatch(new RegExp(`^ +make ${verb} +\\S`, "m"));
});

test("drift: the preview sees what was changed, up heals it, the preview after it is empty", async () => {
    const [, seen, healed, empty] = (await make("drift")).stdout.split(
        /the next preview sees it:|`up` heals it:|the preview after it is empty:/,
    );
    expect(seen).toMatch(/nginx\.conf: content changed/);
    expect(seen).toMatch(/nginx\.service: inactive, expected active/);
    expect(healed).toMatch(/updated/);
    expect(empty).not.toMatch(/updated|to update/);
});

test("no secret of the stack has been said", () => {
    const { outputs, resources } = readState();
    const keys = resources.filter(({ type }) => /^(tls|random):/.test(type)).map(resource => resource.outputs);
    const sshKey = readFileSync(labFiles(instance).privateKey, "utf8").trim().split("\n").slice(1, -1);
    const secrets = [...secretTexts([outputs, keys]), ...sshKey];
    expect(secrets.length).toBeGreaterThan(20);
    for (const secret of secrets) expect(said.some(text => text.includes(secret))).toBe(false);
    expect(said.join("")).not.toMatch(/PRIVATE KEY-----/);
});

test("down: the stack is destroyed, and nothing of the lab is left; again, there is nothing to remove", async () => {
    expect((await make("down")).stdout).toMatch(/deleted/);
    expect(await traces()).toEqual([]);
    expect((await make("down")).stderr).toContain("nothing to remove");
});
