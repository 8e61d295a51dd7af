import { spawn } from "child_process";
import { once } from "events";
import { createServer, Server } from "https";
import { AddressInfo } from "net";
import { text } from "stream/consumers";
import { parseProbe } from "../../components/remote/probe";
import { RepositoryInput, repositoryProgram } from "../../components/rancher/program";
import { issue } from "../../lab/certificates";

const ca = issue({ name: "company CA", ca: true });
const own = issue({ name: "charts", by: ca, names: ["IP:127.0.0.1", "DNS:localhost"] });
const login = { username: "operator", password: "s3cret" };
// As `helm repo index` writes it.
const index = `apiVersion: v1
entries:
  rancher:
  - apiVersion: v1
    appVersion: v2.11.3
    name: rancher
    urls:
    - rancher-2.11.3.tgz
    version: 2.11.3
  - name: rancher
    version: v2.11.2
generated: "2025-06-30T10:00:00Z"
`;
interface Answer {
    status: number;
    body?: string;
    location?: string;
}
const answers: Record<string, Answer> = {
    "/stable/index.yaml": { status: 200, body: index },
    "/moved/index.yaml": { status: 302, location: "/stable/index.yaml" },
    "/again/index.yaml": { status: 302, location: "/again/index.yaml" },
    "/page/index.yaml": { status: 200, body: "<html>\n  <p>: [</html>" },
    "/odd/index.yaml": { status: 200, body: "entries:\n  rancher: {}\n" },
    "/down/index.yaml": { status: 503 },
};

let server: Server;
let asked: string[];
beforeAll(async () => {
    server = createServer({ cert: own.certificate, key: own.privateKey }, ({ url, headers }, answer) => {
        asked.push(`${url} ${Buffer.from(headers.authorization?.split(" ")[1] ?? "", "base64")}`);
        const isPrivate = url!.startsWith("/private/");
        const isIn = `${headers.authorization}` === `Basic ${Buffer.from(`${login.username}:${login.password}`).toString("base64")}`;
        const found = isPrivate && !isIn ? { status: 401 } : answers[url!.replace("/private/", "/stable/")];
        const { status, body = "", location }: Answer = found ?? { status: 404 };
        answer.writeHead(status, location === undefined ? {} : { location }).end(body);
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
});
afterAll(() => void server.close());
beforeEach(() => void (asked = []));

const at = (path: string) => `https://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;

async function look(repo: string, changes: Partial<RepositoryInput> = {}, env: NodeJS.ProcessEnv = {}) {
    const program = repositoryProgram({ repo, chart: "rancher", version: "2.11.3", ca: ca.certificate, ...changes });
    const ran = spawn("node", ["-", "probe"], { env: { PATH: process.env.PATH, ...env }, stdio: ["pipe", "pipe", "inherit"] });
    ran.stdin.end(program);
    const said = await text(ran.stdout);
    expect(said).not.toContain(login.password);
    const { state, reason, warnings } = parseProbe(said);
    return { state, reason, warnings };
}
const fine = { state: "in sync", reason: "", warnings: [] };

test.each([
    ["by its folder", "/stable", {}],
    ["by its folder with a slash", "/stable/", {}],
    ["that has moved", "/moved", {}],
    ["with a login", "/private", login],
])("a repository %s with the version is fine", async (_how, path, changes) => {
    expect(await look(at(path), changes)).toEqual(fine);
});

test("a version with a v is the same version", async () => expect(await look(at("/stable"), { version: "2.11.2" })).toEqual(fine));

test.each([
    [
        "another version",
        "/stable",
        { version: "2.11.33" },
        /expected chart rancher in version 2\.11\.33, found 2\.11\.3, 2\.11\.2 \[RHA configuration\]/,
    ],
    ["another chart", "/stable", { chart: "ranch" }, /expected chart ranch in version 2\.11\.3, found no such chart/],
    ["another folder", "/nowhere", {}, /expected an index of charts, found HTTP 404: is repository the folder in which index\.yaml is\?/],
    ["no login", "/private", {}, /found HTTP 401: is the login in repositoryOpts right\?/],
    ["another password", "/private", { ...login, password: "s3cret2" }, /found HTTP 401: is the login in repositoryOpts right\?/],
    ["a circle of redirects", "/again", {}, /expected an index of charts, found HTTP 302/],
    ["an index of another shape", "/odd", {}, /expected an index of charts, found a page of another kind/],
    ["a page", "/page", {}, /expected an index of charts, found a page of another kind/],
])("%s is refused", async (_what, path, changes, words) => {
    expect(await look(at(path), changes)).toEqual({ state: "refused", reason: expect.stringMatching(words), warnings: [] });
});

test.each([
    ["gives no answer", () => "https://127.0.0.1:1", {}, /found ECONNREFUSED\. Without it, pulumi up stops once the cluster is built/],
    ["is down", () => at("/down"), {}, /found HTTP 503\./],
    ["has a CA that Node does not know", () => at("/stable"), { ca: undefined }, /found UNABLE_TO_VERIFY_LEAF_SIGNATURE\./],
])("a repository that %s is a warning", async (_what, repo, changes, words) => {
    expect(await look(repo(), changes)).toEqual({ ...fine, warnings: [expect.stringMatching(words)] });
});

test("behind a proxy, which Helm uses and Node does not, nothing is asked", async () => {
    expect(await look("https://charts.example.com", {}, { HTTPS_PROXY: "http://192.0.2.1:3128" })).toEqual(fine);
});

test("the login is sent to the host of the repository alone", async () => {
    const other = `https://localhost:${(server.address() as AddressInfo).port}/stable/index.yaml`;
    answers["/elsewhere/index.yaml"] = { status: 302, location: other };
    expect(await look(at("/elsewhere"), login)).toEqual(fine);
    expect(asked).toEqual(["/elsewhere/index.yaml operator:s3cret", "/stable/index.yaml "]);
});
