import { ChildProcess, spawn } from "child_process";
import fc from "fast-check";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { createServer } from "net";
import { tmpdir } from "os";
import { delimiter, join } from "path";
import { hostPrograms } from "../../components/cluster/rke/hostPrograms";
import { run, until } from "../../lab/process";
import { unpackedDebianPackages } from "../../lab/tools";
import { hostKey, sshKey } from "../ssh";

interface Member {
    name: string;
    isHealthy: boolean;
    leaves: boolean;
}
const { quorumFault, refuseLostQuorum } = jest.requireActual<{
    quorumFault: (members: Member[], joins: boolean) => string | undefined;
    refuseLostQuorum: (env: NodeJS.ProcessEnv, built: object[], input: object, rebuilt: object[]) => Promise<void>;
}>("../../components/cluster/rke/runner/quorum.js");

/** Returns members from a text: `+` is healthy, `-` is not, and `<` leaves. */
const members = (text: string) =>
    [...text.matchAll(/([+-])(<?)/g)].map(([, health, leaves], index) => ({
        name: `node${index + 1}`,
        isHealthy: health === "+",
        leaves: leaves !== "",
    }));

test.each<[string, string, boolean, boolean]>([
    ["the dead one of three leaves", "-<++", true, true],
    ["the dead ones of five leave", "-<-<+++", true, true],
    ["one of three healthy ones is replaced", "+<++", true, true],
    ["a healthy one leaves beside a dead one, which stays", "+<-+", true, false],
    ["a healthy one and the dead one leave", "+<-<+", true, false],
    ["two of three healthy ones are replaced", "+<+<+", true, false],
    ["three healthy ones become one", "+<+<+", false, true],
    ["three become one while one of them is dead", "+<-<+", false, false],
    ["all are replaced", "+<+<+<", true, false],
    ["all leave", "+<", false, false],
    ["none leaves, and none is healthy", "---", false, true],
])("when %s (%s, joins: %s), it may: %s", (_what, text, joins, isAllowed) => {
    expect(quorumFault(members(text), joins) === undefined).toBe(isAllowed);
});

test("in every order of allowed removals, more than half of the members are healthy", () => {
    const member = fc.record({ name: fc.constant("node"), isHealthy: fc.boolean(), leaves: fc.boolean() });
    const cases = fc.array(member, { minLength: 1, maxLength: 9 });
    fc.assert(
        fc.property(cases, fc.boolean(), fc.infiniteStream(fc.nat()), (all, joins, choices) => {
            if (quorumFault(all, joins) !== undefined || !all.some(({ leaves }) => leaves)) return;
            const left = [...all];
            for (;;) {
                expect(2 * left.filter(({ isHealthy }) => isHealthy).length).toBeGreaterThan(left.length);
                const leaving = left.filter(({ leaves }) => leaves);
                if (leaving.length === 0) return;
                left.splice(left.indexOf(leaving[choices.next().value % leaving.length]), 1);
            }
        }),
    );
});

describe("the program that asks etcd", () => {
    const names = ["node1", "node2", "node3"];
    let folder: string;
    let bin: string;
    let ports: { client: number; peer: number }[];
    let running: ChildProcess[];

    beforeAll(async () => {
        bin = join(await unpackedDebianPackages(["etcd-server", "etcd-client"]), "usr", "bin");
        folder = mkdtempSync(join(tmpdir(), "quorum-"));
        const free = await Promise.all(Array.from({ length: 6 }, freePort));
        ports = names.map((_, index) => ({ client: free[index], peer: free[index + 3] }));
        const cluster = names.map((name, index) => `${name}=http://127.0.0.1:${ports[index].peer}`).join();
        running = names.map((name, index) => {
            const [client, peer] = [ports[index].client, ports[index].peer].map(port => `http://127.0.0.1:${port}`);
            const flags = [`--name=${name}`, `--data-dir=${join(folder, name)}`, `--initial-cluster=${cluster}`];
            flags.push(`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`);
            flags.push(`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`);
            return spawn(join(bin, "etcd"), flags, { stdio: "ignore" });
        });
        // In a node, the container of etcd has these variables.
        writeFileSync(join(folder, "docker"), `#!/bin/sh\nshift 2\nPATH=${bin}:$PATH exec "$@"\n`);
        chmodSync(join(folder, "docker"), 0o755);
        await until("etcd to have a leader", 30, async () => (await ask()).every(line => line.endsWith(" healthy")));
    });
    afterAll(() => {
        running.forEach(member => member.kill("SIGKILL"));
        rmSync(folder, { recursive: true });
    });

    const freePort = () =>
        new Promise<number>((resolve, reject) => {
            const server = createServer().on("error", reject);
            server.listen(0, "127.0.0.1", () => {
                const { port } = server.address() as { port: number };
                server.close(() => resolve(port));
            });
        });
    const env = (client = ports[0].client) => ({
        ...process.env,
        PATH: [folder, process.env.PATH].join(delimiter),
        ETCDCTL_API: "3",
        ETCDCTL_ENDPOINTS: `http://127.0.0.1:${client}`,
    });
    const ask = async (client?: number) =>
        (await run("sh", ["-s", "probe"], { input: hostPrograms().etcdHealthProgram, env: env(client) })).stdout
            .trimEnd()
            .split("\n")
            .sort();
    /** Returns the lines that are expected of the members on these places. */
    const expected = (...health: string[]) => health.map((text, index) => `member http://127.0.0.1:${ports[index].peer} ${text}`).sort();

    test("tells each member's health while etcd has quorum, also of one that never started", async () => {
        expect(await ask()).toEqual(expected("healthy", "healthy", "healthy"));
        running[2].kill("SIGKILL");
        expect(await ask()).toEqual(expected("healthy", "healthy", "not healthy"));
        const [, , third] = ports;
        await run(join(bin, "etcdctl"), ["member", "remove", /^(\w+), started, node3/m.exec(await list())![1]], { env: env() });
        await run(join(bin, "etcdctl"), ["member", "add", "node3", `--peer-urls=http://127.0.0.1:${third.peer}`], { env: env() });
        expect(await ask()).toEqual(expected("healthy", "healthy", "not healthy"));
        running[1].kill("SIGKILL");
        expect(await ask()).toEqual(expected("not healthy", "not healthy", "not healthy"));
    });
    const list = async () => (await run(join(bin, "etcdctl"), ["member", "list"], { env: env() })).stdout;

    test("says why where etcd does not answer", async () => {
        expect(await ask(1)).toEqual([expect.stringMatching(/^etcd does not list its members: .*(deadline|refused)/)]);
    });
});

describe("a run in which an etcd node leaves", () => {
    const address = (number: number) => `192.0.2.3${number}`;
    const built = [1, 2, 3].map(number => ({
        address: address(number),
        internalAddress: `10.0.0.${number}`,
        hostnameOverride: `node${number}`,
        role: ["etcd"],
    }));
    const reached = (number: number) => ({
        name: `node${number}`,
        connection: { address: address(number), port: 22, user: "rke", hostKey, privateKey: sshKey },
    });
    let folder: string;
    beforeAll(() => {
        folder = mkdtempSync(join(tmpdir(), "quorum-ssh-"));
        writeFileSync(join(folder, "ssh"), "#!/bin/sh\nexec sh\n");
        chmodSync(join(folder, "ssh"), 0o755);
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    /** Refuses or not. The lines are what an etcd node says that stays. */
    const change = (kept: number[], lines: string[], rebuilt: number[] = []) => {
        const nodes = kept.map(reached);
        const wantedNodes = kept.map(number => ({ address: address(number), roles: ["etcd"] }));
        const etcdHealthProgram = lines.map(line => `echo '${line}'`).join("\n");
        const env = { ...process.env, PATH: [folder, process.env.PATH].join(delimiter) };
        return refuseLostQuorum(env, built, { nodes, wantedNodes, etcdHealthProgram }, rebuilt.map(reached));
    };
    const member = (number: number, health = "healthy") => `member https://10.0.0.${number}:2380 ${health}`;

    test("is refused before RKE runs when etcd would lose its quorum, and names the nodes", async () => {
        await expect(change([2, 3, 4], [member(1), member(2, "not healthy"), member(3)])).rejects.toThrow(
            "RKE was not started and no host was changed, because etcd would lose its quorum without node1: expected that more than half of its " +
                "3 members stay and are healthy, found node3. Not healthy: node2. Return to the earlier nodes, bring members up that are not " +
                "healthy, and let one etcd node leave in each update [RHA etcd-quorum]",
        );
    });

    test("goes on when the dead one leaves", () => change([2, 3, 4], [member(1, "not healthy"), member(2), member(3)]));

    test("asks nothing when no etcd node leaves", () => change([1, 2, 3, 4, 5], ["etcd does not list its members: no container"]));

    test("goes on when the node that leaves is no member, as after a run that was killed", () =>
        change([2, 3, 4], [member(2), member(3), member(4, "not healthy")]));

    test("is refused when a member of nobody's record counts against the quorum", () =>
        expect(change([2, 3, 4], [member(1), member(2), member(3, "not healthy"), member(9)])).rejects.toThrow(
            /without node1: .* its 4 members .* found node2, https:\/\/10\.0\.0\.9:2380\. Not healthy: node3\./,
        ));

    test("is refused when a rebuilt one is not the only one that does not work", () =>
        expect(change([1, 2, 3], [member(1, "not healthy"), member(2, "not healthy"), member(3)], [1])).rejects.toThrow(
            /without node1: .* found node3\. Not healthy: node1, node2\./,
        ));

    test("is refused with the way to a restore when no etcd node answers", () =>
        expect(change([2, 3, 4], ["etcd does not list its members: no container"])).rejects.toThrow(
            /because no etcd node that stays lists the members of etcd, and node1 would leave\. .* restore a snapshot: docs\/runbook\.md, "etcd has no quorum" \[RHA etcd-quorum\]\n {2}- node2 \(192\.0\.2\.32\): etcd does not list/,
        ));

    test("is refused when no etcd node stays", () =>
        expect(change([4], [])).rejects.toThrow(
            /no etcd node that stays lists the members of etcd, and node1, node2, node3 would leave\./,
        ));
});
