import { readFileSync, writeFileSync } from "fs";
import { isIP } from "net";
import { join } from "path";
import { isSecret, unknown, Value } from "../../lab/engine/values";
import { Result } from "../../lab/engine/deployment";
import { StateFile } from "../../lab/engine/state";
import { addressOf, Host, hostExec, Instance, labFiles } from "../../lab/lab";
import { configFileOf, Finished, passphrase, runLabEngine, StackRun, stateFile } from "../../lab/stack";

/** The stack of the tests: that of Pulumi.dev.yaml in a lab of its own, so that the one a person has up is never touched. */
export const instance = "test";

/** Everything the runs have printed, to be searched for secrets. */
export const printed: string[] = [];

export interface Ran extends Finished {
    result?: Result;
}

/** Runs the stack and keeps what it printed. */
export async function pulumi(
    tools: string,
    verb: string,
    options: { flags?: string[]; edit?: (config: Record<string, any>) => void; onLine?: (line: string, kill: () => void) => void } = {},
): Promise<Ran> {
    const json = join(labFiles(instance).folder, "result.json");
    const stack: StackRun = { instance, tools, configFile: configFileOf(instance, options.edit) };
    writeFileSync(json, "null", { mode: 0o600 });
    const finished = await runLabEngine(stack, [verb, "--json", json, ...(options.flags ?? [])], options.onLine);
    printed.push(finished.output);
    return { ...finished, result: JSON.parse(readFileSync(json, "utf8")) ?? undefined };
}

export function readState() {
    return new StateFile(stateFile(instance), passphrase(instance)).read();
}

/** The host key of a lab's host, from the lab's own list. */
export function hostKeyOf(lab: Instance, host: Host): string {
    const address = addressOf(lab, host);
    const lines = readFileSync(labFiles(lab).knownHosts, "utf8").split("\n");
    return lines.find(line => line.startsWith(`${address} `))!.slice(address.length + 1);
}

/** A digest of every file of a host that a run could change and that no clock or daemon changes by itself. */
export async function hostDigest(host: Host, lab: Instance = instance): Promise<string> {
    const script = `find /etc /usr /opt /root /home /srv /var/lib -xdev -type f \\
        ! -path '/var/lib/apt/*' ! -path '/var/lib/dpkg/*' ! -path '/var/lib/docker/*' ! -path '/var/lib/containerd/*' ! -path '/var/lib/systemd/*' ! -path '/var/lib/ucf/*' \\
        ! -path '/etc/ssl/certs/*' ! -name '*.cache' ! -path '/usr/share/info/dir' ! -path '/etc/.updated' \\
        -exec sha256sum {} + | sort -k2`;
    return (await hostExec(lab, host, ["sh", "-c", script])).stdout;
}

/**
 * What must never be printed of a secret: a short one whole, of a long text (a program, a kubeconfig, a PEM file) what looks like a key.
 * Its ordinary words are not secret, and neither is the address in a connection that is secret as a whole.
 */
export function secretTexts(value: Value, inside = false): string[] {
    if (isSecret(value)) return secretTexts(value.value, true);
    if (typeof value === "string") {
        if (!inside || value === unknown) return [];
        return value.includes("\n")
            ? (value.match(/[A-Za-z0-9+/=_-]{24,}/g) ?? []).filter(word => /\d/.test(word))
            : value.length >= 8 && !isIP(value)
              ? [value]
              : [];
    }
    if (value !== null && typeof value === "object") return Object.values(value).flatMap(item => secretTexts(item, inside));
    return [];
}

/** Shell text that makes a process listen on a port of a host, and the one that ends it. */
export const listener = (port: number, perl = "perl") =>
    `systemd-run -q --unit=lab-listener ${perl} -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(LocalPort => ${port}, Listen => 5, ReuseAddr => 1) or die; sleep 600'
    for n in 1 2 3 4 5 6 7 8 9 10; do ss -Hltn 'sport = :${port}' | grep -q . && break; sleep 0.2; done`;
export const noListener = "systemctl stop lab-listener";
