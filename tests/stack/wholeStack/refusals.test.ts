import { digestOf, disposable, listener, noListener, testLab } from "../fixtures";
import { hosts, MainRunOptions, MainStack } from "./mainStack";

// Each error is refused before anything is changed. The hosts stay as they were, byte by byte.
jest.setTimeout(5 * 60_000);

const lab = disposable(testLab());
let main: MainStack;
let before: string[];
const digests = () => Promise.all(hosts.map(host => digestOf(lab.host(host))));

beforeAll(async () => {
    main = await MainStack.start(lab);
    before = await digests();
}, 10 * 60_000);
afterEach(async () => expect(await digests()).toEqual(before));

/** Runs an update that must fail. Its output holds no noise of an engine that shuts down, in which a reader would look for the reason. */
async function refusedUp(options: MainRunOptions = {}): Promise<string> {
    const { code, output } = await main.up(options);
    expect(code).not.toBe(0);
    expect(output).not.toMatch(/failed to deliver log message|Channel has been shut down/);
    return output;
}

test("every wrong key of a configuration is refused in one error", async () => {
    const output = await refusedUp({
        edit: config => {
            config.hostname = "Rancher_Lab";
            config.cluster.kubernetesVersion = "v1.29.1";
            config.cluster.nodes[0].roles = ["controlplane", "worker"];
            Object.assign(config.rancher, { chartVersion: "2.13.0", colour: "blue" });
        },
    });
    for (const key of ["hostname", "cluster.kubernetesVersion", "cluster.nodes", "rancher.chartVersion", "rancher.colour"])
        expect(output).toContain(`pulumi-rancher-ha:${key}: `);
    expect(output).toContain("nothing was changed");
    expect((await main.stack.resources()).filter(({ custom }) => custom)).toEqual([]);
});

test("a wrong host key of one node stops the run before RKE, and names the node", async () => {
    const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleE";
    const output = await refusedUp({ edit: ({ cluster }) => (cluster.nodes[1].hostKey = hostKey) });
    expect(output).toMatch(
        /RKE was not started and no host was changed, because: \[RHA nodes-not-fit\]\s+- node2: .*another host key than the one configured/,
    );
    expect(await lab.host("node1").sh("docker ps --all --quiet")).toBe("");
});

test("what RKE would stumble over on a node is named before it runs", async () => {
    const fake: Record<string, string> = {
        docker: '#!/bin/sh\ncase $1 in version) echo 16.04.0 ;; *) exec /usr/bin/docker "$@" ;; esac\n',
        date: "#!/bin/sh\necho $(($(/bin/date +%s) + 100))\n",
        df: "#!/bin/sh\nprintf 'Filesystem\\nnone 1 1 102400 1%% /\\n'\n",
    };
    for (const [name, text] of Object.entries(fake)) await lab.host("node2").write(`/usr/local/bin/${name}`, text, "755");
    await lab.host("node1").write("/usr/local/bin/docker", "#!/bin/sh\necho 'permission denied' >&2; exit 1\n", "755");
    // The output of a login shell is no fault of the node.
    await lab.host("node2").sh("touch /home/rke/.bashrc; cp -p /home/rke/.bashrc /root/kept; echo 'echo Welcome' >/home/rke/.bashrc");
    await lab.host("node3").sh("mkdir -p /etc/kubernetes/ssl; echo foreign >/etc/kubernetes/ssl/kube-ca.pem");
    try {
        const preview = await main.preview();
        expect(preview.code).not.toBe(0);
        expect(preview.output).toMatch(
            /RKE cannot run on these nodes: \[RHA nodes-not-fit\]\s+- node1 .*: Docker cannot be used[^]*- node3 .*: it belongs to another cluster/,
        );
        const output = await refusedUp();
        expect(output).toMatch(/RKE was not started and no host was changed, because: \[RHA nodes-not-fit\]/);
        expect(output).toMatch(/node2 .*: Docker 16\.04\.0 is not accepted by RKE: expected one of/);
        expect(output).toMatch(/node2 .*: the clock is (99|10\d|11\d) s off: expected less than 30 s/);
        expect(output).toMatch(/node2 .*: 100 MiB are free in \/var\/lib: expected at least 2048 MiB/);
        expect(output).toMatch(/node1 .*: Docker cannot be used by rke: .*found: permission denied/);
        expect(output).toMatch(
            /node3 .*: it belongs to another cluster: .*adopt it with cluster\.rkeState, or bring a lost state of the stack back from a backup/,
        );
        expect(output).not.toContain("Welcome");
        expect(output).not.toMatch(/node[13] .*: (the clock|\d+ MiB)/);
    } finally {
        await lab.host("node1").sh("rm /usr/local/bin/docker");
        await lab.host("node3").sh("rm -r /etc/kubernetes");
        await lab.host("node2").sh("rm /usr/local/bin/docker /usr/local/bin/date /usr/local/bin/df; mv /root/kept /home/rke/.bashrc");
    }
});

test("a chart of another version than chartVersion is refused in the preview", async () => {
    const { code, output } = await main.preview({ edit: ({ rancher }) => (rancher.chartVersion = "2.11.4") });
    expect(output).toContain("chartPath: expected the chart of version 2.11.4 in lab/rancher/chart, found 2.11.3");
    expect(output).not.toContain("error serializing");
    expect(code).not.toBe(0);
});

test("before there is a cluster, a preview warns of a silent chart repository", async () => {
    const { output } = await main.preview({
        edit: ({ rancher }) => {
            rancher.chartPath = undefined;
            rancher.repository = "https://127.0.0.1:1";
        },
    });
    expect(output.replace(/\s+/g, " ")).toMatch(
        /needs attention: RancherRelease rancher-release: expected an index of charts at https:\/\/127\.0\.0\.1:1\/index\.yaml, found ECONNREFUSED/,
    );
});

test("before there is a cluster, a preview refuses an unfit load balancer host", async () => {
    await lab.host("lb1").sh(listener(443));
    const { code, output } = await main.preview();
    await lab.host("lb1").sh(noListener);
    expect(output).toMatch(/NginxLoadBalancer rancher-lb: lb1: ports 80 and 443 must be free for NGINX, found another process on them:/);
    expect(code).not.toBe(0);
});
