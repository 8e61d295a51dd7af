import { spawnSync } from "child_process";
import { readdirSync, readFileSync } from "fs";
import { basename, dirname, join } from "path";
import * as ts from "typescript";
import * as nodePrograms from "../../components/cluster/rke/hostPrograms";
import { scripts } from "../../components/loadBalancer/program";

function sources(folder: string): string[] {
    return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
        const path = join(folder, entry.name);
        return entry.isDirectory() ? sources(path) : [path];
    });
}

const root = join(__dirname, "..", "..");
const program = ["index.ts", "config.ts", "configFiles.ts"].map(file => join(root, file));
const library = [...sources(join(root, "components")), ...program].filter(path => path.endsWith(".ts"));
const offenders = (pattern: RegExp, except: string[]) =>
    library
        .map(path => path.slice(root.length + 1))
        .filter(path => !except.includes(path) && pattern.test(readFileSync(join(root, path), "utf8")));

const linesIn = (path: string) => readFileSync(path, "utf8").split("\n").length - 1;

test("only remote/commands.ts makes commands", () => {
    const values = /^import\s+(?!type\b)[^;]*from\s+"(@pulumi\/command[^"]*|(node:)?(child_process|https?|net)|ssh2)"/m;
    // openssh.ts runs ssh-keygen alone, and environmentProxy.ts compares addresses. Both contact no host.
    const others = ["components/remote/openssh.ts", "components/cluster/environmentProxy.ts"];
    expect(offenders(values, others)).toEqual(["components/remote/commands.ts"]);
    expect(offenders(/new\s+(command\.)?(remote|local)\.(Command|CopyToRemote)|local\.run(Output)?\(/, [])).toEqual([
        "components/remote/commands.ts",
    ]);
});

test("only config.ts reads the stack's configuration", () => {
    expect(offenders(/pulumi\.Config\b|allConfig\(/, [])).toEqual(["config.ts"]);
});

test("components do not import the lab or the program", () => {
    expect(offenders(/from\s+"\.[^"]*\/(lab|tests|bench|config|configFiles)(\/|")/, ["index.ts", "config.ts"])).toEqual([]);
});

test("only tests import tests", () => {
    const others = ["components", "lab", "bench", "scripts", "adopt", "images", "examples"].flatMap(folder => sources(join(root, folder)));
    expect(others.filter(path => path.endsWith(".ts") && /from\s+"\.[^"]*\/tests\//.test(readFileSync(path, "utf8")))).toEqual([]);
});

test("no module imports itself, by whatever way, types included", () => {
    const folders = ["components", "lab", "bench", "scripts", "adopt", "images", "examples", "tests"].flatMap(folder =>
        sources(join(root, folder)),
    );
    const files = [...folders, ...program].filter(path => /\.(ts|js)$/.test(path));
    const imports = (path: string) =>
        [...readFileSync(path, "utf8").matchAll(/(?:^(?:import|export) [^;]*?from |require\()"(\.[^"]+)"/gm)].flatMap(([, name]) =>
            ["", ".ts", ".js", "/index.ts"].map(ending => join(dirname(path), name + ending)).filter(file => files.includes(file)),
        );
    const circle = (path: string, way: string[]): string[] | undefined => {
        if (way.includes(path)) return [...way.slice(way.indexOf(path)), path];
        if (done.has(path)) return undefined;
        for (const next of imports(path)) {
            const found = circle(next, [...way, path]);
            if (found) return found;
        }
        done.add(path);
        return undefined;
    };
    const done = new Set<string>();
    expect(files.map(file => circle(file, [])).find(found => found)).toBeUndefined();
});

test("names of tests have at most 80 characters", () => {
    /** Returns the function at the beginning of an expression: `test` of `test.each(table)`. */
    const first = (node: ts.Expression): string =>
        ts.isCallExpression(node) || ts.isPropertyAccessExpression(node) ? first(node.expression) : node.getText();
    const namesIn = (node: ts.Node): ts.Expression[] => {
        const deeper: ts.Expression[] = [];
        ts.forEachChild(node, child => void deeper.push(...namesIn(child)));
        const isNamed = ts.isCallExpression(node) && ["test", "it", "describe"].includes(first(node.expression));
        return isNamed && node.arguments.length > 1 ? [node.arguments[0], ...deeper] : deeper;
    };
    const names = sources(join(root, "tests"))
        .filter(path => /\.(test|soak)\.ts$/.test(path))
        .flatMap(path => {
            const file = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
            return namesIn(file).map(name => ({
                at: `${path.slice(root.length + 1)}:${file.getLineAndCharacterOfPosition(name.getStart()).line + 1}`,
                // Placeholders of a template count as they are written.
                text: ts.isStringLiteralLike(name) ? name.text : name.getText().slice(1, -1),
            }));
        });
    expect(names.length).toBeGreaterThan(1000);
    const long = names.flatMap(({ at, text }) => (text.length > 80 ? [`${at} has a name of ${text.length} characters`] : []));
    expect(long).toEqual([]);
});

describe("shell files", () => {
    const isShell = (path: string) => path.endsWith(".sh") || /^#!.*\b(ba)?sh\n/.test(readFileSync(path, "utf8"));
    const files = ["components", "lab", "bench", ".ci"].flatMap(folder => sources(join(root, folder))).filter(isShell);
    const texts = files.map(path => [path.slice(root.length + 1), readFileSync(path, "utf8")] as const);

    test("have at most 300 lines", () => {
        expect(files.filter(path => linesIn(path) > 300)).toEqual([]);
    });

    test("are clean for shellcheck", () => {
        const { stdout, error } = spawnSync("shellcheck", files, { encoding: "utf8" });
        if (error) throw new Error("shellcheck is not installed: apt-get install shellcheck");
        expect(stdout).toBe("");
    });

    test("have lines of at most 140 columns", () => {
        const long = texts.flatMap(([name, text]) =>
            text.split("\n").flatMap((line, index) => (line.length > 140 ? [`${name}:${index + 1} has ${line.length} columns`] : [])),
        );
        expect(long).toEqual([]);
    });

    test("name the arguments of their functions with `local`", () => {
        // Programs of awk, sed and Perl stand in single quotes, and have variables of their own.
        const parts = /\\[^]|"(?:\\[^]|[^"\\])*"|'[^']*'|(?<=^|\s)#.*/gm;
        const functions = /^( *)(\w+)\(\) \{(?:.*\}$|[^]*?^\1\})/gm;
        const unnamed = texts.flatMap(([name, text]) =>
            [...text.replace(parts, part => (/^['#]/.test(part) ? "" : part)).matchAll(functions)]
                .filter(([body]) => /\$\{?[1-9]/.test(body.replace(/\blocal [^;\n]*/g, "")))
                .map(([, , called]) => `${name}: ${called}`),
        );
        expect(unnamed).toEqual([]);
    });
});

test("a unit test runs each shell file of components/", () => {
    const components = sources(join(root, "components"));
    const files = sources(join(root, "tests", "unit")).filter(path => path.endsWith(".test.ts") && path !== __filename);
    const tests = files.map(path => readFileSync(path, "utf8")).join("\n");
    const { hostPrograms, ...others } = nodePrograms;
    const calledPrograms = [
        ...Object.entries(hostPrograms()).filter(([program]) => tests.includes(`hostPrograms().${program}`)),
        ...Object.entries(others)
            .filter(([program]) => tests.includes(`${program}(`))
            .map(([program, render]) => [program, render([], [])]),
    ].map(([, text]) => text);
    /** Returns the names of modules that load a shell file of the runner. */
    const loading = (name: string) =>
        components
            .filter(path => /\.(ts|js)$/.test(path) && !path.endsWith("/hostPrograms.ts"))
            .filter(path => readFileSync(path, "utf8").includes(`${name}.sh"`))
            .map(path => basename(path).split(".")[0]);
    const isRun = (path: string) => {
        const name = basename(path, ".sh");
        return (
            // withHostFunctions leaves the verbs of main.sh out.
            (scripts.includes(path) && name !== "main" && tests.includes("withHostFunctions(")) ||
            [`/${name}.sh"`, `"${name}.sh"`, `["${name}"]`].some(words => tests.includes(words)) ||
            calledPrograms.some(text => text.includes(readFileSync(path, "utf8"))) ||
            loading(name).some(
                module => files.some(file => basename(file) === `${module}.test.ts`) || tests.includes(`"runner", "${module}"`),
            )
        );
    };
    const shell = components.filter(path => path.endsWith(".sh"));
    expect(shell.length).toBeGreaterThan(30);
    expect(shell.filter(path => !isRun(path)).map(path => path.slice(root.length + 1))).toEqual([]);
});

describe("Go of the lab", () => {
    const files = sources(join(root, "lab")).filter(path => path.endsWith(".go") && !path.endsWith("_test.go"));

    test("has files of at most 300 lines", () => {
        expect(files.filter(path => linesIn(path) > 300)).toEqual([]);
    });

    test("has functions of at most 60 lines", () => {
        const long = files.flatMap(path =>
            [...readFileSync(path, "utf8").matchAll(/^func (?:\(.*?\) )?(\w+).*[{(]\n[^]*?^\}/gm)]
                .map(([body, name]) => ({ at: `${path.slice(root.length + 1)}: ${name}`, lines: body.split("\n").length }))
                .filter(({ lines }) => lines > 60),
        );
        expect(long).toEqual([]);
    });
});

test("make loads no Pulumi SDK, whose start takes 2.5 s", () => {
    const program = `
        process.on("exit", () => process.stdout.write(Object.keys(require.cache).join("\\n")));
        require("./lab/cli.ts");`;
    // Without a verb, the program says how it is used.
    const { stdout, stderr } = spawnSync("node", ["--require", "tsx/cjs", "-e", program], { cwd: root, encoding: "utf8" });
    expect(stderr).toContain("usage: cli.ts VERB");
    const loaded = stdout.split("\n");
    expect(loaded).toContain(join(root, "lab", "cli.ts"));
    expect(loaded.filter(path => path.includes("/node_modules/@pulumi/"))).toEqual([]);
});
