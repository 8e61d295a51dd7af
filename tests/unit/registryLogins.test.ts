import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { delimiter, join } from "path";
import { hostKey } from "../ssh";

const { tryLogins } = jest.requireActual("../../components/cluster/rke/runner/registryLogins.js");

const nodes = [{ name: "node4", connection: { address: "192.0.2.34", port: 22, user: "rke", hostKey, waitSeconds: 0 } }];
const login = { index: 1, url: "registry.example.com:5000/mirror", user: "puller", password: 'a "password"' };
let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "logins-"))));
afterEach(() => rmSync(folder, { recursive: true }));

/** Tries the login on a node whose Docker gives this answer. */
async function tried(answer: string) {
    // Forwards to Docker's socket as ssh does, and keeps the request.
    const program = `const [socket, target] = process.argv[process.argv.indexOf("-L") + 1].replace(/%%/g, "%").split(":");
        if (target !== "/var/run/docker.sock") process.exit(1);
        require("net").createServer(connection => connection.once("data", data => {
            require("fs").writeFileSync(${JSON.stringify(join(folder, "request"))}, data);
            connection.end(${JSON.stringify(answer)});
        })).listen(socket);`;
    writeFileSync(join(folder, "forward.js"), program);
    writeFileSync(join(folder, "ssh"), `#!/bin/sh\nexec node '${folder}/forward.js' "$@"\n`);
    chmodSync(join(folder, "ssh"), 0o755);
    const found = await tryLogins({ ...process.env, PATH: [folder, process.env.PATH].join(delimiter) }, nodes, [login]);
    return { ...found, request: readFileSync(join(folder, "request"), "utf8") };
}

const failing = (message: string, status = "500 Internal Server Error") =>
    `HTTP/1.0 ${status}\r\nContent-Type: application/json\r\n\r\n${JSON.stringify({ message })}\n`;

test("a login that the registry accepts is no fault, and is asked without a path", async () => {
    const { request, ...faults } = await tried('HTTP/1.0 200 OK\r\n\r\n{"Status":"Login Succeeded"}');
    expect(faults).toEqual({ refused: [], unanswered: [] });
    const [head, body] = request.split("\r\n\r\n");
    expect(head).toMatch(/^POST \/auth HTTP\/1\.0\r\n/);
    expect(JSON.parse(body)).toEqual({ username: "puller", password: login.password, serveraddress: "registry.example.com:5000" });
});

const begins =
    "node4 (192.0.2.34): cluster.privateRegistries[1]: expected that registry.example.com:5000/mirror accepts the login of puller, found: ";

test.each([
    ["with another password", "login attempt to https://registry.example.com:5000/v2/ failed with status: 401 Unauthorized"],
    ["with a token server", 'Get "https://registry.example.com:5000/v2/": unauthorized: authentication required'],
    ["whose CA Docker does not trust", 'Get "https://registry.example.com:5000/v2/": x509: certificate signed by unknown authority'],
])("a registry %s refuses the login", async (_what, message) =>
    expect(await tried(failing(message))).toMatchObject({ refused: [begins + message], unanswered: [] }),
);

test.each([
    ["that is down", failing('Get "https://registry.example.com:5000/v2/": dial tcp 192.0.2.5:5000: connect: connection refused')],
    ["that is silent", failing('Get "https://registry.example.com:5000/v2/": net/http: request canceled (Client.Timeout exceeded)')],
    ["that is ill", failing("login attempt to https://registry.example.com:5000/v2/ failed with status: 503 Service Unavailable")],
    ["of which Docker says nothing", ""],
])("a registry %s is no reason to refuse", async (_what, answer) =>
    expect(await tried(answer)).toMatchObject({ refused: [], unanswered: [expect.stringContaining(begins)] }),
);
