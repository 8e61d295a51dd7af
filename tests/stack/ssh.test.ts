import { execFileSync } from "child_process";
import { readFileSync, writeFileSync } from "fs";
import { join } from "path";
import { nodeProgram } from "../../components/remote/programs";
import { repository } from "../../lab/inventory";
import { hostArgs } from "../../lab/loadBalancer/runLoadBalancer";
import { bastionAt, CertificateAgent, disposable, sshd, testLab } from "./fixtures";
import { LoadBalancerHost } from "./loadBalancer/loadBalancerHost";
import { LoadBalancerStack } from "./loadBalancer/loadBalancerStack";
import { newSshKey } from "../ssh";

jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());

let lb: LoadBalancerHost;
let stack: LoadBalancerStack;
beforeAll(async () => {
    lb = await LoadBalancerHost.start(lab);
    const host = hostArgs(lb.host);
    stack = new LoadBalancerStack(lab, { hosts: [host], upstreams: [lb.upstream.address], upstreamPort: lb.upstream.port });
});
afterAll(() => LoadBalancerHost.stop(lb));

test("a load balancer host that still boots is waited for after its closed port", async () => {
    await lb.sh("systemctl stop ssh.socket ssh");
    let booted: Promise<unknown> | undefined;
    const { output } = await stack.up({}, { onLine: line => /Dial 3\/\d+ failed/.test(line) && (booted ??= lb.sh("systemctl start ssh")) });
    expect(booted).toBeDefined();
    expect(output).toMatch(/no SSH connection \(.*Connection refused/);
    expect(await lb.host.isActive("nginx")).toBe(true);
});

describe("a load balancer host that trusts a CA of users, and no key of its own", () => {
    const agent = new CertificateAgent();
    const own = { ...process.env };
    const changes = () => ({ ssh: { agent: true, waitSeconds: 1 }, hosts: [{ ...hostArgs(lb.host), privateKey: undefined }] });

    beforeAll(async () => {
        process.env.SSH_AUTH_SOCK = agent.socket;
        await agent.trustedBy(lb.host);
    });
    afterAll(async () => {
        process.env = own;
        agent.stop();
        await sshd(lb.host, "");
    });

    test("refuses the agent's key without a certificate", async () => {
        agent.add();
        const { output, code } = await stack.tryUp(changes());
        expect(output).toMatch(/the host refuses every key of the SSH agent/);
        expect(code).not.toBe(0);
    });

    test("is reached with the agent's certificate: by the probe, up and the next preview", async () => {
        agent.certify("root");
        agent.add();
        await stack.up(changes());
        await stack.noChanges(changes());
        expect(await lb.sh("journalctl -u ssh -o cat | grep -c 'Accepted publickey for root .*-CERT'")).toMatch(/^[1-9]/);
    });
});

describe("a load balancer host behind a bastion", () => {
    const jump = lab.host("lb4");
    let bastion: Awaited<ReturnType<typeof bastionAt>>;
    beforeAll(async () => {
        await lab.startAnew("lb4");
        bastion = await bastionAt(jump);
        await sshd(lb.host, `AllowUsers root@${jump.address}`);
    });

    const ssh = (changes: object = {}) => ({
        ssh: { privateKey: readFileSync(lab.privateKeyFile, "utf8"), waitSeconds: 1, bastion: { ...bastion, ...changes } },
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

    const login = () => ({ ...hostArgs(node), port: 22, user: "rke", waitSeconds: 0 });

    /** Returns the findings of the preflight about the node. */
    function preflight(connection: object = login()): string[] {
        const source = join(lab.folder, "check.js");
        const nodes = join(repository, "components", "cluster", "rke", "runner", "nodes");
        writeFileSync(
            source,
            `const { preflight, withAgentFor } = require("${nodes}");
            const main = ({ node }) => withAgentFor([node], env => preflight(env, [node], "")).then(([{ lines, failure }]) =>
                console.log(JSON.stringify([...lines, ...(failure ? [failure] : [])])));
            module.exports = { main };`,
        );
        const input = { node: { name: "node1", connection } };
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

    test("behind a bastion that is down is refused in the bastion's name", async () => {
        // Nothing listens on this port.
        const findings = preflight({ ...login(), bastion: { ...login(), port: 2222 } });
        const bastion = `rke@${node.address}:2222 (the bastion)`;
        expect(findings).toEqual([
            expect.stringMatching(`^node1: ${bastion.replace(/[.()]/g, "\\$&")}: no SSH connection \\(.*Connection refused\\)`),
        ]);
    });
});
