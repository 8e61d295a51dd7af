import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { join } from "path";
import { commandConnection, HostConnection } from "./connection";
import { needsAttention } from "../attention";
import { inState, Refusal } from "../validation";
import { parseProbe, Probe } from "./probe";
import { nodeProgram } from "./programs";

/** This file makes every command of the library, and is its only door to the outside. */

export interface ProgramArgs {
    /** Text of the program with its data. It goes to standard input, and is kept as a secret. */
    program: pulumi.Input<string>;
    /** Seconds after which the program is killed. */
    timeoutSeconds: pulumi.Input<number>;
    /** Keeps the result encrypted in the state, because it holds a secret. */
    secretResult?: boolean;
}

/**
 * Runs a shell program on a host as root: `apply` on create and update, `destroy` on delete. The program must be convergent.
 */
export function hostProgram(
    name: string,
    args: ProgramArgs & {
        connection: pulumi.Input<HostConnection>;
        /** Identifies the host. A change replaces the resource, and `destroy` runs on the old host. */
        identity: pulumi.Input<string>;
        /**
         * Leaves the host as it is in this update. The resource keeps its last inputs, so the next update that includes the host catches
         * up. A host that was never applied is always included.
         */
        isLeftOut?: pulumi.Input<boolean>;
    },
    opts: pulumi.CustomResourceOptions,
): command.remote.Command {
    let isLeftOut = false;
    const triggers = pulumi.all([args.identity, args.isLeftOut]).apply(([identity, leftOut = false]) => {
        isLeftOut = leftOut;
        return [identity];
    });
    const keepInputs: pulumi.ResourceTransform = ({ props, opts: given }) =>
        isLeftOut ? { props, opts: { ...given, ignoreChanges: Object.keys(props) } } : undefined;
    const run = (verb: string) =>
        // The SSH key makes the whole connection a secret. The command line holds no secret, so a preview may show it.
        pulumi.all([pulumi.unsecret(pulumi.output(args.connection).user), args.timeoutSeconds]).apply(([user, timeoutSeconds]) => {
            // Neither cancel nor customTimeouts reach a remote session, so `timeout` ends the program, which has 60 s to roll back.
            return `${user === "root" ? "" : "sudo -n "}timeout -k 60 ${timeoutSeconds} sh -s ${verb}`;
        });
    return new command.remote.Command(
        name,
        {
            connection: commandConnection(args.connection),
            create: run("apply"),
            delete: run("destroy"),
            stdin: pulumi.secret(args.program),
            triggers,
            addPreviousOutputInEnv: false,
            logging: command.remote.Logging.Stderr,
        },
        withSecretResult(args, withTransform(opts, keepInputs)),
    );
}

/** Runs a Node program where Pulumi runs: `apply` on create and update, and `destroy` on delete if `destroy` is set. */
export function runnerProgram(
    name: string,
    args: ProgramArgs & {
        destroy?: boolean;
        /** Gives the program its last result in PULUMI_COMMAND_STDOUT, which Linux limits to 128 KiB. */
        readsLastResult?: boolean;
        /** Runs the program only once. An update keeps its result. */
        once?: boolean;
    },
    opts: pulumi.CustomResourceOptions,
): command.local.Command {
    const run = (verb: string) =>
        pulumi.output(args.timeoutSeconds).apply(timeoutSeconds => `exec timeout -k 30 ${timeoutSeconds} node - ${verb}`);
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
 * Runs a probe, a Node program, at every preview and update of a component, and returns its result. Its warnings are passed on. A refusal,
 * or an exit code other than 0, fails the whole Pulumi program before anything is changed.
 */
export function observe(program: pulumi.Input<string>, what: string, component: pulumi.Resource): pulumi.Output<Probe> {
    // A probe that took too long is judged by what it said until then.
    const result = command.local.runOutput(
        { command: "timeout -k 5 40 node - probe || [ $? = 124 ]", stdin: pulumi.secret(program), logging: command.local.Logging.None },
        { parent: component },
    );
    return pulumi.unsecret(result.stdout).apply(text => {
        // Mocks of a user's own test may return no text.
        const found = parseProbe(text ?? "");
        if (found.state === "refused") {
            // The probe gave its refusal a code, unless the shell of a host failed.
            throw new Refusal("host-not-fit", `${what}: ${found.reason}`, component);
        }
        found.warnings.forEach(warning => needsAttention(`${what}: ${warning}`, component));
        return found;
    });
}

/**
 * Makes the latch of a drift epoch: a number that starts at 0 and rises by one in each update. A finding other than `in sync` causes an
 * update, and so does a change of `desired`. The latch is no dynamic resource, because those fail with pnpm, Bun and other languages.
 */
export function driftLatch(
    name: string,
    args: { finding: pulumi.Input<string>; desired: pulumi.Input<Record<string, string>> },
    opts: pulumi.CustomResourceOptions,
): pulumi.Output<number> {
    let isInSync = false;
    const stdin = pulumi.output(args.finding).apply(finding => {
        isInSync = finding === "in sync";
        // The time makes the same finding a change in every run.
        return isInSync ? finding : `${new Date().toISOString()}\n${finding}`;
    });
    // The state keeps the last finding, so a repaired host is no change. A finding that is unknown in a preview leaves isInSync false.
    const keepLastFinding: pulumi.ResourceTransform = ({ props, opts: given }) =>
        isInSync ? { props, opts: { ...given, ignoreChanges: ["stdin"] } } : undefined;
    const latch = new command.local.Command(
        name,
        {
            // `create` does not read the variable: a Pulumi run inside a command inherits the variable from the outer command.
            create: "echo 0",
            update: "echo $((PULUMI_COMMAND_STDOUT + 1))",
            stdin,
            // The command does not read these variables. A preview shows their differences line by line.
            environment: args.desired,
            addPreviousOutputInEnv: true,
            logging: command.local.Logging.None,
        },
        withTransform(opts, keepLastFinding),
    );
    return inState(latch.stdout).apply(Number);
}

/** Input of runner/probeHost.js. */
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

/** Adds a transform, which the SDK calls once the inputs are settled. It refuses transforms under mocks, where no engine answers. */
function withTransform(opts: pulumi.CustomResourceOptions, transform: pulumi.ResourceTransform): pulumi.CustomResourceOptions {
    return pulumi.mergeOptions(opts, { transforms: pulumi.runtime.getEngine() ? [transform] : [] });
}

function withSecretResult(args: { secretResult?: boolean }, opts: pulumi.CustomResourceOptions): pulumi.CustomResourceOptions {
    return args.secretResult ? pulumi.mergeOptions(opts, { additionalSecretOutputs: ["stdout"] }) : opts;
}
