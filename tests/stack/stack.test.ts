import { execFileSync, spawn, spawnSync } from "child_process";
import { once } from "events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "fs";
import { createServer } from "http";
import { AddressInfo } from "net";
import { tmpdir } from "os";
import { join } from "path";
import { kubeconfig, unpackState } from "../../components/cluster/state";
import { addressOf, Host, hostExec, labFiles, startHost, startLab, stopLab } from "../../lab/lab";
import { until } from "../../lab/process";
import { runLabEngine } from "../../lab/stack";
import { RancherClient } from "./rancherClient";
import { hostDigest, hostKeyOf, instance, listener, noListener, printed, pulumi, readState, secretTexts } from "./testStack";

jest.setTimeout(15 * 60_000);
// The small programs in tests/fixtures have no tsconfig of their own; types are checked with the rest.
process.env.PULUMI_NODEJS_TRANSPILE_ONLY = "true";

/** Where the runs have their temporary files. */
const temporary = mkdtempSync(join(tmpdir(), "stack-"));
process.env.TMPDIR = temporary;

let tools: string;
let before: Partial<Record<Host, string>>;
let ca: string[];

const nodes = ["node1", "node2", "node3"] as const;
const hosts = ["lb1", ...nodes] as const;
/** Neither a container nor a file of a cluster is left on a node. */
const isClean = async (node: Host) => {
    const files = "docker ps --all --quiet; find /etc/kubernetes /var/lib/etcd /opt/cni /etc/cni -type f 2>/dev/null";
    expect((await hostExec(instance, node, ["sh", "-c", files], { tolerate: true })).stdout).toBe("");
};
const resource = (name: string) => readState().resources.find(({ urn }) => urn.endsWith(`::${name}`))!;
const state = () => unpackState(resource("rancher-cluster-pki").outputs.stdout.value);
/** The CA of the cluster and that of Rancher. */
const authorities = () => [state().desiredState.certificatesBundle["kube-ca"].certificatePEM, resource("rancher-ca-root").outputs.certPem];
const folder = labFiles(instance).folder;
const kubeconfigFile = join(folder, "kubeconfig");
const kubectl = (args: string[], input = "") =>
    execFileSync(join(tools, "kubectl"), [`--kubeconfig=${kubeconfigFile}`, "--namespace=cattle-system", ...args], {
        input,
        encoding: "utf8",
    });
let secrets: string[] = [];
const secretsOfTheStack = () => {
    const certificates = state().desiredState.certificatesBundle;
    const keys = [
        readFileSync(labFiles(instance).privateKey, "utf8"),
        ...["kube-admin", "kube-ca"].map(name => certificates[name].keyPEM),
        ...["rancher-ca-server-key", "rancher-ca-root-key"].map(name => resource(name).outputs.privateKeyPem.value),
    ];
    return [...new Set([...keys.map(key => key.split("\n")[2]), output("bootstrapPassword"), ...secretTexts(readState().outputs)])];
};
const output = (name: string) => {
    const value = readState().outputs[name];
    return value?.value ?? value;
};

beforeAll(async () => {
    await stopLab(instance);
    tools = await startLab(instance);
    before = Object.fromEntries(await Promise.all(hosts.map(async host => [host, await hostDigest(host)])));
});

afterAll(async () => {
    await stopLab(instance);
    rmSync(temporary, { recursive: true });
});

describe("before anything is touched", () => {
    test("every wrong key of a configuration is refused in one error", async () => {
        const { code, output: text } = await pulumi(tools, "up", {
            edit: config => {
                config["pulumi-rancher-ha:hostname"] = "Rancher_Lab";
                config["pulumi-rancher-ha:cluster"].kubernetesVersion = "v1.29.1";
                config["pulumi-rancher-ha:cluster"].nodes[0].roles = ["controlplane", "worker"];
                Object.assign(config["pulumi-rancher-ha:rancher"], { chartVersion: "2.13.0", colour: "blue" });
            },
        });
        expect(code).toBe(1);
        for (const key of ["hostname", "cluster.kubernetesVersion", "cluster.nodes", "rancher.chartVersion", "rancher.colour"])
            expect(text).toContain(`pulumi-rancher-ha:${key}: `);
        expect(text).toContain("nothing was changed");
        expect(readState().resources.filter(resource => resource.custom)).toEqual([]);
    });

    test("a wrong host key of one node stops the run before RKE, and names the node", async () => {
        const { code, output: text } = await pulumi(tools, "up", {
            edit: config => {
                config["pulumi-rancher-ha:cluster"].nodes[1].hostKey =
                    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleExam";
            },
        });
        expect(code).toBe(1);
        expect(text).toMatch(/RKE was not started and no host was changed, because:\s+- node2: .*another host key than the one configured/);
        expect((await hostExec(instance, "node1", ["docker", "ps", "--all", "--quiet"])).stdout).toBe("");
    });

    test("a chart of another version than the one that is asked for is refused in the first preview", async () => {
        const { code, output: text } = await pulumi(tools, "preview", {
            edit: config => (config["pulumi-rancher-ha:rancher"].chartVersion = "2.11.4"),
        });
        expect(text).toContain("chartPath: expected the chart of version 2.11.4 in lab/rancher/chart, found 2.11.3");
        expect(code).toBe(1);
    });

    test("a load balancer host that is unfit is refused in the first preview, before there is a cluster", async () => {
        await hostExec(instance, "lb1", ["sh", "-c", listener(443)]);
        const { code, output: text } = await pulumi(tools, "preview");
        await hostExec(instance, "lb1", ["sh", "-c", noListener]);
        expect(text).toMatch(/NginxLoadBalancer rancher-lb: lb1: ports 80 and 443 must be free for NGINX, found another process on them:/);
        expect(code).toBe(1);
    });

    test("the hosts are as they were, byte by byte", async () => {
        for (const host of hosts) expect(await hostDigest(host)).toBe(before[host]);
    });
});

describe("a run that is ended half-way", () => {
    const killInsideRke = async () => {
        let killed = false;
        const { code } = await pulumi(tools, "up", {
            onLine: (line, kill) => {
                if (killed || !line.includes("rke: [etcd] Building up etcd plane")) return;
                killed = true;
                setTimeout(kill, 3000);
            },
        });
        expect([killed, code]).toEqual([true, 1]);
        const left = () => readdirSync(temporary).filter(name => name.startsWith("rancher-ha-"));
        await until("the runner to end with RKE, because nobody listens any more", 30, async () => left().length === 0);
    };

    test("inside the cluster step, by SIGKILL: no key stays where Pulumi runs, and destroy leaves the hosts clean", async () => {
        await killInsideRke();
        expect(spawnSync("pgrep", ["-af", `ssh-agent -a ${temporary}/`]).stdout.toString()).toBe("");
        expect((await hostExec(instance, "node1", ["docker", "ps", "--all", "--quiet"])).stdout).not.toBe("");
        const { code, output: text } = await pulumi(tools, "destroy");
        expect({ code, tail: code === 0 ? "" : text.slice(-3000) }).toEqual({ code: 0, tail: "" });
        for (const node of nodes) await isClean(node);
    });

    test("before the cluster step, by an address that no host has: it can be corrected", async () => {
        const { code, output: text } = await pulumi(tools, "up", {
            edit: config => {
                const hostKey = hostKeyOf(instance, "node2");
                Object.assign(config["pulumi-rancher-ha:cluster"].nodes[1], { address: addressOf(instance, "node4"), hostKey });
            },
        });
        expect(text).toMatch(/no host was changed, because:\s+- node2: .*no SSH connection/);
        expect(code).toBe(1);
        ca = authorities();
    });

    test("inside the cluster step, by SIGKILL: both CAs are kept", async () => {
        await killInsideRke();
        expect(authorities()).toEqual(ca);
    });

    test("a node that RKE may have touched cannot be left out while no API tells whether it belongs to the cluster", async () => {
        const { code, output: text } = await pulumi(tools, "up", {
            edit: config => config["pulumi-rancher-ha:cluster"].nodes.splice(1),
        });
        expect(text).toContain("the last run was ended in the middle of create rancher-cluster-rke");
        expect(text).toContain(
            `${addressOf(instance, "node2")}, ${addressOf(instance, "node3")} is to be removed, but the cluster's current state is not at hand`,
        );
        expect(code).toBe(1);
    });

    test("between two steps: what was done is kept, what was not is not", async () => {
        const { code } = await pulumi(tools, "up", { flags: ["--stop-after", "rancher-ca-secret-secret"] });
        expect(code).toBe(1);
        const names = readState().resources.map(resource => resource.urn.split("::").pop());
        expect(names).toEqual(expect.arrayContaining(["rancher-cluster-rke", "rancher-ca-secret-secret"]));
        expect(names).not.toContain("rancher-verification-checks");
    });

    test("inside the Helm step, by SIGKILL: a preview names what Helm left pending", async () => {
        writeFileSync(kubeconfigFile, kubeconfig(state(), "rancher", `https://${addressOf(instance, "node1")}:6443`), { mode: 0o600 });
        const records = () => kubectl(["get", "secrets", "--selector=owner=helm,status=pending-install", "--output=name"]);
        // Rancher's pods find no node, and Helm waits for them.
        kubectl(["cordon", ...nodes]);
        const { code } = await pulumi(tools, "up", {
            onLine: (line, kill) => {
                if (/create +Release +rancher-release-release …/.test(line))
                    void until("Helm's record", 60, async () => records() !== "").then(kill);
            },
        });
        expect(code).toBe(1);
        kubectl(["uncordon", ...nodes]);
        expect(records()).not.toBe("");
        expect((await pulumi(tools, "preview", { flags: ["--diff"] })).output).toMatch(
            /revision 1 of the release is pending-install: .*kubectl --namespace cattle-system delete secret sh\.helm\.release\.v1\.rancher\.v1/,
        );
    });

    test("the next up finishes, with the same CAs", async () => {
        const { code, output: text } = await pulumi(tools, "up");
        expect({ code, tail: code === 0 ? "" : text.slice(-3000) }).toEqual({ code: 0, tail: "" });
        expect(text).toContain("was left pending-install: removing Helm's record");
        expect(authorities()).toEqual(ca);
    });
});

describe("the stack that is up", () => {
    test("a preview and another up find nothing to do", async () => {
        expect((await pulumi(tools, "preview", { flags: ["--expect-no-changes"] })).code).toBe(0);
        const again = await pulumi(tools, "up");
        expect(again.result!.steps.filter(step => step.op !== "same")).toEqual([]);
    });

    test("it came up without a way out of the lab for its nodes", async () => {
        const routes = await Promise.all(
            nodes.map(async node => (await hostExec(instance, node, ["ip", "route", "show", "default"])).stdout),
        );
        expect(routes).toEqual(["", "", ""]);
    });

    test("a network that the live cluster does not have is refused in the preview", async () => {
        const { code, output: text } = await pulumi(tools, "preview", {
            edit: config => (config["pulumi-rancher-ha:cluster"].network = { clusterCidr: "10.52.0.0/16" }),
        });
        expect(text).toMatch(/network\.clusterCidr: expected 10\.42\.0\.0\/16, with which the cluster was built, found 10\.52\.0\.0\/16/);
        expect(code).toBe(1);
    });

    test("every component waits for what it takes from another", async () => {
        const { result } = await pulumi(tools, "preview");
        const registration = (name: string) => result!.registrations.find(each => each.name === name)!;
        const takes = (name: string) => registration(name).dependencies.map(urn => urn.split("::").pop());
        expect(takes("rancher-lb-host-1")).toEqual(
            expect.arrayContaining(["rancher-cluster-rke", "rancher-ca-server", "rancher-ca-server-key"]),
        );
        expect(takes("rancher-kubernetes")).toEqual(expect.arrayContaining(["rancher-cluster-pki", "rancher-cluster-rke"]));
        expect(takes("rancher-ca-secret-secret")).toEqual(expect.arrayContaining(["rancher-ca-root", "rancher-namespace"]));
        expect(takes("rancher-release-release")).toEqual(expect.arrayContaining(["rancher-ca-secret-secret", "rancher-cluster-rke"]));
        expect(takes("rancher-verification-checks")).toEqual(expect.arrayContaining(["rancher-lb-host-1", "rancher-release-release"]));
        expect(registration("rancher-release-release").deletedWith).toMatch(/::rancher-cluster-rke$/);
    });

    test("verification has asked through the load balancer", () => {
        const checks = resource("rancher-verification-checks").outputs.stdout;
        for (const check of ["certificate", "ping", "redirect", "cacerts", "http2", "redirects", "websocket"])
            expect(checks).toMatch(new RegExp(`^ok ${check} at `, "m"));
    });

    test("a real agent connects through the load balancer, and a request travels back through its tunnel", async () => {
        const address = addressOf(instance, "lb1");
        const rancher = new RancherClient("rancher.lab.internal", address, output("caCertificate"));
        const token = await rancher.login(output("bootstrapPassword"));
        const registration = JSON.parse((await rancher.ask("GET", "/v3/clusterregistrationtokens", { token })).body).data[0].token;
        const behindAgent = createServer((_request, response) => response.end("reached behind the agent")).listen(0, "127.0.0.1");
        await once(behindAgent, "listening");
        const port = (behindAgent.address() as AddressInfo).port;
        const caFile = join(folder, "ca.pem");
        writeFileSync(caFile, output("caCertificate"));
        const agent = spawn(join(tools, "node-workloads"), [
            "agent",
            "--server",
            output("url"),
            "--cacert",
            caFile,
            "--id",
            "agent-1",
            "--resolve",
            `rancher.lab.internal:443:${address}`,
        ]);
        agent.stdin.end(registration);
        try {
            const said: string[] = [];
            for (const stream of [agent.stdout, agent.stderr]) stream.on("data", chunk => said.push(String(chunk)));
            await until(`agent connected (${said.join("")})`, 30, async () => said.join("").includes("connected"));
            let answer = { status: 0, body: "" };
            await until("the tunnel known to every replica", 20, async () => {
                answer = await rancher.ask("GET", `/lab/tunnel/agent-1/http/127.0.0.1:${port}/`, { token });
                return answer.status === 200;
            });
            expect(answer.body).toBe("reached behind the agent");
        } finally {
            agent.kill();
            behindAgent.close();
        }
    });
});

describe("drift of the load balancer host", () => {
    const cases: [string, string, RegExp][] = [
        [
            "nginx.conf edited",
            "sed -i 's/proxy_read_timeout .*/proxy_read_timeout 5s;/' /etc/nginx/nginx.conf",
            /nginx\.conf: content changed/,
        ],
        ["the certificate replaced", "sed -i '2s/./x/' /etc/nginx/rancher-ha/fullchain.pem", /fullchain\.pem: content changed/],
        [
            "the key made readable",
            "chmod 644 /etc/nginx/rancher-ha/privkey.pem",
            /privkey\.pem: mode and owner 644 root:root, expected 600 root:root/,
        ],
        ["the service stopped", "systemctl stop nginx", /nginx\.service: inactive, expected active/],
    ];
    test.each(cases)("%s: seen in preview, healed by up, then nothing to do", async (_what, tamper, finding) => {
        await hostExec(instance, "lb1", ["sh", "-c", tamper]);
        const seen = await pulumi(tools, "preview", { flags: ["--diff"] });
        expect(seen.output).toMatch(finding);
        expect(seen.result!.steps.filter(step => step.op === "update").map(step => step.name)).toEqual(
            expect.arrayContaining(["rancher-lb-drift-1", "rancher-lb-host-1"]),
        );
        expect((await pulumi(tools, "preview", { flags: ["--expect-no-changes"] })).code).toBe(1);
        expect((await pulumi(tools, "up")).code).toBe(0);
        expect((await pulumi(tools, "preview", { flags: ["--expect-no-changes"] })).code).toBe(0);
    });
});

describe("in the cluster", () => {
    beforeAll(() => writeFileSync(kubeconfigFile, output("kubeconfig"), { mode: 0o600 }));

    test("objects of the chart changed with kubectl: seen in preview, healed by up, then nothing to do", async () => {
        kubectl(["scale", "deployment", "rancher", "--replicas=1"]);
        kubectl(["set", "env", "deployment", "rancher", "CATTLE_NAMESPACE=elsewhere"]);
        kubectl(["delete", "service", "rancher"]);
        const seen = await pulumi(tools, "preview", { flags: ["--diff"] });
        expect(seen.output).toMatch(/Deployment rancher: spec\.replicas is 1, expected 3/);
        expect(seen.output).toMatch(
            /Deployment rancher: spec\.template\.spec\.containers\[rancher\]\.env\[CATTLE_NAMESPACE\]\.value was changed/,
        );
        expect(seen.output).toMatch(/Service rancher: missing/);
        expect(seen.result!.steps.filter(step => step.op === "update").map(step => step.name)).toEqual(
            expect.arrayContaining(["rancher-release-drift", "rancher-release-release"]),
        );
        const { code, output: text } = await pulumi(tools, "up");
        expect({ code, tail: code === 0 ? "" : text.slice(-3000) }).toEqual({ code: 0, tail: "" });
        expect((await pulumi(tools, "preview", { flags: ["--expect-no-changes"] })).code).toBe(0);
    });

    describe("host aliases of a downstream cluster's agents", () => {
        const agents = ["deployment/cattle-cluster-agent", "daemonset/cattle-node-agent"];
        const aliases = () => agents.map(agent => JSON.parse(kubectl(["get", agent, "-o", "json"])).spec.template.spec.hostAliases);
        const run = (verb: string) => {
            const configFile = join(folder, "host-aliases.yaml");
            const config = { "host-aliases:kubeconfigFile": kubeconfigFile, "host-aliases:address": addressOf(instance, "lb1") };
            writeFileSync(configFile, JSON.stringify({ config }));
            return runLabEngine({ instance, tools, configFile, program: join(__dirname, "..", "fixtures", "hostAliases") }, [verb]);
        };
        test("an agent that is not there is named, and no half object is made", async () => {
            const { code, output: text } = await run("up");
            expect(code).toBe(1);
            expect(text).toMatch(/resource 'cattle-system\/cattle-(cluster|node)-agent' does not exist/);
            expect(kubectl(["get", "deployments,daemonsets", "-o", "name"])).not.toMatch(/cattle-(cluster|node)-agent/);
        });

        test("the entry is added beside those of others, and removed alone", async () => {
            const other = { ip: "192.0.2.9", hostnames: ["other.lab.internal"] };
            const agent = (kind: string, name: string) => {
                const labels = { app: name };
                const spec = { hostAliases: [other], containers: [{ name: "agent", image: "rancher/rancher-agent:v2.11.3" }] };
                const template = { metadata: { labels }, spec };
                return { apiVersion: "apps/v1", kind, metadata: { name }, spec: { selector: { matchLabels: labels }, template } };
            };
            const items = [agent("Deployment", "cattle-cluster-agent"), agent("DaemonSet", "cattle-node-agent")];
            kubectl(["create", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }));
            const up = await run("up");
            expect({ code: up.code, tail: up.code === 0 ? "" : up.output.slice(-2000) }).toEqual({ code: 0, tail: "" });
            const own = { ip: addressOf(instance, "lb1"), hostnames: ["rancher.lab.internal"] };
            const both = expect.arrayContaining([other, own]);
            expect(aliases()).toEqual([both, both]);
            expect((await run("destroy")).code).toBe(0);
            expect(aliases()).toEqual([[other], [other]]);
            kubectl(["delete", ...agents]);
        });
    });
});

test("what RKE would stumble over on a node is named before it runs", async () => {
    const fake: Record<string, string> = {
        docker: '#!/bin/sh\ncase $1 in version) echo 16.04.0 ;; *) exec /usr/bin/docker "$@" ;; esac\n',
        date: "#!/bin/sh\necho $(($(/bin/date +%s) + 100))\n",
        df: "#!/bin/sh\nprintf 'Filesystem\\nnone 1 1 102400 1%% /\\n'\n",
    };
    const put = (node: Host, name: string, input: string) =>
        hostExec(instance, node, ["sh", "-c", `cat >/usr/local/bin/${name}; chmod 755 /usr/local/bin/${name}`], { input });
    for (const [name, text] of Object.entries(fake)) await put("node2", name, text);
    await put("node1", "docker", "#!/bin/sh\necho 'permission denied' >&2; exit 1\n");
    const foreign = "cd /etc/kubernetes/ssl; mv kube-ca.pem kept.pem; cp kube-node.pem kube-ca.pem";
    await hostExec(instance, "node3", ["sh", "-c", foreign]);
    try {
        const { code, output: said } = await pulumi(tools, "up", {
            edit: config => (config["pulumi-rancher-ha:cluster"].addonJobTimeoutSeconds = 181),
        });
        expect(code).toBe(1);
        expect(said).toMatch(/RKE was not started and no host was changed, because:/);
        expect(said).toMatch(/node2 .*: Docker 16\.04\.0 is not accepted by RKE: expected one of/);
        expect(said).toMatch(/node2 .*: the clock is (99|10\d) s off: expected less than 30 s/);
        expect(said).toMatch(/node2 .*: 100 MiB are free in \/var\/lib: expected at least 2048 MiB/);
        expect(said).toMatch(/node1 .*: Docker cannot be used by rke: .*found: permission denied/);
        expect(said).toMatch(/node3 .*: it belongs to another cluster: /);
        expect(said).not.toMatch(/node[13] .*: (the clock|\d+ MiB)/);
    } finally {
        await hostExec(instance, "node1", ["rm", "/usr/local/bin/docker"]);
        await hostExec(instance, "node3", ["mv", "/etc/kubernetes/ssl/kept.pem", "/etc/kubernetes/ssl/kube-ca.pem"]);
        await hostExec(instance, "node2", ["sh", "-c", "rm /usr/local/bin/docker /usr/local/bin/date /usr/local/bin/df"]);
    }
});

test("API servers that are gone: seen in a preview, and brought back by up when drift of the cluster is to be healed", async () => {
    const edit = (config: Record<string, any>) => (config["pulumi-rancher-ha:cluster"].drift = "enforce");
    await Promise.all(nodes.map(node => hostExec(instance, node, ["docker", "rm", "--force", "kube-apiserver"])));
    const seen = await pulumi(tools, "preview", { edit, flags: ["--diff"] });
    expect(seen.output).toMatch(/absent: no API server runs: .*ECONNREFUSED/);
    expect(seen.result!.steps.filter(step => step.op === "update").map(step => step.name)).toEqual(
        expect.arrayContaining(["rancher-cluster-drift", "rancher-cluster-rke"]),
    );
    const { code, output: said } = await pulumi(tools, "up", { edit });
    expect({ code, tail: code === 0 ? "" : said.slice(-3000) }).toEqual({ code: 0, tail: "" });
    expect((await pulumi(tools, "preview", { flags: ["--expect-no-changes"] })).code).toBe(0);
    expect(authorities()).toEqual(ca);
});

describe("a worker", () => {
    const withWorker = (config: Record<string, any>) =>
        config["pulumi-rancher-ha:cluster"].nodes.push({
            address: addressOf(instance, "node4"),
            hostname: "node4",
            user: "rke",
            roles: ["worker"],
        });
    const upstreams = async () =>
        (await hostExec(instance, "lb1", ["grep", "-c", "server 10.*:80 .*fail_timeout", "/etc/nginx/nginx.conf"])).stdout.trim();

    beforeAll(() => startHost(instance, "node4", tools));

    test("that cannot be reached, or refuses the key, stops the run before RKE, and is named", async () => {
        await hostExec(instance, "node4", ["sh", "-c", "mv /home/rke/.ssh/authorized_keys /home/rke/"]);
        const refusing = await pulumi(tools, "up", { edit: withWorker });
        expect(refusing.output).toMatch(/node4: .*the host refuses the SSH key/);
        await hostExec(instance, "node4", ["sh", "-c", "mv /home/rke/authorized_keys /home/rke/.ssh/; systemctl stop ssh"]);
        const silent = await pulumi(tools, "up", { edit: withWorker });
        expect(silent.output).toMatch(/node4: .*no SSH connection/);
        await hostExec(instance, "node4", ["systemctl", "start", "ssh"]);
        expect([refusing.code, silent.code]).toEqual([1, 1]);
    });

    test("joins, and becomes an upstream; the preview before says nothing of drift, the one after is empty", async () => {
        expect((await pulumi(tools, "preview", { edit: withWorker })).output).not.toContain("not as configured");
        const { code, output: said } = await pulumi(tools, "up", { edit: withWorker });
        expect({ code, tail: code === 0 ? "" : said.slice(-3000) }).toEqual({ code: 0, tail: "" });
        expect(await upstreams()).toBe("4");
        expect((await pulumi(tools, "preview", { edit: withWorker, flags: ["--expect-no-changes"] })).code).toBe(0);
    });

    test("leaves, and its host is clean", async () => {
        const { code, output: said } = await pulumi(tools, "up");
        expect({ code, tail: code === 0 ? "" : said.slice(-3000) }).toEqual({ code: 0, tail: "" });
        expect(await upstreams()).toBe("3");
        await isClean("node4");
        expect((await pulumi(tools, "preview", { flags: ["--expect-no-changes"] })).code).toBe(0);
    });
});

test("what is left on a node after the cluster was removed is named", async () => {
    secrets = secretsOfTheStack();
    const create = (name: string, ...labels: string[]) =>
        hostExec(instance, "node3", ["docker", "create", "--name", name, ...labels, "rancher/rke-tools:v0.1.114", "true"]);
    await create("kube-stranger");
    // As the kubelet leaves a pod's: RKE does not remove it.
    await create("k8s_rancher_rancher-0_cattle-system_1_0", "--label", "io.kubernetes.pod.uid=1");
    const { output: said } = await pulumi(tools, "destroy");
    expect(said).toMatch(/Left behind:\s+- node3 .*: container kube-stranger\s+Remove these on the hosts/);
    await hostExec(instance, "node3", ["docker", "rm", "kube-stranger"]);
});

test("destroy leaves the hosts clean", async () => {
    const { code, output: text } = await pulumi(tools, "destroy");
    expect({ code, tail: code === 0 ? "" : text.slice(-3000) }).toEqual({ code: 0, tail: "" });
    expect(readState().resources).toEqual([]);
    expect(await hostDigest("lb1")).toBe(before.lb1);
    for (const node of nodes) await isClean(node);
});

test("no secret of the runs stands in an output, a log or a file outside the encrypted state", async () => {
    expect(secrets.length).toBeGreaterThan(6);
    const files = (path: string): string[] =>
        readdirSync(path).flatMap(name => (statSync(join(path, name)).isDirectory() ? files(join(path, name)) : [join(path, name)]));
    const allowed = ["ssh/id_ed25519", "result.json", "kubeconfig"].map(name => join(folder, name));
    const texts = [
        ...printed,
        ...[...files(folder), ...files(temporary)].filter(file => !allowed.includes(file)).map(file => readFileSync(file, "utf8")),
    ];
    for (const secret of secrets) expect(texts.some(text => text.includes(secret))).toBe(false);
    expect(printed.join("")).not.toMatch(/PRIVATE KEY-----/);
    for (const host of hosts) {
        const search = 'secrets=$(cat); { journalctl -o cat; find /var/log /tmp -type f -exec cat {} +; } | grep -acFe "$secrets"';
        const found = await hostExec(instance, host, ["sh", "-c", search], { input: secrets.join("\n"), tolerate: true });
        expect([host, found.stdout]).toEqual([host, "0\n"]);
    }
});
