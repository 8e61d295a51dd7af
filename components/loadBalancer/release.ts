import { createHash } from "crypto";
import { readFileSync } from "fs";
import { dirname, join } from "path";
import { keyAlone, normalizePem } from "../certificates/pem";
import { assignments } from "../remote/programs";
import { downFile, keepalivedConf, keepalivedService, keepalivedServiceValues, Vrrp } from "./keepalivedConf";
import { mark } from "./mark";
import { nginxConf } from "./nginxConf";
import { NginxSettings } from "./schema";
import { sysctlConf } from "./sysctlConf";

interface HostFile {
    name: string;
    /** Path of a copy on the host, and its mode. NGINX reads the other files through the link /etc/nginx/rancher-ha. */
    place?: string;
    mode?: string;
    /** Only root may read the file, and previews show its digest. */
    isSecret?: true;
}

/** All files that a release may have. */
const hostFiles = [
    { name: "nginx.conf" },
    { name: "fullchain.pem" },
    { name: "privkey.pem", isSecret: true },
    { name: "fullchain-2.pem" },
    { name: "privkey-2.pem", isSecret: true },
    { name: "sysctl.conf", place: "/etc/sysctl.d/zz-rancher-ha.conf", mode: "644" },
    { name: "nginx.service.conf", place: "/etc/systemd/system/nginx.service.d/rancher-ha.conf", mode: "644" },
    { name: "nginx-service", place: "/usr/local/sbin/rancher-ha-nginx", mode: "755" },
    { name: "certificate.path", place: "/etc/systemd/system/rancher-ha-certificate.path", mode: "644" },
    { name: "certificate.service", place: "/etc/systemd/system/rancher-ha-certificate.service", mode: "644" },
    { name: "reload-certificate", place: "/usr/local/sbin/rancher-ha-reload-certificate", mode: "755" },
    { name: "logs.timer", place: "/etc/systemd/system/rancher-ha-logs.timer", mode: "644" },
    { name: "logs.service", place: "/etc/systemd/system/rancher-ha-logs.service", mode: "644" },
    { name: "large-logs", place: "/usr/local/sbin/rancher-ha-large-logs", mode: "755" },
    { name: "keepalived.conf", place: "/etc/keepalived/keepalived.conf", mode: "644" },
    { name: "keepalived.service.conf", place: "/etc/systemd/system/keepalived.service.d/rancher-ha.conf", mode: "644" },
    { name: "keepalived-service", place: "/usr/local/sbin/rancher-ha-keepalived", mode: "755" },
    { name: "nginx-answers", place: "/usr/local/sbin/rancher-ha-nginx-answers", mode: "755" },
    { name: "reaches-a-node", place: "/usr/local/sbin/rancher-ha-reaches-a-node", mode: "755" },
] as const satisfies readonly HostFile[];

type FileName = (typeof hostFiles)[number]["name"];

/** Texts of a release's files by name. */
export interface ReleaseFiles extends Partial<Record<FileName, string>> {
    "nginx.conf": string;
}

/** All files of one host. They are staged, checked, switched and rolled back together. */
export interface Release {
    /** Digest of the public files. It changes with each of them, and reveals nothing about keys. */
    name: string;
    files: ReleaseFiles;
}

/** Renders the release of one host. */
export function releaseFor(settings: NginxSettings, vrrp?: Vrrp): Release {
    const files = render(settings, vrrp);
    const named = (name: string) => ({ ...files, "nginx.conf": files["nginx.conf"].replaceAll("@release@", name) });
    const name = digest(JSON.stringify(Object.entries(named("")).filter(([file]) => !isSecret(file)))).slice(0, 12);
    return { name, files: named(name) };
}

/** Returns the files as a preview shows them: the text of public files, the digest of secret ones. */
export function describeFiles(files: ReleaseFiles): Record<string, string> {
    return Object.fromEntries(
        Object.entries(files).map(([name, text]) => (isSecret(name) ? [`${name}, SHA-256`, digest(text)] : [name, text])),
    );
}

/** Files outside of the release's folder, one NAME PLACE MODE line each, for host/switch.sh. */
export const places = hostFiles.flatMap(file => ("place" in file ? [`${file.name} ${file.place} ${file.mode}`] : [])).join("\n");

/** Names of secret files, one line each, for host/release.sh. */
export const secrets = hostFiles.flatMap(file => ("isSecret" in file ? [file.name] : [])).join("\n");

const managed = `# ${mark}\n`;

const isSecret = (name: string) => hostFiles.some(file => file.name === name && "isSecret" in file);

function placeOf(name: FileName): string {
    const file: HostFile = hostFiles.find(each => each.name === name)!;
    return file.place!;
}

/** Renders all files. The release's name is a digest of them, so nginx.conf does not hold the name yet. */
function render(settings: NginxSettings, vrrp: Vrrp | undefined): ReleaseFiles {
    const { certificateChain, privateKey, secondCertificate, certificateOnHost } = settings;
    return {
        "nginx.conf": nginxConf(settings),
        "sysctl.conf": sysctlConf(settings),
        "nginx.service.conf": nginxService,
        "nginx-service": script("sh", { down_file: vrrp ? downFile : "" }, "processes", "nginx-service"),
        ...boundedLogs,
        ...(certificateChain && privateKey && { "fullchain.pem": normalizePem(certificateChain), "privkey.pem": keyAlone(privateKey) }),
        ...(secondCertificate && {
            "fullchain-2.pem": normalizePem(secondCertificate.certificateChain),
            "privkey-2.pem": keyAlone(secondCertificate.privateKey),
        }),
        ...(certificateOnHost && reloadOnRenewal(certificateOnHost, settings.hostname)),
        ...(vrrp && pairFiles(settings, vrrp)),
    };
}

/**
 * A drop-in for NGINX's unit. NGINX is restarted without a limit, because certificates that another tool keeps on the host may appear late.
 * With `KillMode=process` the new process survives a restart.
 */
const nginxService = `${managed}[Unit]
StartLimitIntervalSec=0
[Service]
Restart=on-failure
RestartSec=1
ExecStart=
ExecStart=${placeOf("nginx-service")} start
ExecStop=
ExecStop=-${placeOf("nginx-service")} stop
ExecStopPost=-${placeOf("nginx-service")} ended
KillMode=process
TimeoutStopSec=20
`;

/**
 * Units that rotate the logs of NGINX each hour once one is larger than 1 GB. The distribution rotates them once a day, whatever their size
 * is, and keeps a number of them.
 */
const boundedLogs = {
    "logs.timer": `${managed}[Unit]
Description=Size of NGINX's logs

[Timer]
OnCalendar=hourly

[Install]
WantedBy=timers.target
`,
    "logs.service": `${managed}[Unit]
Description=Rotate large logs of NGINX

[Service]
Type=oneshot
ExecCondition=${placeOf("large-logs")}
ExecStart=/usr/sbin/logrotate --force /etc/logrotate.d/nginx
`,
    "large-logs": script("sh", {}, "large-logs"),
};

function pairFiles({ hostname, statusPort }: NginxSettings, vrrp: Vrrp): Partial<ReleaseFiles> {
    return {
        "keepalived.conf": keepalivedConf(vrrp, { nginxAnswers: placeOf("nginx-answers"), reachesANode: placeOf("reaches-a-node") }),
        "keepalived.service.conf": keepalivedService(vrrp, placeOf("keepalived-service"), managed),
        "keepalived-service": script("sh", keepalivedServiceValues(vrrp), "keepalived-service"),
        // bash can open TCP connections, and every Debian and Ubuntu has it.
        "nginx-answers": script("bash", { status_port: String(statusPort) }, "nginx-answers"),
        "reaches-a-node": script("sh", { hostname, peer: vrrp.peer }, "ping", "reaches-a-node"),
    };
}

/**
 * Renders units that reload NGINX once the files that another tool renews can be served. systemd watches the files, and their folders too:
 * the tool may replace a file or a link, which only a watch on the folder detects. The tool writes one file after the other.
 */
function reloadOnRenewal(
    { certificateChain, privateKey }: { certificateChain: string; privateKey: string },
    hostname: string,
): Partial<ReleaseFiles> {
    return {
        // The unit has no start limit, because systemd would stop watching beyond one.
        "certificate.path": `${managed}[Unit]
Description=Certificate of the load balancer
StartLimitIntervalSec=0

[Path]
${[...new Set([certificateChain, dirname(certificateChain), privateKey, dirname(privateKey)])].map(path => `PathChanged=${path}`).join("\n")}

[Install]
WantedBy=multi-user.target
`,
        "certificate.service": `${managed}[Unit]
Description=Reload NGINX with its renewed certificate
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=${placeOf("reload-certificate")}
`,
        "reload-certificate": script(
            "sh",
            { hostname, certificate_chain: certificateChain, private_key: privateKey },
            "certificate",
            "reload-certificate",
        ),
    };
}

/** Returns a script that stays on the host: values as assignments, then files of the folder host/ without a change. */
function script(shell: "sh" | "bash", values: Record<string, string>, ...names: string[]): string {
    const texts = names.map(name => readFileSync(join(__dirname, "host", `${name}.sh`), "utf8"));
    return [`#!/bin/${shell}`, `# ${mark}`, ...assignments(values), ...texts].join("\n");
}

function digest(text: string): string {
    return createHash("sha256").update(text).digest("hex");
}
