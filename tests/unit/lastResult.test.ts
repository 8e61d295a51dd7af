import { execFileSync } from "child_process";
import { randomBytes } from "crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { clusterYml } from "../../components/cluster/rke/clusterYml";
import { clusterProgram } from "../../components/cluster/rke/program";
import { rkeClusterSchema, RkeClusterSettings } from "../../components/cluster/rke/schema";
import { unpackState } from "../../components/cluster/rke/state";
import { ensureTools, toolFolder } from "../../lab/tools";
import { hostKey, sshKey } from "../ssh";

const { recordedLeavers, recordedNodes, resultOf } = jest.requireActual("../../components/cluster/rke/runner/lastResult.js");

const login = { address: "192.0.2.34", port: 22, user: "rke", hostKey: "ssh-ed25519 AAAA" };
const withKey = { ...login, privateKey: "the key" };

test("the record of a node holds how SSH reaches it, with its keys", () => {
    const nodes = [withKey, { ...withKey, bastion: withKey }].map(connection => ({ name: "node4", connection }));
    expect(recordedNodes(resultOf("{}", nodes))).toEqual(nodes);
});

test("a leaving node is reached with its recorded key, but not in place of an agent", () => {
    const [stays, leaves] = [withKey, { ...withKey, address: "192.0.2.35", privateKey: "its own key" }].map(connection => ({
        name: connection.address,
        connection,
    }));
    const result = resultOf("{}", [stays, leaves]);
    expect(recordedLeavers(result, [stays])).toEqual([leaves]);
    expect(recordedLeavers(result, [{ ...stays, connection: login }])).toEqual([]);
    expect(recordedLeavers("", [stays])).toEqual([]);
});

test("the results of earlier versions are read: a record that is not packed, and none", () => {
    const nodes = [{ name: "node4", connection: login }];
    expect(recordedNodes(`the state\n${JSON.stringify(nodes)}`)).toEqual(nodes);
    expect(["", "the state"].map(recordedNodes)).toEqual([[], []]);
});

/** Returns a host key as `ssh-keyscan` prints it. */
const newHostKey = () => {
    const parts = [Buffer.from("ssh-ed25519"), randomBytes(32)].flatMap(part => [Buffer.from([0, 0, 0, part.length]), part]);
    return `ssh-ed25519 ${Buffer.concat(parts).toString("base64")}`;
};

/** Returns a cluster of 500 nodes with different host keys behind a bastion. */
function largeCluster(): RkeClusterSettings {
    const nodes = Array.from({ length: 500 }, (_, index) => ({
        address: `192.0.${2 + Math.floor(index / 250)}.${1 + (index % 250)}`,
        internalAddress: `198.51.${100 + Math.floor(index / 250)}.${1 + (index % 250)}`,
        hostname: `node${index + 1}.example.com`,
        user: "rke",
        hostKey,
        labels: { "topology.kubernetes.io/zone": `zone-${index % 3}` },
        roles: index < 5 ? ["controlplane", "etcd"] : ["worker"],
    }));
    const ssh = { privateKey: sshKey, bastion: { address: "bastion.example.com", user: "jump", hostKey } };
    const network = { clusterCidr: "10.64.0.0/14" };
    const cluster = rkeClusterSchema.parse({ kubernetesVersion: "v1.30.14-rancher1-1", ssh, nodes, network });
    // The schema takes a while to check as many keys.
    return { ...cluster, nodes: cluster.nodes.map(node => ({ ...node, hostKey: newHostKey() })) };
}

/** Returns the state of a cluster that RKE built. */
function builtState(cluster: RkeClusterSettings): string {
    const folder = mkdtempSync(join(tmpdir(), "result-"));
    writeFileSync(join(folder, "cluster.yml"), clusterYml(cluster));
    writeFileSync(join(folder, "cluster.rkestate"), "");
    execFileSync(join(toolFolder("rke"), "rke"), ["up", "--init", "--config", "cluster.yml"], { cwd: folder });
    const { desiredState } = JSON.parse(readFileSync(join(folder, "cluster.rkestate"), "utf8"));
    rmSync(folder, { recursive: true });
    return JSON.stringify({ desiredState, currentState: desiredState }, undefined, 2);
}

describe("of 500 nodes behind a bastion", () => {
    beforeAll(() => ensureTools("rke"), 20 * 60_000);

    test("the state and the record fit, and more than fits is refused", () => {
        const cluster = largeCluster();
        const state = builtState(cluster);
        const program = clusterProgram("cluster", cluster, [{ packed: "", state: JSON.parse(state) }]);
        const { nodes } = JSON.parse(/^main\((.*)\);$/m.exec(program)![1]);

        const result = resultOf(state, nodes);
        expect(unpackState(result.split("\n")[0]).currentState!.rkeConfig!.nodes).toHaveLength(500);
        const keys = cluster.nodes.map(({ address, hostKey: key }) => ({ connection: { address, hostKey: key, bastion: { hostKey } } }));
        expect(recordedNodes(result)).toMatchObject(keys);
        expect(() => resultOf(`${state}${randomBytes(60_000).toString("base64")}`, nodes)).toThrow(
            /its state takes \d+ bytes packed and more than 120000 cannot be handed to the next run.* \[RHA cluster-state\]/,
        );
    }, 120_000);
});
