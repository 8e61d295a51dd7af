import { HostName } from "../../../lab/inventory";
import { CertificateAgent, disposable, testLab } from "../fixtures";
import { Edit, MainStack } from "./mainStack";

// These tests build a cluster of one node with the keys of an SSH agent. The hosts accept its certificate alone.
jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
const hosts = ["lb1", "node1"] as const satisfies HostName[];
const agent = new CertificateAgent();
const env = { SSH_AUTH_SOCK: agent.socket };
const withAgent: Edit = config => {
    Object.assign(config.ssh, { agent: true, privateKeyFile: undefined });
    config.cluster.nodes.splice(1);
};
let main: MainStack;

beforeAll(async () => {
    main = await MainStack.start(lab, [...hosts], withAgent);
    agent.certify("root", "rke");
    agent.add();
    await Promise.all(hosts.map(name => agent.trustedBy(lab.host(name))));
}, 5 * 60_000);
afterAll(() => agent.stop());

test("up, the next preview and destroy log in with the certificate of the SSH agent", async () => {
    await main.succeeds("up", { env });
    await main.succeeds("preview", { env, flags: ["--expect-no-changes"] });
    expect(await main.kubectl(["get", "nodes", "--output=name"])).toBe("node/node1\n");
    await main.succeeds("destroy", { env });
    await main.isClean("node1");
    for (const [name, user] of [
        ["lb1", "root"],
        ["node1", "rke"],
    ] as const) {
        const logins = "journalctl -u ssh -o cat | grep 'Accepted' | sed -E 's/ from .*ssh2: ([^ ]*) .*/ \\1/' | sort -u";
        expect(await lab.host(name).sh(logins)).toBe(`Accepted publickey for ${user} ED25519-CERT\n`);
    }
});
