import { spawnSync } from "child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { parseArgs } from "util";
import { parse } from "yaml";
import { chartFault } from "../components/rancher/chartFile";
import { isOci } from "../components/rancher/chartRepository";
import { describeIssues } from "../components/validation";
import {
    helmArguments,
    ImageSettings,
    imagesYml,
    imageValues,
    listText,
    manifestImages,
    readSettings,
    rkeImages,
    withChart,
} from "./imageList";

/** Lists the images that a stack needs, for a registry of one's own. Contacts no host and no cluster: it runs rke and helm from PATH. */

const usage = `npm run -s images -- --stack NAME [--chart PATH]

  --stack   name of the stack; its configuration is Pulumi.NAME.yaml
  --chart   folder or archive of the chart, for a repository with a login: helm pull gets it
`;

function main(): void {
    const { stack, chart } = parseArgs({ options: { stack: { type: "string" }, chart: { type: "string" } } }).values;
    if (stack === undefined) throw new Error(`expected --stack\n\n${usage}`);
    const settings = settingsOf(`Pulumi.${stack}.yaml`, chart);
    const manifest = run("helm", helmArguments(settings), { input: imageValues(settings) });
    process.stdout.write(listText([...imagesOfRke(settings), ...manifestImages(manifest)], settings));
}

function settingsOf(file: string, chart?: string): ImageSettings {
    const project: string = parse(readFileSync(join(__dirname, "..", "Pulumi.yaml"), "utf8")).name;
    const config = parse(readFileSync(file, "utf8"))?.config ?? {};
    const { data, error } = readSettings(config, project);
    if (error) throw new Error(`${file}: ${describeIssues(error.issues, undefined, () => true)}`);
    const { chartVersion, repository, repositoryOpts } = data.rancher;
    if (chart === undefined) {
        if (repositoryOpts?.username === undefined || isOci(repository)) return data;
        throw new Error(
            `${file}: rancher.repositoryOpts: expected --chart beside a login, whose password is encrypted, found none. Run helm repo add ` +
                `NAME URL --username USER --password-stdin, then helm pull NAME/rancher --version ${chartVersion}, and give the archive as --chart`,
        );
    }
    const fault = chartFault(chart, chartVersion);
    if (fault) throw new Error(`--chart: ${fault}`);
    return withChart(data, chart);
}

/** Asks RKE for its images. `rke up --init` beside an empty state makes throw-away certificates, and contacts no host. */
function imagesOfRke({ cluster }: ImageSettings): string[] {
    if (!cluster) return [];
    const folder = mkdtempSync(join(tmpdir(), "rancher-ha-images-"));
    try {
        writeFileSync(join(folder, "cluster.yml"), imagesYml(cluster));
        writeFileSync(join(folder, "cluster.rkestate"), "");
        run("rke", ["up", "--init", "--config", "cluster.yml"], { cwd: folder });
        return rkeImages(readFileSync(join(folder, "cluster.rkestate"), "utf8"), cluster);
    } finally {
        rmSync(folder, { recursive: true });
    }
}

/** Runs a program from PATH, and returns its standard output. */
function run(program: string, args: string[], options: { cwd?: string; input?: string }): string {
    const { status, error, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", maxBuffer: 2 ** 26, ...options });
    if (error) throw new Error(`${program}: expected the program on PATH, found none that runs (${error.message})`);
    if (status !== 0)
        throw new Error(`${program} ${args[0]} ended with ${status}: ${(stderr || stdout).trim().split("\n").slice(-5).join("\n")}`);
    return stdout;
}

try {
    main();
} catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
}
