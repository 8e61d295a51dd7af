import { ownHeaders } from "../components/loadBalancer/directives";
import { allNamed, Directive, named, textOf } from "./nginxBlocks";
import { namesOf } from "./nginxServers";
import { streamPorts, targetName } from "./nginxUpstreams";
import { Note } from "./reading";

/** Directives that the stack sets too, to the same value or a better one, or that settings hold. They cover the file of the manual. */
const replaced = new Set([
    ...[
        "worker_processes",
        "worker_rlimit_nofile",
        "worker_connections",
        "user",
        "pid",
        "error_log",
        "access_log",
        "log_format",
        "load_module",
    ],
    ...["listen", "server_name", "ssl_certificate", "ssl_certificate_key", "client_max_body_size", "proxy_read_timeout", "types"],
    ...["proxy_pass", "proxy_http_version", "proxy_buffering", "default_type", "sendfile", "tcp_nopush"],
    ...["ssl_protocols", "ssl_ciphers", "ssl_prefer_server_ciphers", "ssl_session_cache", "ssl_session_timeout", "server_tokens"],
    ...["keepalive_timeout", "keepalive", "types_hash_max_size", "multi_accept", "use", "proxy_next_upstream"],
]);

/** Directives with the argument of the load balancer that sets them. A second one beside the stack's own is refused by NGINX. */
const argumentsOf: Record<string, string> = {
    large_client_header_buffers: "maxRequestHeaderSize",
    proxy_buffer_size: "maxResponseHeaderSize",
    proxy_buffers: "maxResponseHeaderSize",
    proxy_connect_timeout: "connectTimeoutSeconds",
    proxy_send_timeout: "readTimeoutSeconds",
    real_ip_header: "trustedProxies",
    real_ip_recursive: "trustedProxies",
    set_real_ip_from: "trustedProxies",
    worker_shutdown_timeout: "workerShutdownTimeoutSeconds",
};

type Place = "http" | "server" | "location";

/** Returns the note about a directive that `loadBalancer.extraDirectives` can hold, or none for one that the stack sets. */
function noteOf(directive: Directive, place: Place): Note[] {
    const { line, name, values } = directive;
    if (replaced.has(name) || (name === "include" && isHarmless(directive))) return [];
    const note = (advice: string, what = textOf(directive)) => [{ line, what, advice }];
    if (name === "include") return note("is not kept, because its files are not in this text. Give the output of nginx -T");
    if (name in argumentsOf) return note(`is not kept. To keep it, set loadBalancer.${argumentsOf[name]}`);
    if (name === "proxy_set_header" && ownHeaders.test(values[0])) return [];
    // One header in a location drops all that the server sets. Its value can be a secret.
    const where = ["add_header", "proxy_set_header"].includes(name) && place === "location" ? "server" : place;
    const what = name === "proxy_set_header" ? `${name} ${values[0]}` : textOf(directive);
    return note(`is not kept. To keep it, add it to loadBalancer.extraDirectives.${where}`, what);
}

const isHarmless = ({ values: [path = ""] }: Directive) => /(mime\.types|modules-enabled\/[^/]*)$/.test(path);

/** Returns the notes about directives outside of `http`. */
export function notesOfMain(main: Directive[]): Note[] {
    const note = (directive: Directive, advice: string) => [{ line: directive.line, what: textOf(directive), advice }];
    return main.flatMap(directive => {
        const { name, children } = directive;
        if (name === "http" || replaced.has(name)) return [];
        if (name === "events") return notesOfMain(children ?? []);
        if (name === "stream") return notesOfStream(children ?? []);
        if (name === "include" || name in argumentsOf) return noteOf(directive, "http");
        return note(directive, children ? "is not kept, and this host then serves Rancher alone" : "is not kept, and no argument sets it");
    });
}

function notesOfStream(stream: Directive[]): Note[] {
    const upstreams = named(stream, "upstream");
    return named(stream, "server", "include").flatMap(server => {
        if (server.name === "include") return noteOf(server, "http");
        const isApi = streamPorts(server, upstreams).includes(6443);
        const what = `stream server ${named(server.children, "listen").map(textOf).join(", ")}`;
        const advice = isApi
            ? "is not kept. To keep the Kubernetes API on port 6443 of this host, set loadBalancer.kubernetesApi to true"
            : "cannot be expressed, and this host then serves Rancher alone. Move this service to another host before step 6";
        return [{ line: server.line, what, advice }];
    });
}

/** Returns the notes about directives directly in `http`, without servers and upstreams. */
export const notesOfHttp = (http: Directive[]): Note[] =>
    http.flatMap(directive => {
        if (["server", "upstream"].includes(directive.name)) return [];
        // The stack has the manual's map, too.
        if (directive.name === "map" && directive.values[1] === "$connection_upgrade") return [];
        return noteOf(directive, "http");
    });

/** Facts about a server of Rancher. */
interface ServerFacts {
    hostname?: string;
    /** The target of its `proxy_pass`. */
    target?: string;
    /** False for a server on port 80 beside one that ends TLS. */
    isMain: boolean;
}

/** Returns the notes about directives in a server of Rancher. */
export function noteDirectives(server: Directive, facts: ServerFacts): Note[] {
    const further = new Set(namesOf(server).filter(name => name !== facts.hostname));
    return [
        ...named(server.children, "listen").flatMap(notesOfListen),
        ...named(server.children, "server_name")
            .filter(({ values }) => values.some(name => further.has(name)))
            .map(({ line, values }) => ({
                line,
                what: `server_name ${values.filter(name => further.has(name)).join(" ")}`,
                advice: `is not kept, because the stack serves ${facts.hostname} alone`,
            })),
        ...(server.children ?? []).flatMap(directive => (facts.isMain ? noteInMain(directive, facts) : noteInRedirect(directive))),
    ];
}

function notesOfListen(listen: Directive): Note[] {
    const note = (advice: string) => ({ line: listen.line, what: textOf(listen), advice });
    const [address = "", ...flags] = listen.values;
    const port = Number(/^(?:.*:)?(\d+)$/.exec(address)?.[1] ?? 80);
    return [
        ...(flags.includes("proxy_protocol")
            ? [note("cannot be expressed: the stack reads no PROXY protocol. Turn it off in the balancer in front before step 6")]
            : []),
        ...([80, 443].includes(port) && !address.startsWith("unix:")
            ? []
            : [note("is not kept, because the stack listens on ports 80 and 443")]),
    ];
}

function noteInMain(directive: Directive, { target }: ServerFacts): Note[] {
    if (directive.name !== "location") return noteOf(directive, "server");
    const proxied = allNamed(directive.children, "proxy_pass");
    const isRancher = proxied.length > 0 && proxied.every(each => targetName(each) === target);
    const isRoot = directive.values.at(-1) === "/";
    if (!isRancher && !isRoot) return noteOf(directive, "server");
    return (directive.children ?? []).flatMap(inner => noteOf(inner, "location"));
}

/** Returns the note about a directive of a server on port 80. The stack's own server there only redirects. */
function noteInRedirect(directive: Directive): Note[] {
    const { line, name, values, children } = directive;
    if (name === "include") return noteOf(directive, "server");
    if (["return", "rewrite", "proxy_set_header"].includes(name) || (replaced.has(name) && name !== "proxy_pass")) return [];
    const isForAll = name === "if" || (name === "location" && values.at(-1) === "/");
    if (isForAll && children?.every(inner => noteInRedirect(inner).length === 0)) return [];
    return [{ line, what: textOf(directive), advice: "is not kept, because port 80 only redirects to HTTPS" }];
}
