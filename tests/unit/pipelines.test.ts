import { spawnSync } from "child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { parse } from "yaml";
import { attentionMark } from "../../components/attention";
import { rkeVersion } from "../../components/cluster/rke/rkeVersions";
import { repository } from "../../lab/inventory";

// The tests check the pipelines in docs/examples: their shell steps, and the texts that they look for in a preview.
const folder = join(repository, "docs", "examples");
const files = readdirSync(folder).filter(file => file.endsWith(".yml"));
const page = readFileSync(join(folder, "README.md"), "utf8");

/** Returns the shell scripts of a GitHub workflow or a GitLab pipeline. */
function scripts(file: string): string[] {
    const pipeline = parse(readFileSync(join(folder, file), "utf8"));
    const jobs = Object.values<any>(pipeline.jobs ?? pipeline);
    return jobs.flatMap(job => [
        ...(job?.steps ?? []).flatMap((step: any) => step.run ?? []),
        ...(job?.script ? [job.script.join("\n")] : []),
        ...(job?.after_script ?? []),
    ]);
}

/** Expects shell text that shellcheck finds nothing in. */
function expectClean(input: string): void {
    const { stdout, error } = spawnSync("shellcheck", ["--shell=bash", "-"], { input, encoding: "utf8" });
    expect([error, stdout]).toEqual([undefined, ""]);
}

/** Runs shell text as a runner does, with `stubs` in place of programs. Returns its standard output. */
function ran(script: string, stubs: string, env: Record<string, string>): string {
    const { status, stdout, stderr } = spawnSync("bash", ["--norc", "-euo", "pipefail", "-c", `${stubs}\n${script}`], {
        env: { PATH: process.env.PATH, ...env },
        encoding: "utf8",
    });
    expect([status, stderr]).toEqual([0, ""]);
    return stdout.trim();
}

test.each(files)("the scripts of %s are clean for shellcheck", file => {
    expect(scripts(file).length).toBeGreaterThan(0);
    scripts(file).forEach(expectClean);
});

test.each(["preview.yml", "gitlab-ci.yml"])("the job `check` of %s checks the types as `make lint` does", file => {
    const command = "npx tsc -p tsconfig.strict.json";
    expect(scripts(file).filter(script => script.includes("tsc"))).toEqual([command]);
    expect(readFileSync(join(repository, "Makefile"), "utf8")).toContain(command.replace("npx ", "node_modules/.bin/"));
});

test.each(["drift.yml", "gitlab-ci.yml"])("%s finds drift in what is planned and in the warnings for a person", file => {
    const looking = scripts(file).find(script => script.includes("--refresh"))!;
    expect(looking).toContain("--expect-no-changes");
    expect(looking).toContain(`! grep "${attentionMark}" preview.log`);
});

/** Returns the inputs of each step that uses an action, in all GitHub workflows. */
const inputsOf = (action: string) =>
    files.flatMap(file => {
        const { jobs = {} } = parse(readFileSync(join(folder, file), "utf8"));
        const steps = Object.values<any>(jobs).flatMap(job => job.steps);
        return steps.filter(({ uses = "" }) => uses.startsWith(`${action}@`)).map(step => ({ file, ...step.with }));
    });

test("each GitHub workflow installs Node 24 or later, as the page asks for", () => {
    const steps = inputsOf("actions/setup-node");
    expect(new Set(steps.map(({ file }) => file))).toEqual(new Set(files.filter(file => file !== "gitlab-ci.yml")));
    expect(steps.filter(step => !(step["node-version"] >= 24))).toEqual([]);
    expect(page).toMatch(/\| Node with npm \| 24 \|/);
});

test("each comment with a preview keeps its summary when the preview is cut", () => {
    const comments = inputsOf("pulumi/actions").filter(step => step["comment-on-pr"]);
    expect(comments.map(step => step["always-include-summary"])).toEqual([true]);
});

const lives: [string, result: "success" | "failure", open: string, expected: string][] = [
    ["opened by the first drift", "failure", "", "create"],
    ["kept while there is drift", "failure", "7", "comment 7"],
    ["closed by a run without drift", "success", "7", "close 7"],
    ["not made by a run without drift", "success", "", ""],
];

test.each(lives)("the issue of the GitHub workflow is %s", (_what, result, open, expected) => {
    const script = scripts("drift.yml").find(text => text.includes("gh issue"))!;
    const gh = `gh() { case "$*" in "issue list"*) echo "${open}" ;; "label "*) ;; *) echo "$2 $3" ;; esac; }`;
    const env = { RESULT: result, STACK: "production", GITHUB_SERVER_URL: "", GITHUB_REPOSITORY: "", GITHUB_RUN_ID: "" };
    expect(ran(script, gh, env).replace(/ --label$/, "")).toBe(expected);
});

describe("the issue of the GitLab pipeline", () => {
    const token = "glpat-made-up";
    /** Returns the changes that the pipeline asks GitLab for, and expects the token in each request, outside of its arguments. */
    const asked = (result: string, open: string) => {
        const script = scripts("gitlab-ci.yml").find(text => text.includes("DRIFT_TOKEN"))!;
        // This curl answers a list, and notes each other request in one line.
        const curl = `curl() { read -r header; case "$*" in *state=opened) echo '${open ? `[{"id":99,"iid":${open}}]` : "[]"}' ;; *) ;; esac
            printf '%s|' "$header" "$@" >&3; echo >&3; }; exec 3>&1`;
        const env = {
            CI_JOB_STATUS: result === "success" ? "success" : "failed",
            CI_API_V4_URL: "https://gitlab.example.com/api/v4",
            CI_PROJECT_ID: "5",
            CI_JOB_URL: "https://gitlab.example.com/jobs/1",
            DRIFT_TOKEN: token,
            STACK: "production",
        };
        const requests = ran(script, curl, env).split("\n");
        for (const request of requests)
            expect(request.split(token)).toEqual(["PRIVATE-TOKEN: ", expect.stringMatching(/^\|.*--header\|@-\|/)]);
        return requests.slice(1);
    };
    const project = "https://gitlab.example.com/api/v4/projects/5/issues";
    const changes: Record<string, RegExp[]> = {
        create: [/\|labels=drift\|.*\|title=The stack production has drifted.*https:.*\/issues\|$/],
        "comment 7": [/\|body=Still so: .*\/issues\/7\/notes\|$/],
        "close 7": [/\|body=No drift any more: .*\/issues\/7\/notes\|$/, /\|PUT\|--data\|state_event=close\|.*\/issues\/7\|$/],
        "": [],
    };

    test.each(lives)("is %s", (_what, result, open, expected) => {
        const requests = asked(result, open);
        expect(requests).toEqual(changes[expected].map(change => expect.stringMatching(change)));
        for (const request of requests) expect(request).toContain(`|${project}`);
    });
});

describe("the page of the pipelines", () => {
    test("names each file, and the version of RKE that the stack runs", () => {
        for (const file of files) expect(page).toContain(`](${file})`);
        expect(page).toContain(`| \`rke\` on the PATH | ${rkeVersion} exactly |`);
    });

    test("has a step that writes the passphrase into a file of its owner alone", () => {
        const blocks = [...page.matchAll(/```yaml\n([^]*?)```/g)].map(([, text]) => parse(text));
        const script: string = blocks.find(Array.isArray)![0].run;
        expectClean(script);
        const temporary = mkdtempSync(join(tmpdir(), "runner-"));
        try {
            const env = { RUNNER_TEMP: temporary, GITHUB_ENV: join(temporary, "env"), PASSPHRASE: "made up" };
            expect(ran(script, "", env)).toBe("");
            const [, file] = readFileSync(env.GITHUB_ENV, "utf8").trim().split("PULUMI_CONFIG_PASSPHRASE_FILE=");
            expect(readFileSync(file, "utf8")).toBe("made up");
            expect(statSync(file).mode & 0o777).toBe(0o600);
        } finally {
            rmSync(temporary, { recursive: true });
        }
    });
});
