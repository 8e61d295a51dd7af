import { spawnSync } from "child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { delimiter, join } from "path";
import { endedContainers, rkeContainers } from "../../components/cluster/rke/containerNames";
import { hostPrograms } from "../../components/cluster/rke/hostPrograms";
import { moduleFolder } from "../../lab/tools";

test("the names are those of RKE's source", async () => {
    const folder = await moduleFolder("rke", "github.com/rancher/rke");
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
    const sources = files.filter(file => /^(cluster|hosts|pki|services)\/\w+.*\.go$/.test(file)).map(file => join(folder, file));
    // Other constants of such names are values of a network plugin.
    const constant = /^\t(?!Default)\w*Container(?:Name)? *= "([a-z][a-zA-Z-]+)"$/gm;
    const named = sources.flatMap(file => [...readFileSync(file, "utf8").matchAll(constant)].map(([, name]) => name));
    expect(named.length).toBeGreaterThan(25);
    const known = rkeContainers.filter(name => !name.startsWith("old-") && name !== "share-mnt");
    expect(known.sort()).toEqual([...new Set(named)].sort());
});

/** Runs a program on a node whose containers have these names. Returns its output and the removed containers. */
function onNode(program: string, containers: string[]) {
    const folder = mkdtempSync(join(tmpdir(), "node-"));
    const docker = join(folder, "docker");
    writeFileSync(
        docker,
        `#!/bin/sh
case "$*" in
"ps --all --format {{.Names}}") printf '%s\\n' ${containers.join(" ")} ;;
"ps --quiet --filter name=^/?kubelet$") printf '%s\\n' ${containers.join(" ")} | grep -x kubelet ;;
"ps --all --quiet --filter label=io.kubernetes.pod.uid") printf '%s\\n' ${containers.join(" ")} | grep ^k8s_ ;;
"rm --force --volumes "*) shift 3; echo "$*" >>${folder}/removed ;;
esac
`,
    );
    chmodSync(docker, 0o755);
    writeFileSync(join(folder, "removed"), "");
    const { stdout } = spawnSync("sh", ["-s", "probe"], {
        input: program,
        encoding: "utf8",
        env: { ...process.env, PATH: [folder, process.env.PATH].join(delimiter) },
    });
    const removed = readFileSync(join(folder, "removed"), "utf8").split(/\s+/).filter(Boolean);
    rmSync(folder, { recursive: true });
    return { found: stdout.match(/(?<=^container ).*/gm) ?? [], removed };
}

const ofOthers = ["etcd-exporter", "old-website", "rke-dashboard", "kube-state-metrics"];

test("every container that RKE can leave is named, and any that begins as theirs", () => {
    const { found } = onNode(hostPrograms().leftoverProgram, ["k8s_POD_rancher", ...rkeContainers, ...ofOthers]);
    const alike = ofOthers.filter(name => /^(kube|rke)-/.test(name));
    expect(found).toEqual(["k8s_POD_rancher", ...rkeContainers, ...alike]);
});

test("containers of pods and single steps are removed; services and foreign ones stay", () => {
    const others = [...ofOthers, "etcd", "kube-apiserver"];
    const { removed } = onNode(hostPrograms().removeContainersProgram, ["k8s_POD_rancher", ...endedContainers, ...others]);
    expect(removed).toEqual(["k8s_POD_rancher", ...endedContainers]);
    expect(onNode(hostPrograms().removeContainersProgram, others).removed).toEqual([]);
});

test("nothing is removed while a kubelet runs", () => {
    expect(onNode(hostPrograms().removeContainersProgram, ["kubelet", "k8s_POD_rancher", ...endedContainers]).removed).toEqual([]);
});
