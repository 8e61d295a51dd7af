import * as pulumi from "@pulumi/pulumi";
import { NginxLoadBalancer, PrivateCa } from "pulumi-rancher-ha";

/** The load balancer in front of a Rancher that something else installs, with a CA of its own. */

const config = new pulumi.Config();
const hostname = "rancher.example.com";

const ca = new PrivateCa("ca", { hostname });
const loadBalancer = new NginxLoadBalancer("load-balancer", {
    hostname,
    ssh: { privateKey: config.requireSecret("sshPrivateKey") },
    hosts: [
        {
            address: "192.0.2.21",
            hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleKeyOfTheLoadBalancerHostExampleExam1",
        },
    ],
    upstreams: ["192.0.2.31", "192.0.2.32", "192.0.2.33"],
    certificateChain: ca.certificateChain,
    privateKey: ca.privateKey,
});

/** The DNS name leads to them. */
export const addresses = loadBalancer.addresses;
/** For the Secret `cattle-system/tls-ca`, and for browsers. */
export const caCertificate = ca.caCertificate;
