/** The content of an installation's file, in the terms of this stack. */
export interface Reading<T> {
    settings: T;
    notes: Note[];
}

/** A line of a file that the configuration does not hold. */
export interface Note {
    /** Line in the file, from 1. */
    line: number;
    /** The key or directive. */
    what: string;
    /** Continues a sentence that begins with the key: the line's fate, and the reader's next step. */
    advice: string;
}

/** Returns the notes as lines `FILE:LINE: WHAT: ADVICE`, in the order of the file. */
export const noteLines = (file: string, notes: Note[]): string[] =>
    [...notes].sort((one, other) => one.line - other.line).map(({ line, what, advice }) => `${file}:${line}: ${what}: ${advice}`);
