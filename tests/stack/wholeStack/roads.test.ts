import { existsSync, mkdtempSync, rmSync, statSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { HostName, repository } from "../../../lab/inventory";
import { Finished } from "../../../lab/pulumi";
import { commandsAt } from "../../pages";
import { bastionAt, disposable, loginsOf, refuseDirectSsh, testLab } from "../fixtures";
import { changed, Edit, hosts, MainStack } from "./mainStack";

// These tests walk the roads of docs/runbook.md on a cluster of three nodes: a full disk, a rebuilt node, a lost node, a lost quorum. Another
// machine is at hand, node4. The nodes accept SSH from a bastion alone.
jest.setTimeout(15 * 60_000);

const lab = disposable(testLab());
const name = "before-the-trouble";
const quorumLost = "etcd has no quorum";
const saved: Edit = ({ cluster }) => Object.assign(cluster, { snapshot: { name } });
let main: MainStack;
let bastion: Awaited<ReturnType<typeof bastionAt>>;

/** Makes nodes accept SSH from the bastion alone. A machine that was set up anew accepts it from everywhere. */
const behindBastion = (...names: HostName[]) => Promise.all(names.map(each => refuseDirectSsh(lab.host(each))));

/** Returns an output of Pulumi without the line breaks of a preview. */
const unfolded = ({ output }: Finished) => output.replace(/\s+/g, " ");
const inCluster = (server: HostName, ...args: string[]) => main.kubectl([`--server=https://${lab.host(server).address}:6443`, ...args]);
/** Runs a block of the runbook on a node, as the user of SSH. */
const asWritten = (node: HostName, section: string, block: number) =>
    lab.host(node).sh(`cd /tmp && runuser -u rke -- sh -ec '${commandsAt(["runbook.md", section, block]).replace(/'/g, "'\\''")}'`);
/** Returns the started members of etcd, as one of them lists them. */
const members = async (node: HostName) =>
    (await lab.host(node).sh("docker exec etcd etcdctl member list"))
        .split("\n")
        .flatMap(line => /, started, etcd-(\w+),/.exec(line)?.[1] ?? [])
        .sort();

beforeAll(async () => {
    main = await MainStack.start(lab, [...hosts, "node4"], ({ ssh }) => Object.assign(ssh, { bastion }));
    bastion = await bastionAt(lab.host("lb1"));
    await behindBastion("node1", "node2", "node3", "node4");
    // The data of this member has a small disk of its own.
    await lab.host("node3").sh("mkdir -p /var/lib/etcd && mount -t tmpfs -o size=600m none /var/lib/etcd");
}, 10 * 60_000);

test("a restore is refused in the update that creates the cluster; no host is changed", async () => {
    const edit: Edit = ({ cluster }) => Object.assign(cluster, { restore: { snapshot: name } });
    const refusal =
        /restore\.snapshot: expected none in the update that creates or adopts the cluster, or rotates its CA, found before-the-trouble/;
    for (const refused of [await main.preview({ edit }), await main.up({ edit })]) {
        expect(unfolded(refused)).toMatch(refusal);
        expect(refused.code).not.toBe(0);
    }
    expect(await main.names()).not.toEqual(expect.arrayContaining([expect.stringMatching(/-pki$|-host-1$|-rke$/)]));
    await main.succeeds("up");
});

test("a full disk is named before RKE runs or after a snapshot; the next up finishes", async () => {
    await lab.host("node3").sh("dd if=/dev/zero of=/var/lib/etcd/filler bs=1M 2>/dev/null || true");
    const full = await main.up({ edit: saved });
    await lab.host("node3").sh("rm /var/lib/etcd/filler");
    expect(full.output).toMatch(/node3 .*: 0 MiB are free in \/var\/lib\/etcd: expected at least 256 MiB/);
    await lab.host("node2").sh("mount -t tmpfs -o size=64k none /opt/rke/etcd-snapshots");
    const partial = await main.up({ edit: saved });
    await lab.host("node2").sh("umount /opt/rke/etcd-snapshots");
    expect(partial.output).toMatch(/the snapshot is not on every etcd node\. The cluster runs on.*\[RHA rke-failed\]/);
    expect([full.code, partial.code]).not.toContain(0);
    const status = await asWritten("node3", "The disk of a node is full", 1);
    expect(status).toMatch(/\| +ERRORS +\|/);
    expect(status).not.toMatch(/NOSPACE|failed/);
    expect(changed(await main.succeeds("up", { edit: saved }))).toEqual(["rancher-cluster-snapshot"]);
    await main.isInSync(saved);
});

test("a node rebuilt at its own address is announced, and joins etcd anew by one up", async () => {
    await lab.host("node3").startAnew();
    await behindBastion("node3");
    const preview = await main.succeeds("preview", { edit: saved });
    expect(unfolded(preview)).toContain("node3: neither the container nor the data of etcd. The next run of RKE removes the old member");
    await main.succeeds("up", { edit: saved });
    expect(await members("node1")).toEqual(["node1", "node2", "node3"]);
    await main.isInSync(saved);
});

/** Replaces the first node of the list by another machine with another address. */
const replaced: Edit = config => {
    saved(config);
    const { address, hostKey } = lab.host("node4");
    Object.assign(config.cluster.nodes[0], { address, hostKey, hostname: "node4" });
};

test("preview and up refuse to replace a healthy etcd node while another is down", async () => {
    const blindly: Edit = config => {
        replaced(config);
        config.cluster.drift = "off";
    };
    const upstreams = () => lab.host("lb1").sh("grep 'server .*:80 .*fail_timeout' /etc/nginx/nginx.conf");
    const before = await upstreams();
    await lab.host("node2").sh("docker stop etcd");
    const refused = [await main.preview({ edit: replaced }), await main.up({ edit: blindly })];
    await asWritten("node2", quorumLost, 0);
    await lab.host("node2").sh("until docker exec etcd etcdctl endpoint health; do sleep 1; done");
    for (const run of refused) {
        expect(unfolded(run)).toMatch(
            /etcd would lose its quorum without node1: .* found node3\. Not healthy: node2\. .*\[RHA etcd-quorum\]/,
        );
        expect(run.code).not.toBe(0);
    }
    expect([await upstreams(), await members("node2")]).toEqual([before, ["node1", "node2", "node3"]]);
    await main.isInSync(saved);
});

test("the first control plane node is lost: another machine takes its place by one up", async () => {
    // The address refuses connections, because RKE waits 36 s for each answer of an address without a host, and tries it three times.
    await lab.host("node1").sh("systemctl stop docker.socket docker ssh");
    // Kubernetes would miss the node after 40 s.
    const notReady = JSON.stringify({ status: { conditions: [{ type: "Ready", status: "Unknown" }] } });
    await inCluster("node2", "patch", "node", "node1", "--subresource=status", "--patch", notReady);
    const preview = await main.succeeds("preview", { edit: replaced });
    expect(unfolded(preview)).toContain("node node1: RKE was run for it, and it is not in the configuration");
    expect(unfolded(preview)).not.toMatch(/node4: .*neither the container/);
    const { output } = await main.succeeds("up", { edit: replaced });
    expect(output).toContain("keep it switched off");
    expect(await members("node2")).toEqual(["node2", "node3", "node4"]);
    expect(await inCluster("node2", "get", "nodes", "-o", "name")).toBe("node/node2\nnode/node3\nnode/node4\n");
    await main.isInSync(replaced);
});

test("two of three etcd nodes are lost: up is refused, and a killed restore finishes", async () => {
    const restored: Edit = config => {
        replaced(config);
        Object.assign(config.cluster, { restore: { snapshot: name } });
    };
    await inCluster("node2", "create", "configmap", "made-later");
    await Promise.all([lab.host("node3").startAnew(), lab.host("node4").startAnew()]);
    await behindBastion("node3", "node4");
    const preview = await main.preview({ edit: replaced });
    expect(unfolded(preview)).toMatch(/neither the container nor the data of etcd, on 2 of 3 etcd nodes\./);
    const refused = await main.up({ edit: replaced });
    expect(refused.output).toMatch(/etcd has no quorum: .* on node4, node3\..*\[RHA etcd-quorum\]/);
    expect(refused.code).not.toBe(0);
    await asWritten("node2", quorumLost, 1);
    expect((await asWritten("node2", quorumLost, 4)).split("\n")).toContain(`${name}.zip`);
    expect(await lab.host("node2").sh("stat -c %a /tmp/etcd-snapshots.tar; tar tf /tmp/etcd-snapshots.tar")).toMatch(
        new RegExp(`^600\n[^]*^\\./${name}\\.zip$`, "m"),
    );

    await main.asWritten(["runbook.md", quorumLost, 3]);
    const rescue = join(repository, "rescue", "stack.json");
    expect(statSync(rescue).mode & 0o777).toBe(0o600);

    const temporary = mkdtempSync(join(tmpdir(), "restore-"));
    await main.killedInsideRke(/rke: Cleaning old kubernetes cluster/, temporary, restored);
    rmSync(temporary, { recursive: true });
    await main.stack.cancel();
    main.configure(replaced);
    await main.asWritten(["runbook.md", quorumLost, 5], { "2026-11-28T09:56:57Z_etcd": name });
    expect(await members("node2")).toEqual(["node2", "node3", "node4"]);
    expect(await inCluster("node2", "get", "configmaps", "-o", "name")).not.toContain("made-later");
    // The snapshot is older than node4, and holds node1.
    expect(await inCluster("node2", "get", "nodes", "-o", "name")).toBe("node/node2\nnode/node3\nnode/node4\n");
    await inCluster("node2", "rollout", "status", "deployment/rancher", "--timeout=120s");
    for (const node of ["node2", "node3", "node4"] as const)
        expect(await lab.host(node).sh("ls /opt/rke/etcd-snapshots")).toContain(`${name}.zip\n`);
    await main.isInSync(restored);
    await main.asWritten(["runbook.md", quorumLost, 6]);
    expect(existsSync(rescue)).toBe(false);
    await main.isInSync(replaced);
});

test("a destroy without a lost node ends by the commands of the page", async () => {
    await lab.host("node3").sh("systemctl stop docker.socket docker ssh");
    const { code, output } = await main.destroyWithPreview({ edit: replaced });
    expect(output).toContain(lab.host("node3").address);
    expect(code).not.toBe(0);
    for (const node of ["node2", "node4"] as const) await main.isClean(node);
    const { urn } = (await main.stack.resources()).find(({ urn: each }) => each.endsWith("::rancher-cluster-nodes"));
    await main.asWritten(["operations.md", "Delete the stack", 0], { "URN OF …-nodes": urn });
    expect(await main.stack.resources()).toEqual([]);
});

test("SSH to the nodes came from the bastion alone, on every road", async () => {
    const logins = await Promise.all((["node2", "node3", "node4"] as const).map(each => loginsOf(lab.host(each))));
    expect(logins).toEqual(logins.map(() => [`Accepted publickey for rke from ${lab.host("lb1").address}`]));
});
