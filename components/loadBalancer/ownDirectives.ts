import { z } from "zod";
import { whenKnown } from "../validation";
import { Directive, directivesIn, ExtraBlock, reportRepeated } from "./directives";
import { nginxConf } from "./nginxConf";
import { rancher } from "./nginxServers";
import { loadBalancerSettingsSchema, NginxSettings } from "./schema";

/** Returns the directives of the stack in each block that takes the user's own, without those for some versions of NGINX alone. */
export function ownDirectives(settings: NginxSettings): Record<ExtraBlock, Directive[]> {
    const parsed = (text: string) => directivesIn(text.replace(/^.*# nginx (>=|<) [\d.]+$/gm, ""));
    const within = (list: Directive[], name: string) => list.filter(({ words }) => words[0] === name).flatMap(({ block }) => block ?? []);
    const server = within(parsed(rancher(settings)), "server");
    return { http: within(parsed(nginxConf(settings)), "http"), server, location: within(server, "location") };
}

const extraSchema = z.looseObject({ extraDirectives: z.object({ http: z.string(), server: z.string(), location: z.string() }) });

/** Adds the rule that no extra directive repeats one that every nginx.conf of the stack holds. Only `pulumi up` asks NGINX itself. */
export const withoutOwnDirectives = <S extends z.ZodType>(schema: S): S =>
    schema.superRefine((given, context) => {
        const { extraDirectives } = extraSchema.parse(given);
        if (Object.values(extraDirectives).every(text => text === "")) return;
        const defaults = z.object(loadBalancerSettingsSchema.shape).omit({ hosts: true }).parse({});
        const settings = { ...defaults, hosts: [], hostname: "rancher.example.com", upstreams: ["192.0.2.1"] };
        reportRepeated(extraDirectives, ownDirectives(settings), context);
    }, whenKnown(extraSchema));
