import { readdirSync, readFileSync } from "fs";
import { join } from "path";

function sources(folder: string): string[] {
    return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
        const path = join(folder, entry.name);
        return entry.isDirectory() ? sources(path) : [path];
    });
}

const root = join(__dirname, "..", "..");
const library = [...sources(join(root, "components")), join(root, "index.ts"), join(root, "config.ts")].filter(path =>
    path.endsWith(".ts"),
);
const offenders = (pattern: RegExp, except: string[]) =>
    library
        .map(path => path.slice(root.length + 1))
        .filter(path => !except.includes(path) && pattern.test(readFileSync(join(root, path), "utf8")));

test("only remote/commands.ts makes commands", () => {
    const values = /^import\s+(?!type\b)[^;]*from\s+"(@pulumi\/command[^"]*|(node:)?(child_process|https?|net)|ssh2)"/m;
    // This one names the type of what commands.ts makes.
    expect(offenders(values, ["components/loadBalancer/nginxLoadBalancer.ts"])).toEqual(["components/remote/commands.ts"]);
    expect(offenders(/new\s+(command\.)?(remote|local)\.(Command|CopyToRemote)|local\.run(Output)?\(/, [])).toEqual([
        "components/remote/commands.ts",
    ]);
});

test("only config.ts reads the stack's configuration", () => {
    expect(offenders(/pulumi\.Config\b|allConfig\(/, [])).toEqual(["config.ts"]);
});

test("components do not import the lab or the program", () => {
    expect(offenders(/from\s+"\.[^"]*\/(lab|tests|bench|config)(\/|")/, ["index.ts"])).toEqual([]);
});
