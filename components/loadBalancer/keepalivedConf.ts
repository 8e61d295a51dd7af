/** File that holds 1 while NGINX of this host is down. systemd writes it, keepalived watches it. */
const downFile = "/run/rancher-ha-nginx-down";

/** What one host of a pair needs to know of the other. */
export interface Vrrp {
    routerId: number;
    advertIntervalSeconds: number;
    /** This host's own. */
    address: string;
    virtualIp: string;
    peer: string;
    /** The higher one takes the virtual IP when both start at once. */
    priority: number;
}

/** Renders keepalived.conf for one host of a pair. The host replaces `@interface@` and `@virtual_ip_interface@`. */
export function keepalivedConf(vrrp: Vrrp): string {
    return `# Managed by Pulumi (pulumi-rancher-ha): changes made here are undone.
global_defs {
    enable_script_security
    script_user nobody
    # VRRP 3 has no authentication, because RFC 5798 removed it. check_unicast_src drops packets that are not from the peer.
    vrrp_version 3
    # keepalived runs before other processes, so that a busy host misses no advertisement.
    vrrp_priority -20
    # The active host announces the virtual IP every 30 s, for neighbours that missed a change.
    vrrp_garp_master_refresh 30
}
# A frozen NGINX runs but does not answer. This check finds it.
vrrp_script nginx_answers {
    script "${healthCheckFile}"
    interval 1
    timeout 1
    fall 2
    rise 2
    # A host gets the virtual IP only after its NGINX has answered.
    init_fail
}
# A host that reaches no node gives the virtual IP up while its peer reaches one.
vrrp_script reaches_a_node {
    script "${nodeCheckFile}"
    interval 5
    # The check asks this host and its peer, for 5 s each.
    timeout 12
    fall 3
    rise 2
}
# systemd writes 1 into this file as soon as NGINX ends. Such a host gives the virtual IP up at once.
track_file nginx_down {
    file "${downFile}"
    weight 0
    init_file 0
}
vrrp_instance rancher {
    # A host that comes back does not take the virtual IP again, because each move of it cuts all WebSockets.
    state BACKUP
    nopreempt
    interface @interface@
    virtual_router_id ${vrrp.routerId}
    # When both hosts start at once, the one with the higher priority takes the virtual IP.
    priority ${vrrp.priority}
    advert_int ${vrrp.advertIntervalSeconds}
    # The hosts send to known addresses, because switches and clouds drop multicast.
    check_unicast_src
    unicast_src_ip ${vrrp.address}
    unicast_peer {
        ${vrrp.peer}
    }
    virtual_ipaddress {
        # The interface is the one whose network holds the virtual IP.
        ${vrrp.virtualIp}/32 dev @virtual_ip_interface@
    }
    track_script {
        nginx_answers
        reaches_a_node
    }
    track_file {
        nginx_down
    }
}
`;
}

/** Where `healthCheck` is on the host. */
const healthCheckFile = "/usr/local/sbin/rancher-ha-nginx-answers";

/** Succeeds when NGINX of this host answers. bash, because it can speak TCP and is on every Debian and Ubuntu. */
export const healthCheck = (statusPort: number) => `#!/bin/bash
# Managed by Pulumi (pulumi-rancher-ha)
exec 3<>/dev/tcp/127.0.0.1/${statusPort} || exit 1
printf 'GET /healthz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3
read -r -t 1 line <&3 && [[ $line == *" 200 "* ]]
`;

/** Where `nodeCheck` is on the host. */
const nodeCheckFile = "/usr/local/sbin/rancher-ha-reaches-a-node";

/**
 * Fails when no node answers this host and one answers the peer. No priority instead: with `nopreempt` a host keeps the virtual IP
 * whatever its priority is. NGINX itself answers 502 and 504 for nodes that it does not reach.
 */
export const nodeCheck = (hostname: string, peer: string) => `#!/bin/bash
# Managed by Pulumi (pulumi-rancher-ha)
answers() {
    status=$(printf 'GET /ping HTTP/1.0\\r\\nHost: ${hostname}\\r\\n\\r\\n' |
        timeout 5 openssl s_client -quiet -connect "$1:443" -servername ${hostname} 2>/dev/null | sed -n '1s/^HTTP[^ ]* \\([0-9]*\\).*/\\1/p')
    case $status in "" | 502 | 504) return 1 ;; esac
}
answers 127.0.0.1 || ! answers ${peer}
`;

/** Tells keepalived at once when NGINX ends, however it ends. */
export const downSignal = `ExecStartPost=/bin/sh -c 'echo 0 >${downFile}'
ExecStopPost=/bin/sh -c 'echo 1 >${downFile}'
`;
