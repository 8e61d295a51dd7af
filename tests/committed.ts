import { existsSync, mkdirSync, readFileSync, writeFileSync } from "fs";
import { dirname, relative } from "path";
import { repository } from "../lab/inventory";

/** Expects a file of the repository to hold this text. Writes the text to a file that differs, and fails this run. */
export function expectCommitted(file: string, text: string, advice = "look at it and commit it"): void {
    const isSame = existsSync(file) && readFileSync(file, "utf8") === text;
    if (!isSame) {
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, text);
    }
    const name = relative(repository, file);
    expect({ [name]: isSame ? "as committed" : `written anew: ${advice}` }).toEqual({ [name]: "as committed" });
}
