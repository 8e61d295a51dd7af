import { readFileSync } from "fs";
import { releaseFor } from "../../components/loadBalancer/release";
import { NginxSettings } from "../../components/loadBalancer/schema";
import { sysctlConf } from "../../components/loadBalancer/sysctlConf";
import { pemBlock, settings } from "../nginx";

describe("release", () => {
    const nameOf = (changes: Partial<NginxSettings> = {}) => releaseFor(settings(changes)).name;
    test("is the same for the same settings", () => expect(nameOf()).toBe(nameOf()));
    test.each<[string, Partial<NginxSettings>]>([
        ["an upstream", { upstreams: ["192.0.2.1"] }],
        ["a timeout", { readTimeoutSeconds: 900 }],
        ["the certificate", { certificateChain: pemBlock("CERTIFICATE", "another") }],
    ])("changes with %s", (_what, changes) => expect(nameOf(changes)).not.toBe(nameOf()));
    test("does not tell anything about the private key", () => expect(nameOf({ privateKey: "x" })).toBe(nameOf()));
});

test("kernel settings are lines that the kernel's own names match", () => {
    const text = sysctlConf(settings());
    const names = [...text.matchAll(/^(net\.\S+) = \d+$/gm)].map(match => match[1]);
    expect(text.split("\n").filter(line => line && !line.startsWith("#"))).toHaveLength(names.length);
    for (const name of names) expect(readFileSync(`/proc/sys/${name.replace(/\./g, "/")}`, "utf8")).toMatch(/^\d+\n$/);
});

test.each([5, 15, 100, 7200])("a peer that is silently gone is given up after deadPeerTimeoutSeconds, here %i", timeout => {
    const text = sysctlConf(settings({ deadPeerTimeoutSeconds: timeout }));
    const [idle, interval, probes] = ["time", "intvl", "probes"].map(name =>
        Number(new RegExp(`tcp_keepalive_${name} = (\\d+)`).exec(text)![1]),
    );
    expect(idle + interval * probes).toBe(timeout);
    expect(Math.min(idle, interval)).toBeGreaterThan(0);
});

test("a connection with data survives 20 s without network, and ends before 60 s", () => {
    const retries = Number(/tcp_retries2 = (\d+)/.exec(sysctlConf(settings()))![1]);
    // Linux doubles the interval each time. The first interval is 0.2 s.
    const seconds = 0.2 * (2 ** (retries + 1) - 1);
    // An interval that begins within the 20 s may end after twice as long.
    expect(seconds).toBeGreaterThan(2 * 20);
    expect(seconds).toBeLessThan(60);
});
