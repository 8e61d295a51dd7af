import Ajv from "ajv";
import { existsSync, readFileSync } from "fs";
import { join } from "path";
import { parse } from "yaml";
import { configurationSchema, renderedSchema } from "../../scripts/configurationSchema";

const repository = join(__dirname, "..", "..");
const textOf = (file: string) => readFileSync(join(repository, file), "utf8");
const examples = ["Pulumi.production.example.yaml"];

const schema = JSON.parse(renderedSchema());
const isValid = new Ajv({ unknownFormats: ["cidrv4", "cidrv6"] }).compile(schema);
/** The paths of values that are wrong in a file. */
const problems = (file: unknown) => (isValid(file) ? [] : isValid.errors!.map(({ dataPath }) => dataPath.replace(/^\.config/, "")));

/** The example, changed. */
const changed = (change: (config: any) => unknown) => {
    const file = parse(textOf(examples[0]));
    const groups = Object.entries(file.config).map(([key, value]) => [key.replace("pulumi-rancher-ha:", ""), value]);
    const config = Object.fromEntries(groups);
    change(config);
    return { ...file, config: Object.fromEntries(Object.entries(config).map(([key, value]) => [`pulumi-rancher-ha:${key}`, value])) };
};

test("the schema is up to date: else run `npm run docs`", () => expect(renderedSchema()).toBe(readFileSync(configurationSchema, "utf8")));

test.each([...examples, "Pulumi.dev.yaml"])("%s is valid", file => expect(problems(parse(textOf(file)))).toEqual([]));

test.each(examples)("editors find the schema by the first line of %s, copied into the root", file => {
    const [, path] = /^# yaml-language-server: \$schema=(\S+)\n/.exec(textOf(file))!;
    expect(existsSync(join(repository, path))).toBe(true);
});

test("other programs' configuration and Pulumi's own keys are left alone", () => {
    const file = changed(() => undefined);
    expect(problems({ ...file, encryptionsalt: "v1:a:b", config: { ...file.config, "kubernetes:context": "lab" } })).toEqual([]);
});

test.each<[string, (config: any) => unknown]>([
    ["a key", c => (c.ssh = { privateKey: { secure: "v1:a:b" } })],
    ["an address", c => (c.loadBalancer.hosts[0].address = { secure: "v1:a:b" })],
    ["a value of the chart", c => (c.rancher.values = { extraEnv: [{ name: "TOKEN", value: { secure: "v1:a:b" } }] })],
    ["a value of a newer chart", c => (c.rancher.additionalValues = { token: { secure: "v1:a:b" } })],
    ["a group", c => (c.cluster = { secure: "v1:a:b" })],
])("%s may be encrypted", (_, change) => expect(problems(changed(change))).toEqual([]));

test.each<[string, (config: any) => unknown, string]>([
    ["an unknown group", c => (c.sshKey = "x"), "sshKey']"],
    ["an unknown key", c => (c.loadBalancer.readTimeout = 900), "loadBalancer']"],
    ["a missing key", c => delete c.rancher.chartVersion, "rancher']"],
    ["a missing group", c => delete c.loadBalancer, ""],
    ["a value outside its bounds", c => (c.loadBalancer.readTimeoutSeconds = 60), "loadBalancer'].readTimeoutSeconds"],
    ["a value of the wrong type", c => (c.cluster.nodes[1].port = "22"), "cluster'].nodes[1].port"],
    ["an encrypted number, which Pulumi makes a string", c => (c.rancher.replicas = { secure: "v1:a:b" }), "rancher'].replicas"],
])("%s is marked", (_, change, path) => {
    expect(problems(changed(change))).toContain(path && `['pulumi-rancher-ha:${path}`);
});

test("every key has its meaning", () => {
    const withoutMeaning = (node: any, path: string): string[] =>
        Object.entries<any>(node?.properties ?? {}).flatMap(([key, below]) => [
            ...(below.description || key === "secure" ? [] : [`${path}.${key}`]),
            ...[below, below.items, ...(below.anyOf ?? [])].flatMap(kind => withoutMeaning(kind, `${path}.${key}`)),
        ]);
    expect(withoutMeaning(schema.properties.config, "config")).toEqual([]);
});
