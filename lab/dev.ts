import { existsSync, writeFileSync } from "fs";
import { join } from "path";
import { parseArgs } from "util";
import { verificationProgram } from "../components/rancher/verificationProgram";
import { hostExec, Instance, labFiles, labState, startLab, stopLab } from "./lab";
import { progress, run } from "./process";
import { findEngine, runStack, stackOutputs, StackRun } from "./stack";
import { buildTools } from "./tools";

/** What `make` does with the stack `dev`: tsx lab/dev.ts up|preview|drift|down|output [NAME] [--instance dev|test|bench] */
const { values, positionals } = parseArgs({ allowPositionals: true, options: { instance: { type: "string", default: "dev" } } });
const instance = values.instance as Instance;

async function start(): Promise<StackRun> {
    const tools = await startLab(instance);
    const { engine, why } = await findEngine(instance);
    progress("engine", `${engine} (${why})`);
    return { instance, tools };
}

async function up(): Promise<void> {
    const stack = await start();
    const { code, output } = await runStack(stack, "up");
    if (code !== 0) throw new Error("the stack did not come up; the reason stands above. Correct it and run make up again");
    const changed = / (created|updated|replaced|deleted)/.test(output);
    const { url, caCertificate, bootstrapPassword, rancherVersion, kubernetesVersion, loadBalancerAddresses } = await stackOutputs(stack);
    const [address] = loadBalancerAddresses;
    const hostname = new URL(url).hostname;
    progress("check", `through the load balancer ${address}`);
    const checks = await run("node", ["-", "apply"], {
        input: verificationProgram({ hostname, addresses: [address], caCertificate, bootstrapPassword, after: [], timeoutSeconds: 60 }),
    });
    const { folder } = labFiles(instance);
    const caFile = join(folder, "ca.pem");
    writeFileSync(caFile, caCertificate);
    process.stdout.write(`
${checks.stdout
    .trim()
    .split("\n")
    .map(line => `  ${line}`)
    .join("\n")}

${changed ? "The stack is up." : "Nothing had to be changed: the stack is as it should be."}

  Rancher       ${rancherVersion} on Kubernetes ${kubernetesVersion}, ${url}
  name          ${address} ${hostname}      (a line for /etc/hosts)
  CA            ${caFile}
                curl --cacert ${caFile} --resolve ${hostname}:443:${address} ${url}/ping
                to trust it on this machine: cp ${caFile} /usr/local/share/ca-certificates/rancher-ha-lab.crt && update-ca-certificates
  login         admin, with the password that \`make output NAME=bootstrapPassword\` prints
  kubectl       (umask 077; make output NAME=kubeconfig >${folder}/kubeconfig); ${join(stack.tools, "kubectl")} --kubeconfig ${folder}/kubeconfig get pods --all-namespaces
  made of       1 load balancer host, 3 nodes with all roles, CA, CA secret, Rancher release; \`make preview\` compares, \`make down\` removes
`);
}

async function preview(): Promise<void> {
    const { code } = await runStack(await startedStack(), "preview", ["--diff"]);
    if (code !== 0) throw new Error("the preview failed; the reason stands above");
}

async function drift(): Promise<void> {
    const stack = await startedStack();
    process.stdout.write("\nSomebody edits nginx.conf on the load balancer host and stops the service …\n\n");
    await hostExec(instance, "lb1", [
        "sh",
        "-c",
        "sed -i 's/proxy_read_timeout .*/proxy_read_timeout 5s;/' /etc/nginx/nginx.conf; systemctl stop nginx",
    ]);
    process.stdout.write("… and the next preview sees it:\n\n");
    const seen = await runStack(stack, "preview", ["--diff", "--expect-no-changes"]);
    if (seen.code === 0 || !seen.output.includes("no changes were expected"))
        throw new Error("the preview did not see what was changed on lb1: expected an update of it; what it found stands above");
    process.stdout.write("\n`up` heals it:\n\n");
    const healed = await runStack(stack, "up");
    process.stdout.write("\nand the preview after it is empty:\n\n");
    const empty = await runStack(stack, "preview", ["--expect-no-changes"]);
    if (healed.code !== 0 || empty.code !== 0) throw new Error("the drift was not healed; the reason stands above");
}

async function down(): Promise<void> {
    const state = await labState(instance);
    if (state === "absent") return progress(`lab ${instance}`, "nothing to remove");
    if (state === "up") {
        const { code } = await runStack(await start(), "destroy");
        if (code !== 0) throw new Error("the stack was not destroyed; the reason stands above. The lab is still up");
    } else progress("stack", `not destroyed but dropped with the lab: ${state}`);
    await stopLab(instance);
}

async function output(name: string): Promise<void> {
    const outputs = await stackOutputs(await startedStack());
    if (Object.keys(outputs).length === 0) throw new Error("the stack has no outputs: run make up first");
    if (!(name in outputs)) throw new Error(`expected NAME=one of ${Object.keys(outputs).join(", ")}, found ${name ?? "nothing"}`);
    process.stdout.write(typeof outputs[name] === "string" ? `${outputs[name].trimEnd()}\n` : `${JSON.stringify(outputs[name])}\n`);
}

/** The stack of a lab that is up, without looking at its hosts again. */
async function startedStack(): Promise<StackRun> {
    if (!existsSync(labFiles(instance).knownHosts)) throw new Error("the lab is not up: run make up first");
    await findEngine(instance);
    return { instance, tools: await buildTools(true) };
}

const [verb, ...args] = positionals;
const verbs: Record<string, (...args: string[]) => Promise<void>> = { up, preview, drift, down, output };
verbs[verb](...args).catch((error: Error) => {
    process.stderr.write(`\nerror: ${error.message}\n`);
    process.exit(1);
});
