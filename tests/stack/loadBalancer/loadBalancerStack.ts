import { readFileSync } from "fs";
import { Lab } from "../../../lab/lab";
import { Finished, RunOptions } from "../../../lab/pulumi";
import { issue, Issued } from "../../../lab/certificates";
import { runLoadBalancer } from "../../../lab/loadBalancer/runLoadBalancer";
import { hostname } from "./loadBalancerHost";

/** A stack that holds only a load balancer, run by the Pulumi CLI. */
export class LoadBalancerStack {
    readonly ca = issue({ name: "CA of a test", ca: true });
    private readonly keys: string[] = [];
    readonly provided = this.certificate();

    /** `args` holds all arguments except the certificate and its name. Every run may replace some of them. */
    constructor(
        private readonly lab: Lab,
        private readonly args: object,
    ) {
        this.keys.push(readFileSync(lab.privateKeyFile, "utf8"));
    }

    /** Issues a certificate for the load balancer's name. From then on, every output is checked for its key. */
    certificate(): Issued {
        const issued = issue({ name: hostname, by: this.ca, names: [`DNS:${hostname}`], usage: "serverAuth" });
        this.keys.push(issued.privateKey);
        return issued;
    }

    /** Runs a preview, and accepts any result. */
    preview(changes: object = {}, flags: string[] = []): Promise<Finished> {
        return this.run("preview", changes, flags);
    }

    /** Runs `up`, and accepts any result. */
    tryUp(changes: object = {}, options: RunOptions = {}): Promise<Finished> {
        return this.run("up", changes, [], options);
    }

    /** Runs `up`, and expects success. */
    async up(changes: object = {}, options: RunOptions = {}): Promise<Finished> {
        return succeeded(await this.tryUp(changes, options));
    }

    /** Runs `destroy`, and expects success. */
    async destroy(): Promise<Finished> {
        return succeeded(await this.run("destroy", {}));
    }

    /** Expects a preview without changes. Returns its output. */
    async noChanges(changes: object = {}): Promise<string> {
        const { code, output } = await this.preview(changes, ["--expect-no-changes"]);
        expect({ code, output: code === 0 ? "" : output }).toEqual({ code: 0, output: "" });
        return output;
    }

    /** Runs a verb with these arguments, and expects no private key in the output. */
    private async run(verb: "preview" | "up" | "destroy", changes: object, flags?: string[], options?: RunOptions): Promise<Finished> {
        const { certificate: certificateChain, privateKey } = this.provided;
        const args = { hostname, certificateChain, privateKey, ...this.args, ...changes };
        const finished = await runLoadBalancer(this.lab, verb, args, flags, options);
        const lines = this.keys.flatMap(key => key.trim().split("\n").slice(1, -1));
        expect(lines.filter(line => finished.output.includes(line))).toHaveLength(0);
        return finished;
    }
}

function succeeded(finished: Finished): Finished {
    if (finished.code !== 0) throw new Error(finished.output);
    return finished;
}
