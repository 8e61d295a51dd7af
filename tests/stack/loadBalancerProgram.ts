import { readFileSync, rmSync, writeFileSync } from "fs";
import { join } from "path";
import { addressOf, Host, Instance, labFiles } from "../../lab/lab";
import { Finished, runLabEngine } from "../../lab/stack";
import { hostKeyOf } from "./testStack";

/** How the component reaches a host of the lab. */
export const hostArgs = (lab: Instance, host: Host) => ({
    host: addressOf(lab, host),
    hostKey: hostKeyOf(lab, host),
    privateKey: readFileSync(labFiles(lab).privateKey, "utf8"),
});

/** Drops the state that an earlier test left behind: its hosts are gone. */
export function forgetLoadBalancer(lab: Instance): void {
    rmSync(join(labFiles(lab).folder, "loadBalancer.json"), { force: true });
}

/** Runs tests/fixtures/loadBalancer, a load balancer alone, with these arguments. */
export function runLoadBalancer(lab: Instance, tools: string, verb: string, args: object, flags: string[] = []): Promise<Finished> {
    const { folder } = labFiles(lab);
    const argumentsFile = join(folder, "load-balancer-arguments.json");
    writeFileSync(argumentsFile, JSON.stringify(args), { mode: 0o600 });
    const configFile = join(folder, "load-balancer.yaml");
    writeFileSync(configFile, JSON.stringify({ config: { "load-balancer:argumentsFile": argumentsFile } }));
    const program = join(__dirname, "..", "fixtures", "loadBalancer");
    return runLabEngine({ instance: lab, tools, configFile, program }, [verb, ...flags]);
}
