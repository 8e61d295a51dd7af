/** Values in the text of `nextSteps`. None of them is a secret. */
export interface Finished {
    hostname: string;
    /** Addresses that the DNS name must point to. */
    addresses: string[];
    /** Whether clients must trust a private CA first. */
    hasPrivateCa: boolean;
    /** Whether Rancher was asked through the load balancer. */
    isVerified: boolean;
    /** Whether the stack knows the password of the first login. Otherwise Rancher keeps the password in a Secret. */
    hasBootstrapPassword: boolean;
    rancherVersion: string;
    kubernetesVersion: string;
}

/** Returns the steps for a person after the first `pulumi up`. The commands read the outputs under the names that RancherHa gives them. */
export function nextSteps(finished: Finished): string {
    const { hostname, addresses, hasPrivateCa, isVerified, hasBootstrapPassword, rancherVersion, kubernetesVersion } = finished;
    const url = `https://${hostname}`;
    const steps = [
        ["Let the DNS name lead to the load balancer:", ...addresses.map(address => `${hostname}.  ${recordType(address)}  ${address}`)],
        hasPrivateCa
            ? [
                  "Trust the private CA in browsers and on your machine. This answers pong once the DNS name is right:",
                  "pulumi stack output caCertificate > rancher-ca.pem",
                  `curl --cacert rancher-ca.pem ${url}/ping`,
              ]
            : ["Check the DNS name and the certificate. This answers pong:", `curl ${url}/ping`],
        hasBootstrapPassword
            ? [
                  `Log in at ${url} as admin, and choose a password of your own. The first one:`,
                  "pulumi stack output bootstrapPassword --show-secrets",
              ]
            : [
                  `Log in at ${url} as admin, and choose a password of your own. The first one, with the kubeconfig of step 5:`,
                  "kubectl --kubeconfig kubeconfig --namespace cattle-system get secret bootstrap-secret \\",
                  "    --output go-template='{{.data.bootstrapPassword | base64decode}}'",
              ],
        ["Import or create a cluster, in the menu under Cluster Management."],
        [
            "Fetch the kubeconfig of the cluster under Rancher when you need it. It is an administrator's, so keep it like a key:",
            "(umask 077 && pulumi stack output kubeconfig --show-secrets > kubeconfig)",
            "kubectl --kubeconfig kubeconfig get pods --all-namespaces",
        ],
        ["Read docs/operations.md: how to upgrade, renew, replace and delete."],
    ];
    return [
        `Rancher ${rancherVersion} is ${isVerified ? "up" : "installed"}${kubernetesVersion && ` on Kubernetes ${kubernetesVersion}`}: ${url}`,
        ...(isVerified
            ? []
            : ["Nothing was checked through the load balancer, because verification.enabled is false. Step 2 is the first check."]),
        "",
        ...steps.flatMap(([what, ...lines], index) => [`${index + 1}. ${what}`, ...lines.map(line => `     ${line}`)]),
    ].join("\n");
}

function recordType(address: string): "A" | "AAAA" | "CNAME" {
    if (address.includes(":")) return "AAAA";
    return /^[\d.]+$/.test(address) ? "A" : "CNAME";
}
