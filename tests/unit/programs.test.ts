import { execFileSync, spawnSync } from "child_process";
import { mkdtempSync, rmSync, writeFileSync } from "fs";
import * as fc from "fast-check";
import { tmpdir } from "os";
import { join } from "path";
import { nodeProgram, shellProgram } from "../../components/remote/programs";

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "programs-"))));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
}

test("any text reaches a shell program unchanged", () => {
    const script = file("echo.sh", 'printf \'%s|%s\' "$1" "$data"');
    const text = fc.string({ unit: "binary" }).filter(value => !value.includes("\0"));
    fc.assert(
        fc.property(text, data => {
            const output = execFileSync("sh", ["-s", "apply"], { input: shellProgram([script], { data }) });
            expect(output.toString("utf8")).toBe(Buffer.from(`apply|${data}`, "utf8").toString("utf8"));
        }),
        { numRuns: 60 },
    );
});

test("a command inside a shell program cannot eat the rest of the program", () => {
    const script = file("eater.sh", "cat >/dev/null\necho reached");
    expect(execFileSync("sh", ["-s", "apply"], { input: shellProgram([script], {}) }).toString()).toBe("reached\n");
});

test("a shell program that arrives cut off does nothing", () => {
    const program = shellProgram([file("mark.sh", "echo started\necho ended")], {});
    const result = spawnSync("sh", ["-s", "apply"], { input: program.slice(0, program.indexOf("echo ended")) });
    expect(result.stdout.toString()).toBe("");
    expect(result.status).not.toBe(0);
});

test("a node program gets its verb and its input", () => {
    const entry = file("main.js", "module.exports.main = input => process.stdout.write(process.argv[2] + JSON.stringify(input));");
    const input = { text: "a'b\"c\n\u2028", list: [1] };
    expect(execFileSync("node", ["-", "probe"], { input: nodeProgram(entry, input) }).toString()).toBe(`probe${JSON.stringify(input)}`);
});

test("a node program brings each required module once, and names no folder", () => {
    file("shared.js", "let count = 0;\nmodule.exports = { next: () => ++count };");
    file("other.js", 'const { next } = require("./shared");\nmodule.exports = { other: () => next() };');
    const texts = [
        'const { next } = require("./shared");',
        'const { other } = require("./other");',
        "module.exports = { main: () => console.log(next(), other()) };",
    ];
    const program = nodeProgram(file("entry.js", texts.join("\n")), {});
    expect(execFileSync("node", ["-"], { input: program }).toString()).toBe("1 2\n");
    const ofLibrary = nodeProgram(join(__dirname, "..", "..", "components", "rancher", "runner", "probeRelease.js"), {});
    expect(ofLibrary).toContain('load("remote/runner/probe.js")');
    expect(ofLibrary).toContain('load("yaml/dist/index.js")');
    expect(ofLibrary).not.toContain('require("yaml")');
    expect(ofLibrary).not.toContain(join(__dirname, "..", ".."));
});

test("a node program holds a required shell script as text", () => {
    const text = 'echo "$1" # require("./nothing")\n';
    file("script.sh", text);
    const entry = file("scripted.js", 'module.exports.main = () => process.stdout.write(require("./script.sh"));');
    expect(execFileSync("node", ["-"], { input: nodeProgram(entry, {}) }).toString()).toBe(text);
});

describe("a node program with a version", () => {
    const program = (version: number, input: unknown, comment = "") =>
        nodeProgram(
            file(
                "versioned.js",
                `// ${comment}
                const main = async (input, last) => (console.error("works"), JSON.stringify({ ...input, last }));
                module.exports = { main, version: ${version}, compared: ({ key, ...data }) => data };`,
            ),
            input,
        );
    const run = (text: string, last = "", verb = "apply") => {
        const env = { ...process.env, PULUMI_COMMAND_STDOUT: last };
        const { stdout, stderr, status } = spawnSync("node", ["-", verb], { input: text, env, encoding: "utf8" });
        return { status, stdout, isDone: stderr === "works\n", result: stdout.split("\n")[0] };
    };
    const first = () => run(program(1, { a: 1, b: [{ c: 2, d: 3 }], key: "old" }));

    test.each<[string, () => string]>([
        ["its text is another", () => program(1, { a: 1, b: [{ c: 2, d: 3 }], key: "old" }, "a remark")],
        ["its data is in another order", () => program(1, { b: [{ d: 3, c: 2 }], a: 1, key: "old" })],
        ["what it leaves out of the comparison is another", () => program(1, { a: 1, b: [{ c: 2, d: 3 }], key: "new" })],
    ])("prints its last result again when %s", (_what, text) => {
        const { stdout, isDone } = first();
        expect(isDone).toBe(true);
        // Pulumi keeps the result without its last line break.
        expect(run(text(), `${stdout}\n`.trimEnd())).toMatchObject({ status: 0, stdout, isDone: false });
    });

    test.each<[string, () => string]>([
        ["its data is another", () => program(1, { a: 2, b: [{ c: 2, d: 3 }], key: "old" })],
        ["its version is another", () => program(2, { a: 1, b: [{ c: 2, d: 3 }], key: "old" })],
    ])("does its work, with the result that it printed last, when %s", (_what, text) => {
        const { stdout, result } = first();
        const second = run(text(), stdout);
        expect([second.isDone, JSON.parse(second.result).last]).toEqual([true, result]);
    });

    test("does its work after a result of a library without versions", () => {
        const { isDone, result } = run(program(1, {}), "any result\n");
        expect([isDone, JSON.parse(result)]).toEqual([true, { last: "any result" }]);
    });

    test("is given the result that it printed last when it destroys", () => {
        const { stdout, result } = first();
        expect(JSON.parse(run(program(1, {}), stdout, "destroy").stdout)).toEqual({ last: result });
    });
});
