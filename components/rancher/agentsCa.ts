import * as pulumi from "@pulumi/pulumi";
import { caChecksum } from "../certificates/pem";
import { ServerCertificate } from "../certificates/serverCertificate";
import { apiAccess } from "../cluster/kubeconfig";
import { observe } from "../remote/commands";
import { heldUntil, ifKnown } from "../validation";
import { caProgram } from "./program";

/** Agents to which the Rancher of a cluster may have given a CA, and who reports a refusal. */
export interface Agents {
    kubeconfig: pulumi.Output<string>;
    /** Checksum of the CA of an adopted Rancher. */
    adoptedCaChecksum?: pulumi.Input<string>;
    /** True if the user allows another CA. Then nothing is asked. */
    mayReplace: boolean;
    what: string;
    component: pulumi.Resource;
}

/**
 * Holds a CA back until it is clear that no Rancher in the cluster gave another one to its agents, and refuses it otherwise. Agents that
 * start again would be cut off. A stack that lost its state makes a new CA, and so does one whose certificate was taken out of the
 * configuration. A preview refuses a CA that it does not know yet, because that one is new. An unreachable cluster holds nothing back:
 * there the release fails. The result waits in time only, and depends on no further resource.
 */
export function caHeldForAgents(caCertificate: pulumi.Output<string>, agents: Agents): pulumi.Output<string> {
    const { kubeconfig, adoptedCaChecksum, mayReplace, what, component } = agents;
    if (mayReplace) return caCertificate;
    const trusted = pulumi.all([ifKnown(kubeconfig), ifKnown(caCertificate), adoptedCaChecksum]).apply(([text, ca, adopted]) => {
        const access = text === undefined ? undefined : apiAccess(text);
        const checksum = ca === undefined || ca === "" ? ca : caChecksum(ca);
        return access ? observe(caProgram(access, checksum, adopted), what, component).apply(() => true) : pulumi.output(false);
    });
    return heldUntil(trusted, caCertificate);
}

/** Holds all files of a certificate back, as `caHeldForAgents` holds the CA. */
export function heldForAgents(certificate: ServerCertificate, agents: Agents): ServerCertificate {
    const caCertificate = caHeldForAgents(certificate.caCertificate, agents);
    return {
        certificateChain: heldUntil(caCertificate, certificate.certificateChain),
        privateKey: heldUntil(caCertificate, certificate.privateKey),
        secondCertificate: certificate.secondCertificate && heldUntil(caCertificate, certificate.secondCertificate),
        caCertificate,
    };
}

/**
 * Holds the certificate of a load balancer back that changes before RKE runs, and so before the CA for the cluster is held back. In a preview
 * that question is early enough.
 */
export const heldInUpdate = (certificate: ServerCertificate, agents: Agents): ServerCertificate =>
    pulumi.runtime.isDryRun() ? certificate : heldForAgents(certificate, agents);
