import { readFileSync } from "fs";
import { join } from "path";
import { repository } from "../lab/inventory";

/** Returns the text of a page of the repository. */
export const pageText = (file: string): string => readFileSync(join(repository, file), "utf8");

/** Returns the section of a page whose heading begins so. */
export const sectionOf = (page: string, heading: string): string => page.split(/^## /m).find(text => text.startsWith(heading))!;

/** A shell block of a page: the file below docs/, the beginning of its heading, and its place below that. */
export type Place = [page: string, heading: string, block: number];

/** Returns a shell block of a page. */
export function commandsAt([page, heading, block]: Place): string {
    const found = blocksOf(sectionOf(pageText(`docs/${page}`), heading), "sh")[block];
    if (found === undefined) throw new Error(`docs/${page}, ${heading}: expected a shell block ${block}, found none`);
    return found;
}

/** Returns the blocks of code in a language, also those of a numbered list. */
export const blocksOf = (page: string, language: string): string[] =>
    [...page.matchAll(new RegExp(`^( *)\`\`\`${language}\\n([^]*?)^ *\`\`\``, "gm"))].map(([, , text]) => text);
