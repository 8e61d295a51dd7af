import { once } from "events";
import { IncomingHttpHeaders } from "http";
import { request } from "https";
import { connect, ConnectionOptions, TLSSocket } from "tls";
import WebSocket from "ws";

export interface Answer {
    status: number;
    headers: IncomingHttpHeaders;
    body: string;
    /** Fingerprint of the certificate that the server sent. */
    fingerprint: string;
}

export interface Asked {
    method?: string;
    headers?: Record<string, string>;
    body?: Buffer;
}

/** Removes the certificate that Node adds to an error of its check. Jest cannot print it, and would hide the error. */
function withoutCertificate(error: Error): Error {
    delete (error as { cert?: unknown }).cert;
    return error;
}

/** A client of a load balancer. It opens a connection for each request, repeats none, and waits long. So only a lost request fails. */
export class Client {
    readonly tls: { host: string; port: number; servername: string; ca: string };
    private readonly sockets = new Set<TLSSocket>();
    private readonly webSockets = new Set<WebSocket>();

    constructor(
        readonly address: string,
        readonly hostname: string,
        ca: string,
        private readonly timeoutSeconds = 120,
    ) {
        this.tls = { host: address, port: 443, servername: hostname, ca };
    }

    ask(path = "/", { method = "GET", headers = {}, body = Buffer.alloc(0) }: Asked = {}): Promise<Answer> {
        const options = {
            ...this.tls,
            path,
            method,
            agent: false,
            headers: { host: this.hostname, ...headers },
            timeout: this.timeoutSeconds * 1000,
        };
        return new Promise((resolve, reject) => {
            const asked = request(options, answer => {
                const { fingerprint256: fingerprint } = (answer.socket as TLSSocket).getPeerCertificate();
                const { statusCode: status = 0, headers } = answer;
                let body = "";
                answer
                    .on("data", chunk => (body += chunk))
                    .on("end", () => resolve({ status, headers, body, fingerprint }))
                    .on("error", reject);
            });
            asked.on("timeout", () => asked.destroy(new Error(`no answer in ${this.timeoutSeconds} s`)));
            asked.on("error", error => reject(withoutCertificate(error))).end(body);
        });
    }

    async status(path?: string, asked?: Asked): Promise<number> {
        return (await this.ask(path, asked)).status;
    }

    /** Opens a TLS connection and sends a text. `stop` closes the connection. */
    connect(text = "", options: ConnectionOptions = {}): TLSSocket {
        const socket = connect({ ...this.tls, ...options }, () => socket.write(text));
        this.sockets.add(socket);
        // A caller that waits for an event gets the error. Without this handler, the error would end the process.
        return socket.on("error", () => undefined);
    }

    /** Sends a text over TLS and returns the answer until the connection ends. */
    raw(text: string): Promise<string> {
        return new Promise((resolve, reject) => {
            let answer = "";
            this.connect(text)
                .on("data", chunk => (answer += chunk))
                .on("end", () => resolve(answer))
                .on("error", reject);
        });
    }

    /** Sends a text over TLS and returns the first part of the answer, whether the connection ends or not. */
    async firstPart(text: string): Promise<string> {
        const socket = this.connect(text);
        const [part] = await once(socket, "data");
        socket.destroy();
        return String(part);
    }

    /**
     * Connects with these options and sends one request. Returns the protocol, the session, and whether the server resumed an earlier one.
     */
    async handshake(options: ConnectionOptions): Promise<{ protocol: string; resumed: boolean; session: Buffer }> {
        const socket = this.connect(`GET / HTTP/1.1\r\nHost: ${this.hostname}\r\n\r\n`, options);
        // With TLS 1.3, the session comes with the first answer.
        await once(socket, "data");
        const shaken = { protocol: socket.getProtocol()!, resumed: socket.isSessionReused(), session: socket.getSession()! };
        socket.destroy();
        return shaken;
    }

    /** Returns the fingerprint of the certificate that the server sends to a client with only these signature algorithms. */
    async offered(sigalgs: string): Promise<string> {
        const socket = this.connect("", { sigalgs });
        await once(socket, "secureConnect");
        const { fingerprint256 } = socket.getPeerCertificate();
        socket.destroy();
        return fingerprint256;
    }

    async openWebSocket(): Promise<WebSocket> {
        const socket = new WebSocket(`wss://${this.hostname}/`, {
            ca: this.tls.ca,
            lookup: (_name, _options, found) => found(null, [{ address: this.address, family: 4 }] as never),
        });
        this.webSockets.add(socket);
        await once(socket, "open");
        return socket;
    }

    /** Closes every connection, because an open one of a failed test would keep the test process alive. */
    stop(): void {
        for (const socket of this.sockets) socket.destroy();
        for (const socket of this.webSockets) socket.terminate();
    }
}

/** Sends a text through a WebSocket and returns the message that comes back. */
export async function echo(socket: WebSocket, text: string): Promise<string> {
    const answer = once(socket, "message");
    socket.send(text);
    return String((await answer)[0]);
}

/** Sends `count` requests, ten at once. Returns the different statuses, and the seconds of the slowest ten requests. */
export async function askMany(client: Client, count = 300): Promise<{ statuses: number[]; slowestSeconds: number }> {
    const statuses = new Set<number>();
    let slowest = 0;
    for (let asked = 0; asked < count; asked += 10) {
        const began = Date.now();
        for (const status of await Promise.all(Array.from({ length: 10 }, () => client.status()))) statuses.add(status);
        slowest = Math.max(slowest, Date.now() - began);
    }
    return { statuses: [...statuses], slowestSeconds: slowest / 1000 };
}
