/** File that holds 1 while NGINX of this host is down. systemd writes it, keepalived watches it. */
export const downFile = "/run/rancher-ha-nginx-down";

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

/**
 * keepalived for one host of a pair: VRRP 3 between two known addresses, because switches and clouds drop multicast. VRRP 3 has no
 * authentication (RFC 5798 removed it); packets of others than the peer are dropped instead.
 *
 * A host that comes back does not take the address again: every move of it cuts all WebSockets (50 of 50 in measurements). A
 * dead NGINX is told by systemd at once; one that is frozen, or reaches no node while the peer does, is found by a check.
 * `@interface@` and `@virtual_ip_interface@` are put in on the host.
 */
export function keepalivedConf(vrrp: Vrrp, checks: { nginxAnswers: string; reachesANode: string }): string {
    return `# Managed by Pulumi (pulumi-rancher-ha): changes made here are undone.
global_defs {
    enable_script_security
    script_user nobody
    vrrp_version 3
    vrrp_priority -20
    vrrp_garp_master_refresh 30
}
vrrp_script nginx_answers {
    script "${checks.nginxAnswers}"
    interval 1
    timeout 1
    fall 2
    rise 2
    init_fail
}
vrrp_script reaches_a_node {
    script "${checks.reachesANode}"
    interval 5
    timeout 12
    fall 3
    rise 2
}
track_file nginx_down {
    file "${downFile}"
    weight 0
    init_file 0
}
vrrp_instance rancher {
    state BACKUP
    nopreempt
    interface @interface@
    virtual_router_id ${vrrp.routerId}
    priority ${vrrp.priority}
    advert_int ${vrrp.advertIntervalSeconds}
    check_unicast_src
    unicast_src_ip ${vrrp.address}
    unicast_peer {
        ${vrrp.peer}
    }
    virtual_ipaddress {
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
