import * as pulumi from "@pulumi/pulumi";
import { X509Certificate } from "crypto";
import { validated } from "../validation";
import { lifetimeWarning } from "./clientRules";
import { warnDaysOfServer, warnOfEnds, watchedCas } from "./endings";
import { keyAlone, leftOut, sentChain } from "./pem";
import { providedCertificateSchema } from "./schema";
import { Certificate, CertificateArgs, ServerCertificate } from "./serverCertificate";

/** Files of a provided certificate. */
export interface ProvidedCertificateSettingsArgs {
    /**
     * PEM: the server's certificate first, then its intermediate certificates. The server sends them in order, without a root and without
     * certificates that no client needs. A chain without a path to a trusted root is refused, and so is a certificate that does not cover
     * `hostname` or is not valid today.
     */
    certificateChain: pulumi.Input<string>;
    /** PEM: the unencrypted private key of the server's certificate, ECDSA or RSA of 2048 to 8192 bits. It is kept as a secret. */
    privateKey: pulumi.Input<string>;
    /**
     * PEM: the private CA, which Rancher and its agents get. Omit it for a publicly trusted CA. A certificate that is not a CA, or that did
     * not issue the chain, is refused. A retired root may stand beside the new one.
     * @default none
     */
    caCertificate?: pulumi.Input<string>;
    /**
     * A second certificate for clients that do not support the first. Its key must be of another type, RSA beside ECDSA; the same type is
     * refused.
     */
    secondCertificate?: pulumi.Input<CertificateArgs>;
}

export interface ProvidedCertificateArgs extends ProvidedCertificateSettingsArgs {
    /** DNS name of Rancher, which the certificate must cover. */
    hostname: pulumi.Input<string>;
}

/**
 * A provided certificate, which every preview checks. A warning appears a year before the CA ends, and 30 days before a certificate of a
 * chain ends. A certificate of less than 120 days is warned of in the last quarter of its life.
 */
export class ProvidedCertificate extends pulumi.ComponentResource implements ServerCertificate {
    /** PEM: the chain as a server sends it. */
    readonly certificateChain: pulumi.Output<string>;
    /** PEM: the private key. Secret. */
    readonly privateKey: pulumi.Output<string>;
    /** The second certificate, if provided. Secret. */
    readonly secondCertificate?: pulumi.Output<Certificate>;
    /** PEM: the private CA. Empty when the CA is publicly trusted. */
    readonly caCertificate: pulumi.Output<string>;

    constructor(name: string, args: ProvidedCertificateArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:ProvidedCertificate", name, {}, opts);
        const files = validated(this, `ProvidedCertificate ${name}`, providedCertificateSchema, args);
        // Certificates are public, so a preview shows them even when one secret holds both the certificates and the key.
        this.certificateChain = pulumi.unsecret(files).apply(({ certificateChain, secondCertificate, caCertificate }) => {
            const sent = this.warnOfChain("certificateChain", certificateChain, caCertificate);
            const second = secondCertificate?.certificateChain;
            if (second !== undefined) this.warnOfChain("secondCertificate.certificateChain", second, caCertificate);
            return sent;
        });
        this.privateKey = pulumi.secret(files.privateKey).apply(keyAlone);
        if (args.secondCertificate) {
            this.secondCertificate = pulumi.secret(files).apply(({ secondCertificate, caCertificate }) => ({
                certificateChain: sentChain(secondCertificate!.certificateChain, caCertificate),
                privateKey: keyAlone(secondCertificate!.privateKey),
            }));
        }
        // A preview may not know the chain yet, but the CA.
        this.caCertificate = watchedCas(this, "caCertificate", pulumi.unsecret(pulumi.output(files.caCertificate)));
        this.registerOutputs({ certificateChain: this.certificateChain, privateKey: this.privateKey, caCertificate: this.caCertificate });
    }

    /** Returns the chain as a server sends it, and warns of what a person should know about it. */
    private warnOfChain(path: string, certificateChain: string, caCertificate?: string): string {
        const sent = sentChain(certificateChain, caCertificate);
        warnOfEnds(this, path, sent, warnDaysOfServer);
        const lifetime = lifetimeWarning(new X509Certificate(sent), caCertificate === undefined ? "public" : "private");
        const long = lifetime === undefined ? [] : [`${lifetime} Ask the CA for a shorter one.`];
        for (const warning of [...long, ...leftOut(certificateChain, caCertificate)]) void pulumi.log.warn(`${path}: ${warning}`, this);
        return sent;
    }
}
