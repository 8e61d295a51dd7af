import { once } from "events";
import { createServer, RequestListener, Server } from "http";
import { AddressInfo, Socket } from "net";
import { WebSocketServer } from "ws";
import { Lab } from "../../../lab/lab";

/** Answers with the host name and the protocol of the forwarded request. */
export const greet: RequestListener = (asked, answer) => answer.end(`${asked.headers.host} ${asked.headers["x-forwarded-proto"]}`);

/** An upstream on this machine, in the lab's network. It answers requests, and returns every WebSocket message. */
export class Upstream {
    private readonly connections = new Set<Socket>();

    private constructor(
        readonly address: string,
        readonly server: Server,
    ) {
        server.on("connection", socket => void this.connections.add(socket));
        const sockets = new WebSocketServer({ noServer: true });
        server.on("upgrade", (asked, socket, head) => {
            const { upgrade } = asked.headers;
            if (upgrade === "websocket")
                return sockets.handleUpgrade(asked, socket, head, client => client.on("message", text => client.send(String(text))));
            socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n\r\n`);
        });
    }

    static async start(lab: Lab, answer: RequestListener = greet): Promise<Upstream> {
        // This time is longer than NGINX keeps an idle connection. So even on a slow machine, the upstream closes none.
        const server = createServer({ maxHeaderSize: 262_144, keepAliveTimeout: 10 * 60_000 }, answer);
        const upstream = new Upstream(lab.gateway, server);
        await once(server.listen(0, lab.gateway), "listening");
        return upstream;
    }

    get port(): number {
        return (this.server.address() as AddressInfo).port;
    }

    /** Also closes every connection. A killed host closes none of its own, and an open one would keep the test process alive. */
    stop(): void {
        this.server.close();
        for (const socket of this.connections) socket.destroy();
    }
}
