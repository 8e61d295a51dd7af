import { readFileSync } from "fs";
import { join } from "path";
import { repository } from "../../lab/inventory";
import { Finished } from "../../lab/pulumi";
import { expectCommitted } from "../committed";

/** A manual change that Pulumi does not know of. */
export interface Tampering {
    /** Name of the row. */
    what: string;
    make: () => Promise<unknown>;
    /** Words of the preview about the change. `<name>` stands for a word that differs from run to run. */
    words: string;
    /** Flags that a preview needs to report the change, and `up` to repair it. @default none */
    flags?: string[];
    /** Reverts a change that `up` must not repair, because a person decides. */
    undo?: () => Promise<unknown>;
}

/** The commands of a stack that a table of drift runs. */
interface Tampered {
    preview: (flags: string[]) => Promise<Finished>;
    up: (flags: string[]) => Promise<Finished>;
}

const file = join(repository, "docs", "drift.md");

/** One section of docs/drift.md. Each row is a change that a test made, found in a preview and repaired. */
export class DriftTable {
    private readonly rows: string[][] = [];

    constructor(
        private readonly section: string,
        private readonly stack: Tampered,
    ) {}

    /**
     * Makes all these changes, previews, repairs, previews again, and adds a row for each. Expects the preview to report and `up` to repair
     * each.
     */
    async round(...tamperings: Tampering[]): Promise<void> {
        const flags = [...new Set(tamperings.flatMap(({ flags: own = [] }) => own))];
        for (const { make } of tamperings) await make();
        const seen = unfolded((await this.stack.preview(["--diff", ...flags])).output);
        const healed = await this.stack.up(flags);
        for (const { undo } of tamperings) await undo?.();
        const after = await this.stack.preview(["--diff", "--expect-no-changes", ...flags]);
        const said = unfolded(after.output);
        const found = tamperings.map(tampering => ({ ...tampering, seen: says(seen, tampering.words), left: says(said, tampering.words) }));
        expect(found.filter(one => !one.seen).map(({ what, words }) => ({ what, words, seen }))).toEqual([]);
        expect({ code: healed.code, output: healed.code === 0 ? "" : healed.output }).toEqual({ code: 0, output: "" });
        expect({
            code: after.code,
            left: found.filter(({ left }) => left).map(({ what }) => what),
            output: after.code === 0 ? "" : said,
        }).toEqual({ code: 0, left: [], output: "" });
        for (const { what, words, undo } of found) {
            const [sees, heals] = flags.length === 0 ? ["yes", "yes"] : [`with \`${flags.join(" ")}\``, `with \`${flags.join(" ")}\``];
            this.rows.push([
                what,
                sees,
                `\`${words.replaceAll("|", "\\|")}\``,
                undo ? "no: a person decides" : heals,
                undo ? "once undone" : "yes",
            ]);
        }
    }

    /** Expects the page to hold the section with these rows. */
    write(): void {
        const before = readFileSync(file, "utf8");
        const [begin, end] = [`<!-- ${this.section} -->\n`, `<!-- end of ${this.section} -->`];
        const head = ["changed by hand", "seen in a preview", "its words", "healed by `up`", "next preview empty"];
        const lines = [head, head.map(() => "---"), ...this.rows].map(cells => `| ${cells.join(" | ")} |\n`);
        const [from, to] = [before.indexOf(begin), before.indexOf(end)];
        if (from < 0 || to < from) throw new Error(`expected ${begin.trim()} and ${end} in docs/drift.md`);
        const after = `${before.slice(0, from + begin.length)}\n${lines.join("")}\n${before.slice(to)}`;
        expectCommitted(file, after);
    }
}

/** Returns the output of a preview with its broken lines joined. */
const unfolded = (output: string) => output.replace(/\n[ +~]+/g, " ");

function says(output: string, words: string): boolean {
    const pattern = words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/<[\w ]+>/g, "\\S+");
    return new RegExp(pattern).test(output);
}
