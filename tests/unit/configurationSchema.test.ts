import Ajv from "ajv";
import { existsSync, readFileSync } from "fs";
import { join } from "path";
import { repository } from "../../lab/inventory";
import { configurationSchema, renderedSchema } from "../../scripts/configurationSchema";
import { exampleConfig, exampleFiles } from "../examples";

const textOf = (file: string) => readFileSync(join(repository, file), "utf8");

const schema = JSON.parse(renderedSchema());
const isValid = new Ajv({ unknownFormats: ["cidrv4", "cidrv6"] }).compile(schema);
/** Returns the paths of the wrong values in a file. */
const problems = (file: unknown) => (isValid(file) ? [] : isValid.errors!.map(({ dataPath }) => dataPath.replace(/^\.config/, "")));

const encrypted = { secure: "v1:a:b" };
/** Returns a stack's file with a change. Its secrets are encrypted, as the commands in its head set them. */
const fileOf = (example: string, change: (config: any) => unknown = () => undefined) => {
    const config = exampleConfig(example, () => encrypted);
    change(config);
    return { config: Object.fromEntries(Object.entries(config).map(([key, value]) => [`pulumi-rancher-ha:${key}`, value])) };
};
const changed = (change: (config: any) => unknown) => fileOf("examples/minimal.yaml", change);

test("the schema is up to date: else run `npm run docs`", () => expect(renderedSchema()).toBe(readFileSync(configurationSchema, "utf8")));

test.each([...exampleFiles, "Pulumi.dev.yaml"])("%s is valid", file => expect(problems(fileOf(file))).toEqual([]));

test.each(exampleFiles)("editors find the schema by the first line of %s, copied into the root", file => {
    const [, path] = /^# yaml-language-server: \$schema=(\S+)\n/.exec(textOf(file))!;
    expect(existsSync(join(repository, path))).toBe(true);
});

test("other programs' configuration and Pulumi's own keys are left alone", () => {
    const { config } = fileOf("examples/minimal.yaml");
    expect(problems({ encryptionsalt: "v1:a:b", config: { ...config, "kubernetes:context": "lab" } })).toEqual([]);
});

test.each<[string, (config: any) => unknown]>([
    ["a key", c => (c.ssh = { privateKey: encrypted })],
    ["an address", c => (c.loadBalancer.hosts[0].address = encrypted)],
    ["a value of the chart", c => (c.rancher.values = { extraEnv: [{ name: "TOKEN", value: encrypted }] })],
    ["a value of a newer chart", c => (c.rancher.additionalValues = { token: encrypted })],
    ["a group", c => (c.cluster = encrypted)],
])("%s may be encrypted", (_, change) => expect(problems(changed(change))).toEqual([]));

test.each<[string, (config: any) => unknown, string]>([
    ["an unknown group", c => (c.sshKey = "x"), "sshKey']"],
    ["an unknown key", c => (c.loadBalancer.readTimeout = 900), "loadBalancer']"],
    ["a missing key", c => delete c.rancher.chartVersion, "rancher']"],
    ["a missing group", c => delete c.loadBalancer, ""],
    ["a value outside its bounds", c => (c.loadBalancer.readTimeoutSeconds = 60), "loadBalancer'].readTimeoutSeconds"],
    ["a value of the wrong type", c => (c.cluster.nodes[1].port = "22"), "cluster'].nodes[1].port"],
    ["an encrypted number, which Pulumi makes a string", c => (c.rancher.replicas = encrypted), "rancher'].replicas"],
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
