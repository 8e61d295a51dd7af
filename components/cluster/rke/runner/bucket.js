// Asks an S3 bucket for snapshots of etcd through the SSH connections of nodes. So each answer is the one that RKE gets on that node.
const { createHash, createHmac } = require("crypto");
const https = require("https");
const net = require("net");
const { Duplex } = require("stream");
const tls = require("tls");
const { startSsh } = require("../../../remote/runner/ssh");
const { sshReason } = require("../../../remote/runner/sshFailure");

/** @import { AskedBucket, BucketAccess } from "../program" */

/** @param {string} text */
const sha256 = text => createHash("sha256").update(text).digest("hex");
/** @type {(key: import("crypto").BinaryLike, text: string) => Buffer} */
const hmac = (key, text) => createHmac("sha256", key).update(text).digest();

/**
 * Returns the headers that sign a GET request by AWS Signature Version 4. The query must be encoded and in order.
 *
 * @param {{ host: string, path: string, query: string }} request
 * @param {{ region: string, accessKey: string, secretKey: string }} access
 * @param {Date} now
 */
function signedHeaders({ host, path, query }, { region, accessKey, secretKey }, now) {
    const time = now.toISOString().replace(/[-:]|\.\d+/g, "");
    const scope = [time.slice(0, 8), region, "s3", "aws4_request"];
    const headers = { host, "x-amz-content-sha256": sha256(""), "x-amz-date": time };
    const names = Object.keys(headers).join(";");
    const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
    const request = ["GET", path, query, lines.join(""), names, sha256("")].join("\n");
    const key = scope.reduce(hmac, /** @type {import("crypto").BinaryLike} */ (`AWS4${secretKey}`));
    const signature = hmac(key, ["AWS4-HMAC-SHA256", time, scope.join("/"), sha256(request)].join("\n")).toString("hex");
    const authorization = `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope.join("/")}, SignedHeaders=${names}, Signature=${signature}`;
    return { ...headers, authorization };
}

/** Seconds that a bucket has for an answer. */
const patienceSeconds = 20;

/**
 * Connects to a port as a node reaches it. Its sshd resolves the name and opens the connection.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {import("../../../remote/connection").HostConnection} connection
 * @param {string} host
 * @param {string} port
 */
function throughNode(env, connection, host, port) {
    const { child, stop } = startSsh(env, connection, ["-W", `[${host}]:${port}`], 2 * patienceSeconds);
    // Node closes the input of ssh when ssh ends, maybe before its last output is read. `Duplex.from` would drop that output.
    const stream = new Duplex({
        read: () => void child.stdout.resume(),
        write: (data, _encoding, done) => void child.stdin.write(data, () => done()),
        final: done => void child.stdin.end(() => done()),
    });
    child.stdin.on("error", () => undefined);
    child.stdout.on("data", data => stream.push(data) || child.stdout.pause()).on("end", () => stream.push(null));
    /** Ends ssh. Resolves to the reason why it made no connection. */
    const end = async () => {
        stream.destroy();
        const stderr = await stop();
        if (!stderr.includes("open failed")) return child.exitCode === 255 ? sshReason(connection, stderr) : undefined;
        return /open failed: (?:connect failed: )?(.*)/.exec(stderr)?.[1].trim();
    };
    return { stream, end };
}

/** An S3 server that gives no answer, or another than a list. Without an answer it `isUnreachable`. */
class BucketFault extends Error {
    /**
     * @param {string} reason
     * @param {{ isUnreachable?: boolean }} [options]
     */
    constructor(reason, { isUnreachable = false } = {}) {
        super(reason);
        this.isUnreachable = isUnreachable;
    }
}

/**
 * Sends a signed request for a list of objects.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {import("../../../remote/connection").HostConnection} connection
 * @param {BucketAccess} bucket
 * @param {string} region
 * @param {string} query
 * @returns {Promise<{ status: number, region?: string, text: string }>}
 */
async function request(env, connection, { endpoint, bucket, accessKey, secretKey, caCertificate }, region, query) {
    const [, name, port = "443"] = /^(.*?)(?::(\d+))?$/.exec(endpoint) ?? [];
    // A bucket of AWS answers in its own region. rke-tools uses the bucket's own host name at Aliyun, and paths elsewhere.
    const regional = name === "s3.amazonaws.com" && region !== "us-east-1" ? `s3.${region}.amazonaws.com` : name;
    const isOwnHost = name.includes("aliyun");
    const host = isOwnHost ? `${bucket}.${regional}` : regional;
    const path = isOwnHost ? "/" : `/${bucket}`;
    const asked = { host: port === "443" ? host : `${host}:${port}`, path, query };
    const headers = signedHeaders(asked, { region, accessKey: accessKey ?? "", secretKey: secretKey ?? "" }, new Date());
    const { stream, end } = throughNode(env, connection, host, port);
    const signal = AbortSignal.timeout(patienceSeconds * 1000);
    try {
        return await new Promise((resolve, reject) => {
            const secure = tls.connect({ socket: stream, host, ...(net.isIP(host) ? {} : { servername: host }), ca: caCertificate });
            secure.on("error", reject);
            const options = { createConnection: () => secure, headers, signal };
            const sent = https.get(`https://${asked.host}${path}?${query}`, options, response => {
                let text = "";
                response
                    .setEncoding("utf8")
                    .on("data", chunk => (text += chunk))
                    .on("error", reject)
                    .on("end", () =>
                        resolve({
                            status: response.statusCode ?? 0,
                            region: response.headers["x-amz-bucket-region"]?.toString() ?? textOf(text, "Region"),
                            text,
                        }),
                    );
            });
            sent.on("error", reject);
        });
    } catch (/** @type {any} */ error) {
        const isTrusted = !/CERT|SELF_SIGNED|UNABLE_TO|ERR_(TLS|SSL)/.test(error.code ?? "");
        const reason = (await end()) ?? (signal.aborted ? `no answer within ${patienceSeconds} s` : error.message);
        throw new BucketFault(isTrusted ? reason : `${error.code}: ${error.message}`, { isUnreachable: isTrusted });
    } finally {
        await end();
    }
}

/**
 * Returns the text of the first element of this name.
 *
 * @param {string} xml
 * @param {string} name
 */
const textOf = (xml, name) => new RegExp(`<${name}(?: [^>]*)?>([^<]*)</${name}>`).exec(xml)?.[1];

/**
 * Lists the objects of a bucket whose keys begin with a prefix, without those of deeper folders, as one node reaches it.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {import("../../../remote/connection").HostConnection} connection
 * @param {BucketAccess} bucket
 * @param {string} prefix
 */
async function list(env, connection, bucket, prefix) {
    const query = `delimiter=%2F&list-type=2&prefix=${encodeURIComponent(prefix)}`;
    const region = bucket.region ?? "us-east-1";
    let answer = await request(env, connection, bucket, region, query);
    if (answer.status !== 200 && !bucket.region) {
        // Without a region in the configuration, the server names its own: in the error, or when it is asked as rke-tools asks.
        const { text } = answer.region ? answer : await request(env, connection, bucket, region, "location=");
        const own = answer.region ?? textOf(text, "LocationConstraint");
        if (own && own !== region) answer = await request(env, connection, bucket, own, query);
    }
    if (answer.status !== 200) {
        const said = [textOf(answer.text, "Code"), textOf(answer.text, "Message")].filter(Boolean).join(": ");
        throw new BucketFault(`${answer.status}${said && ` ${said.replace(/&(#34|quot|#39|apos);/g, "'")}`}`.slice(0, 300));
    }
    const objects = answer.text.split("<Contents>").slice(1);
    return objects.map(object => ({
        key: textOf(object, "Key") ?? "",
        size: textOf(object, "Size"),
        time: textOf(object, "LastModified"),
    }));
}

/**
 * Asks a bucket through each etcd node for the objects whose names begin like this. Returns the objects, and one line for each node that
 * gets no list.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {AskedBucket} asked
 * @param {string} [name]
 */
async function askBucket(env, { nodes, access }, name = "") {
    const prefix = access.folder ? `${access.folder}/${name}` : name;
    /** @type {Awaited<ReturnType<typeof list>>} */
    let objects = [];
    /** @type {string[]} */
    const faults = [];
    let isUnreachable = true;
    await Promise.all(
        nodes.map(async ({ name: node, connection }) => {
            try {
                objects = await list(env, connection, access, prefix);
            } catch (/** @type {any} */ error) {
                faults.push(`${node} (${connection.address}): ${error.message}`);
                isUnreachable &&= Boolean(error.isUnreachable);
            }
        }),
    );
    return { objects, faults: faults.sort(), isUnreachable };
}

/** The key of the configuration that an answer makes suspect. */
const suspects = /** @type {[RegExp, string][]} */ ([
    [/NoSuchBucket/, "bucket"],
    [/administratively prohibited/, "PermitOpen in the sshd_config of the nodes, which must allow the S3 server"],
    [
        /InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|access key/i,
        "accessKey and secretKey, which must allow to list, read and write",
    ],
    [/CERT|SELF_SIGNED|UNABLE_TO/, "caCertificate and endpoint"],
    [/region/i, "region"],
]);

/**
 * Returns a sentence about a bucket that gives no list on some nodes.
 *
 * @param {AskedBucket} asked
 * @param {string[]} faults
 */
function describeFaults({ access: { endpoint, bucket } }, faults) {
    const key = suspects.find(([words]) => faults.some(fault => words.test(fault)))?.[1] ?? "endpoint, and the network between";
    const lines = faults.map(line => `\n  - ${line}`).join("");
    return `cluster.etcdBackup.s3: expected https://${endpoint} to list the bucket ${bucket} to each etcd node, found:${lines}\nCheck ${key}`;
}

module.exports = { askBucket, describeFaults, signedHeaders };
