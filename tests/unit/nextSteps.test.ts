import { Finished, nextSteps } from "../../components/nextSteps";

const text = (changes: Partial<Finished> = {}) =>
    nextSteps({
        hostname: "rancher.example.com",
        addresses: ["192.0.2.21"],
        hasPrivateCa: true,
        isVerified: true,
        hasBootstrapPassword: true,
        rancherVersion: "2.11.3",
        kubernetesVersion: "v1.30.14",
        ...changes,
    });

test("says what to do after the first up, in whole commands", () =>
    expect(text()).toBe(`\
Rancher 2.11.3 is up on Kubernetes v1.30.14: https://rancher.example.com

1. Let the DNS name lead to the load balancer:
     rancher.example.com.  A  192.0.2.21
2. Trust the private CA in browsers and on your machine. This answers pong once the DNS name is right:
     pulumi stack output caCertificate > rancher-ca.pem
     curl --cacert rancher-ca.pem https://rancher.example.com/ping
3. Log in at https://rancher.example.com as admin, and choose a password of your own. The first one:
     pulumi stack output bootstrapPassword --show-secrets
4. Import or create a cluster, in the menu under Cluster Management.
5. Fetch the kubeconfig of the cluster under Rancher when you need it. It is an administrator's, so keep it like a key:
     (umask 077 && pulumi stack output kubeconfig --show-secrets > kubeconfig)
     kubectl --kubeconfig kubeconfig get pods --all-namespaces
6. Read docs/operations.md: how to upgrade, renew, replace and delete.`));

test("without the verification, the first line does not say that Rancher answers", () => {
    const [first, second] = text({ isVerified: false }).split("\n");
    expect(first).toBe("Rancher 2.11.3 is installed on Kubernetes v1.30.14: https://rancher.example.com");
    expect(second).toMatch(/^Nothing was checked through the load balancer, because verification\.enabled is false\./);
});

test("without a password of the stack, the first one is in Rancher's Secret", () => {
    const found = text({ hasBootstrapPassword: false });
    expect(found).toContain("get secret bootstrap-secret \\\n         --output go-template=");
    expect(found).not.toContain("output bootstrapPassword");
});

test("with a publicly trusted certificate there is no CA to fetch", () => {
    expect(text({ hasPrivateCa: false })).toContain("certificate. This answers pong:\n     curl https://rancher.example.com/ping\n");
    expect(text({ hasPrivateCa: false })).not.toMatch(/caCertificate|rancher-ca/);
});

test.each([
    ["two hosts", ["192.0.2.21", "192.0.2.22"], ["A  192.0.2.21", "A  192.0.2.22"]],
    ["an IPv6 address", ["2001:db8::21"], ["AAAA  2001:db8::21"]],
    ["the name of a host", ["lb.example.com"], ["CNAME  lb.example.com"]],
])("DNS records for %s", (_what, addresses, records) =>
    expect(text({ addresses }).match(/^ +rancher\.example\.com\. .*/gm)).toEqual(
        records.map(record => `     rancher.example.com.  ${record}`),
    ),
);
