import { mark } from "./mark";

/** File that holds 1 while NGINX of this host is down. systemd writes the file, and keepalived watches it. */
export const downFile = "/run/rancher-ha-nginx-down";

/** VRRP settings of one host of a pair. */
export interface Vrrp {
    routerId: number;
    advertIntervalSeconds: number;
    /** Address of this host. */
    address: string;
    virtualIp: string;
    peer: string;
    /** The host with the higher priority takes the virtual IP when both start at once. */
    priority: number;
}

/** Renders keepalived.conf for one host of a pair. The host replaces `@interface@` and `@virtual_ip_interface@`. */
export function keepalivedConf(vrrp: Vrrp, checks: { nginxAnswers: string; reachesANode: string }): string {
    return `# ${mark}: changes made here are undone.
${processes}${checksOf(checks)}${instance(vrrp)}`;
}

const processes = `global_defs {
    enable_script_security
    script_user nobody
    # VRRP 3 has no authentication, because RFC 5798 removed it. Instead, keepalived.service has a packet filter.
    vrrp_version 3
    # keepalived runs before other processes, so that a busy host misses no advertisement.
    vrrp_priority -20
    # The active host announces the virtual IP every 30 s, for neighbours that missed a change.
    vrrp_garp_master_refresh 30
}
`;

const checksOf = (checks: {
    nginxAnswers: string;
    reachesANode: string;
}) => `# A frozen NGINX runs but does not answer. This check finds it.
vrrp_script nginx_answers {
    script "${checks.nginxAnswers}"
    interval 1
    timeout 1
    fall 2
    rise 2
    # A host gets the virtual IP only after its NGINX has answered.
    init_fail
}
# A host that reaches no node gives the virtual IP up while its peer reaches one.
vrrp_script reaches_a_node {
    script "${checks.reachesANode}"
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
`;

const instance = (vrrp: Vrrp) => `vrrp_instance rancher {
    # A host that comes back does not take the virtual IP again, because each move of it cuts all WebSockets.
    # An active host with the higher priority that only stalled does take it again.
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
