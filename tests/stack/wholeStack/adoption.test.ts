import { ChildProcess, execFileSync, spawn } from "child_process";
import { once } from "events";
import { mkdtempSync, readFileSync, rmSync } from "fs";
import { createServer } from "http";
import { AddressInfo } from "net";
import { join } from "path";
import { connect } from "tls";
import WebSocket from "ws";
import { clusterTargets } from "../../../adopt/importFile";
import { caChecksum } from "../../../components/certificates/pem";
import { buildByHand, ByHand } from "../../../lab/byHand";
import { hostsOfTheStack, repository } from "../../../lab/inventory";
import { run, until } from "../../../lab/process";
import { Traffic } from "../../../lab/traffic";
import { blocksOf, pageText, sectionOf } from "../../pages";
import { bastionAt, disposable, loginsOf, refuseDirectSsh, testLab } from "../fixtures";
import { RancherClient } from "../rancherClient";

// These tests adopt an installation that was made by hand, under load, with the commands of docs/coming-from-the-manual.md. Its hosts accept
// SSH from a bastion alone.
jest.setTimeout(20 * 60_000);

const lab = disposable(testLab());
const traffic = new Traffic(lab);
const stackName = `by-hand-${lab.name}`;
const written = [`Pulumi.${stackName}.yaml`, `import-${stackName}.json`].map(file => join(repository, file));
const [tunnels, agents, requests, requestsPerSecond] = [50, 3, 20_000, 80];

let bastion: Awaited<ReturnType<typeof bastionAt>>;
let installation: ByHand;
let tools: string;
/** The whole output of the commands. It is searched for secrets. */
const said: string[] = [];

beforeAll(async () => {
    written.forEach(file => rmSync(file, { force: true }));
    tools = await lab.tools();
    await lab.start(...hostsOfTheStack, "client", "lb4");
    await traffic.install(tools, ["client"]);
    bastion = await bastionAt(lab.host("lb4"));
    await Promise.all(hostsOfTheStack.map(name => refuseDirectSsh(lab.host(name))));
    installation = await buildByHand(lab, bastion);
});
afterAll(() => written.forEach(file => rmSync(file, { force: true })));

const page = pageText("docs/coming-from-the-manual.md");

/** Returns the shell blocks of a section of the page, with the addresses, files and names of the lab. */
function commandsOf(heading: number | string): string[] {
    const values: [RegExp, string][] = [
        [/192\.0\.2\.(\d+)/g, lab.addressAt(0).replace(/0$/, "$1")],
        [/\.\.\/rancher\//g, `${installation.folder}/`],
        [/~\/\.ssh\/rancher_ed25519/g, lab.privateKeyFile],
        [/~\/before-pulumi/g, `${installation.folder}-before-pulumi`],
        [/\bproduction\b/g, stackName],
        [/\bpulumi (up|destroy|stack rm)\b/g, "pulumi $1 --yes"],
    ];
    const blocks = blocksOf(sectionOf(page, String(heading)), "sh");
    return blocks.map(text => values.reduce((block, [from, to]) => block.replace(from, to), text));
}

/** Runs shell text in the environment of the lab, and expects success. */
async function sh(script: string, cwd = repository): Promise<string> {
    const { code, stdout, stderr } = await run("bash", ["-c", `. ${installation.environment}; set -euo pipefail; ${script}`], {
        cwd,
        tolerate: true,
    });
    said.push(stdout, stderr);
    if (code !== 0) throw new Error(`${script}\nended with ${code}:\n${(stdout + stderr).slice(-5000)}`);
    return stdout;
}

/** Returns an answer of kubectl as an object. */
const kubectl = async (...args: string[]) =>
    JSON.parse(
        execFileSync(join(tools, "kubectl"), [
            `--kubeconfig=${installation.folder}/kube_config_cluster.yml`,
            ...args,
            "-o",
            "json",
        ]).toString(),
    );

/** Returns the facts that an adoption must not change. */
async function identity(): Promise<Record<string, unknown>> {
    const pods = (await kubectl("get", "pods", "--all-namespaces")).items
        .filter(({ metadata }: any) => metadata.ownerReferences?.[0].kind !== "Job")
        .map(({ metadata, status }: any) => [
            metadata.namespace,
            metadata.name,
            metadata.uid,
            status.containerStatuses?.map((each: any) => each.restartCount),
        ]);
    const socket = connect({ host: lab.host("lb1").address, port: 443, servername: installation.hostname, rejectUnauthorized: false });
    await once(socket, "secureConnect");
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.destroy();
    const authority = await kubectl("--namespace=kube-system", "get", "configmap", "kube-root-ca.crt");
    const secret = await kubectl("--namespace=cattle-system", "get", "secret", "tls-ca");
    return { pods: pods.sort(), certificate: fingerprint256, cluster: authority.data["ca.crt"], rancher: secret.data["cacerts.pem"] };
}

interface Load {
    requests: number;
    failed: number;
    reasons: Record<string, number>;
    tunnelsOpened: number;
    tunnelsLost: number;
    agentsLost: number;
    /** Messages that came through the tunnels, and requests that were answered through the agents. */
    carried: number;
}

/** Does some work while users and agents work with Rancher, and counts their losses. */
async function underLoad(work: () => Promise<void>): Promise<Load> {
    const { address } = lab.host("lb1");
    const rancher = new RancherClient(installation.hostname, address, installation.caCertificate);
    const token = await rancher.login(installation.bootstrapPassword);
    const load: Load = { requests: 0, failed: 0, reasons: {}, tunnelsOpened: 0, tunnelsLost: 0, agentsLost: 0, carried: 0 };
    let isOver = false;
    const sockets = await openTunnels(address, token, load, () => isOver);
    const behind = await startAgents(rancher, address, token, load, () => isOver);
    const working = work().finally(() => (isOver = true));
    working.catch(() => undefined);
    const count = (reason: string, times = 1) => (load.reasons[reason] = (load.reasons[reason] ?? 0) + times);
    const asking = (async () => {
        while (!isOver) {
            for (const path of behind.paths) {
                const ask = () => rancher.ask("GET", path, { token }).then(({ status, body }) => `${status} ${body}`, String);
                let answer = await ask();
                // Once a minute an agent lists its connections, and Rancher ends those that it does not find there. A connection that
                // opens at that moment is one of them, also without a load balancer (compareAndCloseStaleConnections of remotedialer).
                if (answer.includes("sync from client")) answer = await ask();
                if (answer.startsWith("200 ")) load.carried++;
                else count(`through an agent: ${answer}`);
            }
            await new Promise(resolve => setTimeout(resolve, 1000));
        }
    })();
    do {
        const flags = `--address ${address}:443 --host ${installation.hostname} --protocol new --path '/ping?load=1' --timeout 30s`;
        const sent = await traffic.run(`requests ${flags} --rate ${requestsPerSecond} --seconds 10`);
        load.requests += sent.requests;
        load.failed += sent.failedGet;
        for (const [reason, times] of Object.entries<number>(sent.reasons)) count(reason, times);
    } while (!isOver || load.requests < requests);
    await asking;
    sockets.forEach(socket => socket.terminate());
    behind.stop();
    await working;
    return load;
}

/** Opens WebSockets on which Rancher sends a message every 5 s. */
async function openTunnels(address: string, token: string, load: Load, isOver: () => boolean): Promise<WebSocket[]> {
    const sockets = Array.from(
        { length: tunnels },
        () =>
            new WebSocket(`wss://${installation.hostname}/v1/subscribe`, {
                ca: installation.caCertificate,
                headers: { authorization: `Bearer ${token}` },
                lookup: (_name, _options, found) => found(null, [{ address, family: 4 }] as never),
            }),
    );
    for (const socket of sockets)
        socket
            .on("open", () => load.tunnelsOpened++)
            .on("message", () => load.carried++)
            .on("error", () => undefined)
            .on("close", () => !isOver() && load.tunnelsLost++);
    await until("the tunnels to be open", 60, async () => load.tunnelsOpened === tunnels);
    return sockets;
}

/** Starts agents of downstream clusters, and returns the paths under which Rancher sends requests through their tunnels. */
async function startAgents(
    rancher: RancherClient,
    address: string,
    token: string,
    load: Load,
    isOver: () => boolean,
): Promise<{ paths: string[]; stop: () => void }> {
    const registration = await rancher.registrationToken(token);
    const server = createServer((_request, response) => response.end("behind an agent")).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const env = { ...process.env, CATTLE_CA_CHECKSUM: caChecksum(installation.caCertificate) };
    const ids = Array.from({ length: agents }, (_none, index) => `agent-${index}`);
    const processes = ids.map((id): ChildProcess => {
        const flags = ["--server", `https://${installation.hostname}`, "--resolve", `${installation.hostname}:443:${address}`, "--id", id];
        const agent = spawn(join(tools, "node-workloads"), ["agent", ...flags], { env, stdio: ["pipe", "pipe", "ignore"] });
        agent.stdin!.end(registration);
        agent.stdout!.on("data", text => !isOver() && String(text).includes("disconnected") && load.agentsLost++);
        agent.on("exit", () => !isOver() && load.agentsLost++);
        return agent;
    });
    const paths = ids.map(id => `/lab/tunnel/${id}/http/127.0.0.1:${port}/`);
    await until("the agents to be known to every replica", 90, async () => {
        const answers = await Promise.all([...paths, ...paths, ...paths].map(path => rancher.ask("GET", path, { token })));
        return answers.every(({ status }) => status === 200);
    });
    return { paths, stop: () => (processes.forEach(agent => agent.kill()), server.close()) };
}

test.each([
    ["the cluster, by the kubeconfig", 1],
    ["a control plane node, over SSH", 2],
])("a lost cluster.rkestate is found in %s", async (_where, block) => {
    const folder = mkdtempSync(join(lab.folder, "lost-"));
    await sh(commandsOf(1)[block], folder);
    const [found, original] = [folder, installation.folder].map(each => JSON.parse(readFileSync(join(each, "cluster.rkestate"), "utf8")));
    expect(found.desiredState.certificatesBundle["kube-ca"]).toEqual(original.desiredState.certificatesBundle["kube-ca"]);
});

test("an installation by hand is adopted under load, without a loss or a restart", async () => {
    const before = await identity();
    const load = await underLoad(async () => {
        await sh(commandsOf(1)[0], installation.folder);
        for (const block of commandsOf(2)) await sh(block, installation.folder);
        // The third block is for a bootstrap password, which the manual does not set.
        const [adopt, , , preview] = commandsOf(3);
        const printed = await sh(adopt);
        for (const pattern of clusterTargets({ hasCaSecret: true })) {
            expect(printed).toContain(`--target '${pattern}'`);
            expect(commandsOf(4)[0]).toContain(`--target '${pattern}'`);
        }
        // No chart repository can be reached in the lab.
        await sh(`pulumi stack init ${stackName}; pulumi config set --path rancher.chartPath lab/rancher/chart`);
        const advice = "is another key than \\S+\\. Give ssh\\.bastion a privateKey of its own, as a secret";
        expect(printed).toMatch(new RegExp(`bastion_host\\.ssh_key_path: ${advice}`));
        await sh(`pulumi config set --secret --path ssh.bastion.privateKey <${installation.folder}/bastion-key`);
        await sh(preview);
        for (const step of [4, 5, 6]) for (const block of commandsOf(step)) await sh(block);
    });
    const { carried, requests: sent, ...losses } = load;
    expect(losses).toEqual({ failed: 0, reasons: {}, tunnelsOpened: tunnels, tunnelsLost: 0, agentsLost: 0 });
    expect(sent).toBeGreaterThanOrEqual(requests);
    expect(carried).toBeGreaterThan(tunnels);
    expect(await identity()).toEqual(before);
    const releases = await kubectl("--namespace=cattle-system", "get", "secrets", "--selector=owner=helm,name=rancher");
    expect(releases.items.map(({ metadata }: any) => metadata.labels.version).sort()).toEqual(["1", "2"]);
});

test("no command has printed a secret of the installation", async () => {
    const state = JSON.parse(readFileSync(join(installation.folder, "cluster.rkestate"), "utf8"));
    const keys = [
        await lab.host("lb1").sh("cat /certs/privkey.pem"),
        readFileSync(lab.privateKeyFile, "utf8"),
        bastion.privateKey,
        ...["kube-ca", "kube-admin"].map(name => state.desiredState.certificatesBundle[name].keyPEM),
    ];
    for (const secret of [installation.bootstrapPassword, ...keys.map(key => key.split("\n")[1])])
        expect(said.some(text => text.includes(secret))).toBe(false);
    expect(said.join("")).not.toContain("PRIVATE KEY-----");
});

test("the way back to the manual's NGINX and cluster.yml keeps CA, certificate, pods", async () => {
    const before = await identity();
    const manual = readFileSync(join(installation.folder, "nginx.conf"), "utf8");
    const [restoreNginx, fetchState, forget, runRke, disown] = commandsOf("Going back");
    await sh(restoreNginx);
    const state = join(installation.folder, "cluster.rkestate");
    const kept = readFileSync(state, "utf8");
    await expect(sh(`kubectl() { return 1; }; set +o pipefail; ${fetchState}`, installation.folder)).rejects.toThrow("ended with");
    expect(readFileSync(state, "utf8")).toBe(kept);
    await sh(fetchState, installation.folder);
    expect(readFileSync(state, "utf8")).not.toBe(kept);
    await sh(forget);
    for (const block of [runRke, disown]) await sh(block, installation.folder);
    const { address } = lab.host("lb1");
    expect(manual).toContain(await lab.host("lb1").sh("cat /etc/nginx/nginx.conf"));
    const rancher = new RancherClient(installation.hostname, address, installation.caCertificate);
    await rancher.login(installation.bootstrapPassword);
    expect(await identity()).toEqual(before);
    expect((await kubectl("get", "namespace", "cattle-system")).metadata.annotations).not.toHaveProperty("pulumi-rancher-ha/owner");
});

test("SSH came from the bastion alone: RKE by hand, Pulumi, probes and the way back", async () => {
    for (const name of hostsOfTheStack) {
        const user = name.startsWith("node") ? "rke" : "root";
        expect(await loginsOf(lab.host(name))).toEqual([`Accepted publickey for ${user} from ${bastion.address}`]);
    }
});
