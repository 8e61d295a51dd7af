import { allNamed, Directive, directivesOf, named, textOf } from "./nginxBlocks";
import { noteDirectives, notesOfHttp, notesOfMain } from "./nginxNotes";
import { endsTls, firstName, isRefusal, namesOf, serversFor } from "./nginxServers";
import { targetOf } from "./nginxUpstreams";
import { Note, Reading } from "./reading";

/** The configuration that an nginx.conf becomes. */
export interface LoadBalancerConfig {
    hostname?: string;
    certificateOnHost?: { certificateChain?: string; privateKey?: string };
    loadBalancer: Record<string, any>;
}

/** Reads the nginx.conf of the manual, or the output of `nginx -T`. Takes settings only from what serves Rancher's host name. */
export function readNginxConf(text: string, hostname?: string): Reading<LoadBalancerConfig> {
    const main = directivesOf(text);
    const httpBlocks = named(main, "http");
    // A file of conf.d has no `http` around its servers.
    const http = httpBlocks.length > 0 ? httpBlocks.flatMap(({ children }) => children ?? []) : main;
    const servers = named(http, "server");
    const wanted = onlyName(servers, hostname) ?? hostname ?? firstName(servers);
    const { own, others } = serversFor(wanted, servers);
    const tls = own.some(endsTls) ? own.filter(endsTls) : own;
    const target = targetOf(tls, named(http, "upstream"));
    const certificates = certificatesOf(tls, http);
    const bodySize = largestBodySize(tls, http);
    const readTimeout = Math.max(0, ...settingsOf("proxy_read_timeout", tls, http).map(({ values: [time] }) => seconds(time)));
    const settings: LoadBalancerConfig = {
        ...(own.length > 0 && wanted !== undefined && { hostname: wanted }),
        ...certificates.settings,
        loadBalancer: {
            ...target.settings,
            ...bodySize.settings,
            // The stack's default is longer than the manual's 900 s, and closes no connection that the manual keeps.
            ...(readTimeout > 1800 && { readTimeoutSeconds: readTimeout }),
        },
    };
    const notes = [
        ...(httpBlocks.length > 0 ? notesOfMain(main) : []),
        ...notesOfHttp(http),
        ...[target, certificates, bodySize].flatMap(part => part.notes),
        ...own.flatMap(server => noteDirectives(server, { hostname: wanted, target: target.name, isMain: tls.includes(server) })),
        ...(own.length === 0 && servers.length > 0 ? [noServer(wanted, servers)] : []),
        ...others.filter(server => !isRefusal(server)).map(noteOfOther),
    ];
    return { settings, notes };
}

/** Returns the name of a file with one site, when Helm's values have another one. The names are compared later. */
function onlyName(servers: Directive[], hostname: string | undefined): string | undefined {
    const names = new Set(servers.flatMap(namesOf));
    return hostname !== undefined && names.size === 1 && serversFor(hostname, servers).own.length === 0 ? [...names][0] : undefined;
}

const noServer = (hostname: string | undefined, servers: Directive[]): Note => ({
    line: servers[0].line,
    what: "server",
    advice: `expected a server_name ${hostname}, found ${servers.flatMap(namesOf).join(", ") || "none"}. Add certificateOnHost by hand`,
});

const noteOfOther = (server: Directive): Note => ({
    line: server.line,
    what: `server ${namesOf(server).join(" ") || named(server.children, "listen").map(textOf).join(", ") || "without a name"}`,
    advice: "is not kept, and this host then serves Rancher alone. Move this site to another host before step 6",
});

/** Returns the directives of a name that hold for Rancher: those of its servers and their locations, or else those of `http`. */
function settingsOf(name: string, servers: Directive[], http: Directive[]): Directive[] {
    const found = servers.flatMap(({ children }) => allNamed(children, name));
    return found.length > 0 ? found : named(http, name);
}

interface Part<T> {
    settings: T;
    notes: Note[];
}

function certificatesOf(servers: Directive[], http: Directive[]): Part<Pick<LoadBalancerConfig, "certificateOnHost">> {
    const chains = settingsOf("ssl_certificate", servers, http);
    const keys = settingsOf("ssl_certificate_key", servers, http);
    const further = [chains, keys].flatMap(each => each.filter(({ values }) => values[0] !== each[0].values[0]));
    const certificateOnHost = {
        ...(chains.length > 0 && { certificateChain: chains[0].values[0] }),
        ...(keys.length > 0 && { privateKey: keys[0].values[0] }),
    };
    const advice = `is not kept, because certificateOnHost takes one certificate, that of line ${chains[0]?.line ?? keys[0]?.line}`;
    return {
        settings: chains.length + keys.length > 0 ? { certificateOnHost } : {},
        notes: further.map(each => ({ line: each.line, what: textOf(each), advice })),
    };
}

function largestBodySize(servers: Directive[], http: Directive[]): Part<{ maxBodySize?: string }> {
    const found = settingsOf("client_max_body_size", servers, http);
    const sizes = found.filter(({ values: [size] }) => bytes(size) > 0).sort((one, other) => bytes(other.values[0]) - bytes(one.values[0]));
    const [largest] = sizes;
    const others = found.filter(({ values: [size] }) => !largest || bytes(size) !== bytes(largest.values[0]));
    const expected = largest ? `the size of line ${largest.line} is` : "a size such as 10g is to be";
    return {
        settings: largest ? { maxBodySize: inUnits(largest.values[0]) } : {},
        notes: others.map(each => ({
            line: each.line,
            what: textOf(each),
            advice: `is not kept, because maxBodySize takes one size other than 0: ${expected} in loadBalancer.maxBodySize`,
        })),
    };
}

function bytes(size: string): number {
    const [, count, unit] = /^(\d+)([kmg]?)$/i.exec(size) ?? ["", "0", ""];
    return Number(count) * { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[unit.toLowerCase() as "" | "k" | "m" | "g"];
}

/** Returns a size with a unit, as the stack expects one. */
const inUnits = (size: string): string => (/^\d+$/.test(size) ? `${Math.ceil(Number(size) / 1024)}k` : size.toLowerCase());

function seconds(time: string): number {
    const [, count, unit] = /^(\d+)([smhd]?)$/.exec(time) ?? ["", "0", ""];
    return Number(count) * { "": 1, s: 1, m: 60, h: 3600, d: 86_400 }[unit as "" | "s" | "m" | "h" | "d"];
}
