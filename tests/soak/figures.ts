import { appendFileSync } from "fs";
import { join } from "path";

/** File in which figures wait for report.js. */
const file = join(__dirname, "..", "..", "node_modules", ".cache", "soak.jsonl");

/** Limit of a figure: at most or at least this. */
export interface Limit {
    atMost?: number;
    atLeast?: number;
    /** `s`, `requests`. */
    unit: string;
}

/** Records figures of the running test for docs/soak.md, and fails when one is beyond its limit. */
export function expectFigures(figures: Record<string, [found: number, limit: Limit]>): void {
    const test = expect.getState().currentTestName!;
    for (const [figure, [found, { atMost, atLeast, unit }]] of Object.entries(figures)) {
        const limit = [atLeast !== undefined && `at least ${atLeast} ${unit}`, atMost !== undefined && `at most ${atMost} ${unit}`];
        const row = { test, figure, found: `${Number(found.toFixed(2))} ${unit}`, limit: limit.filter(Boolean).join(", ") };
        appendFileSync(file, `${JSON.stringify(row)}\n`);
    }
    for (const [figure, [found, { atMost, atLeast }]] of Object.entries(figures)) {
        const inside = found <= (atMost ?? Infinity) && found >= (atLeast ?? -Infinity);
        expect({ figure, found, inside }).toEqual({ figure, found, inside: true });
    }
}
