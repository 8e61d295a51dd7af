import { existsSync, readFileSync, writeFileSync } from "fs";
import { join } from "path";
import { text } from "stream/consumers";
import { parseArgs } from "util";
import { parse, stringify } from "yaml";
import { parseConfig } from "../config";
import { adoption } from "./configuration";
import { clusterTargets, importFile } from "./importFile";
import { sealed } from "./seal";

/**
 * Writes the configuration and the import file by which a stack adopts an installation made by hand. Contacts no host and no cluster.
 * docs/coming-from-the-manual.md leads through all steps.
 */

const usage = `npm run -s adopt -- --stack NAME --cluster-yml FILE --state FILE --nginx FILE --values FILE --load-balancer ADDRESS --chart-version VERSION
                    [--ca FILE] [--known-hosts FILE]
npm run -s adopt -- seal < EXPORTED-STATE

  --stack          name of the new stack
  --cluster-yml    cluster.yml, as RKE was last run with it
  --state          cluster.rkestate beside it
  --nginx          nginx.conf of the load balancer host, or the output of nginx -T there
  --values         output of: helm get values rancher --namespace cattle-system --output yaml
  --load-balancer  address of the load balancer host
  --chart-version  version of the chart, from: helm list --namespace cattle-system
  --ca             cacerts.pem of the Secret tls-ca, when there is one
  --known-hosts    known_hosts file with the keys of all hosts
`;

const options = {
    stack: { type: "string" },
    "cluster-yml": { type: "string" },
    state: { type: "string" },
    nginx: { type: "string" },
    values: { type: "string" },
    "load-balancer": { type: "string" },
    "chart-version": { type: "string" },
    ca: { type: "string" },
    "known-hosts": { type: "string" },
} as const;
const optional = ["ca", "known-hosts"];

async function main(): Promise<void> {
    const { values: given, positionals } = parseArgs({ options, allowPositionals: true });
    if (positionals[0] === "seal") return void process.stdout.write(sealed(await text(process.stdin)));
    const missing = Object.keys(options).filter(name => !optional.includes(name) && given[name as keyof typeof options] === undefined);
    if (missing.length > 0) throw new Error(`expected ${missing.map(name => `--${name}`).join(", ")}\n\n${usage}`);
    const { stack } = given as { stack: string };
    const configFile = `Pulumi.${stack}.yaml`;
    if (existsSync(configFile)) throw new Error(`expected no ${configFile}: another stack of this name has a configuration already`);
    writeFiles(stack, configFile, given as Record<keyof typeof options, string>);
}

function writeFiles(stack: string, configFile: string, given: Record<keyof typeof options, string>): void {
    const source = (path: string) => ({ path, text: readFileSync(path, "utf8") });
    const { config, notes, hasBootstrapPassword } = adoption({
        clusterYml: source(given["cluster-yml"]),
        nginxConf: source(given.nginx),
        helmValues: source(given.values),
        rkeState: given.state,
        loadBalancer: given["load-balancer"],
        chartVersion: given["chart-version"],
        knownHosts: given["known-hosts"],
        caCertificate: given.ca && readFileSync(given.ca, "utf8"),
    });
    const project: string = parse(readFileSync(join(__dirname, "..", "Pulumi.yaml"), "utf8")).name;
    const entries = Object.entries(config).map(([key, value]): [string, unknown] => [`${project}:${key}`, value]);
    const head = "# yaml-language-server: $schema=docs/pulumi-config.schema.json\n";
    writeFileSync(configFile, head + stringify({ config: Object.fromEntries(entries) }, { lineWidth: 0 }));
    const imported = { project, stack, hasCaSecret: given.ca !== undefined };
    writeFileSync(`import-${stack}.json`, importFile(imported));
    const targets = clusterTargets(imported).map(pattern => `--target '${pattern}'`);
    const texts = [
        `Written: ${configFile}, import-${stack}.json. Nothing else was touched.`,
        notes.length > 0 ? `\nNot in the configuration:\n${notes.map(line => `  ${line}`).join("\n")}` : "",
        refusals(project, entries),
        `\nNext: step 3 of docs/coming-from-the-manual.md. Commands that need names of this stack:`,
        hasBootstrapPassword ? "  pulumi config set --secret --path rancher.bootstrapPassword   # on standard input" : "",
        `  pulumi up --stack ${stack} ${targets.join(" ")}`,
        `  pulumi import --stack ${stack} --file import-${stack}.json --generate-code=false --protect=false --skip-preview --yes`,
    ];
    process.stdout.write(`${texts.filter(text => text !== "").join("\n")}\n`);
}

/** Returns the reasons for which the stack refuses the written configuration, or an empty text. */
function refusals(project: string, entries: [string, unknown][]): string {
    const raw = Object.fromEntries(entries.map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]));
    try {
        parseConfig(raw, project, path => readFileSync(path, "utf8"));
        return "";
    } catch (error) {
        return `\nComplete the configuration, because the stack refuses it as it is:\n${(error as Error).message}`;
    }
}

main().catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
});
