import { request } from "https";

/** A client of Rancher through the load balancer at `address`. It trusts only the stack's CA. */
export class RancherClient {
    constructor(
        private readonly hostname: string,
        private readonly address: string,
        private readonly ca: string,
    ) {}

    ask(method: string, path: string, options: { body?: object; token?: string } = {}): Promise<{ status: number; body: string }> {
        const body = options.body && JSON.stringify(options.body);
        return new Promise((resolve, reject) => {
            const asked = request(
                {
                    method,
                    path,
                    // NGINX ends idle connections at a reload. Node does not repeat a request that meets this moment, as browsers do.
                    agent: false,
                    ca: this.ca,
                    host: this.address,
                    servername: this.hostname,
                    headers: {
                        host: this.hostname,
                        ...(body && { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
                        ...(options.token && { authorization: `Bearer ${options.token}` }),
                    },
                },
                answer => {
                    let text = "";
                    answer
                        .setEncoding("utf8")
                        .on("data", chunk => (text += chunk))
                        .on("end", () => resolve({ status: answer.statusCode!, body: text }));
                },
            );
            asked.on("error", reject);
            asked.end(body);
        });
    }

    async login(password: string): Promise<string> {
        const { body } = await this.ask("POST", "/v3-public/localProviders/local?action=login", { body: { username: "admin", password } });
        return JSON.parse(body).token;
    }
}
