import { spawnSync } from "child_process";
import { delimiter, dirname, join } from "path";
import { repository } from "../../lab/inventory";
import { pathWithoutWrapper } from "../../lab/pulumi";
import { installedVersion } from "../../lab/tools";

const wrapper = join(repository, "node_modules", ".bin", "pulumi");

test("the lab does not take the wrapper of npx for a Pulumi CLI", () => {
    const found = (path: string) =>
        spawnSync("/bin/sh", ["-c", "command -v pulumi"], { env: { PATH: path }, encoding: "utf8" }).stdout.trim();
    const path = [dirname(wrapper), "/nowhere"].join(delimiter);
    expect([found(path), found(pathWithoutWrapper(path))]).toEqual([wrapper, ""]);
});

test("the CLI of npx is not older than the SDK", () => {
    const [cli, sdk] = ["pulumi", "@pulumi/pulumi"].map(name => installedVersion(name).split(".").map(Number));
    expect(cli[0]).toBe(sdk[0]);
    expect(cli[1]).toBeGreaterThanOrEqual(sdk[1]);
});
