import { once } from "events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { createServer, Server } from "https";
import { AddressInfo } from "net";
import { tmpdir } from "os";
import { delimiter, join } from "path";
import { issue } from "../../lab/certificates";
import { hostKey } from "../ssh";

const { askBucket, describeFaults, signedHeaders } = jest.requireActual("../../components/cluster/rke/runner/bucket.js");

const authority = issue({ name: "CA of S3", ca: true });
const keys = { accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };

test("a request is signed as in the example of AWS's documentation", () => {
    const request = { host: "examplebucket.s3.amazonaws.com", path: "/", query: "max-keys=2&prefix=J" };
    expect(signedHeaders(request, { region: "us-east-1", ...keys }, new Date("2013-05-24T00:00:00Z"))).toEqual({
        host: request.host,
        "x-amz-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "x-amz-date": "20130524T000000Z",
        authorization:
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, " +
            "SignedHeaders=host;x-amz-content-sha256;x-amz-date, " +
            "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    });
});

describe("a bucket, asked through nodes,", () => {
    let folder: string;
    let server: Server;
    let answers: [status: number, text: string, headers?: object][];
    let asked: { url?: string; authorization?: string }[];

    beforeAll(() => {
        folder = mkdtempSync(join(tmpdir(), "bucket-"));
        // Connects as sshd of a node would, whose arguments are -W [HOST]:PORT.
        connectBy('exec busybox nc "$host" "$port" 2>/dev/null || exit 1');
    });
    /** Writes an ssh that runs this command with the host and the port of its arguments. */
    function connectBy(command: string) {
        const script = `for word; do case $word in "["*) target=$word ;; esac; done
            host=\${target%]:*}; host=\${host#[}; port=\${target##*:}; ${command}`;
        writeFileSync(join(folder, "ssh"), `#!/bin/sh\n${script}\n`);
        chmodSync(join(folder, "ssh"), 0o755);
    }
    afterAll(() => rmSync(folder, { recursive: true }));
    beforeEach(async () => {
        [answers, asked] = [[], []];
        const { certificate: cert, privateKey: key } = issue({ name: "s3", names: ["IP:127.0.0.1"], by: authority });
        server = createServer({ cert, key }, ({ url, headers: { authorization } }, answer) => {
            asked.push({ url, authorization });
            const [status, text, headers = {}] = answers.shift() ?? [500, ""];
            answer.writeHead(status, { ...headers }).end(text);
        }).listen(0, "127.0.0.1");
        await once(server, "listening");
    });
    afterEach(() => server.close());

    const bucket = (changes: object = {}) => {
        const endpoint = `127.0.0.1:${(server.address() as AddressInfo | null)?.port}`;
        return { endpoint, bucket: "etcd", caCertificate: authority.certificate, ...keys, ...changes };
    };
    const connection = { address: "192.0.2.31", port: 22, user: "rke", hostKey, waitSeconds: 0 };
    const ask = (changes: object = {}, name?: string) => {
        const env = { ...process.env, PATH: [folder, process.env.PATH].join(delimiter) };
        return askBucket(env, { nodes: [{ name: "node1", connection }], access: bucket(changes) }, name);
    };
    const listOf = (...names: string[]) => names.map(key => `<Contents><Key>${key}</Key><Size>7</Size></Contents>`).join("");

    test("lists what begins with the name in its folder, and signs for its region", async () => {
        answers = [[200, `<ListBucketResult>${listOf("a/b/x.zip", "a/b/x-2.zip")}</ListBucketResult>`]];
        const { objects, faults } = await ask({ folder: "a/b", region: "eu-central-1" }, "x:1");
        expect([objects.map(({ key }: any) => key), faults]).toEqual([["a/b/x.zip", "a/b/x-2.zip"], []]);
        expect(asked).toEqual([
            {
                url: "/etcd?delimiter=%2F&list-type=2&prefix=a%2Fb%2Fx%3A1",
                authorization: expect.stringContaining("/eu-central-1/s3/aws4_request"),
            },
        ]);
    });

    test("is asked again for the region that it names, unless the configuration has one", async () => {
        const moved: (typeof answers)[0] = [301, "<Error><Code>PermanentRedirect</Code></Error>", { "x-amz-bucket-region": "eu-west-1" }];
        answers = [moved, [200, listOf("x.zip")]];
        expect((await ask()).objects).toHaveLength(1);
        expect(asked[1].authorization).toContain("/eu-west-1/s3/aws4_request");
        const place = '<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">cn-north-1</LocationConstraint>';
        answers = [
            [403, "<Error><Code>SignatureDoesNotMatch</Code></Error>"],
            [200, place],
            [200, listOf("x.zip")],
        ];
        expect((await ask()).objects).toHaveLength(1);
        expect(asked[3].url).toBe("/etcd?location=");
        expect(asked[4].authorization).toContain("/cn-north-1/s3/aws4_request");
        answers = [moved];
        expect((await ask({ region: "eu-central-1" })).faults).toEqual(["node1 (192.0.2.31): 301 PermanentRedirect"]);
    });

    test.each<[string, object, (typeof answers)[0] | undefined, RegExp, RegExp]>([
        [
            "a wrong key",
            {},
            [403, "<Error><Code>SignatureDoesNotMatch</Code><Message>It &#34;differs&#34;.</Message></Error>"],
            /403 SignatureDoesNotMatch: It 'differs'\.$/,
            /Check accessKey and secretKey/,
        ],
        ["a missing bucket", {}, [404, "<Error><Code>NoSuchBucket</Code></Error>"], /404 NoSuchBucket$/, /Check bucket$/],
        [
            "another CA",
            { caCertificate: issue({ name: "other", ca: true }).certificate },
            undefined,
            /: UNABLE_TO_VERIFY_LEAF_SIGNATURE: /,
            /Check caCertificate and endpoint$/,
        ],
        ["an answer that is not S3's", {}, [502, "<html>Bad Gateway</html>"], /: 502$/, /Check endpoint/],
    ])("says what is wrong: %s", async (_what, changes, answer, reason, advice) => {
        if (answer) answers = [answer];
        const { faults, isUnreachable } = await ask(changes);
        expect([faults, isUnreachable]).toEqual([[expect.stringMatching(reason)], false]);
        const said = describeFaults({ access: bucket(changes), nodes: [] }, faults);
        expect(said).toMatch(advice);
        for (const key of Object.values(keys)) expect(said).not.toContain(key);
    });

    test("names sshd where it forwards no connection to the server", () =>
        expect(describeFaults({ access: bucket(), nodes: [] }, ["node1: administratively prohibited: open failed"])).toMatch(
            /Check PermitOpen/,
        ));

    test("is understood when ssh ends while its last output is not read yet", async () => {
        const late = join(folder, "late.js");
        // A process that outlives this one writes the answer.
        writeFileSync(
            late,
            `const server = require("net").connect(process.argv[3], process.argv[2]);
            const [sent, held] = [[], []];
            process.stdin.on("data", data => { sent.push(data); server.write(data); });
            server.on("data", data => (sent.length < 2 ? process.stdout.write(data) : held.push(data)));
            server.on("end", () => {
                require("fs").writeFileSync(__filename + ".answer", Buffer.concat(held));
                const stdio = ["ignore", "inherit", "inherit"];
                require("child_process").spawn("sh", ["-c", 'sleep 0.3; cat "$0"', __filename + ".answer"], { detached: true, stdio });
                process.exit();
            });`,
        );
        connectBy(`exec node ${late} "$host" "$port"`);
        answers = [[404, "<Error><Code>NoSuchBucket</Code></Error>", { connection: "close" }]];
        expect((await ask()).faults).toEqual(["node1 (192.0.2.31): 404 NoSuchBucket"]);
    });

    test("is unreachable when nothing answers there", async () => {
        const { endpoint } = bucket();
        server.close();
        const { faults, isUnreachable } = await ask({ endpoint });
        expect([faults, isUnreachable]).toEqual([[expect.stringMatching(/^node1 \(192\.0\.2\.31\): /)], true]);
    });
});

test("the access key that RKE and rke-tools log is not shown", async () => {
    const { runRke } = jest.requireActual("../../components/cluster/rke/runner/rkeCommand.js");
    const folder = mkdtempSync(join(tmpdir(), "rke-"));
    const base64 = Buffer.from(keys.accessKey).toString("base64");
    const lines = [
        `time="2026-11-28" level=info msg="Snapshots configured to S3 compatible backend at [s3] to bucket [etcd] using accesskey [${keys.accessKey}]"`,
        `time="2026-11-28" level=fatal msg="exit code [1]: msg=\\"failed to set s3 server\\" s3-accessKey=\\"${base64}\\" s3-bucketName=etcd"`,
    ];
    writeFileSync(join(folder, "rke"), `#!/bin/sh\ncat <<'END'\n${lines.join("\n")}\nEND\nexit 1\n`, { mode: 0o755 });
    writeFileSync(join(folder, "cluster.yml"), "");
    let said = "";
    const stderr = jest.spyOn(process.stderr, "write").mockImplementation(chunk => ((said += chunk), true));
    const env = { ...process.env, PATH: [folder, process.env.PATH].join(delimiter) };
    const { fatal } = await runRke([], { folder, env, marker: "done", timeoutSeconds: 60 });
    stderr.mockRestore();
    rmSync(folder, { recursive: true });
    expect(said).toContain("to bucket [etcd] using accesskey [(not shown)]");
    expect(fatal).toMatch(/s3-accessKey=\(not shown\) s3-bucketName=etcd/);
    for (const key of [keys.accessKey, base64]) expect(`${said}${fatal}`).not.toContain(key);
});
