import { createHash } from "crypto";
import { ClusterConfig, readClusterYml } from "./clusterYml";
import { RancherConfig, readHelmValues } from "./helmValues";
import { LoadBalancerConfig, readNginxConf } from "./nginxConf";
import { noteLines } from "./reading";

/** A file of the installation. */
export interface SourceFile {
    path: string;
    text: string;
}

/** The files of an installation, and the facts that none of them holds. */
export interface Installation {
    clusterYml: SourceFile;
    nginxConf: SourceFile;
    helmValues: SourceFile;
    /** Path of cluster.rkestate. Its text is a secret, and is not read here. */
    rkeState: string;
    /** Address of the load balancer host. */
    loadBalancer: string;
    chartVersion: string;
    knownHosts?: string;
    /** PEM text of the private CA, from the Secret tls-ca. */
    caCertificate?: string;
}

export interface Adoption {
    /** Configuration of the stack, by group. */
    config: Record<string, unknown>;
    /** One line for each part of a file that the configuration does not hold. */
    notes: string[];
    hasAdditionalCas: boolean;
    hasBootstrapPassword: boolean;
}

/** Returns the configuration of the stack that adopts an installation. */
export function adoption(installation: Installation): Adoption {
    const { clusterYml, nginxConf, helmValues, chartVersion, caCertificate } = installation;
    const cluster = read(clusterYml, readClusterYml);
    const values = read(helmValues, readHelmValues);
    const nginx = read(nginxConf, text => readNginxConf(text, values.settings.hostname));
    return {
        config: {
            ...common(installation, cluster.settings, nginx.settings, values.settings),
            rancher: {
                chartVersion,
                ...(values.settings.privateCa && caCertificate && { adoptedCaChecksum: agentsChecksum(caCertificate) }),
                ...values.settings.rancher,
            },
        },
        notes: [
            ...noteLines(clusterYml.path, cluster.notes),
            ...noteLines(nginxConf.path, nginx.notes),
            ...noteLines(helmValues.path, values.notes),
            ...contradictions(installation, nginx.settings, values.settings),
        ],
        hasAdditionalCas: values.settings.hasAdditionalCas,
        hasBootstrapPassword: values.settings.hasBootstrapPassword,
    };
}

/** Reads a file, and names it in an error. */
export function read<T>({ path, text }: SourceFile, reader: (text: string) => T): T {
    try {
        return reader(text);
    } catch (error) {
        throw new Error(`${path}: ${(error as Error).message}`);
    }
}

function common(
    { rkeState, loadBalancer: address, knownHosts, caCertificate }: Installation,
    { cluster, ssh }: ClusterConfig,
    nginx: LoadBalancerConfig,
    { hostname }: RancherConfig,
): Record<string, unknown> {
    return {
        hostname: hostname ?? nginx.hostname,
        ssh: { ...ssh, ...(knownHosts && { knownHostsFile: knownHosts }) },
        loadBalancer: { hosts: [{ address }], takeOver: true, ...nginx.loadBalancer },
        certificateOnHost: { ...nginx.certificateOnHost, ...(caCertificate && { caCertificate }) },
        cluster: { ...cluster, rkeStateFile: rkeState },
    };
}

/** Lists values that differ between the files, a CA that one file needs and none holds, and a value that restarts the pods. */
function contradictions(
    { caCertificate, nginxConf, helmValues }: Installation,
    nginx: LoadBalancerConfig,
    rancher: RancherConfig,
): string[] {
    const lines: string[] = [];
    if (nginx.hostname && rancher.hostname && nginx.hostname !== rancher.hostname)
        lines.push(
            `hostname: expected the same name in both files, found ${nginx.hostname} in ${nginxConf.path} and ${rancher.hostname} in ${helmValues.path}. Kept: ${rancher.hostname}`,
        );
    if (rancher.privateCa && !caCertificate)
        lines.push(
            `${helmValues.path}: privateCA is true: expected the CA with --ca. Without it the stack removes the CA from Rancher, and agents stop`,
        );
    if (!rancher.privateCa && !caCertificate && !rancher.rancher.agentTlsMode)
        lines.push(
            `${helmValues.path}: agentTLSMode: is not set. With a publicly trusted certificate the stack sets system-store, and Rancher's pods restart one after the other`,
        );
    return lines;
}

/** Returns the checksum of a CA as the running agents compute it: of the text as it is, which can hold more than certificates. */
const agentsChecksum = (text: string) => createHash("sha256").update(`${text.trim()}\n`).digest("hex");
