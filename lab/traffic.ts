import { readFileSync } from "fs";
import { join } from "path";
import { HostName } from "./inventory";
import { Lab } from "./lab";

/** Makes load inside a lab. The program lab/traffic runs on its hosts, as an upstream and as clients. */
export class Traffic {
    constructor(
        private readonly lab: Lab,
        private readonly client: HostName = "client",
    ) {}

    async install(tools: string, hosts: HostName[]): Promise<void> {
        const program = readFileSync(join(tools, "traffic"));
        await Promise.all(hosts.map(host => this.lab.host(host).write("/usr/local/bin/traffic", program, "755")));
    }

    /** Starts an upstream that can delay its answers, fail on request and end tunnels. */
    startUpstream(host: HostName, port: number): Promise<unknown> {
        const unit = `systemd-run -q --unit=traffic --property=LimitNOFILE=18000 traffic upstream --listen :${port}`;
        return this.sh(host, `systemctl reset-failed traffic 2>/dev/null; ${unit}`);
    }

    killUpstream(host: HostName): Promise<unknown> {
        return this.sh(host, "systemctl kill --signal=KILL traffic");
    }

    /** Runs a subcommand on the client and returns the last object of its output. With `pinned`, it runs only on the second core. */
    async run(args: string, pinned = false): Promise<any> {
        return lastObject(await this.sh(this.client, `${pinned ? "taskset -c 1 " : ""}traffic ${args}`));
    }

    /** Runs a subcommand that opens connections and holds them until `work` ends. Returns the last object of its output. */
    async holding(args: string, work: (opened: number) => Promise<void>): Promise<any> {
        await this.sh(this.client, "rm -f /run/end; mkfifo /run/end");
        let opened!: (count: number) => void;
        const ready = new Promise<number>(resolve => (opened = resolve));
        const ended = this.lab.host(this.client).exec(["sh", "-c", `exec 3<>/run/end; traffic ${args} </run/end`], {
            onLine: line => void (line.startsWith("{") && opened(JSON.parse(line).opened)),
        });
        await work(await Promise.race([ready, ended.then(() => 0)]));
        await this.sh(this.client, "echo >/run/end");
        return lastObject((await ended).stdout);
    }

    private sh(host: HostName, script: string): Promise<string> {
        return this.lab.host(host).sh(script);
    }
}

function lastObject(text: string): any {
    return JSON.parse(text.trim().split("\n").pop()!);
}
