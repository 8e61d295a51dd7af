import { readdirSync, readFileSync, writeFileSync } from "fs";
import { join } from "path";
import ts from "typescript";

/** Writes the table of configuration keys into README.md: the docstrings of the arguments are its only source. */

const repository = join(__dirname, "..");
const readme = join(repository, "README.md");
const markers = ["<!-- config table: npm run docs -->", "<!-- end of config table -->"];

export interface ConfigKey {
    /** For example `cluster.nodes[].hostname`. */
    path: string;
    required: boolean;
    meaning: string;
}

/** Where configuration is not the argument itself: interfaces it has instead. */
const replaced: Record<string, string> = { HostConnectionArgs: "LoadBalancerHostConfig" };

/** Arguments that configuration fills itself. */
const filled = new Set(["cluster.sshPrivateKey"]);

/** Interfaces that are not unfolded. */
const folded: Record<string, string> = {
    RancherChartValuesArgs: "Keys: [components/rancher/chartValues.ts](components/rancher/chartValues.ts).",
};

/** Every key of the configuration, in the order in which it is declared. */
export function configKeys(): ConfigKey[] {
    const { interfaces, choices } = declarations();

    const membersOf = (name: string): ts.PropertySignature[] => {
        const declaration = interfaces.get(name)!;
        const bases = (declaration.heritageClauses ?? []).flatMap(({ types }) => types);
        const inherited = bases.flatMap(type => membersOf(type.expression.getText()));
        return [...inherited, ...declaration.members.filter(ts.isPropertySignature)];
    };
    const keysOf = (name: string, prefix: string): ConfigKey[] =>
        membersOf(name).flatMap(member => {
            const path = prefix + member.name.getText();
            if (filled.has(path)) return [];
            const { type, list } = unwrapped(member.type!);
            const below = interfaces.has(type) && !folded[type] ? keysOf(replaced[type] ?? type, `${path}${list ? "[]" : ""}.`) : [];
            const isSaid = choices.get(type)?.every(value => docOf(member).includes(value));
            const allowed =
                choices.has(type) && !isSaid
                    ? `${list ? "Any" : "One"} of ${choices
                          .get(type)!
                          .map(value => `\`${value}\``)
                          .join(", ")}.`
                    : "";
            const meaning = [docOf(member), allowed, folded[type]].filter(Boolean).join(" ");
            return [{ path, required: !member.questionToken, meaning }, ...below];
        });

    const ssh = { path: "ssh", required: true, meaning: docOf(interfaces.get("SshConfig")!) };
    const keys = keysOf("RancherHaArgs", "").map(key =>
        // Configuration can take it from a file.
        key.path === "cluster.nodes[].hostKey"
            ? { ...key, required: false, meaning: `${key.meaning} Default: from \`ssh.knownHostsFile\`.` }
            : key,
    );
    return [keys[0], ssh, ...keysOf("SshConfig", "ssh."), ...keys.slice(1)];
}

export function configTable(): string {
    const rows = configKeys().map(
        ({ path, required, meaning }) => `| \`${path}\` | ${required ? "yes" : ""} | ${meaning.replace(/\|/g, "\\|")} |`,
    );
    return ["| key | required | meaning |", "| --- | --- | --- |", ...rows].join("\n");
}

/** README.md with a table that is up to date. */
export function renewedReadme(text = readFileSync(readme, "utf8")): string {
    const [start, end] = markers.map(marker => text.indexOf(marker));
    if (start < 0 || end < start) throw new Error(`README.md: expected the markers ${markers.join(" and ")}`);
    return `${text.slice(0, start + markers[0].length)}\n${configTable()}\n${text.slice(end)}`;
}

/** Interfaces and named sets of values of all sources, by name. */
function declarations() {
    const interfaces = new Map<string, ts.InterfaceDeclaration>();
    const choices = new Map<string, string[]>();
    const components = readdirSync(join(repository, "components"), { recursive: true, encoding: "utf8" });
    const sources = ["config.ts", ...components.map(file => join("components", file))];
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

/** The type inside `Input<…>` and `…[]`. */
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

if (require.main === module) writeFileSync(readme, renewedReadme());
