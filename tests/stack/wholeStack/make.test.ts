import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { endForgottenContainers } from "../../../lab/forgotten";
import { limits } from "../../../lab/images";
import { repository } from "../../../lab/inventory";
import { run, RunResult, until } from "../../../lab/process";
import { Stack } from "../../../lab/pulumi";
import { disposable, testLab } from "../fixtures";
import { secretTexts } from "./mainStack";

// These tests run `make up`, `drift`, `pulumi` and `down` in the lab of a test.
jest.setTimeout(15 * 60_000);

const lab = disposable(testLab());
const said: string[] = [];

async function make(verb: string, ...args: string[]): Promise<RunResult> {
    const program = ["--require", "tsx/cjs", join(repository, "lab", "cli.ts"), verb, "--lab", lab.name];
    const result = await run(process.execPath, [...program, ...args], { cwd: repository, tolerate: true });
    if (result.code !== 0)
        throw new Error(`${verb}: exit code ${result.code}\n${result.stdout.slice(-5000)}\n${result.stderr.slice(-3000)}`);
    said.push(result.stdout, result.stderr);
    return result;
}

/** Returns the traces of the lab on this machine. */
async function traces(): Promise<string[]> {
    const lists = [
        ["podman", "ps", "--all", "--format", "{{.Names}}"],
        ["podman", "network", "ls", "--format", "{{.Name}}"],
        ["podman", "volume", "ls", "--format", "{{.Name}}"],
        ["ps", "-eo", "args"],
    ];
    const texts = await Promise.all(lists.map(async ([file, ...args]) => (await run(file, args)).stdout));
    const found = texts.flatMap(text => text.split("\n")).filter(line => line.includes(`rancher-ha-${lab.name}`));
    return existsSync(lab.folder) ? [...found, lab.folder] : found;
}

/** A file of a state whose resources no longer exist. */
const oldState = join(lab.folder, "pulumi", "old");
function leaveState(): void {
    mkdirSync(join(oldState, ".."), { recursive: true });
    writeFileSync(oldState, "");
}

/** Starts containers of these names by a podman with another store, so that the machine's podman does not list them. */
async function withForgotten(names: string[], work: (isRunning: (name: string) => Promise<boolean>) => Promise<void>): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), "forgotten-"));
    const stores = ["root", "runroot", "tmpdir"].map(store => `--${store}=${join(folder, store)}`);
    const podman = (...args: string[]) => run("podman", ["--runtime=runc", ...stores, ...args], { tolerate: true });
    const rootfs = join(folder, "rootfs");
    mkdirSync(rootfs);
    copyFileSync("/bin/busybox", join(rootfs, "busybox"));
    const pidFile = (name: string) => join(folder, `${name}.pid`);
    try {
        for (const name of names) {
            const flags = ["--detach", "--network=none", `--name=${name}`, `--conmon-pidfile=${pidFile(name)}`];
            await podman("run", ...flags, ...limits.map(limit => `--ulimit=${limit}`), "--rootfs", rootfs, "/busybox", "sleep", "600");
        }
        // An ended process that nobody has waited for has no arguments.
        await work(async name =>
            (await run("ps", ["-o", "args=", readFileSync(pidFile(name), "utf8")], { tolerate: true })).stdout.includes(name),
        );
    } finally {
        // Podman fails once for each container whose end it has not noticed, and leaves mounts.
        await until("the store to be empty", 60, async () => (await podman("rm", "--all", "--force", "--time", "0")).code === 0);
        await run("sh", ["-c", 'grep -o " $0[^ ]*" /proc/mounts | sort -r | xargs -r umount', folder]);
        rmSync(folder, { recursive: true });
    }
}

test("down without hosts of the lab: their state is dropped", async () => {
    leaveState();
    expect((await make("down")).stderr).toContain("not destroyed but dropped with the lab: it has a state and no hosts");
    expect(await traces()).toEqual([]);
});

test("a host that podman has forgotten is removed, but no listed or foreign one", async () => {
    await lab.start("lb1");
    const [own, foreign] = [lab.host("lb1").container, `${lab.host("lb1").container}-of-another-lab`];
    await withForgotten([own, foreign], async isRunning => {
        await endForgottenContainers([own]);
        expect([await isRunning(own), await isRunning(foreign)]).toEqual([false, true]);
        expect(await lab.host("lb1").state()).toBe("healthy");
    });
});

test("up when a host has died: a new lab without the old state, checked and explained", async () => {
    await lab.start("lb1");
    leaveState();
    await lab.host("lb1").kill();
    const { stdout, stderr } = await make("up");
    expect(stderr).toMatch(/half dead \(lb1 exited, .*\): replaced as a whole/);
    expect(existsSync(oldState)).toBe(false);
    expect(stdout).toContain("https://rancher.lab.internal");
    expect(stdout).toMatch(/^ {2}ok .*ping/m);
    expect(stdout).toContain("The stack is up.");
    expect(stdout).toContain("update-ca-certificates");
    expect(stdout).toMatch(/^Rancher 2\.11\.\d+ is up on Kubernetes v1\.30\.14: https:\/\/rancher\.lab\.internal$/m);
    expect(stdout).toMatch(/^ +rancher\.lab\.internal\. {2}A {2}10\.89\.\d+\.21$/m);
    expect(stdout).toMatch(/^ {2}outputs +`make output NAME=bootstrapPassword` in place of `pulumi stack output/m);
    expect(stdout).toMatch(/^ {2}made of +1 load balancer host, 3 nodes/m);
    expect(stderr).toMatch(/^\[ +[\d.]+ s\] tools +ready/m);
    expect(stderr).toMatch(/^\[ +[\d.]+ s\] node1 +started$/m);
    expect(stderr).toMatch(/^\[ +[\d.]+ s\] stack +bringing up, about 2 min$/m);
    expect(stderr).toMatch(/^\[ +[\d.]+ s\] stack +bringing up for \d+ s, usually about 2 min$/m);
    // A successful first run prints nothing that reads like a failure.
    expect(stdout).toContain("rancher-cluster-drift: no cluster exists before the first pulumi up, so none was checked for drift");
    expect(stdout).not.toMatch(/ECONNREFUSED|absent|unreachable|not as configured|reachable Kubernetes|rkestate|error:/);
    const network = expect.stringMatching(`^rancher-ha-${lab.name}-[0-9a-z]{8}$`);
    expect(await traces()).toEqual(expect.arrayContaining([`rancher-ha-${lab.name}-lb1`, network, lab.folder]));
});

test("up again: nothing had to be changed", async () => {
    expect((await make("up")).stdout).toContain("Nothing had to be changed: the stack is as it should be.");
});

test("preview: nothing to do; output: one value, as a program reads it", async () => {
    expect((await make("preview")).stdout).toMatch(/\d+ unchanged/);
    expect((await make("output", "rancherVersion")).stdout).toMatch(/^2\.11\.\d+\n$/);
});

test("pulumi: the CLI with the lab's state", async () => {
    expect((await make("pulumi", "stack", "history", "--json")).stdout).toMatch(/"kind": "update"/);
    expect((await make("pulumi", "preview", "--expect-no-changes")).stdout).toMatch(/\d+ unchanged/);
    expect((await run("git", ["status", "--porcelain", "Pulumi.dev.yaml", "Pulumi.yaml"], { cwd: repository })).stdout).toBe("");
});

test("no warning of the CLI stands in what was said, and none about a plugin", () => {
    expect(said.join("").match(/^ *warning: .*/gm) ?? []).toEqual([]);
});

test("help names every command of the README", async () => {
    const { stdout } = await run("make", ["help"], { cwd: repository });
    for (const verb of ["up", "preview", "drift", "down", "output", "pulumi", "check", "test", "soak", "bench", "bench-stack"])
        expect(stdout).toMatch(new RegExp(`^ +make ${verb} +\\S`, "m"));
});

test("drift: the preview sees what was changed, up heals it, the next preview is empty", async () => {
    const [, seen, healed, empty] = (await make("drift")).stdout.split(
        /the next preview sees it:|`up` heals it:|the preview after it is empty:/,
    );
    expect(seen).toMatch(/nginx\.conf: content changed/);
    expect(seen).toMatch(/nginx\.service: inactive, expected active/);
    expect(seen).not.toContain("error:");
    expect(healed).toMatch(/updated/);
    expect(empty).not.toMatch(/updated|to update/);
});

test("no secret of the stack has been said", async () => {
    const resources = await new Stack(lab).resources();
    const wanted = resources.filter(({ type }) => /^(tls|random):|^pulumi:pulumi:Stack$/.test(type)).map(({ outputs }) => outputs);
    const sshKey = readFileSync(lab.privateKeyFile, "utf8").trim().split("\n").slice(1, -1);
    const secrets = [...secretTexts(wanted), ...sshKey];
    expect(secrets.length).toBeGreaterThan(20);
    for (const secret of secrets) expect(said.some(text => text.includes(secret))).toBe(false);
    expect(said.join("")).not.toMatch(/PRIVATE KEY-----/);
});

test("down: the stack and its lab are removed; again, there is nothing to remove", async () => {
    expect((await make("down")).stdout).toMatch(/deleted/);
    expect(await traces()).toEqual([]);
    expect((await make("down")).stderr).toContain("nothing to remove");
});
