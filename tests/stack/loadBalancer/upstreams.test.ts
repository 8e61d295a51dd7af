import { HostName } from "../../../lab/inventory";
import { until } from "../../../lab/process";
import { Traffic } from "../../../lab/traffic";
import { disposable, testLab } from "../fixtures";
import { Answer, Asked } from "./client";
import { Changes, LoadBalancerHost } from "./loadBalancerHost";

jest.setTimeout(10 * 60_000);

/** Which node gets a request, and which one gets it again: counted on three scripted nodes. */

const nodes = ["upstream1", "upstream2", "upstream3"] as const;
const lab = disposable(testLab());
const traffic = new Traffic(lab);
let lb: LoadBalancerHost;

const addressOf = (node: HostName) => lab.host(node).address;
/** A node that failed stays out for the whole test, however slow the machine is. */
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
/** A request whose id the nodes note when it is a POST, and with which the access log knows it. */
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
/** The nodes that a request was given to, in their order, and what they answered. */
const triesOf = async (id: string): Promise<{ addresses: string[]; statuses: string[] }> => {
    const uri = new RegExp(`[?&]id=${id}(&|$)`);
    let found: any;
    await until(`${id} in the access log`, 60, async () => {
        const lines = (await lb.sh("cat /var/log/nginx/access.log")).split("\n").filter(line => line.includes(id));
        return (found = lines.map(line => JSON.parse(line)).find(line => uri.test(line.uri))) !== undefined;
    });
    return {
        addresses: found.upstream.split(/[,:] /).map((each: string) => each.replace(/:80$/, "")),
        statuses: found.upstream_status.split(", "),
    };
};
/** The ids of POSTs that a node began with. */
const begunAt = async (node: HostName) => (await lab.host(node).sh("cat /run/traffic-posts")).split("\n").filter(Boolean);
const begun = async () => (await Promise.all(nodes.map(begunAt))).flat();

/** Makes every answer of these nodes a 503 while `work` goes on. */
const sick = async (chosen: readonly HostName[], work: () => Promise<unknown>) => {
    await Promise.all(chosen.map(node => lab.host(node).sh("touch /run/traffic-sick")));
    try {
        await work();
    } finally {
        await Promise.all(chosen.map(node => lab.host(node).sh("rm /run/traffic-sick")));
    }
};

beforeEach(async () => {
    // A restart forgets which nodes failed.
    await lb.apply(settings());
    await lb.sh("systemctl restart nginx");
    await until("an answer", 60, async () => (await lb.client.status("/").catch(() => 0)) === 200);
});

describe("a node that answers 503", () => {
    test("fails no GET: the next node gets it", () =>
        sick(["upstream1"], async () => {
            const answers = await askOften(9, "GET");
            expect(answers.map(({ status }) => status)).toEqual(Array(9).fill(200));
            const tries = await Promise.all(answers.map(({ id }) => triesOf(id)));
            const repeated = tries.filter(({ statuses }) => statuses.length > 1);
            // Three failures are as many as maxFails allows.
            expect(repeated.map(({ statuses }) => statuses)).toEqual(Array(3).fill(["503", "200"]));
            expect(repeated.map(({ addresses }) => addresses[0])).toEqual(Array(3).fill(addressOf("upstream1")));
        }));

    test("is removed from rotation after maxFails failures", () =>
        sick(["upstream1"], async () => {
            await askOften(12, "GET");
            const later = await askOften(12, "GET");
            const tries = await Promise.all(later.map(({ id }) => triesOf(id)));
            expect(tries.flatMap(({ addresses }) => addresses)).not.toContain(addressOf("upstream1"));
            const posts = await askOften(6, "POST");
            expect(posts.map(({ status }) => status)).toEqual(Array(6).fill(200));
        }));

    test("gets a POST that no other node gets again", () =>
        sick(["upstream1"], async () => {
            const posts = await askOften(6, "POST");
            const failed = posts.filter(({ status }) => status !== 200);
            expect(failed.map(({ status }) => status)).toEqual([503, 503]);
            const ids = (await begun()).filter(id => posts.some(post => post.id === id));
            expect(ids.sort()).toEqual(posts.map(({ id }) => id).sort());
        }));
});

test("when all nodes answer 503 they are asked nevertheless, and serve once they are well", async () => {
    await sick(nodes, async () => {
        const answers = await askOften(12, "GET");
        expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(503));
        const { statuses } = await triesOf(answers[11].id);
        expect(statuses.length).toBeGreaterThan(0);
    });
    expect((await askOften(12, "GET")).map(({ status }) => status)).toEqual(Array(12).fill(200));
});

test("a node that dies fails the POSTs that it began with, and no GET", async () => {
    // Longer than the kill takes on a busy machine.
    const query = "&d=20000";
    const running = Array.from({ length: 6 }, () => [ask("GET", query), ask("POST", query)]).flat();
    const known = new Set(await begun());
    await until("six POSTs on their way", 15, async () => (await begun()).filter(id => !known.has(id)).length === 6);
    const lost = await begunAt("upstream1");
    await traffic.killUpstream("upstream1");
    const answers = await Promise.all(running);
    await traffic.startUpstream("upstream1", 80);
    const failed = answers.filter(({ status }) => status !== 200).map(({ id }) => id);
    expect(failed.length).toBeGreaterThan(0);
    expect(failed.sort()).toEqual(lost.filter(id => !known.has(id)).sort());
    const posts = await begun();
    expect(posts).toHaveLength(new Set(posts).size);
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
