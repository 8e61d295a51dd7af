import { isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";

/** A single value of a YAML file. */
export interface Leaf {
    /** Path in the file, for example `nodes[0].address`. */
    path: string;
    /** The path with `[]` in place of every index. */
    kind: string;
    /** The keys and indexes of the path. A key can hold a dot. */
    keys: (string | number)[];
    value: unknown;
    line: number;
}

/** Returns the single values of a YAML text, and throws for invalid YAML. Empty lists and objects have none. */
export function yamlLeaves(text: string): Leaf[] {
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines });
    if (document.errors.length > 0)
        throw new Error(`expected YAML, found a fault in line ${lines.linePos(document.errors[0].pos[0]).line}`);
    const leavesOf = (node: unknown, path: string, keys: (string | number)[]): Leaf[] => {
        if (isMap(node))
            return node.items.flatMap(({ key, value }) => leavesOf(value, path ? `${path}.${key}` : String(key), [...keys, String(key)]));
        if (isSeq(node)) return node.items.flatMap((item, index) => leavesOf(item, `${path}[${index}]`, [...keys, index]));
        if (!isScalar(node)) return [];
        return [{ path, kind: path.replace(/\[\d+\]/g, "[]"), keys, value: node.value, line: lines.linePos(node.range![0]).line }];
    };
    return leavesOf(document.contents, "", []);
}
