import * as pulumi from "@pulumi/pulumi";
import { Analyzer } from "@pulumi/pulumi/provider/experimental/analyzer";
import { readFileSync } from "fs";
import { join } from "path";
import * as exported from "../../components";

// Pulumi's SDK makes the schema for other languages from the sources.
const repository = join(__dirname, "..", "..");
const { name: packageName } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
const index = readFileSync(join(repository, "components/index.ts"), "utf8");
const components = [...index.matchAll(/^export \{ (.*) \}/gm)]
    .flatMap(([, names]) => names.split(", "))
    .filter(name => (exported as Record<string, any>)[name]?.prototype instanceof pulumi.ComponentResource);
const manifest = { name: packageName, main: "components/index.js" };
const { components: analyzed, typeDefinitions } = new Analyzer(repository, packageName, manifest, new Set(components)).analyze();

type Properties = (typeof analyzed)[string]["inputs"];
const texts = (owners: (readonly [string, Properties])[]) =>
    owners.flatMap(([name, properties]) =>
        Object.entries(properties).map(([key, { description }]) => [`${name}.${key}`, description] as const),
    );
const withoutText = (all: ReturnType<typeof texts>) => all.filter(([, description]) => !description).map(([path]) => path);

test("the SDK makes a schema of every component", () => expect(Object.keys(analyzed).sort()).toEqual(components.sort()));

test("every argument has a text", () => {
    const types = Object.values(typeDefinitions).filter(({ name }) => name.endsWith("Args"));
    const all = texts([
        ...Object.values(analyzed).map(({ name, inputs }) => [name, inputs] as const),
        ...types.map(({ name, properties }) => [name, properties ?? {}] as const),
    ]);
    expect(all.length).toBeGreaterThan(100);
    expect(withoutText(all)).toEqual([]);
});

test("every output has a text, which stands at the member of the component", () => {
    const types = Object.values(typeDefinitions).filter(({ name }) => !name.endsWith("Args"));
    const all = texts([
        ...Object.values(analyzed).map(({ name, outputs }) => [name, outputs] as const),
        ...types.map(({ name, properties }) => [name, properties ?? {}] as const),
    ]);
    expect(all.length).toBeGreaterThan(30);
    expect(withoutText(all)).toEqual([]);
});
