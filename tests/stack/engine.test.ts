import { mkdirSync } from "fs";
import { join } from "path";
import { run } from "../../lab/process";
import { Stack } from "../../lab/pulumi";
import { disposable, testLab } from "./fixtures";

// These tests run the Pulumi CLI and its plugins in the lab, without hosts. They show the errors that a person gets when a part is missing.
jest.setTimeout(3 * 60_000);

const lab = disposable(testLab());
let stack: Stack;
beforeAll(() => void (stack = new Stack(lab, { program: join(__dirname, "..", "fixtures", "plugins"), config: {} })));

test("up, preview, refresh and destroy work without any network", async () => {
    const offline = (verb: string, ...flags: string[]) =>
        stack.run(verb, flags, { wrap: ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"] });
    const up = await offline("up", "--yes", "--skip-preview");
    expect({ code: up.code, output: up.code === 0 ? "" : up.output }).toEqual({ code: 0, output: "" });
    expect(up.output).not.toMatch(/warning|download|install/i);
    expect((await offline("preview", "--expect-no-changes")).code).toBe(0);
    expect((await offline("preview", "--refresh", "--run-program", "--expect-no-changes")).code).toBe(0);
    expect((await offline("destroy", "--yes", "--skip-preview")).code).toBe(0);
});

test("without the Kubernetes plugin a preview fails at once, and names what is missing", async () => {
    const home = join(lab.folder, "empty-home");
    mkdirSync(home, { recursive: true });
    const { code, output } = await stack.preview([], { env: { PULUMI_HOME: home } });
    expect(code).not.toBe(0);
    expect(output).toMatch(/no resource plugin 'pulumi-resource-\w+' found/);
});

test("the exported state holds no secret in clear", async () => {
    await stack.up();
    const { password, key } = (await stack.outputs()).result;
    const exported = JSON.stringify(await stack.exported());
    expect(password).toHaveLength(24);
    for (const secret of [password, key.split("\n")[1]]) expect(exported).not.toContain(secret);
    await stack.destroy();
});

test("the state is left locked by a run that was killed; cancel releases it", async () => {
    // The resource takes so long that the kill comes first even on the slowest machine.
    stack.configure({ "plugins:seconds": "60" });
    const killed = await stack.up([], { onLine: (line, { kill }) => void (/said .*creat/.test(line) && kill()) });
    expect(killed.code).not.toBe(0);
    const refused = await stack.up();
    expect(refused.output).toMatch(/the stack is currently locked by 1 lock\(s\)[^]*pulumi cancel/);
    await stack.cancel();
    stack.configure({});
    expect((await stack.up()).code).toBe(0);
    expect((await stack.destroy()).code).toBe(0);
});

test("no process of a run is left", async () => {
    const { stdout } = await run("ps", ["-eo", "args"]);
    expect(stdout.split("\n").filter(line => line.includes(lab.folder))).toEqual([]);
});
