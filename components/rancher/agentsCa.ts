import * as pulumi from "@pulumi/pulumi";
import { caChecksum } from "../certificates/pem";
import { ServerCertificate } from "../certificates/serverCertificate";
import { apiAccess } from "../cluster/kubeconfig";
import { observe } from "../remote/commands";
import { caProgram } from "./program";

/**
 * Holds a certificate back until it is clear that no Rancher in the cluster gave another CA to its agents. A stack that lost its state
 * makes a new CA, and would cut off every agent of a Rancher that runs. An unreachable cluster holds nothing back: there the release fails.
 */
export function heldForAgents(
    certificate: ServerCertificate,
    kubeconfig: pulumi.Output<string>,
    what: string,
    component: pulumi.Resource,
): ServerCertificate {
    const looked = pulumi.unsecret(
        pulumi.all([kubeconfig, certificate.caCertificate]).apply(([text, ca]) => {
            const access = apiAccess(text);
            return access ? observe(caProgram(access, caChecksum(ca)), what, component).apply(() => true) : pulumi.output(false);
        }),
    );
    const held = <T>(value: pulumi.Output<T>) => pulumi.all([value, looked]).apply(([known]) => known) as pulumi.Output<T>;
    return {
        certificateChain: held(certificate.certificateChain),
        privateKey: held(certificate.privateKey),
        secondCertificate: certificate.secondCertificate,
        caCertificate: held(certificate.caCertificate),
    };
}
