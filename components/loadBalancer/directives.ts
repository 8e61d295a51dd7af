import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";

/**
 * Directives of NGINX that the other arguments do not cover. NGINX checks them before they go live. A directive that opens a port is
 * refused, and so is one without its end.
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
    .default("");

/** Request headers that nginxServers.ts sets. */
export const ownHeaders =
    /^(Host|Upgrade|Connection|Forwarded|X-Forwarded-(Host|Proto|Port|For)|X-Real-IP|X-Request-ID|X-API-(Host|URL-Prefix))$/i;

/** Directives that the other arguments do not cover. NGINX of the host checks them before they go live. */
export const extraDirectivesSchema = z.strictObject({
    http: directivesSchema,
    server: directivesSchema.refine(
        text => directives(text).every(([name, header = ""]) => name !== "proxy_set_header" || !ownHeaders.test(header)),
        "expected no proxy_set_header for a header that the load balancer sets itself: nodes would get it twice, and refuse every request. Remove it",
    ),
    location: directivesSchema.refine(
        text => !/\b(proxy_set_header|add_header)\b/.test(text),
        "expected no proxy_set_header and no add_header: one in a location drops all that the server sets. Put it into extraDirectives.server",
    ),
});

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

/** Returns the words of each directive outside of blocks. */
function directives(text: string): string[][] {
    const found: string[][] = [[]];
    let depth = 0;
    for (const [word] of text.matchAll(words)) {
        if (word.startsWith("#")) continue;
        if (word === "{") depth++;
        else if (word === "}") depth--;
        else if (depth === 0 && word !== ";") found.at(-1)!.push(word.replace(/^(["'])([^]*)\1$/, "$2"));
        if (depth === 0 && /^[;}]$/.test(word)) found.push([]);
    }
    return found;
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
