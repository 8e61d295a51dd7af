import { dirname } from "path";
import { words } from "../components/loadBalancer/directives";

/** A directive of NGINX. */
export interface Directive {
    /** Line in the text, from 1. */
    line: number;
    name: string;
    values: string[];
    /** Directives of its block. */
    children?: Directive[];
}

/** Returns the directives of an nginx.conf, or of the output of `nginx -T` with the included files in their places. */
export function directivesOf(text: string): Directive[] {
    const files = filesOf(text);
    const [[main, directives]] = files;
    return main === "" ? directives : withIncludes(directives, files, dirname(main));
}

/** Returns the directives of each file in the output of `nginx -T` by its path. A plain file has the path "". */
function filesOf(text: string): Map<string, Directive[]> {
    const files = new Map<string, Directive[]>([["", []]]);
    let blocks = [files.get("")!];
    let statement: { word: string; line: number }[] = [];
    let line = 1;
    let end = 0;
    for (const match of text.matchAll(words)) {
        const [word] = match;
        line += text.slice(end, match.index).split("\n").length - 1;
        end = match.index;
        const [, file] = /^# configuration file (.+):$/.exec(word) ?? [];
        if (file) {
            if (blocks[0].length === 0) files.delete("");
            blocks = [[]];
            files.set(file, blocks[0]);
            statement = [];
        }
        if (word.startsWith("#")) continue;
        if (![";", "{", "}"].includes(word)) {
            statement.push({ word: word.replace(/^(["'])([^]+)\1$/, "$2"), line });
            continue;
        }
        const [first, ...values] = statement;
        const directive: Directive = { line: first?.line ?? line, name: first?.word ?? "", values: values.map(each => each.word) };
        if (word === "{") blocks.push((directive.children = []));
        const around = blocks.at(word === "{" ? -2 : -1)!;
        if (first || directive.children) around.push(directive);
        if (word === "}" && blocks.length > 1) blocks.pop();
        statement = [];
    }
    return files;
}

/** Returns directives with the content of files in the place of each `include`. Relative paths begin in the folder of the main file. */
function withIncludes(directives: Directive[], files: Map<string, Directive[]>, folder: string, way: string[] = []): Directive[] {
    return directives.flatMap(directive => {
        if (directive.children) return [{ ...directive, children: withIncludes(directive.children, files, folder, way) }];
        if (directive.name !== "include") return [directive];
        const [pattern = ""] = directive.values;
        const path = globOf(pattern.startsWith("/") ? pattern : `${folder}/${pattern}`);
        const found = [...files.keys()].filter(file => path.test(file) && !way.includes(file));
        return found.flatMap(file => withIncludes(files.get(file)!, files, folder, [...way, file]));
    });
}

/** Returns the pattern of a path with `*` and `?`. */
const globOf = (pattern: string) =>
    new RegExp(
        `^${pattern
            .replace(/[.+^${}()|\\]/g, "\\$&")
            .replace(/\*/g, "[^/]*")
            .replace(/\?/g, "[^/]")}$`,
    );

/** Returns the directives of a name in a block. */
export const named = (directives: Directive[] | undefined, ...names: string[]): Directive[] =>
    (directives ?? []).filter(({ name }) => names.includes(name));

/** Returns the directives of a name in a block and in all blocks inside. */
export const allNamed = (directives: Directive[] | undefined, ...names: string[]): Directive[] =>
    (directives ?? []).flatMap(each => [...(names.includes(each.name) ? [each] : []), ...allNamed(each.children, ...names)]);

/** Returns a directive as it stands in the file, without its block. */
export const textOf = ({ name, values }: Directive): string => [name, ...values].join(" ");
