import { spawnSync } from "child_process";
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { parse } from "yaml";
import { existingClusterSchema } from "../../components/cluster/schema";
import { apiAccess, isLoopback, obstacle, serverOf, withServer } from "../../components/cluster/kubeconfig";
import { check, issueLines } from "../../components/validation";
import { issue } from "../../lab/certificates";
import { toolFolder } from "../../lab/tools";
import { kubeconfigOf } from "../kubeconfig";
import { refusedKubeconfigs } from "../refusedKubeconfigs";
import { sshKey } from "../ssh";

const server = "https://192.0.2.41:6443";
const ingressAddresses = ["192.0.2.31"];
const base64 = (text: string) => Buffer.from(text).toString("base64");
const kubeCa = issue({ name: "kube-ca", ca: true });
const ca = { "certificate-authority-data": base64(kubeCa.certificate) };
const admin = issue({ name: "kube-admin", by: kubeCa });
const certificate = { "client-certificate-data": base64(admin.certificate), "client-key-data": base64(admin.privateKey) };

const chainOf = (...issued: { certificate: string }[]) => ({
    "client-certificate-data": base64(issued.map(each => each.certificate).join("")),
});

/** Returns the lines of the error that refuses a kubeconfig. */
const refusal = (kubeconfig: string) => {
    const args = { kubeconfig, ingressAddresses };
    return issueLines(check(existingClusterSchema, args).error?.issues ?? [], args);
};
/** Returns a kubeconfig with a line inserted behind another one. */
const withLine = (before: string, line: string) => kubeconfigOf().replace(new RegExp(`( *)${before}\n`), `$&$1${line}\n`);
const json = (yaml: string) => JSON.stringify(parse(yaml));

/** Returns kubeconfigs that kubectl connects with. It asks for a login where a user has no credentials, and Helm does not. */
function acceptedKubeconfigs(): [what: string, kubeconfig: string][] {
    const others = [
        { name: "other", context: { cluster: "other", user: "other" } },
        { name: "default", context: { cluster: "default", user: "default" } },
        { name: "unfinished", context: null },
    ];
    const broken = [
        { name: "other", cluster: { server: "nowhere" } },
        { name: "default", cluster: { server } },
    ];

    const v1beta1 = { command: "false", apiVersion: "client.authentication.k8s.io/v1beta1" };
    const oidc = { name: "oidc", config: { "idp-issuer-url": "https://login.example.com", "client-id": "a" } };
    const withKey = (text: string) => ({ ...certificate, "client-key-data": base64(text) });
    return [
        ["a CA, a certificate and a token", kubeconfigOf(ca, { ...certificate, token: "t" })],
        ["JSON", json(kubeconfigOf(ca, certificate))],
        ["several contexts, others of which are broken", kubeconfigOf({}, undefined, { contexts: others, clusters: broken })],
        ["keys without a value", kubeconfigOf({ "proxy-url": "", "tls-server-name": null }, { token: "t", exec: null, as: "" })],
        ["unknown keys", kubeconfigOf({ extensions: [{ name: "x" }] }, { token: "t", more: 1 }, { preferences: {}, more: [null] })],
        ["a CA in several lines", kubeconfigOf({ "certificate-authority-data": base64(kubeCa.certificate).replace(/(.{60})/g, "$1\n") })],
        [
            "two CAs, one of which cannot be read",
            kubeconfigOf({
                "certificate-authority-data": base64(`-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n${kubeCa.certificate}`),
            }),
        ],
        ["files", kubeconfigOf({ "certificate-authority": "/ca" }, { "client-certificate": "/cert", "client-key": "/key" })],
        ["a path behind the server", kubeconfigOf({ server: "https://rancher.example.com/k8s/clusters/local" })],
        ["an upper-case scheme", kubeconfigOf({ server: "HTTPS://192.0.2.41:6443" })],
        ["a key without a certificate beside a token", kubeconfigOf({}, { token: "t", "client-key-data": base64(admin.privateKey) })],
        ["a user without anything", kubeconfigOf({}, undefined, { users: [{ name: "default" }] })],
        [
            "no user, no CA that counts, without TLS",
            kubeconfigOf({ server: "http://192.0.2.41:8001", "insecure-skip-tls-verify": true, ...ca }, {}, { users: null }),
        ],
        ...["yes", "on", "Y"].map((word): [string, string] => [
            `the boolean ${word} of YAML 1.1`,
            withLine("server: https://192.0.2.41:6443", `insecure-skip-tls-verify: ${word}`),
        ]),
        ["a merge key", withLine("token: made-up", "<<: { username: admin }").replace("token: made-up", "password: p")],
        ["a key twice", withLine("token: made-up", "token: again")],
        ["a second document", `${kubeconfigOf()}---\nmore: [\n`],
        ["a token that looks like a time", withLine("token: made-up", "token: 12:34:56")],
        ["a token that looks like a date", withLine("token: made-up", "token: 2001-01-01")],
        ["no kind and no version", kubeconfigOf({}, undefined, { kind: null, apiVersion: "" })],
        ["a key among other text", kubeconfigOf({}, withKey(`The key:\n${admin.privateKey}(end)`))],
        ["a key with another label", kubeconfigOf({}, withKey(admin.privateKey.replace(/PRIVATE/g, "EC PRIVATE")))],
        ["the key of the first of two certificates", kubeconfigOf({}, { ...certificate, ...chainOf(admin, kubeCa) })],
        ["a damaged key without a certificate", kubeconfigOf({}, { token: "t", "client-key-data": base64("key") })],
        ["a command of v1beta1 without a mode", kubeconfigOf({}, { exec: v1beta1 })],
        ["a command beside a certificate", kubeconfigOf({}, { ...certificate, exec: v1beta1 })],
        ["a provider", kubeconfigOf({}, { "auth-provider": oidc })],
        ["another user", kubeconfigOf({}, { token: "t", as: "a", "as-groups": ["b"], "as-user-extra": { c: ["d"] } })],
        ["no groups", kubeconfigOf({}, { token: "t", "as-groups": [], "as-user-extra": {} })],
        ["a proxy", kubeconfigOf({ "proxy-url": "socks5://127.0.0.1:1" })],
        ["a damaged key without TLS", kubeconfigOf({ server: "http://192.0.2.41:8001" }, withKey("key"))],
    ];
}

test.each(acceptedKubeconfigs())("a kubeconfig that kubectl accepts is accepted: %s", (_what, kubeconfig) =>
    expect(refusal(kubeconfig)).toEqual([]),
);

describe("the real kubectl agrees with the verdict on a kubeconfig", () => {
    const program = join(toolFolder("kubernetes"), "kubernetes");
    const isBuilt = existsSync(program);
    if (!isBuilt) process.stderr.write(`skipped: kubectl is not built (${program}). A test of the whole stack builds it.\n`);
    let folder: string;
    beforeAll(() => {
        folder = mkdtempSync(join(tmpdir(), "kubectl-"));
        symlinkSync(program, join(folder, "kubectl"));
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    /** Returns why kubectl refuses a kubeconfig, or an empty text when it tries to connect. */
    function refusalOfKubectl(kubeconfig: string): string {
        const file = join(folder, "kubeconfig");
        // Nothing listens on this port. A login that kubectl asks for ends in EOF.
        writeFileSync(file, kubeconfig.replace(/192\.0\.2\.4\d:\d+/g, "127.0.0.1:1"));
        const env = { PATH: process.env.PATH, HOME: folder };
        const { stderr } = spawnSync(join(folder, "kubectl"), ["--kubeconfig", file, "version", "--request-timeout=1s"], {
            input: "",
            encoding: "utf8",
            env,
        });
        return /refused - did you|dial tcp|getting credentials|No valid id-token|^error: EOF/.test(stderr) ? "" : stderr;
    }

    const accepted = acceptedKubeconfigs().filter(([what]) => what !== "files");
    (isBuilt ? test : test.skip).each(accepted)("that is accepted: %s", (_what, kubeconfig) =>
        expect(refusalOfKubectl(kubeconfig)).toBe(""),
    );
    (isBuilt ? test : test.skip).each(refusedKubeconfigs)("that is refused: %s", (_what, kubeconfig) =>
        expect(refusalOfKubectl(kubeconfig)).toMatch(/error: |invalid header field value/),
    );
});

test("every fault of a kubeconfig is named at once, with its place", () => {
    const users = [{ name: "default", user: { token: 4711815, tokenFile: {} } }];
    expect(refusal(kubeconfigOf({ server: 6443, "insecure-skip-tls-verify": "true" }, {}, { users }))).toEqual([
        "kubeconfig.clusters[0].cluster.server: expected string, found a number.",
        "kubeconfig.clusters[0].cluster.insecure-skip-tls-verify: expected boolean, found a string.",
        "kubeconfig.users[0].user.token: expected string, found a number.",
        "kubeconfig.users[0].user.tokenFile: expected string, found an object.",
    ]);
});

describe("no secret of a wrong kubeconfig is shown:", () => {
    const secret = "hunter2hunter2";
    const pem = base64(sshKey);
    const user = { token: secret, password: secret, "client-key-data": pem, exec: { env: [{ name: "A", value: secret }] } };
    test.each<[string, string]>([
        ["a text", secret],
        ["a list", `[${secret}]`],
        ["no YAML", `clusters: []\n  token: prefix: ${secret}\n`],
        ["no context", kubeconfigOf({}, user, { "current-context": null })],
        ["no cluster", kubeconfigOf({}, user, { clusters: [] })],
        ["a login in the server", kubeconfigOf({ server: `ftp://admin:${secret}@192.0.2.41` }, user)],
        ["a key as the CA", kubeconfigOf({ "certificate-authority-data": sshKey }, user)],
        ["a token and a password", kubeconfigOf({}, user)],
        ["secrets in lists", kubeconfigOf({}, { token: [secret], "client-key-data": [pem], as: [secret], exec: secret })],
        ["a key that is no base64", kubeconfigOf({}, { "client-certificate-data": secret, "client-key-data": sshKey })],
        ["a user that is a text", kubeconfigOf({}, {}, { users: [{ name: "default", user: secret }] })],
        ["users that are a text", kubeconfigOf({}, {}, { users: secret })],
    ])("%s", (_what, kubeconfig) => {
        const lines = refusal(kubeconfig).join("\n");
        expect(lines).toMatch(/^kubeconfig/);
        expect(lines).not.toMatch(new RegExp(`hunter2|${pem.slice(60, 90)}|${sshKey.split("\n")[1].slice(0, 30)}`));
    });
});

test.each(["text", "[]", "contexts: [null]", "clusters: []", "current-context: 1\nclusters: {}"])(
    "nothing is read from a wrong kubeconfig: %j",
    kubeconfig => expect([apiAccess(kubeconfig), serverOf(kubeconfig)]).toEqual([undefined, ""]),
);

describe("a kubeconfig that Helm can use, and this library cannot:", () => {
    const named = (what: string) => `the kubeconfig names ${what}`;
    const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "get-token", interactiveMode: "Never" };

    test.each<[string, object, object, string]>([
        ["the file of a CA", { "certificate-authority": "/ca" }, certificate, named("a file (certificate-authority)")],
        ["the file of a token", {}, { tokenFile: "/token" }, named("a file (tokenFile)")],
        ["the file of a token beside an older one", {}, { token: "t", tokenFile: "/token" }, named("a file (tokenFile)")],
        [
            "the files of a certificate beside a token",
            ca,
            { token: "t", "client-certificate": "/cert", "client-key": "/key" },
            named("a file (client-certificate, client-key)"),
        ],
        [
            "the file of a key",
            ca,
            { "client-certificate-data": certificate["client-certificate-data"], "client-key": "/key" },
            named("a file (client-key)"),
        ],
        ["a proxy", { ...ca, "proxy-url": "http://proxy.example.com:3128" }, certificate, named("a proxy (proxy-url)")],
        ["another user", ca, { ...certificate, as: "admin", "as-groups": ["system:masters"] }, named("another user (as, as-groups)")],
        ["a command", ca, { exec }, named("a command (exec)")],
        [
            "an identity provider",
            ca,
            { "auth-provider": { name: "oidc", config: { "idp-issuer-url": "https://login.example.com", "client-id": "a" } } },
            named("an identity provider (auth-provider)"),
        ],
        ["a server without TLS", { server: "http://192.0.2.41:8001" }, { token: "t" }, named("a server without TLS (server)")],
        ["a login in the server", { server: "https://admin:word@192.0.2.41" }, { token: "t" }, named("a login (server)")],
        [
            "a proxy and a file",
            { "certificate-authority": "/ca", "proxy-url": "http://proxy.example.com:3128" },
            { token: "t" },
            named("a file (certificate-authority) and a proxy (proxy-url)"),
        ],
        ["a password", ca, { username: "admin", password: "p" }, "the kubeconfig holds neither a client certificate nor a token"],
        ["no credentials", ca, {}, "the kubeconfig holds neither a client certificate nor a token"],
    ])("%s", (_what, cluster, user, reason) => {
        const kubeconfig = kubeconfigOf(cluster, user);
        expect({ refusal: refusal(kubeconfig), access: apiAccess(kubeconfig), reason: obstacle(kubeconfig) }).toEqual({
            refusal: [],
            access: undefined,
            reason,
        });
    });

    test.each<[string, object, object]>([
        ["a token beside a command", ca, { token: "t", exec }],
        ["a certificate beside the file of a token", ca, { ...certificate, tokenFile: "/token" }],
        ["the file of a key without a certificate, which client-go does not read", ca, { token: "t", "client-key": "/key" }],
        ["no CA", {}, { token: "t" }],
    ])("which it can with %s", (_what, cluster, user) => {
        const kubeconfig = kubeconfigOf(cluster, user);
        expect(obstacle(kubeconfig)).toBeUndefined();
        expect(apiAccess(kubeconfig)).toMatchObject({ endpoint: server });
    });
});

test("the access of a kubeconfig has the data in it, decoded", () => {
    const cluster = { ...ca, "tls-server-name": "kubernetes" };
    expect(apiAccess(kubeconfigOf(cluster, { ...certificate, token: "t" }))).toEqual({
        endpoint: server,
        ca: kubeCa.certificate,
        certificate: admin.certificate,
        key: admin.privateKey,
        token: "t",
        serverName: "kubernetes",
    });
    expect(apiAccess(kubeconfigOf({ "insecure-skip-tls-verify": true }))).toMatchObject({ isInsecure: true });
});

describe("a proxy of the environment", () => {
    const proxy = "http://proxy.example.com:3128";
    const reason = (env: Record<string, string>, url = server) => obstacle(kubeconfigOf({ server: url }), env);

    test("is in the way, as kubectl and Helm use it", () => {
        const words = (name: string) => `the environment names a proxy (${name}) for 192.0.2.41:6443, which NO_PROXY does not cover`;
        expect(reason({ HTTPS_PROXY: proxy })).toBe(words("HTTPS_PROXY"));
        expect(reason({ HTTPS_PROXY: proxy, https_proxy: proxy, NO_PROXY: "192.0.2.4,.example.com" })).toBe(words("https_proxy"));
        expect([reason({}), reason({ HTTPS_PROXY: "", HTTP_PROXY: proxy, ALL_PROXY: proxy })]).toEqual([undefined, undefined]);
    });

    test("gives no access, and so no request that would fail", () => {
        const before = process.env.HTTPS_PROXY;
        try {
            process.env.HTTPS_PROXY = proxy;
            expect(apiAccess(kubeconfigOf())).toBeUndefined();
            process.env.NO_PROXY = "192.0.2.41";
            expect(apiAccess(kubeconfigOf())).toMatchObject({ endpoint: server });
        } finally {
            delete process.env.NO_PROXY;
            if (before === undefined) delete process.env.HTTPS_PROXY;
            else process.env.HTTPS_PROXY = before;
        }
    });

    test.each([
        ["192.0.2.41", "https://192.0.2.41:6443"],
        ["other, 192.0.2.0/24", "https://192.0.2.41:6443"],
        ["192.0.2.41:6443", "https://192.0.2.41:6443"],
        ["[2001:db8::1]:6443", "https://[2001:db8:0::1]:6443"],
        ["2001:db8::/32", "https://[2001:db8::1]:6443"],
        ["*", "https://api.example.com"],
        ["example.com", "https://API.example.com:6443"],
        ["example.com:443", "https://example.com"],
        [".Example.com", "https://api.example.com:6443"],
        ["*.example.com", "https://api.example.com:6443"],
        ["", "https://127.0.0.2:6443"],
        ["", "https://[::1]:6443"],
        ["", "https://localhost:6443"],
    ])("is not in the way where NO_PROXY is '%s', of %s", (noProxy, url) =>
        expect(reason({ HTTPS_PROXY: proxy, no_proxy: noProxy }, url)).toBeUndefined(),
    );

    test.each([
        ["192.0.2.41:443", "https://192.0.2.41:6443"],
        ["192.0.2.0/27", "https://192.0.2.41:6443"],
        ["2.41,192.0.2.0/33,/,:6443, ,0.2.41", "https://192.0.2.41:6443"],
        [".example.com", "https://example.com:6443"],
        ["ample.com", "https://example.com:6443"],
        ["10.0.0.0/8", "https://api.example.com:6443"],
    ])("is in the way where NO_PROXY is '%s', of %s", (noProxy, url) =>
        expect(reason({ HTTPS_PROXY: proxy, no_proxy: noProxy }, url)).toMatch(/^the environment names a proxy \(HTTPS_PROXY\)/),
    );
});

test("the endpoint holds no login of the kubeconfig", () =>
    expect(serverOf(kubeconfigOf({ server: "https://admin:word@192.0.2.41:6443/" }))).toBe(server));

describe("the address of the API server", () => {
    const given = { kubeconfig: kubeconfigOf({ server: "https://localhost.:6443" }), ingressAddresses };

    test("that is the node itself gets apiEndpoint in its place", () => {
        expect(existingClusterSchema.safeParse({ ...given, apiEndpoint: server }).success).toBe(true);
        expect(serverOf(withServer(given.kubeconfig, server))).toBe(server);
    });

    test("is replaced in the cluster of the current context alone", () => {
        const clusters = [
            { name: "other", cluster: { server: "https://127.0.0.1:1" } },
            { name: "default", cluster: { server: "https://127.0.0.1:2" } },
        ];
        const changed = withServer(json(kubeconfigOf({}, undefined, { clusters })), server);
        expect(changed).toContain("https://127.0.0.1:1");
        expect(serverOf(changed)).toBe(server);
    });

    test("is replaced in YAML 1.1, and a string that is a boolean there stays a string", () => {
        const users = [{ name: "yes", user: { token: "on" } }];
        const contexts = [{ name: "default", context: { cluster: "default", user: "yes" } }];
        const quoted = JSON.stringify(parse(kubeconfigOf({}, undefined, { users, contexts })));
        const changed = withServer(`${quoted}\n---\nmore\n`, "https://192.0.2.42:6443");
        expect(apiAccess(changed)).toMatchObject({ endpoint: "https://192.0.2.42:6443", token: "on" });
    });

    test.each(["https://192.0.2.41", "https://localhost.example.com", "https://[2001:db8::1]:6443", "https://[fe80::]", ""])(
        "is another machine: %s",
        url => expect(isLoopback(url)).toBe(false),
    );
});
