import { spawnSync } from "child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { Directive } from "../../components/loadBalancer/directives";
import { nginxConf } from "../../components/loadBalancer/nginxConf";
import { nginxSettingsSchema } from "../../components/loadBalancer/schema";
import { ownDirectives, withoutOwnDirectives } from "../../components/loadBalancer/ownDirectives";
import { describeIssues } from "../../components/validation";
import { issue } from "../../lab/certificates";
import { unpackedDebianPackages } from "../../lab/tools";
import { finished, required, settings } from "../nginx";

test.each([
    ["a block that does not end", { server: "if ($arg_a) {" }, /extraDirectives\.server: expected whole directives/],
    ["an end of the block around it", { location: "} location /x { return 404;" }, /extraDirectives\.location: expected whole directives/],
    ["a block end between quotes inside words", { server: 'set $a a"b; } location /x { set $a c"d;' }, /expected whole directives/],
    ["headers that would drop all others", { location: "proxy_set_header X-A b;" }, /proxy_set_header[^]*extraDirectives\.server/],
    [
        "files named from the folder of nginx.conf",
        { http: '# x\n"include" conf.d/*.conf;' },
        /http: expected an absolute path behind include/,
    ],
    ["answer headers that would drop HSTS", { location: "add_header X-A b;" }, /no add_header[^]*extraDirectives\.server/],
])("extra directives with %s are refused", (_what, extraDirectives, message) => {
    const { error } = nginxSettingsSchema.safeParse({ ...required, extraDirectives });
    expect(describeIssues(error!.issues, extraDirectives)).toMatch(message);
});

test("a request header that the load balancer sets itself is refused in the server", () => {
    const text = nginxConf(nginxSettingsSchema.parse(required));
    const headers = [...text.matchAll(/proxy_set_header (\S+)/g)].map(([, header]) => header);
    expect(headers).toContain("Host");
    const isAccepted = (header: string) =>
        nginxSettingsSchema.safeParse({ ...required, extraDirectives: { server: `proxy_set_header ${header} x;` } }).success;
    expect(headers.filter(isAccepted)).toEqual([]);
    expect(isAccepted("X-Own")).toBe(true);
});

/** Writes a directive as text. */
const written = ({ words, block }: Directive): string => {
    const head = words.map(word => (/[\s;{}"]|^$/.test(word) ? `'${word}'` : word)).join(" ");
    return block ? `${head} { ${block.map(written).join(" ")} }` : `${head};`;
};

describe("a repeated directive of the stack is judged as by the real nginx:", () => {
    // A server of the user has other names and ports. Another rule refuses the headers, and a certificate needs its key.
    const own = Object.entries(ownDirectives(settings())).flatMap(([block, list]) =>
        list
            .filter(({ words }) => !["server", "proxy_set_header", "ssl_certificate"].includes(words[0]))
            .map(directive => [block, written(directive)] as const),
    );
    const schema = withoutOwnDirectives(nginxSettingsSchema);
    const isAccepted = (block: string, text: string) => schema.safeParse({ ...required, extraDirectives: { [block]: text } }).success;
    let folder: string;
    let nginx: string;
    beforeAll(async () => {
        folder = mkdtempSync(join(tmpdir(), "extra-directives-"));
        nginx = join(await unpackedDebianPackages(["nginx", "nginx-common", "libnginx-mod-stream"]), "usr/sbin/nginx");
        const { certificate, privateKey } = issue({ name: "rancher.example.com" });
        mkdirSync(join(folder, "rancher-ha"));
        writeFileSync(join(folder, "rancher-ha/fullchain.pem"), certificate);
        writeFileSync(join(folder, "rancher-ha/privkey.pem"), privateKey);
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    /** Returns why the real nginx refuses the stack's nginx.conf with a text in one of its blocks, or an empty text. */
    function refusalOfNginx(block: string, text: string): string {
        const extraDirectives = { http: "", server: "", location: "", [block]: text };
        writeFileSync(join(folder, "nginx.conf"), finished(nginxConf(settings({ extraDirectives })), { version: "1.22.1" }));
        const places = "for place in /var/log /var/lib /run; do mount -t tmpfs none $place; done; mkdir /var/log/nginx /var/lib/nginx";
        const check = `${places}; exec ${nginx} -t -q -c ${join(folder, "nginx.conf")}`;
        return spawnSync("unshare", ["--mount", "--net", "sh", "-c", check], { encoding: "utf8" })
            .stderr.split("\n")
            .filter(line => line.includes("[emerg]"))
            .join();
    }

    test("they are found in each block", () => {
        const heads = own.map(([block, text]) => `${block}: ${text.split(/[;{]/)[0].trim()}`);
        expect(heads).toEqual(
            expect.arrayContaining(["http: upstream rancher", "server: location /", "location: proxy_pass http://rancher"]),
        );
        expect(own.length).toBeGreaterThan(40);
    });

    test.each(own)("%s: %s", (block, text) => {
        const refusal = refusalOfNginx(block, text);
        expect(refusal).toMatch(/^$|duplicate/);
        expect(isAccepted(block, text)).toBe(refusal === "");
    });

    test.each([
        ["server", "location = / { return 204; }"],
        ["server", "location /v3/connect { return 204; }"],
        ["http", "upstream other { server 192.0.2.1; }"],
        ["http", "log_format other '$uri';"],
        ["http", "real_ip_header X-Real-IP;"],
        ["server", "location /own/ { proxy_buffer_size 16k; client_max_body_size 1m; proxy_pass http://rancher; }"],
        ["server", "client_max_body_size 1m;"],
    ])("one with another name or in another block: %s: %s", (block, text) => {
        expect(isAccepted(block, text)).toBe(refusalOfNginx(block, text) === "");
    });
});

test.each([
    ["braces inside quotes and comments", 'if ($http_x ~ "^a{2}$") { return 403; } # }\nset $a a\\{${b}c"; # {'],
    ["files by absolute paths, and the word in another place", "include /etc/nginx/conf.d/*.conf; set $a include; # include b;"],
])("extra directives may hold %s", (_what, server) =>
    expect(nginxSettingsSchema.safeParse({ ...required, extraDirectives: { server } }).success).toBe(true),
);

test("a comment and a value may hold the names of refused directives", () =>
    expect(
        nginxSettingsSchema.safeParse({
            ...required,
            extraDirectives: { location: "# no add_header here\nset $a add_header;", server: "# server_tokens" },
        }).success,
    ).toBe(true));
