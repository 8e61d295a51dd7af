import { spawnSync } from "child_process";
import { join } from "path";
import { buildTools, toolFolder } from "../../lab/tools";
import { pages } from "../../scripts/pages";
import { blocksOf, pageText } from "../pages";

// The tests check the commands of the pages that no test of the stack runs: their form, and that their programs have the flags.
const blocks = pages.flatMap(page => blocksOf(pageText(page), "sh").map((text, index) => ({ at: `${page}, shell block ${index}`, text })));

test("every shell block of the pages is whole", () => {
    const faults = blocks.flatMap(({ at, text }) => {
        const { status, stderr } = spawnSync("bash", ["-n"], { input: text, encoding: "utf8" });
        return status === 0 ? [] : [`${at}: ${stderr}`];
    });
    expect(faults).toEqual([]);
});

const programs = ["pulumi", "kubectl", "helm", "rke"];

/** Returns the words of each command of these programs in shell text. The text of a string is left out. */
function commandsIn(text: string): string[][] {
    const plain = text
        .replace(/'[^']*'|"[^"$]*"/g, "''")
        .replace(/\\\n/g, " ")
        .replace(/(^|\s)#.*$/gm, "");
    return plain
        .split(/\n|\||&&|;|\(|\)/)
        .map(command => command.trim().split(/\s+/))
        .filter(([program]) => programs.includes(program));
}

/** Returns the help of a command. The programs ignore the arguments in it. */
function helpOf(folders: Record<string, string>, [program, ...words]: string[]): string {
    const file = join(folders[program], program);
    const global = program === "kubectl" ? spawnSync(file, ["options"], { encoding: "utf8" }).stdout : "";
    return (
        spawnSync(file, [...words, "--help"], { encoding: "utf8", env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" } }).stdout +
        global
    );
}

test("every flag on the pages is one that pulumi, kubectl, helm or rke knows", async () => {
    const tools = await buildTools("tests");
    const folders = { pulumi: toolFolder("pulumi"), kubectl: tools, helm: tools, rke: tools };
    const known = new Map<string, string>();
    const unknown = blocks.flatMap(({ at, text }) =>
        commandsIn(text).flatMap(words => {
            const end = words.indexOf("--");
            const own = end < 0 ? words : words.slice(0, end);
            // Verbs come before the flags, except behind kubectl's namespace or server.
            const isVerb = (word: string, index: number) => /^[a-z][a-z-]*$/.test(word) && !/^--(namespace|server)$/.test(own[index - 1]);
            const command = own.filter(isVerb).slice(0, 3);
            const key = command.join(" ");
            if (!known.has(key)) known.set(key, helpOf(folders, command));
            const flags = own.filter(word => /^--?[a-z]/.test(word)).map(word => word.replace(/=.*/, ""));
            return flags
                .filter(flag => !new RegExp(`(^|[\\s,])${flag}([\\s,=]|$)`, "m").test(known.get(key)!))
                .map(flag => `${at}: ${key} ${flag}`);
        }),
    );
    expect(known.size).toBeGreaterThan(30);
    expect(unknown).toEqual([]);
}, 300_000);
