import { innerAddress } from "../remote/addresses";
import { Probe } from "../remote/probe";

/**
 * Reports whether a host holds the virtual IP. The probe of a host reports these facts: `nginx`, its version; `release`; `applied`, the
 * output of its last apply. The probe of a host of a pair also reports `virtual-ip`, `held` or `free`. `peer` holds the inner addresses of the
 * other host, and of the one that it replaces. Before the host gets the virtual IP, it reports `virtual-ip-answers`: the hardware address that answers there.
 */
const holdsVirtualIp = ({ facts }: Probe) => facts["virtual-ip"] === "held";

interface PairHost {
    address: string;
    internalAddress?: string;
}

/** Returns the inner address of the host that a host of a pair would replace: the other host has it as its peer. */
function replacedBy(hosts: PairHost[], probes: Probe[], index: number): string | undefined {
    const peers = probes[1 - index]?.facts.peer?.split(" ") ?? [];
    return peers.includes(innerAddress(hosts[index])) ? undefined : peers[0];
}

/**
 * Returns the index of the host that is changed last: a new host of a pair, so that its peer knows it before, otherwise the active host. When
 * no host holds the virtual IP, this is the first host that answers.
 */
export function lastHost(hosts: PairHost[], probes: Probe[]): number {
    const newcomer = probes.findIndex(({ state }, index) => state === "absent" && replacedBy(hosts, probes, index) !== undefined);
    if (newcomer >= 0) return newcomer;
    const holder = probes.findIndex(holdsVirtualIp);
    const answering = probes.findIndex(({ state }) => state !== "unreachable");
    return Math.max(holder >= 0 ? holder : answering, 0);
}

/** Reports whether an update leaves a host of a pair as it is: the host is unreachable, and the other one is not. */
export function isLeftOut(probes: Probe[], index: number): boolean {
    return probes[index].state === "unreachable" && probes.some(({ state }) => state !== "unreachable");
}

/**
 * Returns why a host of a pair is refused: it is unreachable, and the other host has a peer with another address. An update would leave the
 * earlier peer as it is, and lead the other host away from it: both would then hold the virtual IP.
 */
export function unreachableNewcomer(hosts: PairHost[], probes: Probe[]): string | undefined {
    const index = probes.findIndex((_, each) => isLeftOut(probes, each));
    const replaced = index < 0 ? undefined : replacedBy(hosts, probes, index);
    if (replaced === undefined) return undefined;
    return (
        `hosts[${index}].address: expected a host that answers, because it would replace ${replaced}, ` +
        `found ${hosts[index].address}: ${probes[index].reason}. Bring the new host up first, or correct its address`
    );
}

/**
 * Returns why the virtual IP is refused: a foreign machine answers there. Returns undefined when a host of the pair may have answered,
 * because it has the virtual IP already or its probe failed.
 */
export function virtualIpInUse(virtualIp: string, probes: Probe[]): string | undefined {
    const answers = probes.map(({ facts }) => facts["virtual-ip-answers"]);
    if (answers.length === 0 || answers.some(answer => answer === undefined)) return undefined;
    return (
        `virtualIp.address: expected an address that nothing else uses, found ${virtualIp}, where the network card ${answers[0]} answers. ` +
        "The pair would take the address away from that machine. Choose another address, or free this one first"
    );
}

/**
 * Returns the fault of a pair as a whole: no host, or both, hold the virtual IP. Changing a host does not repair it. Returns undefined for
 * a pair without this fault.
 */
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

/**
 * Reports a host that does not serve the configured release. Either the change is pending, or the host was restored to an earlier state.
 */
export function otherRelease(release: string, wanted: string): string[] {
    return release === wanted ? [] : [`release ${release}, expected ${wanted}, which this configuration makes`];
}

/** Reports a host on which another apply recorded the wanted release. `last` is the result of this stack's last apply. */
export function otherApply({ facts: { release, applied } }: Probe, wanted: string, last: string): string | undefined {
    if (release !== wanted || applied === undefined || applied === last) return undefined;
    return (
        `the host records another apply of release ${release} (${applied}) than the last one of this stack (${last}): ` +
        "a backup was restored there, or another program applied it. Look whether this is the right host"
    );
}
