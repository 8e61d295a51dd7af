import { words } from "../components/loadBalancer/directives";
import { Note, Reading } from "./reading";

/** The configuration that an nginx.conf becomes. */
export interface LoadBalancerConfig {
    hostname?: string;
    certificateOnHost?: { certificateChain?: string; privateKey?: string };
    loadBalancer: Record<string, any>;
}

interface Directive {
    line: number;
    /** Blocks around the directive, for example `http server location`. */
    block: string;
    name: string;
    values: string[];
}

/** Directives that the stack sets too, to the same value or a better one. With the cases of `keep`, they cover the file of the manual. */
const replaced = new Set([
    ...["worker_processes", "worker_rlimit_nofile", "worker_connections", "user", "pid", "error_log", "access_log", "log_format"],
    ...["events", "http", "server", "location", "upstream", "map", "default", "''", '""', "listen", "return", "rewrite"],
    ...["proxy_pass", "proxy_http_version", "proxy_buffering", "proxy_set_header", "include", "default_type", "sendfile", "tcp_nopush"],
    ...["ssl_protocols", "ssl_ciphers", "ssl_prefer_server_ciphers", "ssl_session_cache", "ssl_session_timeout", "server_tokens"],
    ...["keepalive_timeout", "keepalive", "types_hash_max_size", "multi_accept", "use", "proxy_next_upstream"],
]);

/** Reads the nginx.conf of the manual, or the output of `nginx -T`. */
export function readNginxConf(text: string): Reading<LoadBalancerConfig> {
    const settings: LoadBalancerConfig = { loadBalancer: {} };
    const notes: Note[] = [];
    for (const directive of directivesOf(text)) {
        if (keep(directive, settings)) continue;
        const { line, name, block, values } = directive;
        const place = /location/.test(block) ? "location" : /server/.test(block) ? "server" : "http";
        const advice = `is not kept. To keep it, add it to loadBalancer.extraDirectives.${place}`;
        notes.push({ line, what: [name, ...values].join(" "), advice });
    }
    return { settings, notes };
}

/** Puts a directive into the settings. Returns false when no setting can hold it. */
function keep({ name, values: [value], block }: Directive, settings: LoadBalancerConfig): boolean {
    const { loadBalancer } = settings;
    switch (name) {
        case "server_name":
            if (value !== "_") settings.hostname ??= value;
            return true;
        case "ssl_certificate":
            settings.certificateOnHost = { ...settings.certificateOnHost, certificateChain: value };
            return true;
        case "ssl_certificate_key":
            settings.certificateOnHost = { ...settings.certificateOnHost, privateKey: value };
            return true;
        case "proxy_read_timeout":
            // The stack's default is longer than the manual's 900 s, and closes no connection that the manual keeps.
            if (seconds(value) > 1800) loadBalancer.readTimeoutSeconds = seconds(value);
            return true;
        case "client_max_body_size":
            loadBalancer.maxBodySize = value.toLowerCase();
            return true;
        case "server":
            // Upstreams are the nodes of the cluster. Only a port other than 80, the ingress controller's, is kept.
            if (block.includes("upstream") && /:(?!80$)\d+$/.test(value ?? "")) loadBalancer.upstreamPort = Number(value.split(":").pop());
            return true;
        default:
            return replaced.has(name) || block.includes("map");
    }
}

function seconds(time: string): number {
    const [, count, unit] = /^(\d+)([smhd]?)$/.exec(time) ?? ["", "0", ""];
    return Number(count) * { "": 1, s: 1, m: 60, h: 3600, d: 86_400 }[unit as "" | "s" | "m" | "h" | "d"];
}

/** Returns the directives of a text, each with its line and the blocks around it. */
function directivesOf(text: string): Directive[] {
    const found: Directive[] = [];
    const blocks: string[] = [];
    let statement: { word: string; line: number }[] = [];
    for (const match of text.matchAll(words)) {
        const [word] = match;
        if (word.startsWith("#")) continue;
        if (![";", "{", "}"].includes(word)) {
            const line = text.slice(0, match.index).split("\n").length;
            statement.push({ word: word.replace(/^(["'])([^]+)\1$/, "$2"), line });
            continue;
        }
        const [first, ...values] = statement;
        if (first) found.push({ line: first.line, name: first.word, values: values.map(each => each.word), block: blocks.join(" ") });
        if (word === "{") blocks.push(first?.word ?? "");
        if (word === "}") blocks.pop();
        statement = [];
    }
    return found;
}
