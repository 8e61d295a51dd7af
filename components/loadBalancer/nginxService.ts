import { managed } from "./mark";

/** Renders a drop-in for the unit of NGINX. `service` is the path of nginx-service.sh. */
export const nginxService = (service: string) => `${managed}[Unit]
# systemd restarts NGINX without a limit, because certificates that another tool keeps on the host may appear late.
StartLimitIntervalSec=0
[Service]
Restart=on-failure
RestartSec=1
# The empty lines remove the commands of the package's unit. rancher-ha-nginx makes a restart an upgrade on the fly.
ExecStart=
ExecStart=${service} start
ExecStop=
ExecStop=-${service} stop
# The workers of a failed NGINX would hold the ports.
ExecStopPost=-${service} ended
# systemd ends the old main process alone, so that the new one survives a restart.
KillMode=process
# A restart waits up to 10 s for the end of an earlier process, and up to 5 s each for the new process and open requests.
TimeoutStopSec=30
`;
