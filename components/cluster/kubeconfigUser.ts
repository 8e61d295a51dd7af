import { z } from "zod";
import { base64, certificateInBase64, decoded, extensions, isBase64, Report, text } from "./kubeconfigData";
import { clientKeyProblem, firstCertificate } from "./kubeconfigKeys";

const execSchema = z.looseObject({
    command: text,
    apiVersion: text,
    args: z.array(text.nullable()).optional(),
    env: z.array(z.looseObject({ name: text, value: text })).optional(),
    installHint: text,
    interactiveMode: text,
    provideClusterInfo: z.boolean().optional(),
});

export const userSchema = z.looseObject({
    "client-certificate": text,
    "client-certificate-data": base64,
    "client-key": text,
    "client-key-data": base64,
    token: text,
    tokenFile: text,
    username: text,
    password: text,
    as: text,
    "as-uid": text,
    "as-groups": z.array(z.string()).optional(),
    "as-user-extra": z.record(z.string(), z.array(z.string())).optional(),
    exec: execSchema.optional(),
    "auth-provider": z.looseObject({ name: text, config: z.record(z.string(), z.string()).optional() }).optional(),
    extensions,
});
export type UserEntry = z.output<typeof userSchema>;

/** Reports what kubectl refuses in every user. Source: `validateAuthInfo` in validation.go. */
export function reportUser(user: UserEntry, report: Report): void {
    if (user.token && (user.username || user.password)) report(["username"], "expected no login beside a token, found both. Remove one.");
    reportCertificate(user, report);
    reportExec(user, report);
    const namesOthers = user["as-uid"] || user["as-groups"]?.length || Object.keys(user["as-user-extra"] ?? {}).length;
    if (namesOthers && !user.as) report(["as"], "expected the user to act as, beside as-uid, as-groups or as-user-extra");
}

function reportCertificate(user: UserEntry, report: Report): void {
    const { "client-certificate-data": certificate, "client-certificate": file, "client-key-data": key, "client-key": keyFile } = user;
    if (!certificate && !file) return;
    if (certificate && file) report(["client-certificate"], "expected nothing beside client-certificate-data, found both. Remove one.");
    if (key && keyFile) report(["client-key"], "expected nothing beside client-key-data, found both. Remove one.");
    if (!key && !keyFile) report(["client-key-data"], "expected the key of the client certificate");
}

/** A version of ExecCredential in which `interactiveMode` has a default. */
const beforeV1 = /^client\.authentication\.k8s\.io\/v1(alpha|beta)1$/;

function reportExec({ exec, "auth-provider": provider }: UserEntry, report: Report): void {
    if (!exec) return;
    if (provider) report(["auth-provider"], "expected nothing beside exec, found both. Remove one.");
    if (!exec.command) report(["exec", "command"], "expected the command that prints the credentials");
    if (!exec.apiVersion) report(["exec", "apiVersion"], "expected the version of ExecCredential");
    exec.env?.forEach(({ name }, index) => {
        if (!name) report(["exec", "env", index, "name"], "expected the name of a variable");
    });
    const modes = ["Never", "IfAvailable", "Always"];
    const mode = exec.interactiveMode ?? (beforeV1.test(exec.apiVersion ?? "") ? "IfAvailable" : "");
    if (!modes.includes(mode)) report(["exec", "interactiveMode"], `expected one of ${modes.join(", ")}`);
}

/** Reports what kubectl refuses before it sends credentials, which it does only with TLS. Source: packages rest and transport. */
export function reportCredentials(user: UserEntry, report: Report): void {
    const { "client-certificate-data": certificate = "", "client-key-data": key = "", exec, "auth-provider": provider } = user;
    if (certificate && isBase64(certificate) && !firstCertificate(decoded(certificate)))
        report(["client-certificate-data"], certificateInBase64);
    // client-go reads no key without a certificate.
    const problem =
        (certificate || user["client-certificate"]) && key && isBase64(key) && clientKeyProblem(decoded(key), decoded(certificate));
    if (problem) report(["client-key-data"], problem);
    if (exec?.apiVersion && !/^client\.authentication\.k8s\.io\/v1(beta1)?$/.test(exec.apiVersion))
        report(["exec", "apiVersion"], "expected client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1");
    if (provider && provider.name !== "oidc")
        report(["auth-provider", "name"], "expected oidc: kubectl has no other provider any more. Use exec with a credential plugin");
    if (provider?.name === "oidc" && !(provider.config?.["idp-issuer-url"] && provider.config["client-id"]))
        report(["auth-provider", "config"], "expected idp-issuer-url and client-id of the provider.");
    reportHeaders(user, report);
}

/** Reports line breaks and control characters, which no HTTP header can hold. */
function reportHeaders(user: UserEntry, report: Report): void {
    const check = (path: PropertyKey[], value = "") => {
        // eslint-disable-next-line no-control-regex
        if (/[\0-\x08\x0a-\x1f\x7f]/.test(value)) report(path, "expected one line without control characters, found others.");
    };
    // A request has the content of the file, which is read without line breaks around it.
    if (!user.tokenFile) check(["token"], user.token);
    check(["as"], user.as);
    check(["as-uid"], user["as-uid"]);
    user["as-groups"]?.forEach((group, index) => check(["as-groups", index], group));
    for (const [key, values] of Object.entries(user["as-user-extra"] ?? {}))
        values.forEach((value, index) => check(["as-user-extra", key, index], value));
}
