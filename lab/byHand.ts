import { mkdirSync, writeFileSync } from "fs";
import { join } from "path";
import { stringify } from "yaml";
import { issue } from "./certificates";
import { hostsOfTheStack } from "./inventory";
import { Lab } from "./lab";
import { manualConf } from "./manualConf";
import { longStep, run } from "./process";
import { Stack } from "./pulumi";

/** An installation of Rancher in a lab that was made by the commands of the manual, without a stack. */
export interface ByHand {
    hostname: string;
    /** Folder of the installation's files, as on the laptop of an operator. */
    folder: string;
    /** Shell file that makes pulumi, rke, kubectl, helm and ssh work in this lab. */
    environment: string;
    caCertificate: string;
    bootstrapPassword: string;
}

const hostname = "rancher.lab.internal";
const nodes = hostsOfTheStack.filter(name => name.startsWith("node"));

/** Returns the folder of an installation by hand. It exists as soon as the first step began. */
export const byHandFolder = (lab: Lab): string => join(lab.folder, "by-hand");

/** A bastion in front of an installation, with the key of its user. */
export interface Bastion {
    address: string;
    user: string;
    privateKey: string;
}

/** Builds an installation by hand on the running hosts of a lab. */
export async function buildByHand(lab: Lab, bastion?: Bastion): Promise<ByHand> {
    const folder = byHandFolder(lab);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const file = (name: string, text: string) => writeFileSync(join(folder, name), text, { mode: 0o600 });
    const ca = issue({ name: "CA of an installation by hand", ca: true });
    const server = issue({ name: hostname, by: ca, names: [`DNS:${hostname}`], usage: "serverAuth" });
    const bastionKey = join(folder, "bastion-key");
    if (bastion) file("bastion-key", bastion.privateKey);
    file("cluster.yml", clusterYml(lab, bastion && { address: bastion.address, user: bastion.user, ssh_key_path: bastionKey }));
    file("cacerts.pem", ca.certificate);
    const environment = join(folder, "environment.sh");
    writeFileSync(environment, [...(await shellEnvironment(lab, folder)), ...sshFunctions(lab, bastion, bastionKey), ""].join("\n"));
    const sh = (script: string) => run("bash", ["-c", `. ./environment.sh; set -eux; ${script}`], { cwd: folder, timeoutSeconds: 900 });
    const steps: [part: string, doing: string, seconds: number, work: () => Promise<unknown>][] = [
        ["lb1", "installing NGINX with the manual's nginx.conf", 30, () => installNginx(lab, server.certificate, server.privateKey)],
        // RKE gives a service 60 s to become healthy. On a busy machine it needs longer, and whoever follows the manual runs RKE again.
        ["nodes", "rke up", 90, () => sh("rke up --config cluster.yml || rke up --config cluster.yml")],
        [
            "Rancher",
            "creating namespace and Secret, helm install",
            30,
            () => sh(`sh ${join(__dirname, "byHand.sh")} ${join(__dirname, "rancher", "chart")} ${hostname}`),
        ],
    ];
    for (const [part, doing, seconds, work] of steps) await longStep(part, doing, seconds, work);
    // Without a password among the values, Rancher makes one at its first start.
    const secret = "kubectl -n cattle-system get secret bootstrap-secret --output jsonpath={.data.bootstrapPassword}";
    const { stdout } = await sh(secret);
    const bootstrapPassword = Buffer.from(stdout, "base64").toString();
    return { hostname, folder, environment, caCertificate: ca.certificate, bootstrapPassword };
}

/** Returns the cluster.yml of the manual. Without the option of the ingress controller, Rancher would redirect for ever. */
function clusterYml(lab: Lab, bastion_host?: object): string {
    return stringify({
        ...(bastion_host && { bastion_host }),
        nodes: nodes.map(name => ({
            address: lab.host(name).address,
            hostname_override: name,
            user: "rke",
            role: ["controlplane", "worker", "etcd"],
            ssh_key_path: lab.privateKeyFile,
        })),
        kubernetes_version: "v1.30.14-rancher1-1",
        ingress: { provider: "nginx", options: { "use-forwarded-headers": "true" } },
    });
}

async function installNginx(lab: Lab, certificate: string, privateKey: string): Promise<void> {
    const host = lab.host("lb1");
    await host.sh(
        "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install nginx; mkdir -p /certs",
    );
    await host.write("/certs/fullchain.pem", certificate);
    await host.write("/certs/privkey.pem", privateKey, "600");
    const servers = nodes.map(name => `${lab.host(name).address}:80`);
    await host.write("/etc/nginx/nginx.conf", manualConf({ openFiles: 16_384, servers, hostname, certificates: "/certs/" }));
    await host.sh("nginx -t && systemctl restart nginx");
}

/** Returns lines of shell text with the lab's tools and Pulumi state. */
async function shellEnvironment(lab: Lab, folder: string): Promise<string[]> {
    const tools = await lab.tools();
    const { PATH, ...state } = new Stack(lab).variables();
    const variables = { ...state, KUBECONFIG: join(folder, "kube_config_cluster.yml") };
    return [
        ...Object.entries(variables).map(([name, value]) => `export ${name}='${value}'`),
        `export PATH='${[PATH, tools].filter(Boolean).join(":")}':"$PATH"`,
    ];
}

/** Returns shell functions in the place of OpenSSH's programs, with the lab's key, and through the bastion if there is one. */
function sshFunctions(lab: Lab, bastion: Bastion | undefined, bastionKey: string): string[] {
    const ssh = (key: string) => `ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile=${lab.knownHostsFile} -i ${key}`;
    if (!bastion) return [`ssh() { command ${ssh(lab.privateKeyFile)} "$@"; }`];
    const { address, user } = bastion;
    const proxy = `-o ProxyCommand="${ssh(bastionKey)} -W [%h]:%p ${user}@${address}"`;
    return [
        `ssh() { command ${ssh(lab.privateKeyFile)} ${proxy} "$@"; }`,
        `ssh-keyscan() { command ${ssh(lab.privateKeyFile)} root@${address} ssh-keyscan "$@" ${address}; }`,
    ];
}
