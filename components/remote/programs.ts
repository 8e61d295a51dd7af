import { readFileSync } from "fs";
import { createRequire, isBuiltin } from "module";
import { join, relative } from "path";

/**
 * Programs travel on standard input, with their data inside. So neither the command line nor an error that quotes it holds a secret.
 * Both kinds of program take a verb (`apply`, `probe`, …) as their first argument. They write progress to standard error and their
 * result to standard output.
 */

/** Returns a POSIX sh program for a host: a function with the variables and the given sources. */
export function shellProgram(sources: string[], variables: Record<string, string>): string {
    // The function makes sh read the whole program before it runs the first line. So no command can eat the rest of the input.
    return [
        "main() {",
        ...assignments(variables),
        ...sources.map(source => readFileSync(source, "utf8")),
        "}",
        'main "$@" </dev/null',
        "",
    ].join("\n");
}

/** Returns assignments of the variables of a shell program, one line each. */
export function assignments(variables: Record<string, string>): string[] {
    return Object.entries(variables).map(([name, value]) => `${name}=${shellQuote(value)}`);
}

/**
 * Returns a Node program for the machine that runs Pulumi. It holds a module with all required modules that Node does not have, and calls
 * `main(input)`. A required shell script (`.sh`) is a module that exports its text. A module that exports a `version` keeps its last result
 * for the same data (runner/result.js).
 */
export function nodeProgram<Input>(entry: string, input: Input): string {
    const modules = new Map<string, string>();
    const [name, result] = [entry, join(__dirname, "runner", "result.js")].map(file => JSON.stringify(addModule(modules, file)));
    return [
        "const modules = {",
        ...[...modules].map(([key, text]) => `${JSON.stringify(key)}(module, exports) {\n${text}},`),
        "};",
        loader,
        `const { runVersioned } = load(${result});`,
        `const program = load(${name});`,
        "const main = program.version ? input => runVersioned(program, input) : program.main;",
        `main(${JSON.stringify(input)});`,
        "",
    ].join("\n");
}

const loader = `const loaded = {};
function load(name) {
    if (!loaded[name]) {
        const module = (loaded[name] = { exports: {} });
        modules[name](module, module.exports);
    }
    return loaded[name].exports;
}`;

/** Adds a module and the modules that it requires. Returns its name, which reveals nothing about the folder of this library. */
function addModule(modules: Map<string, string>, file: string): string {
    const name = relative(join(__dirname, ".."), file).replace(/^.*node_modules\//, "");
    if (modules.has(name)) return name;
    // The entry exists before the required modules are added, because a circle of modules would never end.
    modules.set(name, "");
    const load = (call: string, path: string) =>
        isBuiltin(path) ? call : `load(${JSON.stringify(addModule(modules, createRequire(file).resolve(path)))})`;
    const text = readFileSync(file, "utf8");
    const code = file.endsWith(".sh")
        ? `module.exports = ${JSON.stringify(text)};\n`
        : text.replace(/\brequire\(["']([^"']+)["']\)/g, load);
    modules.set(name, code);
    return name;
}

export function shellQuote(text: string): string {
    return `'${text.replace(/'/g, "'\\''")}'`;
}
