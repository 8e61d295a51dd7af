import { readFileSync } from "fs";
import { join } from "path";
import { repository } from "../lab/inventory";
import { pages } from "./pages";

/** Lists the sentences of the documents that have more than `maxWords` words, and fails when there is one. */

const maxWords = 30;
/** Returns the sentences of a page, without code and link targets. A heading, a list item and a table cell end a sentence. */
function sentences(page: string): string[] {
    const prose = page
        .replace(/```[\s\S]*?```/g, "\n\n")
        .replace(/`[^`]*`/g, "code")
        .replace(/^ *\|.*$/gm, row => row.replace(/\|/g, "\n\n"))
        .replace(/\]\([^)]*\)/g, "]")
        .replace(/^ *(#+|[-*]|\d+\.) /gm, "\n\n");
    return prose.split(/\n\s*\n|[.?!](?=\s)/).map(sentence => sentence.replace(/\s+/g, " ").trim());
}

const long = pages.flatMap(page =>
    sentences(readFileSync(join(repository, page), "utf8"))
        .filter(sentence => sentence.split(" ").length > maxWords)
        .map(sentence => `${page}: ${sentence.split(" ").length} words, expected at most ${maxWords}: ${sentence}\n`),
);
process.stderr.write(long.join(""));
process.exitCode = long.length > 0 ? 1 : 0;
