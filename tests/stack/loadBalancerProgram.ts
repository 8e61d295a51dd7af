import { readFileSync, writeFileSync } from "fs";
import { join } from "path";
import { LabHost } from "../../lab/host";
import { Lab } from "../../lab/lab";
import { Finished, Stack } from "../../lab/pulumi";

/** Tells how the component reaches a host of a lab. */
export const hostArgs = ({ address, hostKey, lab }: LabHost) => ({
    host: address,
    hostKey,
    privateKey: readFileSync(lab.privateKeyFile, "utf8"),
});

/** Runs tests/fixtures/loadBalancer, a load balancer alone, with these arguments. */
export function runLoadBalancer(lab: Lab, verb: "preview" | "up" | "destroy", args: object, flags: string[] = []): Promise<Finished> {
    const argumentsFile = join(lab.folder, "load-balancer.json");
    writeFileSync(argumentsFile, JSON.stringify(args), { mode: 0o600 });
    const program = join(__dirname, "..", "fixtures", "loadBalancer");
    return new Stack(lab, { program, config: { "load-balancer:argumentsFile": argumentsFile } })[verb](flags);
}
