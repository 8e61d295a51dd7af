import { execFileSync } from "child_process";
import { NginxSettings, nginxSettingsSchema } from "../components/loadBalancer/schema";
import { finishNginxConf, withHostFunctions } from "../lab/loadBalancer/hostFunctions";
import { hostKey, sshKey } from "./ssh";

export const hostname = "rancher.example.com";
/** Returns a PEM block that holds neither a certificate nor a key. A renderer needs only the form. */
export const pemBlock = (label: string, content: string): string => `-----BEGIN ${label}-----\n${content}\n-----END ${label}-----\n`;

export const required = {
    hosts: [{ address: "192.0.2.9", privateKey: sshKey, hostKey }],
    hostname,
    upstreams: ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
    certificateChain: pemBlock("CERTIFICATE", "certificate"),
    privateKey: pemBlock("PRIVATE KEY", "key"),
};
export const settings = (changes: Partial<NginxSettings> = {}): NginxSettings => ({ ...nginxSettingsSchema.parse(required), ...changes });

/** Facts that a load balancer host reports about itself. */
interface HostFacts {
    version: string;
    openFiles?: number;
    ipv6?: boolean;
}

/** Runs a function of the host's program on a text, and returns its output. */
export function hostFunction(name: string, input: string): string {
    return execFileSync("sh", ["-c", withHostFunctions(name)], { input, encoding: "utf8" });
}

/** Returns nginx.conf as a host finishes it. */
export function finished(nginxConf: string, { version, openFiles = 19000, ipv6 = true }: HostFacts): string {
    const facts = `nginx_version() { echo ${version}; }; open_files() { echo ${openFiles}; }; has_ipv6() { ${ipv6}; }`;
    return execFileSync("sh", ["-c", finishNginxConf(facts)], { input: nginxConf, encoding: "utf8" });
}
