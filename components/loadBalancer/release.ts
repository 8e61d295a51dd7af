import { createHash } from "crypto";
import { readFileSync } from "fs";
import { dirname, join } from "path";
import { downSignal, healthCheck, keepalivedConf, nodeCheck, Vrrp } from "./keepalivedConf";
import { nginxConf } from "./nginxConf";
import { NginxSettings } from "./schema";
import { sysctlConf } from "./sysctlConf";

/** Files of a release by name. The host knows the place and mode of each. */
export type ReleaseFiles = Record<string, string>;

/** Everything that one host is given: it is staged, checked, switched and rolled back as one. */
export function releaseFiles(settings: NginxSettings, vrrp?: Vrrp): ReleaseFiles {
    return filesFor(settings, vrrp, releaseOf(settings, vrrp));
}

/** Name of what a host serves: another one whenever a public file is another one. It tells nothing about keys. */
export function releaseOf(settings: NginxSettings, vrrp?: Vrrp): string {
    const files = Object.entries(filesFor(settings, vrrp, "")).filter(([name]) => !isSecret(name));
    return digest(JSON.stringify(files)).slice(0, 12);
}

/** The files as a reader of a preview sees them: the text of public ones, the digest of secret ones. */
export function describeFiles(files: ReleaseFiles): Record<string, string> {
    return Object.fromEntries(
        Object.entries(files).map(([name, text]) => (isSecret(name) ? [`${name}, SHA-256`, digest(text)] : [name, text])),
    );
}

function filesFor(settings: NginxSettings, vrrp: Vrrp | undefined, release: string): ReleaseFiles {
    const { certificateChain, privateKey, secondCertificate, certificateOnHost } = settings;
    const files: ReleaseFiles = {
        "nginx.conf": nginxConf(settings, release),
        "sysctl.conf": sysctlConf(settings),
        // Without a limit of starts: certificates that are kept on the host may come late.
        "nginx.service.conf": `${managed}[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=on-failure\nRestartSec=1\n${vrrp ? downSignal : ""}`,
    };
    if (certificateChain && privateKey) Object.assign(files, pem(certificateChain, privateKey, ""));
    if (secondCertificate) Object.assign(files, pem(secondCertificate.certificateChain, secondCertificate.privateKey, "-2"));
    if (certificateOnHost) Object.assign(files, reloadOnRenewal(certificateOnHost, settings.hostname));
    if (vrrp) {
        files["keepalived.conf"] = keepalivedConf(vrrp);
        files["keepalived.service.conf"] = `${managed}[Service]\nRestart=always\nRestartSec=1\n`;
        files["nginx-answers"] = healthCheck(settings.statusPort);
        files["reaches-a-node"] = nodeCheck(settings.hostname, vrrp.peer);
    }
    return files;
}

const certificateChecks = readFileSync(join(__dirname, "host", "certificate.sh"), "utf8");
const isSecret = (name: string) => name.startsWith("privkey");
const managed = "# Managed by Pulumi (pulumi-rancher-ha)\n";

function pem(chain: string, key: string, suffix: string): ReleaseFiles {
    return { [`fullchain${suffix}.pem`]: `${chain.trim()}\n`, [`privkey${suffix}.pem`]: `${key.trim()}\n` };
}

/**
 * For files that another tool renews: systemd watches them, and NGINX is reloaded once they are fit to be served. The tool writes
 * them one after the other. It may do that by new links or new files of the same name, which only their folder tells.
 */
function reloadOnRenewal(
    { certificateChain, privateKey }: { certificateChain: string; privateKey: string },
    hostname: string,
): ReleaseFiles {
    return {
        // Without a limit of starts: behind one, systemd would look no more.
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
ExecStart=/usr/local/sbin/rancher-ha-reload-certificate
`,
        "reload-certificate": `#!/bin/sh
${managed}set -eu
loaded=/run/rancher-ha-certificate
fault=
hostname=${hostname}
${certificateChecks}
find_fault() {
    found=$(certificate_fault ${certificateChain} ${privateKey})
    [ -n "$found" ] || nginx -t -q 2>/dev/null || found="NGINX refuses the certificate ${certificateChain}, see nginx -t"
    echo "$found"
}
# First for all that is written at once, then until both files are there, and once more after the reload: systemd does not look meanwhile.
for pause in 1 5 5 5 5 5 5 5 5 5 5 5; do
    sleep "$pause"
    before=$fault
    fault=$(find_fault)
    [ -z "$fault" ] || [ "$fault" = "$before" ] || echo "$fault. NGINX goes on with the certificate it has" >&2
    if [ -z "$fault" ]; then
        now=$(sha256sum <${certificateChain})
        [ "$now" != "$(cat "$loaded" 2>/dev/null)" ] || exit 0
        systemctl try-reload-or-restart nginx
        echo "$now" >"$loaded"
    fi
done
[ -z "$fault" ]
`,
    };
}

function digest(text: string): string {
    return createHash("sha256").update(text).digest("hex");
}
