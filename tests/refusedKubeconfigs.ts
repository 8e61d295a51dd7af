import { createPrivateKey, KeyExportOptions } from "crypto";
import { issue, KeyKind } from "../lab/certificates";
import { kubeconfigOf } from "./kubeconfig";

/** A kubeconfig that kubectl refuses, the place in it that is wrong, and the reason. */
type Refused = [what: string, kubeconfig: string, place: string, expected: string | RegExp];

const base64 = (text: string) => Buffer.from(text).toString("base64");
const admin = issue({ name: "kube-admin" });
const other = issue({ name: "other" });
const ofKind = (key: string[]) => issue({ name: "kube-admin", key });
const secp256k1 = ofKind(KeyKind.Secp256k1);

const encrypted = (type: "pkcs8" | "sec1") =>
    createPrivateKey(admin.privateKey)
        .export({ type, format: "pem", cipher: "aes-256-cbc", passphrase: "secret" } as KeyExportOptions<"pem">)
        .toString();
const certificateAnd = (key: string, certificate = admin.certificate) => ({
    "client-certificate-data": base64(certificate),
    "client-key-data": base64(key),
});
const keyRows: Refused[] = Object.entries<[object, string]>({
    "of another certificate": [certificateAnd(other.privateKey), "expected the key of client-certificate-data"],
    "of another certificate, beside the right one": [
        certificateAnd(other.privateKey + admin.privateKey),
        "expected the key of client-certificate-data",
    ],
    "with a passphrase": [certificateAnd(encrypted("pkcs8")), "expected a private key without a passphrase"],
    "with a passphrase in its old form": [certificateAnd(encrypted("sec1")), "expected a private key without a passphrase"],
    "that is damaged": [certificateAnd(admin.privateKey.replace(/\nM/, "\nN")), "expected a private key that can be read"],
    "on a curve that Go has not": [certificateAnd(secp256k1.privateKey), "expected an RSA, ECDSA or Ed25519 key"],
}).map(([what, [user, expected]]) => [`a client key ${what}`, kubeconfigOf({}, user), ".users[0].user.client-key-data", expected]);

const group = "client.authentication.k8s.io";
const command = { command: "get-token", apiVersion: `${group}/v1`, interactiveMode: "Never" };
const execRows: Refused[] = Object.entries<[object, string, string | RegExp]>({
    "without a command": [{ command: undefined }, "command", "expected the command that prints the credentials, found nothing."],
    "whose command is a boolean": [{ command: true }, "command", "expected string"],
    "without a version": [{ apiVersion: undefined }, "apiVersion", "expected the version of ExecCredential, found nothing."],
    "of a version that is gone": [{ apiVersion: `${group}/v1alpha1` }, "apiVersion", /expected client\..* found "client/],
    "without a mode": [{ interactiveMode: undefined }, "interactiveMode", "expected one of Never, IfAvailable, Always, found nothing."],
    "with another mode": [{ interactiveMode: "Sometimes" }, "interactiveMode", "expected one of Never"],
    "with a number as argument": [{ args: [1] }, "args[0]", "expected string, found a number."],
    "with a variable without a name": [{ env: [{ value: "x" }] }, "env[0].name", "expected the name of a variable"],
    "with a text as boolean": [{ provideClusterInfo: "never" }, "provideClusterInfo", "expected boolean"],
}).map(([what, [changed, place, expected]]) => [
    `exec ${what}`,
    kubeconfigOf({}, { token: "t", exec: { ...command, ...changed } }),
    `.users[0].user.exec.${place}`,
    expected,
]);

const userRows: Refused[] = Object.entries<[object, string, string | RegExp]>({
    "exec beside a provider": [{ exec: command, "auth-provider": { name: "oidc" } }, "auth-provider", "expected nothing beside exec"],
    "the provider gcp": [{ "auth-provider": { name: "gcp" } }, "auth-provider.name", /expected oidc.*, found "gcp"\.$/],
    "the provider azure beside a token": [{ token: "t", "auth-provider": { name: "azure" } }, "auth-provider.name", "expected oidc"],
    "a provider without a name": [{ "auth-provider": {} }, "auth-provider.name", "expected oidc"],
    "oidc without an issuer": [{ "auth-provider": { name: "oidc" } }, "auth-provider.config", "expected idp-issuer-url and client-id"],
    "groups without a user": [{ token: "t", "as-groups": ["a"] }, "as", "expected the user to act as"],
    "a uid without a user": [{ token: "t", "as-uid": "a" }, "as", "expected the user to act as"],
    "extra data without a user": [{ token: "t", "as-user-extra": { a: ["b"] } }, "as", "expected the user to act as"],
    "extra data that is no list": [{ token: "t", as: "a", "as-user-extra": { a: "b" } }, "as-user-extra.a", "expected list"],
    "a token with a line break": [{ token: "made\nup" }, "token", "expected one line"],
    "a token that ends in a line break": [{ token: "made-up\n" }, "token", "expected one line"],
    "a line break in a group": [{ token: "t", as: "a", "as-groups": ["a", "b\nc"] }, "as-groups[1]", "expected one line"],
}).map(([what, [user, place, expected]]) => [what, kubeconfigOf({}, user), `.users[0].user.${place}`, expected]);

const clusterRows: Refused[] = Object.entries<[string, unknown, string]>({
    "a proxy by FTP": ["proxy-url", "ftp://proxy.example.com", "expected an http, https or socks5 URL"],
    "a proxy without a scheme": ["proxy-url", "proxy.example.com:3128", "expected an http, https or socks5 URL"],
    "a proxy with a blank": ["proxy-url", "http://proxy example", "expected an http, https or socks5 URL"],
    "a text that turns compression off": ["disable-compression", "true", "expected boolean, found a string."],
}).map(([what, [key, value, expected]]) => [what, kubeconfigOf({ [key]: value }), `.clusters[0].cluster.${key}`, expected]);

export const refusedKubeconfigs: Refused[] = [
    ...keyRows,
    ...execRows,
    ...userRows,
    ...clusterRows,
    ["a Secret", kubeconfigOf({}, undefined, { kind: "Secret" }), ".kind", 'expected "Config", found "Secret".'],
    ["version v2", kubeconfigOf({}, undefined, { apiVersion: "v2" }), ".apiVersion", 'expected "v1", found "v2".'],
    [
        "a client certificate behind one that cannot be read",
        kubeconfigOf(
            {},
            certificateAnd(admin.privateKey, `-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n${admin.certificate}`),
        ),
        ".users[0].user.client-certificate-data",
        "expected a certificate in PEM",
    ],
];
