import { BlockList, isIP } from "net";

// The rules here are those of kubectl and Helm. Source: golang.org/x/net/http/httpproxy

/** Returns the variable that names a proxy for a URL with TLS. Returns undefined without one, or when NO_PROXY covers the URL. */
export function proxyVariable(url: string, env: NodeJS.ProcessEnv): string | undefined {
    const { hostname, port } = new URL(url);
    const host = hostname.replace(/^\[|\]$/g, "");
    const entries = (env.no_proxy || env.NO_PROXY || "").split(",").map(entry => entry.trim().toLowerCase());
    const isDirect = host === "localhost" || ["127.0.0.0/8", "::1", ...entries].some(entry => covers(entry, host, port || "443"));
    return isDirect ? undefined : ["https_proxy", "HTTPS_PROXY"].find(name => env[name]);
}

/** Reports whether an entry of NO_PROXY covers a host: `*`, a range, an address, a name or a domain. The last three may have a port. */
function covers(entry: string, host: string, port: string): boolean {
    if (entry === "*") return true;
    const [, range, prefix] = /^([^/]+)\/(\d{1,3})$/.exec(entry) ?? [];
    if (range && isIP(range)) return isWithin(host, range, Number(prefix));
    const [, named = entry, ownPort = ""] = /^(\[.*\]|[^:]*):(\d*)$/.exec(entry) ?? [];
    const name = named.replace(/^\[(.*)\]$/, "$1").replace(/^\*\./, ".");
    if (ownPort && ownPort !== port) return false;
    if (isIP(name)) return isWithin(host, name, isIP(name) === 4 ? 32 : 128);
    if (name === "" || isIP(host)) return false;
    return name.startsWith(".") ? host.endsWith(name) : host === name || host.endsWith(`.${name}`);
}

function isWithin(host: string, range: string, prefix: number): boolean {
    const familyOf = (address: string) => (isIP(address) === 4 ? "ipv4" : "ipv6");
    if (!isIP(host) || prefix > (isIP(range) === 4 ? 32 : 128)) return false;
    const list = new BlockList();
    list.addSubnet(range, prefix, familyOf(range));
    return list.check(host, familyOf(host));
}
