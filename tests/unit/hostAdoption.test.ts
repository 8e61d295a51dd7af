import { spawnSync } from "child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { dirname, join } from "path";
import { withHostFunctions } from "../../lab/loadBalancer/hostFunctions";

// The host's program keeps and restores the configuration of NGINX in a folder of the test, which stands for the root of the host.
let root: string;
const at = (path: string) => join(root, path);
const put = (path: string, text: string) => {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), text);
};
const read = (path: string) => readFileSync(at(path), "utf8");
const state = "/var/lib/pulumi-rancher-ha/load-balancer";
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), "adoption-"))));
afterEach(() => rmSync(root, { recursive: true }));

/** Stands for commands of a host without the packages of the load balancer. */
const commands = `hostname() { echo lb1; }; systemctl() { :; }; dpkg() { return 1; }; package_state() { :; }
    nft() { :; }; sysctl() { :; }`;

/** Runs a text with the host's functions. All paths of the host lead below the root of the test. */
function host(text: string): { code: number | null; said: string } {
    const values = "mark=mark; virtual_ip=; take_over=yes; places=; down_file=/run/down; vrrp_table=table; owner=us";
    const main = readFileSync(join(__dirname, "../../components/loadBalancer/host/main.sh"), "utf8").replace(/\ncase \$1 in[^]*/, "\n");
    const program = `${values}\n${withHostFunctions(main)}\n${commands}\n${text}`.replace(/(?<![\w.$}])\/(etc|var|run)\//g, `${root}/$1/`);
    mkdirSync(at("run"), { recursive: true });
    const { status, stdout, stderr } = spawnSync("sh", ["-s"], { input: program, encoding: "utf8" });
    return { code: status, said: (stdout + stderr).replaceAll(root, "") };
}

test("a destroy disables its units when the link to their release is lost", () => {
    const { said } = host(`places="logs.timer /etc/systemd/system/rancher-ha-logs.timer 644
keepalived.service.conf /etc/systemd/system/keepalived.service.d/rancher-ha.conf 644"
        systemctl() { echo "$*"; }; remove_packages() { :; }; restore_host`);
    expect(said.split("\n").filter(line => line.includes("disable"))).toEqual(["-q disable --now rancher-ha-logs.timer"]);
});

describe("a destroy that is killed while it removes the state", () => {
    beforeEach(() => {
        put("etc/nginx/nginx.conf", "theirs");
        put("etc/nginx/conf.d/shop.conf", "site");
        host("mkdir -p $state/original; keep_product nginx");
        put("etc/nginx/nginx.conf", "ours");
        const killed = host(`stage=/run/none; remove_packages() { :; }
            rm() {
                case $2 in
                "$state" | "$state.removed") command rm "$2/original/nginx/etc/nginx.conf"; kill -9 $$ ;;
                *) command rm "$@" ;;
                esac
            }
            restore_host`);
        expect(killed.code).toBeNull();
    });

    test("keeps what it restored when the next one runs", () => {
        expect(host("destroy")).toEqual({ code: 0, said: "lb1: nothing to remove\n" });
        expect([read("etc/nginx/nginx.conf"), read("etc/nginx/conf.d/shop.conf")]).toEqual(["theirs", "site"]);
        expect(existsSync(at(dirname(state)))).toBe(false);
    });

    test("leaves nothing that the next apply keeps", () => {
        expect(host("lock; mkdir -p $state/original; keep_original")).toEqual({ code: 0, said: "" });
        expect(readdirSync(at(dirname(state)))).toEqual(["load-balancer"]);
        expect(read(`${state}/original/nginx/etc/nginx.conf`)).toBe("theirs");
    });
});

describe("a configuration behind a link", () => {
    beforeEach(() => {
        put("srv/nginx/nginx.conf", "theirs");
        mkdirSync(at("etc"));
        symlinkSync("../srv/nginx", at("etc/nginx"));
    });
    const checks = "check_owner() { :; }; check_host() { :; }; begin() { echo began; }";
    const refusal = "lb1: expected a folder /etc/nginx, found a link to ../srv/nginx. Move the folder itself to /etc/nginx, or choose";

    test.each([
        ["apply", `${checks}; lock() { :; }; apply`, 1],
        ["probe", `${checks}; probe`, 0],
    ])("is refused by %s, although it is to be adopted", (_verb, text, code) => {
        const result = host(text);
        expect([result.code, result.said]).toEqual([code, expect.stringContaining(refusal)]);
        expect(result.said).toMatch(/Nothing was changed \[RHA host-not-fit\]\n(end\n)?$/);
        expect(read("srv/nginx/nginx.conf")).toBe("theirs");
    });

    test("of keepalived is refused for a host of a pair", () => {
        rmSync(at("etc/nginx"));
        symlinkSync("/srv/keepalived", at("etc/keepalived"));
        expect(host("virtual_ip=192.0.2.20; check_foreign").said).toMatch(/expected a folder \/etc\/keepalived, found a link to \/srv/);
        expect(host("check_foreign")).toEqual({ code: 0, said: "" });
    });

    test("is no reason to refuse a host that an earlier version adopted", () =>
        expect(host("mkdir -p $state/original/nginx; check_foreign")).toEqual({ code: 0, said: "" }));
});

describe("destroy and files of another tool in the folder of NGINX", () => {
    const today = new Date().toISOString().slice(0, 10);
    const rescued = `etc/nginx.rancher-ha-${today}`;
    const said = `lb1: files of other tools that /etc/nginx loses are kept in /${rescued}\n`;
    const packaged = (...names: string[]) => `dpkg() { case $1:$2 in -S:*/${names.join(" | -S:*/")}) ;; *) return 1 ;; esac; };`;
    const key = "etc/nginx/ssl/privkey.pem";
    beforeEach(() => {
        put(key, "first");
        chmodSync(at(key), 0o600);
    });

    /** Replaces nginx.conf as a release does. */
    const serve = () => {
        put(`${state}/releases/1/nginx.conf`, "# mark");
        rmSync(at("etc/nginx/nginx.conf"), { force: true });
        symlinkSync(at(`${state}/releases/1`), at("etc/nginx/rancher-ha"));
        symlinkSync("rancher-ha/nginx.conf", at("etc/nginx/nginx.conf"));
    };

    test("with an NGINX that the stack installed: they are kept, and nothing else is", () => {
        serve();
        put("etc/nginx/mime.types", "of the package");
        symlinkSync("/usr/share/nginx/modules-available/mod-stream.conf", at("etc/nginx/50-mod-stream.conf"));
        put(`${state}/packages`, "nginx\n");
        const text = `${packaged("mime.types")} systemctl() { :; }; remove_packages() { rm -rf /etc/nginx; }; restore_host`;
        expect(host(text)).toEqual({ code: 0, said });
        expect(readdirSync(at("etc"))).toEqual([`nginx.rancher-ha-${today}`]);
        expect(readdirSync(at(rescued), { recursive: true })).toEqual(["ssl", "ssl/privkey.pem"]);
        expect([read(`${rescued}/ssl/privkey.pem`), statSync(at(`${rescued}/ssl/privkey.pem`)).mode & 0o777]).toEqual(["first", 0o600]);
    });

    test("with an adopted NGINX: the renewed one is kept beside the earlier one", () => {
        put("etc/nginx/nginx.conf", "theirs");
        host("mkdir -p $state/original; keep_product nginx");
        serve();
        put(key, "renewed");
        expect(host("remove_packages() { :; }; restore_host").said).toBe(`${said}lb1: putting the configuration of nginx back\n`);
        expect([read(key), read(`${rescued}/ssl/privkey.pem`), read("etc/nginx/nginx.conf")]).toEqual(["first", "renewed", "theirs"]);
    });

    test("that did not change: no copy is made", () => {
        host("mkdir -p $state/original; keep_product nginx");
        serve();
        expect(host("remove_packages() { :; }; restore_host").said).toBe("lb1: putting the configuration of nginx back\n");
        expect([readdirSync(at("etc")), read(key)]).toEqual([["nginx"], "first"]);
    });

    test("that was renewed between two runs: both are kept", () => {
        put(`${state}/packages`, "nginx\n");
        for (const text of ["first", "first", "second"]) {
            put(key, text);
            expect(host("rescue_files nginx")).toEqual({ code: 0, said });
        }
        expect(readdirSync(at(`${rescued}/ssl`)).sort()).toEqual(["privkey.pem", "privkey.pem.~1~"]);
    });

    test("without room for a copy: nothing is removed", () => {
        put(`${state}/packages`, "nginx\n");
        const { code, said: words } = host("cp() { return 1; }; remove_packages() { echo removed; }; restore_host");
        expect([code, words]).toEqual([
            1,
            expect.stringMatching(/^lb1: files of other tools could not be copied .* \[RHA host-storage\]\n$/),
        ]);
        expect(read(key)).toBe("first");
    });
});
