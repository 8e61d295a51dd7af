import { NginxSettings } from "./schema";

/**
 * Kernel settings of a load balancer host. Upstream sockets take their keep-alive times from here only. A connection that carries a
 * request or a tunnel is thin: what is lost on it is sent again six times within 1.4 s before the intervals double (not with BBR,
 * under which no connection counts as thin), so that nodes which come back after seconds are found sooner.
 */
export function sysctlConf({ deadPeerTimeoutSeconds }: NginxSettings): string {
    const [probes, interval] = [3, Math.floor(deadPeerTimeoutSeconds / 5)];
    return `# Managed by Pulumi (pulumi-rancher-ha)
net.ipv4.tcp_keepalive_time = ${deadPeerTimeoutSeconds - probes * interval}
net.ipv4.tcp_keepalive_intvl = ${interval}
net.ipv4.tcp_keepalive_probes = ${probes}
net.ipv4.tcp_retries2 = 5
net.ipv4.tcp_thin_linear_timeouts = 1
`;
}
