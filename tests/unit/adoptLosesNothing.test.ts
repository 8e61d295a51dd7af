import fc from "fast-check";
import { fixed, kept, named, secrets, unset } from "../../adopt/clusterKeys";
import { readClusterYml } from "../../adopt/clusterYml";
import { at, Key, keysOfKind, kindOf, pathText, put } from "../../adopt/keys";

/** A scalar as it stands in a file. */
class Source {
    constructor(readonly yaml: string) {}
    /** The string that RKE reads, with yaml.v2. */
    get text(): string {
        return /^(null|~|)$/.test(this.yaml) ? "" : this.yaml.replace(/^(["'])(.*)\1$/, "$2");
    }
}

const anySource = fc
    .oneof(
        fc.constantFrom("false", "0", '""', "null", "~", "true", "yes", "1.10", "0123", "1e3", "0x1F", "1_000", "1:30", "2001-01-01", "12"),
        fc.integer().map(number => `'${number}'`),
        fc.stringMatching(/^[a-z][a-z0-9]{4,8}$/),
    )
    .map(yaml => new Source(yaml));

/** Kinds of keys: those with arguments, those that the stack sets, free ones, and ones that it cannot have. */
const kinds = [
    ...[...Object.keys(kept), ...Object.keys(fixed), ...Object.keys(unset), ...Object.keys(secrets)],
    ...[...Object.keys(named), "network.node_selector", "dns.node_selector", "ingress.extra_args"].flatMap(object =>
        ["a", "x.example.com/edge", "1.10", "e'\""].map(key => [object, key] as const),
    ),
    ...["services.kube-api.audit_log.configuration.policy.rules[].resources[].group", "ingress.default_backend", "monitoring.replicas"],
    ...[
        "dns.stubdomains.lan[]",
        "network.tolerations[].key",
        "network.tolerations[].operator",
        "services.kube-api.pod_security_configuration",
    ],
    ...["cloud_provider.openstackCloudProvider.block_storage.trust-device-path", "system_images.etcd", "x-anchors.a", "nodes[].ssh_cert"],
];
const anyLeaf = fc
    .tuple(fc.constantFrom(...kinds), fc.nat(1), fc.nat(1), anySource)
    .map(([kind, one, two, source]): [Key[], Source] =>
        typeof kind === "string" ? [keysOfKind(kind, [one, two]), source] : [[...keysOfKind(kind[0], [one, two]), kind[1]], source],
    );

/** Renders an object. `quote` changes the text of an object's value. */
function yamlOf(value: any, keys: Key[] = [], quote = (_keys: Key[], text: string) => text): string {
    if (value instanceof Source) return value.yaml;
    const below = Array.isArray(value)
        ? `[${Array.from(value, (entry, index) => (entry === undefined ? "{}" : yamlOf(entry, [...keys, index], quote))).join(", ")}]`
        : `{${Object.entries(value)
              .map(([key, entry]) => `${JSON.stringify(key)}: ${yamlOf(entry, [...keys, key], quote)}`)
              .join(", ")}}`;
    return quote(keys, below);
}

const fileOf = (leaves: [Key[], Source][]) => {
    const file = {};
    for (const [keys, source] of leaves) put(file, keys, source);
    return file;
};
/** Leaves of one file: a key stands once, and an object is no scalar. */
const anyFile = fc
    .uniqueArray(anyLeaf, { selector: ([keys]) => kindOf(keys), minLength: 1, maxLength: 12 })
    .filter(leaves => leaves.every(([keys]) => leaves.every(([other]) => keys === other || !pathText(other).startsWith(pathText(keys)))));

const resultOf = (leaves: [Key[], Source][]) => JSON.stringify(readClusterYml(yamlOf(fileOf(leaves))));

test("every value of a cluster.yml is kept or noted, or is one that RKE takes anyway", () => {
    const isTaken = (keys: Key[], { yaml, text }: Source) => {
        const kind = kindOf(keys);
        const taken = [fixed[kind], unset[kind], kind === "nodes[].port" ? "22" : undefined].filter(each => each !== undefined).map(String);
        const isFree = kindOf(keys.slice(0, -1)) in named || /(node_selector|extra_args|stubdomains)/.test(kind);
        return !isFree && (text === "" || taken.includes(yaml === "yes" ? "true" : yaml));
    };
    fc.assert(
        fc.property(anyFile, fc.nat(), (leaves, number) => {
            const [keys, source] = leaves[number % leaves.length];
            if (isTaken(keys, source)) return;
            // A value that nobody keeps or notes can be removed without a trace.
            const others = leaves.filter(([other]) => other !== keys);
            // Two keys of cluster.yml set the same argument.
            const twins = ["services.kube-controller.service_cluster_ip_range", "network.options.flannel_iface"];
            if (!twins.includes(kindOf(keys))) expect(resultOf(leaves)).not.toBe(resultOf(others));
        }),
        { numRuns: 1000 },
    );
});

test("labels, flags, options and selectors keep the text of the file", () => {
    const objects = Object.keys(named).map(object => keysOfKind(object, [0]));
    fc.assert(
        fc.property(
            fc.constantFrom(...objects),
            fc.dictionary(fc.stringMatching(/^[a-z./-]{1,9}$/), anySource, { minKeys: 1 }),
            (keys, given) => {
                const file = {};
                put(file, keys, given);
                const { settings, notes } = readClusterYml(yamlOf(file));
                const read: any = at(settings.cluster, keysOfKind(named[kindOf(keys)], keys));
                expect(read).toEqual(Object.fromEntries(Object.entries(given).map(([key, source]) => [key, source.text])));
                expect(notes).toEqual([]);
            },
        ),
        { numRuns: 200 },
    );
});

test("an alias or a merged object means the same as its text", () => {
    fc.assert(
        fc.property(anyFile, fc.nat(), fc.boolean(), (leaves, number, isMerged) => {
            const file = fileOf(leaves);
            const objects: Key[][] = [];
            yamlOf(file, [], (keys, text) => (objects.push(keys), text));
            const chosen = pathText(objects[number % objects.length]);
            if (chosen === "") return;
            let body = "";
            const aliased = yamlOf(file, [], (keys, text) => {
                if (pathText(keys) !== chosen) return text;
                body = text;
                return isMerged && text.startsWith("{") ? "{<<: *x}" : "*x";
            });
            // RKE reads no key `anchors`, so only its note differs.
            const meaning = (text: string) => {
                const { settings, notes } = readClusterYml(text);
                const others = notes.filter(({ what }) => !what.startsWith("anchors"));
                return { settings, notes: others.map(({ what, advice }) => [what, advice.replace(/line \d+/, "")]) };
            };
            expect(meaning(`{anchors: &x ${body}, ${aliased.slice(1)}`)).toEqual(meaning(yamlOf(file)));
        }),
        { numRuns: 300 },
    );
});
