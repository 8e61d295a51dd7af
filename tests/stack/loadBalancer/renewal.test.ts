import { until } from "../../../lab/process";
import { Issued } from "../../../lab/certificates";
import { disposable, testLab } from "../fixtures";
import { LoadBalancerHost } from "./loadBalancerHost";

jest.setTimeout(10 * 60_000);

/** These tests serve certificates that another tool keeps on the host and renews there. */

const lab = disposable(testLab());
let lb: LoadBalancerHost;
beforeAll(async () => void (lb = await LoadBalancerHost.start(lab)));
afterAll(() => LoadBalancerHost.stop(lb));

describe("files that another tool keeps on the host", () => {
    const folder = "/etc/letsencrypt";
    const live = `${folder}/live/rancher`;
    const elsewhere = {
        certificateChain: undefined,
        privateKey: undefined,
        certificateOnHost: { certificateChain: `${live}/fullchain.pem`, privateKey: `${live}/privkey.pem` },
    };

    /** Writes one of the files as certbot does: into its archive with a new number, and with a link to it. */
    const put = async (name: "fullchain" | "privkey", text: string) => {
        const archive = `${folder}/archive/${name}${++version}.pem`;
        await lb.host.write(archive, text, "600");
        await lb.sh(`ln -sfn ${archive} ${live}/${name}.pem`);
    };
    const putBoth = async ({ certificate, privateKey }: Issued) => {
        await put("fullchain", certificate);
        await put("privkey", privateKey);
    };
    let version = 0;
    const followedBy = (first: Issued, second: Issued): Issued => ({ ...first, certificate: first.certificate + second.certificate });

    /** Returns a script that sets the time that openssl of the host reads. All hosts share the clock of this machine. */
    const clockOfOpenssl = (seconds: number) =>
        `printf '#!/bin/sh\\ncase $1 in verify) shift; set -- verify -attime ${seconds} "$@" ;; esac\\nexec /usr/bin/openssl "$@"\\n' >/usr/local/bin/openssl
        chmod 755 /usr/local/bin/openssl`;

    /** Returns the number of times that the reloading service has printed these words. */
    const said = async (words: string) =>
        (await lb.sh("journalctl -u rancher-ha-certificate -o cat --no-pager")).split("\n").filter(line => line.includes(words)).length;

    /** Waits until the reloading service, which runs once for each change of a file, has ended. */
    const nothingIsReloading = () => {
        const state = () => lb.sh("systemctl is-active rancher-ha-certificate || true");
        return until("no reload to be left", 240, async () => !(await state()).includes("activating"));
    };

    beforeEach(async () => {
        await lb.sh(`mkdir -p ${live} ${folder}/archive`);
        await putBoth(lb.provided);
        await lb.apply(elsewhere);
        // NGINX would read files unchecked that a test writes between the check and the reload.
        await nothingIsReloading();
        await lb.served();
    });
    afterAll(() => lb.sh(`rm -rf ${folder}`));

    test("are refused while they are missing", async () => {
        await lb.apply();
        await lb.sh(`rm -r ${folder}`);
        await lb.refuses(elsewhere, /expected a PEM file \/etc\/letsencrypt\/live\/rancher\/fullchain\.pem, found none/);
    });

    test("are served, and so is a renewal once both are written", async () => {
        await lb.served();
        expect(await lb.probe()).toBe("in sync");

        const renewed = lb.certificate();
        const [before, known] = [await lb.workers(), await said("does not belong to the certificate")];
        await put("fullchain", renewed.certificate);
        await until("the service to see one file of two", 240, async () => (await said("does not belong to the certificate")) > known);
        expect(await lb.workers()).toBe(before);
        await lb.served();
        await put("privkey", renewed.privateKey);
        await lb.servedSoon(renewed);
        expect(await lb.probe()).toBe("in sync");
    });

    test.each([
        ["for another name", () => lb.certificate({ names: ["DNS:other.lab.internal"] }), "does not cover rancher.lab.internal"],
        ["that has expired", () => lb.certificate({ days: -1 }), "valid from"],
        ["with a chain in the wrong order", () => followedBy(lb.certificate(), lb.certificate()), "is not in order"],
    ])("are not served when the renewal is one %s", async (_what, made, words) => {
        const before = await lb.ask();
        const known = await said(words);
        await putBoth(made());
        await until("what is wrong, in the journal", 240, async () => (await said(words)) > known);
        expect(await lb.ask()).toEqual(before);
        expect(await lb.probe()).toContain(`NGINX does not serve the certificate in ${live}/fullchain.pem`);
        const fit = lb.certificate();
        await putBoth(fit);
        await lb.servedSoon(fit);
    });

    test("are not served before their time", () =>
        lb.broken(clockOfOpenssl(1_000_000_000), "rm /usr/local/bin/openssl", async () => {
            const [before, known] = [await lb.ask(), await said("valid from")];
            await putBoth(lb.certificate());
            await until("what is wrong, in the journal", 240, async () => (await said("valid from")) > known);
            expect(await lb.ask()).toEqual(before);
            expect((await lb.probed()).warnings).toEqual([expect.stringMatching(/fullchain\.pem is valid from .*users get an error/)]);
        }));

    test("that become valid later than a minute after they came are served by a timer", () =>
        lb.broken(clockOfOpenssl(1_000_000_000), "rm -f /usr/local/bin/openssl", async () => {
            const [before, known, late] = [await lb.ask(), await said("valid from"), lb.certificate()];
            await putBoth(late);
            await until("what is wrong, in the journal", 240, async () => (await said("valid from")) > known);
            await nothingIsReloading();
            expect(await lb.ask()).toEqual(before);
            await lb.sh("rm /usr/local/bin/openssl");
            expect(await lb.sh("systemctl show -p NextElapseUSecRealtime rancher-ha-certificate.timer")).toMatch(/:00:00/);
            // A timer starts the service that bears its name.
            await lb.sh("systemctl start rancher-ha-certificate");
            await lb.servedSoon(late);
        }));

    test("that NGINX has read are not read again by the timer, also after an apply", async () => {
        const before = await lb.workers();
        await lb.sh("systemctl start rancher-ha-certificate");
        expect(await lb.workers()).toBe(before);
    });

    test("that end soon are told in a warning", async () => {
        // Only the warning reads the time with `date +%s`.
        const date = `#!/bin/sh\n[ "$*" != +%%s ] || exec /usr/bin/date -d "now 340 days" +%%s\nexec /usr/bin/date "$@"\n`;
        await lb.broken(`printf '${date}' >/usr/local/bin/date; chmod 755 /usr/local/bin/date`, "rm /usr/local/bin/date", async () => {
            const { state, warnings } = await lb.probed();
            expect({ state, warnings }).toEqual({
                state: "in sync",
                warnings: [expect.stringMatching(/fullchain\.pem ends in less than 30 days/)],
            });
        });
    });

    test("that live for some days are not always said to end soon", async () => {
        const short = lb.certificate({ days: 10 });
        await putBoth(short);
        await lb.servedSoon(short);
        const { state, warnings } = await lb.probed();
        expect({ state, warnings }).toEqual({ state: "in sync", warnings: [] });
    });

    test("that come late, after NGINX failed to start many times, are served by themselves", async () => {
        await lb.sh(`mv ${live} ${live}.late; systemctl restart nginx || true`);
        await until(
            "more starts than systemd allows by default",
            240,
            async () => Number(await lb.sh("systemctl show -p NRestarts --value nginx")) > 6,
        );
        await lb.sh(`mv ${live}.late ${live}`);
        await until("NGINX", 240, () => lb.host.isActive("nginx"));
        await lb.servedSoon(lb.provided);
        expect(await lb.probe()).toBe("in sync");
    });

    test("are still looked at after many changes beside them", async () => {
        await lb.sh(`for n in 1 2 3 4 5 6 7 8; do touch ${live}/other; sleep 1.5; done; rm ${live}/other`);
        expect(await lb.sh("systemctl is-active rancher-ha-certificate.path")).toBe("active\n");
        const renewed = lb.certificate();
        await putBoth(renewed);
        await lb.servedSoon(renewed);
    });

    test("that were renewed without a reload are seen as drift", async () => {
        await lb.sh("systemctl stop rancher-ha-certificate.path");
        // A run that the last change started would still load the new files.
        await nothingIsReloading();
        const renewed = lb.certificate();
        await putBoth(renewed);
        expect(await lb.probe()).toBe(
            `rancher-ha-certificate.path: inactive, expected active\nNGINX does not serve the certificate in ${live}/fullchain.pem`,
        );
        await lb.apply(elsewhere);
        await lb.served(renewed);
        expect(await lb.probe()).toBe("in sync");
    });

    test.each(["fullchain.pem", "privkey.pem"])("are missed in the probe: %s", async name => {
        await lb.sh(`mv ${live}/${name} ${live}/away`);
        expect(await lb.probe()).toContain(`${live}/privkey.pem: missing, not readable, or they do not belong together`);
        await lb.sh(`mv ${live}/away ${live}/${name}`);
        expect(await lb.probe()).toBe("in sync");
    });

    test("stay when the stack provides its own certificate again", async () => {
        await lb.apply();
        await lb.served();
        expect(await lb.sh(`ls ${live}`)).toBe("fullchain.pem\nprivkey.pem\n");
        expect(await lb.sh("systemctl is-active rancher-ha-certificate.path || true")).toBe("inactive\n");
    });
});
