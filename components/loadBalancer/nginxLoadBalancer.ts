import type * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { needsAttention } from "../attention";
import { hostProgram, observeHost } from "../remote/commands";
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
import { nginxLoadBalancerSchema, hostsSchema } from "./schema";

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
        refuseOutputs(this, `NginxLoadBalancer ${name}`, { hosts: args.hosts, virtualIp: args.virtualIp, drift: args.drift });
        const settings = validated(this, `NginxLoadBalancer ${name}`, nginxLoadBalancerSchema, args);
        // All that a look at the hosts needs: known before the nodes are, so that a host that is unfit is told before a cluster is built.
        const place = validated(this, `NginxLoadBalancer ${name}`, hostsSchema, {
            ssh: args.ssh,
            hosts: args.hosts,
            virtualIp: args.virtualIp,
            takeOver: args.takeOver,
        });
        // A literal is refused before anything is registered.
        for (const { address } of args.hosts) if (typeof address === "string") this.claim(name, address);
        const child = { parent: this };
        const mode = args.drift ?? DriftMode.Enforce;
        const routerId = args.virtualIp && this.routerId(name, args.virtualIp);
        // A preview shows keys as digests, and certificates are public.
        const shown = { ...args, ssh: undefined, hosts: [], certificateChain: "", privateKey: "", secondCertificate: undefined };

        // The same address in another stack, or below another load balancer, is another owner.
        const scope = `${stackName()}/${name}`;
        // From the arguments: all that is validated is unknown as long as a node is.
        const identities = args.hosts.map(({ address }) => pulumi.unsecret(pulumi.output(address)));
        const owners = identities.map((identity, index) =>
            identity.apply(address => {
                this.claim(name, address);
                return `${scope}/${name}-host-${index + 1}@${address}`;
            }),
        );

        // The order in which a pair is changed depends on who holds the virtual IP, whatever is done about drift.
        const observations =
            mode === DriftMode.Off && args.hosts.length < 2
                ? []
                : args.hosts.map((_, index) =>
                      observeHost(
                          place.hosts[index],
                          pulumi.all([place, owners[index]]).apply(([known, owner]) => probeScript(known, index, owner)),
                          `NginxLoadBalancer ${name}`,
                          this,
                      ),
                  );
        const active = pulumi.all([pulumi.unsecret(settings), pulumi.all(observations)]).apply(([{ hosts, virtualIp }, seen]) => {
            this.report(
                hosts.map(({ address }) => address),
                virtualIp?.address,
                seen,
            );
            return activeHost(seen);
        });

        const commands: command.remote.Command[] = identities.map((identity, index) => {
            const resource = `${name}-host-${index + 1}`;
            const vrrp = pulumi.all([settings, routerId]).apply(([known, id]) => (id === undefined ? undefined : vrrpOf(known, index, id)));
            const release = pulumi.all([settings, vrrp]).apply(known => releaseFor(...known));
            // A digest of public files.
            const releaseName = pulumi.unsecret(release).apply(({ name }) => name);
            // Not asked for without a release on the host: in a first preview it is not known which one is wanted.
            const outdated = ({ state, facts }: Probe) =>
                state === "unreachable" || facts.release === undefined
                    ? pulumi.output([])
                    : releaseName.apply(wanted => otherRelease(facts.release, wanted));
            const epoch = driftEpoch(
                `${name}-drift-${index + 1}`,
                {
                    mode,
                    observe: () => observations[index],
                    outdated,
                    desired: secretAs(
                        shown,
                        release.apply(({ files }) => describeFiles(files)),
                    ),
                },
                child,
            );
            const program = pulumi.output({ owner: owners[index], settings, release, epoch, vrrp }).apply(hostScript);
            const command = hostProgram(
                resource,
                { connection: settings.hosts[index], identity, program, timeoutSeconds: 600 },
                {
                    ...child,
                    dependsOn: active.apply(last => (index === last ? commands.filter((_, other) => other !== index) : [])),
                    // A new host serves before the old one goes; but never are there three for one virtual IP.
                    deleteBeforeReplace: args.hosts.length > 1,
                },
            );
            if (mode !== DriftMode.Off) {
                warnOfSetBack(resource, mode, observations[index].apply(outdated), command.stdout);
                this.warnOfOtherApply(resource, pulumi.all([observations[index], releaseName, command.stdout]));
            }
            return command;
        });

        const done = pulumi.all(commands.map(({ id }) => id));
        this.fingerprint = pulumi.all(commands.map(({ stdout }) => stdout.apply(lastLine))).apply(all => all.join(" "));
        const addresses = pulumi.unsecret(pulumi.all([settings, done]).apply(([{ hosts, virtualIp }]) => ({ hosts, virtualIp })));
        this.addresses = addresses.apply(({ hosts, virtualIp }) => (virtualIp ? [virtualIp.address] : hosts.map(({ address }) => address)));
        this.servingAddresses = addresses.apply(({ hosts, virtualIp }) => [
            ...(virtualIp ? [virtualIp.address] : []),
            ...hosts.map(({ address }) => address),
        ]);
        this.registerOutputs({
            addresses: this.addresses,
            servingAddresses: this.servingAddresses,
            fingerprint: this.fingerprint,
        });
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

/** The load balancer of each host, by the stack resource of the program: one process may run several programs. */
const claimedHosts = new WeakMap<pulumi.Resource, Map<string, { name: string; by: NginxLoadBalancer }>>();

/** A login shell may have said something before. */
const lastLine = (text: string) => text.trim().split("\n").pop()!;
