import { execFileSync } from "child_process";
import { readdirSync, readFileSync } from "fs";
import { join } from "path";
import { errorCodes, withCode } from "../../components/errorCodes";
import { errorsPage, headings, renderedErrorsPage } from "../../scripts/errorsPage";
import { expectCommitted } from "../committed";

const repository = join(__dirname, "..", "..");
const components = readdirSync(join(repository, "components"), { recursive: true, encoding: "utf8" }).map(file => `components/${file}`);
const sources = [...components, "config.ts", "configFiles.ts"].filter(
    file => /\.(ts|js|sh)$/.test(file) && file !== "components/errorCodes.ts",
);
const texts = Object.fromEntries(sources.map(file => [file, readFileSync(join(repository, file), "utf8")]));
const places = (pattern: RegExp, files = sources) =>
    files.flatMap(file => texts[file].split("\n").flatMap(line => (pattern.test(line) ? [`${file}: ${line.trim()}`] : [])));

const codes = Object.keys(errorCodes).join("|");

test("the page of errors has the table of codes, and one heading for each", () => {
    expectCommitted(errorsPage, renderedErrorsPage());
    const written = [...readFileSync(errorsPage, "utf8").matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
    expect(written).toEqual(headings());
});

test("every message in a table of the page is in the code", () => {
    const ofPulumi = ["cannot be deleted because it is protected", "marked for protection"];
    const ofOthers = [...ofPulumi, "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "Connection refused"];
    const code = Object.values(texts)
        .join("\n")
        .replace(/["`'] \+\n\s*["`']/g, "")
        .replace(/\\"/g, '"');
    // The first cells of the tables that are written by hand. A cell of the written table begins with a link.
    const cells = [...readFileSync(errorsPage, "utf8").matchAll(/^\| (?!\[)(.*?) \|/gm)].map(([, cell]) => cell);
    const messages = cells.flatMap(cell => [...cell.matchAll(/`([^`]+)`/g)].map(([, message]) => message));
    expect(messages.length).toBeGreaterThan(80);
    // A message holds values in the place of `…` and of numbers.
    const parts = (message: string) => message.split(/…|\d[\d.]*|(?<=, found )/).map(part => part.trim());
    const gone = messages.filter(message => !parts(message).every(part => code.includes(part)));
    expect(gone.filter(message => !ofOthers.includes(message))).toEqual([]);
});

test("every code is used", () => {
    const all = Object.values(texts).join("\n");
    const uses = (code: string) => new RegExp(`"${code}"|\\b(coded|fail|refuse|abort) ${code} `).test(all);
    expect(Object.keys(errorCodes).filter(code => !uses(code))).toEqual([]);
});

test("every error of a host's program has a code of the table", () => {
    const host = sources.filter(file => file.startsWith("components/loadBalancer/host/"));
    const call = /^(?!\s*#).*(?<![\w-])(coded|fail|refuse|abort) (?!\{)/;
    const withItsCode = new RegExp(`(?<![\\w-])(coded|fail|refuse|abort) ("\\$(1|code)"|${codes}) `);
    const calls = places(call, host);
    expect(calls.length).toBeGreaterThan(25);
    expect(calls.filter(line => !withItsCode.test(line))).toEqual([]);
});

test("every error of the components and of the programs for the runner has a code", () => {
    // These errors reach a user only as the reason inside another error.
    const inner = ["cluster/rke/runner/bucket.js", "cluster/runner/kubernetesApi.js", "rancher/chartFile.ts", "rancher/runner/site.js"].map(
        file => `components/${file}`,
    );
    const uncoded = /\b(new|extends) (\w+\.)?(Error|RunError|ResourceError)\b(?!\(withCode\()/;
    const doors = ["components/remote/runner/codedError.js", "components/rancher/runner/unexpected.js", "components/validation.ts"];
    const others = sources.filter(file => ![...inner, ...doors].includes(file));
    expect(places(uncoded, others)).toEqual([]);
    expect(inner.filter(file => places(uncoded, [file]).length === 0)).toEqual([]);
});

describe("a code stands at the end of the first line", () => {
    const runner = jest.requireActual("../../components/remote/runner/codedError.js");
    const lib = join(repository, "components", "loadBalancer", "host", "lib.sh");
    const inShell = (code: string, text: string) =>
        execFileSync("sh", ["-c", `. "$0"; coded "$1" "$2"`, lib, code, text], { encoding: "utf8" }).replace(/\n$/, "");

    test.each([
        ["expected root, found alice", "expected root, found alice [RHA host-not-fit]"],
        ["because:\n  - a:\n  - b", "because: [RHA host-not-fit]\n  - a:\n  - b"],
        ["a $& and 100 %s", "a $& and 100 %s [RHA host-not-fit]"],
    ])("%j", (text, expected) => {
        expect(withCode("host-not-fit", text)).toBe(expected);
        expect(runner.withCode("host-not-fit", text)).toBe(expected);
        expect(inShell("host-not-fit", text)).toBe(expected);
    });

    test("a message keeps the code that it has", () => {
        for (const coded of [withCode, runner.withCode]) {
            expect(coded("drift-unknown", coded("ssh", "no SSH connection"))).toBe("no SSH connection [RHA ssh]");
            expect(coded("nodes-not-fit", `because:\n${coded("ssh", "a")}`)).toBe("because: [RHA nodes-not-fit]\na [RHA ssh]");
        }
    });
});

test("an error that a program did not foresee has a code too", async () => {
    const write = jest.spyOn(process.stderr, "write").mockReturnValue(true);
    const { printResult } = jest.requireActual("../../components/remote/runner/result.js");
    await printResult(Promise.reject(new Error("ENOSPC: no space left on device")));
    expect(write.mock.calls).toEqual([["ENOSPC: no space left on device [RHA unexpected]\n"]]);
    process.exitCode = 0;
    write.mockRestore();
});
