import { createHash } from "crypto";
import { readFileSync } from "fs";
import { join } from "path";
import { keyAlone, normalizePem } from "../certificates/pem";
import { assignments } from "../remote/programs";
import { certificatePath, certificateService, certificateTimer } from "./certificateUnits";
import { downFile, keepalivedConf, Vrrp } from "./keepalivedConf";
import { keepalivedService, keepalivedServiceValues } from "./keepalivedService";
import { logsService, logsTimer } from "./logUnits";
import { mark } from "./mark";
import { nginxConf } from "./nginxConf";
import { nginxService } from "./nginxService";
import { NginxSettings } from "./schema";
import { sysctlConf } from "./sysctlConf";

interface HostFile {
    name: string;
    /** Path of a copy on the host, and its mode. NGINX reads the other files through the link /etc/nginx/rancher-ha. */
    path?: string;
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
    { name: "sysctl.conf", path: "/etc/sysctl.d/zz-rancher-ha.conf", mode: "644" },
    { name: "nginx.service.conf", path: "/etc/systemd/system/nginx.service.d/rancher-ha.conf", mode: "644" },
    { name: "nginx-service", path: "/usr/local/sbin/rancher-ha-nginx", mode: "755" },
    { name: "certificate.path", path: "/etc/systemd/system/rancher-ha-certificate.path", mode: "644" },
    { name: "certificate.timer", path: "/etc/systemd/system/rancher-ha-certificate.timer", mode: "644" },
    { name: "certificate.service", path: "/etc/systemd/system/rancher-ha-certificate.service", mode: "644" },
    { name: "reload-certificate", path: "/usr/local/sbin/rancher-ha-reload-certificate", mode: "755" },
    { name: "logs.timer", path: "/etc/systemd/system/rancher-ha-logs.timer", mode: "644" },
    { name: "logs.service", path: "/etc/systemd/system/rancher-ha-logs.service", mode: "644" },
    { name: "large-logs", path: "/usr/local/sbin/rancher-ha-large-logs", mode: "755" },
    { name: "keepalived.conf", path: "/etc/keepalived/keepalived.conf", mode: "644" },
    { name: "keepalived.service.conf", path: "/etc/systemd/system/keepalived.service.d/rancher-ha.conf", mode: "644" },
    { name: "keepalived-service", path: "/usr/local/sbin/rancher-ha-keepalived", mode: "755" },
    { name: "nginx-answers", path: "/usr/local/sbin/rancher-ha-nginx-answers", mode: "755" },
    { name: "reaches-a-node", path: "/usr/local/sbin/rancher-ha-reaches-a-node", mode: "755" },
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
export const places = hostFiles.flatMap(file => ("path" in file ? [`${file.name} ${file.path} ${file.mode}`] : [])).join("\n");

/** Names of secret files, one line each, for host/release.sh. */
export const secrets = hostFiles.flatMap(file => ("isSecret" in file ? [file.name] : [])).join("\n");

const isSecret = (name: string) => hostFiles.some(file => file.name === name && "isSecret" in file);

function pathOf(name: FileName): string {
    const file: HostFile = hostFiles.find(each => each.name === name)!;
    return file.path!;
}

/** Renders all files. The release's name is a digest of them, so nginx.conf does not hold the name yet. */
function render(settings: NginxSettings, vrrp: Vrrp | undefined): ReleaseFiles {
    const { certificateChain, privateKey, secondCertificate, certificateOnHost } = settings;
    return {
        "nginx.conf": nginxConf(settings),
        "sysctl.conf": sysctlConf(settings),
        "nginx.service.conf": nginxService(pathOf("nginx-service")),
        "nginx-service": script("sh", { down_file: vrrp ? downFile : "" }, "processes", "nginx-service"),
        "logs.timer": logsTimer,
        "logs.service": logsService(pathOf("large-logs")),
        "large-logs": script("sh", {}, "large-logs"),
        ...(certificateChain && privateKey && { "fullchain.pem": normalizePem(certificateChain), "privkey.pem": keyAlone(privateKey) }),
        ...(secondCertificate && {
            "fullchain-2.pem": normalizePem(secondCertificate.certificateChain),
            "privkey-2.pem": keyAlone(secondCertificate.privateKey),
        }),
        ...(certificateOnHost && reloadOnRenewal(certificateOnHost, settings.hostname)),
        ...(vrrp && pairFiles(settings, vrrp)),
    };
}

function pairFiles({ hostname, statusPort }: NginxSettings, vrrp: Vrrp): Partial<ReleaseFiles> {
    return {
        "keepalived.conf": keepalivedConf(vrrp, { nginxAnswers: pathOf("nginx-answers"), reachesANode: pathOf("reaches-a-node") }),
        "keepalived.service.conf": keepalivedService(vrrp, pathOf("keepalived-service")),
        "keepalived-service": script("sh", keepalivedServiceValues(vrrp), "clock", "keepalived-service"),
        "nginx-answers": script("bash", { status_port: String(statusPort) }, "nginx-answers"),
        "reaches-a-node": script("sh", { hostname, peer: vrrp.peer }, "ping", "reaches-a-node"),
    };
}

/** Renders what reloads NGINX after another tool renewed the files on the host. */
function reloadOnRenewal(paths: { certificateChain: string; privateKey: string }, hostname: string): Partial<ReleaseFiles> {
    const values = { hostname, certificate_chain: paths.certificateChain, private_key: paths.privateKey };
    return {
        "certificate.path": certificatePath(paths),
        "certificate.timer": certificateTimer,
        "certificate.service": certificateService(pathOf("reload-certificate")),
        "reload-certificate": script("sh", values, "certificate", "reload-certificate"),
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
