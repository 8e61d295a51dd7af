import { HostName } from "../../../lab/inventory";
import { Lab } from "../../../lab/lab";
import { until } from "../../../lab/process";
import { digestOf } from "../fixtures";
import { Client } from "./client";
import { hostname, stateFolder } from "./loadBalancerHost";
import { hostArgs } from "../../../lab/loadBalancer/runLoadBalancer";
import { LoadBalancerStack } from "./loadBalancerStack";
import { Upstream } from "./upstream";

/** Seconds between two advertisements of the active host. The interval is so long that a busy machine moves no virtual IP by itself. */
const advertIntervalSeconds = 1;

/** A pair of load balancer hosts with a virtual IP, managed by the Pulumi CLI. */
export class Pair {
    static readonly members: readonly HostName[] = ["lb1", "lb2"];
    /** A host that does not belong to the pair at first. */
    static readonly spare: HostName = "lb4";
    readonly virtualIp: string;
    readonly client: Client;
    readonly stack: LoadBalancerStack;
    private pristine = new Map<HostName, string>();

    private constructor(
        private readonly lab: Lab,
        private readonly upstream: Upstream,
        args: object,
    ) {
        this.virtualIp = lab.addressAt(20);
        this.stack = new LoadBalancerStack(lab, args);
        this.client = this.clientOf(this.virtualIp);
    }

    /** Starts the hosts anew, without a release on them. Without `args` an upstream on this machine answers. */
    static async start(lab: Lab, { hosts = Pair.members, args = {} }: { hosts?: readonly HostName[]; args?: object } = {}): Promise<Pair> {
        await lab.startAnew(...hosts);
        const upstream = await Upstream.start(lab);
        const pair = new Pair(lab, upstream, {
            hosts: Pair.members.map(name => hostArgs(lab.host(name))),
            virtualIp: { address: lab.addressAt(20), advertIntervalSeconds },
            upstreams: [upstream.address],
            upstreamPort: upstream.port,
            ...args,
        });
        for (const name of hosts) pair.pristine.set(name, await digestOf(lab.host(name)));
        return pair;
    }

    /** Stops the client and the upstream, which run outside the lab. Does nothing when `start` failed. */
    static stop(pair?: Pair): void {
        pair?.client.stop();
        pair?.upstream.stop();
    }

    up = (changes?: object) => this.stack.up(changes);
    noChanges = (changes?: object) => this.stack.noChanges(changes);

    /** Returns the arguments for these hosts. A single host has no virtual IP. */
    of(...names: HostName[]): object {
        return {
            hosts: names.map(name => hostArgs(this.lab.host(name))),
            ...(names.length > 1 ? {} : { virtualIp: undefined }),
        };
    }

    /** Cuts a member off from the nodes, or reconnects the member. */
    async nodes(name: HostName, way: "cut" | "free"): Promise<void> {
        const rule = `OUTPUT -p tcp --dport ${this.upstream.port} -j REJECT --reject-with tcp-reset`;
        await this.lab.host(name).sh(`iptables ${way === "cut" ? "-A" : "-D"} ${rule}`);
    }

    everywhere(script: string): Promise<string[]> {
        return Promise.all(Pair.members.map(name => this.lab.host(name).sh(script)));
    }

    /** Returns the members that hold the virtual IP. */
    async holders(): Promise<HostName[]> {
        const found = await this.everywhere(`ip -o -4 address show to ${this.virtualIp}`);
        return Pair.members.filter((_name, index) => found[index].trim() !== "");
    }

    /** Waits for one active host and returns it. */
    async active(): Promise<HostName> {
        await until("one host that holds the virtual IP", 240, async () => (await this.holders()).length === 1);
        return (await this.holders())[0];
    }

    standby(active: HostName): HostName {
        return Pair.members.find(name => name !== active)!;
    }

    /** Waits for an answer at the virtual IP, or at the address of a host. */
    answers(address = this.virtualIp): Promise<void> {
        const client = this.clientOf(address, 5);
        return until(`an answer at ${address}`, 240, () =>
            client.ask().then(
                ({ status, body }) => status === 200 && body === `${hostname} https`,
                () => false,
            ),
        );
    }

    /** Sends at least 20 requests over new connections, four side by side, while `work` runs. Expects an answer to each. */
    async losesNoRequest(work: () => Promise<unknown>, address = this.virtualIp): Promise<void> {
        const client = this.clientOf(address);
        const found: string[] = [];
        let over = false;
        const askOn = async () => {
            while (!over || found.length < 20) {
                found.push(await client.ask().then(({ status, body }) => `${status} ${body}`, String));
                await new Promise(resolve => setTimeout(resolve, 100));
            }
        };
        const asking = Promise.all([1, 2, 3, 4].map(askOn));
        try {
            await work();
        } finally {
            over = true;
            await asking;
        }
        expect(found.filter(answer => answer !== `200 ${hostname} https`)).toEqual([]);
    }

    /** Expects a host to be as it was before the first change. */
    async isClean(name: HostName): Promise<void> {
        expect(await digestOf(this.lab.host(name))).toBe(this.pristine.get(name));
    }

    /** Expects the stack's resources to own these hosts, in this order. */
    async expectOwners(...names: HostName[]): Promise<void> {
        const owners = await Promise.all(names.map(name => this.lab.host(name).sh(`cat ${stateFolder}/owner`)));
        const scope = `organization/load-balancer/${this.lab.name}/lb`;
        expect(owners).toEqual(names.map((name, index) => `${scope}/lb-host-${index + 1}@${this.lab.host(name).address}\n`));
    }

    release(name: HostName): Promise<string> {
        return this.lab.host(name).sh("readlink /etc/nginx/rancher-ha");
    }

    workers(): Promise<string[]> {
        return this.everywhere("pgrep -P $(cat /run/nginx.pid) | sort");
    }

    private clientOf(address: string, timeoutSeconds?: number): Client {
        return new Client(address, hostname, this.stack.ca.certificate, timeoutSeconds);
    }
}
