import { existsSync, readFileSync, writeFileSync } from "fs";
import { join } from "path";
import { text } from "stream/consumers";
import { parseArgs } from "util";
import { parse, stringify } from "yaml";
import { parseConfig } from "../config";
import { adoption, read } from "./configuration";
import { readHelmValues } from "./helmValues";
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

When Pulumi.NAME.yaml exists, it is kept. Then --stack, --values and --ca are enough for the import file.
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
type Given = Record<keyof typeof options, string>;
const optional = ["ca", "known-hosts"];
/** The options without which no import file can be written. */
const ofImportFile = ["stack", "values"];

async function main(): Promise<void> {
    const { values: given, positionals } = parseArgs({ options, allowPositionals: true });
    if (positionals[0] === "seal") return void process.stdout.write(sealed(await text(process.stdin)));
    const configFile = `Pulumi.${given.stack}.yaml`;
    const isKept = existsSync(configFile);
    const needed = isKept ? ofImportFile : Object.keys(options).filter(name => !optional.includes(name));
    const missing = needed.filter(name => given[name as keyof typeof options] === undefined);
    if (missing.length > 0) throw new Error(`expected ${missing.map(name => `--${name}`).join(", ")}\n\n${usage}`);
    const ca = given.ca === undefined ? undefined : certificatesIn(given.ca);
    const project: string = parse(readFileSync(join(__dirname, "..", "Pulumi.yaml"), "utf8")).name;
    const said = isKept ? keepConfiguration(configFile, given as Given) : writeConfiguration(project, configFile, given as Given, ca);
    const imported = { project, stack: given.stack!, hasCaSecret: ca !== undefined, hasAdditionalCas: said.hasAdditionalCas };
    const importFileName = `import-${given.stack}.json`;
    writeFileSync(importFileName, importFile(imported));
    const targets = clusterTargets(imported).map(pattern => `--target '${pattern}'`);
    const texts = [
        ...said.before(importFileName),
        ...said.commands,
        `  pulumi up --stack ${given.stack} ${targets.join(" ")}`,
        `  pulumi import --stack ${given.stack} --file ${importFileName} --generate-code=false --protect=false --skip-preview --yes`,
    ];
    process.stdout.write(`${texts.filter(line => line !== "").join("\n")}\n`);
}

/** Reads the file of the CA. One without a certificate is refused: it comes from a cluster without the Secret tls-ca. */
function certificatesIn(file: string): string {
    const ca = readFileSync(file, "utf8");
    if (ca.includes("-----BEGIN CERTIFICATE-----")) return ca;
    throw new Error(`--ca: expected certificates as PEM text, found none in ${file}. Without the Secret tls-ca, leave --ca out`);
}

/** What a run says, and a fact for the import file. */
interface Said {
    /** Lines before the commands. */
    before: (importFile: string) => string[];
    commands: string[];
    hasAdditionalCas: boolean;
}

const source = (path: string) => ({ path, text: readFileSync(path, "utf8") });

/** Leaves a configuration as it is. A stack whose state is lost still has one. */
const keepConfiguration = (configFile: string, given: Given): Said => ({
    before: importFile => [
        `kept: ${configFile}. Without this file, the program writes a new one.`,
        `Written: ${importFile}. Nothing else was touched.`,
        `\nNext: step 4 of docs/coming-from-the-manual.md. Commands that need names of this stack:`,
    ],
    commands: [],
    hasAdditionalCas: read(source(given.values), readHelmValues).settings.hasAdditionalCas,
});

function writeConfiguration(project: string, configFile: string, given: Given, caCertificate: string | undefined): Said {
    const { config, notes, hasBootstrapPassword, hasAdditionalCas } = adoption({
        clusterYml: source(given["cluster-yml"]),
        nginxConf: source(given.nginx),
        helmValues: source(given.values),
        rkeState: given.state,
        loadBalancer: given["load-balancer"],
        chartVersion: given["chart-version"],
        knownHosts: given["known-hosts"],
        caCertificate,
    });
    const entries = Object.entries(config).map(([key, value]): [string, unknown] => [`${project}:${key}`, value]);
    const head = "# yaml-language-server: $schema=docs/pulumi-config.schema.json\n";
    // Pulumi reads YAML of other versions, too. Strings such as `yes` and `0o7` get quotes.
    const yaml = stringify({ config: Object.fromEntries(entries) }, { lineWidth: 0, compat: "yaml-1.1" });
    writeFileSync(configFile, head + yaml);
    return {
        before: importFile => [
            `Written: ${configFile}, ${importFile}. Nothing else was touched.`,
            notes.length > 0 ? `\nNot in the configuration:\n${notes.map(line => `  ${line}`).join("\n")}` : "",
            refusals(project, entries),
            `\nNext: step 3 of docs/coming-from-the-manual.md. Commands that need names of this stack:`,
        ],
        commands: hasBootstrapPassword ? ["  pulumi config set --secret --path rancher.bootstrapPassword   # on standard input"] : [],
        hasAdditionalCas,
    };
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
