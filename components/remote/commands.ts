import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { join } from "path";
import { commandConnection, HostConnection } from "./connection";
import { needsAttention } from "../attention";
import { Refusal } from "../validation";
import { parseProbe, Probe } from "./probe";
import { nodeProgram } from "./programs";

/** The only door to the outside: every command of the library is made here. */

export interface ProgramArgs {
    /** Text of the program, data included. Goes to standard input and is kept as a secret. */
    program: pulumi.Input<string>;
    /** Seconds after which the program is killed. */
    timeoutSeconds: number;
    /** The result holds a secret: keep it encrypted in the state. */
    secretResult?: boolean;
}

/**
 * Runs a shell program on a host as root: `apply` on create and update, `destroy` on delete. The program must be convergent.
 */
export function hostProgram(
    name: string,
    args: ProgramArgs & {
        connection: pulumi.Input<HostConnection>;
        /** What makes the host this one and not another: when it changes, the resource is replaced, and `destroy` runs on the old host. */
        identity: pulumi.Input<string>;
    },
    opts: pulumi.CustomResourceOptions,
): command.remote.Command {
    const run = (verb: string) =>
        // The SSH key makes the whole connection a secret; the command holds none, and a preview is to show it.
        pulumi.unsecret(pulumi.output(args.connection).user).apply(user => {
            // `timeout` because neither cancel nor customTimeouts reach a remote session. What it ends has a minute to roll back.
            return `${user === "root" ? "" : "sudo -n "}timeout -k 60 ${args.timeoutSeconds} sh -s ${verb}`;
        });
    return new command.remote.Command(
        name,
        {
            connection: commandConnection(args.connection),
            create: run("apply"),
            delete: run("destroy"),
            stdin: pulumi.secret(args.program),
            triggers: [args.identity],
            addPreviousOutputInEnv: false,
            logging: command.remote.Logging.Stderr,
        },
        withSecretResult(args, opts),
    );
}

/** Runs a Node program where Pulumi runs: `apply` on create and update, and `destroy` on delete when asked for. */
export function runnerProgram(
    name: string,
    args: ProgramArgs & {
        destroy?: boolean;
        /** The program reads the result of its last run, in PULUMI_COMMAND_STDOUT. Linux allows 128 KiB there. */
        readsLastResult?: boolean;
        /** The program runs once: an update keeps its result. */
        once?: boolean;
    },
    opts: pulumi.CustomResourceOptions,
): command.local.Command {
    const run = (verb: string) => `exec timeout -k 30 ${args.timeoutSeconds} node - ${verb}`;
    return new command.local.Command(
        name,
        {
            create: run("apply"),
            update: args.once ? 'printf %s "$PULUMI_COMMAND_STDOUT"' : undefined,
            delete: args.destroy ? run("destroy") : undefined,
            stdin: pulumi.secret(args.program),
            addPreviousOutputInEnv: Boolean(args.once || args.readsLastResult),
            logging: command.local.Logging.Stderr,
        },
        withSecretResult(args, opts),
    );
}

/**
 * Runs a probe, a Node program, at every preview and update for a component and returns what it says. Its warnings are passed on. What
 * it refuses fails the whole Pulumi program before anything is changed, and so does an exit code other than 0.
 */
export function observe(program: pulumi.Input<string>, what: string, component: pulumi.Resource): pulumi.Output<Probe> {
    const result = command.local.runOutput(
        { command: "exec timeout -k 5 40 node - probe", stdin: pulumi.secret(program), logging: command.local.Logging.None },
        { parent: component },
    );
    return pulumi.unsecret(result.stdout).apply(text => {
        // Mocks of a user's own test may answer nothing.
        const found = parseProbe(text ?? "");
        if (found.state === "refused") throw new Refusal(`${what}: ${found.reason}`, component);
        found.warnings.forEach(warning => needsAttention(`${what}: ${warning}`, component));
        return found;
    });
}

/**
 * Makes the latch of a drift epoch: a number that is 0 at first and rises by one in each update. A finding other than `in sync` is an
 * update, and so is a change of `desired`. No dynamic resource: those work neither with pnpm and Bun nor in other languages.
 */
export function driftLatch(
    name: string,
    args: { finding: pulumi.Input<string>; desired: pulumi.Input<Record<string, string>> },
    opts: pulumi.CustomResourceOptions,
): pulumi.Output<number> {
    let isInSync = false;
    const stdin = pulumi.output(args.finding).apply(finding => {
        isInSync = finding === "in sync";
        // With the time, the same finding is a change each time.
        return isInSync ? finding : `${new Date().toISOString()}\n${finding}`;
    });
    // The state keeps the last finding, so that a repaired host is no change. Called once the inputs are settled: a finding that is
    // unknown in a preview leaves isInSync false.
    const keepLastFinding: pulumi.ResourceTransform = ({ props, opts: given }) =>
        isInSync ? { props, opts: { ...given, ignoreChanges: ["stdin"] } } : undefined;
    const latch = new command.local.Command(
        name,
        {
            // Not one text for both: a run of Pulumi inside a command inherits the variable from the outer one.
            create: "echo 0",
            update: "echo $((PULUMI_COMMAND_STDOUT + 1))",
            stdin,
            // Not read by the command: a preview shows its difference line by line.
            environment: args.desired,
            addPreviousOutputInEnv: true,
            logging: command.local.Logging.None,
        },
        // The SDK refuses transforms under mocks, where no engine answers.
        pulumi.mergeOptions(opts, { transforms: pulumi.runtime.getEngine() ? [keepLastFinding] : [] }),
    );
    return latch.stdout.apply(Number);
}

/** What runner/probeHost.js is given. */
export interface ProbeHostInput {
    host: HostConnection;
    program: string;
}

/** Runs the `probe` verb of a shell program on a host. */
export function observeHost(
    connection: pulumi.Input<HostConnection>,
    program: pulumi.Input<string>,
    what: string,
    component: pulumi.Resource,
): pulumi.Output<Probe> {
    const entry = join(__dirname, "runner", "probeHost.js");
    return observe(
        pulumi.all([connection, program]).apply(([host, script]) => nodeProgram<ProbeHostInput>(entry, { host, program: script })),
        what,
        component,
    );
}

function withSecretResult(args: ProgramArgs, opts: pulumi.CustomResourceOptions): pulumi.CustomResourceOptions {
    return args.secretResult ? pulumi.mergeOptions(opts, { additionalSecretOutputs: ["stdout"] }) : opts;
}
