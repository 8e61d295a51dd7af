import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { CaSecret, CaSecretArgs } from "../../components/rancher/caSecret";
import { caChecksum } from "../../components/certificates/pem";
import { issue } from "../../lab/certificates";
import { record, secret, unknown } from "./recorder";

const ca = issue({ name: "CA", ca: true });
const inCluster = (args: CaSecretArgs, cluster?: pulumi.Resource) => {
    const provider = new k8s.Provider("downstairs", { kubeconfig: "text" });
    return new CaSecret("ca", args, { provider, deletedWith: cluster ?? provider });
};

test("the Secret holds exactly the CA, under the names that the chart wants", async () => {
    const recording = await record(() => inCluster({ caCertificate: `comment\r\n${ca.certificate.replace(/\n/g, "\r\n")}\r\n\r\n` }));
    const object = recording.one("kubernetes:core/v1:Secret");
    const provider = recording.one("pulumi:providers:kubernetes");
    expect(object.inputs).toMatchObject({
        metadata: { name: "tls-ca", namespace: "cattle-system", annotations: { "pulumi.com/patchForce": "true" } },
        stringData: secret({ "cacerts.pem": ca.certificate }),
    });
    expect(object.provider).toBe(`${provider.urn}::downstairs-id`);
    expect(object.deletedWith).toBe(provider.urn);
    expect(object.parent).toBe(recording.one("pulumi-rancher-ha:index:CaSecret").urn);
    expect(recording.outputs).toEqual({ secretName: "tls-ca", checksum: caChecksum(ca.certificate) });
});

test("what takes the checksum waits for the Secret", async () => {
    const recording = await record(() => {
        const given = inCluster({ caCertificate: ca.certificate });
        new k8s.core.v1.ConfigMap("taker", { data: { checksum: given.checksum } });
        return given;
    });
    const taker = recording.one("kubernetes:core/v1:ConfigMap");
    expect(taker.dependencies).toContain(recording.one("kubernetes:core/v1:Secret").urn);
});

test("a preview of a CA that does not exist yet shows the other arguments", async () => {
    const caCertificate = () => new tls.SelfSignedCert("root", { allowedUses: [], validityPeriodHours: 1 }).certPem;
    const recording = await record(() => inCluster({ caCertificate: caCertificate() }), { preview: true });
    const { metadata, stringData } = recording.one("kubernetes:core/v1:Secret").inputs;
    expect([metadata, stringData]).toEqual([expect.objectContaining({ namespace: "cattle-system" }), unknown]);
});

test.each([
    ["a server certificate", issue({ name: "leaf", by: ca }).certificate, /caCertificate: expected CA certificates, "leaf" is not one/],
    ["a private key beside it", ca.certificate + ca.privateKey, /caCertificate: expected certificates only, block 2 is a private key/],
    ["an expired CA", issue({ name: "old", ca: true, days: -1 }).certificate, /caCertificate: "old" has expired on/],
    ["an empty text", "", /caCertificate: expected PEM text .* found no PEM block/],
])("refuses %s", async (_what, caCertificate, message) => {
    await expect(record(() => inCluster({ caCertificate }))).rejects.toThrow(message);
});
