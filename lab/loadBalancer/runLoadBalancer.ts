import { readFileSync, writeFileSync } from "fs";
import { join } from "path";
import { LabHost } from "../host";
import { Lab } from "../lab";
import { Finished, RunOptions, Stack } from "../pulumi";

/** Returns the arguments by which the component reaches a host of a lab. */
export const hostArgs = ({ address, hostKey, lab }: LabHost) => ({
    address,
    hostKey,
    privateKey: readFileSync(lab.privateKeyFile, "utf8"),
});

/** Runs the program beside this file, a load balancer alone, with these arguments. */
export function runLoadBalancer(
    lab: Lab,
    verb: "preview" | "up" | "destroy",
    args: object,
    flags: string[] = [],
    options: RunOptions = {},
): Promise<Finished> {
    const argumentsFile = join(lab.folder, "load-balancer.json");
    writeFileSync(argumentsFile, JSON.stringify(args), { mode: 0o600 });
    return new Stack(lab, { program: __dirname, config: { "load-balancer:argumentsFile": argumentsFile } })[verb](flags, options);
}
