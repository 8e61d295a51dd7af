import { HostName } from "../../../lab/inventory";
import { until } from "../../../lab/process";
import { Traffic } from "../../../lab/traffic";
import { disposable, testLab } from "../fixtures";
import { issue } from "../../../lab/certificates";
import { Answer, Asked, Client } from "./client";
import { Changes, LoadBalancerHost } from "./loadBalancerHost";

jest.setTimeout(10 * 60_000);

/** These tests count on three scripted nodes which node gets a request, and which one gets it again. */

const nodes = ["upstream1", "upstream2", "upstream3"] as const;
const lab = disposable(testLab());
const traffic = new Traffic(lab);
let lb: LoadBalancerHost;

const addressOf = (node: HostName) => lab.host(node).address;
/** Returns settings with which a failed node stays removed from rotation for the whole test, even on a slow machine. */
const settings = (changes: Changes = {}): Changes => ({
    upstreams: nodes.map(addressOf),
    upstreamPort: 80,
    failTimeoutSeconds: 3600,
    ...changes,
});

beforeAll(async () => {
    const tools = await lab.tools();
    [lb] = await Promise.all([LoadBalancerHost.start(lab), lab.startAnew(...nodes)]);
    await traffic.install(tools, [...nodes]);
    await Promise.all(nodes.map(node => traffic.startUpstream(node, 80)));
});
afterAll(() => LoadBalancerHost.stop(lb));

let named = 0;
/** Sends a request with an id. The access log records the id, and so do the nodes for a POST. */
const ask = async (method: "GET" | "POST", query = ""): Promise<{ id: string } & Answer> => {
    const id = `request-${++named}`;
    const asked: Asked = { method, body: Buffer.from(method === "POST" ? "hello" : "") };
    return { id, ...(await lb.client.ask(`/?id=${id}${query}`, asked)) };
};
const askOften = async (count: number, method: "GET" | "POST") => {
    const answers = [];
    for (let asked = 0; asked < count; asked++) answers.push(await ask(method));
    return answers;
};
/** Returns the nodes that got the requests, in order, and the statuses of their answers. */
const triesOf = async (answers: { id: string }[]): Promise<{ nodes: string[]; statuses: string[] }[]> => {
    const of = new Map<string, any>();
    await until("the requests in the access log", 60, async () => {
        for (const line of (await lb.sh("cat /var/log/nginx/access.log")).split("\n").filter(Boolean)) {
            const request = JSON.parse(line);
            of.set(/id=([\w-]+)/.exec(request.uri)?.[1] ?? "", request);
        }
        return answers.every(({ id }) => of.has(id));
    });
    return answers.map(({ id }) => {
        const { upstream, upstream_status: statuses } = of.get(id);
        const tried: string[] = upstream.split(", ").map((address: string) => address.replace(/:80$/, ""));
        return { nodes: tried.map(address => nodes.find(node => addressOf(node) === address)!), statuses: statuses.split(", ") };
    });
};
/** Returns the ids of POSTs that a node began to answer. */
const begunAt = async (node: HostName) => (await lab.host(node).sh("cat /run/traffic-posts")).split("\n").filter(Boolean);
const begun = async () => (await Promise.all(nodes.map(begunAt))).flat();

/** Makes every answer of these nodes a 503 while `work` runs. */
const sick = async (chosen: readonly HostName[], work: () => Promise<unknown>) => {
    await Promise.all(chosen.map(node => lab.host(node).sh("touch /run/traffic-sick")));
    try {
        await work();
    } finally {
        await Promise.all(chosen.map(node => lab.host(node).sh("rm /run/traffic-sick")));
    }
};

beforeEach(async () => {
    // A restart makes NGINX forget the failed nodes.
    await lb.apply(settings());
    await lb.sh("systemctl restart nginx");
    await until("an answer", 60, async () => (await lb.client.status("/").catch(() => 0)) === 200);
});

describe("a node that answers 503", () => {
    test("fails no GET, and is removed from rotation after maxFails failures", () =>
        sick(["upstream1"], async () => {
            const answers = await askOften(30, "GET");
            expect(answers.map(({ status }) => status)).toEqual(Array(30).fill(200));
            const repeated = (await triesOf(answers)).filter(({ nodes }) => nodes.length > 1);
            expect(repeated.map(({ statuses }) => statuses)).toEqual(Array(3).fill(["503", "200"]));
            expect(repeated.map(({ nodes }) => nodes[0])).toEqual(Array(3).fill("upstream1"));
            const later = await triesOf(await askOften(12, "GET"));
            expect(later.flatMap(({ nodes }) => nodes)).not.toContain("upstream1");
            expect((await askOften(6, "POST")).map(({ status }) => status)).toEqual(Array(6).fill(200));
        }));

    test("gets a POST that no other node gets again", () =>
        sick(["upstream1"], async () => {
            const posts = await askOften(6, "POST");
            expect(posts.map(({ status }) => status).sort()).toEqual([...Array(4).fill(200), 503, 503]);
            expect((await triesOf(posts)).map(({ nodes }) => nodes.length)).toEqual(Array(6).fill(1));
            const ids = (await begun()).filter(id => posts.some(post => post.id === id));
            expect(ids.sort()).toEqual(posts.map(({ id }) => id).sort());
        }));
});

test("nodes that all answer 503 are still asked, and serve once they are well", async () => {
    await sick(nodes, async () => {
        const answers = await askOften(12, "GET");
        for (const { status } of answers) expect([502, 503]).toContain(status);
        for (const { statuses } of await triesOf(answers)) expect(statuses[0]).toBe("503");
    });
    expect((await askOften(12, "GET")).map(({ status }) => status)).toEqual(Array(12).fill(200));
});

test("a node that dies fails the POSTs that it began with, and no GET", async () => {
    // A node works on each request for longer than the test needs to find the open requests.
    const work = "&d=20000";
    const known = new Set(await begun());
    const begunNow = async (node: HostName) => (await begunAt(node)).filter(id => !known.has(id));
    const gets = nodes.flatMap(() => [ask("GET", work), ask("GET", work)]);
    const status = "curl -s http://127.0.0.1:280/status";
    await until("six GETs on their way", 9, async () => Number(/Writing: (\d+)/.exec(await lb.sh(status))?.[1]) > 6);
    const posts = nodes.flatMap(() => [ask("POST", work), ask("POST", work)]);
    await until("six POSTs on their way", 9, async () => (await Promise.all(nodes.map(begunNow))).flat().length === 6);
    const lost = await begunNow("upstream1");
    expect(lost).toHaveLength(2);
    await traffic.killUpstream("upstream1");
    const answers = await Promise.all([...gets, ...posts]);
    await traffic.startUpstream("upstream1", 80);
    const failed = answers.filter(({ status }) => status !== 200).map(({ id }) => id);
    expect(failed.sort()).toEqual(lost.sort());
    const ids = await begun();
    expect(ids).toHaveLength(new Set(ids).size);
});

test("a node that leaves the upstreams and comes back costs no request", async () => {
    const found: (number | string)[] = [];
    let over = false;
    const askOn = async () => {
        while (!over || found.length < 20) found.push(await lb.client.status("/?d=50").catch(String));
    };
    const asking = Promise.all([askOn(), askOn(), askOn()]);
    await lb.apply(settings({ upstreams: nodes.slice(0, 2).map(addressOf) }));
    await lb.apply(settings());
    over = true;
    await asking;
    expect(found.filter(status => status !== 200)).toEqual([]);
});

test("the Kubernetes API is reached past a silent and a refusing node, by its own TLS", async () => {
    const [silent, , answering] = nodes.map(node => lab.host(node));
    const { certificate, privateKey } = issue({ name: "kube-apiserver", by: lb.ca, names: ["DNS:kubernetes"], usage: "serverAuth" });
    await answering.write("/run/api.pem", `${certificate}\n${privateKey}`, "600");
    await answering.sh("systemd-run -q --unit=lab-api openssl s_server -quiet -www -accept 6443 -cert /run/api.pem -key /run/api.pem");
    await silent.sh("iptables --append INPUT --protocol tcp --dport 6443 --jump DROP");
    await lb.apply(settings({ kubernetesApi: true, controlPlane: nodes.map(addressOf), connectTimeoutSeconds: 1 }));
    const client = new Client(lb.host.address, "kubernetes", lb.ca.certificate);
    client.tls.port = 6443;
    const found: (number | string)[] = [];
    for (let asked = 0; asked < 12; asked++) found.push(await client.status("/").catch(String));
    expect(found).toEqual(Array(12).fill(200));
    const log = await lb.sh("cat /var/log/nginx/error.log");
    expect(log).toMatch(new RegExp(`upstream timed out .*"${silent.address}:6443"`));
    expect(log).toMatch(new RegExp(`Connection refused.*"${addressOf("upstream2")}:6443"`));
});
