import { execFileSync, spawn } from "child_process";
import { readFileSync, writeFileSync } from "fs";
import { join } from "path";
import { clusterYml } from "../../components/cluster/rke/clusterYml";
import { rkeClusterSchema } from "../../components/cluster/rke/schema";
import { nodeProgram } from "../../components/remote/programs";
import { LabHost } from "../../lab/host";
import { repository } from "../../lab/inventory";
import { hostArgs } from "../../lab/loadBalancer/runLoadBalancer";
import { until } from "../../lab/process";
import { disposable, testLab } from "./fixtures";
import { LoadBalancerHost } from "./loadBalancer/loadBalancerHost";
import { LoadBalancerStack } from "./loadBalancer/loadBalancerStack";
import { newSshKey } from "../ssh";

jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());

/** Adds a line to sshd's configuration of a host. */
const sshd = (host: LabHost, line: string) => host.sh(`echo '${line}' >/etc/ssh/sshd_config.d/00-test.conf; systemctl restart ssh`);

describe("a load balancer host behind a bastion", () => {
    const jump = lab.host("lb4");
    const bastion = () => ({ address: jump.address, hostKey: jump.hostKey, user: "jump" });
    let lb: LoadBalancerHost;
    let stack: LoadBalancerStack;
    beforeAll(async () => {
        lb = await LoadBalancerHost.start(lab);
        await lab.startAnew("lb4");
        await jump.sh(`useradd --create-home --shell /usr/sbin/nologin jump
            cp -r /root/.ssh /home/jump/ && chown -R jump: /home/jump/.ssh`);
        await sshd(lb.host, `AllowUsers root@${jump.address}`);
        const host = hostArgs(lb.host);
        stack = new LoadBalancerStack(lab, { hosts: [host], upstreams: [lb.upstream.address], upstreamPort: lb.upstream.port });
    });
    afterAll(() => LoadBalancerHost.stop(lb));

    const ssh = (changes: object = {}) => ({
        ssh: { privateKey: readFileSync(lab.privateKeyFile, "utf8"), waitSeconds: 1, bastion: { ...bastion(), ...changes } },
    });

    test("is reached through it alone: by the probe, up, the next preview and destroy", async () => {
        expect((await stack.preview()).output).toContain("the host refuses the SSH key");
        await stack.up(ssh());
        await stack.noChanges(ssh());
        await lb.sh("systemctl -q disable nginx 2>/dev/null");
        expect((await stack.preview(ssh())).output).toMatch(/lb-drift-1 update/);
        await stack.up(ssh());
        await stack.destroy();
    });

    test("is not reached when the bastion shows another host key", async () => {
        const { output, code } = await stack.tryUp(ssh({ hostKey: newSshKey().publicKey }));
        expect(output).toMatch(/jump@\S+ \(the bastion\): the host shows another host key/);
        expect(output).toMatch(/proxy: .*host key mismatch/);
        expect(code).not.toBe(0);
    });
});

describe("a node", () => {
    const node = lab.host("node1");
    beforeAll(() => lab.startAnew("node1"));

    /** Returns the findings of the preflight about the node. */
    function preflight(): string[] {
        const source = join(lab.folder, "check.js");
        const nodes = join(repository, "components", "cluster", "rke", "runner", "nodes");
        writeFileSync(
            source,
            `const { preflight, withAgentFor } = require("${nodes}");
            const main = ({ node }) => withAgentFor([node], env => preflight(env, [node], "")).then(([{ lines, failure }]) =>
                console.log(JSON.stringify([...lines, ...(failure ? [failure] : [])])));
            module.exports = { main };`,
        );
        const input = { node: { name: "node1", connection: { ...hostArgs(node), port: 22, user: "rke", waitSeconds: 0 } } };
        return JSON.parse(execFileSync("node", ["-"], { input: nodeProgram(source, input), encoding: "utf8" }));
    }

    test.each(["DisableForwarding yes", "AllowTcpForwarding no", "AllowStreamLocalForwarding no"])(
        "with %s is refused before RKE runs",
        async line => {
            await sshd(node, line);
            const fault = `node1 (${node.address}): sshd does not forward connections to /var/run/docker.sock, which RKE needs`;
            expect(preflight()).toEqual([expect.stringContaining(fault)]);
        },
    );

    test("whose sshd forwards connections is taken", async () => {
        await sshd(node, "AllowTcpForwarding yes");
        expect(preflight()).toEqual([]);
    });
});

test("rke reaches Docker of a node through the bastion alone, with a key of its own for each", async () => {
    const [node, jump] = [lab.host("node1"), lab.host("lb4")];
    await lab.startAnew("node1", "lb4");
    const { privateKey, publicKey } = newSshKey();
    await jump.sh(`useradd --create-home --shell /usr/sbin/nologin jump
        install -d -o jump -g jump -m 700 /home/jump/.ssh; echo '${publicKey}' >/home/jump/.ssh/authorized_keys`);
    await sshd(node, `AllowUsers rke@${jump.address}`);
    const cluster = rkeClusterSchema.parse({
        kubernetesVersion: "v1.30.14-rancher1-1",
        ssh: { bastion: { address: jump.address, hostKey: jump.hostKey, user: "jump", privateKey } },
        nodes: [{ ...hostArgs(node), user: "rke", roles: ["controlplane", "etcd", "worker"] }],
    });
    const runner = join(repository, "components", "cluster", "rke", "runner");
    const source = join(lab.folder, "rke.js");
    writeFileSync(
        source,
        `const { withAgentFor } = require("${runner}/nodes");
        const { runRke, workFolder } = require("${runner}/rkeCommand");
        const main = ({ yml, nodes }) => withAgentFor(nodes, async env => {
            const options = { folder: workFolder(yml, ""), env, marker: "", timeoutSeconds: 300 };
            await runRke(["up", "--init", "--config", "cluster.yml"], options);
            await runRke(["up", "--config", "cluster.yml", "--ssh-agent-auth"], options);
        });
        module.exports = { main };`,
    );
    const input = { yml: clusterYml(cluster), nodes: [{ name: "node1", connection: cluster.nodes[0] }] };
    const env = { ...process.env, PATH: `${await lab.tools()}:${process.env.PATH}` };
    const rke = spawn("node", ["-"], { env, stdio: ["pipe", "ignore", "inherit"] });
    rke.stdin.end(nodeProgram(source, input));
    try {
        await until("a container of RKE on the node", 300, () => node.succeeds("docker ps -a --format '{{.Names}}' | grep -q ."));
    } finally {
        rke.kill();
    }
    const logins = await node.sh("journalctl -u ssh -o cat | grep -o 'Accepted publickey for .* from [^ ]*' | sort -u");
    expect(logins).toBe(`Accepted publickey for rke from ${jump.address}\n`);
});
