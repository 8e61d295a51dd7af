import { allNamed, Directive, named } from "./nginxBlocks";

/** The `server` blocks that serve Rancher, and those that serve something else. */
export interface Servers {
    own: Directive[];
    others: Directive[];
}

/** Returns the names of a server, without the placeholder `_`. */
export const namesOf = (server: Directive): string[] =>
    named(server.children, "server_name").flatMap(({ values }) => values.filter(name => name !== "_" && name !== ""));

/** Reports whether a server ends TLS. */
export const endsTls = (server: Directive): boolean =>
    named(server.children, "ssl_certificate").length > 0 || named(server.children, "listen").some(({ values }) => values.includes("ssl"));

/** Returns Rancher's name by nginx.conf alone: the first name of a server that ends TLS and proxies, or the first name at all. */
export function firstName(servers: Directive[]): string | undefined {
    const proxying = servers.filter(server => endsTls(server) && allNamed(server.children, "proxy_pass").length > 0);
    return [...proxying, ...servers].flatMap(namesOf)[0];
}

/** Finds the servers that NGINX asks for a name: for TLS and without TLS, those whose server_name fits best. */
export function serversFor(hostname: string | undefined, servers: Directive[]): Servers {
    const name = hostname?.toLowerCase() ?? "";
    const own = [servers.filter(endsTls), servers.filter(server => !endsTls(server))].flatMap(group => {
        const best = Math.min(...group.map(server => rank(server, name)));
        return best === Infinity ? [] : group.filter(server => rank(server, name) === best);
    });
    return { own, others: servers.filter(server => !own.includes(server)) };
}

/** Returns how well a server fits a name, from 0, or Infinity. */
function rank(server: Directive, hostname: string): number {
    const names = namesOf(server).map(name => (name.startsWith("~") ? name : name.toLowerCase()));
    // A server for all names, such as a common redirect to HTTPS, serves Rancher only where no other one fits.
    if (names.length === 0) return passesOn(server) ? 3 : Infinity;
    const fits = [
        (name: string) => name === hostname,
        (name: string) => fitsWildcard(name, hostname),
        (name: string) => fitsPattern(name, hostname),
    ];
    const found = fits.findIndex(test => names.some(test));
    return found === -1 ? Infinity : found;
}

function fitsWildcard(name: string, hostname: string): boolean {
    if (name.startsWith("*.")) return hostname.endsWith(name.slice(1));
    if (name.startsWith(".")) return hostname === name.slice(1) || hostname.endsWith(name);
    return name.endsWith(".*") && hostname.startsWith(name.slice(0, -1));
}

/** Reports whether a name is a regular expression that matches. PCRE and JavaScript differ in details that host names do not need. */
function fitsPattern(name: string, hostname: string): boolean {
    if (!name.startsWith("~")) return false;
    try {
        return new RegExp(name.slice(1).replace(/\(\?P</g, "(?<"), "i").test(hostname);
    } catch {
        return false;
    }
}

const passesOn = ({ children }: Directive) =>
    allNamed(children, "proxy_pass", "rewrite").length > 0 || allNamed(children, "return").some(({ values }) => /^3/.test(values[0]));

/** Reports whether a server refuses all requests for unknown names, as the stack's own servers do. */
export const isRefusal = ({ children = [] }: Directive): boolean =>
    namesOf({ line: 0, name: "", values: [], children }).length === 0 &&
    children.some(
        ({ name, values }) => (name === "return" && /^4/.test(values[0])) || (name === "ssl_reject_handshake" && values[0] === "on"),
    ) &&
    named(children, "location").length === 0;
