import { readdirSync, readFileSync } from "fs";
import { join } from "path";
import { parse } from "yaml";
import { repository } from "../../lab/inventory";

// The tests check what a reader copies from the pages.
const pageNames = [
    "README.md",
    "examples/README.md",
    ...readdirSync(join(repository, "docs")).flatMap(file => (file.endsWith(".md") ? [`docs/${file}`] : [])),
];
const textOf = (file: string) => readFileSync(join(repository, file), "utf8");
const readme = textOf("README.md");

/** Returns the blocks of code of a page in a language. */
const blocksOf = (page: string, language: string) =>
    [...page.matchAll(new RegExp(`^( *)\`\`\`${language}\\n([^]*?)^ *\`\`\``, "gm"))].map(([, , text]) => text);

test("the configuration in the README is that of examples/minimal.yaml, with shortened host keys", () => {
    const shown = blocksOf(readme, "yaml").map(text => parse(text));
    const whole = parse(textOf("examples/minimal.yaml").replace(/ssh-ed25519 AAAA\S+/g, "ssh-ed25519 AAAA…"));
    expect(shown).toEqual([whole]);
});

test("the README fits two screens", () => expect(readme.split("\n").length).toBeLessThanOrEqual(151));

test.each(pageNames.filter(page => blocksOf(textOf(page), "sh").some(block => /(^|[|&;(] *)pulumi /m.test(block))))(
    "%s says once how `pulumi` runs where only npx has it",
    page => expect(textOf(page).split("alias pulumi='npx pulumi'")).toHaveLength(2),
);
