import { Alias, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, Tags, YAMLMap } from "yaml";
import { Key, kindOf, pathText } from "./keys";

/** A single value of a YAML file, or an empty list or object. */
export interface Leaf {
    /** Path in the file, for example `nodes[0].address`. */
    path: string;
    /** The path with `[]` in place of every index. */
    kind: string;
    keys: Key[];
    value: unknown;
    /** The value as it stands in the file, without quotes. RKE takes this text for a string. Empty for null, `[]` and `{}`. */
    text: string;
    line: number;
}

/** Where a node stands in the file, and the way there. */
interface Place {
    keys: Key[];
    /** Line of the first alias on the way. */
    line?: number;
    aliases: Alias[];
}

/** RKE reads YAML 1.1 with yaml.v2, for which times and numbers with colons are strings. */
const customTags = (tags: Tags): Tags =>
    tags.filter(
        tag => typeof tag !== "object" || (!("format" in tag && tag.format === "TIME") && tag.tag !== "tag:yaml.org,2002:timestamp"),
    );

/** Returns the leaves of a YAML text with its aliases and merge keys resolved. Throws for invalid YAML. */
export function yamlLeaves(text: string): Leaf[] {
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines, version: "1.1", customTags });
    const lineAt = (offset: number) => lines.linePos(offset).line;
    const fault = (offset: number) => new Error(`expected YAML, found a fault in line ${lineAt(offset)}`);
    const [error] = document.errors;
    if (error?.code === "DUPLICATE_KEY") throw new Error(`expected each key once, found one twice in line ${lineAt(error.pos[0])}`);
    if (error) throw fault(error.pos[0]);
    const contents: unknown = document.contents;
    const isNothing = contents === null || (isScalar(contents) && contents.value === null);
    if (!isMap(contents) && !isNothing) throw new Error("expected an object with keys in YAML, found another value");
    const resolved = (node: unknown, place: Place): [unknown, Place] => {
        if (!isAlias(node)) return [node, place];
        const offset = node.range![0];
        const target = node.resolve(document);
        if (target === undefined || place.aliases.includes(node)) throw fault(offset);
        return [target, { ...place, line: place.line ?? lineAt(offset), aliases: [...place.aliases, node] }];
    };
    /** Returns the entries of an object, those of merged objects among them, in the order in which RKE reads them. */
    const entriesOf = (map: YAMLMap, place: Place): [string, unknown, Place][] =>
        map.items.flatMap(({ key, value }) => {
            const [name] = resolved(key, place);
            const [merged, there] = resolved(value, place);
            const sources = isSeq(merged) ? [...merged.items].reverse().map(item => resolved(item, there)) : [[merged, there] as const];
            if (isScalar(name) && name.type === "PLAIN" && name.source === "<<" && sources.every(([each]) => isMap(each)))
                return sources.flatMap(([each, where]) => entriesOf(each as YAMLMap, where));
            return [[isScalar(name) ? (name.source ?? "") : String(name), value, place]];
        });
    const leavesOfObject = (maps: [YAMLMap, Place][], keys: Key[]): Leaf[] => {
        const byName = new Map<string, [unknown, Place][]>();
        for (const [map, place] of maps)
            for (const [name, value, where] of entriesOf(map, place))
                byName.set(name, [...(byName.get(name) ?? []), resolved(value, { ...where, keys: [...keys, name] })]);
        return [...byName.values()].flatMap(values => {
            // yaml.v2 adds the keys of a later object to those of a merged one. Any other value replaces the merged one.
            const last = values.findLastIndex(([value]) => !isMap(value));
            if (last === values.length - 1) return leavesOf(...values[last]);
            const objects = values.slice(last + 1) as [YAMLMap, Place][];
            return objects.length === 1 ? leavesOf(...objects[0]) : leavesOfObject(objects, objects[0][1].keys);
        });
    };
    const leavesOf = (given: unknown, at: Place): Leaf[] => {
        const [node, place] = resolved(given, at);
        const { keys } = place;
        if (isMap(node) && node.items.length > 0) return leavesOfObject([[node, place]], keys);
        if (isSeq(node) && node.items.length > 0)
            return node.items.flatMap((item, index) => leavesOf(item, { ...place, keys: [...keys, index] }));
        const value = isScalar(node) ? node.value : isMap(node) ? {} : isSeq(node) ? [] : null;
        const source = isScalar(node) && value !== null ? (node.source ?? "") : "";
        const line = place.line ?? (isNode(node) ? lineAt(node.range![0]) : 1);
        return keys.length === 0 ? [] : [{ path: pathText(keys), kind: kindOf(keys), keys, value, text: source, line }];
    };
    return leavesOf(contents, { keys: [], aliases: [] });
}
