import { spawnSync } from "child_process";
import { join } from "path";
import { repository } from "../../lab/inventory";

test("the tests of Rancher's stand-in pass: routes, forwarded headers, the chart where RANCHER_CHART names the real one", () => {
    const { stdout, error } = spawnSync("go", ["test", "./..."], { cwd: join(repository, "lab", "rancher"), encoding: "utf8" });
    expect({ error, stdout }).toEqual({ error: undefined, stdout: expect.stringMatching(/^ok\s/) });
}, 300_000);
