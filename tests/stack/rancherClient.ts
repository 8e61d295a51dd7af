import { ClientRequest, OutgoingHttpHeaders } from "http";
import { request } from "https";

/** Returns the header of a login. */
export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** A client of Rancher through the load balancer at `address`. It trusts only the stack's CA. */
export class RancherClient {
    constructor(
        private readonly hostname: string,
        private readonly address: string,
        private readonly ca: string,
    ) {}

    /** Begins a request, whose body the caller sends. */
    begin(method: string, path: string, headers: OutgoingHttpHeaders = {}): ClientRequest {
        const { hostname, address, ca } = this;
        // NGINX ends idle connections at a reload. Node does not repeat a request that meets this moment, as browsers do.
        return request({ method, path, agent: false, ca, host: address, servername: hostname, headers: { host: hostname, ...headers } });
    }

    ask(
        method: string,
        path: string,
        options: { body?: object; token?: string; headers?: OutgoingHttpHeaders } = {},
    ): Promise<{ status: number; body: string }> {
        const body = options.body && JSON.stringify(options.body);
        const headers = {
            ...(body && { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
            ...(options.token && bearer(options.token)),
            ...options.headers,
        };
        return new Promise((resolve, reject) => {
            const asked = this.begin(method, path, headers).on("response", answer => {
                let text = "";
                answer
                    .setEncoding("utf8")
                    .on("data", chunk => (text += chunk))
                    .on("end", () => resolve({ status: answer.statusCode!, body: text }));
            });
            asked.on("error", reject);
            asked.end(body);
        });
    }

    async login(password: string): Promise<string> {
        const { body } = await this.ask("POST", "/v3-public/localProviders/local?action=login", { body: { username: "admin", password } });
        return JSON.parse(body).token;
    }

    /** Returns the token with which an agent registers. `token` is that of a login. */
    async registrationToken(token: string): Promise<string> {
        return JSON.parse((await this.ask("GET", "/v3/clusterregistrationtokens", { token })).body).data[0].token;
    }
}
