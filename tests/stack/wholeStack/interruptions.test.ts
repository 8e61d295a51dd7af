import { spawnSync } from "child_process";
import { mkdtempSync, readdirSync, rmSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { until } from "../../../lab/process";
import { Finished } from "../../../lab/pulumi";
import { disposable, testLab } from "../fixtures";
import { changed, MainStack, nodes } from "./mainStack";

// These tests end runs half-way, in the order of the steps. Completed work is kept, and the next run finishes the rest.
jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
/** Folder for the temporary files of the runs. */
const temporary = mkdtempSync(join(tmpdir(), "interruptions-"));
const env = { TMPDIR: temporary };
let main: MainStack;
let authorities: string[];

beforeAll(async () => void (main = await MainStack.start(lab)), 10 * 60_000);
afterAll(() => rmSync(temporary, { recursive: true }));

/** Runs an update, and ends it by SIGKILL after a matching line and `moment`. */
async function killedAfter(line: RegExp, moment: () => Promise<unknown>): Promise<Finished> {
    let killing: Promise<unknown> | undefined;
    const finished = await main.up({
        env,
        onLine: (said, { kill }) => {
            if (line.test(said)) killing ??= moment().then(kill);
        },
    });
    if (!killing) throw new Error(`expected a line like ${line}, found:\n${finished.output.slice(-3000)}`);
    await killing;
    return finished;
}

async function killedInsideRke(): Promise<void> {
    await killedAfter(/rke: \[etcd\] Building up etcd plane/, () => new Promise(resolve => setTimeout(resolve, 3000)));
    const left = () => readdirSync(temporary).filter(name => name.startsWith("rancher-ha-"));
    await until("the runner to end with RKE, because nobody listens any more", 60, async () => left().length === 0);
}

/** Expects the next update to be refused by the lock of the killed one, and releases this lock. A preview needs no lock. */
async function unlocked(): Promise<void> {
    const { code, output } = await main.up();
    expect(code).not.toBe(0);
    expect(output).toMatch(/the stack is currently locked by 1 lock\(s\)/);
    expect(output).toContain("pulumi cancel");
    await main.stack.cancel();
}

test("killed inside RKE: no key stays where Pulumi runs, and destroy leaves the hosts clean", async () => {
    await killedInsideRke();
    expect(spawnSync("pgrep", ["-af", `ssh-agent -a ${temporary}/`]).stdout.toString()).toBe("");
    expect(await lab.host("node1").sh("docker ps --all --quiet")).not.toBe("");
    await unlocked();
    await main.succeeds("destroy");
    for (const node of nodes) await main.isClean(node);
});

test("an address that no host has can be corrected, with the same CAs", async () => {
    const { code, output } = await main.up({
        edit: ({ cluster }) => Object.assign(cluster.nodes[1], { address: lab.addressAt(34), hostKey: lab.host("node2").hostKey }),
    });
    expect(output).toMatch(/no host was changed, because: \[RHA nodes-not-fit\]\s+- node2: .*no SSH connection/);
    expect(code).not.toBe(0);
    authorities = await main.authorities();
});

test("killed inside RKE: both CAs are kept, and a node may not be left out while no API tells whose it is", async () => {
    await killedInsideRke();
    await main.stack.cancel();
    expect(await main.authorities()).toEqual(authorities);
    const { code, output } = await main.up({ edit: ({ cluster }) => cluster.nodes.splice(1) });
    const left = [lab.host("node2").address, lab.host("node3").address].join(", ");
    expect(output).toContain(`${left} is to be removed, but the cluster's current state is not at hand`);
    expect(code).not.toBe(0);
});

test("killed inside Helm: what was done is kept, and a preview names what Helm left pending", async () => {
    // Rancher's pods get no node, so Helm waits for them.
    const records = async () => main.kubectl(["get", "secrets", "--selector=owner=helm,status=pending-install", "--output=name"]);
    const cordoned = async () => {
        await until("the API", 300, async () =>
            main.kubectl(["cordon", ...nodes]).then(
                () => true,
                () => false,
            ),
        );
        await until("Helm's record", 300, async () => (await records().catch(() => "")) !== "");
    };
    await killedAfter(/rancher-namespace .*creat/, cordoned);
    await main.kubectl(["uncordon", ...nodes]);
    expect(await records()).not.toBe("");
    await main.stack.cancel();
    const names = await main.names();
    expect(names).toEqual(expect.arrayContaining(["rancher-cluster-rke", "rancher-ca-secret-secret"]));
    expect(names).not.toContain("rancher-verification-checks");
    const { output } = await main.preview({ flags: ["--diff"] });
    // A preview breaks long lines.
    expect(output.replace(/\n[ +]+/g, " ")).toMatch(
        /revision 1 of the release is pending-install since \d+ s: a run of this stack was ended in the middle, or somebody's is under way/,
    );
});

test("the next up finishes, with the same CAs, and the preview after it is empty", async () => {
    const { output } = await main.succeeds("up");
    expect(output).toContain("was left pending-install: removing Helm's record");
    expect(await main.authorities()).toEqual(authorities);
    await main.isInSync();
});

test("two updates at once: the second is refused, the first finishes", async () => {
    let second: Promise<Finished> | undefined;
    const edit = (config: any) => (config.loadBalancer.readTimeoutSeconds = 3600);
    const first = await main.up({ edit, onLine: line => void (/rancher-lb-host-1 .*updat/.test(line) && (second ??= main.up({ edit }))) });
    expect(first.code).toBe(0);
    const refused = (await second)!;
    expect(refused.code).not.toBe(0);
    expect(refused.output).toContain("the stack is currently locked by 1 lock(s)");
});

test("Ctrl-C in an update: the lock is released, and the next update finishes", async () => {
    let pressed = false;
    const interrupted = await main.up({
        onLine: (line, { interrupt }) => {
            // A second Ctrl-C would end the CLI at once, and leave the lock.
            if (pressed || !/rancher-lb-host-1 .*updat/.test(line)) return;
            pressed = true;
            interrupt();
        },
    });
    expect(interrupted.code).not.toBe(0);
    const { steps } = await main.succeeds("up");
    expect(changed({ steps } as Finished)).toEqual(expect.not.arrayContaining(["rancher-cluster-rke"]));
    await main.isInSync();
});
