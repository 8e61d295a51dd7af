import { managed } from "./mark";

/** A timer that rotates the logs of NGINX before they fill the disk. */
export const logsTimer = `${managed}[Unit]
Description=Size of NGINX's logs

[Timer]
# The distribution rotates logs once a day, whatever their size is. A log of a busy day could fill the disk.
OnCalendar=hourly

[Install]
WantedBy=timers.target
`;

/** Renders the unit that the timer starts. `largeLogs` is the path of large-logs.sh. */
export const logsService = (largeLogs: string) => `${managed}[Unit]
Description=Rotate large logs of NGINX

[Service]
Type=oneshot
# Logs are rotated once one is larger than 1 GB.
ExecCondition=${largeLogs}
# Without --force, logrotate would wait for the next day.
ExecStart=/usr/sbin/logrotate --force /etc/logrotate.d/nginx
`;
