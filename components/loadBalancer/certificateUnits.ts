import { dirname } from "path";
import { managed } from "./mark";

/** Renders a unit that watches the files of a certificate, and starts the unit below. */
export function certificatePath({ certificateChain, privateKey }: { certificateChain: string; privateKey: string }): string {
    const watched = new Set([certificateChain, dirname(certificateChain), privateKey, dirname(privateKey)]);
    return `${managed}[Unit]
Description=Certificate of the load balancer
# Beyond a start limit, systemd would stop watching the files.
StartLimitIntervalSec=0

[Path]
# Another tool may replace a file or a link, which only a watch on the folder detects.
${[...watched].map(path => `PathChanged=${path}`).join("\n")}

[Install]
WantedBy=multi-user.target
`;
}

/** Renders a timer that starts the unit below, too. */
export const certificateTimer = `${managed}[Unit]
Description=Certificate of the load balancer, once more

[Timer]
# A certificate may become valid long after its files came, and a full disk or a wrong clock be mended.
OnCalendar=hourly

[Install]
WantedBy=timers.target
`;

/** Renders a unit that reloads NGINX once the renewed files can be served. `reload` is the path of reload-certificate.sh. */
export const certificateService = (reload: string) => `${managed}[Unit]
Description=Reload NGINX with its renewed certificate
# Another tool writes one file after the other, and each starts this service. Beyond a start limit, systemd would stop watching.
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=${reload}
`;
