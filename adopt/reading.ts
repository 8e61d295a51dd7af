/** What a file of an installation says, in the terms of this stack. */
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
    /** What becomes of the line, and what the reader may do. */
    advice: string;
}

/** Returns the notes as lines `FILE:LINE: WHAT: ADVICE`, in the order of the file. */
export const noteLines = (file: string, notes: Note[]): string[] =>
    [...notes].sort((one, other) => one.line - other.line).map(({ line, what, advice }) => `${file}:${line}: ${what}: ${advice}`);
