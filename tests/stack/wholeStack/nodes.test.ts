import { mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { dirname, join } from "path";
import { issue } from "../../../lab/certificates";
import { clusterTargets } from "../../../adopt/importFile";
import { sealed } from "../../../adopt/seal";
import { repository } from "../../../lab/inventory";
import { run } from "../../../lab/process";
import { Finished } from "../../../lab/pulumi";
import { Registry } from "../../../lab/registry";
import { bastionAt, digestOf, disposable, loginsOf, refuseDirectSsh, testLab } from "../fixtures";
import { kubeconfigOf } from "../../kubeconfig";
import { newSshKey } from "../../ssh";
import { Client } from "../loadBalancer/client";
import { changed, Edit, MainStack } from "./mainStack";

// These tests follow the nodes of a cluster that has one node at first. They upgrade the node, lose the control plane, let a worker join
// and leave, and destroy the cluster. Its hosts accept SSH from a bastion alone. All images and the chart come from a registry with a
// login, which runs on the bastion.
jest.setTimeout(10 * 60_000);

const lab = disposable(testLab());
const oneNode: Edit = ({ cluster }) => cluster.nodes.splice(1);
const chart = join(repository, "lab", "rancher", "chart");
let main: MainStack;
let registry: Registry;
let pristine: string;
/** The first run, on a machine that is not logged in to the registry. */
let withoutLogin: Finished;

const older: Edit = config => {
    oneNode(config);
    config.cluster.kubernetesVersion = "v1.30.5-rancher1-1";
};

/** Returns the lines of `npm run images` for this configuration. */
async function listedImages(edit: Edit): Promise<string[]> {
    main.configure(edit);
    const program = ["--require", "tsx/cjs", join(repository, "images", "index.ts"), "--stack", lab.name];
    const env = { ...process.env, PATH: `${dirname(main.tool("rke"))}:${process.env.PATH}` };
    return (await run(process.execPath, program, { cwd: dirname(main.stack.configFile), env })).stdout.trim().split("\n");
}

const isImage = (line: string) => !line.startsWith("#");

beforeAll(async () => {
    await lab.start("lb4");
    const bastion = await bastionAt(lab.host("lb4"));
    registry = await Registry.start(lab.host("lb4"));
    // All runs of these tests have this environment: that of a machine that is logged in.
    Object.assign(process.env, registry.environment);
    await registry.login();
    const repositoryOfChart = await registry.pushChart(chart);
    main = await MainStack.start(lab, ["lb1", "node1"], ({ ssh, cluster, rancher }) => {
        Object.assign(ssh, { bastion });
        const { url, user, password } = registry;
        cluster.privateRegistries = [{ url, user, password, isDefault: true }];
        delete rancher.chartPath;
        rancher.repository = repositoryOfChart;
        rancher.values = { systemDefaultRegistry: url, rancherImage: `${url}/rancher/rancher` };
    });
    await registry.mirror([...new Set([...(await listedImages(older)), ...(await listedImages(oneNode))])].filter(isImage));
    await registry.trustedBy(lab.host("node1"));
    await Promise.all((["lb1", "node1"] as const).map(name => refuseDirectSsh(lab.host(name))));
    pristine = await digestOf(lab.host("lb1"));
    withoutLogin = await main.up({ edit: older, env: { HELM_CONFIG_HOME: join(lab.folder, "nobody") } });
    await main.succeeds("up", { edit: older });
}, 15 * 60_000);

describe("a registry with a login", () => {
    test("gives the nodes every image that RKE starts, to nobody without the login", async () => {
        const started = await lab.host("node1").sh("docker ps --all --format '{{.Image}}' | sort -u");
        expect(
            started
                .trim()
                .split("\n")
                .filter(image => !image.startsWith(`${registry.url}/rancher/`)),
        ).toEqual([]);
        const pull = await lab.host("node1").exec(["docker", "pull", started.split("\n")[0]], { tolerate: true });
        expect([pull.code, pull.stderr]).toEqual([1, expect.stringContaining("no basic auth credentials")]);
    });

    test("has every image that a pod names, for the login that RKE gives the kubelets", async () => {
        const images = "{range .items[*]}{range .spec['initContainers','containers'][*]}{.image}{'\\n'}{end}{end}";
        const named = (await main.kubectl(["get", "pods", "--all-namespaces", "-o", `jsonpath=${images}`])).trim().split("\n");
        expect(named.join(" ")).toMatch(/\/rancher\/rancher:v2\.11\.3 /);
        for (const image of new Set(named)) {
            expect(image).toContain(`${registry.url}/`);
            await lab.host("node1").sh(`docker --config /var/lib/kubelet pull --quiet ${image}`);
        }
    });

    test("gives the chart only to a machine that is logged in, which the next up is", () => {
        expect(withoutLogin.code).not.toBe(0);
        expect(withoutLogin.output).toMatch(
            /rancher-release-release[^]* value \{oci:.*\/charts\/rancher\} has a problem: .*: basic credential not found/,
        );
    });
});

test("an upgrade is not begun while a node has no space for the snapshot", async () => {
    const node = lab.host("node1");
    await node.sh("mount -t tmpfs -o size=64k none /opt/rke/etcd-snapshots");
    const { code, output } = await main.up({ edit: oneNode });
    await node.sh("umount /opt/rke/etcd-snapshots");
    expect(output).toMatch(/Kubernetes was not upgraded, because no snapshot of etcd could be saved before.*:[^]*no space left on device/);
    expect(code).not.toBe(0);
    expect(await main.imageVersions("node1")).toBe("v1.30.5\n");
});

/** Returns the file of the snapshot that an upgrade has saved, without its ending. */
const snapshotOf = ({ output }: Finished) =>
    /saving an etcd snapshot first, (\/opt\/rke\/etcd-snapshots\/v1\.30\.5-rancher1-1-to-v1\.30\.14-rancher1-1-\w+)\.zip/.exec(output)![1];

test("an upgrade killed inside RKE is finished by the next up; each saves a snapshot", async () => {
    const temporary = mkdtempSync(join(tmpdir(), "upgrade-"));
    const killed = await main.killedInsideRke(/rke: Upgrading controlplane components/, temporary, oneNode);
    rmSync(temporary, { recursive: true });
    await main.stack.cancel();
    const finished = await main.succeeds("up", { edit: oneNode });
    expect(await main.imageVersions("node1")).toBe("v1.30.14\n");
    for (const file of [killed, finished].map(snapshotOf)) {
        const name = file.split("/").pop();
        const listed = await lab
            .host("node1")
            .sh(`docker run --rm -v /opt/rke/etcd-snapshots:/s rancher/rke-tools:v0.1.114 unzip -l /s/${name}.zip | grep -v ^Archive`);
        expect(listed.match(/v1\.30\.5\S+/g)!.sort()).toEqual([name, `${name}.rkestate`]);
    }
    await main.isInSync(oneNode);
});

test("SSH came from the bastion alone: that of Pulumi, of its probes and of RKE", async () => {
    const logins = await Promise.all((["lb1", "node1"] as const).map(name => loginsOf(lab.host(name))));
    expect(logins).toEqual(["root", "rke"].map(user => [`Accepted publickey for ${user} from ${lab.host("lb4").address}`]));
});

describe("a stack whose state is lost", () => {
    const kubectl = async (...args: string[]) => JSON.parse(await main.kubectl([...args, "-o", "json"]));
    /** Returns RKE's state as the cluster keeps it. */
    const keptState = async () => {
        const { data } = await kubectl("--namespace=kube-system", "get", "secret", "full-cluster-state");
        return JSON.parse(Buffer.from(data["full-cluster-state"], "base64").toString());
    };
    const pods = () => main.kubectl(["get", "pods", "-o", "jsonpath={.items[*].metadata.uid}"]);
    const onLoadBalancer = (name: string) => lab.host("lb1").sh(`cat /etc/nginx/rancher-ha/${name}`);
    const named = ["--stack", lab.name];
    let backup: string;
    let password: string;
    let files: { certificateChain: string; privateKey: string; caCertificate: string };
    /** Returns a change that gives the stack the remains of a lost state: RKE's state, and the certificate of the load balancer host. */
    const adopting = (state: object): Edit => {
        const rkeStateFile = join(lab.folder, "cluster.rkestate");
        writeFileSync(rkeStateFile, JSON.stringify(state), { mode: 0o600 });
        return config => {
            oneNode(config);
            config.cluster.rkeStateFile = rkeStateFile;
            Object.assign(config, { certificate: files });
        };
    };

    beforeAll(async () => {
        backup = JSON.stringify(await main.stack.exported());
        ({ bootstrapPassword: password } = await main.stack.outputs());
        const [certificateChain, privateKey] = [await onLoadBalancer("fullchain.pem"), await onLoadBalancer("privkey.pem")];
        files = { certificateChain, privateKey, caCertificate: (await main.authorities())[1] };
        // A manually created namespace has no owner.
        await main.kubectl(["annotate", "namespace", "cattle-system", "pulumi-rancher-ha/owner-"]);
        await pulumi("stack", "rm", lab.name, "--force", "--yes", "--preserve-config");
    });

    async function pulumi(...args: string[]): Promise<string> {
        const { code, output } = await main.stack.cli(args);
        expect({ code, tail: code === 0 ? "" : output.slice(-3000) }).toEqual({ code: 0, tail: "" });
        return output;
    }

    /** Runs `npm run adopt` beside the configuration, as the page says. Returns the path of the import file. */
    async function writtenImportFile(): Promise<string> {
        const [values, ca] = ["values.yaml", "cacerts.pem"].map(name => join(lab.folder, name));
        const get = ["get", "values", "rancher", "--namespace", "cattle-system", "--output", "yaml"];
        const { stdout } = await run(main.tool("helm"), ["--kubeconfig", join(lab.folder, "kubeconfig"), ...get]);
        writeFileSync(values, stdout, { mode: 0o600 });
        writeFileSync(ca, files.caCertificate);
        const cwd = dirname(main.stack.configFile);
        const program = [
            "--require",
            "tsx/cjs",
            join(repository, "adopt", "index.ts"),
            "--stack",
            lab.name,
            "--values",
            values,
            "--ca",
            ca,
        ];
        expect((await run(process.execPath, program, { cwd })).stdout).toContain(`kept: Pulumi.${lab.name}.yaml`);
        return join(cwd, `import-${lab.name}.json`);
    }

    test("a state of RKE with another CA is refused in the preview", async () => {
        const state = await keptState();
        const other = issue({ name: "kube-ca", ca: true });
        state.desiredState.certificatesBundle["kube-ca"] = { certificatePEM: other.certificate, keyPEM: other.privateKey };
        const { code, output } = await main.preview({ edit: adopting(state) });
        expect(output.replace(/\n\s+/g, " ")).toMatch(/node1 .*: it belongs to another cluster/);
        expect(code).not.toBe(0);
    });

    test("is adopted: CA, certificate and pods stay, and no password is shown", async () => {
        const before = [await pods(), (await main.kubectl(["get", "secret", "tls-ca", "-o", "yaml"])).match(/cacerts.pem: .*/)![0]];
        const edit = adopting(await keptState());
        const targets = clusterTargets({ hasCaSecret: true }).flatMap(pattern => ["--target", pattern]);
        await main.succeeds("up", { edit, flags: targets });
        const file = await writtenImportFile();
        await pulumi("import", ...named, "--yes", "--generate-code=false", "--protect=false", "--skip-preview", "--file", file);
        const stateFile = join(lab.folder, "sealed.json");
        writeFileSync(stateFile, sealed(JSON.stringify(await main.stack.exported())), { mode: 0o600 });
        await pulumi("stack", "import", ...named, "--file", stateFile);

        const preview = await main.succeeds("preview", { edit, flags: ["--diff"] });
        expect(preview.output).not.toContain(password);
        expect(preview.output).not.toMatch(/kubernetes\.io\/metadata\.name|finalizers/);
        const { output } = await main.succeeds("up", { edit });
        expect(output).toContain("lb1: nothing to change");
        expect([await pods(), (await main.kubectl(["get", "secret", "tls-ca", "-o", "yaml"])).match(/cacerts.pem: .*/)![0]]).toEqual(
            before,
        );
        await main.isInSync(edit);
    });

    test("a backup of the state brings it back, too", async () => {
        const file = join(lab.folder, "backup.json");
        writeFileSync(file, backup, { mode: 0o600 });
        await pulumi("stack", "import", ...named, "--file", file);
        await main.succeeds("up", { edit: oneNode });
        await main.isInSync(oneNode);
    });
});

test("a preview sees a missing API server, and up restores it when drift is enforced", async () => {
    const authorities = await main.authorities();
    const edit: Edit = config => {
        oneNode(config);
        config.cluster.drift = "enforce";
    };
    await lab.host("node1").sh("docker rm --force kube-apiserver");
    const seen = await main.preview({ edit, flags: ["--diff"] });
    expect(seen.output).toMatch(/absent: no cluster runs on node1\./);
    expect(changed(seen)).toEqual(expect.arrayContaining(["rancher-cluster-drift", "rancher-cluster-rke"]));
    await main.succeeds("up", { edit });
    await main.isInSync(oneNode);
    expect(await main.authorities()).toEqual(authorities);
});

describe("a further worker, with an SSH key of its own", () => {
    const key = newSshKey();
    const withWorker: Edit = config => {
        oneNode(config);
        const { address, hostKey } = lab.host("node4");
        config.cluster.nodes.push({ address, hostname: "node4", user: "rke", roles: ["worker"], hostKey, privateKey: key.privateKey });
    };
    const upstreams = async () => (await lab.host("lb1").sh("grep -c 'server 10.*:80 .*fail_timeout' /etc/nginx/nginx.conf")).trim();
    beforeAll(async () => {
        await lab.start("node4");
        await refuseDirectSsh(lab.host("node4"));
        await lab.host("node4").sh(`echo '${key.publicKey}' >/home/rke/.ssh/authorized_keys`);
        await registry.trustedBy(lab.host("node4"));
        // Without an image of its own, Docker pulls whole images.
        await lab.host("node4").sh("docker image rm $(docker images --format '{{.Repository}}:{{.Tag}}')");
    }, 5 * 60_000);

    test("that refuses the SSH key or is unreachable is named before RKE runs", async () => {
        const node = lab.host("node4");
        await node.sh("mv /home/rke/.ssh/authorized_keys /home/rke/");
        const preview = await main.preview({ edit: withWorker });
        expect(preview.output).toMatch(/needs attention: .*node4: .*the host refuses the SSH key/);
        const refusing = await main.up({ edit: withWorker });
        expect(refusing.output).toMatch(/node4: .*the host refuses the SSH key/);
        await node.sh("mv /home/rke/authorized_keys /home/rke/.ssh/; systemctl stop ssh");
        const unreachable = await main.up({ edit: withWorker });
        await node.sh("systemctl start ssh");
        expect(unreachable.output).toMatch(/node4: .*no SSH connection/);
        expect([refusing.code, unreachable.code]).not.toContain(0);
    });

    test("whose registry login is refused is named in the preview, and before RKE runs", async () => {
        const wrong: Edit = config => {
            withWorker(config);
            config.cluster.privateRegistries[0].password = "wrong";
        };
        const before = await lab.host("node1").sh("docker inspect --format '{{.State.StartedAt}}' kubelet kube-apiserver");
        for (const refused of [await main.preview({ edit: wrong }), await main.up({ edit: wrong })]) {
            expect(refused.code).not.toBe(0);
            expect(refused.output.replace(/\s+/g, " ")).toMatch(
                /node4 \(\S+\): cluster\.privateRegistries\[0\]: expected that \S+ accepts the login of puller, found: .*401 Unauthorized/,
            );
            expect(refused.output).not.toContain("Running RKE version");
        }
        expect(await lab.host("node1").sh("docker inspect --format '{{.State.StartedAt}}' kubelet kube-apiserver")).toBe(before);
        expect(await lab.host("node4").sh("docker ps --all --quiet")).toBe("");
    });

    const onWorker = () =>
        main.kubectl([
            "get",
            "pods",
            "--selector=app=rancher",
            "--field-selector=spec.nodeName=node4",
            "-o",
            "jsonpath={.items[*].metadata.name}",
        ]);

    test("joins and becomes an upstream, then leaves without a lost request and is clean", async () => {
        expect((await main.preview({ edit: withWorker })).output).not.toContain("not as configured");
        await main.succeeds("up", { edit: withWorker });
        expect(await upstreams()).toBe("2");
        await main.isInSync(withWorker);
        // The scheduler puts the pod in its place on the node without one.
        const [pod] = (await main.kubectl(["get", "pods", "--selector=app=rancher", "-o", "name"])).split("\n");
        await main.kubectl(["delete", pod]);
        await main.kubectl(["rollout", "status", "deployment/rancher"]);
        expect(await onWorker()).toMatch(/^rancher-/);
        expect(await lab.host("node4").sh("docker ps --quiet --filter label=io.kubernetes.pod.uid")).not.toBe("");

        const client = new Client(lab.host("lb1").address, "rancher.lab.internal", (await main.authorities())[1]);
        const answers: (number | string)[] = [];
        let over = false;
        const asking = (async () => {
            while (!over) {
                answers.push(await client.status("/ping").catch(String));
                await new Promise(resolve => setTimeout(resolve, 50));
            }
        })();
        const { output } = await main.succeeds("up", { edit: oneNode }).finally(() => (over = true));
        await asking;
        expect(output).toContain("evicting the pods of node node4");
        expect(answers.filter(answer => answer !== 200)).toEqual([]);
        expect(answers.length).toBeGreaterThan(100);
        expect(await upstreams()).toBe("1");
        await main.isClean("node4");
        await main.isInSync(oneNode);
    });

    test("leaves when another cluster has its host by now, and the host is left alone", async () => {
        await main.succeeds("up", { edit: withWorker });
        const node = lab.host("node4");
        const other = issue({ name: "kube-ca", ca: true }).certificate;
        // The kubelet of another cluster would not register here.
        await node.sh(`docker stop kubelet; cat >/etc/kubernetes/ssl/kube-ca.pem <<'END'\n${other.trim()}\nEND`);
        const onHost = () => node.sh("docker ps --all --format '{{.Names}}' | sort; find /etc/kubernetes -type f | sort");
        const before = await onHost();
        expect(before).toContain("kube-proxy");
        const { output } = await main.succeeds("up", { edit: oneNode });
        expect(output).toContain(
            `node node4 leaves this cluster. Its host ${node.address} belongs to another cluster by now, and is left alone`,
        );
        expect(await onHost()).toBe(before);
        expect(await main.kubectl(["get", "nodes", "-o", "name"])).toBe("node/node1\n");
        expect(await upstreams()).toBe("1");
        await main.isInSync(oneNode);
    });
});

test("a protected cluster is deleted neither by destroy nor for another in its place", async () => {
    const guarded: Edit = config => {
        oneNode(config);
        config.cluster.deletionProtection = true;
        config.rancher.deletionProtection = true;
    };
    const replaced: Edit = config => {
        delete config.cluster;
        const { address } = lab.host("node1");
        const kubeconfig = kubeconfigOf({ server: `https://${address}:6443` }, {});
        const existing = { kubeconfig, ingressAddresses: [address], apiEndpoint: `https://${address}:6443`, kubernetesVersion: "v1.30.14" };
        Object.assign(config, { existingCluster: existing });
    };
    await main.succeeds("up", { edit: guarded });
    for (const refused of [await main.destroyWithPreview({ edit: guarded }), await main.preview({ edit: replaced })]) {
        expect(refused.code).not.toBe(0);
        expect(refused.output).toMatch(/cannot be deleted\s+because it is protected/);
    }
    await main.isInSync(guarded);
    await main.succeeds("up", { edit: oneNode });
});

test("destroy names what it leaves on a node; again, it leaves every host clean", async () => {
    const node = lab.host("node1");
    await node.sh("docker create --name kube-stranger rancher/rke-tools:v0.1.114 true");
    // RKE does not remove the containers of pods.
    expect(await node.sh("docker ps --quiet --filter label=io.kubernetes.pod.uid")).not.toBe("");
    const refused: Finished = await main.destroy({ edit: oneNode });
    expect(refused.output).toMatch(
        /Left behind: \[RHA cluster-not-removed\]\s+- node1 .*: container kube-stranger\s+Remove these on the hosts/,
    );
    await node.sh("docker rm kube-stranger");
    await main.succeeds("destroy", { edit: oneNode });
    expect(await main.stack.resources()).toEqual([]);
    expect(await digestOf(lab.host("lb1"))).toBe(pristine);
    await main.isClean("node1");
});
