import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { needsAttention } from "../attention";
import { inState, refuseOutputs, validated } from "../validation";
import { warnDaysOfCa } from "./endings";
import { normalizePem } from "./pem";
import { KeyAlgorithm, privateCaPlainSchema, privateCaSchema, PrivateCaSettings } from "./schema";
import { ServerCertificate } from "./serverCertificate";

/** Settings of a private CA, without the name of Rancher. */
export interface PrivateCaSettingsArgs {
    /** Further DNS names in the certificate. The load balancer still answers only for `hostname`. @default [] */
    dnsNames?: pulumi.Input<pulumi.Input<string>[]>;
    /** IP addresses in the certificate. The load balancer still answers only for `hostname`. @default [] */
    ipAddresses?: pulumi.Input<pulumi.Input<string>[]>;
    /** Kind of both private keys. A change creates a new CA, which every agent must then get. @default ecdsa */
    algorithm?: pulumi.Input<KeyAlgorithm>;
    /**
     * Common name of the root, as people see it in their list of trusted CAs. A change creates a new CA, which every agent must then get.
     * @default "Rancher CA"
     */
    commonName?: pulumi.Input<string>;
    /** Organization in both certificates. A change creates a new CA, which every agent must then get. @default Rancher */
    organization?: pulumi.Input<string>;
    /** Hours for which the root is valid, at most 876000 (a hundred years). The default is ten years. @default 87600 */
    caValidityHours?: pulumi.Input<number>;
    /**
     * Hours for which the server's certificate is valid. The default is one year. More than 9504 (396 days) is refused, because some
     * clients refuse longer validity even from a private CA.
     * @default 8760
     */
    certificateValidityHours?: pulumi.Input<number>;
    /** Hours before the end of the server's certificate from which an update renews it. The default is thirty days. @default 720 */
    renewBeforeHours?: pulumi.Input<number>;
    /**
     * Refuses to delete or replace the root and its key, which every agent trusts. In `RancherHa` the default is
     * `rancher.deletionProtection`. To create a new CA on purpose, set false, run `pulumi up`, and then change the CA.
     * @default true
     */
    deletionProtection?: boolean;
}

export interface PrivateCaArgs extends PrivateCaSettingsArgs {
    /** DNS name of Rancher, for which the certificate is issued. */
    hostname: pulumi.Input<string>;
}

/**
 * A CA that belongs to the stack, and a server certificate signed by this CA.
 *
 * An ordinary update renews the server's certificate in place: the same root signs the same key again, so clients need no change. The
 * root is never renewed automatically, because restarting agent pods compare its checksum and would exit. A warning appears a year
 * before the root ends. A change that would create another root is refused as long as `deletionProtection` is true.
 */
export class PrivateCa extends pulumi.ComponentResource implements ServerCertificate {
    /** PEM: the server's certificate. */
    readonly certificateChain: pulumi.Output<string>;
    /** PEM: the server's private key. Secret. */
    readonly privateKey: pulumi.Output<string>;
    /** PEM: the root. */
    readonly caCertificate: pulumi.Output<string>;

    constructor(name: string, args: PrivateCaArgs, opts?: pulumi.ComponentResourceOptions) {
        super("pulumi-rancher-ha:index:PrivateCa", name, {}, opts);
        refuseOutputs(this, `PrivateCa ${name}`, { deletionProtection: args.deletionProtection });
        const ca = validated(this, `PrivateCa ${name}`, privateCaSchema, args);
        const { deletionProtection } = privateCaPlainSchema.parse(args);
        const child = { parent: this };
        const kept = { ...child, protect: deletionProtection };
        const key = {
            algorithm: ca.algorithm.apply(kind => (kind === KeyAlgorithm.Rsa ? "RSA" : "ECDSA")),
            ecdsaCurve: "P256",
            rsaBits: 2048,
        };

        const rootKey = new tls.PrivateKey(`${name}-root-key`, key, kept);
        const root = rootCertificate(name, ca, rootKey, kept);
        const serverKey = new tls.PrivateKey(`${name}-server-key`, key, child);
        const server = this.serverCertificate(name, ca, serverKey, rootKey, root);

        this.certificateChain = inState(server.certPem).apply(normalizePem);
        this.privateKey = pulumi.secret(inState(serverKey.privateKeyPem));
        this.caCertificate = this.watched(root);
        this.registerOutputs({ certificateChain: this.certificateChain, privateKey: this.privateKey, caCertificate: this.caCertificate });
    }

    /** Returns the root, and warns when it ends soon. */
    private watched(root: tls.SelfSignedCert): pulumi.Output<string> {
        return pulumi.all([inState(root.certPem), root.validityEndTime]).apply(([certificate, end]) => {
            const days = Math.floor((Date.parse(end) - Date.now()) / 86_400_000);
            if (days < warnDaysOfCa) needsAttention(endOfRoot(days), this);
            return normalizePem(certificate);
        });
    }

    private serverCertificate(
        name: string,
        ca: pulumi.Output<PrivateCaSettings>,
        serverKey: tls.PrivateKey,
        rootKey: tls.PrivateKey,
        root: tls.SelfSignedCert,
    ): tls.LocallySignedCert {
        const request = new tls.CertRequest(
            `${name}-server-request`,
            {
                privateKeyPem: serverKey.privateKeyPem,
                subject: ca.apply(({ hostname, organization }) => serverSubject(hostname, organization)),
                dnsNames: ca.apply(({ hostname, dnsNames }) => [...new Set([hostname, ...dnsNames])]),
                ipAddresses: ca.ipAddresses,
            },
            { parent: this },
        );
        return new tls.LocallySignedCert(
            `${name}-server`,
            {
                certRequestPem: request.certRequestPem,
                caPrivateKeyPem: rootKey.privateKeyPem,
                caCertPem: root.certPem,
                validityPeriodHours: ca.certificateValidityHours,
                earlyRenewalHours: ca.renewBeforeHours,
                allowedUses: ca.algorithm.apply(kind => [
                    ...(kind === KeyAlgorithm.Rsa ? ["key_encipherment"] : []),
                    "digital_signature",
                    "server_auth",
                ]),
                setSubjectKeyId: true,
            },
            { parent: this },
        );
    }
}

function rootCertificate(
    name: string,
    ca: pulumi.Output<PrivateCaSettings>,
    rootKey: tls.PrivateKey,
    opts: pulumi.CustomResourceOptions,
): tls.SelfSignedCert {
    return new tls.SelfSignedCert(
        `${name}-root`,
        {
            privateKeyPem: rootKey.privateKeyPem,
            isCaCertificate: true,
            subject: { commonName: ca.commonName, organization: ca.organization },
            validityPeriodHours: ca.caValidityHours,
            earlyRenewalHours: 0,
            allowedUses: ["cert_signing", "crl_signing", "digital_signature"],
            setSubjectKeyId: true,
        },
        opts,
    );
}

const endOfRoot = (days: number) =>
    `The root of the stack's own CA ends in ${days} days, and with it the trust of every agent. It is not replaced by itself. Plan it after ` +
    'Rancher\'s guide "Updating the Rancher Certificate". With deletionProtection of the CA set to false, and after a `pulumi up`, ' +
    "`pulumi up --replace URN`, with the URN of the root, makes the new one.";

/** Returns the subject without a common name longer than 64 characters. Clients check only the subject alternative name. */
function serverSubject(hostname: string, organization: string) {
    return hostname.length <= 64 ? { commonName: hostname, organization } : { organization };
}
