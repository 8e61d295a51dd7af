import type * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { needsAttention } from "../attention";
import { hostProgram, observeHost } from "../remote/commands";
import { HostArgs } from "../remote/connection";
import { driftEpoch, DriftMode, warnOfSetBack } from "../remote/drift";
import { Probe } from "../remote/probe";
import { stackName } from "../owner";
import { secretAs } from "../secrecy";
import { Refusal, refuseOutputs, validated } from "../validation";
import { NginxLoadBalancerArgs, VirtualIpArgs } from "./args";
import { upgradeGains } from "./nginxVersions";
import { activeHost, otherApply, otherRelease, pairFault } from "./observation";
import { hostScript, probeScript, vrrpOf } from "./program";
import { describeFiles, releaseFor } from "./release";
import { HostsSettings, hostsSchema, nginxLoadBalancerSchema, NginxSettings } from "./schema";

/**
 * NGINX on one host or a pair, as the layer-7 load balancer that ends TLS for Rancher. What a host serves is a release: staged,
 * checked, switched at once, checked in what is really served, and rolled back when that fails. Of a pair, the host that users do
 * not reach is changed first, and the other one only when that went well. Files, modes, services, versions and the holder of the
 * virtual IP are looked at in every preview.
 */
export class NginxLoadBalancer extends pulumi.ComponentResource {
    /** Where users and agents connect, and the DNS name must lead: the virtual IP, or the only host. */
    readonly addresses: pulumi.Output<string[]>;
    /** Every address that serves: the virtual IP and the hosts behind it. */
    readonly servingAddresses: pulumi.Output<string[]>;
    /** Changes whenever what a host serves changes. */
    readonly fingerprint: pulumi.Output<string>;

    constructor(name: string, args: NginxLoadBalancerArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:NginxLoadBalancer", name, {}, opts);
        const { ssh, hosts, virtualIp, takeOver, drift } = args;
        refuseOutputs(this, `NginxLoadBalancer ${name}`, { hosts, virtualIp, drift });
        const mode = drift ?? DriftMode.Enforce;
        const settings = validated(this, `NginxLoadBalancer ${name}`, nginxLoadBalancerSchema, args);
        // Known before the nodes are: an unfit host is told before a cluster is built.
        const reached = validated(this, `NginxLoadBalancer ${name}`, hostsSchema, { ssh, hosts, virtualIp, takeOver });

        const owned = this.owned(name, hosts);
        // The order in which a pair is changed depends on who holds the virtual IP, whatever is done about drift.
        const isLookedAt = mode !== DriftMode.Off || hosts.length > 1;
        const found = isLookedAt ? owned.map(({ owner }, index) => this.look(name, reached, index, owner)) : [];
        const last = this.changedLast(settings, found);
        const routerId = virtualIp && this.routerId(name, virtualIp);
        const commands: command.remote.Command[] = owned.map((host, index) => {
            // The output is known only after this list is complete.
            const dependsOn = last.apply(active => (index === active ? commands.filter((_, other) => other !== index) : []));
            return this.host(name, index, args, { ...host, mode, settings, routerId, found: found[index], dependsOn });
        });

        const done = pulumi.all(commands.map(({ id }) => id));
        this.fingerprint = pulumi.all(commands.map(({ stdout }) => stdout.apply(lastLine))).apply(all => all.join(" "));
        const shown = pulumi.unsecret(pulumi.all([settings, done])).apply(([known]) => addressesOf(known));
        this.addresses = shown.apply(({ hosts: own, virtualIp: shared }) => shared ?? own);
        this.servingAddresses = shown.apply(({ hosts: own, virtualIp: shared = [] }) => [...shared, ...own]);
        this.registerOutputs({
            addresses: this.addresses,
            servingAddresses: this.servingAddresses,
            fingerprint: this.fingerprint,
        });
    }

    /** Claims the hosts, and names the owner of each. The same address in another stack or load balancer has another owner. */
    private owned(name: string, hosts: HostArgs[]): OwnedHost[] {
        // A literal is refused before anything is registered.
        for (const { address } of hosts) if (typeof address === "string") this.claim(name, address);
        return hosts.map(({ address }, index) => {
            // From the arguments: all that is validated is unknown as long as a node is.
            const identity = pulumi.unsecret(pulumi.output(address));
            const owner = identity.apply(known => {
                this.claim(name, known);
                return `${stackName()}/${name}/${name}-host-${index + 1}@${known}`;
            });
            return { identity, owner };
        });
    }

    /** Looks at a host, in every preview and update. */
    private look(name: string, reached: pulumi.Output<HostsSettings>, index: number, owner: pulumi.Output<string>): pulumi.Output<Probe> {
        const program = pulumi.all([reached, owner]).apply(([known, by]) => probeScript(known, index, by));
        return observeHost(reached.hosts[index], program, `NginxLoadBalancer ${name}`, this);
    }

    /** Tells which host is changed last: the one that users reach. Reports on the way what no change of a host repairs. */
    private changedLast(settings: pulumi.Output<NginxSettings>, found: pulumi.Output<Probe>[]): pulumi.Output<number> {
        return pulumi.all([pulumi.unsecret(settings), pulumi.all(found)]).apply(([{ hosts, virtualIp }, probes]) => {
            const addresses = hosts.map(({ address }) => address);
            this.report(addresses, virtualIp?.address, probes);
            return activeHost(probes);
        });
    }

    /** Registers what belongs to one host: its latch, and the program that makes it serve. */
    private host(name: string, index: number, args: NginxLoadBalancerArgs, parts: HostParts): command.remote.Command {
        const { owner, identity, settings, mode, routerId, found, dependsOn } = parts;
        const resource = `${name}-host-${index + 1}`;
        const vrrp = pulumi.all([settings, routerId]).apply(([known, id]) => (id === undefined ? undefined : vrrpOf(known, index, id)));
        const release = pulumi.all([settings, vrrp]).apply(known => releaseFor(...known));
        // A digest of public files.
        const releaseName = pulumi.unsecret(release).apply(({ name: digest }) => digest);
        // Not asked for without a release on the host: in a first preview it is not known which one is wanted.
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
                program: pulumi.output({ owner, settings, release, epoch, vrrp }).apply(hostScript),
                timeoutSeconds: 600,
            },
            // A new host serves before the old one goes; but never are there three for one virtual IP.
            { parent: this, dependsOn, deleteBeforeReplace: args.hosts.length > 1 },
        );
        if (found && mode !== DriftMode.Off) {
            warnOfSetBack(resource, mode, found.apply(outdated), command.stdout);
            this.warnOfOtherApply(resource, pulumi.all([found, releaseName, command.stdout]));
        }
        return command;
    }

    /** Refuses a host that another load balancer of this program has. */
    private claim(name: string, host: string): void {
        const stack = pulumi.runtime.getStackResource();
        // Mocks of a user's own test, and programs in other languages, have none: there the host itself refuses the second apply.
        if (!stack) return;
        const claims = claimedHosts.get(stack) ?? new Map<string, { name: string; by: NginxLoadBalancer }>();
        claimedHosts.set(stack, claims);
        const first = claims.get(host) ?? { name, by: this };
        claims.set(host, first);
        if (first.by === this) return;
        throw new Refusal(
            `NginxLoadBalancer ${name}: hosts: expected hosts of its own, found ${host}, which is a host of NginxLoadBalancer ${first.name} too. ` +
                "Give each load balancer another host",
            this,
        );
    }

    /** Warns in a preview without a change, the only run that knows the result of the last apply. */
    private warnOfOtherApply(resource: string, known: pulumi.Output<[Probe, string, string]>): void {
        if (!pulumi.runtime.isDryRun()) return;
        known.apply(([found, wanted, result]) => {
            const fault = otherApply(found, wanted, lastLine(result));
            if (fault) needsAttention(`${resource}: ${fault}`, this);
        });
    }

    private routerId(name: string, { routerId }: VirtualIpArgs): pulumi.Output<number> {
        if (routerId !== undefined) return pulumi.output(routerId);
        return new random.RandomInteger(`${name}-router-id`, { min: 1, max: 255 }, { parent: this }).result;
    }

    /** Says what a reader of a preview should know and no change of a host repairs. */
    private report(hosts: string[], virtualIp: string | undefined, observations: Probe[]): void {
        const fault = virtualIp && pairFault(virtualIp, hosts, observations);
        if (fault) needsAttention(fault, this);
        observations.forEach(({ facts: { nginx: nginxVersion } }, index) => {
            const gains = nginxVersion ? upgradeGains(nginxVersion) : [];
            if (gains.length > 0)
                void pulumi.log.info(`${hosts[index]} has NGINX ${nginxVersion}; a newer one would bring: ${gains.join("; ")}`, this);
        });
    }
}

interface OwnedHost {
    /** Address of the host: another one is another host. */
    identity: pulumi.Output<string>;
    /** ORGANIZATION/PROJECT/STACK/LOAD BALANCER/RESOURCE@ADDRESS. */
    owner: pulumi.Output<string>;
}

interface HostParts extends OwnedHost {
    mode: DriftMode;
    settings: pulumi.Output<NginxSettings>;
    routerId?: pulumi.Output<number>;
    /** What a look at the host found. Undefined when nobody looks. */
    found?: pulumi.Output<Probe>;
    /** Programs of other hosts that run first. */
    dependsOn: pulumi.Output<pulumi.Resource[]>;
}

/** Returns the arguments whose secrecy counts for what a preview shows: keys are shown as digests, and certificates are public. */
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

/** The load balancer of each host, by the stack resource of the program: one process may run several programs. */
const claimedHosts = new WeakMap<pulumi.Resource, Map<string, { name: string; by: NginxLoadBalancer }>>();

/** A login shell may have said something before. */
const lastLine = (text: string) => text.trim().split("\n").pop()!;
