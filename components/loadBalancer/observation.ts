/** What the probe of a host says: facts in a first line, then `in sync` or what differs. */
export interface Observation {
    /** Version of NGINX, when the host has it. */
    nginxVersion?: string;
    /** Whether the host holds the virtual IP. */
    holdsVirtualIp: boolean;
    /** `in sync`, `unreachable: <reason>`, or one line for each thing that differs. */
    findings: string;
}

export function parseObservation(text: string): Observation {
    const [, facts, rest] = /^facts:(.*)\n([^]*)$/.exec(text) ?? [undefined, "", text];
    const fact = (name: string) => new RegExp(` ${name}=(\\S+)`).exec(facts)?.[1];
    return { nginxVersion: fact("nginx"), holdsVirtualIp: fact("virtual-ip") === "held", findings: rest };
}

/** The host that users reach now: it is changed last. */
export function activeHost(observations: Observation[]): number {
    const holder = observations.findIndex(({ holdsVirtualIp }) => holdsVirtualIp);
    const answering = observations.findIndex(({ findings }) => !findings.startsWith("unreachable: "));
    return Math.max(holder >= 0 ? holder : answering, 0);
}

/** What is wrong between the hosts of a pair and no change of a host repairs; undefined when all is well. */
export function pairFault(virtualIp: string, hosts: string[], observations: Observation[]): string | undefined {
    const running = observations.length > 0 && observations.every(({ findings }) => !/^(unreachable: |not installed)/.test(findings));
    if (!running) return undefined;
    const holders = observations.filter(({ holdsVirtualIp }) => holdsVirtualIp).length;
    if (holders === 1) return undefined;
    return holders === 0
        ? `no host holds the virtual IP ${virtualIp}: users get no answer. Look at \`journalctl -u keepalived -u nginx\` on ${hosts.join(" and ")}`
        : `both ${hosts.join(" and ")} hold the virtual IP ${virtualIp}: they do not hear each other, and each answers a part of the users. ` +
              "Let VRRP (IP protocol 112) pass between them";
}
