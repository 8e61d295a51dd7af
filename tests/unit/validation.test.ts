import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { hostsSchema } from "../../components/loadBalancer/schema";
import { connectionOf } from "../../components/remote/connection";
import { hostSchema, sshSchema } from "../../components/remote/schema";
import { rancherHaSchema } from "../../components/schema";
import { describeIssues, refuseLiterals, Refusal, validated } from "../../components/validation";
import { kubeconfigOf } from "../kubeconfig";
import { hostKey, newSshKey, sshKey } from "../ssh";

const connection = {
    address: "192.0.2.1",
    privateKey: sshKey,
    hostKey,
};
const resource = undefined as unknown as pulumi.Resource;
const check = (args: any) => validated(resource, "Thing it", z.strictObject({ hosts: z.array(hostSchema) }), args);

const keyOfAll = newSshKey().privateKey;

test("a host that says nothing itself is reached as ssh says, else as root on port 22", () => {
    const { address, privateKey } = connection;
    expect(connectionOf(connection, sshSchema.parse({}))).toEqual({ ...connection, port: 22, user: "root", waitSeconds: 120 });
    const knownHosts = `[192.0.2.1]:2222 ${hostKey}\n`;
    const ssh = sshSchema.parse({ user: "admin", port: 2222, privateKey: keyOfAll, knownHosts, waitSeconds: 7 });
    expect(connectionOf({ address }, ssh)).toEqual({
        address,
        port: 2222,
        user: "admin",
        privateKey: keyOfAll,
        hostKey,
        waitSeconds: 7,
    });
    expect(connectionOf({ ...connection, user: "own", port: 23 }, ssh)).toEqual({
        address,
        port: 23,
        user: "own",
        privateKey,
        hostKey,
        waitSeconds: 7,
    });
});

test("a bastion has the user and key of ssh, and a port of its own", () => {
    const { address, privateKey } = connection;
    const ssh = { user: "admin", port: 2222, privateKey, knownHosts: `192.0.2.9,[192.0.2.1]:2222 ${hostKey}\n` };
    const { bastion } = connectionOf({ address }, sshSchema.parse({ ...ssh, bastion: { address: "192.0.2.9" } }));
    expect(bastion).toEqual({ address: "192.0.2.9", port: 22, user: "admin", privateKey, hostKey });
});

test("a host without a key of its own accepts known_hosts from another resource", () => {
    const ssh = pulumi.output({ privateKey: sshKey, knownHosts: "" });
    const args = {
        hostname: "rancher.example.com",
        ssh,
        loadBalancer: { hosts: [{ address: "192.0.2.21" }] },
        existingCluster: {
            kubeconfig: kubeconfigOf(),
            ingressAddresses: ["192.0.2.31"],
            apiEndpoint: "https://192.0.2.31:6443",
        },
        rancher: { chartVersion: "2.12.1" },
    };
    expect(() => refuseLiterals(resource, "RancherHa it", rancherHaSchema, args)).not.toThrow();
});

test("every wrong value is named at once, with what is allowed and what was found", () => {
    expect(() => check({ hosts: [{ ...connection, address: "a b", port: 70000, prot: 1 }], drift: "no" })).toThrow(
        [
            "Thing it: 4 values are wrong [RHA configuration]",
            '  - hosts[0].address: expected an IP address or a DNS name, found "a b"',
            "  - hosts[0].port: expected at most 65535, found 70000",
            "  - hosts[0].prot: no such key. Remove it or correct its spelling",
            "  - drift: no such key. Remove it or correct its spelling",
        ].join("\n"),
    );
});

test("a refusal that ends an argument of a resource keeps its words", async () => {
    const sent = pulumi.runtime.serializeProperties("Command it", {
        stdin: Promise.reject(new Refusal("program", "Thing it: no", resource)),
    });
    await expect(sent).rejects.toThrow(/^Thing it: no \[RHA program\]$/);
});

test("a wrong secret is refused without being shown", () => {
    const attempt = () => check({ hosts: [{ ...connection, privateKey: "hunter2-hunter2" }] });
    expect(attempt).toThrow("hosts[0].privateKey: expected a private key in PEM or OpenSSH form, found a value that is not shown");
    expect(attempt).not.toThrow(/hunter2/);
});

test("a wrong value that came as a secret is refused without being shown", () => {
    const issues = z.object({ port: z.number().max(9) }).safeParse({ port: 70001 }).error!.issues;
    expect(describeIssues(issues, { port: 70001 })).toMatch(/^port: .*, found 70001$/);
    expect(describeIssues(issues, { port: 70001 }, () => true)).toMatch(/^port: .*, found a value that is not shown$/);
});

test("an RSA host key is refused on a load balancer host", () => {
    const refused = /hosts\[0\]\.hostKey: expected the Ed25519 or ECDSA/;
    const rsa = newSshKey(["-t", "rsa", "-b", "2048"]).publicKey;
    const own = { hosts: [{ ...connection, hostKey: rsa }] };
    expect(() => validated(resource, "it", hostsSchema, own)).toThrow(refused);
    const known = { ssh: { knownHosts: `192.0.2.1 ${rsa}` }, hosts: [{ ...connection, hostKey: undefined }] };
    expect(() => validated(resource, "it", hostsSchema, known)).toThrow(refused);
});

test("literals are checked at once although another value is still unknown", () => {
    const later = pulumi.output(Promise.resolve("192.0.2.1"));
    expect(() => check({ hosts: [{ ...connection, address: later, port: 0 }] })).toThrow(/hosts\[0\]\.port/);
    expect(() => check({ hosts: [{ ...connection, address: later }] })).not.toThrow();
});
