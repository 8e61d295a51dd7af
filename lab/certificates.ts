import { execFileSync } from "child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";

/** Kinds of keys, as arguments of `openssl req -newkey`. */
export const KeyKind = {
    Ecdsa: ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    Rsa: ["rsa:2048"],
    Rsa1024: ["rsa:1024"],
    Ed25519: ["ed25519"],
    P384: ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    P521: ["ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
    Secp256k1: ["ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
    P224: ["ec", "-pkeyopt", "ec_paramgen_curve:P-224"],
    P192: ["ec", "-pkeyopt", "ec_paramgen_curve:P-192"],
    /** Five primes are found 20 times faster than two. */
    Rsa9216: ["rsa:9216", "-pkeyopt", "rsa_keygen_primes:5"],
    Brainpool: ["ec", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"],
};

/** A certificate made for a test, with its private key. */
export interface Issued {
    certificate: string;
    privateKey: string;
}

export interface IssueOptions {
    /** Common name. */
    name: string;
    /** Issuer of the certificate. Default: the certificate signs itself. */
    by?: Issued;
    ca?: boolean;
    /** How many CAs may stand between this CA and a server's certificate. */
    pathLength?: number;
    /** Makes a certificate of X.509 version 1, which has no extensions. */
    version1?: true;
    serial?: number;
    /** Subject alternative names: `DNS:…`, `IP:…`. */
    names?: string[];
    /** Extended key usage. */
    usage?: string;
    /** Further extensions, as lines of an openssl extension file. */
    extensions?: string[];
    /** Digest of the signature. Default: sha256. */
    digest?: string;
    /** Further options of the signature, as arguments of `-sigopt`. */
    signature?: string[];
    key?: string[];
    /** An existing private key that the certificate is for. Default: a new one. */
    of?: string;
    /** Days of validity from now. A negative number makes an expired certificate. Default 365, for a CA 3650. */
    days?: number;
}

/** Issues a certificate with openssl. */
export function issue(options: IssueOptions): Issued {
    const folder = mkdtempSync(join(tmpdir(), "issue-"));
    const file = (name: string, text: string) => (writeFileSync(join(folder, name), text), join(folder, name));
    const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] }).toString();
    try {
        openssl(
            "req",
            "-new",
            ...(options.of
                ? ["-key", file("key.pem", options.of)]
                : ["-nodes", "-newkey", ...(options.key ?? KeyKind.Ecdsa), "-keyout", "key.pem"]),
            "-out",
            "request.pem",
            "-subj",
            `/CN=${options.name}`,
        );
        const pathLength = options.pathLength === undefined ? "" : `,pathlen:${options.pathLength}`;
        const extensions = [
            `basicConstraints=critical,CA:${options.ca ? "TRUE" : "FALSE"}${pathLength}`,
            ...(options.names ? [`subjectAltName=${options.names.join(",")}`] : []),
            ...(options.usage ? [`extendedKeyUsage=${options.usage}`] : []),
            ...(options.extensions ?? []),
        ];
        const signer = options.by
            ? ["-CA", file("ca.pem", options.by.certificate), "-CAkey", file("ca-key.pem", options.by.privateKey), "-CAcreateserial"]
            : ["-signkey", "key.pem"];
        const certificate = openssl(
            "x509",
            "-req",
            "-in",
            "request.pem",
            `-${options.digest ?? "sha256"}`,
            ...(options.signature ?? []).flatMap(option => ["-sigopt", option]),
            "-days",
            String(options.days ?? (options.ca ? 3650 : 365)),
            ...signer,
            ...(options.serial === undefined ? [] : ["-set_serial", String(options.serial)]),
            ...(options.version1 ? [] : ["-extfile", file("extensions", extensions.join("\n"))]),
        );
        return { certificate, privateKey: readFileSync(join(folder, "key.pem"), "utf8") };
    } finally {
        rmSync(folder, { recursive: true });
    }
}

export const daysFromNow = (days: number) => new Date(Date.now() + days * 86_400_000);
