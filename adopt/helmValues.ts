import { parse } from "yaml";
import { rancherChartValuesSchema } from "../components/rancher/chartValuesSchema";
import { givenPasswordSchema } from "../components/rancher/schema";
import { isGroup, schemaAt } from "../components/secrecy";
import { at, Key, pathText, put } from "./keys";
import { Note, Reading } from "./reading";
import { secretNote, secretPaths } from "./secrets";
import { Leaf, yamlLeaves } from "./yamlLeaves";

/** The configuration of Rancher that the values of its Helm release become. */
export interface RancherConfig {
    hostname?: string;
    privateCa: boolean;
    /** True when the installation has the Secret tls-ca-additional. */
    hasAdditionalCas: boolean;
    /** True when the values hold a password that the stack takes. The configuration file never holds the password. */
    hasBootstrapPassword: boolean;
    rancher: Record<string, any>;
}

/** Values that the stack itself sets. */
const own = ["hostname", "tls", "privateCA", "additionalTrustedCAs", "bootstrapPassword", "replicas", "agentTLSMode"];

/** Values that the stack leaves at the chart's default, because Rancher behind a load balancer needs that. */
const fixed: Record<string, unknown> = { addLocal: "true", nameOverride: "", "ingress.servicePort": 80, "service.disableHTTP": false };

/** Values that the chart takes for a missing one, and that `values` does not take. Source: values.yaml of the chart. */
const unset: Record<string, unknown> = { extraNodeSelectorTerms: {}, extraTolerations: {}, fleet: "", "service.type": "", webhook: "" };

/** Reports whether a value has no place in the configuration. With external TLS, the chart reads nothing below `ingress.tls`. */
const isLeftOut = (path: string, value: unknown): boolean =>
    path === "ingress.tls" || path in fixed || (path in unset && JSON.stringify(value) === JSON.stringify(unset[path]));

/** Reads what `helm get values rancher --namespace cattle-system --output yaml` prints. */
export function readHelmValues(text: string): Reading<RancherConfig> {
    // The parser's own message would quote the text, secrets included.
    const leaves = yamlLeaves(text);
    const values: Record<string, any> = parse(text) ?? {};
    // `--set-string` makes strings of switches. The chart takes each text that is not empty for true.
    const hasAdditionalCas = Boolean(values.additionalTrustedCAs);
    const settings: RancherConfig = {
        hostname: values.hostname,
        privateCa: Boolean(values.privateCA),
        hasAdditionalCas,
        hasBootstrapPassword: Boolean(values.bootstrapPassword) && isTaken(values.bootstrapPassword),
        rancher: {
            ...(values.replicas !== undefined && { replicas: values.replicas }),
            ...(values.agentTLSMode && { agentTlsMode: values.agentTLSMode }),
            // A password of the stack would add a variable to the pods, and restart them.
            ...(!values.bootstrapPassword && { bootstrapPassword: "" }),
            ...(hasAdditionalCas && { values: { additionalTrustedCAs: true } }),
        },
    };
    const secrets = new Map<string, string>();
    for (const keys of sorted(values)) {
        const [name, value] = [keys.join("."), at(values, keys)];
        const entry = keys.reduceRight<unknown>((below, key) => ({ [key]: below }), value) as Record<string, unknown>;
        if (isLeftOut(name, value)) continue;
        const group = isTyped(entry) ? "values" : "additionalValues";
        const found = secretPaths(entry);
        for (const path of found) secrets.set(pathText(path), pathText(["rancher", group, ...path]));
        const kept = at(withoutPaths(entry, found), keys);
        if (kept !== undefined) put((settings.rancher[group] ??= {}), keys, kept);
    }
    return { settings, notes: notesOf(leaves, secrets) };
}

const isTaken = (password: unknown) => givenPasswordSchema.safeParse({ bootstrapPassword: String(password) }).success;
const isTyped = (values: object) => rancherChartValuesSchema.safeParse(values).success;

/** Returns the paths of the values that the stack does not set. The keys of a group are apart where `values` does not take all of them. */
function sorted(values: Record<string, any>): string[][] {
    const names = Object.keys(values).filter(name => !own.includes(name));
    return names.flatMap(name => {
        const group = values[name];
        const isWhole = isTyped({ [name]: group }) || !isGroup(group) || Object.keys(group).length === 0;
        return isWhole || !schemaAt(rancherChartValuesSchema, name) ? [[name]] : Object.keys(group).map(key => [name, key]);
    });
}

/** Returns a value without the values at some paths. In a list, null keeps the place of a value. */
function withoutPaths(value: any, paths: Key[][], at: Key[] = []): any {
    const isGone = (keys: Key[]) => paths.some(path => pathText(path) === pathText(keys));
    if (Array.isArray(value))
        return value.map((entry, index) => (isGone([...at, index]) ? null : withoutPaths(entry, paths, [...at, index])));
    if (!isGroup(value)) return value;
    const entries = Object.entries(value).filter(([key]) => !isGone([...at, key]));
    return Object.fromEntries(entries.map(([key, below]) => [key, withoutPaths(below, paths, [...at, key])]));
}

const additionalCas =
    "kubectl --namespace cattle-system get secret tls-ca-additional -o jsonpath='{.data.ca-additional\\.pem}' | base64 -d | " +
    "pulumi config set --path 'pulumi-rancher-ha:rancher.additionalTrustedCAs'";

const ownPassword = "is a secret, and is in no file that this program writes. Set it with the command below";
// The chart keeps the Secret bootstrap-secret that it finds, and the pods name this Secret alone.
const refusedPassword =
    "is not kept, because the stack takes 12 characters to 72 bytes. Set no rancher.bootstrapPassword: the pods run on with the random one. " +
    "The first login keeps the password of the Secret bootstrap-secret, so the output bootstrapPassword is wrong";

/** Returns the notes. `secrets` holds the arguments of secrets by their paths in the values. */
function notesOf(leaves: Leaf[], secrets: Map<string, string>): Note[] {
    return leaves.flatMap(({ path, value, line }) => {
        const note = (advice: string) => [{ line, what: path, advice }];
        if (path === "tls" && value !== "external")
            return note(`is ${value}. The stack sets external, because NGINX ends TLS. The preview shows the change`);
        if (path === "bootstrapPassword") return value ? note(isTaken(value) ? ownPassword : refusedPassword) : [];
        if (path in fixed && String(value) !== String(fixed[path]))
            return note(
                `is not kept, because the stack needs the chart's default, ${JSON.stringify(fixed[path])}. The preview shows the change`,
            );
        if (path === "additionalTrustedCAs" && value) return note(`needs the certificates of the Secret: ${additionalCas}`);
        const secret = secrets.get(path);
        return secret ? note(secretNote(secret)) : [];
    });
}
