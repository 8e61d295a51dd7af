import { readFileSync } from "fs";
import { LabHost } from "./host";
import { until } from "./process";

/** What happened to the tunnels of agents. */
export interface Tunnels {
    /** Number of losses, some of the same agent. */
    lost: number;
    /** Longest time without a tunnel, in seconds. */
    awayLongest: number;
    connected: number;
}

/** Where agents connect, and what they trust. */
export interface AgentTarget {
    url: string;
    /** Address of the load balancer, in place of DNS. */
    address: string;
    /** SHA-256 of the CA, as agents get it. */
    caChecksum: string;
    /** Registration token. */
    token: string;
}

/** Agents of downstream clusters on a host of a lab, each a service with the client library of Rancher's agents. */
export class Agents {
    private constructor(
        private readonly host: LabHost,
        readonly count: number,
    ) {}

    static async start(host: LabHost, program: string, target: AgentTarget, count: number): Promise<Agents> {
        const { hostname, port } = new URL(target.url);
        await host.write("/usr/local/bin/agent", readFileSync(program), "755");
        await host.write("/run/agent-token", target.token, "600");
        const properties = ["StandardInput=file:/run/agent-token", "SyslogIdentifier=agent-$n"].map(each => `--property=${each}`);
        const unit = `systemd-run -q --unit=agent-$n --setenv=CATTLE_CA_CHECKSUM=${target.caChecksum} ${properties.join(" ")}`;
        const flags = `--server ${target.url} --id agent-$n --resolve ${hostname}:${port || 443}:${target.address}`;
        await host.sh(`for n in $(seq ${count}); do ${unit} agent agent ${flags}; done`);
        const agents = new Agents(host, count);
        await agents.connect();
        return agents;
    }

    /** Waits until every agent has a tunnel. An error holds what the agents said last. */
    async connect(): Promise<void> {
        await until(`${this.count} agents to connect`, 120, async () => (await this.since(0)).connected === this.count).catch(
            async (error: Error) => {
                throw new Error(`${error.message}\n${await this.host.sh("journalctl -q -n 100 -u 'agent-*'")}`);
            },
        );
    }

    /** Returns what happened to the tunnels since a time, in milliseconds since 1970. */
    async since(time: number): Promise<Tunnels> {
        const said = await this.host.sh("journalctl -q -o short-unix -u 'agent-*'");
        const events = [...said.matchAll(/^(\S+) \S+ (agent-\d+)\[\d+\]: (connected|disconnected)/gm)];
        const gone = new Map<string, number>();
        const connected = new Set<string>();
        const result = { lost: 0, awayLongest: 0 };
        for (const [, seconds, agent, event] of events) {
            const at = Number(seconds);
            if (event === "disconnected") {
                connected.delete(agent);
                gone.set(agent, at);
                if (at >= time / 1000) result.lost++;
            } else {
                connected.add(agent);
                if (at >= time / 1000 && gone.has(agent)) result.awayLongest = Math.max(result.awayLongest, at - gone.get(agent)!);
            }
        }
        return { ...result, connected: connected.size };
    }
}
