import { allNamed, Directive, named, textOf } from "./nginxBlocks";
import { Note } from "./reading";

/** Where the servers of Rancher pass requests. */
export interface Target {
    /** Name of the upstream, or its host and port. Undefined when no server passes requests on. */
    name?: string;
    settings: { upstreamPort?: number };
    notes: Note[];
}

const replaced = ["server", "least_conn", "zone", "keepalive", "keepalive_timeout", "keepalive_requests"];

/** Returns scheme, upstream or host, port and path of a `proxy_pass`. */
function partsOf({ values: [url = ""] }: Directive) {
    const [, scheme = "", host = "", port, path = ""] = /^(https?):\/\/(\[[^\]]*\]|[^/:]+)(?::(\d+))?(.*)$/.exec(url) ?? [];
    return { scheme, host, port: port === undefined ? undefined : Number(port), path };
}

/** Returns the name by which two `proxy_pass` directives have the same target. */
export const targetName = (proxyPass: Directive): string => {
    const { host, port } = partsOf(proxyPass);
    return port === undefined ? host : `${host}:${port}`;
};

/** Returns the port in a `server` directive of an upstream. */
const portOf = ({ values: [address = ""] }: Directive): number => Number(/:(\d+)$/.exec(address)?.[1] ?? 80);

/** Reads the upstream that the location `/` of Rancher's servers passes requests to. Addresses come from the nodes of the cluster. */
export function targetOf(servers: Directive[], upstreams: Directive[]): Target {
    const roots = servers.flatMap(({ children }) => named(children, "location")).filter(({ values }) => values.at(-1) === "/");
    const [proxyPass] = [...roots.flatMap(({ children }) => allNamed(children, "proxy_pass")), ...allNamed(servers, "proxy_pass")];
    if (!proxyPass) return { settings: {}, notes: [] };
    const { scheme, host, port, path } = partsOf(proxyPass);
    const notes: Note[] = [];
    const note = (directive: Directive, advice: string) => notes.push({ line: directive.line, what: textOf(directive), advice });
    if (scheme !== "http") note(proxyPass, "cannot be expressed: the stack passes requests to port 80 of the workers, by HTTP");
    if (path !== "" && path !== "/") note(proxyPass, "is not kept as it is: the stack leaves the path of a request alone");
    const upstream = upstreams.find(({ values }) => values[0] === host);
    const nodes = named(upstream?.children, "server");
    const ports = nodes.map(portOf);
    const found = port ?? ports[0];
    for (const [index, node] of nodes.entries()) {
        if (port === undefined && ports[index] !== found) note(node, `is not kept, because upstreamPort takes one port, ${found}`);
        if (node.values.slice(1).some(value => /^(backup|down|weight=.*)$/.test(value)))
            note(node, "is kept without its weight or rank: the upstreams are all workers of the cluster, with equal weight");
    }
    for (const each of upstream?.children ?? [])
        if (!replaced.includes(each.name)) note(each, "is not kept, because the stack spreads requests by the load of the nodes");
    const isKept = scheme === "http" && found !== undefined && found !== 80;
    return { name: targetName(proxyPass), settings: isKept ? { upstreamPort: found } : {}, notes };
}

/** Returns the ports to which a `server` of `stream` passes connections, or on which it listens. */
export function streamPorts(server: Directive, upstreams: Directive[]): number[] {
    const [proxyPass] = named(server.children, "proxy_pass");
    const upstream = upstreams.find(({ values }) => values[0] === proxyPass?.values[0]);
    const targets = upstream ? named(upstream.children, "server") : proxyPass ? [proxyPass] : [];
    return [...targets, ...named(server.children, "listen")].map(portOf);
}
