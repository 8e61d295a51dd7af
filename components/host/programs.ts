import { readFileSync } from "fs";

/**
 * Programs travel on standard input, with their data inside, so that neither the command text nor an error that quotes it
 * holds a secret. Both kinds take a verb (`apply`, `probe`, …) as their first argument, write progress to standard error and
 * their result to standard output.
 */

/** A POSIX sh program for a host: the given sources inside a function, after its variables. */
export function shellProgram(sources: string[], variables: Record<string, string>): string {
    const assignments = Object.entries(variables).map(([name, value]) => `${name}=${shellQuote(value)}`);
    // The function makes sh read the whole program before it runs a line of it: commands cannot eat the rest of the input.
    return ["main() {", ...assignments, ...sources.map(source => readFileSync(source, "utf8")), "}", 'main "$@" </dev/null', ""].join("\n");
}

/** A Node program for the machine that runs Pulumi: the given sources, then a call of their `main(input)`. */
export function nodeProgram(sources: string[], input: unknown): string {
    return [...sources.map(source => readFileSync(source, "utf8")), `main(${JSON.stringify(input)});`, ""].join("\n");
}

export function shellQuote(text: string): string {
    return `'${text.replace(/'/g, "'\\''")}'`;
}
