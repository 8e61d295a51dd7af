import { HostName } from "../../../lab/inventory";
import { Finished } from "../../../lab/pulumi";
import { digestOf, disposable, testLab } from "../fixtures";
import { changed, hosts, MainStack, nodes } from "./mainStack";

// Nodes of the cluster through their life: what they lack, one that joins and leaves, a lost control plane, the end.
jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
let main: MainStack;
let pristine: string;

beforeAll(async () => {
    main = await MainStack.start(lab);
    pristine = await digestOf(lab.host("lb1"));
    await main.succeeds("up");
}, 15 * 60_000);

test("what RKE would stumble over on a node is named before it runs", async () => {
    const fake: Record<string, string> = {
        docker: '#!/bin/sh\ncase $1 in version) echo 16.04.0 ;; *) exec /usr/bin/docker "$@" ;; esac\n',
        date: "#!/bin/sh\necho $(($(/bin/date +%s) + 100))\n",
        df: "#!/bin/sh\nprintf 'Filesystem\\nnone 1 1 102400 1%% /\\n'\n",
    };
    for (const [name, text] of Object.entries(fake)) await lab.host("node2").write(`/usr/local/bin/${name}`, text, "755");
    await lab.host("node1").write("/usr/local/bin/docker", "#!/bin/sh\necho 'permission denied' >&2; exit 1\n", "755");
    await lab.host("node3").sh("cd /etc/kubernetes/ssl; mv kube-ca.pem kept.pem; cp kube-node.pem kube-ca.pem");
    try {
        const { code, output } = await main.up({ edit: ({ cluster }) => (cluster.addonJobTimeoutSeconds = 181) });
        expect(code).not.toBe(0);
        expect(output).toMatch(/RKE was not started and no host was changed, because:/);
        expect(output).toMatch(/node2 .*: Docker 16\.04\.0 is not accepted by RKE: expected one of/);
        expect(output).toMatch(/node2 .*: the clock is (99|10\d|11\d) s off: expected less than 30 s/);
        expect(output).toMatch(/node2 .*: 100 MiB are free in \/var\/lib: expected at least 2048 MiB/);
        expect(output).toMatch(/node1 .*: Docker cannot be used by rke: .*found: permission denied/);
        expect(output).toMatch(/node3 .*: it belongs to another cluster: /);
        expect(output).not.toMatch(/node[13] .*: (the clock|\d+ MiB)/);
    } finally {
        await lab.host("node1").sh("rm /usr/local/bin/docker");
        await lab.host("node3").sh("mv /etc/kubernetes/ssl/kept.pem /etc/kubernetes/ssl/kube-ca.pem");
        await lab.host("node2").sh("rm /usr/local/bin/docker /usr/local/bin/date /usr/local/bin/df");
    }
});

test("API servers that are gone: seen in a preview, brought back by up when drift is enforced", async () => {
    const authorities = await main.authorities();
    const edit = ({ cluster }: { cluster: any }) => (cluster.drift = "enforce");
    await Promise.all(nodes.map(node => lab.host(node).sh("docker rm --force kube-apiserver")));
    const seen = await main.preview({ edit, flags: ["--diff"] });
    expect(seen.output).toMatch(/absent: no API server runs: .*ECONNREFUSED/);
    expect(changed(seen)).toEqual(expect.arrayContaining(["rancher-cluster-drift", "rancher-cluster-rke"]));
    await main.succeeds("up", { edit });
    await main.isInSync();
    expect(await main.authorities()).toEqual(authorities);
});

describe("a further worker", () => {
    const withWorker = ({ cluster }: { cluster: any }) => {
        const { address, hostKey } = lab.host("node4");
        cluster.nodes.push({ address, hostname: "node4", user: "rke", roles: ["worker"], hostKey });
    };
    const upstreams = async () => (await lab.host("lb1").sh("grep -c 'server 10.*:80 .*fail_timeout' /etc/nginx/nginx.conf")).trim();
    beforeAll(() => lab.start("node4"), 5 * 60_000);

    test("that refuses the SSH key or is unreachable is named before RKE runs", async () => {
        const node = lab.host("node4");
        await node.sh("mv /home/rke/.ssh/authorized_keys /home/rke/");
        const refusing = await main.up({ edit: withWorker });
        expect(refusing.output).toMatch(/node4: .*the host refuses the SSH key/);
        await node.sh("mv /home/rke/authorized_keys /home/rke/.ssh/; systemctl stop ssh");
        const unreachable = await main.up({ edit: withWorker });
        await node.sh("systemctl start ssh");
        expect(unreachable.output).toMatch(/node4: .*no SSH connection/);
        expect([refusing.code, unreachable.code]).not.toContain(0);
    });

    test("joins, and becomes an upstream; it leaves, and its host is clean", async () => {
        expect((await main.preview({ edit: withWorker })).output).not.toContain("not as configured");
        await main.succeeds("up", { edit: withWorker });
        expect(await upstreams()).toBe("4");
        await main.isInSync(withWorker);
        await main.succeeds("up");
        expect(await upstreams()).toBe("3");
        await main.isClean("node4");
        await main.isInSync();
    });
});

test("destroy names what it leaves on a node; again, it leaves every host clean", async () => {
    const node = lab.host("node3");
    const create = (...args: string[]) => node.exec(["docker", "create", ...args, "rancher/rke-tools:v0.1.114", "true"]);
    await create("--name", "kube-stranger");
    // As the kubelet leaves a pod's: RKE does not remove it.
    await create("--name", "k8s_rancher_rancher-0_cattle-system_1_0", "--label", "io.kubernetes.pod.uid=1");
    const refused: Finished = await main.destroy();
    expect(refused.output).toMatch(/Left behind:\s+- node3 .*: container kube-stranger\s+Remove these on the hosts/);
    await node.sh("docker rm kube-stranger");
    await main.succeeds("destroy");
    expect(await main.stack.resources()).toEqual([]);
    expect(await digestOf(lab.host("lb1"))).toBe(pristine);
    for (const each of hosts) if (each !== "lb1") await main.isClean(each as HostName);
});
