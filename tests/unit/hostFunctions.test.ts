import { spawnSync } from "child_process";
import { readFileSync } from "fs";
import { nginxConf } from "../../components/loadBalancer/nginxConf";
import { scripts } from "../../components/loadBalancer/program";
import { finished, hostFunction, settings } from "../nginx";

describe("lines marked for some versions of NGINX", () => {
    const marked = ["always", "new; # nginx >= 1.25.1", "old; # nginx < 1.25.1", "# nginx >= 9 in the middle; stays", ""].join("\n");
    test.each([
        ["1.18.0", false],
        ["1.25.0", false],
        ["1.25.1", true],
        ["1.25.10", true],
        ["1.26.0", true],
        ["2.0.0", true],
        ["1.9.15", false],
    ])("%s", (version, isNew) => {
        const lines = finished(marked, { version }).split("\n");
        expect(lines.slice(1, 2)).toEqual([isNew ? "new; # nginx >= 1.25.1" : "old; # nginx < 1.25.1"]);
        expect(lines).toHaveLength(4);
    });
});

test.each([
    { openFiles: 19000, connections: 18744, files: 19000 },
    { openFiles: 524_288, connections: 32768, files: 33024 },
])("a host that allows $openFiles open files gets $connections connections", ({ openFiles, connections, files }) => {
    const text = finished(nginxConf(settings(), ""), { version: "1.22.1", openFiles });
    expect(text).toContain(`worker_connections ${connections};`);
    expect(text).toContain(`worker_rlimit_nofile ${files};`);
});

test.each([
    ["over lines, quoted, and without comments", '"listen"\n 1; # listen 2;\nlisten 3 ssl;', ["1", "3"]],
    ["between quotes inside words, which are none to NGINX", 'add_header X a"b; listen 8443; add_header Y c"d;', ["8443"]],
    ["not inside a quoted word", "add_header X 'a; listen 1; b';", []],
    ["of QUIC beside those of TCP", "listen 443 ssl; listen [::]:443 reuseport quic;", ["443", "[::]:443 quic"]],
    ["not as an argument, nor after a word with braces", "set $a b${c}; return 200 listen; x a}listen; listen 5;", ["5"]],
])("listeners are found %s", (_what, text, found) => {
    expect(hostFunction("listeners", text).split("\n").filter(Boolean)).toEqual(found);
});

test("a package that was there and is only renewed is not taken for ours", () => {
    const simulated = [
        "NOTE: This is only a simulation!",
        "Inst libssl3 [3.0.9-1] (3.0.15-1~deb12u1 Debian-Security:12/stable-security [amd64])",
        "Inst nginx-common (1.22.1-9+deb12u1 Debian:12.9/stable [all]) []",
        "Inst nginx (1.22.1-9+deb12u1 Debian:12.9/stable [amd64])",
        "Conf nginx (1.22.1-9+deb12u1 Debian:12.9/stable [amd64])",
    ];
    expect(hostFunction("new_packages", simulated.join("\n"))).toBe("nginx-common\nnginx\n");
});

test("the host's program is clean for shellcheck", () => {
    const program = scripts.map(path => readFileSync(path, "utf8"));
    const { stdout, error } = spawnSync("shellcheck", ["--shell=sh", "-"], { input: program.join("\n"), encoding: "utf8" });
    if (error) throw new Error("shellcheck is not installed: apt-get install shellcheck");
    expect(stdout).toBe("");
});
