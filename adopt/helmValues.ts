import { parse } from "yaml";
import { rancherChartValuesSchema } from "../components/rancher/chartValuesSchema";
import { isGroup } from "../components/secrecy";
import { Key, pathText } from "./keys";
import { Note, Reading } from "./reading";
import { secretNote, secretPaths } from "./secrets";
import { Leaf, yamlLeaves } from "./yamlLeaves";

/** The configuration of Rancher that the values of its Helm release become. */
export interface RancherConfig {
    hostname?: string;
    privateCa: boolean;
    /** True when the installation has the Secret tls-ca-additional. */
    hasAdditionalCas: boolean;
    /** True when the values hold the password. The configuration file never holds the password. */
    hasBootstrapPassword: boolean;
    rancher: Record<string, any>;
}

/** Values that the stack itself sets. */
const own = ["hostname", "tls", "privateCA", "additionalTrustedCAs", "bootstrapPassword", "replicas", "agentTLSMode"];

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
        hasBootstrapPassword: values.bootstrapPassword !== undefined,
        rancher: {
            ...(values.replicas !== undefined && { replicas: values.replicas }),
            ...(values.agentTLSMode !== undefined && { agentTlsMode: values.agentTLSMode }),
            ...(hasAdditionalCas && { values: { additionalTrustedCAs: true } }),
        },
    };
    const others = Object.entries(values).filter(([name]) => !own.includes(name));
    const secrets = new Map<string, string>();
    for (const [name, value] of others) {
        const group = rancherChartValuesSchema.safeParse({ [name]: value }).success ? "values" : "additionalValues";
        const found = secretPaths({ [name]: value });
        for (const keys of found) secrets.set(pathText(keys), pathText(["rancher", group, ...keys]));
        const kept = withoutPaths({ [name]: value }, found);
        if (name in kept) (settings.rancher[group] ??= {})[name] = kept[name];
    }
    return { settings, notes: notesOf(leaves, secrets) };
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

/** Returns the notes. `secrets` holds the arguments of secrets by their paths in the values. */
function notesOf(leaves: Leaf[], secrets: Map<string, string>): Note[] {
    return leaves.flatMap(({ path, value, line }) => {
        const note = (advice: string) => [{ line, what: path, advice }];
        if (path === "tls" && value !== "external")
            return note(`is ${value}. The stack sets external, because NGINX ends TLS. The preview shows the change`);
        if (path === "bootstrapPassword")
            return note("is a secret, and is in no file that this program writes. Set it with the command below");
        if (path === "additionalTrustedCAs" && value) return note(`needs the certificates of the Secret: ${additionalCas}`);
        const secret = secrets.get(path);
        return secret ? note(secretNote(secret)) : [];
    });
}
