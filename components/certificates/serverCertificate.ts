import * as pulumi from "@pulumi/pulumi";

/** PEM files of one certificate. */
export interface CertificateArgs {
    /** PEM: the server's certificate, followed by its intermediate certificates. */
    certificateChain: pulumi.Input<string>;
    /** PEM: the private key of the server's certificate. It is kept as a secret, and with mode 0600 on the host. */
    privateKey: pulumi.Input<string>;
}

/** `CertificateArgs` with known values. */
export interface Certificate {
    /** PEM: the server's certificate, followed by its intermediate certificates. */
    certificateChain: string;
    /** PEM: the private key of the server's certificate. Secret. */
    privateKey: string;
}

/** A server certificate as the rest of the stack uses it, whoever issued it. */
export interface ServerCertificate {
    /** PEM: the chain as a server sends it, its certificate and then intermediate certificates, never a root. */
    readonly certificateChain: pulumi.Output<string>;
    /** PEM: the private key of the certificate. Secret. */
    readonly privateKey: pulumi.Output<string>;
    /** A second certificate with a key of another type, for clients that do not support the first. Secret. */
    readonly secondCertificate?: pulumi.Output<Certificate>;
    /** PEM: the private CA that clients must trust. Empty when the CA is publicly trusted. */
    readonly caCertificate: pulumi.Output<string>;
}
