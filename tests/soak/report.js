/* global module, require, __dirname */
const { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } = require("fs");
const { dirname, join } = require("path");

const root = join(__dirname, "..", "..");
const figuresFile = join(root, "node_modules", ".cache", "soak.jsonl");
const page = join(root, "docs", "soak.md");
const head = "| test | figure | found | limit | result | date |";

const cells = row =>
    row
        .split("|")
        .slice(1, -1)
        .map(cell => cell.trim());
const rowsOf = text =>
    text
        .split("\n")
        .filter(line => line.startsWith("| ") && line !== head && !/^\| -/.test(line))
        .map(cells);

/** Writes the figures of the soak tests into the table of docs/soak.md. Rows of tests that did not run stay. */
module.exports = class SoakReport {
    onRunStart() {
        mkdirSync(dirname(figuresFile), { recursive: true });
        rmSync(figuresFile, { force: true });
    }

    onRunComplete(_contexts, { testResults }) {
        const date = new Date().toISOString().slice(0, 10);
        const figures = existsSync(figuresFile) ? readFileSync(figuresFile, "utf8").trim().split("\n").map(JSON.parse) : [];
        const ran = testResults.flatMap(file => file.testResults).filter(test => ["passed", "failed"].includes(test.status));
        const rows = ran.flatMap(({ fullName, status }) => {
            const own = figures.filter(({ test }) => test === fullName);
            const found = own.length > 0 ? own : [{ figure: "", found: "", limit: "" }];
            return found.map(({ figure, found, limit }) => [fullName, figure, found, limit, status, date]);
        });
        if (rows.length === 0) return;
        const text = readFileSync(page, "utf8");
        const names = new Set(ran.map(({ fullName }) => fullName));
        const kept = rowsOf(text).filter(([test]) => !names.has(test));
        const table = [head, `|${" --- |".repeat(6)}`, ...[...kept, ...rows].sort().map(row => `| ${row.join(" | ")} |`)];
        writeFileSync(page, `${text.slice(0, text.indexOf(head))}${table.join("\n")}\n`);
    }
};
