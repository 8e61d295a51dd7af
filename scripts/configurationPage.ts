import { readdirSync, readFileSync, writeFileSync } from "fs";
import { join } from "path";
import ts from "typescript";
import { communityKubernetes, rkeVersion, subscriptionKubernetes } from "../components/cluster/rke/rkeVersions";
import { minorOf } from "../components/versions";

/** Writes docs/configuration.md. The docstrings of the arguments are the only source of its tables. */

const repository = join(__dirname, "..");
export const configurationPage = join(repository, "docs", "configuration.md");

const introduction = `# Configuration

<!-- Written by \`npm run docs\` from the docstrings of the arguments. -->

This page is for whoever writes \`Pulumi.<stack>.yaml\`. Every key is below \`config\` with the prefix \`pulumi-rancher-ha:\`. Whole examples:
[examples](../examples/README.md). A wrong key or value is refused before anything is changed. One error
names all of them.

Where only \`npx pulumi\` is installed, run this once in each shell: \`alias pulumi='npx pulumi'\`.

Keys, passwords and the kubeconfig are secrets, whether you encrypt them or not. Set them on standard input:

\`\`\`sh
pulumi config set --secret --path ssh.privateKey < ~/.ssh/rancher_ed25519
\`\`\`

[pulumi-config.schema.json](pulumi-config.schema.json) is a JSON Schema of these files. With it, editors that
run the YAML language server complete keys, show their meaning and mark mistakes. One example is VS Code with its YAML extension. Begin the file
with this line:

\`\`\`yaml
# yaml-language-server: $schema=docs/pulumi-config.schema.json
\`\`\`

When you encrypt any value below \`rancher\`, \`loadBalancer\` or \`cluster\`, the free-form keys of that group count as secrets too: \`values\`,
\`additionalValues\`, \`repository\`, \`proxy\`, \`extraDirectives\`, \`extraConfig\`, \`extraEnv\`, \`ingressOptions\`. Previews hide how they change.
`;

const singleExample = `pulumi-rancher-ha:hostname: rancher.example.com
pulumi-rancher-ha:liveCheck: fail`;

/** An example for each group, below `config`. */
export const examples: Record<string, string> = {
    ssh: `pulumi-rancher-ha:ssh:
    privateKeyFile: /home/deploy/.ssh/rancher_ed25519`,
    loadBalancer: `pulumi-rancher-ha:loadBalancer:
    hosts:
        - address: 192.0.2.21
          hostKey: ssh-ed25519 AAAA…
        - address: 192.0.2.22
          hostKey: ssh-ed25519 AAAA…
    virtualIp:
        address: 192.0.2.20`,
    cluster: `pulumi-rancher-ha:cluster:
    kubernetesVersion: v1.30.14-rancher1-1
    nodes:
        - address: 192.0.2.31
          hostname: rancher-node1
          user: rke
          hostKey: ssh-ed25519 AAAA…
          roles: [controlplane, etcd, worker]
        # … and two more`,
    existingCluster: `# The kubeconfig: pulumi config set --secret --path existingCluster.kubeconfig < rke2.yaml
pulumi-rancher-ha:existingCluster:
    ingressAddresses: [192.0.2.31, 192.0.2.32, 192.0.2.33]
    apiEndpoint: https://192.0.2.31:6443
    kubernetesVersion: v1.31.4`,
    verification: `pulumi-rancher-ha:verification:
    timeoutSeconds: 900`,
    certificate: `# The key: pulumi config set --secret --path certificate.privateKey < rancher.example.com.key
pulumi-rancher-ha:certificate:
    certificateChain: |
        -----BEGIN CERTIFICATE-----
        (of rancher.example.com, then its intermediates)
        -----END CERTIFICATE-----`,
    certificateOnHost: `pulumi-rancher-ha:certificateOnHost:
    certificateChain: /etc/letsencrypt/live/rancher.example.com/fullchain.pem
    privateKey: /etc/letsencrypt/live/rancher.example.com/privkey.pem`,
    privateCa: `pulumi-rancher-ha:privateCa:
    commonName: Example Rancher CA
    dnsNames: [rancher.internal.example.com]`,
    rancher: `pulumi-rancher-ha:rancher:
    chartVersion: 2.11.3
    values:
        auditLog: { level: 1 }
    # The keys: pulumi config set --secret --path rancher.backup.encryptionKey < key; the same for backup.s3.accessKey and secretKey
    backup:
        chartVersion: 106.0.2+up7.0.2
        s3: { endpoint: s3.example.com, bucket: rancher-backups }`,
    "rancher.values": `pulumi-rancher-ha:rancher:
    chartVersion: 2.11.3
    values:
        resources:
            requests: { cpu: "1", memory: 2Gi }
        extraTolerations:
            - { key: dedicated, operator: Exists }`,
};

export interface ConfigKey {
    /** For example `cluster.nodes[].hostname`. */
    path: string;
    required: boolean;
    /** Text of the tag `@default`: a YAML literal, words, or nothing. */
    fallback: string;
    meaning: string;
}

/** Interfaces of arguments, with the interface that the configuration has in its place. */
const replaced: Record<string, string> = { SshArgs: "SshConfig", RkeClusterSettingsArgs: "RkeClusterConfig" };

/** Group with a section of its own, because its keys are as many as those of the group above it. */
const chartValues = "rancher.values";

/** Lists every key of the configuration, in the order of declaration. */
export function configKeys(): ConfigKey[] {
    const { interfaces, choices } = declarations();

    const membersOf = (name: string): ts.PropertySignature[] => {
        const declaration = interfaces.get(name)!;
        const bases = (declaration.heritageClauses ?? []).flatMap(({ types }) => types);
        const inherited = bases.flatMap(type => membersOf(type.expression.getText()));
        const own = declaration.members.filter(ts.isPropertySignature);
        const isReplaced = (member: ts.PropertySignature) => own.some(({ name }) => name.getText() === member.name.getText());
        return [...inherited.filter(member => !isReplaced(member)), ...own];
    };
    const keysOf = (name: string, prefix: string): ConfigKey[] =>
        membersOf(name).flatMap(member => {
            const path = prefix + member.name.getText();
            const { type, list } = unwrapped(member.type!);
            const below = interfaces.has(type) ? keysOf(replaced[type] ?? type, `${path}${list ? "[]" : ""}.`) : [];
            const isSaid = choices.get(type)?.every(value => docOf(member).includes(value));
            const allowed =
                choices.has(type) && !isSaid
                    ? `${list ? "Any" : "One"} of ${choices
                          .get(type)!
                          .map(value => `\`${value}\``)
                          .join(", ")}.`
                    : "";
            const meaning = [docOf(member), allowed].filter(Boolean).join(" ");
            return [{ path, required: !member.questionToken, fallback: tagOf(member, "default"), meaning }, ...below];
        });

    return keysOf("RancherHaArgs", "");
}

/** Renders the page: the single keys first, then a section with an example for each group. */
export function renderedPage(): string {
    const keys = configKeys();
    const hasSection = ({ path }: ConfigKey) => !path.includes(".") || path === chartValues;
    const sectionOf = ({ path }: ConfigKey) => (path.startsWith(`${chartValues}.`) ? chartValues : path.split(".")[0]);
    const below = (group: ConfigKey) => keys.filter(key => key.path !== group.path && sectionOf(key) === group.path);
    const single = keys.filter(key => hasSection(key) && below(key).length === 0);
    const groups = keys.filter(key => hasSection(key) && below(key).length > 0);
    const further: Record<string, string> = { cluster: kubernetesVersions() };
    const sections = groups.map(
        group =>
            `## ${group.path}\n\n${group.meaning}${group.required ? " Required." : ""}${group.fallback && ` Default: ${shown(group.fallback)}.`}\n\n\`\`\`yaml\n${examples[group.path]}\n\`\`\`\n\n${table(below(group))}${further[group.path] ?? ""}`,
    );
    return [introduction, `## Single keys\n\n\`\`\`yaml\n${singleExample}\n\`\`\`\n\n${table(single)}`, ...sections].join("\n");
}

/** Renders the Kubernetes versions of RKE, those of a minor version in a row. */
function kubernetesVersions(): string {
    const rowsOf = (image: string, versions: string[]) =>
        [...new Set(versions.map(minorOf))].map(minor => {
            const row = versions.filter(version => minorOf(version) === minor).map(version => `\`${version}\``);
            return `| ${minor} | ${image} | ${row.join(", ")} |\n`;
        });
    return [
        `\n### Kubernetes versions of RKE ${rkeVersion}\n\n| Kubernetes | image | kubernetesVersion |\n| --- | --- | --- |\n`,
        ...rowsOf("public", communityKubernetes),
        ...rowsOf("with a subscription", subscriptionKubernetes),
    ].join("");
}

function table(keys: ConfigKey[]): string {
    const rows = keys.map(
        ({ path, required, fallback, meaning }) =>
            `| \`${path}\` | ${required ? "yes" : ""} | ${shown(fallback)} | ${meaning.replace(/\|/g, "\\|")}${path === chartValues ? ` Keys: [${path}](#ranchervalues).` : ""} |\n`,
    );
    return ["| key | required | default | meaning |\n", "| --- | --- | --- | --- |\n", ...rows].join("");
}

/** Renders a literal as code, and words as they are. */
const shown = (fallback: string) => (/^([^\s`]+|"[^"]*")$/.test(fallback) ? `\`${fallback}\`` : fallback);

/** Returns the interfaces and the named sets of values of all sources, by name. */
function declarations() {
    const interfaces = new Map<string, ts.InterfaceDeclaration>();
    const choices = new Map<string, string[]>();
    const components = readdirSync(join(repository, "components"), { recursive: true, encoding: "utf8" });
    const sources = ["configFiles.ts", ...components.map(file => join("components", file))];
    for (const file of sources.filter(name => name.endsWith(".ts"))) {
        const source = ts.createSourceFile(file, readFileSync(join(repository, file), "utf8"), ts.ScriptTarget.ES2022, true);
        for (const statement of source.statements) {
            if (ts.isInterfaceDeclaration(statement)) interfaces.set(statement.name.text, statement);
            if (!ts.isVariableStatement(statement)) continue;
            for (const { name, initializer } of statement.declarationList.declarations) {
                if (!initializer || !ts.isAsExpression(initializer) || !ts.isObjectLiteralExpression(initializer.expression)) continue;
                const values = initializer.expression.properties.filter(ts.isPropertyAssignment).map(property => property.initializer);
                if (values.every(ts.isStringLiteral))
                    choices.set(
                        name.getText(),
                        values.map(value => (value as ts.StringLiteral).text),
                    );
            }
        }
    }
    return { interfaces, choices };
}

/** Returns the type inside `Input<…>` and `…[]`. */
function unwrapped(type: ts.TypeNode): { type: string; list: boolean } {
    if (ts.isArrayTypeNode(type)) return { ...unwrapped(type.elementType), list: true };
    if (ts.isTypeReferenceNode(type) && type.typeName.getText() === "pulumi.Input") return unwrapped(type.typeArguments![0]);
    return { type: type.getText(), list: false };
}

function docOf(node: ts.Node): string {
    const docs = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc);
    return docs
        .map(doc => ts.getTextOfJSDocComment(doc.comment) ?? "")
        .join(" ")
        .replace(/\s+/g, " ")
        .trim();
}

function tagOf(node: ts.Node, name: string): string {
    const tag = ts.getJSDocTags(node).find(({ tagName }) => tagName.text === name);
    return ts.getTextOfJSDocComment(tag?.comment)?.replace(/\s+/g, " ").trim() ?? "";
}

if (require.main === module) writeFileSync(configurationPage, renderedPage());
