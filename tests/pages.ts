import { readFileSync } from "fs";
import { join } from "path";
import { repository } from "../lab/inventory";

/** Returns the text of a page of the repository. */
export const pageText = (file: string): string => readFileSync(join(repository, file), "utf8");

/** Returns the section of a page whose heading begins so. */
export const sectionOf = (page: string, heading: string): string => page.split(/^## /m).find(text => text.startsWith(heading))!;

/** Returns the blocks of code in a language, also those of a numbered list. */
export const blocksOf = (page: string, language: string): string[] =>
    [...page.matchAll(new RegExp(`^( *)\`\`\`${language}\\n([^]*?)^ *\`\`\``, "gm"))].map(([, , text]) => text);
