import { halfRange, median } from "./statistics";

interface Target {
    what: string;
    found: number;
    relation: "≤" | "≥";
    wanted: number;
    unit: string;
}

/** Findings of one part of the measurements. */
export interface Part {
    date: string;
    sections: string[];
    targets: Target[];
}

/** Tables and targets, as Markdown and as a chart. Parts that this run did not measure keep the results of earlier runs. */
export class Report {
    private readonly parts: Record<string, Part>;
    private part!: Part;

    constructor(earlier: Record<string, Part> = {}) {
        this.parts = { ...earlier };
    }

    /** Begins a part. Later findings belong to this part. */
    begin(name: string): void {
        this.part = { date: new Date().toISOString().slice(0, 10), sections: [], targets: [] };
        this.parts[name] = this.part;
    }

    json(): string {
        return `${JSON.stringify(this.parts, undefined, 4)}\n`;
    }

    private get targets(): Target[] {
        return Object.values(this.parts).flatMap(({ targets }) => targets);
    }

    table(title: string, head: string[], rows: string[][], note = ""): void {
        const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
        this.part.sections.push(
            [`### ${title}`, "", line(head), line(head.map(() => "---")), ...rows.map(line), ...(note ? ["", note] : [])].join("\n"),
        );
    }

    /** Adds a figure with its target. Without a unit, the figure is a ratio to the manual's. */
    target(what: string, found: number, relation: "≤" | "≥", wanted: number, unit = "×"): void {
        this.part.targets.push({ what, found, relation, wanted, unit });
    }

    /** Expects a value not worse than the manual's, apart from the noise: the spread between the rounds of one configuration. */
    neverWorse(what: string, unit: string, theirs: number[], own: number[]): void {
        const noise = Math.max(halfRange(theirs), halfRange(own));
        const manuals = `the manual's: ${median(theirs).toFixed(0)}, ± ${noise.toFixed(0)}`;
        this.target(`${what} (${manuals})`, median(own), "≤", median(theirs) + noise, unit);
    }

    markdown(introduction: string): string {
        const rows = this.targets.map(each => {
            const { what, found, relation, wanted, unit } = each;
            return `| ${what} | ${figure(found)} ${unit} | ${relation} ${figure(wanted)} ${unit} | ${this.isMet(each) ? "met" : "**missed**"} |`;
        });
        const sections = Object.values(this.parts).flatMap(each => each.sections.map(text => `${text}\n\nMeasured on ${each.date}.`));
        const summary = ["| figure | found | target | |", "| --- | --- | --- | --- |", ...rows].join("\n");
        return `${introduction}\n\n## Targets\n\n![Ratios to the manual's configuration](benchmarks.svg)\n\n${summary}\n\n## Measurements\n\n${sections.join("\n\n")}\n`;
    }

    /** Returns a chart with one bar for each ratio, on a logarithmic scale. The line in the middle is the manual's configuration. */
    svg(): string {
        const ratios = this.targets.filter(({ unit }) => unit === "×");
        const [row, left, width] = [22, 420, 400];
        const scale = (ratio: number) =>
            left + width / 2 + (Math.log10(Math.min(10, Math.max(0.001, ratio))) / (ratio < 1 ? 3 : 1)) * (width / 2);
        const bars = ratios.map((each, index) => {
            const y = 30 + index * row;
            const [from, to] = [scale(1), scale(each.found)].sort((a, b) => a - b);
            const colour = this.isMet(each) ? "#2e7d32" : "#c62828";
            return `<text x="${left - 8}" y="${y + 12}" text-anchor="end">${escape(each.what)}</text>
<rect x="${from.toFixed(1)}" y="${y}" width="${Math.max(1, to - from).toFixed(1)}" height="15" fill="${colour}"/>
<path d="M${scale(each.wanted).toFixed(1)} ${y - 3}v21" stroke="#555" stroke-dasharray="2 2"/>
<text x="${left + width + 8}" y="${y + 12}">${figure(each.found)}×</text>`;
        });
        const height = 50 + ratios.length * row;
        return `<svg xmlns="http://www.w3.org/2000/svg" width="${left + width + 70}" height="${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="8" y="16">Our configuration against the manual’s (= 1); dashed: the target; green: met, red: missed</text>
<path d="M${scale(1)} 24V${height - 16}" stroke="black"/>
${bars.join("\n")}
</svg>
`;
    }

    private isMet({ found, relation, wanted }: { found: number; relation: "≤" | "≥"; wanted: number }): boolean {
        return relation === "≤" ? found <= wanted : found >= wanted;
    }
}

function figure(value: number): string {
    if (Number.isInteger(value)) return String(value);
    return value < 0.1 ? value.toFixed(4) : value.toFixed(2);
}

function escape(text: string): string {
    return text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
}
