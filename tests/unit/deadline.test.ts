import { existsSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { delimiter, join } from "path";

const { deadlineIn, stopwatch } = jest.requireActual("../../components/remote/runner/deadline.js");
const { evictPods } = jest.requireActual("../../components/cluster/rke/runner/leavingNodes.js");
const { runRkeUntilHealthy } = jest.requireActual("../../components/cluster/rke/runner/rkeCommand.js");

/** Sets the clock of the machine one day forward at each look. */
function stepClock(): void {
    const begin = Date.now();
    let looks = 0;
    jest.spyOn(Date, "now").mockImplementation(() => begin + (looks += 1) * 86_400_000);
}

let folder: string;
beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "deadline-"));
    writeFileSync(join(folder, "cluster.yml"), "nodes: []\n");
    jest.spyOn(process.stderr, "write").mockReturnValue(true);
});
afterEach(() => {
    jest.restoreAllMocks();
    rmSync(folder, { recursive: true });
});

test("a deadline and a stopwatch do not move with the clock", () => {
    stepClock();
    const [deadline, elapsed] = [deadlineIn(60), stopwatch()];
    expect(deadline.isOver()).toBe(false);
    expect(deadline.left()).toBeGreaterThan(50);
    expect(elapsed()).toBeLessThan(10);
});

test("the time left is never negative", () => {
    const deadline = deadlineIn(60);
    const now = process.uptime();
    jest.spyOn(process, "uptime").mockReturnValue(now + 61);
    expect([deadline.left(), deadline.isOver()]).toEqual([0, true]);
});

test("a pod that ends meanwhile is waited for when the clock is set forward", async () => {
    stepClock();
    const node = { metadata: { name: "node1" }, spec: {}, status: { conditions: [{ type: "Ready", status: "True" }] } };
    const pods = [[{ metadata: { namespace: "a", name: "b", deletionTimestamp: "now" }, status: { phase: "Running" } }], []];
    const api = async (path: string) => (path.includes("/pods?") ? { items: pods.shift() } : node);
    await evictPods(api, [{ name: "node1", address: "192.0.2.31" }], { seconds: 60, pauseSeconds: 0.01 });
    expect(pods).toEqual([]);
});

describe("rke", () => {
    const unhealthy = 'level=fatal msg="Failed to verify healthcheck: Service [kube-apiserver]"';
    /** Runs a stand-in for rke: a shell text, which finds the file `ran` from its second run on. */
    async function run(script: string, timeoutSeconds: number) {
        writeFileSync(join(folder, "rke"), `#!/bin/sh\n${script}\ntouch ran\n[ -z "$fails" ]\n`, { mode: 0o755 });
        const env = { ...process.env, PATH: [folder, process.env.PATH].join(delimiter) };
        return runRkeUntilHealthy(["up"], { folder, env, marker: "done", timeoutSeconds });
    }
    const failsFirst = `if [ -e ran ]; then echo 'level=info msg="done"'; else echo '${unhealthy}'; fails=yes; fi`;

    test("has its time when the clock is set forward between two runs", async () => {
        stepClock();
        expect(await run(failsFirst, 600)).toMatchObject({ code: 0, done: true });
    });

    test("is not run again when little of its time is left, and the reason stays", async () => {
        const now = process.uptime();
        jest.spyOn(process, "uptime").mockImplementation(() => now + (existsSync(join(folder, "ran")) ? 500 : 0));
        const { code, fatal } = await run(failsFirst, 600);
        expect([code, fatal]).toEqual([1, "Failed to verify healthcheck: Service [kube-apiserver]"]);
    });

    test("is stopped after its time, and the reason says so", async () => {
        const { code, killed } = await run("exec sleep 60", 0.3);
        expect([code, killed]).toEqual([null, "0.3 s (cluster.timeoutSeconds)"]);
    });
});
