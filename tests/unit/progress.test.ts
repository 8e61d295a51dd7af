import { longStep, progress, show, run } from "../../lab/process";

let said: string;
beforeEach(() => {
    said = "";
    jest.useFakeTimers();
    for (const stream of [process.stdout, process.stderr]) jest.spyOn(stream, "write").mockImplementation(chunk => ((said += chunk), true));
});
afterEach(() => {
    jest.useRealTimers();
    jest.restoreAllMocks();
});
const lines = () => said.replace(/^\[ *[\d.]+ s\] /gm, "").split("\n");

test("a long step says what it does, and every half minute that it goes on", async () => {
    const building = longStep("kubernetes", "building (1 of 7)", 360, () => new Promise(resolve => setTimeout(resolve, 155_000)));
    await jest.advanceTimersByTimeAsync(155_000);
    await building;
    const passed = ["30 s", "60 s", "90 s", "2 min", "3 min"];
    expect(lines()).toEqual([
        "kubernetes     building (1 of 7), about 6 min",
        ...passed.map(time => `kubernetes     building (1 of 7) for ${time}, usually about 6 min`),
        "",
    ]);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(lines()).toHaveLength(7);
});

test("a step that fails says no more, and its error is passed on", async () => {
    await expect(longStep("stack", "updating", 10, () => Promise.reject(new Error("refused")))).rejects.toThrow("refused");
    await jest.advanceTimersByTimeAsync(60_000);
    expect(lines()).toEqual(["stack          updating, about 10 s", ""]);
});

test("a line begins on its own, also when another program has not ended its last one", () => {
    show("@ updating...");
    progress("stack", "updating");
    progress("stack", "updated");
    expect(lines()).toEqual(["@ updating...", "stack          updating", "stack          updated", ""]);
});

test("a program that leaves a daemon behind ends with itself, and all it said is read", async () => {
    jest.useRealTimers();
    const { stdout } = await run("sh", ["-c", "sleep 60 & seq 100000; kill -0 $! && echo $!"]);
    process.kill(Number(stdout.trimEnd().split("\n")[100_000]));
    expect(stdout.length).toBeGreaterThan(588_895);
});
