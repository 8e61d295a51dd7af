import { once } from "events";
import { createServer, RequestListener, Server } from "http";
import { AddressInfo, Socket } from "net";
import { WebSocketServer } from "ws";
import { Lab } from "../../../lab/lab";

/** Tells the host and the protocol that a request was forwarded with. */
export const greet: RequestListener = (asked, answer) => answer.end(`${asked.headers.host} ${asked.headers["x-forwarded-proto"]}`);

/** An upstream on this machine, in the lab's network: answers requests, sends back what comes through a WebSocket. */
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
        // Longer than NGINX keeps an idle connection, so that a slow machine closes none.
        const server = createServer({ maxHeaderSize: 262_144, keepAliveTimeout: 10 * 60_000 }, answer);
        const upstream = new Upstream(lab.gateway, server);
        await once(server.listen(0, lab.gateway), "listening");
        return upstream;
    }

    get port(): number {
        return (this.server.address() as AddressInfo).port;
    }

    /** Closes every connection too: a host that was killed closes none, and an open one would keep the test process. */
    stop(): void {
        this.server.close();
        for (const socket of this.connections) socket.destroy();
    }
}
