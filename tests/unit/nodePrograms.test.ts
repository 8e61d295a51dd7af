import { spawnSync } from "child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { delimiter, join } from "path";
import { etcdAnswersProgram, hostPrograms, listSnapshotsProgram, noEtcdProgram } from "../../components/cluster/rke/hostPrograms";

// The programs for nodes run here, with a stand-in for Docker that notes what it is asked for.
let folder: string;
const file = (name: string) => join(folder, name);
beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "node-"));
    chmodSync(folder, 0o755);
    writeFileSync(file("calls"), "");
    chmodSync(file("calls"), 0o666);
    // A try that waits takes no time.
    command("sleep", "");
});
afterEach(() => rmSync(folder, { recursive: true }));

function command(name: string, text: string): void {
    writeFileSync(file(name), `#!/bin/sh\n${text}\n`);
    chmodSync(file(name), 0o755);
}

/** Lets Docker do this. Calls that match no pattern fail. */
const docker = (...answers: string[]) =>
    command("docker", `echo "$*" >>${file("calls")}\ncase "$*" in\n${answers.join("\n")}\n*) echo "no such call: $*" >&2; exit 1 ;;\nesac`);
const calls = (pattern = /./) =>
    readFileSync(file("calls"), "utf8")
        .split("\n")
        .filter(line => line !== "" && pattern.test(line));

/** Runs a program as a user of the node, and returns the lines that it prints. */
function printed(program: string, user = 0): string[] {
    const env = { ...process.env, PATH: [folder, process.env.PATH].join(delimiter) };
    const { status, stdout, stderr } = spawnSync("sh", ["-s", "probe"], { input: program, encoding: "utf8", env, uid: user, gid: user });
    expect([status, stderr]).toEqual([0, ""]);
    return stdout.split("\n").slice(0, -1);
}

/** A user who may not read folders of root. */
const nobody = 65534;

describe("the members of etcd that are to be removed", () => {
    const url = (host: number) => `https://10.0.0.${host}:2380`;
    /** Members as etcdctl lists them: the third never started, and the URL of the first begins as that of the fourth. */
    const list = [
        `a1, started, etcd-node1, ${url(1)}, https://10.0.0.1:2379, false`,
        `a2, started, etcd-node2, ${url(2)}, https://10.0.0.2:2379, false`,
        `a3, unstarted, , ${url(3)}, , false`,
        `a4, started, etcd-node4, ${url(1)}1, https://10.0.0.11:2379, false`,
    ];
    const refusal = "echo 'Error: etcdserver: unhealthy cluster'; exit 1";
    beforeEach(() => writeFileSync(file("members"), `${list.join("\n")}\n`));

    /** Lets etcd list its members, and remove a member unless `remove` says otherwise. */
    const etcd = ({ before = "", remove = "" } = {}) =>
        docker(
            `"exec etcd etcdctl member list") ${before} cat ${file("members")} ;;`,
            `"exec etcd etcdctl member remove "*) ${remove} sed -i "/^$6,/d" ${file("members")} ;;`,
        );
    const remove = (...hosts: number[]) =>
        printed(hostPrograms().removeMembersProgram.replace("'@peers@'", `'${hosts.map(url).join(" ")}'`));
    const left = () => readFileSync(file("members"), "utf8").match(/^\w+/gm);

    test("are removed, and no other one", () => {
        etcd();
        expect([remove(1, 3), left()]).toEqual([[], ["a2", "a4"]]);
    });

    test("may be gone before, and then nothing is removed", () => {
        etcd();
        expect([remove(9), left(), calls(/remove/)]).toEqual([[], ["a1", "a2", "a3", "a4"], []]);
    });

    test("are none: etcd is not asked", () => {
        etcd();
        expect([remove(), calls()]).toEqual([[], []]);
    });

    test("stay from the first one on that etcd does not remove, which is named", () => {
        etcd({ remove: `[ "$6" != a2 ] || { echo progress; ${refusal}; };` });
        expect(remove(1, 2, 3)).toEqual([`etcd does not remove the member ${url(2)}: Error: etcdserver: unhealthy cluster`]);
        expect(left()).toEqual(["a2", "a3", "a4"]);
    });

    test("are waited for while etcd starts", () => {
        etcd({ before: `[ $(grep -c list ${file("calls")}) -gt 5 ] || { echo starting; exit 1; };` });
        expect([remove(2), left()]).toEqual([[], ["a1", "a3", "a4"]]);
    });

    test("stay when etcd does not list its members, and the reason is said", () => {
        etcd({ before: "echo details; echo 'Error: context deadline exceeded' >&2; exit 1;" });
        expect(remove(1, 2)).toEqual(["etcd does not list its members: Error: context deadline exceeded"]);
        expect([calls(/list/).length, calls(/remove/), left()]).toEqual([6, [], ["a1", "a2", "a3", "a4"]]);
    });
});

test("RKE's stopped containers are started, those of others and running ones are not", () => {
    const stopped = ["etcd", "kube-scheduler", "kubelet", "website"];
    docker(
        `"inspect --format {{.State.Running}} kube-apiserver") echo true ;;`,
        ...stopped.map(name => `"inspect --format {{.State.Running}} "${name}) echo false ;;`),
        `"start kube-scheduler") exit 1 ;;`,
        `"start "*) echo "$2" ;;`,
    );
    expect(printed(hostPrograms().startProgram)).toEqual([
        "started etcd, which was stopped",
        "kube-scheduler cannot be started",
        "started kubelet, which was stopped",
    ]);
    expect(calls(/^start/)).toEqual(["start etcd", "start kube-scheduler", "start kubelet"]);
});

/** Answers of a node that has an image rke-tools. */
const tools = "images\\ *) echo 'sha256:0a registry/other:'; echo 'sha256:1b2c registry/rancher/rke-tools:' ;;";
/** The folder of a test, as Docker is asked to look into it. */
const lookInto = (place: string) => `run --rm --network none -v ${place}:/folder:ro --entrypoint`;

describe("etcd on a node", () => {
    const lacking = ["neither the container nor the data of etcd"];
    const containers = (answer: string) => `"ps --all --quiet --filter name=^/?etcd$") ${answer} ;;`;
    const ask = (user?: number) => printed(noEtcdProgram().replaceAll("/var/lib/etcd", file("etcd")), user);
    const data = (path = "member/snap/db") => {
        mkdirSync(join(file("etcd"), path, ".."), { recursive: true });
        writeFileSync(join(file("etcd"), path), "");
    };

    test.each<[string, () => void, string[]]>([
        ["is missing without a folder", () => undefined, lacking],
        ["is missing with an empty folder", () => mkdirSync(file("etcd")), lacking],
        ["is missing with what each file system has", () => data("lost+found/1"), lacking],
        ["is there with data", () => data(), []],
    ])("%s", (_what, prepare, lines) => {
        prepare();
        docker(containers(""));
        expect(ask()).toEqual(lines);
    });

    test("is there with a container, even a stopped one", () => {
        docker(containers("echo 4f5e"));
        expect(ask()).toEqual([]);
    });

    test("is not called missing while Docker does not answer", () => {
        docker(containers("exit 1"));
        expect(ask()).toEqual([]);
    });

    test.each([
        ["is empty", "true", lacking],
        ["has data", "echo /folder/member/snap/db", []],
        ["cannot be read", "echo 'permission denied' >&2; exit 1", []],
    ])("is looked for through Docker where the user may not look: a folder that %s", (_what, answer, lines) => {
        data();
        chmodSync(file("etcd"), 0o700);
        docker(containers(""), tools, `run\\ *) ${answer} ;;`);
        expect(ask(nobody)).toEqual(lines);
        expect(calls(/^run/)).toEqual([`${lookInto(file("etcd"))} find sha256:1b2c /folder -type f`]);
    });
});

describe("the snapshots of a node", () => {
    const list = (user?: number) => printed(listSnapshotsProgram().replaceAll("/opt/rke/etcd-snapshots", file("snapshots")), user);
    const save = (...names: string[]) => {
        mkdirSync(file("snapshots"));
        for (const name of names) writeFileSync(join(file("snapshots"), name), "");
    };

    test("are none before the first one", () => {
        docker();
        expect([list(), calls(), existsSync(file("snapshots"))]).toEqual([[], [], false]);
    });

    test("are listed by the user who may read the folder, without Docker", () => {
        docker();
        save("one.zip", "two.zip");
        expect([list(), calls()]).toEqual([["one.zip", "two.zip"], []]);
    });

    test("are listed through Docker where the user may not look", () => {
        save("hidden.zip");
        chmodSync(file("snapshots"), 0o700);
        docker(tools, "run\\ *) echo one.zip ;;");
        expect(list(nobody)).toEqual(["one.zip"]);
        expect(calls(/^run/)).toEqual([`${lookInto(file("snapshots"))} ls sha256:1b2c /folder`]);
    });
});

test.each([
    ["answers", "echo anything", ["etcd answers"]],
    ["does not answer", "echo 'deadline exceeded' >&2; exit 1", []],
])("a member of etcd that %s", (_what, answer, lines) => {
    docker(`"exec etcd etcdctl get health") ${answer} ;;`);
    expect(printed(etcdAnswersProgram())).toEqual(lines);
});
