import { existsSync } from "fs";
import { dirname, join } from "path";
import { parse } from "yaml";
import { repository } from "../../lab/inventory";
import { configSchema } from "../../scripts/configurationSchema";
import { pages } from "../../scripts/pages";
import { blocksOf, pageText } from "../pages";

// The tests check what a reader copies from the pages.
const readme = pageText("README.md");

test("the README shows examples/minimal.yaml, with shortened host keys", () => {
    const shown = blocksOf(readme, "yaml").map(text => parse(text));
    const whole = parse(pageText("examples/minimal.yaml").replace(/ssh-ed25519 AAAA\S+/g, "ssh-ed25519 AAAA…"));
    expect(shown).toEqual([whole]);
});

test("the README fits two screens", () => expect(readme.split("\n").length).toBeLessThanOrEqual(151));

test.each(
    pages
        .filter(page => page !== "README.md")
        .filter(page => blocksOf(pageText(page), "sh").some(block => /(^|[|&;(]) *pulumi /m.test(block))),
)("%s says once how `pulumi` runs where only npx has it", page =>
    expect(pageText(page).split("alias pulumi='npx pulumi'")).toHaveLength(2),
);

/** Returns the anchors of a page, as GitHub derives them from headings. */
const anchorsOf = (page: string) =>
    [...pageText(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
        heading
            .toLowerCase()
            .replace(/[^\p{L}\p{N} _-]/gu, "")
            .replace(/ /g, "-"),
    );

test.each(pages)("the links of %s lead to files and headings that exist", page => {
    const links = [
        ...pageText(page)
            .replace(/```[^]*?```/g, "")
            .matchAll(/\]\((?!https?:)([^)\s]+)\)/g),
    ].map(([, link]) => link);
    const broken = links.filter(link => {
        const [file, anchor] = link.split("#");
        const target = file ? join(dirname(page), file) : page;
        return !existsSync(join(repository, target)) || (anchor !== undefined && !anchorsOf(target).includes(anchor));
    });
    expect(broken).toEqual([]);
});

describe("configuration", () => {
    /** Returns the keys that the schema does not have. */
    const unknownKeys = (config: unknown) =>
        configSchema
            .safeParse(config)
            .error!.issues.flatMap(issue =>
                issue.code === "unrecognized_keys" ? issue.keys.map(key => [...issue.path, key].join(".")) : [],
            );
    /** Returns a configuration of one key, without its value. */
    const configOf = (path: string) =>
        path.split(/\.|(?=\[)/).reduceRight<unknown>((below, key) => (key.startsWith("[") ? [below] : { [key]: below }), undefined);
    const commandsOf = (page: string) =>
        [...pageText(page).matchAll(/\bpulumi config (?:set|rm) [^\n]*?--path '?([\w.[\]]+)/g)].map(([, path]) => path);
    const prefix = "pulumi-rancher-ha:";
    const configurationsOf = (page: string) =>
        blocksOf(pageText(page), "yaml")
            .map(text => parse(text) ?? {})
            .map(({ config, ...block }) => Object.entries(config ?? block).filter(([key]) => key.startsWith(prefix)))
            .filter(keys => keys.length > 0)
            .map(keys => Object.fromEntries(keys.map(([key, value]) => [key.slice(prefix.length), value])));

    test.each(pages.filter(page => commandsOf(page).length > 0))("%s sets and removes keys that exist", page => {
        expect(commandsOf(page).flatMap(path => unknownKeys(configOf(path)))).toEqual([]);
    });

    test.each(pages.filter(page => configurationsOf(page).length > 0))("%s shows keys that exist", page => {
        expect(configurationsOf(page).flatMap(unknownKeys)).toEqual([]);
    });

    test("many commands and blocks are found", () => {
        const count = (of: (page: string) => unknown[]) => pages.flatMap(of).length;
        expect([count(commandsOf) > 30, count(configurationsOf) > 12]).toEqual([true, true]);
    });
});
