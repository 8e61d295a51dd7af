import { once } from "events";
import { createServer } from "https";
import { AddressInfo } from "net";
import { existingClusterSchema } from "../../components/cluster/schema";
import { apiAccess, serverOf, withServer } from "../../components/cluster/kubeconfig";
import { failureOf, firstAnswer, kubernetesApi } from "../../components/cluster/runner/kubernetesApi";
import { issue } from "../../lab/certificates";
import { kubeconfigOf } from "../kubeconfig";

test.each<[string, object, string]>([
    ["insecure-skip-tls-verify accepts any certificate", { "insecure-skip-tls-verify": true }, "1.31"],
    ["tls-server-name is the name in the certificate", { "tls-server-name": "kubernetes" }, "1.31"],
    ["another name is refused", {}, "ERR_TLS_CERT_ALTNAME_INVALID"],
])("%s", async (_what, cluster, found) => {
    const ca = issue({ name: "ca", ca: true });
    const { certificate: cert, privateKey: key } = issue({ name: "kubernetes", names: ["DNS:kubernetes"], by: ca });
    const server = createServer({ cert, key }, (_asked, answer) => answer.end('{"version":"1.31"}')).listen(0, "127.0.0.1");
    await once(server, "listening");
    const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const trusted = { "certificate-authority-data": Buffer.from(ca.certificate).toString("base64") };
    const access = apiAccess(kubeconfigOf({ server: endpoint, ...("insecure-skip-tls-verify" in cluster ? {} : trusted), ...cluster }))!;
    const answer = await kubernetesApi(access)("/version").catch((error: Error) => error.message);
    server.closeAllConnections();
    server.close();
    expect(JSON.stringify(answer)).toContain(found);
});

describe("the error of an API", () => {
    /** Asks a server that answers like this. */
    async function failure(status: number, body: unknown, options = {}) {
        const { certificate: cert, privateKey: key } = issue({ name: "kubernetes" });
        const text = typeof body === "string" ? body : JSON.stringify(body);
        const server = createServer({ cert, key }, (_asked, answer) => answer.writeHead(status).end(text)).listen(0, "127.0.0.1");
        await once(server, "listening");
        const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
        const error = await kubernetesApi({ endpoint, isInsecure: true })("/api", options).catch(failed => failed);
        server.closeAllConnections();
        server.close();
        return { ...failureOf(error), status: error.status, said: error.message.replace(`${endpoint} answers ${status}`, "") };
    }
    const refused = (message: string) => ({ kind: "Status", status: "Failure", message, reason: "Forbidden" });
    const secrets = 'secrets is forbidden: User "viewer" cannot list resource "secrets" in the namespace "cattle-system"';

    test.each<[string, number, unknown, string]>([
        ["a missing permission", 403, refused(secrets), `: ${secrets}`],
        [
            "a webhook that refuses",
            400,
            refused('admission webhook "policy.example.com" denied the request:\n  no\tlatest tag'),
            ': admission webhook "policy.example.com" denied the request: no latest tag',
        ],
        ["etcd without a leader", 503, { health: "false", reason: "RAFT NO LEADER" }, ": RAFT NO LEADER"],
        ["a page of a proxy", 502, "<html>password</html>", ""],
        ["no text", 500, { message: "" }, ""],
        ["no object", 500, "null", ""],
    ])("%s: its message is passed on", async (_what, status, body, said) => {
        const found = await failure(status, body);
        expect(found).toMatchObject({ status, said });
        expect(Object.keys(found)[0]).toBe("unknown");
    });

    // Messages of Kubernetes 1.20 to 1.30 that quote the request.
    test.each<[string, string]>([
        [
            'Deployment.apps "rancher" is invalid: spec.template.spec.containers[0].name: Invalid value: "hunter2": a name must consist of',
            'Deployment.apps "rancher" is invalid: spec.template.spec.containers[0].name: Invalid value: …',
        ],
        [
            "failed to create typed patch object (a/b; /v1, Kind=Secret): .stringData.password: expected string, got &{hunter2}",
            "failed to create typed patch object (a/b; /v1, Kind=Secret): .stringData.password: expected string, got …",
        ],
        [
            'v1.Secret.Data: ReadString: expects " or n, but found 1, error found in #10 byte of ...|"password":hunter2}|...',
            'v1.Secret.Data: ReadString: expects " or n, but found 1, error found in …',
        ],
    ])("%s: the quoted value is left out", async (message, said) =>
        expect(await failure(422, refused(message), { method: "PATCH", body: "{}" })).toMatchObject({ said: `: ${said}` }),
    );

    test("that gives no answer is another one", async () => {
        const error = await kubernetesApi({ endpoint: "https://127.0.0.1:1" })("/api").catch((failed: unknown) => failed);
        expect(failureOf(error)).toEqual({ unreachable: "https://127.0.0.1:1: ECONNREFUSED" });
    });
});

describe("a kubeconfig that names the node itself", () => {
    const given = { kubeconfig: kubeconfigOf({ server: "https://127.0.0.1:6443" }), ingressAddresses: ["192.0.2.31"] };

    test("is refused without apiEndpoint, and not shown", () => {
        const { error } = existingClusterSchema.safeParse(given);
        expect(error!.issues.map(({ path, message }) => [path, message])).toEqual([
            [["kubeconfig"], expect.stringMatching(/found a loopback address.* Replace it in the kubeconfig, or set apiEndpoint\.$/)],
        ]);
    });

    test("gets apiEndpoint in its place", () => {
        const apiEndpoint = "https://192.0.2.31:6443";
        expect(existingClusterSchema.safeParse({ ...given, apiEndpoint }).success).toBe(true);
        expect(serverOf(withServer(given.kubeconfig, apiEndpoint))).toBe(apiEndpoint);
    });
});

describe("questions to several API servers", () => {
    beforeEach(() => jest.useFakeTimers());
    afterEach(() => jest.useRealTimers());

    /** Asks one server for each entry of `failures`. The server fails that many times, and then answers with its index. */
    async function ask(failures: number[], rounds?: number) {
        const asked: number[] = [];
        const questions = failures.map((count, index) => async () => {
            asked.push(index);
            if (asked.filter(each => each === index).length <= count) throw new Error(`server ${index}: ECONNREFUSED`);
            return index;
        });
        const answer = firstAnswer(questions, rounds).catch((error: Error) => error.message);
        await jest.runAllTimersAsync();
        return { asked, answer: await answer };
    }

    test("the first answer ends them", async () => {
        expect(await ask([1, 0, 0])).toEqual({ asked: [0, 1], answer: 1 });
    });

    test("a server that comes up answers in a later round", async () => {
        expect(await ask([2])).toEqual({ asked: [0, 0, 0], answer: 0 });
    });

    test("after the last round every different reason is told once", async () => {
        expect(await ask([9, 9])).toEqual({ asked: [0, 1, 0, 1, 0, 1], answer: "server 0: ECONNREFUSED\nserver 1: ECONNREFUSED" });
        expect((await ask([9, 9], 1)).asked).toEqual([0, 1]);
    });

    test("without a server there is no answer", async () => {
        expect(await ask([])).toEqual({ asked: [], answer: undefined });
    });
});
