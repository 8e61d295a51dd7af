import { isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";

/** A single value of a YAML file. */
export interface Leaf {
    /** For example `nodes[0].address`. */
    path: string;
    /** The same with `[]` in place of every index. */
    kind: string;
    value: unknown;
    line: number;
}

/** Returns the single values of a YAML text, and throws for text that is no YAML. Empty lists and groups hold none. */
export function yamlLeaves(text: string): Leaf[] {
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines });
    if (document.errors.length > 0)
        throw new Error(`expected YAML, found a fault in line ${lines.linePos(document.errors[0].pos[0]).line}`);
    const leavesOf = (node: unknown, path: string): Leaf[] => {
        if (isMap(node)) return node.items.flatMap(({ key, value }) => leavesOf(value, path ? `${path}.${key}` : String(key)));
        if (isSeq(node)) return node.items.flatMap((item, index) => leavesOf(item, `${path}[${index}]`));
        if (!isScalar(node)) return [];
        return [{ path, kind: path.replace(/\[\d+\]/g, "[]"), value: node.value, line: lines.linePos(node.range![0]).line }];
    };
    return leavesOf(document.contents, "");
}
