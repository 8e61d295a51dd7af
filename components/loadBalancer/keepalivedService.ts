import { Vrrp } from "./keepalivedConf";
import { managed } from "./mark";

/** Table of nftables that holds the packet filter of VRRP. */
export const vrrpTable = "rancher_ha";

/** Renders a drop-in for the unit of keepalived, with the packet filter of VRRP. `service` is the path of keepalived-service.sh. */
export function keepalivedService({ peer }: Vrrp, service: string): string {
    const chain = `type filter hook input priority filter; ip protocol 112 ip ttl != 255 drop; ip protocol 112 ip saddr != ${peer} drop;`;
    const table = `table ip ${vrrpTable}`;
    const filter = `/usr/sbin/nft 'add ${table}; delete ${table}; ${table} { chain vrrp { ${chain} }; }'`;
    return `${managed}[Unit]
# systemd restarts keepalived without a limit. Beyond one, this host would never take the virtual IP again.
StartLimitIntervalSec=0
# nftables.service empties all tables when it starts.
After=nftables.service
[Service]
Restart=always
RestartSec=1
# The kernel drops forged VRRP packets (IP protocol 112). A flood of them would disturb keepalived even if keepalived drops them.
# VRRP comes from the peer alone, and from the same link: a router would have lowered the TTL of 255 (RFC 5798, section 7.1).
# nft replaces the table in one step: \`add\` only makes sure that \`delete\` finds a table.
ExecStartPre=${filter}
# rancher-ha-keepalived keeps the virtual IP on the active host while systemd restarts keepalived.
ExecStartPost=-${service} started
# The peer may be another one after a reload.
ExecReload=${filter}
ExecStop=-${service} stop
ExecStopPost=-${service} ended
ExecStopPost=-/usr/sbin/nft delete ${table}
`;
}

/** Seconds by which an announced interval is longer within a restart of keepalived. The reason stands in keepalived-service.sh. */
const restartSeconds = 5;

/** Returns the values for keepalived-service.sh. */
export function keepalivedServiceValues(vrrp: Vrrp): Record<string, string> {
    const holdInterval = vrrp.advertIntervalSeconds + restartSeconds;
    return {
        virtual_ip: vrrp.virtualIp,
        router_id: String(vrrp.routerId),
        priority: String(vrrp.priority),
        own_address: vrrp.address,
        peer: vrrp.peer,
        interval: String(vrrp.advertIntervalSeconds),
        hold_interval: String(holdInterval),
        // The peer takes the virtual IP after three intervals without an advertisement.
        hold_seconds: String(Math.floor(3 * holdInterval)),
    };
}
