import { execFileSync, spawn } from "child_process";
import { mkdtempSync, readFileSync, rmSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { LabHost } from "../../lab/host";
import { LabName } from "../../lab/inventory";
import { Lab } from "../../lab/lab";
import { newSshKey } from "../ssh";

/** Returns the lab that the environment variable LAB names, or else this one: by default that of the jest worker. */
export function testLab(name = `test${process.env.JEST_WORKER_ID ?? 1}`): Lab {
    return Lab.of((process.env.LAB ?? name) as LabName);
}

/** Removes a lab's hosts before and after a test file. Files that run side by side share no host. */
export function disposable(lab: Lab): Lab {
    beforeAll(() => lab.stop(), 5 * 60_000);
    afterAll(() => lab.stop(), 5 * 60_000);
    return lab;
}

/**
 * Returns the digests of all files of a host that a run could change and that no clock or daemon changes by itself. A file is read
 * again only when its inode, size or times differ. Reading 9,000 files takes 1.3 s, and a test file does that up to 40 times.
 */
export function digestOf(host: LabHost): Promise<string> {
    const ignored = [
        ...["apt", "dpkg", "docker", "containerd", "systemd", "ucf"].map(name => `/var/lib/${name}/*`),
        ...["/etc/ssl/certs/*", "/usr/share/info/dir", "/etc/.updated", "*.cache"],
    ];
    const filters = ignored.map(path => `! -path '${path}'`).join(" ");
    // Each line of `known` and `digests` holds SHA-256, inode, size, times of content and inode, and path.
    return host.sh(String.raw`set -e; mkdir -p /run/lab-digests; cd /run/lab-digests; touch known; : >new
        find /etc /usr /opt /root /home /srv /var/lib -xdev -type f ${filters} -printf '%i %s %T@ %C@ %p\n' >files
        awk 'FILENAME == "known" { known[substr($0, 66)] = $1; next }
            $0 in known { print known[$0] " " $0; next }
            { print >"new" }' known files >digests
        cut -d' ' -f5- new | tr '\n' '\0' | xargs -0r sha256sum -z | tr '\0' '\n' >read
        awk 'FILENAME == "read" { of[substr($0, 67)] = $1; next }
            { path = $0; sub(/^[^ ]+ [^ ]+ [^ ]+ [^ ]+ /, "", path); print of[path] " " $0 }' read new >>digests
        mv digests known
        awk '{ hash = $1; sub(/^[^ ]+ [^ ]+ [^ ]+ [^ ]+ [^ ]+ /, ""); print hash "  " $0 }' known | sort -k2`);
}

/** Makes a host a bastion: a user without a shell, who logs in with a key that no other host accepts. Returns `ssh.bastion`. */
export async function bastionAt(host: LabHost) {
    const { privateKey, publicKey } = newSshKey();
    await host.sh(`useradd --create-home --shell /usr/sbin/nologin jump
        install -d -o jump -g jump -m 700 /home/jump/.ssh; echo '${publicKey}' >/home/jump/.ssh/authorized_keys`);
    return { address: host.address, hostKey: host.hostKey, user: "jump", privateKey };
}

/** Writes lines of sshd's configuration on a host, in the place of earlier ones. */
export const sshd = (host: LabHost, lines: string) =>
    host.sh(`echo '${lines}' >/etc/ssh/sshd_config.d/00-test.conf; systemctl restart ssh`);

/** An SSH agent of an operator whose key a CA signs. */
export class CertificateAgent {
    private readonly folder = mkdtempSync(join(tmpdir(), "ssh-agent-"));
    /** Path for SSH_AUTH_SOCK. */
    readonly socket = join(this.folder, "socket");
    private readonly agent = spawn("ssh-agent", ["-D", "-a", this.socket], { stdio: "ignore" });

    constructor() {
        ["ca", "key"].forEach(name => this.keygen("-t", "ed25519", "-N", "", "-f", name));
    }

    /** Puts the key into the agent, with its certificate if there is one. */
    add(): void {
        // Without an environment, a child gets that of jest.
        execFileSync("ssh-add", ["-q", join(this.folder, "key")], { env: { ...process.env, SSH_AUTH_SOCK: this.socket } });
    }

    /** Lets the CA sign the key for these users. */
    certify(...users: string[]): void {
        this.keygen("-s", "ca", "-I", "test", "-n", users.join(","), "-V", "+1h", "key.pub");
    }

    /** Makes a host trust the CA, and no key of its own. */
    async trustedBy(host: LabHost): Promise<void> {
        await host.write("/etc/ssh/user-ca.pub", readFileSync(join(this.folder, "ca.pub"), "utf8"));
        await sshd(host, "AuthorizedKeysFile none\nTrustedUserCAKeys /etc/ssh/user-ca.pub");
    }

    stop(): void {
        this.agent.kill();
        rmSync(this.folder, { recursive: true });
    }

    private keygen(...args: string[]): void {
        execFileSync("ssh-keygen", ["-q", ...args], { cwd: this.folder });
    }
}

/** Makes a host refuse SSH from this machine, so that only a bastion reaches it. A packet filter forgets its rules when the host starts again. */
export const refuseDirectSsh = (host: LabHost) => host.sh(`iptables -A INPUT -s ${host.lab.gateway} -p tcp --dport 22 -j REJECT`);

/** Returns the logins that sshd of a host has accepted, each kind once: `Accepted publickey for USER from ADDRESS`. */
export const loginsOf = async (host: LabHost) =>
    (await host.sh("journalctl -u ssh -o cat | grep -o 'Accepted .* from [^ ]*' | sort -u")).trim().split("\n");

/** Returns a command by which apt installs packages anew, as an upgrade of the distribution does. */
export function installAnew(...packages: string[]): string {
    const install = `DEBIAN_FRONTEND=noninteractive apt-get install -y --reinstall ${packages.join(" ")}`;
    return `${install} 2>&1 || { apt-get update -q && ${install}; }`;
}

/** Returns shell text that makes a process listen on a port of a host. */
export const listener = (port: number, perl = "perl") =>
    `systemd-run -q --unit=lab-listener ${perl} -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(LocalPort => ${port}, Listen => 5, ReuseAddr => 1) or die; sleep 600'
    for n in $(seq 100); do ss -Hltn 'sport = :${port}' | grep -q . && break; sleep 0.2; done`;

/** Shell text that ends the process of `listener`. */
export const noListener = "systemctl stop lab-listener";
