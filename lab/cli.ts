import { existsSync, writeFileSync } from "fs";
import { join } from "path";
import { limitsSchema } from "../components/loadBalancer/limits";
import { verificationProgram } from "../components/rancher/program";
import { buildByHand, byHandFolder } from "./byHand";
import { prepareImages } from "./images";
import { LabName, labNames } from "./inventory";
import { Lab } from "./lab";
import { longStep, progress, run } from "./process";
import { Stack } from "./pulumi";
import { buildTools, installDebianPackages } from "./tools";

/** The verbs that `make` calls for the lab and its stack. */
const verbs: Record<string, [arguments: string, does: string, work: (...args: string[]) => Promise<unknown>]> = {
    up: ["", "starts the lab, brings the stack up in it, checks it, says how to use it", up],
    preview: ["", "shows what `up` would change", preview],
    drift: ["", "tampers with the load balancer host, shows the preview that sees it, heals it", drift],
    down: ["", "destroys the stack, then the lab", down],
    "by-hand": ["", "builds Rancher in the lab by the manual's commands, without a stack", byHand],
    output: ["NAME", "prints one output of the stack, secrets included", output],
    pulumi: ["ARGUMENT...", "runs the Pulumi CLI with the lab's state and plugins", pulumi],
    prepare: ["", "installs Debian packages, builds tools and images that tests need", prepare],
};

function usage(): string {
    const lines = Object.entries(verbs).map(([verb, [args, does]]) => `  ${`${verb} ${args}`.padEnd(20)} ${does}`);
    return `usage: cli.ts VERB [--lab ${labNames.join("|")}] [ARGUMENT...]\n${lines.join("\n")}`;
}

let lab: Lab;

async function up(): Promise<void> {
    // Hosts need the packages first. Tools are built while the hosts boot.
    await installDebianPackages();
    const building = buildTools("stack");
    building.catch(() => undefined);
    await lab.up();
    const tools = await building;
    progress("tools", "ready");
    const stack = new Stack(lab);
    const isNew = !stack.exists();
    const { code, steps } = await longStep("stack", isNew ? "bringing up" : "updating", isNew ? 120 : 10, () =>
        stack.up([], { show: true }),
    );
    if (code !== 0) throw new Error("the stack did not come up; the reason stands above. Correct it and run make up again");
    const changed = steps.some(({ op }) => !["same", "read"].includes(op));
    const { url, caCertificate, bootstrapPassword, loadBalancerAddresses, nextSteps } = await stack.outputs();
    const [address] = loadBalancerAddresses;
    const hostname = new URL(url).hostname;
    progress("check", `through the load balancer ${address}`);
    const checks = await run("node", ["-", "apply"], {
        input: verificationProgram({
            hostname,
            addresses: [address],
            caCertificate,
            bootstrapPassword,
            maxRequestHeaderSize: limitsSchema.parse({}).maxRequestHeaderSize,
            after: [],
            timeoutSeconds: 60,
        }),
    });
    const caFile = join(lab.folder, "ca.pem");
    writeFileSync(caFile, caCertificate);
    process.stdout.write(`
${checks.stdout.trim().replace(/^/gm, "  ")}

${changed ? "The stack is up." : "Nothing had to be changed: the stack is as it should be."}

${nextSteps}

In this lab:
  outputs       \`make output NAME=bootstrapPassword\` in place of \`pulumi stack output bootstrapPassword --show-secrets\`
  DNS           a line for /etc/hosts: ${address} ${hostname}
  CA            ${caFile}
                curl --cacert ${caFile} --resolve ${hostname}:443:${address} ${url}/ping
                to trust it on this machine: cp ${caFile} /usr/local/share/ca-certificates/rancher-ha-lab.crt && update-ca-certificates
  kubectl       (umask 077; make output NAME=kubeconfig >${lab.folder}/kubeconfig); ${join(tools, "kubectl")} --kubeconfig ${lab.folder}/kubeconfig get pods --all-namespaces
  pulumi        make pulumi ARGS="stack history"
  made of       1 load balancer host, 3 nodes with all roles, CA, CA secret, Rancher release; \`make preview\` compares, \`make down\` removes
`);
}

async function preview(): Promise<void> {
    const { code } = await startedStack().preview(["--diff"], { show: true });
    if (code !== 0) throw new Error("the preview failed; the reason stands above");
}

async function drift(): Promise<void> {
    const stack = startedStack();
    process.stdout.write("\nSomebody edits nginx.conf on the load balancer host and stops the service …\n\n");
    await lab.host("lb1").sh("sed -i 's/proxy_read_timeout .*/proxy_read_timeout 5s;/' /etc/nginx/nginx.conf; systemctl stop nginx");
    process.stdout.write("… and the next preview sees it:\n\n");
    const seen = await stack.preview(["--diff"], { show: true });
    if (seen.code !== 0 || !seen.steps.some(({ op }) => op === "update"))
        throw new Error("the preview did not see what was changed on lb1: expected an update of it; what it found stands above");
    process.stdout.write("\n`up` heals it:\n\n");
    const healed = await stack.up([], { show: true });
    process.stdout.write("\nand the preview after it is empty:\n\n");
    const empty = await stack.preview(["--expect-no-changes"], { show: true });
    if (healed.code !== 0 || empty.code !== 0) throw new Error("the drift was not healed; the reason stands above");
}

async function down(): Promise<void> {
    const state = await lab.state();
    if (state === "absent") return progress(`lab ${lab.name}`, "nothing to remove");
    if (state === "up") {
        const stack = new Stack(lab);
        const destroy = () => longStep("stack", "destroying", 40, () => stack.destroy([], { show: true }));
        if (stack.exists() && (await destroy()).code !== 0)
            throw new Error("the stack was not destroyed; the reason stands above. The lab is still up");
    } else progress("stack", `not destroyed but dropped with the lab: ${state}`);
    await lab.stop();
}

async function byHand(): Promise<void> {
    if (existsSync(byHandFolder(lab)) || new Stack(lab).exists())
        throw new Error("expected a lab without a stack and without an installation by hand: run make down first");
    await lab.up();
    const { folder, environment, hostname } = await buildByHand(lab);
    process.stdout.write(`
Rancher is up, built by hand: https://${hostname}, ${lab.host("lb1").address}.

  files         ${folder}
  shell         . ${environment}    pulumi, rke, kubectl, helm and ssh then work in this lab
  adopt it      docs/coming-from-the-manual.md; the chart stands in lab/rancher/chart:
                pulumi config set --path rancher.chartPath lab/rancher/chart
  remove it     make down
`);
}

async function output(name?: string): Promise<void> {
    const outputs = await startedStack().outputs();
    if (Object.keys(outputs).length === 0) throw new Error("the stack has no outputs: run make up first");
    if (!name || !(name in outputs)) throw new Error(`expected NAME=one of ${Object.keys(outputs).join(", ")}, found ${name ?? "nothing"}`);
    process.stdout.write(typeof outputs[name] === "string" ? `${outputs[name].trimEnd()}\n` : `${JSON.stringify(outputs[name])}\n`);
}

async function pulumi(...args: string[]): Promise<void> {
    process.exitCode = (await startedStack().cli(args, { show: true })).code;
}

async function prepare(): Promise<void> {
    await installDebianPackages();
    await Promise.all([buildTools("tests"), prepareImages()]);
}

/** Returns the stack of a running lab, without a probe of its hosts. */
function startedStack(): Stack {
    if (!existsSync(lab.knownHostsFile)) throw new Error("the lab is not up: run make up first");
    return new Stack(lab);
}

async function main(): Promise<void> {
    const [verb, ...rest] = process.argv.slice(2);
    // All further arguments belong to the verb, including options of the Pulumi CLI.
    const [name, args] = rest[0] === "--lab" ? [rest[1], rest.slice(2)] : ["dev", rest];
    if (!(verb in verbs) || !labNames.includes(name as LabName)) throw new Error(usage());
    lab = Lab.of(name as LabName);
    await verbs[verb][2](...args);
}

main().catch((error: Error) => {
    process.stderr.write(`\nerror: ${error.message}\n`);
    process.exit(1);
});
