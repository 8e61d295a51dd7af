import * as pulumi from "@pulumi/pulumi";
import { X509Certificate } from "crypto";
import { needsAttention } from "../attention";
import { validated } from "../validation";
import { lifetimeWarning } from "./clientRules";
import { endings, warnDays, warnDaysOfCa } from "./endings";
import { keyAlone, normalizePem, withoutRoot } from "./pem";
import { providedCertificateSchema } from "./schema";
import { Certificate, CertificateArgs, ServerCertificate } from "./serverCertificate";

/** Files of a provided certificate. */
export interface ProvidedCertificateSettingsArgs {
    /**
     * PEM: the server's certificate, then its intermediate certificates, each signed by the next. The server does not send a root at the
     * end. A chain in another order is refused, and so is a certificate that does not cover `hostname` or is not valid today.
     */
    certificateChain: pulumi.Input<string>;
    /** PEM: the unencrypted private key of the server's certificate, ECDSA or RSA of at least 2048 bits. It is kept as a secret. */
    privateKey: pulumi.Input<string>;
    /**
     * PEM: the private CA, which Rancher and its agents get. Omit it for a publicly trusted CA. A certificate that is not a CA, or that did
     * not issue the chain, is refused.
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
 * A provided certificate, which every preview checks. A warning appears 30 days before a certificate of a chain ends, and a year before
 * the CA ends.
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
        this.certificateChain = pulumi.unsecret(files).apply(({ certificateChain, secondCertificate, caCertificate = "" }) => {
            this.warnOfEnds("certificateChain", endings(withoutRoot(certificateChain), warnDays));
            const second = secondCertificate ? withoutRoot(secondCertificate.certificateChain) : "";
            this.warnOfEnds("secondCertificate.certificateChain", endings(second, warnDays));
            this.warnOfEnds("caCertificate", endings(caCertificate, warnDaysOfCa));
            const ca = caCertificate === "" ? "public" : "private";
            this.warnOfLifetime("certificateChain", withoutRoot(certificateChain), ca);
            if (second) this.warnOfLifetime("secondCertificate.certificateChain", second, ca);
            return withoutRoot(certificateChain);
        });
        this.privateKey = pulumi.secret(files.privateKey).apply(keyAlone);
        if (args.secondCertificate) {
            this.secondCertificate = pulumi.secret(files).apply(({ secondCertificate }) => ({
                certificateChain: withoutRoot(secondCertificate!.certificateChain),
                privateKey: keyAlone(secondCertificate!.privateKey),
            }));
        }
        // A preview may not know the chain yet, but the CA.
        this.caCertificate = pulumi.unsecret(pulumi.output(files.caCertificate)).apply(text => normalizePem(text ?? ""));
        this.registerOutputs({ certificateChain: this.certificateChain, privateKey: this.privateKey, caCertificate: this.caCertificate });
    }

    private warnOfLifetime(path: string, certificateChain: string, ca: "public" | "private"): void {
        const warning = lifetimeWarning(new X509Certificate(certificateChain), ca);
        if (warning) void pulumi.log.warn(`${path}: ${warning} Ask the CA for a shorter one.`, this);
    }

    private warnOfEnds(path: string, ends: string[]): void {
        for (const end of ends) needsAttention(`${path}: ${end}`, this);
    }
}
