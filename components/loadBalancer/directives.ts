import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { isOfProxies, largerThanProxies } from "./trustedProxies";

/**
 * Directives of NGINX that the other arguments do not cover. NGINX checks them before they go live. A directive that opens a port is
 * refused. So is one without its end, and one that the stack sets in the same place and that NGINX takes once.
 */
export interface ExtraDirectivesArgs {
    /** Directives inside `http`, for example a `limit_req_zone`. @default "" */
    http?: pulumi.Input<string>;
    /**
     * Directives inside the `server` of Rancher. A `proxy_set_header` for a header that the load balancer sets itself, `Host` for example, is
     * refused: nodes would get the header twice.
     * @default ""
     */
    server?: pulumi.Input<string>;
    /**
     * Directives inside the `location`s of Rancher. `proxy_set_header` and `add_header` are refused: one in a location drops all that the
     * server sets.
     * @default ""
     */
    location?: pulumi.Input<string>;
}

const directivesSchema = z
    .string()
    .refine(text => closesWhatItOpens(text), "expected whole directives, with as many { as }")
    .refine(text => endsItsDirectives(text), "expected a ; or a block at the end of each directive, and both quotes of a string")
    // The listeners of all files are checked in the staging folder, where a relative path leads elsewhere.
    .refine(text => !hasRelativeInclude(text), "expected an absolute path behind include")
    .refine(text => trusted(directivesIn(text)).every(isOfProxies), `set_real_ip_from: ${largerThanProxies}`)
    .default("");

/** Request headers that nginxServers.ts sets. */
export const ownHeaders =
    /^(Host|Upgrade|Connection|Forwarded|X-Forwarded-(Host|Proto|Port|For)|X-Real-IP|X-Request-ID|X-API-(Host|URL-Prefix))$/i;

/** Directives that the other arguments do not cover. NGINX of the host checks them before they go live. */
export const extraDirectivesSchema = z.strictObject({
    http: directivesSchema,
    server: directivesSchema.refine(
        text => directivesIn(text).every(({ words: [name, header = ""] }) => name !== "proxy_set_header" || !ownHeaders.test(header)),
        "expected no proxy_set_header for a header that the load balancer sets itself: nodes would get it twice, and refuse every request. Remove it",
    ),
    location: directivesSchema.refine(
        text => !namesIn(directivesIn(text)).some(name => ["proxy_set_header", "add_header"].includes(name)),
        "expected no proxy_set_header and no add_header: one in a location drops all that the server sets. Put it into extraDirectives.server",
    ),
});

/** A block that takes directives of a user. */
export type ExtraBlock = keyof z.output<typeof extraDirectivesSchema>;

/** Matches comments, the delimiters `;`, `{` and `}`, and words, as NGINX reads them. Quotes count only where a word begins with one. */
export const words = /#.*|[;{}]|"(\\[^]|[^"\\])*"|'(\\[^]|[^'\\])*'|(\\[^]|\$\{|[^\s;{\\])+/g;

/** Reports whether a directive `include` names files relative to the folder of nginx.conf. */
function hasRelativeInclude(text: string): boolean {
    const found = [...text.matchAll(words)]
        .filter(([word]) => !word.startsWith("#"))
        .map(([word]) => word.replace(/^(["'])([^]*)\1$/, "$2"));
    return found.some(
        (word, index) => word === "include" && /^[;{}]?$/.test(found[index - 1] ?? "") && !(found[index + 1] ?? "").startsWith("/"),
    );
}

/** A directive of NGINX: its words without quotes, and the directives of its block. */
export interface Directive {
    words: string[];
    block?: Directive[];
}

/** Returns the directives of a text. */
export function directivesIn(text: string): Directive[] {
    const blocks: Directive[][] = [[]];
    let head: string[] = [];
    for (const [word] of text.matchAll(words)) {
        if (word.startsWith("#")) continue;
        if (!/^[;{}]$/.test(word)) {
            head.push(word.replace(/^(["'])([^]*)\1$/, "$2"));
            continue;
        }
        const block = word === "{" ? [] : undefined;
        if (head.length > 0) blocks.at(-1)!.push({ words: head, block });
        if (block) blocks.push(block);
        if (word === "}" && blocks.length > 1) blocks.pop();
        head = [];
    }
    return blocks[0];
}

/** Returns the names of directives, also of those inside blocks. */
const namesIn = (list: Directive[]): string[] => list.flatMap(({ words: [name], block = [] }) => [name, ...namesIn(block)]);

/** Returns the proxies that directives trust, also those inside blocks. */
const trusted = (list: Directive[]): string[] =>
    list.flatMap(({ words: [name, network = ""], block = [] }) => [...(name === "set_real_ip_from" ? [network] : []), ...trusted(block)]);

/** Directives of the stack that NGINX accepts several times in one block. Source: `nginx -t` of each, repeated. */
const repeatable =
    /^(access_log|error_log|listen|map|proxy_next_upstream|proxy_set_header|server|server_name|ssl_(certificate(_key)?|protocols|session_cache))$/;

/** Returns a text that NGINX accepts only once in a block. */
function onceKey([name, ...values]: string[]): string {
    if (name === "location") return [name, ...values.filter(value => value !== "^~")].join(" ");
    return ["upstream", "log_format"].includes(name) ? `${name} ${values[0]}` : name;
}

/** Reports directives that NGINX refuses beside those that stand in the same block already. */
export function reportRepeated(
    given: Record<ExtraBlock, string>,
    own: Record<ExtraBlock, Directive[]>,
    context: z.core.$RefinementCtx,
): void {
    for (const block of ["http", "server", "location"] as const) {
        const once = own[block].filter(({ words: [name] }) => !repeatable.test(name)).map(directive => onceKey(directive.words));
        const repeated = directivesIn(given[block]).map(directive => onceKey(directive.words));
        for (const key of new Set(repeated.filter(each => once.includes(each)))) {
            const message = `expected no ${key}: the stack sets it in the same block, and NGINX takes it once. Remove it, or set the argument for it.`;
            context.addIssue({ code: "custom", path: ["extraDirectives", block], message });
        }
    }
}

/** Reports whether the last directive ends, and no quote or backslash is left over. */
function endsItsDirectives(text: string): boolean {
    const found = [...text.matchAll(words)].map(([word]) => word).filter(word => !word.startsWith("#"));
    const isWhole = found.every(word => !/^["']/.test(word) || /^(["'])[^]*\1$/.test(word)) && text.replace(words, "").trim() === "";
    return isWhole && /^[;{}]?$/.test(found.at(-1) ?? "");
}

/** Reports whether a text stays inside the block that holds it. */
function closesWhatItOpens(text: string): boolean {
    let depth = 0;
    for (const [word] of text.matchAll(words)) {
        if (word === "{") depth++;
        if (word === "}" && --depth < 0) return false;
    }
    return depth === 0;
}
