import { readFileSync } from "fs";
import { join } from "path";
import { moduleFolder } from "../../lab/tools";
import { repository } from "../../lab/inventory";
import { expectCommitted } from "../committed";

/** The oldest Kubernetes minor on which a Rancher of the compatibility table works. */
const oldestMinor = 27;

interface RkeData {
    K8sVersionRKESystemImages: Record<string, { kubernetes: string }>;
    K8sVersionDockerInfo: Record<string, string[]>;
}

const minor = (version: string) => Number(version.split(".")[1]);
const byNumber = (a: string, b: string) => a.localeCompare(b, "en", { numeric: true });
const listed = (values: string[], indent: string) => values.map(value => `${indent}    "${value}",\n`).join("");

function rendered(rkeVersion: string, { K8sVersionRKESystemImages: images, K8sVersionDockerInfo: docker }: RkeData): string {
    const versions = Object.keys(images).filter(version => minor(version) >= oldestMinor);
    const isPublic = (version: string) => images[version].kubernetes.startsWith("rancher/");
    const list = (name: string, doc: string, values: string[]) =>
        `/** ${doc} */\nexport const ${name} = [\n${listed(values.sort(byNumber), "")}];\n`;
    const accepted = Object.keys(docker)
        .filter(version => minor(version) >= oldestMinor)
        .sort(byNumber)
        .map(
            version =>
                `    "${version}": [\n${listed(docker[version].map(each => each.replace(/\.x$/, "")).sort(byNumber), "    ")}    ],\n`,
        );
    return [
        `// Written by tests/unit/rkeVersions.test.ts from data/data.json of github.com/rancher/rke v${rkeVersion}, which RKE embeds.\n`,
        `/** The RKE release that this data belongs to. */\nexport const rkeVersion = "${rkeVersion}";\n`,
        list("communityKubernetes", "Kubernetes versions whose image is public (`rancher/hyperkube`).", versions.filter(isPublic)),
        list(
            "subscriptionKubernetes",
            "Kubernetes versions whose image needs a subscription (`rke-extended-life/hyperkube`).",
            versions.filter(version => !isPublic(version)),
        ),
        `/** Docker versions (major.minor) that RKE accepts for a Kubernetes minor. */\n` +
            `export const docker: Record<string, string[]> = {\n${accepted.join("")}};\n`,
    ].join("\n");
}

test("the versions are those of RKE's own data", async () => {
    const folder = await moduleFolder("rke", "github.com/rancher/rke");
    const [, version] = /@v([\d.]+)$/.exec(folder)!;
    const data = JSON.parse(readFileSync(join(folder, "data/data.json"), "utf8"));
    expectCommitted(join(repository, "components/cluster/rke/rkeVersions.ts"), rendered(version, data));
});
