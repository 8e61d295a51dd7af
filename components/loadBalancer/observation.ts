import { Probe } from "../remote/probe";

/**
 * Facts that the probe of a host tells: `nginx`, its version; `release`; `applied`, what its last apply printed; `virtual-ip`, `held` or
 * `free` on a host of a pair.
 */
const holdsVirtualIp = ({ facts }: Probe) => facts["virtual-ip"] === "held";

/** The host that users reach now: it is changed last. */
export function activeHost(probes: Probe[]): number {
    const holder = probes.findIndex(holdsVirtualIp);
    const answering = probes.findIndex(({ state }) => state !== "unreachable");
    return Math.max(holder >= 0 ? holder : answering, 0);
}

/** What is wrong between the hosts of a pair and no change of a host repairs; undefined when all is well. */
export function pairFault(virtualIp: string, hosts: string[], probes: Probe[]): string | undefined {
    const running = probes.length > 0 && probes.every(({ state }) => state !== "unreachable" && state !== "absent");
    if (!running) return undefined;
    const holders = probes.filter(holdsVirtualIp).length;
    if (holders === 1) return undefined;
    return holders === 0
        ? `no host holds the virtual IP ${virtualIp}: users get no answer. Look at \`journalctl -u keepalived -u nginx\` on ${hosts.join(" and ")}`
        : `both ${hosts.join(" and ")} hold the virtual IP ${virtualIp}: they do not hear each other, and each answers a part of the users. ` +
              "Let VRRP (IP protocol 112) pass between them";
}

/** Tells of a host that serves another release than the configuration makes: the change is still to come, or the host was set back. */
export function otherRelease(release: string, wanted: string): string[] {
    return release === wanted ? [] : [`release ${release}, expected ${wanted}, which this configuration makes`];
}

/** Tells of a host on which the wanted release was not recorded by the last apply of this stack, whose result is `last`. */
export function otherApply({ facts: { release, applied } }: Probe, wanted: string, last: string): string | undefined {
    if (release !== wanted || applied === undefined || applied === last) return undefined;
    return (
        `the host records another apply of release ${release} (${applied}) than the last one of this stack (${last}): ` +
        "a backup was restored there, or another program applied it. Look whether this is the right host"
    );
}
