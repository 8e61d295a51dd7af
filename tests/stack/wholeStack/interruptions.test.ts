import { spawnSync } from "child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { HostName } from "../../../lab/inventory";
import { run, until } from "../../../lab/process";
import { Finished } from "../../../lab/pulumi";
import { commandsAt } from "../../pages";
import { disposable, testLab } from "../fixtures";
import { changed, Edit, hosts, MainStack, nodes } from "./mainStack";

// These tests end runs half-way, in the order of the steps. Completed work is kept, and the next run finishes the rest. Behind a pair of
// load balancer hosts, the runs reach the Kubernetes API at the virtual IP.
jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
const members = ["lb1", "lb2"] as const;
const virtualIp = lab.addressAt(20);
const pair: Edit = ({ loadBalancer }) =>
    Object.assign(loadBalancer, {
        hosts: members.map(name => ({ address: lab.host(name).address })),
        virtualIp: { address: virtualIp, advertIntervalSeconds: 1 },
    });
/** Folder for the temporary files of the runs. */
const temporary = mkdtempSync(join(tmpdir(), "interruptions-"));
const env = { TMPDIR: temporary };
let main: MainStack;
let authorities: string[];

beforeAll(async () => void (main = await MainStack.start(lab, [...hosts, "lb2"], pair)), 10 * 60_000);
afterAll(() => rmSync(temporary, { recursive: true }));

const killedInsideRke = () => main.killedInsideRke(/rke: \[etcd\] Building up etcd plane/, temporary);

/** Reports whether some work succeeds. */
const works = (work: Promise<unknown>) =>
    work.then(
        () => true,
        () => false,
    );

/** Expects the next update to be refused by the lock of the killed one, and releases this lock. A preview needs no lock. */
async function unlocked(): Promise<void> {
    const { code, output } = await main.up();
    expect(code).not.toBe(0);
    expect(output).toMatch(/the stack is currently locked by 1 lock\(s\)/);
    expect(output).toContain("pulumi cancel");
    await main.stack.cancel();
}

test("killed inside RKE: no key stays where Pulumi runs, and destroy cleans the hosts", async () => {
    await killedInsideRke();
    const agents = () => spawnSync("pgrep", ["-af", `ssh-agent -a ${temporary}/`]).stdout.toString();
    // The agent ends when the runner's end of its pipe is closed.
    await until("the SSH agent to end", 60, async () => agents() === "");
    expect(await lab.host("node1").sh("docker ps --all --quiet")).not.toBe("");
    await unlocked();
    await main.succeeds("destroy");
    for (const node of nodes) await main.isClean(node);
});

test("an address that no host has can be corrected, with the same CAs", async () => {
    const { code, output } = await main.up({
        edit: ({ cluster }) => Object.assign(cluster.nodes[1], { address: lab.addressAt(34), hostKey: lab.host("node2").hostKey }),
    });
    expect(output).toMatch(/no host was changed, because: \[RHA nodes-not-fit\]\s+- node2: .*no SSH connection/);
    expect(code).not.toBe(0);
    authorities = await main.authorities();
});

test("killed inside RKE: both CAs are kept, and no node may leave while no API answers", async () => {
    await killedInsideRke();
    await main.stack.cancel();
    expect(await main.authorities()).toEqual(authorities);
    const { code, output } = await main.up({ edit: ({ cluster }) => cluster.nodes.splice(1) });
    const left = [lab.host("node2").address, lab.host("node3").address].join(", ");
    expect(output).toContain(`${left} is to be removed, but the cluster's current state is not at hand`);
    expect(code).not.toBe(0);
});

test("killed inside Helm: finished work is kept, and a preview names what is pending", async () => {
    // Rancher's pods get no node, so Helm waits for them.
    const records = async () => main.kubectl(["get", "secrets", "--selector=owner=helm,status=pending-install", "--output=name"]);
    const cordoned = async () => {
        await until("the API", 300, () => works(main.kubectl(["cordon", ...nodes])));
        await until("Helm's record", 300, async () => (await records().catch(() => "")) !== "");
    };
    // This call leaves the kubeconfig for the next one. Helm follows RKE after some seconds.
    await works(main.kubectl(["version"]));
    await main.killedAfter(/rancher-cluster-rke created/, cordoned, { env });
    await main.kubectl(["uncordon", ...nodes]);
    expect(await records()).not.toBe("");
    const names = await main.names();
    expect(names).toEqual(expect.arrayContaining(["rancher-cluster-rke", "rancher-ca-secret-secret"]));
    expect(names).not.toContain("rancher-verification-checks");
    const { output } = await main.preview({ flags: ["--diff"] });
    // A preview breaks long lines.
    expect(output.replace(/\n[ +]+/g, " ")).toMatch(
        /revision 1 of the release is pending-install since \d+ s: a run of this stack was ended in the middle, or somebody's is under way/,
    );
});

test("the next up finishes, with the same CAs, and the preview after it is empty", async () => {
    main.configure();
    const output = await main.asWritten(["runbook.md", "The stack is locked", 1]);
    expect(output).toContain("was left pending-install: removing Helm's record");
    expect(await main.authorities()).toEqual(authorities);
    // Pulumi goes on naming the creation that was killed.
    await main.asWritten(["runbook.md", "A run was killed", 1]);
    expect((await main.stack.exported()).deployment.pending_operations ?? []).toEqual([]);
    await main.isInSync();
});

/** Runs kubectl with the kubeconfig that users get. */
async function kubectlOfUsers(...args: string[]): Promise<string> {
    const file = join(temporary, "kubeconfig");
    if (!existsSync(file)) writeFileSync(file, (await main.stack.outputs()).kubeconfig, { mode: 0o600 });
    return (await run(main.tool("kubectl"), [`--kubeconfig=${file}`, ...args])).stdout;
}

test("the kubeconfig names the virtual IP, which the API server's certificate covers", async () => {
    expect(await kubectlOfUsers("config", "view", "--output=jsonpath={.clusters[*].cluster.server}")).toBe(`https://${virtualIp}:6443`);
    // kubectl verifies the certificate.
    expect(await kubectlOfUsers("get", "nodes", "--output=jsonpath={.items[*].metadata.name}")).toBe(nodes.join(" "));
});

test("two updates at once: the second is refused, the first finishes", async () => {
    let second: Promise<Finished> | undefined;
    const edit = (config: any) => (config.loadBalancer.readTimeoutSeconds = 3600);
    const first = await main.up({ edit, onLine: line => void (/rancher-lb-host-1 .*updat/.test(line) && (second ??= main.up({ edit }))) });
    expect(first.code).toBe(0);
    const refused = (await second)!;
    expect(refused.code).not.toBe(0);
    expect(refused.output).toContain("the stack is currently locked by 1 lock(s)");
});

test("Ctrl-C in an update: the lock is released, and the next update finishes", async () => {
    let pressed = false;
    const interrupted = await main.up({
        onLine: (line, { interrupt }) => {
            // A second Ctrl-C would end the CLI at once, and leave the lock.
            if (pressed || !/rancher-lb-host-1 .*updat/.test(line)) return;
            pressed = true;
            interrupt();
        },
    });
    expect(interrupted.code).not.toBe(0);
    const { steps } = await main.succeeds("up");
    expect(changed({ steps } as Finished)).toEqual(expect.not.arrayContaining(["rancher-cluster-rke"]));
    await main.isInSync();
});

describe("killed while the API servers get a key for Secrets", () => {
    const encrypted: Edit = ({ cluster }) => Object.assign(cluster, { services: { kubeApi: { secretsEncryption: true } } });
    const kubectlAt = (node: HostName, ...args: string[]) =>
        main.kubectl([`--server=https://${lab.host(node).address}:6443`, "--namespace=default", ...args]);
    const created = (node: HostName, name: string) => kubectlAt(node, "create", "secret", "generic", name, `--from-literal=word=${name}`);

    /** Lists Secrets in etcd that are in plain text, or all others. */
    async function secretsInEtcd({ arePlain }: { arePlain: boolean }): Promise<string[]> {
        const text = await lab.host("node1").sh("docker exec etcd etcdctl get --prefix /registry/secrets/ --write-out=json");
        const decode = (value: string) => Buffer.from(value, "base64").toString("latin1");
        return JSON.parse(text)
            .kvs.filter(({ value }: any) => decode(value).startsWith("k8s:enc:aescbc:v1:") !== arePlain)
            .map(({ key }: any) => decode(key));
    }

    test("the next up keeps it: every API server reads all Secrets, none is plain in etcd", async () => {
        await created("node2", "before");
        await main.killedInsideRke(/rke: Upgrading controlplane components for control host node2/, temporary, encrypted);
        await main.stack.cancel();
        // RKE restarts the API server of node1 first. The others cannot read this Secret yet.
        await until("node1's API server", 120, () => works(created("node1", "meanwhile")));
        expect(await secretsInEtcd({ arePlain: false })).toContain("/registry/secrets/default/meanwhile");
        const { output } = await main.succeeds("up", { edit: encrypted });
        expect(output).toMatch(/RKE's state has no key of encrypted Secrets: that of the nodes is kept, from node1, node2, node3/);
        for (const node of nodes) {
            for (const name of ["before", "meanwhile"])
                expect(await kubectlAt(node, "get", "secret", name, "--output=go-template={{.data.word | base64decode}}")).toBe(name);
            await kubectlAt(node, "get", "secrets", "--all-namespaces", "--output=name");
        }
        expect(await secretsInEtcd({ arePlain: true })).toEqual([]);
        await main.isInSync(encrypted);
    });

    test("turned off once another run has let go of a node, while a third one waits", async () => {
        const holding = "exec 9</tmp/pulumi-rancher-ha-rke.lock; flock 9; until [ -e /tmp/over ]; do sleep 0.2; done";
        const held = lab.host("node2").sh(`timeout 300 sh -c '${holding}'`);
        let release: Promise<string> | undefined;
        const onLine = (line: string) => {
            if (/waiting for another run on node2/.test(line)) release ??= lab.host("node2").sh("touch /tmp/over");
            if (/rke: /.test(line)) second ??= main.up({ env: elsewhere });
        };
        const elsewhere = main.otherBackend();
        let second: Promise<Finished> | undefined;
        const [, look] = /"(.*)"/.exec(commandsAt(["runbook.md", "The stack is locked", 3]))!;
        const looked = () => lab.host("node2").sh(`runuser -u rke -- sh -c "${look}"`, { tolerate: true });
        await until("the page's command to find the lock of node2 held", 60, async () => (await looked()) === "");
        await main.succeeds("up", { onLine });
        await Promise.all([held, release]);
        expect(release).toBeDefined();
        // A run of another backend, which began while RKE worked, waits for this one. It may give up after 90 s.
        const { code, output } = (await second)!;
        expect(output).toMatch(/waiting for another run on node\d, which was started from /);
        expect(code === 0 || output.includes("[RHA host-busy]")).toBe(true);
        expect(await looked()).toBe("no run works on this node\n");
        expect(await secretsInEtcd({ arePlain: false })).toEqual([]);
        for (const node of nodes) await kubectlAt(node, "get", "secrets", "--all-namespaces", "--output=name");
        await kubectlAt("node1", "delete", "secret", "before", "meanwhile");
    });
});

describe("a host dies while Helm upgrades Rancher", () => {
    const upgraded =
        (value: string): Edit =>
        ({ rancher }) =>
            Object.assign(rancher, { values: { extraEnv: [{ name: "LAB_RUN", value }] } });

    /** Returns the member that holds the virtual IP. */
    async function active(): Promise<HostName> {
        const holds = (name: HostName) => lab.host(name).succeeds(`ip -o -4 address show to ${virtualIp} | grep -q .`);
        for (const name of members) if (await holds(name)) return name;
        throw new Error(`expected a member that holds ${virtualIp}, found none`);
    }

    /** Returns the control plane node to which the active member passes most connections. */
    async function busiestNode(): Promise<HostName> {
        const connections = await lab.host(await active()).sh("ss -Htn state established '( dport = :6443 )'");
        const count = (name: HostName) => connections.split(`${lab.host(name).address}:6443`).length;
        return [...nodes].sort((one, other) => count(other) - count(one))[0];
    }

    /** Upgrades Rancher, and kills a host while Helm waits for the new pods. They get no node until then. */
    async function killedMeanwhile(edit: Edit, choose: () => Promise<HostName>): Promise<{ finished: Finished; killed: HostName }> {
        await kubectlOfUsers("cordon", ...nodes);
        const kill = async () => {
            const pending = ["get", "pods", "--namespace=cattle-system", "--field-selector=status.phase=Pending", "--output=name"];
            await until("Helm to wait for pods", 120, async () => (await kubectlOfUsers(...pending)) !== "");
            const name = await choose();
            await lab.host(name).kill();
            const left = nodes.filter(node => node !== name);
            await until("the API at the virtual IP", 120, () => works(kubectlOfUsers("uncordon", ...left)));
            return name;
        };
        let killing: Promise<HostName> | undefined;
        const finished = await main.up({
            edit,
            onLine: line => void (/rancher-release-release .*updat/.test(line) && (killing ??= kill())),
        });
        return { finished, killed: await killing! };
    }

    test("a control plane node: the upgrade ends well, and its return leaves nothing to do", async () => {
        const edit = upgraded("1");
        const { finished, killed } = await killedMeanwhile(edit, busiestNode);
        expect({ code: finished.code, tail: finished.code === 0 ? "" : finished.output.slice(-3000) }).toEqual({ code: 0, tail: "" });
        await lab.host(killed).revive();
        const server = `--server=https://${lab.host(killed).address}:6443`;
        await until("the node's API server", 120, () => works(kubectlOfUsers(server, "get", "--raw=/readyz")));
        await kubectlOfUsers("uncordon", killed);
        await main.isInSync(edit);
    });

    test("the active load balancer host: verification names it, and the next up finishes", async () => {
        const edit: Edit = config => {
            upgraded("2")(config);
            Object.assign(config, { verification: { timeoutSeconds: 10 } });
        };
        const { finished, killed } = await killedMeanwhile(edit, active);
        expect(finished.code).not.toBe(0);
        expect(finished.output).toMatch(new RegExp(`certificate at ${lab.host(killed).address}: no usable connection`));
        await main.succeeds("up", { edit });
    });
});
