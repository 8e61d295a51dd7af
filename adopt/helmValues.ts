import { parse } from "yaml";
import { rancherChartValuesSchema } from "../components/rancher/chartValuesSchema";
import { Note, Reading } from "./reading";
import { yamlLeaves } from "./yamlLeaves";

/** The configuration of Rancher that the values of its Helm release become. */
export interface RancherConfig {
    hostname?: string;
    privateCa: boolean;
    /** True when the values hold the password. The configuration file never holds the password. */
    hasBootstrapPassword: boolean;
    rancher: Record<string, any>;
}

/** Values that the stack itself sets. */
const own = ["hostname", "tls", "privateCA", "bootstrapPassword", "replicas", "agentTLSMode"];

/** Reads what `helm get values rancher --namespace cattle-system --output yaml` prints. */
export function readHelmValues(text: string): Reading<RancherConfig> {
    const values: Record<string, any> = parse(text) ?? {};
    const settings: RancherConfig = {
        hostname: values.hostname,
        privateCa: values.privateCA === true,
        hasBootstrapPassword: values.bootstrapPassword !== undefined,
        rancher: {
            ...(values.replicas !== undefined && { replicas: values.replicas }),
            ...(values.agentTLSMode !== undefined && { agentTlsMode: values.agentTLSMode }),
        },
    };
    for (const [name, value] of Object.entries(values)) {
        if (own.includes(name) || holdsLogin(name, value)) continue;
        const isTyped = rancherChartValuesSchema.safeParse({ [name]: value }).success;
        (settings.rancher[isTyped ? "values" : "additionalValues"] ??= {})[name] = value;
    }
    return { settings, notes: notesOf(text) };
}

/** Reports a proxy with a password. A secret is never written to a file. */
const holdsLogin = (name: string, value: unknown): boolean => name === "proxy" && String(value).includes("@");

function notesOf(text: string): Note[] {
    return yamlLeaves(text).flatMap(({ path, value, line }) => {
        if (path === "tls" && value !== "external")
            return [
                { line, what: path, advice: `is ${value}. The stack sets external, because NGINX ends TLS. The preview shows the change` },
            ];
        if (holdsLogin(path, value)) {
            const command = "pulumi config set --secret --path 'pulumi-rancher-ha:rancher.values.proxy'";
            return [{ line, what: path, advice: `is a secret, and is not kept: ${command}` }];
        }
        if (path === "bootstrapPassword")
            return [{ line, what: path, advice: "is a secret, and is in no file that this program writes. Set it with the command below" }];
        return [];
    });
}
