import { spawnSync } from "child_process";
import { readdirSync, readFileSync } from "fs";
import { join } from "path";
import { parse } from "yaml";
import { attentionMark } from "../../components/attention";

// The tests check the pipelines in docs/examples: their shell steps, and the texts that they look for in a preview.
const folder = join(__dirname, "..", "..", "docs", "examples");
const files = readdirSync(folder);

/** Returns the shell scripts of a GitHub workflow or a GitLab pipeline. */
function scripts(file: string): string[] {
    const pipeline = parse(readFileSync(join(folder, file), "utf8"));
    const jobs = Object.values<any>(pipeline.jobs ?? pipeline);
    return jobs.flatMap(job => [
        ...(job?.steps ?? []).flatMap((step: any) => step.run ?? []),
        ...(job?.script ? [job.script.join("\n")] : []),
    ]);
}

test.each(files)("the scripts of %s are clean for shellcheck", file => {
    expect(scripts(file).length).toBeGreaterThan(0);
    for (const input of scripts(file)) {
        const { stdout, error } = spawnSync("shellcheck", ["--shell=bash", "-"], { input, encoding: "utf8" });
        expect([error, stdout]).toEqual([undefined, ""]);
    }
});

test.each(["drift.yml", "gitlab-ci.yml"])("%s finds drift in what is planned and in the warnings for a person", file => {
    const looking = scripts(file).find(script => script.includes("--refresh"))!;
    expect(looking).toContain("--expect-no-changes");
    expect(looking).toContain(`! grep "${attentionMark}" preview.log`);
});

describe("the issue of the drift workflow", () => {
    const script = scripts("drift.yml").find(text => text.includes("gh issue"))!;
    /** Returns the script's calls of gh after a run with `result`. `open` is the number of the open issue, or empty. */
    const asked = (result: string, open: string) => {
        const gh = `gh() { case "$*" in "issue list"*) echo "${open}" ;; "label "*) ;; *) echo "$1 $2 $3" ;; esac; }`;
        const env = {
            PATH: process.env.PATH,
            RESULT: result,
            STACK: "production",
            GITHUB_SERVER_URL: "",
            GITHUB_REPOSITORY: "",
            GITHUB_RUN_ID: "",
        };
        const { status, stdout } = spawnSync("bash", ["-euo", "pipefail", "-c", `${gh}\n${script}`], { env, encoding: "utf8" });
        expect(status).toBe(0);
        return stdout.trim();
    };

    test.each([
        ["opened by the first drift", "failure", "", "issue create --label"],
        ["kept while there is drift", "failure", "7", "issue comment 7"],
        ["closed by a run without drift", "success", "7", "issue close 7"],
        ["not made by a run without drift", "success", "", ""],
    ])("is %s", (_what, result, open, expected) => expect(asked(result, open)).toBe(expected));
});
