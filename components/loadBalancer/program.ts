import { join } from "path";
import { warnDays } from "../certificates/pem";
import { shellProgram } from "../remote/programs";
import { Vrrp } from "./keepalivedConf";
import { maxWorkerConnections } from "./nginxConf";
import { certificateFiles } from "./nginxServers";
import { releaseFiles, releaseOf } from "./release";
import { NginxSettings, HostsSettings } from "./schema";

/** The sources of the program for a load balancer host. */
export const scripts = ["lib", "packages", "adoption", "certificate", "release", "drift", "main"].map(name =>
    join(__dirname, "host", `${name}.sh`),
);

/** The program that says what on a host differs from what was last applied, or why it cannot become a load balancer. */
export function probeScript({ hosts, virtualIp, takeOver }: HostsSettings, index: number, owner: string): string {
    return shellProgram(scripts, {
        owner,
        warn_days: String(warnDays),
        take_over: takeOver ? "yes" : "",
        own_address: hosts[index].address,
        virtual_ip: virtualIp?.address ?? "",
    });
}

/**
 * The program that makes a host serve these settings. A higher epoch only makes it run again. The host is noted as the owner's, and
 * only its owner's program destroys it: hosts may change places in the list, or one take the place of another that is left out.
 */
export function hostScript(owner: string, settings: NginxSettings, epoch: number, vrrp?: Vrrp): string {
    const files = Object.entries(releaseFiles(settings, vrrp));
    return shellProgram(scripts, {
        owner,
        drift_epoch: String(epoch),
        hostname: settings.hostname,
        status_port: String(settings.statusPort),
        release: releaseOf(settings, vrrp),
        certificates: certificateFiles(settings)
            .map(({ chain, key }) => `${chain} ${key}`)
            .join("\n"),
        max_connections: String(maxWorkerConnections),
        take_over: settings.takeOver ? "yes" : "",
        own_address: vrrp?.address ?? "",
        virtual_ip: vrrp?.virtualIp ?? "",
        // Three signs of life that are missed, and up to one more for the lower priority.
        takeover_seconds: String(Math.ceil(4 * (vrrp?.advertIntervalSeconds ?? 0))),
        files: files.map(([name]) => name).join("\n"),
        ...Object.fromEntries(files.map(([name, text]) => [variableName(name), text])),
    });
}

/** The shell variable that holds a file. The host program derives the same name. */
function variableName(file: string): string {
    return `file_${file.replace(/[^a-z0-9]/g, "_")}`;
}

/** The part of a host in the pair. */
export function vrrpOf(settings: NginxSettings, index: number, routerId: number): Vrrp {
    const { address, advertIntervalSeconds } = settings.virtualIp!;
    const [own, peer] = [settings.hosts[index].address, settings.hosts[1 - index].address];
    return { routerId, advertIntervalSeconds, address: own, peer, virtualIp: address, priority: 150 - 50 * index };
}
