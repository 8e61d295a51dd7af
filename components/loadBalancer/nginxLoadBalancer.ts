import type * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { needsAttention } from "../attention";
import { hostProgram, observeHost } from "../remote/commands";
import { driftEpoch, DriftMode, warnOfSetBack } from "../remote/drift";
import { Probe } from "../remote/probe";
import { stackName } from "../owner";
import { secretAs } from "../secrecy";
import { inState, Refusal, refuseOutputs, validated } from "../validation";
import { NginxLoadBalancerArgs } from "./args";
import { LoadBalancerHostArgs, VirtualIpArgs } from "./hosts";
import { upgradeGains } from "./nginxVersions";
import { isLeftOut, lastHost, otherApply, otherRelease, pairFault, unreachableNewcomer, virtualIpInUse } from "./observation";
import { withoutOwnDirectives } from "./ownDirectives";
import { hostScript, probeScript, vrrpOf } from "./program";
import { describeFiles, releaseFor } from "./release";
import {
    certificateInDanger,
    HostsSettings,
    hostsSchema,
    loadBalancerSettingsSchema,
    nginxLoadBalancerSchema,
    NginxSettings,
} from "./schema";

/**
 * NGINX on one host or a pair, as the layer-7 load balancer that ends TLS for Rancher. The files of a host form a release. The host's
 * program checks the release, switches to it in one step, verifies what NGINX really serves, and rolls back after a failure. Of a pair, the
 * standby host is changed first. The active host is changed only after that has succeeded. A new host comes after its peer. While one host
 * of a pair is unreachable, the other one is changed alone. Every preview probes files, modes, services, versions and the holder of the
 * virtual IP.
 */
export class NginxLoadBalancer extends pulumi.ComponentResource {
    /** Addresses that the DNS name must point to, for users and agents: the virtual IP, or the only host. */
    readonly addresses: pulumi.Output<string[]>;
    /** All addresses that serve Rancher: the virtual IP and the hosts behind it. An unreachable host of a pair is missing. */
    readonly servingAddresses: pulumi.Output<string[]>;
    /** Changes whenever the files that a host serves change. */
    readonly fingerprint: pulumi.Output<string>;

    constructor(name: string, args: NginxLoadBalancerArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:NginxLoadBalancer", name, {}, opts);
        const { ssh, hosts, virtualIp, kubernetesApi, takeOver, drift } = args;
        refuseOutputs(this, `NginxLoadBalancer ${name}`, { hosts, virtualIp, kubernetesApi, drift });
        const settings = validated(this, `NginxLoadBalancer ${name}`, withoutOwnDirectives(nginxLoadBalancerSchema), args);
        const mode = loadBalancerSettingsSchema.shape.drift.parse(drift);
        // These settings are known before the nodes are, so an unusable host is refused before a cluster is built.
        const reached = validated(this, `NginxLoadBalancer ${name}`, hostsSchema, {
            ...{ ssh, hosts, virtualIp, kubernetesApi, takeOver },
            // The nodes may be unknown yet.
            controlPlane: args.controlPlane && "given",
        });

        pulumi.unsecret(settings).apply(({ certificateOnHost }) => {
            const danger = certificateOnHost && certificateInDanger(certificateOnHost);
            if (danger) void pulumi.log.warn(danger, this);
        });

        const owned = this.owned(name, hosts);
        // The holder of the virtual IP decides which host of a pair is changed first, even when drift is off.
        const isLookedAt = mode !== DriftMode.Off || hosts.length > 1;
        const found = isLookedAt ? owned.map(({ owner }, index) => this.look(name, reached, index, owner)) : [];
        const leftOut = found.map((_, index) => pulumi.all(found).apply(probes => isLeftOut(probes, index)));
        const last = this.changedLast(name, reached, found);
        const routerId = virtualIp && this.routerId(name, virtualIp);
        const commands: command.remote.Command[] = owned.map((host, index) => {
            // The callback runs only after the list is complete.
            const dependsOn = last.apply(active => (index === active ? commands.filter((_, other) => other !== index) : []));
            return this.host(name, index, args, {
                ...host,
                mode,
                settings,
                routerId,
                found: found[index],
                leftOut: leftOut[index],
                dependsOn,
            });
        });

        const done = pulumi.all(commands.map(({ id }) => id));
        this.fingerprint = pulumi.all(commands.map(({ stdout }) => inState(stdout).apply(lastLine))).apply(all => all.join(" "));
        const shown = pulumi.unsecret(pulumi.all([settings, done])).apply(([known]) => addressesOf(known));
        this.addresses = shown.apply(({ hosts: own, virtualIp: shared }) => shared ?? own);
        this.servingAddresses = pulumi
            .all([shown, pulumi.all(leftOut)])
            .apply(([{ hosts: own, virtualIp: shared = [] }, isOut]) => [...shared, ...own.filter((_, index) => !isOut[index])]);
        this.registerOutputs({
            addresses: this.addresses,
            servingAddresses: this.servingAddresses,
            fingerprint: this.fingerprint,
        });
    }

    /** Claims the hosts, and returns the owner of each. The same address in another stack or load balancer has another owner. */
    private owned(name: string, hosts: LoadBalancerHostArgs[]): OwnedHost[] {
        // A literal address is refused before anything is registered.
        for (const { address } of hosts) if (typeof address === "string") this.claim(name, address);
        return hosts.map(({ address }, index) => {
            // The address comes from the arguments, because validated settings are unknown while a node is unknown.
            const identity = pulumi.unsecret(pulumi.output(address));
            const owner = identity.apply(known => {
                this.claim(name, known);
                return `${stackName()}/${name}/${name}-host-${index + 1}@${known}`;
            });
            return { identity, owner };
        });
    }

    /** Probes a host in every preview and update. */
    private look(name: string, reached: pulumi.Output<HostsSettings>, index: number, owner: pulumi.Output<string>): pulumi.Output<Probe> {
        const program = pulumi.all([reached, owner]).apply(([known, by]) => probeScript(known, index, by));
        return observeHost(reached.hosts[index], program, `NginxLoadBalancer ${name}`, this);
    }

    /**
     * Returns the index of the host that is changed last. Refuses a virtual IP that is in use and a new host that is
     * unreachable, and reports faults that no change of a host repairs.
     */
    private changedLast(name: string, reached: pulumi.Output<HostsSettings>, found: pulumi.Output<Probe>[]): pulumi.Output<number> {
        return pulumi.all([pulumi.unsecret(reached), pulumi.all(found)]).apply(([{ hosts, virtualIp }, probes]) => {
            const addresses = hosts.map(({ address }) => address);
            const inUse = virtualIp && virtualIpInUse(virtualIp.address, probes);
            if (inUse) throw new Refusal("host-not-fit", `NginxLoadBalancer ${name}: ${inUse}`, this);
            const newcomer = unreachableNewcomer(hosts, probes);
            if (newcomer) throw new Refusal("change-not-possible", `NginxLoadBalancer ${name}: ${newcomer}`, this);
            this.report(addresses, virtualIp?.address, probes);
            return lastHost(hosts, probes);
        });
    }

    /** Registers the resources of one host: its latch, and the program that makes it serve. */
    private host(name: string, index: number, args: NginxLoadBalancerArgs, parts: HostParts): command.remote.Command {
        const { owner, identity, settings, mode, routerId, found, leftOut, dependsOn } = parts;
        const resource = `${name}-host-${index + 1}`;
        const vrrp = pulumi.all([settings, routerId]).apply(([known, id]) => (id === undefined ? undefined : vrrpOf(known, index, id)));
        const release = pulumi.all([settings, vrrp]).apply(known => releaseFor(...known));
        // The name is a digest of public files, so it is no secret.
        const releaseName = pulumi.unsecret(release).apply(({ name: digest }) => digest);
        // A host without a release is not compared, because a first preview does not know the wanted release.
        const outdated = ({ state, facts }: Probe) =>
            state === "unreachable" || facts.release === undefined
                ? pulumi.output([])
                : releaseName.apply(wanted => otherRelease(facts.release, wanted));
        const files = release.apply(known => describeFiles(known.files));
        const desired = secretAs(withoutSecrets(args), files);
        const epoch = driftEpoch(`${name}-drift-${index + 1}`, { mode, found, outdated, desired }, { parent: this });
        const command = hostProgram(
            resource,
            {
                connection: settings.hosts[index],
                identity,
                isLeftOut: leftOut,
                program: pulumi.output({ owner, settings, release, epoch, vrrp }).apply(hostScript),
                timeoutSeconds: pulumi.unsecret(settings.timeoutSeconds),
            },
            // A single new host serves before the old one is destroyed. A virtual IP never has three hosts.
            { parent: this, dependsOn, deleteBeforeReplace: args.hosts.length > 1 },
        );
        if (found && mode !== DriftMode.Off) {
            warnOfSetBack(resource, mode, found.apply(outdated), command.stdout);
            this.warnOfOtherApply(resource, pulumi.all([found, releaseName, command.stdout]));
        }
        return command;
    }

    /** Refuses a host that another load balancer of this program uses. */
    private claim(name: string, host: string): void {
        const stack = pulumi.runtime.getStackResource();
        // Mocks of a user's own test and programs in other languages have no stack resource. There the host refuses the second apply.
        if (!stack) return;
        const claims = claimedHosts.get(stack) ?? new Map<string, { name: string; by: NginxLoadBalancer }>();
        claimedHosts.set(stack, claims);
        const first = claims.get(host) ?? { name, by: this };
        claims.set(host, first);
        if (first.by === this) return;
        throw new Refusal(
            "other-owner",
            `NginxLoadBalancer ${name}: hosts: expected hosts of its own, found ${host}, which is a host of NginxLoadBalancer ${first.name} too. ` +
                "Give each load balancer another host",
            this,
        );
    }

    /** Warns of an apply by another program. Only a preview without a change knows the result of the last apply. */
    private warnOfOtherApply(resource: string, known: pulumi.Output<[Probe, string, string]>): void {
        if (!pulumi.runtime.isDryRun()) return;
        known.apply(([found, wanted, result]) => {
            const fault = otherApply(found, wanted, lastLine(result));
            if (fault) needsAttention(`${resource}: ${fault}`, this);
        });
    }

    private routerId(name: string, { routerId }: VirtualIpArgs): pulumi.Output<number> {
        if (routerId !== undefined) return pulumi.output(routerId);
        return inState(new random.RandomInteger(`${name}-router-id`, { min: 1, max: 255 }, { parent: this }).result);
    }

    /** Reports faults of the pair, which no change of a host repairs, and improvements of a newer NGINX. */
    private report(hosts: string[], virtualIp: string | undefined, observations: Probe[]): void {
        const fault = virtualIp && pairFault(virtualIp, hosts, observations);
        if (fault) needsAttention(fault, this);
        hosts.forEach((host, index) => {
            if (observations[index] && isLeftOut(observations, index))
                needsAttention(
                    `${host} is unreachable: this update leaves it as it is, and waits for it only if it is new. ` +
                        "Run pulumi up again when the host answers",
                    this,
                );
        });
        observations.forEach(({ facts: { nginx: nginxVersion } }, index) => {
            const gains = nginxVersion ? upgradeGains(nginxVersion) : [];
            if (gains.length > 0)
                void pulumi.log.info(`${hosts[index]} has NGINX ${nginxVersion}; a newer one would bring: ${gains.join("; ")}`, this);
        });
    }
}

interface OwnedHost {
    /** Address of the host. Another address means another host. */
    identity: pulumi.Output<string>;
    /** Owner of the host, as ORGANIZATION/PROJECT/STACK/LOAD BALANCER/RESOURCE@ADDRESS. */
    owner: pulumi.Output<string>;
}

interface HostParts extends OwnedHost {
    mode: DriftMode;
    settings: pulumi.Output<NginxSettings>;
    routerId?: pulumi.Output<number>;
    /** Result of the host's probe. Undefined without a probe. */
    found?: pulumi.Output<Probe>;
    /** True when this update leaves the host as it is. */
    leftOut?: pulumi.Output<boolean>;
    /** Programs of other hosts that run first. */
    dependsOn: pulumi.Output<pulumi.Resource[]>;
}

/** Returns the arguments that decide whether a preview hides the files. Keys are shown as digests, and certificates are public. */
const withoutSecrets = (args: NginxLoadBalancerArgs) => ({
    ...args,
    ssh: undefined,
    hosts: [],
    certificateChain: "",
    privateKey: "",
    secondCertificate: undefined,
});

const addressesOf = ({ hosts, virtualIp }: NginxSettings) => ({
    hosts: hosts.map(({ address }) => address),
    virtualIp: virtualIp && [virtualIp.address],
});

/** Maps each host to its load balancer, by the program's stack resource, because one process may run several programs. */
const claimedHosts = new WeakMap<pulumi.Resource, Map<string, { name: string; by: NginxLoadBalancer }>>();

/** Returns the last line. A login shell may print text before it. */
const lastLine = (text: string) => text.trim().split("\n").pop()!;
