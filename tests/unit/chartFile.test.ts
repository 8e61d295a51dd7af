import { execFileSync } from "child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { gzipSync } from "zlib";
import { chartFault } from "../../components/rancher/chartFile";

const folder = mkdtempSync(join(tmpdir(), "chart-"));
afterAll(() => rmSync(folder, { recursive: true }));

const chart = join(folder, "rancher");
const archive = join(folder, "rancher.tgz");
mkdirSync(join(chart, "templates"), { recursive: true });
writeFileSync(join(chart, "templates", "a.yaml"), "a: 1\n".repeat(1000));
writeFileSync(join(chart, "Chart.yaml"), "apiVersion: v2\nname: rancher\nversion: 2.11.3\n");
execFileSync("tar", ["-czf", archive, "-C", folder, "rancher/templates", "rancher/Chart.yaml"]);

test.each([chart, archive])("a chart of the version that is asked for has no fault", path =>
    expect(chartFault(path, "2.11.3")).toBeUndefined(),
);

test.each([chart, archive])("one of another version has: Helm would install it", path =>
    expect(chartFault(path, "2.13.0")).toBe(`expected the chart of version 2.13.0 in ${path}, found 2.11.3`),
);

test.each([
    ["is not there", "none.tgz", undefined, "ENOENT"],
    ["is empty", "empty.tgz", gzipSync(Buffer.alloc(1024)), "it holds no Chart.yaml"],
    ["is not packed", "text.tgz", Buffer.from("text"), "Z_DATA_ERROR"],
])("so has a file that %s", (_what, name, content, reason) => {
    const path = join(folder, name);
    if (content) writeFileSync(path, content);
    expect(chartFault(path, "2.11.3")).toBe(`expected the chart of version 2.11.3 in ${path}, found no chart that can be read (${reason})`);
});
