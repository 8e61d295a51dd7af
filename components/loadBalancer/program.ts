import { join } from "path";
import { warnDays } from "../certificates/endings";
import { innerAddress } from "../remote/addresses";
import { shellProgram } from "../remote/programs";
import { downFile, Vrrp } from "./keepalivedConf";
import { vrrpTable } from "./keepalivedService";
import { mark } from "./mark";
import { maxWorkerConnections, reservedFiles } from "./nginxConf";
import { certificateFiles } from "./nginxServers";
import { places, Release, secrets } from "./release";
import { apiServers, HostsSettings, NginxSettings, openPorts } from "./schema";

/** Sources of the program for a load balancer host. */
export const scripts = [
    "lib",
    "clock",
    "processes",
    "checks",
    "packages",
    "adoption",
    "certificate",
    "ping",
    "release",
    "switch",
    "drift",
    "main",
].map(name => join(__dirname, "host", `${name}.sh`));

/** Returns the program that probes a host. It reports drift, or the reason why the host cannot become a load balancer. */
export function probeScript(settings: HostsSettings, index: number, owner: string): string {
    const { hosts, virtualIp, takeOver } = settings;
    return shellProgram(scripts, {
        owner,
        ports: openPorts(settings),
        mark,
        places,
        warn_days: String(warnDays),
        take_over: takeOver ? "yes" : "",
        own_address: innerAddress(hosts[index]),
        virtual_ip: virtualIp?.address ?? "",
        peer: virtualIp ? innerAddress(hosts[1 - index]) : "",
        vrrp_table: vrrpTable,
    });
}

export interface HostProgram {
    /** Only the owner's program destroys the host, because hosts may swap places in the list or replace each other. */
    owner: string;
    settings: NginxSettings;
    release: Release;
    /** A higher epoch only makes the program run again. */
    epoch: number;
    vrrp?: Vrrp;
}

/** Returns the program that makes a host serve a release. */
export function hostScript({ owner, settings, release, epoch, vrrp }: HostProgram): string {
    const files = Object.entries(release.files).map(([name, text], index) => ({ name, text, variable: `file_${index + 1}` }));
    return shellProgram(scripts, {
        owner,
        drift_epoch: String(epoch),
        hostname: settings.hostname,
        status_port: String(settings.statusPort),
        ports: openPorts(settings),
        release: release.name,
        certificates: certificateFiles(settings)
            .map(({ chain, key }) => `${chain} ${key}`)
            .join("\n"),
        max_connections: String(maxWorkerConnections),
        reserved_files: String(reservedFiles),
        take_over: settings.takeOver ? "yes" : "",
        own_address: vrrp?.address ?? "",
        virtual_ip: vrrp?.virtualIp ?? "",
        peer: vrrp?.peer ?? "",
        vrrp_table: vrrpTable,
        // A takeover takes three missed advertisements, and up to one more interval for the lower priority.
        takeover_seconds: String(Math.ceil(4 * (vrrp?.advertIntervalSeconds ?? 0))),
        down_file: downFile,
        timeout_seconds: String(settings.timeoutSeconds),
        mark,
        places,
        secrets,
        stream: apiServers(settings) ? "yes" : "",
        files: files.map(({ name, variable }) => `${name} ${variable}`).join("\n"),
        ...Object.fromEntries(files.map(({ variable, text }) => [variable, text])),
    });
}

/** Returns the VRRP settings of a host of a pair. */
export function vrrpOf(settings: NginxSettings, index: number, routerId: number): Vrrp {
    const { address, advertIntervalSeconds } = settings.virtualIp!;
    const [own, peer] = [settings.hosts[index], settings.hosts[1 - index]].map(innerAddress);
    return { routerId, advertIntervalSeconds, address: own, peer, virtualIp: address, priority: 150 - 50 * index };
}
