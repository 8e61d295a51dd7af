import { mark } from "./mark";
import { NginxSettings } from "./schema";

/** Renders the kernel settings of a load balancer host. */
export function sysctlConf({ deadPeerTimeoutSeconds }: NginxSettings): string {
    const [probes, interval] = [3, Math.floor(deadPeerTimeoutSeconds / 5)];
    return `# ${mark}
# NGINX takes the keep-alive times of its connections to nodes from here alone.
# A connection to an unreachable node ends after ${deadPeerTimeoutSeconds} s.
net.ipv4.tcp_keepalive_time = ${deadPeerTimeoutSeconds - probes * interval}
net.ipv4.tcp_keepalive_intvl = ${interval}
net.ipv4.tcp_keepalive_probes = ${probes}
# A connection whose packets stay without an answer ends after about 51 s. By default it ends after 15 minutes.
# The setting counts for clients too: with 5, a tunnel of an agent ends when its network is away for 13 s.
# Rancher itself ends a tunnel without an answer after 60 s.
net.ipv4.tcp_retries2 = 7
# A connection with a request or a tunnel sends a lost packet again six times within 1.4 s, before intervals double.
# It finds a node that comes back after seconds sooner. BBR ignores this setting.
net.ipv4.tcp_thin_linear_timeouts = 1
`;
}
