import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { hostConnectionSchema } from "../../components/remote/connection";
import { describeIssues, validated } from "../../components/validation";

const connection = {
    host: "192.0.2.1",
    privateKey: "-----BEGIN OPENSSH PRIVATE KEY-----\nnot shown\n",
    hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleExam",
};
const resource = undefined as unknown as pulumi.Resource;
const check = (args: unknown) => validated(resource, "Thing it", z.strictObject({ hosts: z.array(hostConnectionSchema) }), args);
const settled = <T>(output: pulumi.Output<T>) => new Promise<T>(resolve => output.apply(value => (resolve(value), value)));

test("defaults are applied", async () => {
    await expect(settled(check({ hosts: [connection] }))).resolves.toEqual({ hosts: [{ ...connection, port: 22, user: "root" }] });
});

test("every wrong value is named at once, with what is allowed and what was found", () => {
    expect(() => check({ hosts: [{ ...connection, host: "a b", port: 70000, prot: 1 }], drift: "no" })).toThrow(
        [
            "Thing it: 4 values are wrong",
            '  - hosts[0].host: expected an IP address or a DNS name, found "a b"',
            "  - hosts[0].port: Too big: expected number to be <=65535, found 70000",
            "  - hosts[0].prot: no such key. Remove it or correct its spelling",
            "  - drift: no such key. Remove it or correct its spelling",
        ].join("\n"),
    );
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

test("an RSA host key is refused: Pulumi's SSH client cannot use it", () => {
    expect(() => check({ hosts: [{ ...connection, hostKey: "ssh-rsa AAAA" }] })).toThrow(
        /hosts\[0\]\.hostKey: expected the Ed25519 or ECDSA/,
    );
});

test("literals are checked at once although another value is still unknown", () => {
    const later = pulumi.output(Promise.resolve("192.0.2.1"));
    expect(() => check({ hosts: [{ ...connection, host: later, port: 0 }] })).toThrow(/hosts\[0\]\.port/);
    expect(() => check({ hosts: [{ ...connection, host: later }] })).not.toThrow();
});
