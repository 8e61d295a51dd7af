import { NginxSettings } from "./schema";

/** Joins lines with this indentation. Each begins with a line break, so an empty list leaves no blank line. */
export function lines(indentation: number, list: string[]): string {
    return list.map(line => `\n${" ".repeat(indentation)}${line}`).join("");
}

/** Joins texts that begin with a line break, with a blank line between them. Empty texts are dropped. */
export function paragraphs(...texts: string[]): string {
    return texts.filter(text => text !== "").join("\n");
}

/** Returns the user's own directives for one kind of block. */
export function extraDirectives(settings: NginxSettings, block: keyof NginxSettings["extraDirectives"], indentation: number): string {
    const text = settings.extraDirectives[block].trim();
    return text === "" ? "" : lines(indentation, [`# The stack's extraDirectives.${block} adds these lines.`, ...text.split("\n")]);
}
