import { readFileSync, writeFileSync } from "fs";
import { join } from "path";
import { errorCodes } from "../components/errorCodes";

/** Writes the table of codes in docs/errors.md. Everything else on that page is written by hand. */

export const errorsPage = join(__dirname, "..", "docs", "errors.md");

const begin = "<!-- Written by `npm run docs` from components/errorCodes.ts. -->\n";
const end = "<!-- End of the written table. -->\n";

/** Returns the heading of each code, without `## `. */
export function headings(): string[] {
    return Object.entries(errorCodes).map(([code, { title }]) => `RHA ${code}: ${title}`);
}

/** Returns the page with its table written anew. */
export function renderedErrorsPage(): string {
    const [before, rest] = readFileSync(errorsPage, "utf8").split(begin);
    const [, after] = rest.split(end);
    const rows = Object.entries(errorCodes).map(
        ([code, { changed, remedy }], index) => `| [\`${code}\`](#${anchor(headings()[index])}) | ${changed} | ${remedy} |\n`,
    );
    return [before, begin, "\n", "| code | what was changed | what to do |\n", "| --- | --- | --- |\n", ...rows, "\n", end, after].join("");
}

/** Returns the anchor that GitHub makes of a heading. */
function anchor(heading: string): string {
    return heading
        .toLowerCase()
        .replace(/[^a-z0-9 _-]/g, "")
        .replace(/ /g, "-");
}

if (require.main === module) writeFileSync(errorsPage, renderedErrorsPage());
