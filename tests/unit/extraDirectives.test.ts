import { nginxConf } from "../../components/loadBalancer/nginxConf";
import { nginxSettingsSchema } from "../../components/loadBalancer/schema";
import { describeIssues } from "../../components/validation";
import { required } from "../nginx";

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

test.each([
    ["braces inside quotes and comments", 'if ($http_x ~ "^a{2}$") { return 403; } # }\nset $a a\\{${b}c"; # {'],
    ["files by absolute paths, and the word in another place", "include /etc/nginx/conf.d/*.conf; set $a include; # include b;"],
])("extra directives may hold %s", (_what, server) =>
    expect(nginxSettingsSchema.safeParse({ ...required, extraDirectives: { server } }).success).toBe(true),
);
