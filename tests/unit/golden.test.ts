import { spawnSync } from "child_process";
import { join } from "path";
import { stringify } from "yaml";
import { clusterYml } from "../../components/cluster/rke/clusterYml";
import { rkeClusterSchema } from "../../components/cluster/rke/schema";
import { vrrpOf } from "../../components/loadBalancer/program";
import { releaseFor } from "../../components/loadBalancer/release";
import { nginxSettingsSchema } from "../../components/loadBalancer/schema";
import { helmValues } from "../../components/rancher/helmValues";
import { expectCommitted } from "../committed";
import { finished } from "../nginx";
import { pageText, sectionOf } from "../pages";
import { hostKey, sshKey } from "../ssh";

// The golden files show a reviewer how a change of a renderer changes whole files.
const golden = (name: string, text: string) => expectCommitted(join(__dirname, "golden", name), text);

const hosts = ["192.0.2.21", "192.0.2.22"].map(address => ({ address, privateKey: sshKey, hostKey }));
const upstreams = ["192.0.2.31", "192.0.2.32", "192.0.2.33"];
const certificateOnHost = { certificateChain: "/etc/ssl/rancher/fullchain.pem", privateKey: "/etc/ssl/rancher/privkey.pem" };
const loadBalancer = { hosts: hosts.slice(0, 1), hostname: "rancher.example.com", upstreams, certificateOnHost };

describe("files of a load balancer host", () => {
    const nginxConf = (version: string, changes: object = {}) => {
        const settings = nginxSettingsSchema.parse({ ...loadBalancer, ...changes });
        return finished(releaseFor(settings).files["nginx.conf"], { version });
    };

    test("nginx.conf for the NGINX of Debian 12", () => golden("nginx-1.22.1.conf", nginxConf("1.22.1")));

    test("the preview on docs/reading-a-preview.md shows this nginx.conf", () => {
        const preview = sectionOf(pageText("docs/reading-a-preview.md"), "Harmless")
            .split(/~ nginx\.conf +:/)[1]
            .split("~ stdin")[0];
        const lines = preview.split("\n").map(line => line.trim());
        const shown = (sign: string) => lines.filter(line => line.startsWith(`${sign} `)).map(line => line.slice(1).trim());
        const kept = lines.filter(line => !/^([-+] .*|\.\.\.|…|\}?)$/.test(line));
        expect([kept.length, shown("-").length, shown("+").length]).toEqual([7, 3, 3]);
        const text = nginxConf("1.22.1").replaceAll(/return 200 "\w{12} /g, 'return 200 "297177f5dbd1 ');
        const known = text.split("\n").map(line => line.trim());
        expect([...kept, ...shown("-")].filter(line => !known.includes(line))).toEqual([]);
    });

    test("nginx.conf for a newer NGINX", () => golden("nginx-1.30.6.conf", nginxConf("1.30.6")));

    test("nginx.conf with every argument set", () =>
        golden(
            "nginx-tuned.conf",
            nginxConf("1.30.6", {
                upstreamPort: 8080,
                readTimeoutSeconds: 3600,
                kubernetesApi: true,
                controlPlane: upstreams,
                trustedProxies: ["198.51.100.0/24"],
                extraDirectives: { http: "limit_req_zone $binary_remote_addr zone=login:1m rate=1r/s;", location: "limit_req zone=login;" },
            }),
        ));

    test("everything that the first host of a pair is given", () => {
        const settings = nginxSettingsSchema.parse({ ...loadBalancer, hosts, virtualIp: { address: "192.0.2.20" } });
        const files = Object.entries(releaseFor(settings, vrrpOf(settings, 0, 51)).files).filter(([name]) => name !== "nginx.conf");
        for (const [name, text] of files) golden(join("pair", name), text);
        for (const [, text] of files.filter(([, each]) => each.startsWith("#!"))) {
            const { stdout, error } = spawnSync("shellcheck", ["--exclude=SC3043", "-"], { input: text, encoding: "utf8" });
            expect([error, stdout]).toEqual([undefined, ""]);
        }
    });
});

test("cluster.yml of three nodes", () => {
    const node = (address: string, index: number) => ({
        address,
        hostname: `node${index + 1}`,
        user: "rke",
        hostKey,
        roles: ["controlplane", "etcd", "worker"],
    });
    const cluster = {
        kubernetesVersion: "v1.30.14-rancher1-1",
        ssh: { privateKey: sshKey },
        nodes: upstreams.map(node),
    };
    golden("cluster.yml", clusterYml(rkeClusterSchema.parse(cluster)));
});

test("Helm values with a private CA", () => {
    const input = {
        hostname: loadBalancer.hostname,
        replicas: 3,
        caChecksum: "ab".repeat(32),
        noProxy: ["192.0.2.31"],
        values: {},
        additionalValues: {},
    };
    golden("helm-values.yaml", stringify(helmValues(input)));
});
