import * as pulumi from "@pulumi/pulumi";
import { Verification, VerificationArgs } from "../../components/rancher/verification";
import { said } from "../probes";
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
    [{ timeoutSeconds: 4000 }, /timeoutSeconds: .*at most 3000, found 4000/],
    [{ hostname: "https://rancher.example.com" }, /hostname: expected a lower-case DNS name/],
])("refuses %j", async (changed, message) => {
    await expect(record(() => new Verification("check", { ...args, ...changed } as never))).rejects.toThrow(message);
});

describe("a dead URL", () => {
    const dead = (word: string) => ({ stdout: `${word} ping at 192.0.2.21: 502\nend` });
    const check = (changed: Partial<VerificationArgs>, call: jest.Mock, options = { mock }) =>
        record(() => new Verification("check", { ...args, ...changed }), { ...options, call });

    test("is told although nothing was changed", async () => {
        const warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue();
        await check(
            {},
            jest.fn(() => dead("warning")),
        );
        expect(warn.mock.calls.map(([text]) => text)).toEqual(["needs attention: https://rancher.example.com: ping at 192.0.2.21: 502"]);
        warn.mockRestore();
    });

    test.each([
        ["warn", "warning"],
        ["fail", "refused"],
    ] as const)("with %s is said as %s", async (liveCheck, word) => {
        const call = jest.fn((_asked: unknown) => ({ stdout: said("in sync") }));
        await check({ liveCheck }, call);
        expect(JSON.stringify(call.mock.calls)).toContain(`\\"asWord\\":\\"${word}\\"`);
        expect(JSON.stringify(call.mock.calls)).not.toContain("first-login-password");
    });

    test("is not asked for when it is off", async () => {
        const call = jest.fn(() => ({ stdout: said("in sync") }));
        await check({ liveCheck: "off" }, call);
        expect(call).not.toHaveBeenCalled();
    });
});
