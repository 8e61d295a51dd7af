import * as pulumi from "@pulumi/pulumi";
import { Verification, VerificationArgs } from "../../components/rancher/verification";
import { record } from "./recorder";

const args: VerificationArgs = {
    hostname: "rancher.example.com",
    addresses: ["192.0.2.21"],
    bootstrapPassword: pulumi.secret("first-login-password"),
    after: ["fingerprint-1", "revision 4"],
};
const mock = () => ({ stdout: "ok ping at 192.0.2.21\nok http2 at 192.0.2.21" });
const program = async (changed: Partial<VerificationArgs> = {}) =>
    (await record(() => new Verification("check", { ...args, ...changed }), { mock })).one("command:local:Command");

test("runs where Pulumi runs, with the password on standard input only", async () => {
    const recording = await record(() => new Verification("check", args), { mock });
    const command = recording.one("command:local:Command");
    const { stdin, ...visible } = command.inputs;
    expect(stdin.secret).toContain("first-login-password");
    expect(JSON.stringify(visible)).not.toContain("first-login-password");
    expect(visible.create).toMatch(/node - apply$/);
    expect(visible).not.toHaveProperty("delete");
    expect(command.parent).toBe(recording.one("pulumi-rancher-ha:index:Verification").urn);
    expect(recording.outputs).toEqual({ checks: ["ok ping at 192.0.2.21", "ok http2 at 192.0.2.21"] });
});

test("runs again when something it comes after has changed, and only then", async () => {
    const [first, same, changed] = [await program(), await program(), await program({ after: ["fingerprint-2", "revision 4"] })];
    expect(same.inputs).toEqual(first.inputs);
    expect(changed.inputs.stdin).not.toEqual(first.inputs.stdin);
});

test.each<[Partial<Record<keyof VerificationArgs, unknown>>, RegExp]>([
    [{ addresses: [] }, /addresses: expected at least one address/],
    [{ timeoutSeconds: 4000 }, /timeoutSeconds: .*<=3000, found 4000/],
    [{ hostname: "https://rancher.example.com" }, /hostname: expected a lower-case DNS name/],
])("refuses %j", async (changed, message) => {
    await expect(record(() => new Verification("check", { ...args, ...changed } as never))).rejects.toThrow(message);
});
